"""Tables of numbers, a row of values on each line, whose words are in another file: TensorBoard's projector.

The text reader parses the lines after a word of one character has been put before each, so that values are parsed by
the same code, and as exactly, as those of all text files.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.errors import FormatError
from vecload.formats.contract import BaseReader
from vecload.formats.matrices.metadata import metadata_beside
from vecload.formats.matrices.word_sources import WORDS_HINT, read_table_of_words
from vecload.formats.table import Batch
from vecload.formats.text import read as read_text
from vecload.sources import Source
from vecload.words import Words

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from vecload.formats.contract import Reader, ReadRequest

VECTORS: Final = "vectors.tsv"
METADATA: Final = "metadata.tsv"

_BLOCK: Final = 1 << 20
_WORD: Final = b"0\t"


class NumberTable(BaseReader):
    """Reader of a table of numbers and the words of its rows.

    Parameters
    ----------
    source
        The table.
    words
        A word for each row.
    request
        Rows to read. Malformed rows cannot be skipped, because the rows after them would get wrong words.
    meta
        Description of the file.

    Raises
    ------
    FormatError
        If the first lines are not rows of numbers.
    """

    ngrams = None

    def __init__(self, source: Source, words: Words, request: ReadRequest, meta: dict[str, Any]) -> None:
        self._name = source.name
        self._words = words
        self._request = request
        named = Source(source.name, _Named(source).read, parent=source, close=source.close)
        whole = dataclasses.replace(request, only=None, limit=None, errors="raise", alias="glove", word_list=None)
        self._rows: Reader = read_text(named, whole)
        self._meta = meta
        self.dim, self.dtype = self._rows.dim, self._rows.dtype
        self.declared = len(words)
        self.expected = len(words)

    @property
    def skipped(self) -> Counter[str]:
        """No rows: malformed ones are errors."""
        return self._rows.skipped

    @property
    def meta(self) -> dict[str, Any]:
        """Description of the file."""
        return dict(self._meta)

    def first_words(self) -> Words:
        """Return all words, whatever the request is."""
        return self._words

    def __iter__(self) -> Iterator[Batch]:
        begin, limit = 0, self._request.limit
        try:
            for batch in self._rows:
                end = begin + len(batch.rows)
                if end > len(self._words):
                    raise self._mismatch(f"more than {len(self._words):,} rows")
                at = np.arange(begin, end if limit is None else min(end, limit))
                words = self._words.take(at)
                if self._request.only is not None:
                    at = at[self._request.only.lookup(words) >= 0]
                    words = self._words.take(at)
                if len(at):
                    yield Batch(words.data, words.offsets, np.ascontiguousarray(batch.rows[at - begin]))
                begin = end
                if limit is not None and begin >= limit:
                    return
        except FormatError as error:
            error.byte = None  # an offset after the words were put before the lines
            raise
        if begin != len(self._words):
            raise self._mismatch(f"{begin:,} rows")

    def _mismatch(self, found: str) -> FormatError:
        expected = f"one row for each of {len(self._words):,} words"
        return FormatError("not one word per row", file=self._name, found=found, expected=expected)


class _Named:
    """Stream of the lines of a source, with a word before each."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._begins = True
        """Whether the next byte begins a line."""
        self._ready = b""

    def read(self, count: int) -> bytes:
        if not self._ready:
            block = self._source.read(_BLOCK)
            if not block:
                return b""
            # A line that begins after the last byte may not exist.
            ends = block.endswith(b"\n")
            body = (
                block[:-1].replace(b"\n", b"\n" + _WORD) + block[-1:] if ends else block.replace(b"\n", b"\n" + _WORD)
            )
            self._ready = _WORD + body if self._begins else body
            self._begins = ends
        piece, self._ready = self._ready[:count], self._ready[count:]
        return piece


def open_table(source: Source, request: ReadRequest, meta: dict[str, Any]) -> NumberTable:
    """Return the reader of a table, with the words of the request or of the metadata file beside it.

    Raises
    ------
    FormatError
        If there are no words.
    """
    if request.word_list is not None:
        return NumberTable(source, request.word_list, request, meta)
    beside = metadata_beside(source)
    if beside is None:
        raise FormatError("a table of numbers without words", file=source.name, hint=WORDS_HINT)
    return NumberTable(source, read_table_of_words(beside), request, meta)
