"""Correlations of two lists of numbers: Pearson's r, and Spearman's rho with ties."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def pearson(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return Pearson's r; NaN for fewer than two pairs, or if one side does not vary.

    Examples
    --------
    >>> round(pearson([1, 2, 3, 4], [1, 3, 2, 4]), 3), pearson([1, 1], [1, 2])
    (0.8, nan)
    """
    one, other = (np.asarray(values, dtype=np.float64) for values in (x, y))
    if len(one) < 2:
        return math.nan
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / scale if scale > 0 else math.nan


def spearman(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return Spearman's rho: Pearson's r of the ranks, where equal values have the mean of their ranks.

    Examples
    --------
    >>> spearman([1, 2, 3], [10, 20, 1000]), round(spearman([1, 2, 2, 4], [4, 3, 2, 1]), 4)
    (1.0, -0.9487)
    """
    return pearson(_ranks(x), _ranks(y))


def _ranks(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    # A value that occurs c times has the ranks up to its cumulative count; their mean is (c - 1) / 2 below the last.
    _, place, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    ranks: npt.NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks
