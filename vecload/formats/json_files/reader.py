"""Read JSON and JSON lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.errors import FormatError
from vecload.formats.json_files.layout import Layout, find_layout
from vecload.formats.records import Places, RecordReader
from vecload.formats.records.chunks import first_complete
from vecload.formats.text.grammar import MalformedLine
from vecload.message_text import quote
from vecload.words import encode

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest
    from vecload.formats.records.chunks import Bounds
    from vecload.sources import Source


def read(source: Source, request: ReadRequest) -> RecordReader:
    r"""Return a reader of JSON or JSON lines.

    Raises
    ------
    FormatError
        If the first records are not words and vectors.

    Examples
    --------
    >>> import io
    >>> from vecload.formats.contract import ReadRequest
    >>> from vecload.sources import open_source
    >>> reader = read(open_source(io.BytesIO(b'{"cat": [1, 2], "caf\\u00e9": [3, 4]}')), ReadRequest())
    >>> [(list(batch.words), batch.rows.tolist()) for batch in reader]
    [(['cat', 'café'], [[1.0, 2.0], [3.0, 4.0]])]
    """
    layout = first_complete(source, lambda head, whole: find_layout(head, whole=whole))
    if layout is None:
        head = source.head(80)
        expected = "words with lists of numbers"
        raise FormatError("no vectors in the first records", file=source.name, found=quote(head), expected=expected)
    return RecordReader(source, request, LineRecords(layout) if layout.lines else DocumentRecords(layout))


class _Records:
    """The part of a `Grammar` that JSON and JSON lines share."""

    form = "JSON"
    blank_records = False

    def __init__(self, layout: Layout) -> None:
        self.dim = layout.dim
        self.begin = layout.begin
        self.record_bytes = max(1.0, layout.record_bytes)
        self._layout = layout
        word, vector = (np.frombuffer(key.encode(errors="surrogatepass"), dtype=np.uint8) for key in layout[2:4])
        self._keys = word, vector

    def locate(self, buffer: npt.NDArray[np.uint8], bounds: Bounds, places: Places) -> None:
        """Find words and values."""
        from vecload.kernels import json_records

        kind = json_records.OBJECTS if self._layout.word_key else json_records.ENTRIES
        json_records.locate_json(buffer, bounds.starts, bounds.stops, kind, *self._keys, *places)

    def decode(self, record: bytes) -> tuple[bytes, list[Any]]:
        """Return the word and the values of a record."""
        text = record.decode("utf-8", "surrogateescape")
        layout = self._layout
        try:
            value = json.loads(text if layout.word_key else "{" + text + "}")
        except RecursionError:
            raise MalformedLine("invalid JSON", found="too many nested brackets") from None
        except ValueError as error:
            raise MalformedLine("invalid JSON", found=f"{quote(record.strip()[:60])} ({error})") from None
        if not isinstance(value, dict):
            raise MalformedLine("a record that is not an object", found=quote(record.strip()[:60]))
        if layout.word_key:
            if layout.word_key not in value or layout.vector_key not in value:
                missing = layout.vector_key if layout.word_key in value else layout.word_key
                raise MalformedLine("a record without a word or vector", found=f"no key {missing!r}")
            word, cells = value[layout.word_key], value[layout.vector_key]
        else:
            if len(value) != 1:
                raise MalformedLine("a record without a word or vector", found=quote(record.strip()[:60]))
            ((word, cells),) = value.items()
        if isinstance(word, int) and not isinstance(word, bool):
            word = str(word)
        if not isinstance(word, str):
            raise MalformedLine("a word that is not a string", found=repr(word)[:40])
        raw = encode(word)
        if raw is None:
            raise MalformedLine("a word that cannot be encoded as UTF-8", found=ascii(word)[:60])
        if not isinstance(cells, list):
            raise MalformedLine("a vector that is not a list", found=repr(cells)[:40])
        return raw, cells


class LineRecords(_Records):
    """Lines of JSON lines, as a `Grammar`."""

    form = "JSON lines"
    blank_records = True

    def split(self, buffer: npt.NDArray[np.uint8], stop: int, bounds: Bounds, *, ended: bool) -> tuple[int, int]:
        """Find the lines."""
        from vecload.kernels import delimited

        count, cut = delimited.split_delimited(buffer, stop, -1, ended, *bounds)
        return int(count), int(cut)

    def unfinished(self) -> str | None:
        """Return None: a file may end after any line."""
        return None


class DocumentRecords(_Records):
    """Entries of an object, or objects in a list, as a `Grammar`.

    An object may be followed by others, as in a file that has one on each line.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        closes = "}" if layout.opens == "{" else "]"
        self._state = np.array([0, ord(layout.opens), ord(closes), 0], dtype=np.int64)

    def split(self, buffer: npt.NDArray[np.uint8], stop: int, bounds: Bounds, *, ended: bool) -> tuple[int, int]:  # noqa: ARG002 - the end of a file is checked by `unfinished`
        """Find entries or objects."""
        from vecload.kernels import json_bounds

        count, cut = json_bounds.split_json(buffer, stop, self._state, *bounds)
        if count == json_bounds.MISMATCH:
            found = quote(bytes(buffer[cut : cut + 20]))
            raise MalformedLine("unexpected text after a record or the document", at=int(cut), found=found)
        return int(count), int(cut)

    def unfinished(self) -> str | None:
        """Return the error of a document whose last bracket is missing."""
        return "the JSON document does not end" if self._state[0] else None
