"""NumPy arrays (``.npy``) whose words are in another file. The array is mapped.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.errors import FormatError
from vecload.formats.array_reader import ArrayReader
from vecload.formats.format import Format
from vecload.formats.matrices.word_sources import requested_words
from vecload.saved.npy import check_array, map_npy, read_npy

if TYPE_CHECKING:
    from vecload.formats.contract import ReadRequest
    from vecload.sources import Source

NAME: Final = "npy"

_MAGIC: Final = b"\x93NUMPY"


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
    words = requested_words(request, len(matrix), source.name)
    source.position += source.size or 0
    return ArrayReader(source.name, words, np.asarray(matrix), request, meta={"format": "NumPy npy"})


FORMAT: Final = Format(name=NAME, aliases=("numpy",), detect=detect, read=read, read_options=("words",))
