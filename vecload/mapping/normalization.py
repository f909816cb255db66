"""What is done to the rows of a space before it is mapped: unit length and a mean of zero, in a declared order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import scale_to_unit
from vecload.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

STEPS: Final = ("unit", "center")
ITERATIVE: Final = (*("unit", "center") * 5, "unit")
"""Iterative normalisation: after five rounds rows of unit length have a mean of zero to the third digit and more
(Zhang et al., "Are girls neko or shōjo?", ACL 2019)."""


@dataclass(frozen=True, eq=False)
class Normalization:
    """Steps and, for each "center", the mean that was taken away: float64, shape (number of centers, dim)."""

    steps: tuple[str, ...]
    means: npt.NDArray[np.float64]

    @property
    def linear(self) -> bool:
        """Whether the steps only shift the space."""
        return "unit" not in self.steps

    @property
    def shift(self) -> npt.NDArray[np.float64]:
        """The sum of the means, shape (dim,)."""
        total: npt.NDArray[np.float64] = self.means.sum(axis=0)
        return total

    def apply(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Normalised rows, float32, shape (n, dim); rows of zeros stay zeros under "unit"."""
        made = rows.astype(np.float32)
        at = 0
        for step in self.steps:
            if step == "unit":
                scale_to_unit(made)
            else:
                made -= self.means[at].astype(np.float32)
                at += 1
        return made


def normalization(rows: npt.NDArray[Any], steps: Sequence[str]) -> tuple[Normalization, npt.NDArray[np.float32]]:
    """Fit the steps to a space: what was done, and the rows so made.

    Raises
    ------
    OptionError
        For a step that is none.

    Examples
    --------
    >>> fitted, rows = normalization(np.array([[3.0, 4.0], [0.0, 2.0]]), ["unit", "center"])
    >>> fitted.means.round(4).tolist(), (10 * rows).round().tolist()
    ([[0.3, 0.9]], [[3.0, -1.0], [-3.0, 1.0]])
    """
    check_steps(steps)
    made = rows.astype(np.float32, copy=bool(steps))
    means = []
    for step in steps:
        if step == "unit":
            scale_to_unit(made)
        else:
            means.append(made.mean(axis=0, dtype=np.float64))
            made -= means[-1].astype(np.float32)
    stacked = np.array(means, dtype=np.float64).reshape(len(means), rows.shape[1])
    return Normalization(tuple(steps), stacked), made


def check_steps(steps: Sequence[str]) -> None:
    """Raise OptionError unless `steps` is a sequence of known steps."""
    if isinstance(steps, str) or any(step not in STEPS for step in steps):
        raise OptionError(f"normalize={steps!r} is not a sequence of {' and '.join(map(repr, STEPS))}")
