"""Order in which words get labels on the map: frequent words with a specific meaning come first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

RULE: Final = (
    "Frequent words with a specific meaning get labels first. The frequency rank of a word is combined with its "
    "specificity: the mean cosine to its ten neighbors, minus the mean cosine to all words on the map. Words of any "
    "text, such as “the”, are about as near to all words as to their neighbors. Words without letters come last."
)
"""The rule, as pages show it."""

# One standard deviation of specificity counts as much as being four times as frequent.
_DOUBLINGS = 2.0
# Added to all ranks, so that the first few words do not win by rank alone.
_FIRST = 20


def label_order(
    words: Sequence[str], ranks: npt.NDArray[Any], units: npt.NDArray[Any], near: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """Return the positions of words in the order in which they get labels, int64, shape (n,).

    Parameters
    ----------
    words
        The words.
    ranks
        Frequency rank of each, 1 for the most frequent, shape (n,).
    units
        Their rows at unit length, shape (n, dim).
    near
        Cosines to the neighbors of each, shape (n, k), NaN for none.

    Notes
    -----
    Stop words are found from the vectors themselves, so the rule needs no list and works for every language.

    Examples
    --------
    >>> rows = np.array([[1, 0], [0.6, 0.8], [0.6, -0.8]])
    >>> label_order(["the", "frog", ","], np.array([1, 2, 3]), rows, np.array([[0.6], [0.9], [0.9]])).tolist()
    [1, 0, 2]
    """
    finite = np.nan_to_num(units, nan=0.0, posinf=0.0, neginf=0.0)
    known = np.isfinite(near)
    closeness = np.where(known, near, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    specificity = closeness - finite @ finite.mean(axis=0) if len(finite) else closeness
    spread = float(specificity.std()) if len(specificity) else 0.0
    score = (specificity - specificity.mean()) / spread if spread > 0 else np.zeros(len(words))
    cost = np.log2(ranks + _FIRST) - _DOUBLINGS * np.clip(score, -3, 3)
    wordless = np.array([not any(map(str.isalpha, word)) for word in words], dtype=bool)
    return np.lexsort((ranks, cost, wordless))
