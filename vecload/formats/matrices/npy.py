"""NumPy arrays (``.npy``) whose words are in another file. The array is mapped.

The writer puts the words into a JSON list beside the array (``vectors.npy.words.json``), where the reader finds them.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.arrays import numpy_dtype
from vecload.errors import FormatError
from vecload.formats.array_reader import ArrayReader
from vecload.formats.format import Format
from vecload.formats.matrices.word_sources import check_count, read_words_of_rows, requested_words
from vecload.formats.writing.counted import CountedFile
from vecload.formats.writing.values import as_bytes
from vecload.saved.npy import check_array, map_npy, npy_header, read_npy

if TYPE_CHECKING:
    from collections.abc import Collection

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.sources import Source

NAME: Final = "npy"

_MAGIC: Final = b"\x93NUMPY"
_WORDS: Final = ".words.json"


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 60 for the magic number of NumPy's arrays, because they may be part of a folder or of a saved model."""
    return 60 if head.startswith(_MAGIC) else 0


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read a matrix and the words that the caller passed.

    Raises
    ------
    FormatError
        If the array is not a matrix of floating-point numbers, or does not have one row for each word.
    """
    try:
        if source.path is not None:
            matrix = map_npy(source.path)
        else:
            raw = source.mapped()
            matrix = read_npy(io.BytesIO(raw.data), len(raw))
    except ValueError as error:
        raise FormatError(f"not a NumPy array ({error})", file=source.name) from error
    check_array(matrix, source.name)
    beside = words_beside(source)
    if request.word_list is None and beside is not None:
        # A list without words is refused as a vocabulary.
        words = read_words_of_rows(beside if len(matrix) else [])
        check_count(words, len(matrix), source.name)
    else:
        words = requested_words(request, len(matrix), source.name)
    source.position += source.size or 0
    return ArrayReader(source.name, words, np.asarray(matrix), request, meta={"format": "NumPy npy"})


def words_beside(source: Source) -> Path | None:
    """Return the file of words beside an array; None if it is missing."""
    path = source.path
    if path is None or not path.is_file() or not source.head(len(_MAGIC)).startswith(_MAGIC):
        return None
    found = path.with_name(path.name + _WORDS)
    return found if found.is_file() else None


def side_files(name: str, names: Collection[str]) -> list[str]:
    """Return the file of the words."""
    return [other for other in names if other == name + _WORDS]


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:  # noqa: ARG001 - this format has no options
    """Write the array, and the words as a JSON list beside it. bfloat16, which NumPy does not have, becomes float32."""
    dtype = numpy_dtype(table.dtype).newbyteorder("<")

    def header(rows: int) -> bytes:
        return npy_header((rows, table.dim), dtype)

    with CountedFile(path, table.expected, header) as file, Path(f"{path}{_WORDS}").open("wb") as words:
        separator = "["
        for batch in table.batches():
            file.write(as_bytes(batch.rows.astype(dtype, copy=False)), len(batch.rows))
            for word in batch.words:
                # Bytes that are not UTF-8 are lone surrogates in strings, which JSON can only have as escapes.
                raw = any("\ud800" <= character <= "\udfff" for character in word)
                words.write((separator + json.dumps(word, ensure_ascii=raw)).encode())
                separator = ",\n"
        words.write(b"[]" if separator == "[" else b"]")
    return Counter()


FORMAT: Final = Format(
    name=NAME,
    aliases=("numpy",),
    detect=detect,
    read=read,
    side_files=side_files,
    words_beside=words_beside,
    write=write,
    suffixes=(".npy",),
    written_beside=(_WORDS,),
    read_options=("words",),
)
