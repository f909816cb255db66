"""Nearest centroids of groups of columns, for product quantization."""

from __future__ import annotations

import numpy as np

from vecload.kernels import kernel

# A float that is not negative is ordered as its bits are, read as an integer. The last eight bits of a distance are
# replaced by the number of its centroid, so that the minimum of integers, which processors compute for eight or more
# at a time, has the number of the nearest centroid. Distances that differ by less than 1 / 32,768 count as equal.
_DISTANCE = np.int32(-256)
_NUMBER = np.int32(255)
_LARGEST = np.int32(2147483647)


@kernel
def encode_rows(rows, lines, width, codes):  # type: ignore[no-untyped-def]
    """Write the number of the nearest centroid of each group of `width` columns to `codes`.

    Parameters
    ----------
    rows : float32 (n, dim), read-only
        Finite values.
    lines : float32 (dim, 256), read-only
        Values of the 256 centroids in each column.
    width : int
        Number of columns in a group; the last group may have fewer.
    codes : uint8 (n, number of groups)
    """
    dim, count = lines.shape
    distances = np.empty(count, dtype=np.float32)
    bits = distances.view(np.int32)
    for row in range(len(rows)):
        for group in range(codes.shape[1]):
            first = group * width
            value, line = rows[row, first], lines[first]
            for centroid in range(count):
                difference = line[centroid] - value
                distances[centroid] = difference * difference
            for column in range(first + 1, min(first + width, dim)):
                value, line = rows[row, column], lines[column]
                for centroid in range(count):
                    difference = line[centroid] - value
                    distances[centroid] += difference * difference
            best = _LARGEST
            for centroid in range(count):
                best = min(best, np.int32((bits[centroid] & _DISTANCE) | np.int32(centroid)))
            codes[row, group] = best & _NUMBER
