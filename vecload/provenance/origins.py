"""`Origin`: where a row of an aligned matrix came from; and which words are special tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.vocab import Vocab

Kind = Literal["padding", "special", "found", "composed", "drawn"]
"""Kind of an origin: see `Origin`."""


@dataclass(frozen=True)
class Origin:
    """Origin of a row; ``str()`` is its name.

    Parameters
    ----------
    name
        Name of the step that made or found the row, such as "exact", "casefold" or "normal".
    kind
        "padding" for the padding row; "special" for a special token that the vectors do not have; "found" for a row
        of the vectors, under any spelling; "composed" for a row computed from other rows or by a function of the
        caller; "drawn" for one made without the word, at random or constant.

    Examples
    --------
    >>> from vecload import Vectors, align
    >>> aligned = align(Vectors(["cat"], np.eye(1, 2)), ["cat", "cow"])
    >>> aligned.origins[aligned.origin[1]]
    Origin(name='normal', kind='drawn')
    """

    name: str
    kind: Kind

    def __str__(self) -> str:
        return self.name


PADDING: Final = Origin("padding", "padding")
SPECIAL: Final = Origin("special", "special")
EXACT: Final = Origin("exact", "found")


def rows_of_kind(origin: npt.NDArray[np.uint8], origins: Sequence[Origin], *kinds: Kind) -> npt.NDArray[np.bool_]:
    """Return which rows have an origin of one of the kinds.

    Parameters
    ----------
    origin, origins
        As in `vecload.Aligned`.
    kinds
        Kinds to select.

    Returns
    -------
    bool, shape (n,)
    """
    chosen = np.array([one.kind in kinds for one in origins], dtype=np.bool_)
    return chosen[origin]


def special_rows(vocab: Vocab) -> npt.NDArray[np.bool_]:
    """Return which words are special tokens, bool, shape (n,)."""
    rows = [vocab.words.get(word) for word in (*vocab.specials, vocab.unk_token, vocab.pad_token) if word is not None]
    return np.isin(np.arange(len(vocab)), rows)
