"""Gather rows of a matrix and pool them, bag by bag, as ``nn.EmbeddingBag`` does.

Bag ``k`` is ``rows[bags[k]:bags[k + 1]]``: row numbers (int64) of the float32 `matrix`. -1 is a token without a vector,
which is skipped. ``-2 - i`` is row ``i`` of `extra`, the vectors composed for this batch. Sums are computed in float32
in the order of the tokens, as in ``nn.EmbeddingBag``, so the results agree to the last bit.

Row numbers are not checked here: callers look tokens up in a table whose rows are in range.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vecload.kernels import inline, kernel
from vecload.kernels.intrinsics import add8, prefetch

UNDIVIDED: Final = 0
"""Do not divide sums."""
BY_TOKENS: Final = 1
"""Divide sums by the number of tokens that have a vector."""
BY_WEIGHTS: Final = 2
"""Divide sums by the sum of the weights of those tokens."""
BY_ROOT: Final = 3
"""Divide sums by the square root of the number of those tokens."""

# Number of rows to prefetch before one is added. Rows are at random positions of a matrix that no cache holds, so
# without prefetching every row would wait for memory.
_AHEAD: Final = 16
_LINE: Final = 16  # float32 values in a cache line


@inline
def _prefetch_row(matrix, rows, at, end, dim):  # type: ignore[no-untyped-def]
    """Prefetch the row that is added `_AHEAD` tokens later."""
    if at + _AHEAD < end and rows[at + _AHEAD] >= 0:
        begin = rows[at + _AHEAD] * dim
        for column in range(0, dim, _LINE):
            prefetch(matrix, begin + column)


@inline
def _add(target, at, source, begin, weight, dim):  # type: ignore[no-untyped-def]
    """Add ``weight * source[begin:begin + dim]`` to ``target[at:at + dim]``, in flat indices."""
    # Eight columns at a time, and the remaining up to seven columns one by one.
    whole = dim & ~7
    for column in range(0, whole, 8):
        add8(target, at + column, source, begin + column, weight)
    for column in range(whole, dim):
        target[at + column] += weight * source[begin + column]


@kernel
def sum_bags(rows, bags, matrix, weights, extra, extra_weights, divisor, out, counts):  # type: ignore[no-untyped-def]
    """Write the sum of each bag to `out` (float32, (bags, dim)), and its number of vectors to `counts` (int64).

    Rows are multiplied by their `weights` and `extra_weights` (float32, one per row), unless these are empty. A token
    whose weight is zero counts as a token without a vector. The sum of a bag without vectors is zero.
    """
    dim = matrix.shape[1]
    weighted = len(weights) > 0
    sums, table, made = out.reshape(-1), matrix.reshape(-1), extra.reshape(-1)
    end = bags[len(bags) - 1]
    for bag in range(len(bags) - 1):
        target = out[bag]
        target[:] = np.float32(0)
        count, total = 0, np.float32(0)
        for at in range(bags[bag], bags[bag + 1]):
            # The weight is prefetched further ahead than the row, because it decides whether the row is used at all.
            _prefetch_row(matrix, rows, at, end, dim)
            if weighted and at + 2 * _AHEAD < end:
                prefetch(weights, max(rows[at + 2 * _AHEAD], 0))
            row = rows[at]
            if row == -1:
                continue
            weight = np.float32(1)  # multiplying by 1 changes no float
            if weighted:
                weight = weights[row] if row >= 0 else extra_weights[-2 - row]
                if weight == np.float32(0):
                    continue
            if row >= 0:
                _add(sums, bag * dim, table, row * dim, weight, dim)
            else:
                _add(sums, bag * dim, made, (-2 - row) * dim, weight, dim)
            total += weight
            count += 1
        counts[bag] = count
        if count > 0 and divisor != UNDIVIDED:
            share = np.float32(count)
            if divisor == BY_WEIGHTS:
                share = total
            elif divisor == BY_ROOT:
                share = np.sqrt(share)
            for column in range(dim):
                target[column] /= share


@kernel
def max_bags(rows, bags, matrix, extra, out, counts):  # type: ignore[no-untyped-def]
    """Write the largest value of each column of the bags to `out`; other parameters are those of `sum_bags`."""
    dim = matrix.shape[1]
    end = bags[len(bags) - 1]
    for bag in range(len(bags) - 1):
        target = out[bag]
        target[:] = np.float32(0)
        count = 0
        for at in range(bags[bag], bags[bag + 1]):
            _prefetch_row(matrix, rows, at, end, dim)
            row = rows[at]
            if row == -1:
                continue
            source = matrix[row] if row >= 0 else extra[-2 - row]
            if count == 0:
                for column in range(dim):
                    target[column] = source[column]
            else:
                for column in range(dim):
                    value = source[column]
                    target[column] = value if value > target[column] else target[column]
            count += 1
        counts[bag] = count


@kernel
def count_rows(rows, bags, first, counts, documents, last):  # type: ignore[no-untyped-def]
    """Count how often each row occurs (`counts`, int64) and in how many bags (`documents`, int64).

    `first` is the number of bags counted before. `last` (int64, one per row, initially -1) holds the number of the last
    bag that contained a row, so that a row is counted once per bag. Returns the number of tokens with a row.
    """
    known = 0
    for bag in range(len(bags) - 1):
        for at in range(bags[bag], bags[bag + 1]):
            row = rows[at]
            if row >= 0:
                known += 1
                counts[row] += 1
                if last[row] != first + bag:
                    last[row] = first + bag
                    documents[row] += 1
    return known
