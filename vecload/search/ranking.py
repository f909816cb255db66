"""Best rows of each query by an objective: candidates by float32 products, scored again in double precision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vecload.arrays import row_blocks, unit_rows
from vecload.errors import OptionError
from vecload.progress import progress_bar
from vecload.search import quantized
from vecload.search.products import QUERIES, VALUES, Candidates, candidates, search_pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from vecload.threads import Pool

    Ids = npt.NDArray[np.int64]
    Singles = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]

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
    error
        Largest amount by which the score of each row can be above its value in float32, for a query of unit length:
        float32, shape (n,). None if it is not known; then only queries with equal scores are answered again from more
        candidates.
    proportional
        Whether scores grow with the length of the query, as dot products do, and cosines do not.
    """

    scale: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]
    rescore: Callable[[Doubles, Doubles, Ids], Doubles]
    combine: Callable[[Singles], Singles] | None = None
    origin: npt.NDArray[np.float64] | None = None
    error: npt.NDArray[np.float32] | None = None
    proportional: bool = False

    @property
    def is_product(self) -> bool:
        """Whether scores are products of single vectors, with a factor for each row and no summand."""
        return self.combine is None and self.origin is None and not self.shift.any()

    def lengths(self, queries: Doubles) -> Doubles:
        """Return the factors from scores of unit queries to those of these queries, float64, shape (q,)."""
        return np.linalg.norm(queries[:, 0], axis=1) if self.proportional else np.ones(len(queries))


def check_count(k: int) -> None:
    """Raise OptionError if `k` requests no neighbors."""
    if k < 1:
        raise OptionError(f"k={k} requests no neighbors; pass 1 or more")


def best_rows(
    matrix: npt.NDArray[Any],
    queries: npt.NDArray[Any],
    k: int,
    objective: Objective,
    exclude: npt.NDArray[np.int64] | None = None,
    *,
    order: npt.NDArray[np.int64] | None = None,
    spare: int = _SPARE,
    integers: bool = True,
    progress: bool | None = None,
) -> Nearest:
    """Return the k best rows of each query, shape (q, parts, dim), by an objective; distances are positive.

    Rows of equal score are in the order of their numbers, or of `order`, shape (n,).

    `spare` more candidates than requested are scored exactly. If the last of them has the score of the last row
    returned, there may be more rows of that score, and rounding decided which of them became candidates. Such a query
    is answered again from more candidates.

    With `integers`, candidates of many queries are found by products of integers where that is faster (`quantized`).
    """
    check_count(k)
    excluded = np.empty((len(queries), 0), dtype=np.int64) if exclude is None else exclude
    # Excluded rows are often the nearest of all, so they must not take the places of others.
    keep = min(k + excluded.shape[1] + spare, len(matrix))
    found = Nearest(np.full((len(queries), k), -1), np.full((len(queries), k), np.nan, dtype=np.float32))
    zeros = ~queries.any(axis=(1, 2))
    if objective.error is not None and zeros.any():
        # Products with queries of zeros are exact, so the error would only disturb the order of rows of equal score.
        exact = replace(objective, error=None)
        for chosen, used in ((zeros, exact), (~zeros, objective)):
            found.rows[chosen], found.scores[chosen] = best_rows(
                matrix, queries[chosen], k, used, excluded[chosen], order=order, progress=progress
            )
        return found
    undecided = np.zeros(len(queries), dtype=np.bool_)
    # Products with rows that are not finite overflow or are NaN; the kernel takes none of them.
    ignored = np.errstate(invalid="ignore", over="ignore")
    bar = progress_bar(len(queries) * len(matrix), unit="pairs", name="neighbors", shown=progress)
    with search_pool() as pool, ignored, bar as shown:
        for some in row_blocks(len(queries) if keep else 0, QUERIES):
            # Queries are normalized in double precision, so that very large and very small ones survive float32.
            wide = queries[some].astype(np.float64)
            asked = (unit_rows(wide) if objective.origin is None else wide - objective.origin).astype(np.float32)
            answers = Nearest(found.rows[some], found.scores[some])
            seen, bound = _candidates(asked, matrix, keep, objective, pool, shown.advance, integers=integers)
            undecided[some] = rescore(matrix, wide, seen, excluded[some], objective, answers, order)
            if bound is not None:
                undecided[some] |= answers.scores[:, -1] <= bound * objective.lengths(wide)
    if undecided.any() and keep < len(matrix):
        more = best_rows(
            matrix,
            queries[undecided],
            k,
            objective,
            excluded[undecided],
            order=order,
            spare=_GROWTH * spare,
            integers=False,
            progress=progress,
        )
        found.rows[undecided], found.scores[undecided] = more
    return found


def _candidates(
    queries: Singles,
    matrix: npt.NDArray[Any],
    k: int,
    objective: Objective,
    pool: Pool,
    advance: Callable[[int], object],
    *,
    integers: bool,
) -> tuple[Candidates, Singles | None]:
    """Return the candidates of each query, and a bound of the scores of all other rows if it is known.

    Scores of candidates have the error added, if it is known. So no other row has a score above the smallest of them.
    """
    error = objective.error
    if integers and error is not None and quantized.suits(queries, matrix) and objective.is_product:
        bounded = quantized.bounded_candidates(
            queries, matrix, k, scale=objective.scale, error=error, pool=pool, advance=advance
        )
        if bounded is not None:
            return bounded
    found = candidates(
        queries,
        matrix,
        k,
        scale=objective.scale,
        shift=objective.shift if error is None else objective.shift + error,
        pool=pool,
        combine=objective.combine,
        origin=objective.origin,
        advance=advance,
    )
    return found, None


def rescore(
    matrix: npt.NDArray[Any],
    queries: Doubles,
    seen: Candidates,
    excluded: Ids,
    objective: Objective,
    answers: Nearest,
    order: npt.NDArray[np.int64] | None,
) -> npt.NDArray[np.bool_]:
    """Score candidates exactly and write the best of them, in order, into `answers`.

    Return for which queries a row may be missing, bool, shape (q,): those whose worst candidate is as good as the last
    answer, or as good as far as float32 can tell. If the scores of 0 are those of rows of zeros, they are not a matter
    of rounding, because products with such rows are exact and candidates are in the order of their numbers. So a table
    with many such rows is not searched again, unless it has orthogonal rows, which the error puts first.
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
        # Best first.
        best = np.lexsort((rows if order is None else order[rows], -scores))[:, :width]
        # The worst candidate by float32 products bounds the scores of all rows that did not become candidates.
        last = np.take_along_axis(scores, best[:, -1:], 1)
        worst = rough.argmin(axis=1)[:, None]
        worst_rough, worst_score = np.take_along_axis(rough, worst, 1), np.take_along_axis(scores, worst, 1)
        orthogonal = ((scores == 0) & (rough != 0)).any(axis=1, keepdims=True)
        rounded = (worst_score != 0) | (worst_rough != 0) | orthogonal | (order is not None)
        if objective.error is None:
            doubtful = worst_score == last
        else:
            doubtful = last <= worst_rough * objective.lengths(queries[some])[:, None]
        undecided[some] = (np.isfinite(last) & doubtful & rounded)[:, 0]
        rows, scores = np.take_along_axis(rows, best, 1), np.take_along_axis(scores, best, 1)
        found = ~np.take_along_axis(refused[some], best, 1)
        answers.rows[some, :width] = np.where(found, rows, -1)
        positive = scores if objective.origin is None else np.abs(scores)
        answers.scores[some, :width] = np.where(found, positive, np.nan)
    return undecided
