"""NumPy archives (``.npz``): the matrix and the words as arrays, for ``numpy.load``.

::

    matrix          floating-point numbers, shape (rows, dim); also read as ``vectors`` or ``embeddings``
    words.data      uint8: the words' bytes, one behind the other
    words.offsets   int64, shape (rows + 1,): where each begins and the last one ends
    words           instead of those two: an array of strings (``U`` or ``S``); also read as ``vocab``

Words are written packed, because an array of strings gives each as much room as the longest, and their bytes need be no
text. ``numpy.savez(path, words=numpy.array(words), matrix=matrix)`` makes a file that can be read.

What is written is not compressed, and the matrix begins at a multiple of 64 bytes, so reading maps it. Python objects,
which numpy would unpickle, are refused.
"""

from __future__ import annotations

import shutil
import struct
import sys
import tempfile
import zipfile
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from vecload.errors import FormatError, VocabularyError
from vecload.formats.array_reader import ArrayReader, check_array, map_array, npy_header, npy_layout, read_npy
from vecload.formats.format import Format
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
_LOCAL: Final = struct.Struct("<26xHH")  # of a member's own header: bytes of its name and of what is added to it
_ALIGNED: Final = 64
_PADDING: Final = 0xD935  # the tag of an addition that only makes room, as Android's zipalign writes it
_ZIP64: Final = 20  # bytes that zipfile adds itself
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the same vectors give the same file


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - every format is asked the same way
    """95 for a zip archive that begins with an array; others are opened before they come here."""
    if not head.startswith(b"PK\x03\x04") or len(head) < _LOCAL.size:
        return 0
    length, _ = _LOCAL.unpack_from(head)
    return 95 if head[30 : 30 + length].endswith(b".npy") else 0


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read the arrays of words and vectors.

    Raises
    ------
    FormatError
        When they are not there, or not what they should be.
    """
    file = source.path.open("rb") if source.path is not None else source.spooled()
    with file, _archive(file, source.name) as archive:
        names = {info.filename.removesuffix(".npy") for info in archive.infolist()}
        matrix = _first(names, _MATRIX, source.name)
        found = _array(archive, file, matrix, source, whole=False)
        check_array(found, f"{source.name}/{matrix}")
        if {"words.data", "words.offsets"} <= names:
            data = _array(archive, file, "words.data", source)
            words = _packed(data, _array(archive, file, "words.offsets", source), source.name)
        else:
            words = _strings(_array(archive, file, _first(names, _WORDS, source.name), source), source.name)
    if len(words) != len(found):
        raise FormatError("words and vectors do not match", file=source.name, found=f"{len(words)} and {len(found)}")
    source.position = source.size or 0
    return ArrayReader(source.name, words, found, request, meta={"format": "NumPy npz"})


def _archive(file: IO[bytes], name: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except ZIP_DAMAGE as error:
        raise FormatError(f"the archive is cut short or damaged ({error})", file=name) from error


def _first(names: set[str], wanted: tuple[str, ...], name: str) -> str:
    for want in wanted:
        if want in names:
            return want
    hint = "numpy.savez(path, words=numpy.array(words), matrix=matrix) makes one that can be read."
    expected = " or ".join(wanted)
    raise FormatError("an array is missing", file=name, found=", ".join(sorted(names)), expected=expected, hint=hint)


def _array(
    archive: zipfile.ZipFile, file: IO[bytes], name: str, source: Source, *, whole: bool = True
) -> npt.NDArray[Any]:
    """An array of the archive; unless the `whole` of it is wanted, mapped where it can be."""
    try:
        info = archive.getinfo(f"{name}.npy")
        with archive.open(info) as member:
            if whole or info.compress_type != zipfile.ZIP_STORED or source.path is None:
                return read_npy(member, info.file_size)
            shape, fortran, dtype = npy_layout(member)
            file.seek(info.header_offset)
            begin = info.header_offset + _LOCAL.size + sum(_LOCAL.unpack(file.read(_LOCAL.size))) + member.tell()
            return map_array(source.path, begin, shape, dtype, fortran=fortran)
    except (*ZIP_DAMAGE, KeyError, RuntimeError, MemoryError, OverflowError, struct.error) as error:
        raise FormatError(f"the array cannot be read ({error})", file=f"{source.name}/{name}.npy") from error


def _packed(data: npt.NDArray[Any], offsets: npt.NDArray[Any], name: str) -> Words:
    check_array(data, f"{name}/words.data", dims=1, kinds="u")
    check_array(offsets, f"{name}/words.offsets", dims=1, kinds="iu")
    ends = offsets.astype(np.int64)
    # Compared, not subtracted: a difference of two offsets can overflow and look like a length.
    fits = data.dtype == np.uint8 and len(ends) and ends[0] == 0 and ends[-1] == len(data)
    if not fits or (ends[1:] < ends[:-1]).any():
        raise FormatError("offsets that do not fit the words' bytes", file=name)
    return Words(data, ends)


def _strings(strings: npt.NDArray[Any], name: str) -> Words:
    if strings.ndim != 1 or strings.dtype.kind not in "US":
        found = f"shape {strings.shape} of {strings.dtype}"
        raise FormatError("words that are not text", file=name, found=found, expected="one dimension of strings")
    if strings.dtype.kind == "U" and strings.itemsize:
        # NumPy makes str objects of any four bytes, which Python then encodes as if they were characters.
        codes = np.ascontiguousarray(strings.astype(strings.dtype.newbyteorder("="), copy=False)).view(np.uint32)
        if codes.size and codes.max() > sys.maxunicode:
            raise FormatError("words that are not text", file=name, found=f"character code {codes.max():#x}")
    try:
        values = strings.tolist()
        return Words.from_bytes(values) if strings.dtype.kind == "S" else Words.from_strings(values)
    except (VocabularyError, ValueError, SystemError) as error:  # numpy: a code that is no character's
        raise FormatError(f"words that are not text ({error})", file=name) from error


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:  # noqa: ARG001 - it has no options
    """Write a ``.npz`` that is not compressed. bfloat16, which numpy's files do not know, becomes float32."""
    dtype = np.dtype(np.float32) if table.dtype.name == "bfloat16" else table.dtype
    with zipfile.ZipFile(path, "w") as archive, tempfile.TemporaryFile(dir=path.parent) as spool:
        rows = table.rows
        pieces = (np.ascontiguousarray(batch.rows, dtype=dtype).data for batch in table.batches())
        if rows is None:  # a member's check sum covers its header, so that is written first
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
    return Counter()


def _member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> IO[bytes]:
    """A member to write values to, which begin at a multiple of 64 bytes."""
    assert archive.fp is not None
    info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
    begin = archive.fp.tell() + 30 + len(info.filename) + 4 + _ZIP64
    room = -begin % _ALIGNED
    info.extra = struct.pack("<HH", _PADDING, room) + bytes(room)
    member = archive.open(info, "w", force_zip64=True)
    member.write(npy_header(shape, dtype))
    return member


FORMAT: Final = Format(name=NAME, detect=detect, read=read, write=write, suffixes=(".npz",))
