"""Select the k best of many scores.

Each query keeps its best scores in a binary heap whose root is the worst of them (Knuth, The Art of Computer
Programming 3, section 5.2.3), so one comparison with the root rejects a score. Scores are computed in blocks by a
matrix product, and nearly all are rejected. `_RUN` of them are therefore tested together: counting the scores above the
root needs no branch, so LLVM compiles it to vector instructions, and the heap is touched only if the count is not zero.
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import inline, kernel

_RUN = 128


@inline
def _worse(score, row, other, other_row):  # type: ignore[no-untyped-def]
    """Return whether the first entry ranks below the second: a lower score, or an equal score in a later row."""
    return score < other or (score == other and row > other_row)


@inline
def _replace_root(scores, rows, score, row):  # type: ignore[no-untyped-def]
    """Replace the worst entry, which is the root of the heap, and restore the heap."""
    # The standard sift-down: move the worse child up until the new entry is worse than both children.
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
    """Return whether one of `_RUN` scores is above `worst`."""
    # LLVM vectorizes this loop because its length is fixed and its arrays are slices of known length.
    count = np.int32(0)
    for j in range(_RUN):
        count += np.int32(1) if np.float32(line[j]) * scale[j] + shift[j] > worst else np.int32(0)
    return count > 0


@kernel
def update_top_k(products, scale, shift, first, best, rows):  # type: ignore[no-untyped-def]
    """Insert the scores ``products[q, j] * scale[j] + shift[j]`` into the heap of each query q.

    Parameters
    ----------
    products : float32 or int32 (queries, block)
        Products of the queries with a block of rows.
    scale, shift : float32 (block,), read-only
        Factor and summand of each row.
    first : int
        Row number of column 0. Blocks are passed in the order of their rows, so an equal score in a later row ranks
        lower.
    best : float32 (queries, k)
        The heaps of scores, initially -inf. NaN is never inserted.
    rows : int64 (queries, k)
        The row numbers of the scores, initially the largest int64.
    """
    width = products.shape[1]
    for q in range(products.shape[0]):
        line, scores, score_rows = products[q], best[q], rows[q]
        begin = 0
        while begin < width:
            end = min(begin + _RUN, width)
            # A shorter run, at the end of the block, is always examined one by one.
            run = line[begin:end], scale[begin:end], shift[begin:end]
            if end - begin < _RUN or _any_above(run[0], run[1], run[2], scores[0]):
                for j in range(begin, end):
                    score = np.float32(line[j]) * scale[j] + shift[j]
                    if score > scores[0]:
                        _replace_root(scores, score_rows, score, np.int64(first + j))
            begin = end
