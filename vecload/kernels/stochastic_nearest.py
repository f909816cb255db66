"""Find the nearest row of each query while a random part of the similarities is ignored.

VecMap induces its dictionary this way to escape poor local optima (Artetxe, Labaka and Agirre, "A robust self-learning
method for fully unsupervised cross-lingual mappings of word embeddings", ACL 2018).

Whether a similarity is ignored depends only on the seed and its two row numbers, through the mixing function of
SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014). So the result does
not depend on how the work is divided into blocks and threads, and no random numbers need to be stored. The function is
evaluated only for scores above the best so far, which are few.
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import inline, kernel

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


# The finalizer of SplitMix64, David Stafford's "Mix13": nearby inputs give unrelated outputs, so a counter can be used
# as its input.
@inline
def _mixed(state):  # type: ignore[no-untyped-def]
    state = (state ^ (state >> _SHIFTS[0])) * _MIX1
    state = (state ^ (state >> _SHIFTS[1])) * _MIX2
    return state ^ (state >> _SHIFTS[2])


@kernel
def nearest_with_dropout(products, shift, seed, limit, first, nearest, best):  # type: ignore[no-untyped-def]
    """Find the row with the greatest ``products[q, j] - shift[j]`` that is not ignored, for each query q.

    Parameters
    ----------
    products : float32 (queries, rows)
        Similarities.
    shift : float32 (rows,), read-only
        Subtracted from each similarity.
    seed, limit : uint64
        A similarity is used if its random number, which depends on the seed, is at most `limit`.
    first : int
        Row number of the first query.
    nearest : int64 (queries,)
        Filled with the rows. If all similarities of a query are ignored, it is the row with the greatest of all. NaN is
        never the greatest.
    best : float32 (queries,)
        Filled with the products at these rows.
    """
    for q in range(products.shape[0]):
        # Each query has its own stream of random numbers, and each row its position in the stream.
        line = products[q]
        stream = _mixed(seed + np.uint64(first + q) * _GAMMA)
        row, score, fallback, greatest = -1, np.float32(-np.inf), 0, np.float32(-np.inf)
        for j in range(products.shape[1]):
            value = line[j] - shift[j]
            # The test of the score comes first: it is cheap and nearly always false after the first rows.
            if value > score and _mixed(stream + np.uint64(j) * _GAMMA) <= limit:
                row, score = j, value
            if value > greatest:
                fallback, greatest = j, value
        if row < 0:
            row = fallback
        nearest[q] = row
        best[q] = line[row]
