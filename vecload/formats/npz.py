"""NumPy archives (``.npz``): the matrix and the words as arrays, for ``numpy.load``.

::

    matrix          floating-point numbers, shape (rows, dim); also read as ``vectors`` or ``embeddings``
    words.data      uint8: the bytes of all words, one word after the other
    words.offsets   int64, shape (rows + 1,): the offset of each word, and of the end
    license, source optional: strings
    words           instead of the last two: an array of strings (``U`` or ``S``); also read as ``vocab``

Words are written packed, because an array of strings takes as much space for each word as for the longest, and
because words need not be UTF-8. Files written by ``numpy.savez(path, words=numpy.array(words), matrix=matrix)`` can
be read.

Archives are written without compression, and the matrix begins at a multiple of 64 bytes, so that it can be mapped.
Arrays of Python objects, which numpy would unpickle, are refused.

Sources: https://numpy.org/doc/stable/reference/generated/numpy.savez.html, and PKWARE's APPNOTE.TXT for the zip format.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
import zipfile
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import numpy_dtype
from vecload.attribution import LICENSE, SOURCE, attribution
from vecload.errors import FormatError
from vecload.formats.array_reader import ArrayReader
from vecload.formats.format import Format
from vecload.formats.matrices.strings import words_of_strings
from vecload.formats.matrices.word_sources import check_count
from vecload.saved.npy import check_array, map_array, npy_header, parse_npy_header, read_npy
from vecload.sources import ZIP_DAMAGE
from vecload.words import Words

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.sources import Source

NAME: Final = "npz"

_MATRIX: Final = ("matrix", "vectors", "embeddings")
_WORDS: Final = ("words", "vocab")
_LOCAL_HEADER: Final = struct.Struct("<26xHH")  # ends with the lengths of the name and of the extra field
_LONGEST_TEXT: Final = 1 << 14  # bytes of a string, with the header of its array
_ALIGNMENT: Final = 64
_PADDING: Final = 0xD935  # header ID of an extra field for alignment, as written by Android's zipalign
_ZIP64: Final = 20  # bytes of the extra field that zipfile adds for large members
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # a constant date, so that equal vectors give equal files


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 95 for a zip archive whose first member is an array. Other archives are unpacked before detection."""
    if not head.startswith(b"PK\x03\x04") or len(head) < _LOCAL_HEADER.size:
        return 0
    length, _ = _LOCAL_HEADER.unpack_from(head)
    return 95 if head[30 : 30 + length].endswith(b".npy") else 0


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read the arrays of words and vectors.

    Raises
    ------
    FormatError
        If arrays are missing or invalid, or the archive is damaged.
    """
    file = source.path.open("rb") if source.path is not None else source.spooled()
    with file, _archive(file, source.name) as archive:
        names = {info.filename.removesuffix(".npy") for info in archive.infolist()}
        name = request.tensor or _first(names, _MATRIX, source.name)
        matrix = _array(archive, file, name, source, whole=False)
        check_array(matrix, f"{source.name}/{name}")
        stated = attribution({key: _text(archive, key) for key in (LICENSE, SOURCE) if key in names})
        if request.word_list is not None:
            words = request.word_list
        elif {"words.data", "words.offsets"} <= names:
            data = _array(archive, file, "words.data", source)
            words = _packed(data, _array(archive, file, "words.offsets", source), source.name)
        else:
            words = words_of_strings(_array(archive, file, _first(names, _WORDS, source.name), source), source.name)
    check_count(words, len(matrix), source.name)
    source.position = source.size or 0
    return ArrayReader(source.name, words, matrix, request, meta={"format": "NumPy npz", **stated})


def _archive(file: IO[bytes], name: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except ZIP_DAMAGE as error:
        raise FormatError(f"the archive is cut short or damaged ({error})", file=name) from error


def _first(names: set[str], wanted: tuple[str, ...], name: str) -> str:
    for want in wanted:
        if want in names:
            return want
    hint = "numpy.savez(path, words=numpy.array(words), matrix=matrix) writes a file that can be read."
    expected = " or ".join(wanted)
    raise FormatError("an array is missing", file=name, found=", ".join(sorted(names)), expected=expected, hint=hint)


def _array(
    archive: zipfile.ZipFile, file: IO[bytes], name: str, source: Source, *, whole: bool = True
) -> npt.NDArray[Any]:
    """Read an array of the archive.

    Unless the `whole` array is needed in memory, it is mapped if the member is not compressed.
    """
    try:
        info = archive.getinfo(f"{name}.npy")
        with archive.open(info) as member:
            if whole or info.compress_type != zipfile.ZIP_STORED or source.path is None:
                return read_npy(member, info.file_size)
            shape, fortran, dtype = parse_npy_header(member)
            # The values of a stored member follow its local header, which the central directory does not describe:
            # the local extra field may differ.
            file.seek(info.header_offset)
            begin = (
                info.header_offset
                + _LOCAL_HEADER.size
                + sum(_LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size)))
                + member.tell()
            )
            return map_array(source.path, begin, shape, dtype, fortran=fortran)
    except (*ZIP_DAMAGE, KeyError, RuntimeError, MemoryError, OverflowError, struct.error) as error:
        raise FormatError(f"cannot read the array ({error})", file=f"{source.name}/{name}.npy") from error


def _text(archive: zipfile.ZipFile, name: str) -> str:
    """Return a string that describes the vectors; an empty one if it is too long or the array is not a string."""
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > _LONGEST_TEXT:
        return ""
    try:
        with archive.open(info) as member:
            value = read_npy(member, info.file_size)
        return str(value[()]) if value.shape == () and value.dtype.kind == "U" else ""
    except (*ZIP_DAMAGE, ValueError, RuntimeError, MemoryError, OverflowError):
        return ""


def _packed(data: npt.NDArray[Any], offsets: npt.NDArray[Any], name: str) -> Words:
    check_array(data, f"{name}/words.data", dims=1, kinds="u")
    check_array(offsets, f"{name}/words.offsets", dims=1, kinds="iu")
    ends = offsets.astype(np.int64)
    # Compared, not subtracted: a difference of two offsets can overflow and look like a length.
    fits = data.dtype == np.uint8 and len(ends) and ends[0] == 0 and ends[-1] == len(data)
    if not fits or (ends[1:] < ends[:-1]).any():
        raise FormatError("the offsets do not match the bytes of the words", file=name)
    return Words(data, ends)


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:  # noqa: ARG001 - this format has no options
    """Write a ``.npz`` without compression. bfloat16, which NumPy's files do not have, becomes float32."""
    dtype = numpy_dtype(table.dtype)
    with zipfile.ZipFile(path, "w") as archive, tempfile.TemporaryFile(dir=path.parent) as spool:
        rows = table.rows
        pieces = (np.ascontiguousarray(batch.rows, dtype=dtype).data for batch in table.batches())
        # The checksum of a zip member includes the header of the array, so the header cannot be written again when the
        # number of rows is known. Without that number, rows are kept in a temporary file first.
        if rows is None:
            for piece in pieces:
                spool.write(piece)
            rows = spool.tell() // max(1, table.dim * dtype.itemsize)
            spool.seek(0)
        with _member(archive, "matrix", (rows, table.dim), dtype) as member:
            for piece in pieces:
                member.write(piece)
            shutil.copyfileobj(spool, member)
        for name, array in (("words.data", table.words.data), ("words.offsets", table.words.offsets)):
            with _member(archive, name, array.shape, array.dtype) as member:
                member.write(array.data)
        for name, text in attribution(table.meta).items():
            value = np.array(text)
            with _member(archive, name, value.shape, value.dtype) as member:
                member.write(value.tobytes())
    return Counter()


def _member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> IO[bytes]:
    """Open a member for the values of an array, and write the header so that they begin at a multiple of 64 bytes."""
    assert archive.fp is not None
    info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
    begin = archive.fp.tell() + 30 + len(info.filename) + 4 + _ZIP64
    padding = -begin % _ALIGNMENT
    info.extra = struct.pack("<HH", _PADDING, padding) + bytes(padding)
    member = archive.open(info, "w", force_zip64=True)
    member.write(npy_header(shape, dtype))
    return member


FORMAT: Final = Format(
    name=NAME, detect=detect, read=read, write=write, suffixes=(".npz",), read_options=("words", "tensor")
)
