"""Exact search: matrix products in blocks, the best few of each kept by a kernel, those judged again in double.

A block of queries meets a block of rows in one float32 product, which stays in the processor's cache while the kernel
picks from it, so memory is bounded whatever the sizes. A few more than asked for are kept, and scored again from the
rows themselves in float64: scores are then right to the last float32 digit, and rows that are equal score equal,
which the order of a product's additions does not promise.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from vecload.errors import OptionError
from vecload.threads import Pool
from vecload.vectors import Vectors
from vecload.words import read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


Metric = Literal["cosine", "dot", "euclidean"]

_QUERIES = 1024  # queries in a product
_SCORES = 1 << 22  # scores in a product: few enough for a cache, enough that BLAS threads seldom wait for each other
_FEWEST, _MOST = 1024, 1 << 16  # rows in a product
_VALUES = 1 << 22  # values converted or gathered together
_ROWS = 1 << 13  # rows looked at together
_SPARE = 8  # rows kept beyond those asked for, so that rounding in float32 drops none of them
_MORE = 8  # times as many, where those are too few
_WORKERS = min(8, os.cpu_count() or 1)
_NOBODY = np.iinfo(np.int64).max


class Nearest(NamedTuple):
    """The best rows of each query, best first.

    `rows` int64, shape (q, k), -1 where there are fewer; `scores` float32 of the same shape: cosines or products,
    greatest first; distances, least first; NaN beside a row of -1.
    """

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Objective:
    """What is sought: the rows x of greatest ``combine(scale * (q @ x)) + shift``, judged again by `exact`.

    A query is one vector or several, at norm 1 for the product, unless this is a distance: then queries and rows are
    moved by `origin`, float64 (dim,), amid the rows, because float32 measures small steps far away badly. `scale` and
    `shift` are float32, shape (n,); a NaN in `scale` keeps a row out. `exact` takes queries (q, parts, dim) as they
    were given, rows (q, k, dim) and the rows' numbers (q, k), and gives float64 (q, k), negative for a distance.
    """

    scale: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]
    exact: Callable[[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]], npt.NDArray[np.float64]]
    combine: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]] | None = None
    origin: npt.NDArray[np.float64] | None = None


def unit(rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Rows at norm 1 in float64; rows of zeros stay.

    Examples
    --------
    >>> unit(np.array([[3, 4], [0, 0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    wide = rows.astype(np.float64)
    norms = np.linalg.norm(wide, axis=-1, keepdims=True)
    scaled: npt.NDArray[np.float64] = wide / np.where(norms > 0, norms, 1)
    return scaled


def check_metric(metric: str) -> None:
    """Raise OptionError for an unknown metric."""
    if metric not in get_args(Metric):
        raise OptionError(f"metric={metric!r} is not one of {', '.join(map(repr, get_args(Metric)))}")


def check_count(k: int) -> None:
    """Raise OptionError unless `k` asks for a neighbor."""
    if k < 1:
        raise OptionError(f"k={k}: ask for one neighbor or more")


def objective(vectors: Vectors, metric: Metric) -> Objective:
    """The objective that a metric is.

    Raises
    ------
    OptionError
        For a metric that is none.
    """
    check_metric(metric)
    norms = vectors.norms
    one = np.where(np.isfinite(norms), 1, np.nan).astype(np.float32)
    none = np.zeros_like(norms)
    if metric == "dot":
        return Objective(one, none, lambda q, x, _at: np.einsum("qpd,qkd->qk", q, x))
    if metric == "euclidean":
        return _euclidean(vectors, one)
    return Objective(inverse(norms), none, lambda q, x, _at: np.einsum("qpd,qkd->qk", unit(q), unit(x)))


def _euclidean(vectors: Vectors, scale: npt.NDArray[np.float32]) -> Objective:
    """The least |q - x|, which is the greatest q @ x - |x|² / 2 wherever the origin lies."""
    finite = np.isfinite(vectors.norms)
    origin = np.zeros(vectors.dim)
    shift = np.zeros(len(vectors), dtype=np.float32)
    parts = [slice(begin, begin + _ROWS) for begin in range(0, len(vectors), _ROWS)]
    for part in parts:
        origin += vectors.matrix[part][finite[part]].sum(axis=0, dtype=np.float64) / max(1, finite.sum())
    for part in parts:
        off = np.where(finite[part, None], vectors.matrix[part] - origin, 0)
        shift[part] = np.einsum("nd,nd->n", off, off) * -0.5
    return Objective(scale, shift, lambda q, x, _at: -np.linalg.norm(x - q, axis=-1), origin=origin)


def inverse(norms: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What rows are multiplied by for norm 1: 0 for rows of zeros, NaN for rows that are not finite."""
    scale = np.divide(1, norms, where=norms > 0, out=np.zeros_like(norms))
    scale[~np.isfinite(norms)] = np.nan
    return scale


def nearest(
    vectors: Vectors,
    queries: npt.NDArray[Any],
    k: int = 10,
    *,
    metric: Metric = "cosine",
    limit: int | None = None,
    exclude: npt.NDArray[np.int64] | None = None,
) -> Nearest:
    """The k rows nearest to each query, exactly.

    Parameters
    ----------
    vectors
        Where to search.
    queries
        Vectors, shape (q, dim).
    k
        How many rows for each.
    metric
        "cosine", "dot" or "euclidean".
    limit
        Search the first rows only, so many.
    exclude
        Row numbers that may not be answers, shape (q, m); -1 for none.

    Raises
    ------
    OptionError
        For queries of another dimension or with NaN, and for k below 1.

    Notes
    -----
    Equal scores are in the order of their rows. A row of zeros has cosine 0 with everything, and so has a query of
    zeros; rows with NaN or infinity are nobody's neighbours.

    Examples
    --------
    >>> from vecload import Vectors, Words
    >>> vectors = Vectors(Words.from_strings(["a", "b", "c"]), np.array([[1, 0], [0, 2], [3, 3]], dtype="float32"))
    >>> nearest(vectors, np.array([[0, 1]]), 2).rows
    array([[1, 2]])
    """
    return best(vectors, checked(vectors, queries)[:, None], k, objective(vectors, metric), limit, exclude)


def checked(vectors: Vectors, queries: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The queries, shape (q, dim), when they can be compared with the vectors.

    Raises
    ------
    OptionError
        When they are of another dimension, or not finite.
    """
    if queries.ndim != 2 or queries.shape[1] != vectors.dim:
        raise OptionError(f"queries of shape {queries.shape} do not fit vectors of {vectors.dim} values")
    for begin in range(0, len(queries), _QUERIES):
        fine = np.isfinite(queries[begin : begin + _QUERIES].astype(np.float64)).all(axis=1)
        if not fine.all():
            raise OptionError(f"query {begin + fine.argmin()} has NaN or infinity, to which nothing is near")
    return queries


def best(
    vectors: Vectors,
    queries: npt.NDArray[Any],
    k: int,
    sought: Objective,
    limit: int | None = None,
    exclude: npt.NDArray[np.int64] | None = None,
    *,
    spare: int = _SPARE,
) -> Nearest:
    """The k best rows of each query, shape (q, parts, dim), by an objective; distances come out positive.

    `spare` rows more than asked for are judged. Where all of them share the last place's score, which rows they are is
    a matter of rounding: such a query is answered again from more.
    """
    check_count(k)
    if limit is not None and limit < 1:
        raise OptionError(f"limit={limit}: search one row or more")
    matrix = vectors.matrix if limit is None else vectors.matrix[:limit]
    excluded = np.full((len(queries), 0), -1) if exclude is None else exclude
    keep = min(k + excluded.shape[1] + spare, len(matrix))
    rows = np.full((len(queries), k), -1, dtype=np.int64)
    scores = np.full((len(queries), k), np.nan, dtype=np.float32)
    crowded = np.zeros(len(queries), dtype=np.bool_)
    ignored = np.errstate(invalid="ignore", over="ignore")  # rows that are not finite: the kernel takes none of them
    with Pool(_WORKERS) as pool, ignored:
        for begin in range(0, len(queries) if keep else 0, _QUERIES):
            some = slice(begin, begin + _QUERIES)
            wide = queries[some].astype(np.float64)
            found, rough = _candidates(matrix, wide, keep, sought, pool)
            crowded[some] = _judge(matrix, wide, found, rough, excluded[some], sought, rows[some], scores[some])
    if crowded.any() and keep < len(matrix):
        again = best(vectors, queries[crowded], k, sought, limit, excluded[crowded], spare=_MORE * spare)
        rows[crowded], scores[crowded] = again
    return Nearest(rows, scores)


def _candidates(
    matrix: npt.NDArray[Any],
    queries: npt.NDArray[np.float64],
    keep: int,
    sought: Objective,
    pool: Pool,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Rows that may be the best, int64, shape (q, keep), in any order, -1 for none; and how good they seem, float32."""
    from vecload.kernels import top_k  # loads numba

    count, parts, dim = queries.shape
    heap = np.full((count, keep), -np.inf, dtype=np.float32)
    rows = np.full((count, keep), _NOBODY, dtype=np.int64)
    flat = (
        (unit(queries) if sought.origin is None else queries - sought.origin)
        .astype(np.float32)
        .reshape(count * parts, dim)
    )
    scale, shift = read_only(sought.scale), read_only(sought.shift)
    one = read_only(np.ones(_MOST, dtype=np.float32))
    share = -(-count // _WORKERS)
    for first, block in blocks(matrix, len(flat), sought.origin):
        products = flat @ block.T
        last = first + len(block)
        factor = scale[first:last]
        if sought.combine is not None:
            products = sought.combine((products * factor).reshape(count, parts, len(block)))
            factor = one[: len(block)]
        jobs = [
            (products[at : at + share], factor, shift[first:last], first, heap[at : at + share], rows[at : at + share])
            for at in range(0, count, share)
        ]
        others = [pool.submit(top_k.update_top_k, *job) for job in jobs[1:]]
        top_k.update_top_k(*jobs[0])
        for other in others:
            other.result()
    rows[rows == _NOBODY] = -1
    return rows, heap


def blocks(
    matrix: npt.NDArray[Any], queries: int, origin: npt.NDArray[np.float64] | None = None
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Rows for a product with so many queries, as float32, less an origin, with the number of the first."""
    rows = max(1, min(max(_SCORES // max(queries, 1), _FEWEST), _MOST, _VALUES // max(matrix.shape[1], 1)))
    for first in range(0, len(matrix), rows):
        block = matrix[first : first + rows]
        yield first, (block if origin is None else block - origin).astype(np.float32, copy=False)


def _judge(
    matrix: npt.NDArray[Any],
    queries: npt.NDArray[np.float64],
    found: npt.NDArray[np.int64],
    rough: npt.NDArray[np.float32],
    excluded: npt.NDArray[np.int64],
    sought: Objective,
    rows: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float32],
) -> npt.NDArray[np.bool_]:
    """Score candidates again from their rows, and write the best of them, in order, into `rows` and `scores`.

    Says of which queries some of equal score may be missing (bool, shape (q,)): where the candidate that seemed least
    is as good as the last written. Products with rows of zeros, of which there may be many, are exact.
    """
    crowded = np.zeros(len(queries), dtype=np.bool_)
    out = (found < 0) | (found[:, :, None] == excluded[:, None, :]).any(axis=2)
    width = min(rows.shape[1], found.shape[1])
    step = max(1, _VALUES // (found.shape[1] * matrix.shape[1] + 1))
    for begin in range(0, len(queries), step):
        some = slice(begin, begin + step)
        at = found[some]
        value = sought.exact(queries[some], matrix[at].astype(np.float64), at).astype(np.float32)
        value[out[some]] = -np.inf
        order = np.lexsort((at, -value))[:, :width]
        last = np.take_along_axis(value, order[:, -1:], 1)
        least = rough[some].argmin(axis=1)[:, None]
        seemed, worst = np.take_along_axis(rough[some], least, 1), np.take_along_axis(value, least, 1)
        crowded[some] = (np.isfinite(last) & (worst == last) & ((worst != 0) | (seemed != 0)))[:, 0]
        at, value = np.take_along_axis(at, order, 1), np.take_along_axis(value, order, 1)
        there = ~np.take_along_axis(out[some], order, 1)
        rows[some, :width] = np.where(there, at, -1)
        scores[some, :width] = np.where(there, value if sought.origin is None else np.abs(value), np.nan)
    return crowded
