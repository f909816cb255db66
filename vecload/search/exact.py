"""Exact nearest rows of a matrix.

The best candidates by float32 products (`products`), a few more than requested, are scored again in double precision
from the rows themselves (`ranking`). Scores are then correct to the last digit of a float32, and equal rows have equal
scores, which the order of additions within a matrix product does not guarantee.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from vecload.arrays import row_blocks, row_norms, unit_rows
from vecload.errors import OptionError
from vecload.search.products import QUERIES
from vecload.search.ranking import Nearest, Objective
from vecload.search.shared_rows import Searched, best_words, stored_rows

if TYPE_CHECKING:
    Singles = npt.NDArray[np.float32]

Metric = Literal["cosine", "dot", "euclidean"]
"""Measure by which rows are ranked: cosine, dot product or Euclidean distance."""


def check_metric(metric: str) -> None:
    """Raise OptionError for an unknown metric."""
    if metric not in get_args(Metric):
        raise OptionError(f"metric={metric!r} is not one of {', '.join(map(repr, get_args(Metric)))}")


def inverse_norms(norms: Singles) -> Singles:
    """Return the factors that scale rows to unit length: 0 for rows of zeros, NaN for rows that are not finite."""
    scale = np.divide(1, norms, where=norms > 0, out=np.zeros_like(norms))
    scale[~np.isfinite(norms)] = np.nan
    return scale


def nearest(
    matrix: npt.ArrayLike,
    queries: npt.NDArray[Any],
    k: int = 10,
    *,
    metric: Metric = "cosine",
    limit: int | None = None,
    exclude: npt.NDArray[np.int64] | None = None,
    norms: npt.NDArray[np.float32] | None = None,
    progress: bool | None = None,
) -> Nearest:
    """Return the k rows nearest to each query, exactly.

    Parameters
    ----------
    matrix
        Rows to search, shape (n, dim): an array, or `Vectors`. Rows that words share are searched once.
    queries
        Vectors, shape (q, dim).
    k
        Number of rows for each query.
    metric
        "cosine", "dot" or "euclidean".
    limit
        Search only the first rows.
    exclude
        Row numbers that are never returned for a query, shape (q, m); -1 for none.
    norms
        Euclidean norms of the rows, such as `Vectors.norms`, shape (n,); None to compute them.
    progress
        Whether to show a bar; None shows it if standard error is a terminal.

    Raises
    ------
    OptionError
        For queries of another dimension or with NaN or infinity, and for k or limit below 1.

    Notes
    -----
    Equal scores are in the order of their rows. A row of zeros has cosine 0 with everything, and so has a query of
    zeros. Rows with NaN or infinity are never found.

    Examples
    --------
    >>> nearest(np.array([[1, 0], [0, 2], [3, 3]]), np.array([[0, 1]]), 2).rows
    array([[1, 2]])
    """
    return nearest_words(searched(matrix, norms, limit), queries, k, metric=metric, exclude=exclude, progress=progress)


def nearest_words(
    table: Searched,
    queries: npt.NDArray[Any],
    k: int,
    *,
    metric: Metric = "cosine",
    exclude: npt.NDArray[np.int64] | None = None,
    progress: bool | None = None,
) -> Nearest:
    """Return the k words of a table nearest to each query, as `nearest` does."""
    asked = check_queries(queries, table.rows.shape[1])[:, None]
    return best_words(table, asked, k, _objective(table.rows, table.norms, metric), exclude, progress=progress)


def searched(matrix: npt.ArrayLike, norms: npt.NDArray[np.float32] | None = None, limit: int | None = None) -> Searched:
    """Return the rows to search: those of an array, or the distinct ones of `Vectors` whose words share rows.

    Raises
    ------
    OptionError
        For a matrix that does not have two dimensions, norms of another length, or a limit below 1.
    """
    return search_table(*stored_rows(matrix), norms, limit)


def search_table(
    rows: npt.NDArray[Any],
    ids: npt.NDArray[np.int64] | None,
    norms: npt.NDArray[np.float32] | None = None,
    limit: int | None = None,
) -> Searched:
    """Return the first words of a table, with the rows that they have."""
    count = len(rows) if ids is None else len(ids)
    if norms is not None and norms.shape != (count,):
        raise OptionError(f"norms of shape {norms.shape} do not match {count:,} rows")
    if limit is not None and limit < 1:
        raise OptionError(f"limit={limit} leaves no rows to search; pass 1 or more")
    if ids is None:
        rows = rows[:limit]
        return Searched(rows, row_norms(rows) if norms is None else norms[:limit], None)
    ids = ids[:limit]
    # A row without a word has no norm, and is never found.
    lengths = np.full(len(rows), np.nan, dtype=np.float32)
    lengths[ids] = row_norms(rows)[ids] if norms is None else norms[:limit]
    return Searched(rows, lengths, ids)


def check_queries(queries: npt.NDArray[Any], dim: int) -> npt.NDArray[Any]:
    """Return the queries, shape (q, dim), if they can be compared with rows of `dim` values.

    Raises
    ------
    OptionError
        If they have another dimension, or are not finite.
    """
    if queries.ndim != 2 or queries.shape[1] != dim:
        raise OptionError(f"queries of shape {queries.shape} do not match vectors of {dim} values")
    for some in row_blocks(len(queries), QUERIES):
        finite = np.isfinite(queries[some].astype(np.float64)).all(axis=1)
        if not finite.all():
            raise OptionError(f"query {some.start + finite.argmin()} contains NaN or infinity")
    return queries


def _objective(matrix: npt.NDArray[Any], norms: Singles, metric: Metric) -> Objective:
    """Return the objective of a metric.

    Raises
    ------
    OptionError
        For an unknown metric.
    """
    check_metric(metric)
    # Rows that are not finite have a factor of NaN: the kernel only takes scores above a bound, and NaN never is.
    ones = np.where(np.isfinite(norms), 1, np.nan).astype(np.float32)
    zeros = np.zeros_like(norms)
    if metric == "euclidean":
        return _euclidean(matrix, norms, ones)
    error = product_error(matrix.shape[1])
    if metric == "dot":
        return Objective(
            ones, zeros, lambda q, x, _rows: np.einsum("qpd,qkd->qk", q, x), error=error * norms, proportional=True
        )
    # Products with rows of zeros are exact.
    return Objective(inverse_norms(norms), zeros, _cosines, error=np.where(norms > 0, error, zeros))


def product_error(dim: int) -> np.float32:
    """Return the largest error of a float32 product of unit vectors of `dim` values.

    Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1; rounding the vectors and their norms adds a
    little.
    """
    return np.float32((dim + 8) * 2.0**-24)


def _cosines(queries: npt.NDArray[Any], rows: npt.NDArray[Any], _: object) -> npt.NDArray[np.float64]:
    """Return the cosines of queries and their candidates; those below their rounding error are 0.

    Numbers near 0 keep their precision in float32, so these errors would decide about the order of orthogonal rows.
    """
    cosines: npt.NDArray[np.float64] = np.einsum("qpd,qkd->qk", unit_rows(queries), unit_rows(rows))
    cosines[np.abs(cosines) < (rows.shape[2] + 4) * 2.0**-53] = 0
    return cosines


def _euclidean(matrix: npt.NDArray[Any], norms: Singles, scale: Singles) -> Objective:
    """Return the objective of Euclidean distance.

    The row with the smallest |q - x| is the one with the largest q @ x - |x|² / 2, for any origin. The mean of the
    rows is a good one: see `Objective.origin`.
    """
    finite = np.isfinite(norms)
    origin = np.zeros(matrix.shape[1])
    shift = np.zeros(len(matrix), dtype=np.float32)
    for at in row_blocks(len(matrix)):
        origin += matrix[at][finite[at]].sum(axis=0, dtype=np.float64) / max(1, finite.sum())
    for at in row_blocks(len(matrix)):
        # 0 for rows that are not finite, which `scale` excludes.
        moved = np.where(finite[at, None], matrix[at] - origin, 0)
        shift[at] = np.einsum("nd,nd->n", moved, moved) * -0.5
    return Objective(scale, shift, lambda q, x, _rows: -np.linalg.norm(x - q, axis=-1), origin=origin)
