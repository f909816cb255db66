"""The linear map that takes the rows of one space to those of another, by several criteria.

All take paired rows, `x` (n, d) of the source and `y` (n, e) of the target, and give float64 matrices that multiply
rows from the right: ``x @ matrix``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.errors import OptionError
from vecload.search.products import largest_products

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.floating[Any]]
    Singles = npt.NDArray[np.float32]
    Matrix = npt.NDArray[np.float64]

# Neighbors in the mean similarities of CSLS (Conneau et al. 2018) and RCSLS (Joulin et al. 2018).
NEIGHBORHOOD = 10
_EPOCHS, _STEP = 20, 1.0  # of RCSLS, as in the paper: the loss alone would go on to fit the pairs too well


def least_squares(x: Rows, y: Rows) -> Matrix:
    """The matrix with the least squared error, of least norm where pairs leave a choice (Mikolov et al. 2013).

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> least_squares(x, x @ [[2.0, 3.0], [1.0, 4.0]]).round(6).tolist()
    [[2.0, 3.0], [1.0, 4.0]]
    """
    solution: Matrix = np.linalg.lstsq(x.astype(np.float64), y.astype(np.float64), rcond=None)[0]
    return solution


def procrustes(x: Rows, y: Rows) -> Matrix:
    """The orthogonal matrix with the least squared error (Schönemann 1966; Smith et al. 2017).

    With different dimensions its rows or columns are orthonormal.

    Examples
    --------
    >>> x = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> procrustes(x, x @ [[0.6, 0.8], [-0.8, 0.6]]).round(6).tolist()
    [[0.6, 0.8], [-0.8, 0.6]]
    """
    u, _, vt = np.linalg.svd(_product(x, y), full_matrices=False)
    polar: Matrix = u @ vt
    return polar


def vecmap(x: Rows, y: Rows) -> tuple[Matrix, Matrix]:
    """Matrices for both sides: whitening, orthogonal map, re-weighting, de-whitening.

    Artetxe, Labaka and Agirre, "Generalizing and improving bilingual word embedding mappings with a multi-step
    framework of linear transformations" (AAAI 2018), steps S1 to S4: both sides are weighted by the square root of the
    cross-correlation and de-whitened each by its own side.

    Raises
    ------
    OptionError
        When the pairs do not span the dimensions, so that there is no whitening.
    """
    white_x, white_y = _whitening(x), _whitening(y)
    u, weights, vt = np.linalg.svd(white_x @ _product(x, y) @ white_y, full_matrices=False)
    root, v = np.sqrt(weights), vt.T
    left = white_x @ (u * root) @ (u.T @ np.linalg.inv(white_x) @ u)
    right = white_y @ (v * root) @ (v.T @ np.linalg.inv(white_y) @ v)
    return left, right


def rcsls(x: Singles, y: Singles, source: Singles, target: Singles) -> Matrix:
    """The matrix with the least relaxed CSLS loss, of spectral norm at most 1.

    Joulin et al., "Loss in translation: learning bilingual word mapping with a retrieval criterion" (EMNLP 2018):
    pairs are drawn together and away from the ten nearest rows of the other space, by projected subgradient descent
    from the Procrustes solution: 20 epochs, a step that does not help is taken back and halved.

    Parameters
    ----------
    x, y
        Paired rows of unit length.
    source, target
        The rows of each space that may be neighbours.
    """
    matrix = procrustes(x, y)
    loss, slope = _rcsls_loss(matrix, x, y, source, target)
    step = _STEP
    for _ in range(_EPOCHS):
        u, scales, vt = np.linalg.svd(matrix - step * slope, full_matrices=False)
        moved = (u * np.minimum(scales, 1.0)) @ vt  # onto the unit ball of the spectral norm
        new_loss, new_slope = _rcsls_loss(moved, x, y, source, target)
        if new_loss < loss:
            matrix, loss, slope = moved, new_loss, new_slope
        else:
            step /= 2
    return matrix


def _rcsls_loss(matrix: Matrix, x: Singles, y: Singles, source: Singles, target: Singles) -> tuple[float, Matrix]:
    """The loss of equation 6 and its subgradient."""
    single = matrix.astype(np.float32)
    mapped: Singles = x @ single
    ahead = largest_products(mapped, target, NEIGHBORHOOD).rows
    turned: Singles = source @ single
    behind = largest_products(y, turned, NEIGHBORHOOD).rows
    near = target[ahead].mean(axis=1)  # (n, e): what each mapped row must stay away from
    far = source[behind].mean(axis=1)
    loss = -2 * _dots(mapped, y) + _dots(mapped, near) + _dots(far @ single, y)
    slope = (-2 * _product(x, y) + _product(x, near) + _product(far, y)) / len(x)
    return loss / len(x), slope


def _dots(a: Rows, b: Rows) -> float:
    return float(np.einsum("ij,ij->", a, b, dtype=np.float64))


def _product(x: Rows, y: Rows) -> Matrix:
    return x.T.astype(np.float64) @ y.astype(np.float64)


def _whitening(rows: Rows) -> Matrix:
    """(rowsᵀ rows)^-1/2."""
    scales, axes = np.linalg.eigh(_product(rows, rows))
    if scales[0] <= scales[-1] * len(scales) * np.finfo(np.float64).eps:
        found = f"{len(rows):,} pairs that span {int(np.sum(scales > scales[-1] * 1e-12))} of {len(scales)} dimensions"
        raise OptionError(f"whitening needs pairs that span every dimension, found {found}: use method='procrustes'")
    white: Matrix = (axes / np.sqrt(scales)) @ axes.T
    return white
