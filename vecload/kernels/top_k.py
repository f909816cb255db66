"""The best few of many scores.

Each query keeps the best it has seen in a heap whose root is the worst of them, so a score is refused by one
comparison. Scores come in blocks from a matrix product; nearly all are refused, and a run of `_RUN` of them is refused
together: counting those above the root has no branches and is done in vector registers.
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import inline, kernel

_RUN = 128


@inline
def _worse(score, row, other, other_row):  # type: ignore[no-untyped-def]
    """Whether the first comes behind the second: a lower score, or the same in a later row."""
    return score < other or (score == other and row > other_row)


@inline
def _replace_root(scores, rows, score, row):  # type: ignore[no-untyped-def]
    """Put a better entry in the place of the worst, and let it sink."""
    at, size = 0, len(scores)
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and _worse(scores[child + 1], rows[child + 1], scores[child], rows[child]):
            child += 1
        if not _worse(scores[child], rows[child], score, row):
            break
        scores[at] = scores[child]
        rows[at] = rows[child]
        at = child
    scores[at] = score
    rows[at] = row


@inline
def _any_above(line, scale, shift, worst):  # type: ignore[no-untyped-def]
    """Whether one of `_RUN` scores is above: a loop of fixed length on slices is one that LLVM makes vectors of."""
    count = np.int32(0)
    for j in range(_RUN):
        count += np.int32(1) if line[j] * scale[j] + shift[j] > worst else np.int32(0)
    return count > 0


@kernel
def update_top_k(products, scale, shift, first, best, rows):  # type: ignore[no-untyped-def]
    """Enter ``products[q, j] * scale[j] + shift[j]`` into the heap of each query q.

    `products` float32 (queries, block); `scale`, `shift` float32 (block,), read-only; `first` is the row number of
    column 0; `best` float32 (queries, k) and `rows` int64 (queries, k) are the heaps, begun with -inf and the greatest
    int64. Blocks come in the order of their rows, so an equal score later is worse. NaN is never entered.
    """
    width = products.shape[1]
    for q in range(products.shape[0]):
        line, scores, places = products[q], best[q], rows[q]
        begin = 0
        while begin < width:
            end = min(begin + _RUN, width)
            run = line[begin:end], scale[begin:end], shift[begin:end]
            if end - begin < _RUN or _any_above(run[0], run[1], run[2], scores[0]):
                for j in range(begin, end):
                    score = line[j] * scale[j] + shift[j]
                    if score > scores[0]:
                        _replace_root(scores, places, score, np.int64(first + j))
            begin = end
