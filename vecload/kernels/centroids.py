"""Nearest centroids of rows, for product quantization."""

from __future__ import annotations

import numpy as np

from vecload.kernels import kernel


@kernel
def nearest_centroids(rows, centroids, codes):  # type: ignore[no-untyped-def]
    """Write the number of the nearest centroid of each row to `codes`; the first of equally near ones.

    Parameters
    ----------
    rows : float32 (n, size), read-only
    centroids : float32 (size, k), read-only
        Transposed, so that the compiler vectorizes the loop over centroids.
    codes : uint8 (n,)
    """
    size, count = centroids.shape
    distances = np.empty(count, dtype=np.float32)
    for row in range(len(rows)):
        for centroid in range(count):
            distances[centroid] = 0
        for column in range(size):
            value, line = rows[row, column], centroids[column]
            for centroid in range(count):
                difference = line[centroid] - value
                distances[centroid] += difference * difference
        best = 0
        for centroid in range(1, count):
            if distances[centroid] < distances[best]:
                best = centroid
        codes[row] = best
