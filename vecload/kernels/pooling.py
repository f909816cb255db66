"""Rows of a matrix gathered and pooled, bag by bag.

Bag ``k`` is ``rows[bags[k]:bags[k + 1]]``: row numbers (int64) of the float32 `matrix`; -1 is a token without a vector,
which is passed over; ``-2 - i`` is row ``i`` of `extra`, vectors made for this batch. Sums run in the order of the
tokens in float32, as ``nn.EmbeddingBag``'s do, so they are the same to the last bit.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vecload.kernels import inline, kernel
from vecload.kernels.intrinsics import add8, prefetch

UNDIVIDED: Final = 0
"""Divisor of a sum: none."""
BY_TOKENS: Final = 1
"""Divisor of a sum: the number of tokens that have a vector."""
BY_WEIGHTS: Final = 2
"""Divisor of a sum: the weights of those tokens, added up."""
BY_ROOT: Final = 3
"""Divisor of a sum: the square root of their number."""

_AHEAD: Final = 16  # rows asked for ahead of the one being added: what memory needs to answer
_LINE: Final = 16  # float32 in a cache line


@inline
def _ask(matrix, rows, at, end, dim):  # type: ignore[no-untyped-def]
    """Ask for the row that is needed a little later."""
    if at + _AHEAD < end and rows[at + _AHEAD] >= 0:
        begin = rows[at + _AHEAD] * dim
        for column in range(0, dim, _LINE):
            prefetch(matrix, begin + column)


@inline
def _add(target, at, source, begin, weight, dim):  # type: ignore[no-untyped-def]
    """Add a weighted row of `dim` to another, of flat arrays."""
    whole = dim & ~7
    for column in range(0, whole, 8):
        add8(target, at + column, source, begin + column, weight)
    for column in range(whole, dim):
        target[at + column] += weight * source[begin + column]


@kernel
def sum_bags(rows, bags, matrix, weights, extra, extra_weights, divisor, out, counts):  # type: ignore[no-untyped-def]
    """Sums of the bags into `out` (float32, (bags, dim)), and their tokens that have a vector into `counts` (int64).

    Rows are multiplied by their `weights` and `extra_weights` (float32, one a row), if there are any; a token whose
    weight is zero counts as one without a vector. A bag without vectors is zero.
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
            _ask(matrix, rows, at, end, dim)
            if weighted and at + 2 * _AHEAD < end:
                prefetch(weights, max(rows[at + 2 * _AHEAD], 0))
            row = rows[at]
            if row == -1:
                continue
            weight = np.float32(1)  # times which every float is what it was
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
    """The largest value of each column of the bags into `out`; the rest is as in `sum_bags`."""
    dim = matrix.shape[1]
    end = bags[len(bags) - 1]
    for bag in range(len(bags) - 1):
        target = out[bag]
        target[:] = np.float32(0)
        count = 0
        for at in range(bags[bag], bags[bag + 1]):
            _ask(matrix, rows, at, end, dim)
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
    """Add up how often each row occurs (`counts`, int64) and in how many bags (`documents`, int64).

    `first` is the number of bags counted before; `last` (int64, one a row, -1 at first) remembers the number of the bag
    that had a row last. Returns the number of tokens with a row.
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
