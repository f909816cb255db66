"""Safetensors files: parsed from mapped bytes, and written so that equal tensors give equal bytes.

::

    uint64 N | N bytes of JSON, padded with spaces | the tensors, one after the other

The safetensors library is not used, for two reasons: here, arrays are views of the mapped file, and the library writes
metadata in an order that differs from process to process.

Source: https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import math
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vecload.arrays import type_of
from vecload.errors import FormatError, OptionError
from vecload.saved.bounded_json import parse_json, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

DTYPES: Final = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "U64": "uint64", "I64": "int64",
    "U32": "uint32", "I32": "int32", "U16": "uint16", "I16": "int16", "U8": "uint8", "I8": "int8", "BOOL": "bool",
}  # fmt: skip
"""NumPy's name of each dtype that the format has."""

CODES: Final = {name: code for code, name in DTYPES.items()}

_LONGEST_HEADER: Final = 100_000_000  # the limit of the safetensors library
_MOST_TENSORS: Final = 100_000
_MOST_DIMENSIONS: Final = 8
_LARGEST_NUMBER: Final = 1 << 60
_SHOWN: Final = 100
_PIECE: Final = 1 << 22


class Safetensors(NamedTuple):
    """Contents of a safetensors file.

    `arrays` are views of the bytes of the file, `starts` has the offset of each in the file, and `metadata` the strings
    of the header.
    """

    arrays: dict[str, npt.NDArray[Any]]
    starts: dict[str, int]
    metadata: dict[str, str]


def parse_safetensors(raw: npt.NDArray[np.uint8], name: str) -> Safetensors:
    """Read the header, check it against the size of the file, and return views of the tensors.

    Parameters
    ----------
    raw
        All bytes of the file, uint8, mapped or in memory.
    name
        Name of the file, for error messages.

    Raises
    ------
    FormatError
        If the header is invalid, or the tensors overlap, leave gaps, or do not have the sizes of their shapes.
    """

    def refuse(problem: str, found: object = None) -> FormatError:
        hint = "Write it again, or download it again."
        shown = None if found is None else str(found)[:_SHOWN]
        return FormatError(f"invalid safetensors header: {problem}", file=name, byte=0, found=shown, hint=hint)

    length = int.from_bytes(raw[:8].tobytes(), "little")
    begin = 8 + length
    if len(raw) < 8 or length > _LONGEST_HEADER or begin > len(raw):
        raise refuse("longer than the file", f"{length:,} bytes of header in {len(raw):,}")
    try:
        header = parse_json(raw[8:begin].tobytes(), size=len(raw))
    except ValueError as error:
        raise refuse(str(error)) from error
    if not isinstance(header, dict):
        raise refuse("not a JSON object", type(header).__name__)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise refuse("the metadata are not strings")
    if len(header) > _MOST_TENSORS:
        raise refuse(f"more than {_MOST_TENSORS:,} tensors", f"{len(header):,}")
    arrays, starts, spans = {}, {}, []
    for tensor, entry in header.items():
        layout = _layout(entry)
        if layout is None:
            raise refuse(f"invalid entry for tensor {tensor[:_SHOWN]!r}")
        dtype, shape, first, last = layout
        if last - first != math.prod(shape) * dtype.itemsize:
            raise refuse(f"tensor {tensor[:_SHOWN]!r} has another size than its shape", f"{last - first:,} bytes")
        if last > len(raw) - begin:
            raise refuse("the file has another size", f"{len(raw):,} bytes, at least {begin + last:,} expected")
        spans.append((first, last))
        piece = raw[begin + first : begin + last].view(dtype)
        # Other writers may store tensors at any byte, but kernels are compiled for aligned arrays.
        arrays[tensor] = (piece if piece.flags.aligned else piece.copy()).reshape(shape)
        starts[tensor] = begin + first
    # The format requires that tensors fill the file without gaps, so that nothing can be hidden in one.
    at = 0
    for first, last in sorted(spans):
        if first != at:
            raise refuse("tensors overlap or leave gaps", f"one at byte {first}, the previous one ends at {at}")
        at = last
    if begin + at != len(raw):
        raise refuse("the file has another size", f"{len(raw):,} bytes, {begin + at:,} expected")
    return Safetensors(arrays, starts, metadata)


def _layout(entry: object) -> tuple[np.dtype[Any], tuple[int, ...], int, int] | None:
    """Return the dtype, shape, first and last byte of a tensor, or None if its entry is invalid."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        return None
    code, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES or not isinstance(shape, list) or not isinstance(span, list):
        return None
    # Multiplying thousands of huge numbers takes quadratic time, so their number and size are bounded first.
    if len(shape) > _MOST_DIMENSIONS or len(span) != 2:
        return None
    if not all(type(number) is int and 0 <= number < _LARGEST_NUMBER for number in (*shape, *span)):
        return None
    return type_of(DTYPES[code]), tuple(shape), span[0], span[1]


def safetensors_header(
    layout: Mapping[str, tuple[np.dtype[Any] | str, Sequence[int]]], metadata: Mapping[str, str], *, page: int = 8
) -> bytes:
    """Return the bytes of a file before its tensors: the length of the header, and the header.

    Parameters
    ----------
    layout
        Dtype and shape of each tensor, in file order.
    metadata
        Strings to store with the tensors.
    page
        The header is padded so that the tensors begin at a multiple of this number of bytes.

    Raises
    ------
    OptionError
        If the header is longer than `parse_safetensors` accepts.
    """
    entries: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for name, (dtype, shape) in layout.items():
        wanted = type_of(dtype) if isinstance(dtype, str) else dtype
        end = at + math.prod(shape) * wanted.itemsize
        entries[name] = {"dtype": CODES[wanted.name], "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = to_json(entries).encode()
    text += b" " * (-(8 + len(text)) % page)
    if len(text) > _LONGEST_HEADER:
        raise OptionError(f"metadata of {len(text):,} bytes; a safetensors file holds at most {_LONGEST_HEADER:,}")
    return len(text).to_bytes(8, "little") + text


def write_safetensors(file: IO[bytes], arrays: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write tensors in the order of decreasing value size, which aligns all of them."""
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    little = [(name, np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")) for name, array in ordered]
    file.write(safetensors_header({name: (array.dtype, array.shape) for name, array in little}, metadata))
    for _, array in little:
        flat = array.reshape(-1).view(np.uint8)
        for begin in range(0, len(flat), _PIECE):
            file.write(flat[begin : begin + _PIECE].data)
