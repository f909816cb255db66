"""Candidates by products of 8-bit integers, for many queries in a large matrix on processors with such instructions.

Rows and queries are rounded to 8 bits. Their products are exact in integers, and the norms of the rounding errors bound
the distance to the products of the rows themselves (Cauchy-Schwarz), so the candidates have the largest upper bounds.
torch multiplies the integers: NumPy has no fast product of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import as_numpy, as_tensor, row_blocks
from vecload.search.products import QUERIES, Candidates, heaps
from vecload.words import read_only

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from vecload.threads import Pool

    Singles = npt.NDArray[np.float32]

_PRODUCTS: Final = 1e11  # multiplications for which importing torch pays off
_FEWEST: Final = 256  # queries that make up for rounding the matrix
_DIM: Final = 16  # with fewer columns, torch is slow, and with one its products are wrong
_SPARE: Final = 256  # upper bounds beyond the requested number: enough for nearly all queries
ROWS: Final = 1 << 12  # rows in a product
_WIDTH: Final = 8  # torch is fast for multiples of this number of columns
_SLACK: Final = np.float32(1 + 1e-5)  # for rounding of the bounds themselves


def suits(queries: npt.NDArray[Any], matrix: npt.NDArray[Any]) -> bool:
    """Return whether products of integers are faster for these queries, shape (q, parts, dim), and rows."""
    count, parts, dim = queries.shape
    if parts > 1 or count < _FEWEST or dim < _DIM or count * matrix.size < _PRODUCTS or matrix.dtype != np.float32:
        return False
    import torch

    supported: Callable[[], bool] = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    return hasattr(torch, "_int_mm") and supported()


def bounded_candidates(
    queries: Singles,
    matrix: Singles,
    k: int,
    *,
    scale: Singles,
    error: Singles,
    pool: Pool,
    advance: Callable[[int], object],
) -> tuple[Candidates, Singles] | None:
    """Return the rows x with the largest ``scale * (q @ x)`` for each query, as `candidates` does, and a bound.

    Parameters
    ----------
    queries
        Unit vectors, one each, shape (q, 1, dim); at most `QUERIES`.
    matrix, k, scale, pool, advance
        As for `candidates`.
    error
        Summand of the scores of the candidates, shape (n,), for the rounding of float32.

    Returns
    -------
    tuple
        The candidates, and a number for each query that no product of another row exceeds, shape (q,); None if a row
        has such small values that they are not multiples of a float32.
    """
    from vecload.kernels import int8_rows, top_k, workers

    assert len(queries) <= QUERIES
    flat, matrix = np.ascontiguousarray(queries[:, 0]), np.ascontiguousarray(matrix)
    count, dim = flat.shape
    wide = -(-dim // _WIDTH) * _WIDTH
    # One step for all queries, so that bounds of rows need no term for each query.
    step = float(np.abs(flat).max()) / 127
    rounded = np.zeros((count, wide), dtype=np.int8)
    rounded[:, :dim] = np.rint(flat / step)
    missed = np.float32(np.linalg.norm(flat - rounded[:, :dim] * np.float64(step), axis=1).max())
    found, bounds = heaps(count, min(k + _SPARE, len(matrix)))
    share = -(-count // workers())
    torch_queries = as_tensor(rounded)
    for at in row_blocks(len(matrix), ROWS):
        block = read_only(matrix[at])
        codes = np.zeros((len(block), wide), dtype=np.int8)
        steps, errors, norms = (np.empty(len(block), dtype=np.float32) for _ in range(3))
        part = -(-len(block) // workers())
        pool.run(
            int8_rows.quantize_rows,
            [
                (block[some], codes[some], steps[some], errors[some], norms[some])
                for some in row_blocks(len(block), part)
            ],
        )
        if (np.isnan(steps) & ~np.isnan(scale[at])).any():
            return None
        products = as_numpy(_product(torch_queries, as_tensor(codes)))
        # |q @ x - q' @ x'| <= |q| |x - x'| + |q - q'| |x'|, for |q| <= 1 and |x'| <= |x| + |x - x'|.
        factor = scale[at] * steps * np.float32(step)
        shift = np.abs(scale[at]) * (errors * (1 + missed) + norms * (missed + np.float32(1e-6))) * _SLACK
        pool.run(
            top_k.update_top_k,
            [
                (products[some], read_only(factor), read_only(shift), at.start, bounds[some], found[some])
                for some in row_blocks(count, share)
            ],
        )
        advance(count * len(block))
    rows: npt.NDArray[np.int64] = np.where(found < len(matrix), found, -1)
    scores: Singles = np.empty(rows.shape, dtype=np.float32)
    asked, table, factors = read_only(flat), read_only(matrix), read_only(scale)
    pool.run(
        int8_rows.score_rows,
        [(asked[some], table, factors, rows[some], scores[some]) for some in row_blocks(count, share)],
    )
    scores += np.where(rows < 0, 0, error[rows])
    # Only as many rows as `candidates` returns are scored again in double precision.
    best = np.lexsort((rows, -scores))[:, :k]
    kept = Candidates(np.take_along_axis(rows, best, 1), np.take_along_axis(scores, best, 1))
    # A heap that is not full has all rows.
    return kept, bounds.min(axis=1)


def _product(queries: Any, codes: Any) -> Any:
    import torch

    return torch._int_mm(queries, codes.T)
