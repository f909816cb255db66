"""Pooling modes as values: word weights, divisor and common components.

A mode without arguments can be given by its name; `sif`, `usif` and `pmeans` make modes with arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vecload.errors import OptionError
from vecload.message_text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("mean", "sum", "max", "sqrt-n", "sif", "usif", "tfidf", "pmeans", "attention", "fasttext")
FITTED = ("sif", "usif", "tfidf")
"""Modes whose word weights are estimated from a corpus."""


@dataclass(frozen=True)
class Mode:
    """Pooling mode with its arguments.

    Parameters
    ----------
    name
        One of `NAMES`.
    a
        For "sif": a word of probability p has the weight a / (a + p).
    length
        For "usif": expected number of words in a sentence; None for the mean of the corpus.
    components
        For "sif" and "usif": number of common components to remove.
    powers
        For "pmeans": powers of the means that are concatenated.
    """

    name: str
    a: float = 1e-3
    length: float | None = None
    components: int = 0
    powers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise OptionError(
                f"unknown mode {self.name!r}; choose from: {', '.join(NAMES)}{did_you_mean(self.name, NAMES)}"
            )
        if not self.a > 0:
            raise OptionError(f"a must be positive, got {self.a}")
        if self.length is not None and not self.length > 0:
            raise OptionError(f"length must be positive, got {self.length}")
        if self.components < 0:
            raise OptionError(f"components must be 0 or more, got {self.components}")
        for power in self.powers:
            if not math.isinf(power) and (power < 1 or power != int(power)):
                raise OptionError(f"powers must be positive integers, inf or -inf, got {power}")


def sif(*, a: float = 1e-3, components: int = 1) -> Mode:
    """Make the mode "sif", smooth inverse frequency (Arora, Liang and Ma, ICLR 2017).

    Sentence vectors are the mean of a / (a + p(w)) · v(w), without the first principal components of the corpus.

    Parameters
    ----------
    a
        With a smaller value, frequent words count less. The paper uses 1e-4 to 1e-3.
    components
        Number of principal components of the corpus's sentences to remove. The paper removes one.

    Examples
    --------
    >>> sif(a=1e-4).components
    1
    """
    return Mode("sif", a=a, components=components)


def usif(*, length: float | None = None, components: int = 5) -> Mode:
    """Make the mode "usif", unsupervised smooth inverse frequency (Ethayarajh, RepL4NLP 2018).

    The weights a / (a/2 + p(w)) have no free parameter: a follows from the length of sentences.

    Parameters
    ----------
    length
        Expected number of words in a sentence; None for the mean of the corpus.
    components
        Number of common components to remove, each in proportion to its share of their variance.

    Notes
    -----
    This is the algorithm of the paper. The author's script also divides, within each sentence, every dimension by its
    norm over the words of the sentence, which the paper does not mention.

    Examples
    --------
    >>> usif(length=11).length
    11
    """
    return Mode("usif", length=length, components=components)


def pmeans(powers: Sequence[float] = (1, math.inf, -math.inf)) -> Mode:
    """Make the mode "pmeans", concatenated power means (Rücklé et al. 2018).

    Sentence vectors are len(powers) times as long as word vectors.

    Parameters
    ----------
    powers
        1 is the mean, inf the largest and -inf the smallest value of each dimension. An odd integer keeps the sign.

    Examples
    --------
    >>> pmeans([1, 3]).powers
    (1, 3)
    """
    if not powers:
        raise OptionError("pmeans needs at least one power")
    return Mode("pmeans", powers=tuple(powers))


def as_mode(mode: str | Mode) -> Mode:
    """Return the mode with a name and default arguments, or the mode itself."""
    if isinstance(mode, Mode):
        return mode
    # These have other defaults than Mode: common components to remove, and powers.
    makers: dict[str, Callable[[], Mode]] = {"sif": sif, "usif": usif, "pmeans": pmeans}
    return makers[mode]() if mode in makers else Mode(mode)
