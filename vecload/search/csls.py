"""Cross-domain similarity local scaling (CSLS): neighbors between two spaces, without hubs.

A hub is a row that is among the nearest of very many others. CSLS subtracts from a cosine how near both words are to
the other space on average. Conneau, Lample, Ranzato, Denoyer and Jégou, "Word translation without parallel data"
(ICLR 2018), section 2.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vecload.arrays import unit_rows
from vecload.search.exact import check_queries, inverse_norms, nearest_words, product_error, searched
from vecload.search.products import largest_products
from vecload.search.ranking import Nearest, Objective
from vecload.search.shared_rows import Searched, best_words


def csls(
    source: npt.ArrayLike,
    target: npt.ArrayLike,
    queries: npt.NDArray[np.int64] | None = None,
    k: int = 10,
    *,
    neighborhood: int = 10,
    progress: bool | None = None,
) -> Nearest:
    """Return the k rows of `target` nearest to rows of `source` by CSLS.

    Parameters
    ----------
    source, target
        Rows of one space, shapes (n, dim) and (m, dim): arrays, or `Vectors`.
    queries
        Row numbers of `source`, int64, shape (q,); None for all.
    k
        Number of rows of `target` for each query.
    neighborhood
        Number of neighbors in the mean similarity of a row to the other space.
    progress
        Whether to show bars; None shows them if standard error is a terminal.

    Returns
    -------
    Nearest
        Scores are ``2 cos(x, y) - r_T(x) - r_S(y)``, where r_T(x) is the mean cosine of x with its nearest rows of
        `target`, and r_S(y) is the mean cosine of y with its nearest rows of `source`. All rows of `source` count, not
        only the queries.

    Raises
    ------
    OptionError
        If the dimensions differ, or rows are not finite.

    Notes
    -----
    Products are computed in blocks, so memory is that of the results: a few hundred MB for 200,000 × 200,000 rows. Rows
    that words of `Vectors` share are compared once, and count once for each of their words.

    Examples
    --------
    >>> rows = np.eye(3, dtype="float32")
    >>> csls(rows, rows[[1, 0, 2]], k=1, neighborhood=2).rows.tolist()
    [[1], [0], [2]]
    """
    sides = searched(source), searched(target)
    asked, place = _asked_rows(sides[0], queries)
    check_queries(asked, sides[1].rows.shape[1])
    to_target = _exact_mean_similarity(asked, sides[1], neighborhood, progress=progress)
    used = np.arange(len(sides[1].rows)) if sides[1].ids is None else np.unique(sides[1].ids)
    to_source = np.zeros(len(sides[1].rows), dtype=np.float32)
    to_source[used] = _exact_mean_similarity(sides[1].rows[used], sides[0], neighborhood, progress=progress)

    def rescore(q: npt.NDArray[Any], x: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        scores: npt.NDArray[np.float64] = 2 * np.einsum("qpd,qkd->qk", unit_rows(q), unit_rows(x)) - to_source[rows]
        return scores

    # r_T(x) is the same for all rows of the target, so it does not change their order and is subtracted at the end.
    error = np.full_like(to_source, 2 * product_error(asked.shape[1]))
    objective = Objective(2 * inverse_norms(sides[1].norms), -to_source, rescore, error=error)
    found = best_words(sides[1], asked[:, None], k, objective, progress=progress)
    found = found._replace(scores=found.scores - to_target[:, None])
    return found if place is None else Nearest(found.rows[place], found.scores[place])


def _asked_rows(
    source: Searched, queries: npt.NDArray[np.int64] | None
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64] | None]:
    """Return the rows of the queries, each once, and the place of each query's row; None if they are in order."""
    if source.ids is None:
        return source.rows if queries is None else source.rows[queries], None
    distinct, place = np.unique(source.ids if queries is None else source.ids[queries], return_inverse=True)
    return source.rows[distinct], place


def _exact_mean_similarity(
    rows: npt.NDArray[Any], table: Searched, neighborhood: int, *, progress: bool | None
) -> npt.NDArray[np.float32]:
    """Return the mean cosine of each row with its nearest words of a table, called r in the paper: shape (n,)."""
    scores = nearest_words(table, rows, min(neighborhood, table.words), progress=progress).scores
    return np.asarray(np.nanmean(scores, axis=1, dtype=np.float64), dtype=np.float32)


def mean_similarity(
    rows: npt.NDArray[np.float32], matrix: npt.NDArray[np.float32], neighborhood: int = 10
) -> npt.NDArray[np.float32]:
    """Return the mean cosine of each row with its nearest rows of a matrix, from float32 products: shape (n,).

    Both sides must have unit length. Less exact and faster than the means inside `csls`, for mappings that compute them
    in each of hundreds of rounds.

    Examples
    --------
    >>> mean_similarity(np.eye(2, dtype="float32"), np.eye(2, dtype="float32"), 2)
    array([0.5, 0.5], dtype=float32)
    """
    mean: npt.NDArray[np.float32] = largest_products(rows, matrix, neighborhood).scores.mean(axis=1)
    return mean
