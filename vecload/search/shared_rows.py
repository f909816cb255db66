"""Search in tables whose words share rows: each row is searched once, and all its words are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vecload.arrays import row_blocks
from vecload.errors import OptionError
from vecload.search.products import QUERIES
from vecload.search.ranking import Nearest, best_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.search.ranking import Objective

    Ids = npt.NDArray[np.int64]


class Searched(NamedTuple):
    """Rows to search, and the words that have them."""

    rows: npt.NDArray[Any]
    """The rows, shape (m, dim)."""
    norms: npt.NDArray[np.float32]
    """Their Euclidean norms, shape (m,); NaN for rows without words."""
    ids: Ids | None
    """Number of each word's row, shape (n,); None if word i has row i."""

    @property
    def words(self) -> int:
        """Number of words."""
        return len(self.rows) if self.ids is None else len(self.ids)


def stored_rows(matrix: npt.ArrayLike) -> tuple[npt.NDArray[Any], Ids | None]:
    """Return rows as they are stored, and the row number of each word, for `Vectors` whose words share rows, else None.

    Raises
    ------
    OptionError
        If a matrix does not have two dimensions.
    """
    # Vectors are above this package, so they are recognized by their attributes.
    ids: Ids | None = getattr(matrix, "row_ids", None)
    if ids is not None:
        return matrix.unique_rows, ids  # type: ignore[union-attr]
    rows = np.asarray(matrix)
    if rows.ndim != 2:
        raise OptionError(f"the matrix must have two dimensions (rows, values), got shape {rows.shape}")
    return rows, None


def expand(found: Nearest, ids: Ids, k: int, exclude: Ids | None = None) -> Nearest:
    """Return the k best words of each query instead of its best rows.

    Parameters
    ----------
    found
        At least k rows for each query, and one more for each excluded word, unless the table has fewer.
    ids
        Number of each word's row, shape (n,).
    k
        Number of words for each query.
    exclude
        Words that are never returned for a query, shape (q, m).

    Examples
    --------
    >>> found = Nearest(np.array([[1, 0]]), np.array([[0.9, 0.5]], dtype="float32"))
    >>> expand(found, np.array([0, 1, 0, 1]), 3, np.array([[1]])).rows
    array([[3, 0, 2]])
    """
    best = Nearest(np.full((len(found.rows), k), -1), np.full((len(found.rows), k), np.nan, dtype=np.float32))
    if not len(ids):
        return best
    # The words of the rows that were found, by row.
    asked = np.zeros(int(ids.max()) + 1, dtype=np.bool_)
    asked[found.rows[found.rows >= 0]] = True
    words = np.flatnonzero(asked[ids])
    words = words[np.argsort(ids[words], kind="stable")]
    starts = np.zeros(len(asked) + 1, dtype=np.int64)
    np.cumsum(np.bincount(ids[words], minlength=len(asked)), out=starts[1:])
    for some in row_blocks(len(found.rows), QUERIES):
        left_out = np.empty((0, 0), dtype=np.int64) if exclude is None else exclude[some]
        answers = Nearest(best.rows[some], best.scores[some])
        _list_words(Nearest(found.rows[some], found.scores[some]), words, starts, left_out, answers)
    return best


def _list_words(found: Nearest, words: Ids, starts: Ids, exclude: Ids, best: Nearest) -> None:
    """Write the best words of some queries into `best`; the words of row i are ``words[starts[i] : starts[i + 1]]``."""
    k = best.rows.shape[1]
    begins = starts[found.rows]
    # All words of a row have the same score, so only its first ones can be among the best.
    counts = np.minimum(starts[found.rows + 1] - begins, k + exclude.shape[1])
    counts[found.rows < 0] = 0
    flat = counts.ravel()
    query = np.repeat(np.arange(len(found.rows)), counts.sum(axis=1))
    within = np.arange(len(query)) - np.repeat(np.cumsum(flat) - flat, flat)
    listed = words[np.repeat(begins.ravel(), flat) + within]
    # Rows are in the order of their scores. Words of equal scores are in the order of their numbers.
    group = np.zeros(found.rows.shape, dtype=np.int64)
    group[:, 1:] = np.cumsum(found.scores[:, 1:] != found.scores[:, :-1], axis=1)
    order = np.lexsort((listed, np.repeat(group.ravel(), flat), query))
    query, listed, scores = query[order], listed[order], np.repeat(found.scores.ravel(), flat)[order]
    if exclude.size:
        kept = (exclude[query] != listed[:, None]).all(axis=1)
        query, listed, scores = query[kept], listed[kept], scores[kept]
    place = np.arange(len(query)) - np.searchsorted(query, query)
    chosen = place < k
    best.rows[query[chosen], place[chosen]] = listed[chosen]
    best.scores[query[chosen], place[chosen]] = scores[chosen]


def best_words(
    searched: Searched,
    queries: npt.NDArray[np.float64],
    k: int,
    objective: Objective,
    exclude: Ids | None = None,
    *,
    progress: bool | None = None,
) -> Nearest:
    """Return the k best words of each query, shape (q, parts, dim), by an objective over the rows of a table.

    Equal scores are in the order of the words, as if each word had a row of its own.
    """
    if searched.ids is None:
        return best_rows(searched.rows, queries, k, objective, exclude, progress=progress)
    ids = searched.ids
    # Rows of equal score are in the order of their first words: of repeated numbers, the last assignment counts.
    first = np.full(len(searched.rows), len(ids))
    first[ids[::-1]] = np.arange(len(ids))[::-1]
    # Each row has a word at least, and each excluded word takes the place of one.
    count = k + (0 if exclude is None else exclude.shape[1])
    found = best_rows(searched.rows, queries, count, objective, order=first, progress=progress)
    return expand(found, ids, k, exclude)
