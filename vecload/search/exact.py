"""Exact nearest rows of a matrix.

The best candidates by float32 products (`products`), a few more than requested, are scored again in double precision
from the rows themselves. Scores are then correct to the last digit of a float32, and equal rows have equal scores,
which the order of additions within a matrix product does not guarantee.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from vecload.arrays import row_blocks, row_norms, unit_rows
from vecload.errors import OptionError
from vecload.progress import progress_bar
from vecload.search.products import QUERIES, VALUES, Candidates, candidates, search_pool

if TYPE_CHECKING:
    from collections.abc import Callable

    Ids = npt.NDArray[np.int64]
    Singles = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]

Metric = Literal["cosine", "dot", "euclidean"]
"""Measure by which rows are ranked: cosine, dot product or Euclidean distance."""

# Candidates beyond the requested number, so that float32 rounding loses none of the requested ones.
_SPARE = 8
# Factor by which that number grows for queries that need more candidates.
_GROWTH = 8


class Nearest(NamedTuple):
    """Best rows of each query, best first.

    `rows` is int64, shape (q, k), -1 where there are fewer. `scores` is float32 of the same shape: cosines or dot
    products, largest first, or distances, smallest first; NaN where the row is -1.
    """

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Objective:
    """Score that the rows x of a matrix are ranked by: ``combine(scale * (q @ x)) + shift`` for a query q.

    Parameters
    ----------
    scale, shift
        Factor and summand of each row, float32, shape (n,). A row whose factor is NaN is never found.
    rescore
        Exact scores from queries as they were given, (q, parts, dim), rows (q, k, dim) and row numbers (q, k): float64,
        shape (q, k); distances are negative.
    combine
        Function from the scaled products of queries that are several vectors each, (q, parts, rows), to one score for
        each query and row, (q, rows).
    origin
        Point that is subtracted from queries and rows before the product, float64, shape (dim,); None if the queries
        are normalized instead. Float32 cannot resolve small distances between points that are far from zero.
    """

    scale: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]
    rescore: Callable[[Doubles, Doubles, Ids], Doubles]
    combine: Callable[[Singles], Singles] | None = None
    origin: npt.NDArray[np.float64] | None = None


def check_metric(metric: str) -> None:
    """Raise OptionError for an unknown metric."""
    if metric not in get_args(Metric):
        raise OptionError(f"metric={metric!r} is not one of {', '.join(map(repr, get_args(Metric)))}")


def check_count(k: int) -> None:
    """Raise OptionError if `k` requests no neighbors."""
    if k < 1:
        raise OptionError(f"k={k} requests no neighbors; pass 1 or more")


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
        Rows to search, shape (n, dim): an array, or `Vectors`.
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
    rows, lengths = searched(matrix, norms, limit)
    asked = check_queries(queries, rows.shape[1])[:, None]
    return best_rows(rows, asked, k, _objective(rows, lengths, metric), exclude, progress=progress)


def as_rows(matrix: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return a matrix as an array; raise OptionError if it does not have two dimensions."""
    rows = np.asarray(matrix)
    if rows.ndim != 2:
        raise OptionError(f"the matrix must have two dimensions (rows, values), got shape {rows.shape}")
    return rows


def searched(
    matrix: npt.ArrayLike, norms: npt.NDArray[np.float32] | None = None, limit: int | None = None
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
    """Return the rows to search and their norms.

    Raises
    ------
    OptionError
        For a matrix that does not have two dimensions, norms of another length, or a limit below 1.
    """
    rows = as_rows(matrix)
    if norms is not None and norms.shape != rows.shape[:1]:
        raise OptionError(f"norms of shape {norms.shape} do not match {len(rows):,} rows")
    if limit is not None and limit < 1:
        raise OptionError(f"limit={limit} leaves no rows to search; pass 1 or more")
    rows = rows[:limit]
    return rows, row_norms(rows) if norms is None else norms[:limit]


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
    if metric == "dot":
        return Objective(ones, zeros, lambda q, x, _rows: np.einsum("qpd,qkd->qk", q, x))
    if metric == "euclidean":
        return _euclidean(matrix, norms, ones)
    return Objective(inverse_norms(norms), zeros, lambda q, x, _rows: np.einsum("qpd,qkd->qk", *map(unit_rows, (q, x))))


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


def best_rows(
    matrix: npt.NDArray[Any],
    queries: npt.NDArray[Any],
    k: int,
    objective: Objective,
    exclude: npt.NDArray[np.int64] | None = None,
    *,
    spare: int = _SPARE,
    progress: bool | None = None,
) -> Nearest:
    """Return the k best rows of each query, shape (q, parts, dim), by an objective; distances are positive.

    `spare` more candidates than requested are scored exactly. If the last of them has the score of the last row
    returned, there may be more rows of that score, and rounding decided which of them became candidates. Such a query
    is answered again from more candidates.
    """
    check_count(k)
    excluded = np.full((len(queries), 0), -1) if exclude is None else exclude
    # Excluded rows are often the nearest of all, so they must not take the places of others.
    keep = min(k + excluded.shape[1] + spare, len(matrix))
    found = Nearest(np.full((len(queries), k), -1), np.full((len(queries), k), np.nan, dtype=np.float32))
    undecided = np.zeros(len(queries), dtype=np.bool_)
    # Products with rows that are not finite overflow or are NaN; the kernel takes none of them.
    ignored = np.errstate(invalid="ignore", over="ignore")
    bar = progress_bar(len(queries) * len(matrix), unit="pairs", name="neighbors", shown=progress)
    with search_pool() as pool, ignored, bar as shown:
        for some in row_blocks(len(queries) if keep else 0, QUERIES):
            # Queries are normalized in double precision, so that very large and very small ones survive float32.
            wide = queries[some].astype(np.float64)
            seen = candidates(
                (unit_rows(wide) if objective.origin is None else wide - objective.origin).astype(np.float32),
                matrix,
                keep,
                scale=objective.scale,
                shift=objective.shift,
                pool=pool,
                combine=objective.combine,
                origin=objective.origin,
                advance=shown.advance,
            )
            answers = Nearest(found.rows[some], found.scores[some])
            undecided[some] = rescore(matrix, wide, seen, excluded[some], objective, answers)
    if undecided.any() and keep < len(matrix):
        more = best_rows(
            matrix, queries[undecided], k, objective, excluded[undecided], spare=_GROWTH * spare, progress=progress
        )
        found.rows[undecided], found.scores[undecided] = more
    return found


def rescore(
    matrix: npt.NDArray[Any],
    queries: Doubles,
    seen: Candidates,
    excluded: Ids,
    objective: Objective,
    answers: Nearest,
) -> npt.NDArray[np.bool_]:
    """Score candidates exactly and write the best of them, in order, into `answers`.

    Return for which queries rows of equal score may be missing, bool, shape (q,): those whose worst candidate is as
    good as the last answer. Scores of 0 are not a matter of rounding, because products with rows of zeros are exact, so
    a table with many such rows is not searched again.
    """
    undecided = np.zeros(len(queries), dtype=np.bool_)
    refused = (seen.rows < 0) | (seen.rows[:, :, None] == excluded[:, None, :]).any(axis=2)
    width = min(answers.rows.shape[1], seen.rows.shape[1])
    # The number of queries at a time is limited, so that the gathered rows stay small.
    size = max(1, VALUES // (seen.rows.shape[1] * matrix.shape[1] + 1))
    for some in row_blocks(len(queries), size):
        rows, rough = seen.rows[some], seen.scores[some]
        scores = objective.rescore(queries[some], matrix[rows].astype(np.float64), rows).astype(np.float32)
        scores[refused[some]] = -np.inf
        # Best first, and equal scores in the order of their rows.
        order = np.lexsort((rows, -scores))[:, :width]
        # The worst candidate by float32 products bounds the scores of all rows that did not become candidates.
        last = np.take_along_axis(scores, order[:, -1:], 1)
        worst = rough.argmin(axis=1)[:, None]
        worst_rough, worst_score = np.take_along_axis(rough, worst, 1), np.take_along_axis(scores, worst, 1)
        equal = np.isfinite(last) & (worst_score == last) & ((worst_score != 0) | (worst_rough != 0))
        undecided[some] = equal[:, 0]
        rows, scores = np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)
        found = ~np.take_along_axis(refused[some], order, 1)
        answers.rows[some, :width] = np.where(found, rows, -1)
        positive = scores if objective.origin is None else np.abs(scores)
        answers.scores[some, :width] = np.where(found, positive, np.nan)
    return undecided
