"""For formats that keep words and a matrix whole: a `Reader` over them, mapped or not, and numpy's ``.npy`` files."""

from __future__ import annotations

import io
import math
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np

from vecload.arrays import narrowed, type_of
from vecload.errors import FormatError, shorten
from vecload.formats.contract import NONFINITE_HINT, BaseReader, Batch, Table
from vecload.saved import MAX_DIM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest
    from vecload.ngrams import NgramTable
    from vecload.words import Words

_VALUES: Final = 1 << 18  # in a batch
_LARGEST_VALUE: Final = 8
_PIECE: Final = 1 << 20
_MOST_DIMS: Final = 32  # as many as every version of NumPy can handle


def npy_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    r"""What a ``.npy`` file of an array in C order begins with.

    Examples
    --------
    >>> npy_header((2, 3), np.dtype("<f4"))[:8]
    b'\x93NUMPY\x01\x00'
    """
    file = io.BytesIO()
    settings = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, settings)
    return file.getvalue()


def open_npy(path: Path, *, dims: int = 2, kinds: str = "f") -> npt.NDArray[Any]:
    """The array of a ``.npy`` file, mapped.

    Raises
    ------
    FormatError
        When it is none, is cut short, or is not of numbers of these kinds and so many dimensions.
    """
    try:
        array = map_npy(path)
    except (ValueError, OSError) as error:
        raise FormatError(f"not a NumPy array ({error})", file=str(path)) from error
    check_array(array, str(path), dims=dims, kinds=kinds)
    return array


def map_npy(path: Path) -> npt.NDArray[Any]:
    """Map the array of a ``.npy`` file.

    Raises
    ------
    ValueError
        When the header is invalid, or the file is shorter than its header says.
    """
    with path.open("rb") as file:
        shape, fortran, dtype = npy_layout(file)
        begin = file.tell()
    return map_array(path, begin, shape, dtype, fortran=fortran)


def map_array(
    path: Path, begin: int, shape: tuple[int, ...], dtype: np.dtype[Any], *, fortran: bool
) -> npt.NDArray[Any]:
    """Map an array that starts at byte `begin` of a file.

    Raises
    ------
    ValueError
        When the file is too short for it.
    """
    size = path.stat().st_size - begin
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"the array is cut short: found {size:,} bytes for shape {shorten(shape)} of {dtype}")
    order: Literal["F", "C"] = "F" if fortran else "C"
    if not math.prod(shape):  # an empty map is an error of the operating system
        return np.empty(shape, dtype=dtype, order=order)
    mapped: npt.NDArray[Any] = np.memmap(path, dtype=dtype, mode="r", offset=begin, shape=shape, order=order)
    return mapped


def read_npy(file: IO[bytes], size: int) -> npt.NDArray[Any]:
    """Read the array of a ``.npy`` file of `size` bytes that is part of another file, allocating no more than that.

    Raises
    ------
    ValueError
        When the header is invalid, or the size does not match it.
    """
    shape, fortran, dtype = npy_layout(file)
    rest = size - file.tell()
    if math.prod(shape) * dtype.itemsize != rest:
        raise ValueError(f"shape {shorten(shape)} of {dtype} in {rest:,} bytes")
    array = np.empty(shape, dtype=dtype, order="F" if fortran else "C")
    room = array.ravel(order="K").view(np.uint8).data
    for begin in range(0, rest, _PIECE):
        room[begin : begin + _PIECE] = file.read(min(_PIECE, rest - begin))
    return array


def npy_layout(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of a ``.npy`` file: shape, whether columns come first, and dtype.

    Raises
    ------
    ValueError
        When the header is invalid, or the values are Python objects.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(file)
    except ValueError:
        raise
    # NumPy parses the header as a Python literal, and the parser has many ways to fail: SyntaxError, TokenError,
    # TypeError, and MemoryError or RecursionError for deep nesting.
    except Exception as error:
        raise ValueError(f"the header of the array is invalid ({type(error).__name__}: {error})") from error
    if len(shape) > _MOST_DIMS or not all(type(side) is int and 0 <= side < 1 << 60 for side in shape):
        raise ValueError(f"the header of the array has invalid sizes: {shorten(shape)}")
    if dtype.hasobject:
        raise ValueError("the array holds Python objects, and reading them would run code from the file")
    return shape, fortran, dtype


def check_array(array: npt.NDArray[Any], name: str, *, dims: int = 2, kinds: str = "f") -> None:
    """Refuse what is no array of numbers of these kinds and so many dimensions.

    Raises
    ------
    FormatError
        Says what it is.
    """
    fits = isinstance(array, np.ndarray) and array.ndim == dims and array.dtype.kind in kinds
    if not fits or array.dtype.itemsize > _LARGEST_VALUE or (dims > 1 and not 0 < array.shape[1] <= MAX_DIM):
        found = f"shape {array.shape} of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        kind = "floating-point numbers" if kinds == "f" else "whole numbers"
        expected = f"{dims} dimension{'s' if dims > 1 else ''} of {kind}"
        raise FormatError("an array that cannot be", file=name, found=found, expected=expected)


class Rows(Protocol):
    """Two dimensions of numbers, of which rows can be taken: an array, mapped or not, or what makes rows on demand."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and dimension."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""

    def __getitem__(self, at: npt.NDArray[np.int64], /) -> npt.NDArray[Any]: ...


class PickedRows:
    """Some rows of a matrix, in some order, taken when they are asked for."""

    def __init__(self, matrix: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> None:
        self._matrix = matrix
        self._rows = rows
        self.shape = len(rows), matrix.shape[1]
        self.dtype = matrix.dtype

    def __getitem__(self, at: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return self._matrix[self._rows[at]]


class ArrayReader(BaseReader):
    """Reads words and rows as batches.

    Parameters
    ----------
    name
        The file's name, for error messages.
    words
        The words, one for each row.
    rows
        The values; an array that is a map stays one.
    request
        What to read.
    meta
        What `Vectors.meta` shall say.
    ngrams
        The n-gram table that belongs to them.
    skipped
        Rows that were left out before, by cause.
    """

    def __init__(
        self,
        name: str,
        words: Words,
        rows: Rows,
        request: ReadRequest,
        *,
        meta: dict[str, Any],
        ngrams: NgramTable | None = None,
        skipped: Counter[str] | None = None,
    ) -> None:
        self._name = name
        self._words = words
        self._rows = rows
        self._request = request
        self._meta = meta
        self.ngrams = ngrams
        self.skipped = Counter[str]() if skipped is None else skipped
        self.declared = len(words)
        self.expected = len(words)
        self.dim = int(rows.shape[1])
        self._step = max(1, _VALUES // max(1, self.dim))
        self.dtype = rows.dtype.newbyteorder("=") if request.dtype is None else type_of(request.dtype)

    @property
    def meta(self) -> dict[str, Any]:
        """What is known of the file."""
        return {**self._meta, **({"skipped": dict(self.skipped)} if self.skipped else {})}

    def first_words(self) -> Words:
        """Return all words, whatever the request asks for."""
        return self._words

    def __iter__(self) -> Iterator[Batch]:
        count = len(self._words) if self._request.limit is None else min(self._request.limit, len(self._words))
        for begin in range(0, count, self._step):
            at = np.arange(begin, min(begin + self._step, count))
            if self._request.only is not None:
                at = at[self._request.only.lookup(self._words.take(at)) >= 0]
            with np.errstate(over="ignore", invalid="ignore"):  # what does not fit becomes infinite, and is refused
                rows = narrowed(np.ascontiguousarray(self._rows[at]), self.dtype)
            fine = np.isfinite(rows).all(axis=1)
            if not self._request.allow_nonfinite and not fine.all():
                self._refuse(at[~fine])
                at, rows = at[fine], rows[fine]
            if len(at):
                words = self._words.take(at)
                yield Batch(words.data, words.offsets, rows)

    def _refuse(self, at: npt.NDArray[np.int64]) -> None:
        cause = f"a value that is not finite in {self.dtype}"
        if self._request.errors != "skip":
            found = f"in the row of {self._words[int(at[0])]!r}"
            raise FormatError(cause, file=self._name, found=found, hint=NONFINITE_HINT)
        self.skipped[cause] += len(at)

    def mapped(self) -> Table | None:
        """The arrays as they are, when they were asked for as they are and every word is there once."""
        request, rows = self._request, self._rows
        if request.only is not None or request.limit is not None or rows.dtype != self.dtype or not rows.dtype.isnative:
            return None
        if not isinstance(rows, np.ndarray) or not rows.flags.c_contiguous or not rows.flags.aligned:
            return None
        blocks = () if request.allow_nonfinite else range(0, len(rows), self._step)
        if not all(np.isfinite(rows[begin : begin + self._step]).all() for begin in blocks):
            return None  # the batches will say where
        if not self._words.distinct:
            return None
        return Table(self._words, rows, {**self.meta, "source": self._name}, self.ngrams)
