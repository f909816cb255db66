"""Fewer rows for the same words: pruning to the most frequent words, and storing equal rows once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vecload.errors import OptionError, refuse_string
from vecload.search import nearest
from vecload.vectors import Vectors
from vecload.words import Words


@dataclass(frozen=True, eq=False)
class SharedRows:
    """Words, several of which may share a row; made by `prune` and `deduplicate`.

    Parameters
    ----------
    words
        All words.
    vectors
        The rows that are kept, each under the first of its words.
    rows
        Row number of each word in `vectors`, int64, shape (n,).
    scores
        Cosine of the vector that each word had with the row that it has now, float32, shape (n,).
    """

    words: Words
    vectors: Vectors
    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def expanded(self) -> Vectors:
        """Return a table of all words, which share the rows that were kept."""
        history = self.vectors.history.without_counts()
        return Vectors(self.words, self.vectors.matrix, self.vectors.meta, history=history, row_ids=self.rows)


def prune(vectors: Vectors, keep: int | Iterable[str]) -> SharedRows:
    """Keep some of the rows; every other word shares the nearest kept row.

    Parameters
    ----------
    vectors
        The space.
    keep
        Number of rows to keep, the first ones, or the words whose rows are kept; missing words are ignored.

    Raises
    ------
    OptionError
        If no row would be kept.

    Examples
    --------
    >>> rows = np.array([[1, 0], [0, 1], [3, 1]], dtype="float32")
    >>> pruned = prune(Vectors(["a", "b", "c"], rows), 2)
    >>> pruned.rows.tolist(), list(pruned.vectors.words)
    ([0, 1, 0], ['a', 'b'])
    """
    if isinstance(keep, int):
        kept = np.arange(min(max(keep, 0), len(vectors)))
    else:
        refuse_string("keep", keep)
        found = vectors.words.lookup(keep)
        kept = np.unique(found[found >= 0])  # sorted, so the rows keep their order
    if not len(kept):
        raise OptionError(f"prune: keep={keep!r} keeps no rows; pass a number of rows, or words of the vectors")
    small = _rows_of(vectors, kept)
    others = np.setdiff1d(np.arange(len(vectors)), kept, assume_unique=True)
    rows = np.empty(len(vectors), dtype=np.int64)
    scores = np.ones(len(vectors), dtype=np.float32)
    rows[kept] = np.arange(len(kept))
    near = nearest(small.matrix, vectors.rows_at(others), 1)
    # No row is near if all kept rows hold NaN or infinity (-1); those words share the first row.
    rows[others], scores[others] = near.rows[:, 0].clip(min=0), near.scores[:, 0]
    return SharedRows(vectors.words, small, rows, scores)


def deduplicate(vectors: Vectors) -> SharedRows:
    """Store rows that are equal, bit for bit, once.

    Examples
    --------
    >>> shared = deduplicate(Vectors(["a", "b", "c"], np.array([[3, 1], [1, 2], [3, 1]], dtype="float32")))
    >>> shared.rows.tolist(), list(shared.vectors.words)
    ([0, 1, 0], ['a', 'b'])
    """
    # Rows as opaque bytes, which np.unique can compare.
    stored = np.ascontiguousarray(vectors.unique_rows)
    raw = stored.view(np.dtype((np.void, stored.itemsize * vectors.dim))).ravel()
    _, ids = np.unique(raw, return_inverse=True)
    ids = ids if vectors.row_ids is None else ids[vectors.row_ids]
    _, first, place = np.unique(ids, return_index=True, return_inverse=True)
    # np.unique sorts rows by their bytes. This brings them back into the order of their first words.
    order = np.argsort(first, kind="stable")
    kept = first[order]
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    small = _rows_of(vectors, kept)
    return SharedRows(vectors.words, small, rank[place], np.ones(len(vectors), dtype=np.float32))


def _rows_of(vectors: Vectors, kept: npt.NDArray[np.int64]) -> Vectors:
    """Return some words, each with a row of its own."""
    words, history = vectors.words.take(kept), vectors.history.take(kept)
    return Vectors(words, vectors.rows_at(kept), vectors.meta, history=history)
