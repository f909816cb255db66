"""The rows of an n-gram table: dense, or product-quantised; in memory, or in a file of which little is read."""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from vecload.errors import FormatError, OptionError
from vecload.words import read_only

if TYPE_CHECKING:
    import numpy.typing as npt

CENTROIDS: Final = 256
"""Values that one byte of a quantised row can stand for."""

_LARGE = 1 << 24  # bytes of rows from which on it matters how many of them come into memory


class Rows(Protocol):
    """What a table looks words up in: numbered rows that can be added up.

    `sparse` says that few rows are asked for, here and soon.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of values in each."""

    def __getitem__(self, rows: slice) -> Rows:
        """Some rows that lie together, as they are."""

    def take(self, rows: npt.NDArray[np.int64], *, sparse: bool) -> npt.NDArray[np.float32]:
        """Some rows: float32, shape (k, dim)."""

    def add(
        self,
        rows: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        sums: npt.NDArray[np.float32],
        *,
        sparse: bool,
    ) -> None:
        """Add rows to lines of `sums`: to line i those in ``rows[ends[i - 1]:ends[i]]``."""


class DenseRows:
    """Rows of a matrix, which may be mapped from a file.

    Parameters
    ----------
    matrix
        Any float type, shape (rows, dim); need not be aligned.
    file, offset
        An open file's descriptor and where in it the matrix begins, if it is mapped from there. It is duplicated.

    Notes
    -----
    A page of a mapped file that is touched comes with its neighbours, up to megabytes of them, so a few thousand rows
    read at random make a process as large as the file. Where few are wanted they are read (``preadv``), not mapped.
    """

    def __init__(self, matrix: npt.NDArray[Any], *, file: int | None = None, offset: int = 0) -> None:
        if matrix.ndim != 2:
            raise OptionError(f"rows are a matrix, not an array of shape {matrix.shape}")
        self.matrix = read_only(matrix)
        self._offset = offset
        self._file = None
        if file is not None and matrix.nbytes >= _LARGE and hasattr(os, "preadv"):
            self._file = os.dup(file)
            weakref.finalize(self, os.close, self._file)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of values in each."""
        return self.matrix.shape[0], self.matrix.shape[1]

    def __reduce__(self) -> tuple[Any, ...]:
        return DenseRows, (self.matrix,)

    def __getitem__(self, rows: slice) -> DenseRows:
        """Some rows that lie together, as they are."""
        start, stop, _ = rows.indices(len(self.matrix))
        size = self.matrix.shape[1] * self.matrix.itemsize
        return DenseRows(self.matrix[start:stop], file=self._file, offset=self._offset + size * start)

    def take(self, rows: npt.NDArray[np.int64], *, sparse: bool) -> npt.NDArray[np.float32]:
        """Some rows: float32, shape (k, dim)."""
        if not sparse or self._file is None:
            return self.matrix[rows].astype(np.float32, copy=False)
        size = self.matrix.shape[1] * self.matrix.itemsize
        values = np.empty((len(rows), self.matrix.shape[1]), dtype=self.matrix.dtype)
        places = values.view(np.uint8).reshape(-1).data
        read = 0
        for at, row in enumerate(rows.tolist()):
            read += os.preadv(self._file, [places[size * at : size * (at + 1)]], self._offset + size * row)
        if read != values.nbytes:
            raise FormatError("the file became shorter while it was open", hint="Load it again.")
        return values.astype(np.float32, copy=False)

    def add(
        self,
        rows: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        sums: npt.NDArray[np.float32],
        *,
        sparse: bool,
    ) -> None:
        """Add rows to lines of `sums`."""
        from vecload.kernels import ngrams

        matrix = self.matrix
        if (sparse and self._file is not None) or matrix.itemsize == 2:  # the kernel knows float32 and float64
            distinct, rows = np.unique(rows, return_inverse=True)
            matrix = read_only(self.take(distinct, sparse=sparse))
        ngrams.add_rows(matrix, read_only(rows), read_only(ends), sums)


@dataclass(frozen=True, eq=False)
class QuantisedRows:
    """Rows of a product-quantised matrix, decoded when they are asked for.

    Parameters
    ----------
    codes
        uint8, shape (rows, parts): which centroid stands for each stretch of a row.
    centroids
        float32, shape (256 * dim,): for each stretch in turn, its 256 centroids.
    width
        Values in a stretch; the last one may be shorter.
    norm_codes, norm_centroids
        uint8, shape (rows,), and float32, shape (256,): a factor for each row, where norms were quantised apart; else
        both empty.

    Notes
    -----
    Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", PAMI 33, 2011; laid out as in
    fastText's ``quantmatrix.cc``.
    """

    codes: npt.NDArray[np.uint8]
    centroids: npt.NDArray[np.float32]
    width: int
    norm_codes: npt.NDArray[np.uint8]
    norm_centroids: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        dim, rest = divmod(self.centroids.size, CENTROIDS)
        if rest or self.width <= 0 or self.codes.ndim != 2 or self.codes.shape[1] != -(-dim // self.width):
            raise OptionError(
                f"codes of shape {self.codes.shape} and {self.centroids.size} values of centroids do not make rows "
                f"of stretches of {self.width}"
            )
        norms = self.norm_codes.size, self.norm_centroids.size
        if norms not in ((0, 0), (len(self.codes), CENTROIDS)):
            raise OptionError(f"{norms[0]} codes of norms and {norms[1]} centroids for {len(self.codes)} rows")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of values in each."""
        return len(self.codes), self.centroids.size // CENTROIDS

    def __getitem__(self, rows: slice) -> QuantisedRows:
        """Some rows that lie together, as they are."""
        return replace(self, codes=self.codes[rows], norm_codes=self.norm_codes[rows])

    def take(self, rows: npt.NDArray[np.int64], *, sparse: bool) -> npt.NDArray[np.float32]:
        """Some rows, decoded: float32, shape (k, dim)."""
        values = np.zeros((len(rows), self.shape[1]), dtype=np.float32)
        self.add(rows, np.arange(1, len(rows) + 1), values, sparse=sparse)
        return values

    def add(
        self,
        rows: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        sums: npt.NDArray[np.float32],
        *,
        sparse: bool,  # noqa: ARG002 - a thousand quantised rows are a few pages
    ) -> None:
        """Add rows to lines of `sums`."""
        from vecload.kernels import ngrams

        codes, centroids = read_only(self.codes), read_only(self.centroids)
        norms = read_only(self.norm_codes), read_only(self.norm_centroids)
        ngrams.add_codes(codes, centroids, self.width, *norms, read_only(rows), read_only(ends), sums)
