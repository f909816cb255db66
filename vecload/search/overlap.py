"""Neighbors that two spaces of the same words agree on, which needs no map between the spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vecload.arrays import row_blocks
from vecload.search.exact import nearest


def count_common_neighbors(
    first: npt.NDArray[Any], second: npt.NDArray[Any], rows: npt.NDArray[np.int64], k: int
) -> npt.NDArray[np.int64]:
    """Return how many of the k nearest rows of some rows are the same in two matrices, int64, shape (q,).

    Parameters
    ----------
    first, second
        Matrices whose rows of one number correspond, shapes (n, dim) and (n, other dim).
    rows
        Row numbers, shape (q,).
    k
        Number of neighbors by cosine, without the row itself.

    Examples
    --------
    >>> first = np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]])
    >>> count_common_neighbors(first, -first, np.array([0, 2]), 1).tolist()
    [1, 1]
    """
    one, other = (nearest(matrix, matrix[rows], k, exclude=rows[:, None]).rows for matrix in (first, second))
    common = np.empty(len(rows), dtype=np.int64)
    for at in row_blocks(len(rows)):
        common[at] = (one[at, :, None] == other[at, None, :]).any(axis=2).sum(axis=1)
    return common
