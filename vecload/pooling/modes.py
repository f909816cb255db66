"""The ways to pool, as values: what is weighted, what a sum is divided by, what is removed afterwards.

A mode without arguments is named by a string; `sif`, `usif` and `pmeans` make one with arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vecload.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("mean", "sum", "max", "sqrt-n", "sif", "usif", "tfidf", "pmeans", "attention", "fasttext")
FITTED = ("sif", "usif", "tfidf")
"""Modes whose word weights come from a corpus."""


@dataclass(frozen=True)
class Mode:
    """One way to pool.

    Parameters
    ----------
    name
        One of `NAMES`.
    a
        Of "sif": the weight of a word of probability p is a / (a + p).
    length
        Of "usif": the expected number of words in a sentence; None for the mean of the corpus.
    components
        Of "sif" and "usif": how many common components are removed.
    powers
        Of "pmeans": the power means that are put side by side.
    """

    name: str
    a: float = 1e-3
    length: float | None = None
    components: int = 0
    powers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise OptionError(
                f"mode={self.name!r} is not one of {', '.join(map(repr, NAMES))}{did_you_mean(self.name, NAMES)}"
            )
        if not self.a > 0:
            raise OptionError(f"a={self.a} is not positive")
        if self.length is not None and not self.length > 0:
            raise OptionError(f"length={self.length} is not positive")
        if self.components < 0:
            raise OptionError(f"components={self.components} is negative")
        for power in self.powers:
            if not math.isinf(power) and (power < 1 or power != int(power)):
                raise OptionError(f"power {power} is neither a positive integer nor infinite")


def sif(*, a: float = 1e-3, components: int = 1) -> Mode:
    """Smooth inverse frequency (Arora, Liang and Ma, ICLR 2017): mean of a / (a + p(w)) · v(w), less what is common.

    Parameters
    ----------
    a
        The smaller, the less frequent words weigh; the paper uses 1e-4 to 1e-3.
    components
        How many of the first principal components of the corpus' sentences are removed; the paper removes one.

    Examples
    --------
    >>> sif(a=1e-4).components
    1
    """
    return Mode("sif", a=a, components=components)


def usif(*, length: float | None = None, components: int = 5) -> Mode:
    """Unsupervised smooth inverse frequency (Ethayarajh, RepL4NLP 2018): weights a / (a/2 + p(w)) without a parameter.

    Parameters
    ----------
    length
        Expected number of words in a sentence, from which a follows; None for the mean of the corpus.
    components
        How many common components are removed, each in part: by its share of their variance.

    Notes
    -----
    As in the paper's algorithm. The author's script also divides, within each sentence, every dimension by its norm
    over the sentence's words, of which the algorithm says nothing.

    Examples
    --------
    >>> usif(length=11).length
    11
    """
    return Mode("usif", length=length, components=components)


def pmeans(powers: Sequence[float] = (1, math.inf, -math.inf)) -> Mode:
    """Power means side by side (Rücklé et al. 2018): the result is len(powers) times as wide.

    Parameters
    ----------
    powers
        1 is the mean, inf the largest, -inf the smallest value of each dimension; an odd integer keeps the sign.

    Examples
    --------
    >>> pmeans([1, 3]).powers
    (1, 3)
    """
    if not powers:
        raise OptionError("pmeans needs at least one power")
    return Mode("pmeans", powers=tuple(powers))


def of(mode: str | Mode) -> Mode:
    """The mode of a name, or the mode itself."""
    if isinstance(mode, Mode):
        return mode
    makers: dict[str, Callable[[], Mode]] = {"sif": sif, "usif": usif, "pmeans": pmeans}
    return makers[mode]() if mode in makers else Mode(mode)
