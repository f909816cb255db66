"""`RowsOnAxes`: rows that are projected when they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.ngrams import Rows

    Ids = npt.NDArray[np.int64]
    Singles = npt.NDArray[np.float32]


class RowsOnAxes:
    """Rows of an n-gram table, projected onto axes; the table itself may be mapped from a file.

    Parameters
    ----------
    rows
        The rows.
    axes
        Orthonormal columns, shape (old dim, dim).
    """

    def __init__(self, rows: Rows, axes: npt.NDArray[Any]) -> None:
        self._rows = rows
        self._axes = axes.astype(np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and number of values per row."""
        return self._rows.shape[0], self._axes.shape[1]

    def __getitem__(self, rows: slice) -> RowsOnAxes:
        """Return consecutive rows, without reading them."""
        return RowsOnAxes(self._rows[rows], self._axes)

    def take(self, rows: Ids, *, sparse: bool) -> Singles:
        """Return the given rows: float32, shape (k, dim)."""
        return self._rows.take(rows, sparse=sparse) @ self._axes

    def add(self, rows: Ids, ends: Ids, sums: Singles, *, sparse: bool) -> None:
        """Add rows to `sums`, in place: see `vecload.ngrams.Rows.add`."""
        before = np.zeros((len(ends), self._axes.shape[0]), dtype=np.float32)
        self._rows.add(rows, ends, before, sparse=sparse)
        sums += before @ self._axes
