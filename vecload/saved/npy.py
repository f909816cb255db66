"""NumPy's ``.npy`` files: headers are checked against the size of the file before anything is allocated.

``numpy.load`` is not used: it can unpickle arrays of objects, and it trusts the sizes in a header.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import io
import math
from typing import IO, TYPE_CHECKING, Any, Final, Literal

import numpy as np

from vecload.errors import FormatError
from vecload.message_text import shorten
from vecload.saved.validation import MAX_DIM

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

_WIDEST_VALUE: Final = 8  # bytes
_PIECE: Final = 1 << 20
_MOST_DIMENSIONS: Final = 32  # the limit of NumPy 1; later versions allow more


def npy_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    r"""Return the header of a ``.npy`` file of an array in C order.

    NumPy pads headers so that their size does not depend on the number of rows, up to 21 digits of it. A writer can
    therefore write the header again when it knows that number.

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
    """Map the array of a ``.npy`` file and check it.

    Parameters
    ----------
    path
        The file.
    dims
        Number of dimensions that the array must have.
    kinds
        Codes of `numpy.dtype.kind` that its values may have.

    Raises
    ------
    FormatError
        If the file is not a ``.npy`` file, is cut short, or has another kind of array.
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
        If the header is invalid, or the file is shorter than its header says.
    """
    with path.open("rb") as file:
        shape, fortran, dtype = parse_npy_header(file)
        begin = file.tell()
    return map_array(path, begin, shape, dtype, fortran=fortran)


def map_array(
    path: Path, begin: int, shape: tuple[int, ...], dtype: np.dtype[Any], *, fortran: bool
) -> npt.NDArray[Any]:
    """Map an array that starts at byte `begin` of a file.

    Raises
    ------
    ValueError
        If the file is too short for the array.
    """
    size = path.stat().st_size - begin
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"the array is cut short: found {size:,} bytes for shape {shorten(shape)} of {dtype}")
    order: Literal["F", "C"] = "F" if fortran else "C"
    if not math.prod(shape):  # operating systems cannot map zero bytes
        return np.empty(shape, dtype=dtype, order=order)
    mapped: npt.NDArray[Any] = np.memmap(path, dtype=dtype, mode="r", offset=begin, shape=shape, order=order)
    return mapped


def read_npy(file: IO[bytes], size: int) -> npt.NDArray[Any]:
    """Read the array of a ``.npy`` file of `size` bytes that is part of another file.

    At most `size` bytes are allocated, whatever the header claims.

    Raises
    ------
    ValueError
        If the header is invalid, or does not match the size.
    """
    shape, fortran, dtype = parse_npy_header(file)
    rest = size - file.tell()
    if math.prod(shape) * dtype.itemsize != rest:
        raise ValueError(f"shape {shorten(shape)} of {dtype} in {rest:,} bytes")
    # Read in pieces into the array itself, so that a compressed member needs no second copy in memory.
    array = np.empty(shape, dtype=dtype, order="F" if fortran else "C")
    buffer = array.ravel(order="K").view(np.uint8).data
    for begin in range(0, rest, _PIECE):
        buffer[begin : begin + _PIECE] = file.read(min(_PIECE, rest - begin))
    return array


def parse_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of a ``.npy`` file: return shape, whether the order is Fortran's, and dtype.

    Raises
    ------
    ValueError
        If the header is invalid, or the values are Python objects.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(file)
    except ValueError:
        raise
    # NumPy parses the header as a Python literal, and the parser raises many types of errors: SyntaxError, TokenError,
    # TypeError, and MemoryError or RecursionError for deep nesting.
    except Exception as error:
        deep = isinstance(error, MemoryError | RecursionError)
        reason = "values are nested too deeply" if deep else f"{type(error).__name__}: {error}"
        raise ValueError(f"the header of the array is invalid ({reason})") from error
    # Multiplying thousands of huge numbers takes quadratic time, so their number and size are bounded first.
    if len(shape) > _MOST_DIMENSIONS or not all(type(size) is int and 0 <= size < 1 << 60 for size in shape):
        raise ValueError(f"the header of the array has invalid sizes: {shorten(shape)}")
    if dtype.hasobject:
        raise ValueError("the array holds Python objects, and reading them would run code from the file")
    return shape, fortran, dtype


def check_array(array: npt.NDArray[Any], name: str, *, dims: int = 2, kinds: str = "f") -> None:
    """Check the number of dimensions, the kind of the values and the width of the rows of an array: see `open_npy`.

    Raises
    ------
    FormatError
        If one of them is wrong.
    """
    fits = isinstance(array, np.ndarray) and array.ndim == dims and array.dtype.kind in kinds
    if not fits or array.dtype.itemsize > _WIDEST_VALUE or (dims > 1 and not 0 < array.shape[1] <= MAX_DIM):
        found = f"shape {array.shape} of {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        kind = "floating-point numbers" if kinds == "f" else "whole numbers"
        expected = f"{dims} dimension{'s' if dims > 1 else ''} of {kind}"
        raise FormatError("the array has the wrong shape or type", file=name, found=found, expected=expected)
