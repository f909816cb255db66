"""Quantize rows to 8 bits, with the error of each, and score some rows of each query exactly enough to rank them."""

from __future__ import annotations

from typing import Final

import numpy as np

from vecload.kernels import kernel
from vecload.kernels.intrinsics import prefetch

_LARGEST: Final = np.float32(127)
_LINE: Final = 16  # float32 values in a cache line
_AHEAD: Final = 4  # rows to prefetch


@kernel
def quantize_rows(rows, codes, steps, errors, norms):  # type: ignore[no-untyped-def]
    """Round each row to multiples of a step, the largest of which is 127.

    Parameters
    ----------
    rows : float32 (n, dim), read-only, C-contiguous
    codes : int8 (n, at least dim)
        Receives the multiples; further columns are not changed.
    steps, errors, norms : float32 (n,)
        Receive the step, the Euclidean norm of the rounding errors, and that of the row; 0 for a row of zeros, NaN for
        a row that is not finite, whose multiples are 0.
    """
    dim = rows.shape[1]
    for row in range(len(rows)):
        largest = np.float32(0)
        finite = True
        for column in range(dim):
            value = abs(rows[row, column])
            finite = finite and value <= np.float32(3.4e38)
            largest = max(largest, value)
        step = largest / _LARGEST
        # The reciprocal of a step below this one would be infinite.
        if not finite or step < np.float32(1e-37):
            steps[row] = errors[row] = norms[row] = np.float32(0) if finite and largest == 0 else np.float32(np.nan)
            for column in range(dim):
                codes[row, column] = 0
            continue
        inverse = np.float32(1) / step
        wrong, length = np.float64(0), np.float64(0)
        for column in range(dim):
            value = rows[row, column]
            code = np.rint(value * inverse)
            codes[row, column] = np.int8(code)
            error = value - code * step
            wrong += np.float64(error) * np.float64(error)
            length += np.float64(value) * np.float64(value)
        steps[row] = step
        errors[row] = np.float32(np.sqrt(wrong))
        norms[row] = np.float32(np.sqrt(length))


@kernel
def score_rows(queries, matrix, scale, rows, scores):  # type: ignore[no-untyped-def]
    """Compute the products of each query with some rows, times the factor of the row.

    Parameters
    ----------
    queries : float32 (q, dim), read-only, C-contiguous
    matrix : float32 (n, dim), read-only, C-contiguous
    scale : float32 (n,), read-only
    rows : int64 (q, k)
        Rows to score; others than 0 to n - 1 are skipped.
    scores : float32 (q, k)
        Receives the products; -inf for skipped rows, and for NaN.
    """
    dim = matrix.shape[1]
    for query in range(len(queries)):
        for at in range(rows.shape[1]):
            if at + _AHEAD < rows.shape[1] and 0 <= rows[query, at + _AHEAD] < len(matrix):
                for column in range(0, dim, _LINE):
                    prefetch(matrix, rows[query, at + _AHEAD] * dim + column)
            row = rows[query, at]
            score = np.float32(-np.inf)
            if 0 <= row < len(matrix):
                total = np.float32(0)
                for column in range(dim):
                    total += queries[query, column] * matrix[row, column]
                total *= scale[row]
                score = total if total == total else score
            scores[query, at] = score
