"""Normalization of a space before it is mapped: unit length and a mean of zero, in a given order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import row_blocks, scale_to_unit
from vecload.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

STEPS: Final = ("unit", "center")
# Iterative normalization: after five rounds, rows of unit length have a mean of zero to three digits or more (Zhang et
# al., "Are girls neko or shōjo? Cross-lingual alignment of non-isomorphic embeddings with iterative normalization",
# ACL 2019).
ITERATIVE: Final = (*("unit", "center") * 5, "unit")


@dataclass(frozen=True, eq=False)
class Normalization:
    """Steps that were fitted to a space; made by `fit_normalization`.

    Parameters
    ----------
    steps
        "unit" and "center", in order.
    means
        Mean that each "center" subtracts, float64, shape (number of centers, dim).
    """

    steps: tuple[str, ...]
    means: npt.NDArray[np.float64]

    @property
    def linear(self) -> bool:
        """Whether the steps only shift the space."""
        return "unit" not in self.steps

    @property
    def shift(self) -> npt.NDArray[np.float64]:
        """Sum of the means, shape (dim,)."""
        total: npt.NDArray[np.float64] = self.means.sum(axis=0)
        return total

    def apply(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return normalized rows, float32, shape (n, dim); "unit" keeps rows of zeros."""
        normalized = rows.astype(np.float32)
        at = 0
        for step in self.steps:
            if step == "unit":
                scale_to_unit(normalized)
            else:
                normalized -= self.means[at].astype(np.float32)
                at += 1
        return normalized


def fit_normalization(
    rows: npt.NDArray[Any], steps: Sequence[str], counts: npt.NDArray[np.int64] | None = None
) -> tuple[Normalization, npt.NDArray[np.float32]]:
    """Fit the steps to a space, and return them with the normalized rows.

    Parameters
    ----------
    rows
        The rows, shape (n, dim).
    steps
        "unit" and "center", in order.
    counts
        Number of words that have each row, shape (n,); None for one each.

    Raises
    ------
    OptionError
        For an unknown step.

    Examples
    --------
    >>> fitted, rows = fit_normalization(np.array([[3.0, 4.0], [0.0, 2.0]]), ["unit", "center"])
    >>> fitted.means.round(4).tolist(), (10 * rows).round().tolist()
    ([[0.3, 0.9]], [[3.0, -1.0], [-3.0, 1.0]])
    """
    check_steps(steps)
    normalized = rows.astype(np.float32, copy=bool(steps))
    means = []
    for step in steps:
        if step == "unit":
            scale_to_unit(normalized)
        else:
            means.append(_mean(normalized, counts))
            normalized -= means[-1].astype(np.float32)
    stacked = np.array(means, dtype=np.float64).reshape(len(means), rows.shape[1])
    return Normalization(tuple(steps), stacked), normalized


def _mean(rows: npt.NDArray[np.float32], counts: npt.NDArray[np.int64] | None) -> npt.NDArray[np.float64]:
    if counts is None:
        return np.asarray(rows.mean(axis=0, dtype=np.float64))
    total = np.zeros(rows.shape[1])
    for at in row_blocks(len(rows)):
        total += counts[at] @ rows[at].astype(np.float64)
    mean: npt.NDArray[np.float64] = total / counts.sum()
    return mean


def check_steps(steps: Sequence[str]) -> None:
    """Raise OptionError unless `steps` is a sequence of known steps."""
    if isinstance(steps, str) or any(step not in STEPS for step in steps):
        raise OptionError(f"normalize={steps!r} is not a sequence of {' and '.join(map(repr, STEPS))}")
