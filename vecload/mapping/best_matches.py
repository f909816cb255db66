"""The greatest products of rows with rows, many times over: what induction asks for in each of its rounds.

`vecload.search` answers people, so it judges again in double precision and puts answers in order. Here sets and means
suffice, and the spaces are small enough for one pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vecload.words import read_only

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]

HUBS = 10
"""Neighbours whose mean product CSLS takes off (Conneau et al. 2018), and RCSLS (Joulin et al. 2018)."""
BLOCK = 1 << 10
"""Queries multiplied together: with 20 000 rows, 80 MB of products."""


class Best(NamedTuple):
    """The k best rows of each query in no order: `rows` int64 and `scores` float32, shape (q, k)."""

    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


def best_rows(queries: Rows, rows: Rows, k: int) -> Best:
    """The rows of the greatest product with each query; fewer than k where there are fewer.

    Examples
    --------
    >>> best_rows(np.float32([[1, 0]]), np.float32([[1, 0], [0, 1], [2, 1]]), 2).scores
    array([[1., 2.]], dtype=float32)
    """
    from vecload.kernels import top_k

    k = min(k, len(rows))
    best = Best(np.full((len(queries), k), np.iinfo(np.int64).max), np.full((len(queries), k), -np.inf, np.float32))
    scale, shift = (read_only(np.full(len(rows), value, dtype=np.float32)) for value in (1, 0))
    for begin in range(0, len(queries), BLOCK):
        some = slice(begin, begin + BLOCK)
        top_k.update_top_k(queries[some] @ rows.T, scale, shift, 0, best.scores[some], best.rows[some])
    return best


def hubness(rows: Rows, queries: Rows, k: int) -> npt.NDArray[np.float32]:
    """Mean product of each row with its k best among the queries; CSLS calls it r."""
    mean: npt.NDArray[np.float32] = best_rows(rows, queries, k).scores.mean(axis=1)
    return mean
