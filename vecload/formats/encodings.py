"""Read files whose text is not UTF-8: words become UTF-8, which is the only encoding that the rest of vecload knows.

Text files are decoded as a whole, before their lines are parsed. In binary formats only the words are text: those of
each batch are decoded, and those of a request are encoded.
"""

from __future__ import annotations

import codecs
import dataclasses
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.errors import FormatError, OptionError
from vecload.formats.contract import BaseReader
from vecload.formats.table import Batch
from vecload.lazy import LazyModule
from vecload.message_text import quote
from vecload.sources import Source
from vecload.words import Words

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

    from vecload.formats.contract import Reader, ReadRequest, RowBuffer
    from vecload.ngrams import NgramTable
    from vecload.text_input import lines
else:
    lines = LazyModule("vecload.text_input.lines")

_BLOCK: Final = 1 << 18
_FIRST: Final = 64
_CAUSE: Final = "a word that is not in the encoding"


def check_encoding(name: str) -> str:
    """Return the standard name of a text encoding.

    Raises
    ------
    OptionError
        If Python does not know it, or it is not an encoding of text.

    Examples
    --------
    >>> check_encoding("latin-1"), check_encoding("UTF8")
    ('iso8859-1', 'utf-8')
    """
    try:
        found = codecs.lookup(name)
        "".encode(found.name)
    except (LookupError, TypeError) as error:
        raise OptionError(f"encoding={name!r} is not a text encoding that Python knows, such as 'cp1252'") from error
    return found.name


def is_wide(encoding: str | None) -> bool:
    """Return whether characters have more than one byte even in ASCII, so that no format recognizes the text."""
    return encoding is not None and len("a\n".encode(encoding).replace(b"\xff\xfe", b"")) != 2


def find_wide_encoding(head: bytes, *, whole: bool) -> str | None:
    """Return UTF-16 or UTF-32 for the first bytes of such a text, else None.

    Parameters
    ----------
    head
        The first bytes.
    whole
        Whether the text has no further bytes, so that its last character must be complete.

    Examples
    --------
    >>> find_wide_encoding("cat 1 2".encode("utf-16"), whole=True), find_wide_encoding(b"cat 1 2", whole=True)
    ('utf-16-le', None)
    """
    # Vectors have digits and spaces, so that every row has zero bytes, which text in UTF-8 does not have.
    if b"\0" not in head[:_FIRST]:
        return None
    encoding = lines.detect_encoding(head)
    if not is_wide(encoding):
        return None
    # Binary files with zero bytes at odd or even offsets are rarely valid for long.
    try:
        codecs.getincrementaldecoder(encoding)().decode(head, whole)
    except UnicodeDecodeError:
        return None
    return encoding


def decoded_source(source: Source, encoding: str) -> Source:
    """Return the text of a source as UTF-8, without a byte order mark.

    Raises
    ------
    FormatError
        While it is read, if the bytes are invalid in the encoding.
    """
    return Source(source.name, _Decoded(source, encoding).read, compression=source.compression, close=source.close,
                  parent=source)  # fmt: skip


class _Decoded:
    def __init__(self, source: Source, encoding: str) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._encoding = encoding
        self._ready = b""
        self._begins = True

    def read(self, count: int) -> bytes:
        while not self._ready:
            begin = self._source.position
            block = self._source.read(_BLOCK)
            try:
                text = self._decoder.decode(block, not block)
            except UnicodeDecodeError as error:
                problem = f"invalid {self._encoding} ({error.reason})"
                raise FormatError(problem, file=self._source.name, byte=begin + error.start) from error
            if self._begins and text:
                text, self._begins = text.removeprefix("\ufeff"), False
            self._ready = text.encode("utf-8", "surrogatepass")
            if not block:
                break
        piece, self._ready = self._ready[:count], self._ready[count:]
        return piece


class DecodedWords(BaseReader):
    """Reader that decodes the words of another reader.

    Parameters
    ----------
    open_reader
        Function that returns the other reader, for a request in the encoding of the file.
    request
        The request, in UTF-8.
    encoding
        Encoding of the words in the file.
    name
        Name of the file, for error messages.

    Notes
    -----
    N-grams are hashes of the bytes in the file, so other words are encoded before they are composed. Doubts of the
    other reader are not reported: it judges words as UTF-8. `vecload.reading` checks the decoded words.
    """

    def __init__(
        self, open_reader: Callable[[ReadRequest], Reader], request: ReadRequest, encoding: str, name: str
    ) -> None:
        only = None if request.only is None else _encoded(request.only, encoding)
        self._reader = open_reader(dataclasses.replace(request, only=only))
        self._request = request
        self._encoding = encoding
        self._name = name
        self.dim, self.dtype = self._reader.dim, self._reader.dtype
        self.declared, self.expected = self._reader.declared, self._reader.expected

    @property
    def skipped(self) -> Counter[str]:
        """Number of skipped rows, by cause."""
        return self._reader.skipped

    @property
    def meta(self) -> dict[str, Any]:
        """Description of the file, with its encoding."""
        return {**self._reader.meta, "encoding": self._encoding}

    @property
    def ngrams(self) -> NgramTable | None:
        """Character n-grams of the file, for words in UTF-8."""
        table = self._reader.ngrams
        return None if table is None else table.with_encoding(self._encoding)

    def first_words(self) -> Words | None:
        """Return the first words of the file; characters that cannot be decoded are replaced."""
        words = self._reader.first_words()
        if words is None:
            return None
        return Words.from_strings([words.bytes(at).decode(self._encoding, "replace") for at in range(len(words))])

    def __iter__(self) -> Iterator[Batch]:
        return map(self._decoded, iter(self._reader))

    def read_into(self, buffer: RowBuffer) -> Iterator[Batch]:
        """Return the batches; rows are slices of `buffer` where the other reader can parse in place."""
        return map(self._decoded, self._reader.read_into(buffer))

    def _decoded(self, batch: Batch) -> Batch:
        words, kept = [], np.ones(len(batch.rows), dtype=np.bool_)
        packed = batch.words
        for at in range(len(kept)):
            raw = packed.bytes(at)
            try:
                words.append(raw.decode(self._encoding).encode())
            except UnicodeError as error:
                if self._request.errors != "skip":
                    hint = "Name another encoding, or skip such rows with errors='skip' (--errors skip)."
                    raise FormatError(
                        _CAUSE, file=self._name, found=quote(raw), expected=self._encoding, hint=hint
                    ) from error
                kept[at] = False
                self._reader.skipped[_CAUSE] += 1
        new = Words.from_bytes(words)
        return Batch(new.data, new.offsets, batch.rows if kept.all() else batch.rows[kept])


def _encoded(words: Words, encoding: str) -> Words:
    """Return the words in another encoding; those that it cannot represent are not in the file."""
    some = []
    for word in words:
        try:
            some.append(word.encode(encoding))
        except UnicodeError:
            continue
    return Words.from_bytes(some)
