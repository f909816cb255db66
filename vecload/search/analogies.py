"""Analogies on arrays: which rows are to c as b is to a."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from vecload.arrays import unit_rows
from vecload.errors import OptionError
from vecload.search.exact import inverse_norms, nearest, searched
from vecload.search.ranking import Nearest, Objective
from vecload.search.shared_rows import best_words

Method = Literal["3cosadd", "3cosmul"]
"""Method of solving analogies: sums or products of cosines."""

# Keeps the divisor of 3CosMul above zero. Levy and Goldberg (2014) add 0.001, gensim 0.000001.
_EPSILON = 1e-6


def check_method(method: str) -> None:
    """Raise OptionError for an unknown method of analogies."""
    if method not in get_args(Method):
        raise OptionError(f"method={method!r} is not one of {', '.join(map(repr, get_args(Method)))}")


def solve_analogies(
    matrix: npt.ArrayLike,
    queries: npt.NDArray[Any],
    k: int = 10,
    *,
    method: Method = "3cosadd",
    limit: int | None = None,
    exclude: npt.NDArray[np.int64] | None = None,
    norms: npt.NDArray[np.float32] | None = None,
    progress: bool | None = None,
) -> Nearest:
    """Return the k rows that best complete each analogy "a is to b as c is to …".

    Parameters
    ----------
    matrix
        Rows to search, shape (n, dim): an array, or `Vectors`.
    queries
        Vectors of a, b and c, shape (q, 3, dim).
    k
        Number of rows for each analogy.
    method
        "3cosadd" (Mikolov, Yih and Zweig 2013): the nearest to b - a + c of unit vectors. "3cosmul" (Levy and Goldberg
        2014): the largest cos(b) cos(c) / cos(a), with cosines moved to [0, 1].
    limit, exclude, norms, progress
        As for `nearest`.

    Raises
    ------
    OptionError
        For an unknown method, and as `nearest` does.

    Examples
    --------
    >>> rows = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1]])
    >>> solve_analogies(rows, rows[None, :3], 1, exclude=np.array([[0, 1, 2]])).rows
    array([[3]])
    """
    check_method(method)
    if method == "3cosadd":
        a, b, c = np.moveaxis(unit_rows(queries), 1, 0)
        return nearest(matrix, b + c - a, k, limit=limit, exclude=exclude, norms=norms, progress=progress)
    table = searched(matrix, norms, limit)
    scale = inverse_norms(table.norms)

    # A float32 product of unit vectors has at most this error, halved because cosines are (Higham, Accuracy and
    # Stability of Numerical Algorithms, 3.1). The division magnifies it where a row is opposite to a.
    error = (table.rows.shape[1] + 4) * 2.0**-25
    objective = Objective(
        scale,
        np.zeros_like(scale),
        lambda q, x, _rows: _product(np.einsum("qpd,qkd->qpk", unit_rows(q), unit_rows(x)), 0),
        combine=lambda cosines: _product(cosines, error),
        error=np.zeros_like(scale),  # they are bounds
    )
    return best_words(table, queries, k, objective, exclude, progress=progress)


def _product(cosines: npt.NDArray[Any], error: float) -> npt.NDArray[Any]:
    """Return 3CosMul of cosines with a, b and c, shape (q, 3, n); its upper bound if they may be wrong by 2 `error`."""
    # Cosines are moved to [0, 1], because a product of two negative ones would be large.
    near = (1 + cosines) / 2
    below = np.maximum(near[:, 0] - error, 0) + near.dtype.type(_EPSILON)
    return (near[:, 1] + error) * (near[:, 2] + error) / below
