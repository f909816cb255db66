"""Product-quantized rows of finalfusion: with any number of centroids, a projection and a norm for each row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.errors import OptionError
from vecload.words import read_only

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class ProjectedRows:
    """Rows of a quantized matrix, decoded on demand.

    Parameters
    ----------
    codes
        uint8, shape (rows, parts): the number of the centroid for each part of a row.
    centroids
        float32, shape (parts, centroids, width).
    projection
        float32, shape (dim, dim): orthogonal matrix that rows were multiplied by before they were quantized; None for
        the identity.
    norms
        float32, shape (rows,): factor of each row; None for 1.

    Notes
    -----
    The method is from Ge, He, Ke and Sun, "Optimized product quantization", PAMI 36, 2014.

    Examples
    --------
    >>> centroids = np.array([[[1.0], [2.0]], [[3.0], [4.0]]], dtype="float32")
    >>> rows = ProjectedRows(np.array([[0, 1], [1, 0]], dtype="uint8"), centroids, None, None)
    >>> rows.take(np.array([1, 0]), sparse=True).tolist()
    [[2.0, 3.0], [1.0, 4.0]]
    """

    codes: npt.NDArray[np.uint8]
    centroids: npt.NDArray[np.float32]
    projection: npt.NDArray[np.float32] | None
    norms: npt.NDArray[np.float32] | None

    def __post_init__(self) -> None:
        parts, count, _ = self.centroids.shape
        if self.codes.ndim != 2 or self.codes.shape[1] != parts:
            raise OptionError(f"codes of shape {self.codes.shape} do not match centroids of {self.centroids.shape}")
        if self.codes.size and int(self.codes.max()) >= count:
            raise OptionError(f"codes up to {self.codes.max()} select from only {count} centroids")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and number of values per row."""
        return len(self.codes), self.centroids.shape[0] * self.centroids.shape[2]

    def __getitem__(self, rows: slice) -> ProjectedRows:
        """Return consecutive rows, without copying them."""
        return replace(self, codes=self.codes[rows], norms=None if self.norms is None else self.norms[rows])

    def take(self, rows: npt.NDArray[np.int64], *, sparse: bool) -> npt.NDArray[np.float32]:  # noqa: ARG002 - as `Rows`
        """Decode the given rows: float32, shape (k, dim)."""
        parts = np.arange(self.codes.shape[1])
        values: npt.NDArray[Any] = self.centroids[parts, self.codes[rows]].reshape(len(rows), self.shape[1])
        if self.projection is not None:
            values = values @ self.projection.T
        return values if self.norms is None else values * self.norms[rows, None]

    def add(
        self,
        rows: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        sums: npt.NDArray[np.float32],
        *,
        sparse: bool,
    ) -> None:
        """Add rows to `sums`, in place: see `Rows.add`."""
        from vecload.kernels import ngrams

        # Each row is decoded once, however often it is added.
        distinct, places = np.unique(rows, return_inverse=True)
        matrix = read_only(self.take(distinct, sparse=sparse))
        ngrams.add_rows(matrix, read_only(places), read_only(ends), sums)
