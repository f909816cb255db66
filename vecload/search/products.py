"""Largest products of queries with the rows of a matrix, in float32: the first stage of every exact search.

A block of queries is multiplied with a block of rows. The product stays in the processor's cache while a kernel picks
the best few scores of each query from it, so the memory in use does not depend on the size of the matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vecload.arrays import row_blocks
from vecload.threads import Pool
from vecload.words import read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Singles = npt.NDArray[np.float32]
    Doubles = npt.NDArray[np.float64]

# Queries in a product.
QUERIES = 1024
# Scores in a product: few enough for a cache, and enough that the threads of BLAS seldom wait for each other.
_SCORES = 1 << 22
# Rows in a product. With fewer, BLAS is inefficient; with more, the arrays per block grow without any gain in speed.
_FEWEST, _MOST = 1024, 1 << 16
# Values that are converted or gathered at a time.
VALUES = 1 << 22
# The kernel prefers earlier rows among equal scores, so an empty place of its heaps holds the largest possible row
# number.
_EMPTY = np.iinfo(np.int64).max


class Candidates(NamedTuple):
    """Best rows of each query, in no order.

    `rows` int64 and `scores` float32, shape (q, k); -1 and -inf where there are fewer.
    """

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


def largest_products(queries: Singles, matrix: Singles, k: int) -> Candidates:
    """Return the rows that have the largest dot products with each query.

    The result is neither sorted nor rescored in double precision, which suffices for sets and means of neighbors, as
    mapping needs them many times over.

    Parameters
    ----------
    queries
        Vectors, shape (q, dim).
    matrix
        Rows to search, shape (n, dim).
    k
        Number of rows for each query; fewer if the matrix has fewer.

    Examples
    --------
    >>> largest_products(np.float32([[1, 0]]), np.float32([[1, 0], [0, 1], [2, 1]]), 2).scores
    array([[1., 2.]], dtype=float32)
    """
    k = min(k, len(matrix))
    rows = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    scale, shift = np.ones(len(matrix), dtype=np.float32), np.zeros(len(matrix), dtype=np.float32)
    with search_pool() as pool:
        for some in row_blocks(len(queries), QUERIES):
            rows[some], scores[some] = candidates(queries[some, None], matrix, k, scale=scale, shift=shift, pool=pool)
    return Candidates(rows, scores)


def heaps(count: int, k: int) -> Candidates:
    """Return empty heaps of scores and rows, for `vecload.kernels.top_k`."""
    return Candidates(np.full((count, k), _EMPTY, dtype=np.int64), np.full((count, k), -np.inf, dtype=np.float32))


def search_pool() -> Pool:
    """Return threads for `candidates`."""
    from vecload.kernels import workers

    return Pool(workers())


def candidates(
    queries: Singles,
    matrix: npt.NDArray[Any],
    k: int,
    *,
    scale: Singles,
    shift: Singles,
    pool: Pool,
    combine: Callable[[Singles], Singles] | None = None,
    origin: Doubles | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> Candidates:
    """Return the rows x with the largest ``combine(scale * (q @ x)) + shift`` for each query.

    Parameters
    ----------
    queries
        Each one vector or several, shape (q, parts, dim).
    matrix
        Rows to search, shape (n, dim).
    k
        Number of rows for each query.
    scale, shift
        Factor and summand of each row, shape (n,). A row whose factor is NaN is never found.
    pool
        Threads that the queries are divided among.
    combine
        Function from products, shape (q, parts, rows), to one score for each query and row, shape (q, rows); None if
        each query is one vector.
    origin
        Point that is subtracted from each row, shape (dim,).
    advance
        Called with the number of pairs of a query and a row in each block that is done.
    """
    from vecload.kernels import top_k, workers

    count, parts, dim = queries.shape
    rows, heap = heaps(count, k)
    flat = queries.reshape(count * parts, dim)
    scale, shift = read_only(scale), read_only(shift)
    ones = read_only(np.ones(_MOST, dtype=np.float32))
    # Each thread has a share of the queries, so no two threads write to the same heap, and results do not depend on the
    # number of threads.
    share = -(-count // workers())
    for first, block in _float32_blocks(matrix, len(flat), origin):
        # BLAS divides the product among its own threads.
        products = flat @ block.T
        last = first + len(block)
        factor = scale[first:last]
        if combine is not None:
            # The parts of a query are scaled before they are combined, so the kernel has nothing left to scale.
            products = combine((products * factor).reshape(count, parts, len(block)))
            factor = ones[: len(block)]
        jobs = [
            (products[at : at + share], factor, shift[first:last], first, heap[at : at + share], rows[at : at + share])
            for at in range(0, count, share)
        ]
        pool.run(top_k.update_top_k, jobs)
        advance(count * len(block))
    rows[rows == _EMPTY] = -1
    return Candidates(rows, heap)


def _float32_blocks(
    matrix: npt.NDArray[Any], queries: int, origin: Doubles | None
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """Yield blocks of rows as float32, less an origin, and the number of each block's first row."""
    # Few queries get large blocks, so that the cost of a call is spread over many scores.
    size = max(1, min(max(_SCORES // queries, _FEWEST), _MOST, VALUES // max(matrix.shape[1], 1)))
    for at in row_blocks(len(matrix), size):
        block = matrix[at]
        yield at.start, (block if origin is None else block - origin).astype(np.float32, copy=False)
