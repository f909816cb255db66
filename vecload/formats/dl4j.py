"""Text vectors of Deeplearning4j (``syn0.txt``): words in base64, so that they may hold spaces.

::

    3 2 1000                    rows, dimension and number of documents; some versions write two numbers
    B64:Y2F0 0.1 0.2            "B64:", the base64 of the word in UTF-8, and the values

``WordVectorSerializer.writeWord2VecModel`` writes a zip archive with this file and others, which are not vectors of
words. The text reader parses the lines; it gets a header of two numbers.

Source: Deeplearning4j's ``WordVectorSerializer.java`` (``writeWordVectors``, ``encodeB64``).
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from typing import TYPE_CHECKING, Any, Final

from vecload.errors import FormatError
from vecload.formats.contract import BaseReader
from vecload.formats.format import Format
from vecload.formats.table import Batch
from vecload.formats.text import read as read_text
from vecload.message_text import quote
from vecload.sources import Source
from vecload.words import Words

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Collection, Iterator

    from vecload.formats.contract import Reader, ReadRequest, RowBuffer

NAME: Final = "DL4J"

_MARK: Final = b"B64:"
_HEADER: Final = re.compile(rb"(\d{1,19} \d{1,19})( \d{1,19})?\r?\n")
_LONGEST_HEADER: Final = 64
_OTHERS: Final = ("syn1.txt", "syn1Neg.txt", "codes.txt", "huffman.txt", "frequencies.txt", "config.json")


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 100 if the first row begins with a word in base64."""
    header = _HEADER.match(head)
    return 100 if head.startswith(_MARK, 0 if header is None else header.end()) else 0


def side_files(name: str, names: Collection[str]) -> list[str]:  # noqa: ARG001 - all formats share this signature
    """Return the files that hold other parts of a model."""
    return [other for other in names if other in _OTHERS]


def read(source: Source, request: ReadRequest) -> DL4JReader:
    """Return a reader of the words and vectors.

    Raises
    ------
    FormatError
        If the first lines are not rows of vectors.
    """
    return DL4JReader(source, request)


class DL4JReader(BaseReader):
    """Reader of a file of text vectors whose words are in base64; `read` makes it."""

    ngrams = None

    def __init__(self, source: Source, request: ReadRequest) -> None:
        self._name = source.name
        header = _HEADER.match(source.head(_LONGEST_HEADER))
        if header is not None and header[2] is not None:
            source.read(header.end())
            rest = source.read
            source = Source(source.name, _Prefixed(header[1] + b"\n", rest).read, parent=source, close=source.close)
        only = None if request.only is None else _encoded(request.only)
        self._reader: Reader = read_text(source, dataclasses.replace(request, only=only))
        self.dim, self.dtype = self._reader.dim, self._reader.dtype
        self.declared = self._reader.declared

    @property
    def expected(self) -> int:
        """Number of rows, estimated."""
        return self._reader.expected

    @property
    def skipped(self) -> Counter[str]:
        """Number of skipped rows, by cause."""
        return self._reader.skipped

    @property
    def meta(self) -> dict[str, Any]:
        """Description of the file."""
        return {**self._reader.meta, "format": NAME}

    def __iter__(self) -> Iterator[Batch]:
        return map(self._decoded, iter(self._reader))

    def read_into(self, buffer: RowBuffer) -> Iterator[Batch]:
        """Return the batches; rows are slices of `buffer` where the text reader can parse in place."""
        return map(self._decoded, self._reader.read_into(buffer))

    def _decoded(self, batch: Batch) -> Batch:
        packed = batch.words
        words = Words.from_bytes([self._word(packed.bytes(at)) for at in range(len(batch.rows))])
        return Batch(words.data, words.offsets, batch.rows)

    def _word(self, raw: bytes) -> bytes:
        try:
            if raw.startswith(_MARK):
                return base64.b64decode(raw[len(_MARK) :], validate=True)
        except binascii.Error:
            pass
        raise FormatError("a word that is not in base64", file=self._name, found=quote(raw), expected="B64:...")


class _Prefixed:
    """Stream of some bytes and then of another stream."""

    def __init__(self, first: bytes, rest: Any) -> None:
        self._first = first
        self._rest = rest

    def read(self, count: int) -> bytes:
        if self._first:
            piece, self._first = self._first[:count], self._first[count:]
            return piece
        return bytes(self._rest(count))


def _encoded(words: Words) -> Words:
    return Words.from_bytes([_MARK + base64.b64encode(words.bytes(at)) for at in range(len(words))])


FORMAT: Final = Format(name=NAME, aliases=("deeplearning4j",), detect=detect, read=read, side_files=side_files)
