"""Linear maps from the rows of one space to those of another, by several criteria.

All functions take paired rows, `x` (n, d) of the source and `y` (n, e) of the target, and return float64 matrices that
rows are multiplied by from the right: ``x @ matrix``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.errors import OptionError
from vecload.search.products import largest_products

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Rows = npt.NDArray[np.floating[Any]]
    Singles = npt.NDArray[np.float32]
    Matrix = npt.NDArray[np.float64]

# Neighbors in the mean similarities of CSLS (Conneau et al. 2018) and of RCSLS (Joulin et al. 2018).
NEIGHBORHOOD: Final = 10
# Epochs and first step of RCSLS, as in the paper. More epochs lower the loss further, and overfit the pairs.
EPOCHS: Final = 20
_STEP: Final = 1.0


def least_squares(x: Rows, y: Rows, ridge: float = 0.0) -> Matrix:
    """Return the matrix W with the least ``|xW - y|² + ridge |W|²``, and the least norm if several have it.

    Mikolov, Le and Sutskever, "Exploiting similarities among languages for machine translation" (2013).

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> least_squares(x, x @ [[2.0, 3.0], [1.0, 4.0]]).round(6).tolist()
    [[2.0, 3.0], [1.0, 4.0]]
    """
    # The penalty is the squared error of more equations: sqrt(ridge) W = 0.
    penalty = math.sqrt(ridge) * np.eye(x.shape[1])[: x.shape[1] if ridge else 0]
    left = np.concatenate([x.astype(np.float64), penalty])
    right = np.concatenate([y.astype(np.float64), np.zeros((len(penalty), y.shape[1]))])
    solution: Matrix = np.linalg.lstsq(left, right, rcond=None)[0]
    return solution


def procrustes(x: Rows, y: Rows) -> Matrix:
    """Return the orthogonal matrix with the least squared error.

    Schönemann, "A generalized solution of the orthogonal Procrustes problem" (1966); for word vectors: Smith et al.,
    "Offline bilingual word vectors, orthogonal transformations and the inverted softmax" (ICLR 2017). If the dimensions
    differ, the rows or columns are orthonormal.

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> procrustes(x, x @ [[0.6, 0.8], [-0.8, 0.6]]).round(6).tolist()
    [[0.6, 0.8], [-0.8, 0.6]]
    """
    u, _, vt = np.linalg.svd(_cross_product(x, y), full_matrices=False)
    polar: Matrix = u @ vt
    return polar


def vecmap(x: Rows, y: Rows) -> tuple[Matrix, Matrix]:
    """Return a matrix for each side: whitening, orthogonal mapping, re-weighting and de-whitening.

    Artetxe, Labaka and Agirre, "Generalizing and improving bilingual word embedding mappings with a multi-step
    framework of linear transformations" (AAAI 2018), steps S1 to S4: both sides are re-weighted by the square root of
    the cross-correlation, and de-whitened with respect to their own side.

    Raises
    ------
    OptionError
        If the pairs do not span all dimensions, so that whitening is impossible.
    """
    # S1: whitening makes the columns of each side uncorrelated.
    white_x, white_y = _whitening(x), _whitening(y)
    # S2: the singular vectors of the cross-correlation rotate both sides onto common axes.
    u, weights, vt = np.linalg.svd(white_x @ _cross_product(x, y) @ white_y)
    # S3 and S4: axes are weighted by their correlation, and the whitening of each side is reversed along its new axes.
    root, v = np.sqrt(weights), vt.T
    left = white_x @ (u * root) @ (u.T @ np.linalg.inv(white_x) @ u)
    right = white_y @ (v * root) @ (v.T @ np.linalg.inv(white_y) @ v)
    return left, right


def rcsls(
    x: Singles, y: Singles, source: Singles, target: Singles, on_epoch: Callable[[int], object] = lambda _: None
) -> Matrix:
    """Return the matrix with the least relaxed CSLS loss, and a spectral norm of at most 1.

    Joulin, Bojanowski, Mikolov, Jégou and Grave, "Loss in translation: learning bilingual word mapping with a retrieval
    criterion" (EMNLP 2018). Pairs are moved together, and away from the ten nearest rows of the other space. Projected
    subgradient descent starts from the Procrustes solution; a step that does not reduce the loss is undone and the step
    size halved.

    Parameters
    ----------
    x, y
        Paired rows of unit length.
    source, target
        Rows of each space that may be neighbors.
    on_epoch
        Called with the number of epochs done.
    """
    matrix = procrustes(x, y)
    loss, slope = _rcsls_loss(matrix, x, y, source, target)
    step = _STEP
    for epoch in range(EPOCHS):
        on_epoch(epoch)
        # Singular values above 1 become 1: the projection onto matrices of spectral norm 1.
        u, scales, vt = np.linalg.svd(matrix - step * slope)
        moved = (u * np.minimum(scales, 1.0)) @ vt
        new_loss, new_slope = _rcsls_loss(moved, x, y, source, target)
        if new_loss < loss:
            matrix, loss, slope = moved, new_loss, new_slope
        else:
            step /= 2
    return matrix


def _rcsls_loss(matrix: Matrix, x: Singles, y: Singles, source: Singles, target: Singles) -> tuple[float, Matrix]:
    """Return the loss (equation 6 of the paper) and its subgradient."""
    single = matrix.astype(np.float32)
    mapped_x: Singles = x @ single
    mapped_source: Singles = source @ single
    # The loss is linear in the mean of the neighbors, so their mean is computed first.
    near_x = target[largest_products(mapped_x, target, NEIGHBORHOOD).rows].mean(axis=1)  # (n, e)
    near_y = source[largest_products(y, mapped_source, NEIGHBORHOOD).rows].mean(axis=1)  # (n, d)
    loss = -2 * _sum_of_dots(mapped_x, y) + _sum_of_dots(mapped_x, near_x) + _sum_of_dots(near_y @ single, y)
    slope = (-2 * _cross_product(x, y) + _cross_product(x, near_x) + _cross_product(near_y, y)) / len(x)
    return loss / len(x), slope


def _sum_of_dots(a: Rows, b: Rows) -> float:
    return float(np.einsum("ij,ij->", a, b, dtype=np.float64))


def _cross_product(x: Rows, y: Rows) -> Matrix:
    return x.T.astype(np.float64) @ y.astype(np.float64)


def _whitening(rows: Rows) -> Matrix:
    """Return (rowsᵀ rows)^-1/2."""
    # Eigenvalues below the rounding error of the largest stand for directions without any pairs.
    scales, axes = np.linalg.eigh(_cross_product(rows, rows))
    if scales[0] <= scales[-1] * len(scales) * np.finfo(np.float64).eps:
        spanned = int(np.sum(scales > scales[-1] * 1e-12))
        raise OptionError(
            f"whitening needs pairs that span all {len(scales)} dimensions; {len(rows):,} pairs span {spanned}; "
            "use more pairs, or method='procrustes'"
        )
    white: Matrix = (axes / np.sqrt(scales)) @ axes.T
    return white
