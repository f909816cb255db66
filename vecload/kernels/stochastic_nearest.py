"""The nearest row of each query when some of the similarities are left out at random.

Whether a similarity counts is a function of the seed and its two row numbers, by a mixer of the SplitMix64 family
(Steele, Lea and Flood, OOPSLA 2014), so blocks and threads do not change the result. It is asked only for a score above
the best so far, which few are.
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import inline, kernel

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


@inline
def _mixed(state):  # type: ignore[no-untyped-def]
    state = (state ^ (state >> _SHIFTS[0])) * _MIX1
    state = (state ^ (state >> _SHIFTS[1])) * _MIX2
    return state ^ (state >> _SHIFTS[2])


@kernel
def nearest_with_dropout(products, shift, seed, limit, first, nearest, best):  # type: ignore[no-untyped-def]
    """Row of the greatest ``products[q, j] - shift[j]`` of those that count into `nearest`, its product into `best`.

    `products` float32 (queries, rows); `shift` float32 (rows,), read-only; `seed` uint64; a similarity counts when its
    random number is at most `limit` (uint64); `first` is the number of the first query. A query of which none counts
    gets the greatest of all. `nearest` int64 and `best` float32 (queries,) are filled; NaN is never the greatest.
    """
    for q in range(products.shape[0]):
        line = products[q]
        stream = _mixed(seed + np.uint64(first + q) * _GAMMA)
        row, score, fallback, greatest = -1, np.float32(-np.inf), 0, np.float32(-np.inf)
        for j in range(products.shape[1]):
            value = line[j] - shift[j]
            if value > score and _mixed(stream + np.uint64(j) * _GAMMA) <= limit:
                row, score = j, value
            if value > greatest:
                fallback, greatest = j, value
        if row < 0:
            row = fallback
        nearest[q] = row
        best[q] = line[row]
