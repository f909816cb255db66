"""Rows of an n-gram table: dense or product-quantized, in memory or read from a file when they are needed."""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from vecload.errors import FormatError, OptionError
from vecload.lazy import numba_loaded
from vecload.words import read_only

if TYPE_CHECKING:
    import numpy.typing as npt

CENTROIDS: Final = 256
"""Number of centroids that one byte of a quantized row selects from."""

# Matrices of fewer bytes are simply mapped: their pages do not matter for the memory of a process.
_LARGE = 1 << 24

_LONGEST_READ = 1 << 30  # bytes
_SMALL: Final = 1 << 20  # values that NumPy decodes in less time than numba takes to load

# Windows does not have preadv; there, rows are always read through the mapping.
_HAS_PREADV = hasattr(os, "preadv")


class Rows(Protocol):
    """Numbered rows of an n-gram table, which can be read and summed.

    `sparse` tells a method that only few rows are needed, now and in the calls that follow.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and number of values per row."""

    def __getitem__(self, rows: slice) -> Rows:
        """Return consecutive rows, without copying them."""

    def take(self, rows: npt.NDArray[np.int64], *, sparse: bool) -> npt.NDArray[np.float32]:
        """Return the given rows: float32, shape (k, dim)."""

    def add(
        self,
        rows: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        sums: npt.NDArray[np.float32],
        *,
        sparse: bool,
    ) -> None:
        """Add the rows with the numbers ``rows[ends[i - 1]:ends[i]]`` to ``sums[i]``, in place.

        Parameters
        ----------
        rows
            Row numbers for all sums, one sum after the other: int64, shape (k,).
        ends
            End of the row numbers of each sum: int64, shape (n,).
        sums
            float32, shape (n, dim).
        sparse
            Whether only few rows are needed.
        """


class DenseRows:
    """Rows of a matrix, which may be mapped from a file.

    Parameters
    ----------
    matrix
        Any float type, shape (rows, dim); need not be aligned.
    file, offset
        If the matrix is mapped from a file: the descriptor of the file, which is duplicated, and the byte at which the
        matrix starts.

    Notes
    -----
    Touching one page of a mapped file also loads its neighbors, up to megabytes of them, so reading a few thousand
    random rows through the mapping would make the process as large as the file. When only few rows are needed, they
    are read with ``preadv`` instead.
    """

    def __init__(self, matrix: npt.NDArray[Any], *, file: int | None = None, offset: int = 0) -> None:
        if matrix.ndim != 2:
            raise OptionError(f"rows must be a matrix, got an array of shape {matrix.shape}")
        self.matrix = read_only(matrix)
        self._offset = offset
        self._file = None
        if file is not None and matrix.nbytes >= _LARGE and _HAS_PREADV:
            # The descriptor is duplicated, because the caller closes the original, and slices of the rows may live
            # longer.
            self._file = os.dup(file)
            weakref.finalize(self, os.close, self._file)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and number of values per row."""
        return self.matrix.shape[0], self.matrix.shape[1]

    # A descriptor cannot be pickled, so a copy has all rows in memory.
    def __reduce__(self) -> tuple[Any, ...]:
        return DenseRows, (self.matrix,)

    def __getitem__(self, rows: slice) -> DenseRows:
        """Return consecutive rows, without copying them."""
        start, stop, _ = rows.indices(len(self.matrix))
        size = self.matrix.shape[1] * self.matrix.itemsize
        return DenseRows(self.matrix[start:stop], file=self._file, offset=self._offset + size * start)

    def take(self, rows: npt.NDArray[np.int64], *, sparse: bool) -> npt.NDArray[np.float32]:
        """Return the given rows: float32, shape (k, dim)."""
        if not sparse or self._file is None:
            return self.matrix[rows].astype(np.float32, copy=False)
        size = self.matrix.shape[1] * self.matrix.itemsize
        values = np.empty((len(rows), self.matrix.shape[1]), dtype=self.matrix.dtype)
        buffer = values.view(np.uint8).reshape(-1).data
        # preadv reads into the array itself, and threads can share the descriptor, because no file position is
        # involved. If the file became shorter, it reads fewer bytes; a mapping would end the process with SIGBUS.
        # Consecutive rows are read at once, up to a size that is below the limit of one call (2 GB on Linux).
        read = 0
        longest = max(1, _LONGEST_READ // size)
        starts = np.flatnonzero((np.diff(rows, prepend=rows[:1] - 2) != 1) | (np.arange(len(rows)) % longest == 0))
        stops = [*starts[1:].tolist(), len(rows)]
        for begin, end, row in zip(starts.tolist(), stops, rows[starts].tolist(), strict=False):
            read += os.preadv(self._file, [buffer[size * begin : size * end]], self._offset + size * row)
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
        """Add rows to `sums`, in place: see `Rows.add`."""
        from vecload.kernels import ngrams

        matrix = self.matrix
        # The kernel adds float32 and float64. Rows of 16 bits are converted first, each of them once.
        if (sparse and self._file is not None) or matrix.itemsize == 2:
            distinct, rows = np.unique(rows, return_inverse=True)
            matrix = read_only(self.take(distinct, sparse=sparse))
        ngrams.add_rows(matrix, read_only(rows), read_only(ends), sums)


@dataclass(frozen=True, eq=False)
class QuantizedRows:
    """Rows of a product-quantized matrix, decoded on demand.

    Parameters
    ----------
    codes
        uint8, shape (rows, parts): the number of the centroid for each part of a row.
    centroids
        float32, shape (256 * dim,): the 256 centroids of the first part, then those of the second, and so on.
    width
        Number of values in a part; the last part may be shorter.
    norm_codes, norm_centroids
        uint8, shape (rows,), and float32, shape (256,): a factor for each row, if norms were quantized separately; both
        are empty otherwise.

    Notes
    -----
    The method is from Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", PAMI 33, 2011. The
    layout is that of fastText's ``quantmatrix.cc``.
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
                f"codes of shape {self.codes.shape} do not match {self.centroids.size} values of centroids "
                f"in parts of {self.width}"
            )
        norms = self.norm_codes.size, self.norm_centroids.size
        if norms not in ((0, 0), (len(self.codes), CENTROIDS)):
            raise OptionError(
                f"expected {len(self.codes)} norm codes and {CENTROIDS} norm centroids, got {norms[0]} and {norms[1]}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and number of values per row."""
        return len(self.codes), self.centroids.size // CENTROIDS

    def __getitem__(self, rows: slice) -> QuantizedRows:
        """Return consecutive rows, without copying them."""
        return replace(self, codes=self.codes[rows], norm_codes=self.norm_codes[rows])

    def take(self, rows: npt.NDArray[np.int64], *, sparse: bool) -> npt.NDArray[np.float32]:
        """Decode the given rows: float32, shape (k, dim)."""
        values = np.zeros((len(rows), self.shape[1]), dtype=np.float32)
        if values.size <= _SMALL and not numba_loaded():
            return self._decode(rows, values)
        self.add(rows, np.arange(1, len(rows) + 1), values, sparse=sparse)
        return values

    def _decode(self, rows: npt.NDArray[np.int64], values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Decode rows to `values`, without the kernel; rows outside the table are left as they are."""
        inside = np.flatnonzero((rows >= 0) & (rows < len(self.codes)))
        codes = self.codes[rows[inside]]
        for part in range(codes.shape[1]):
            first = part * self.width
            size = min(self.width, self.shape[1] - first)
            centroids = self.centroids[CENTROIDS * first : CENTROIDS * (first + size)].reshape(CENTROIDS, size)
            values[inside, first : first + size] = centroids[codes[:, part]]
        if len(self.norm_codes):
            values[inside] *= self.norm_centroids[self.norm_codes[rows[inside]]][:, None]
        return values

    def add(
        self,
        rows: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        sums: npt.NDArray[np.float32],
        *,
        sparse: bool,  # noqa: ARG002 - quantized rows are small, so it does not matter how they are read
    ) -> None:
        """Add rows to `sums`, in place: see `Rows.add`."""
        from vecload.kernels import ngrams

        codes, centroids = read_only(self.codes), read_only(self.centroids)
        norms = read_only(self.norm_codes), read_only(self.norm_centroids)
        ngrams.add_codes(codes, centroids, self.width, *norms, read_only(rows), read_only(ends), sums)
