"""Read text vectors: chunks of lines on worker threads, their results in file order."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.arrays import narrowed, type_of
from vecload.errors import FormatError
from vecload.formats.contract import BaseReader, ReadRequest
from vecload.formats.table import Batch
from vecload.formats.text.chunks import (
    LONGEST_LINE,
    ChunkParser,
    ParsedChunk,
    Task,
    find_first_fields,
    line_too_long,
    read_chunks,
)
from vecload.formats.text.grammar import MalformedLine, parse_line
from vecload.formats.text.layout import HEAD, check_line_ends, find_layout, first_words
from vecload.formats.text.writer import HEADERS
from vecload.lazy import numba_loaded
from vecload.message_text import number_of
from vecload.row_status import BLANK, PARSED
from vecload.threads import ordered_map
from vecload.words import Words, pack
from vecload.words.doubts import join_doubts
from vecload.words.hashing import SOME

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from vecload.formats.contract import RowBuffer
    from vecload.sources import Source

_log = logging.getLogger("vecload")

_SMALL = 1 << 20
"""Bytes of a file of few lines up to which plain Python takes less time than importing numba."""


def read(source: Source, request: ReadRequest) -> Reader:
    r"""Return a reader of text vectors.

    Parameters
    ----------
    source
        The opened file.
    request
        Which rows to read. Its alias shows whether the first line is a header; without one, the lines show it.

    Raises
    ------
    FormatError
        If the first lines are not word vectors, or are longer than 8 MiB.

    Examples
    --------
    >>> import io
    >>> from vecload.sources import open_source
    >>> reader = read(open_source(io.BytesIO(b"cat 1 2\ndog 3 4\n")), ReadRequest())
    >>> reader.dim, [batch.rows.tolist() for batch in reader]
    (2, [[[1.0, 2.0], [3.0, 4.0]]])
    """
    return Reader(source, request, header=HEADERS.get(request.alias))


class Reader(BaseReader):
    """Reader of a file of text vectors, in file order; `read` makes it."""

    ngrams = None

    def __init__(self, source: Source, request: ReadRequest, *, header: bool | None) -> None:
        self._source = source
        self._request = request
        self._type = request.dtype or "float32"
        self.dtype = type_of(self._type)
        head = _first_lines(source)
        size = len(head) if len(source.head(len(head) + 1)) == len(head) else source.size
        self.layout = find_layout(head, source.name, size=size, header=header)
        self._head = head[self.layout.begin : head.rfind(b"\n") + 1 or None]
        self.dim = self.layout.dim
        self.declared = self.layout.declared
        self._line_bytes = (head.rfind(b"\n") + 1) / max(1, head.count(b"\n")) or float(len(head))
        few = size is not None and size <= _SMALL and size <= SOME * self._line_bytes
        self._parser = ChunkParser(
            self.dim,
            self._type,
            # Values are parsed to float32, or to float64 and then rounded once to any other type.
            np.dtype(np.float32 if self._type == "float32" else np.float64),
            self.layout.shared,
            None if request.only is None else find_first_fields(request.only),
            plain=few and request.only is None and not numba_loaded(),
        )
        self.skipped: Counter[str] = Counter()
        self.lines = int(self.declared is not None)
        """Number of lines read so far, including a header."""
        self.row_lines = 0
        """Number of lines with a row read so far, including skipped ones."""
        # Blank lines are errors only if a row follows: their number so far, and the line and byte of the first.
        self._blanks, self._first_blank = 0, (0, 0)

    @property
    def expected(self) -> int:
        """Number of rows, estimated from the average line; never more than the file's bytes can hold.

        Without a size, the estimate uses the share of the stored bytes that was read so far.
        """
        size = self._source.size
        if size is None:
            done, total = self._source.progress()
            read = self._source.reached * (total or done) / max(done, 1)
            return self.declared or int(read / self._line_bytes) + 1
        return min(self.declared or int(size / self._line_bytes * 1.01) + 1, size // (2 * self.dim) + 1)

    @property
    def meta(self) -> dict[str, Any]:
        """Description of the file, complete after the last batch."""
        meta: dict[str, Any] = {"format": "word2vec text" if self.declared is not None else "GloVe text"}
        if self.layout.header is not None:
            meta["header"] = self.layout.header
        if self.skipped:
            meta["skipped"] = dict(self.skipped)
        return meta

    @property
    def doubt(self) -> str | None:
        """Doubts about the header, and about spaces that all words share."""
        return join_doubts(self.layout.doubt, self.layout.shared.text)

    def first_words(self) -> Words:
        """Return the words of the first lines, whatever the request is."""
        return self.layout.shared.strip(first_words(self._head.split(b"\n"), self.dim))

    def __iter__(self) -> Iterator[Batch]:
        return self._batches(None)

    def read_into(self, buffer: RowBuffer) -> Iterator[Batch]:
        """Return the batches, with rows parsed into `buffer` unless some are skipped or converted."""
        return self._batches(buffer)

    def _batches(self, buffer: RowBuffer | None) -> Iterator[Batch]:
        limit = self._request.limit
        spare: list[bytearray] = []  # buffers of chunks that are done, to be filled again
        for parsed in self._parsed(self._tasks(spare, buffer)):
            batch = self._finish(parsed)
            spare.append(parsed.chunk.buffer)
            if len(batch.rows):
                yield batch
            if limit is not None and self.row_lines >= limit:
                return
        if self.declared is not None and self.declared != self.row_lines:
            self._report_count()

    def _parsed(self, tasks: Iterator[Task]) -> Iterator[ParsedChunk]:
        """Return the chunks, parsed on worker threads; a small file is parsed on this one."""
        if self._parser.plain:
            return map(self._parser.parse, tasks)
        from vecload.kernels import workers

        return ordered_map(tasks, self._parser.parse, workers())

    def _tasks(self, spare: list[bytearray], buffer: RowBuffer | None) -> Iterator[Task]:
        """Yield the chunks to parse, with the memory for their rows.

        Lines are counted here, before the chunk is parsed on another thread. The count gives the row of the matrix at
        which the next chunk begins, so chunks can be parsed in place, at the same time and in any order.
        """
        in_place = self._request.only is None and self._parser.dtype == self.dtype
        space = np.empty(0, dtype=np.int32)  # for the line ends of a chunk: at most one for each byte
        for chunk in read_chunks(self._source, self.layout.begin, spare):
            if len(space) < chunk.stop:
                space = np.empty(chunk.stop, dtype=np.int32)
            ends = self._parser.find_ends(chunk, space)
            rows = buffer.next_rows(len(ends)) if buffer is not None and in_place else None
            yield Task(chunk, ends, rows)

    def _report_count(self) -> None:
        found = number_of(self.row_lines, "row")
        if self._request.strict:
            expected = f"{self.declared:,}"
            raise FormatError("the header's count is wrong", file=self._source.name, found=found, expected=expected)
        _log.warning("%s: the header says %s rows, the file holds %s", self._source.name, self.declared, self.row_lines)

    def _finish(self, parsed: ParsedChunk) -> Batch:
        """Return the rows of a chunk, after the lines that the kernels left unparsed, in file order."""
        limit = self._request.limit
        if parsed.packed is not None and parsed.lines is None and limit is None and not self._blanks:
            # Nearly every chunk: all lines are rows, and all rows are requested.
            self.lines += parsed.total
            self.row_lines += parsed.total
            return Batch(*parsed.packed, narrowed(parsed.rows, self.dtype))
        # From here on there are lines to parse slowly, blank lines, or rows that were not requested.
        keep = parsed.status == PARSED
        blank = parsed.status == BLANK
        if parsed.lines is None:
            numbers = np.cumsum(~blank) - 1  # of the rows in this chunk
            count = len(blank) - int(np.count_nonzero(blank))
        else:
            numbers = parsed.lines
            count = parsed.total - parsed.blanks
        allowed = count if limit is None else min(count, limit - self.row_lines)
        wanted = numbers < allowed
        last = int(np.max(np.flatnonzero(wanted & ~blank), initial=-1))
        if count and self._blanks:
            self._refuse(MalformedLine("an empty line"), *self._first_blank, count=self._blanks)
            self._blanks = 0
        # Blank lines at the end of a file are fine. Whether the file ends here is known only with the next chunk.
        at_end = wanted & blank & (np.arange(len(blank)) > last)
        for at in np.flatnonzero(wanted & ~keep & ~at_end).tolist():
            if blank[at]:
                self._refuse(MalformedLine("an empty line"), *self._position(parsed, at))
            else:
                keep[at] = self._parse_slowly(parsed, at)
        if at_end.any() and not self._blanks:
            self._first_blank = self._position(parsed, int(np.argmax(at_end)))
        self._blanks += int(np.count_nonzero(at_end))
        self.lines += parsed.total
        self.row_lines += allowed
        return self._batch(parsed, keep & wanted)

    def _position(self, parsed: ParsedChunk, at: int) -> tuple[int, int]:
        """Return the line number and the offset in the file of a line of this chunk."""
        line = at if parsed.lines is None else int(parsed.lines[at])
        return self.lines + 1 + line, parsed.chunk.offset + int(parsed.starts[at])

    def _parse_slowly(self, parsed: ParsedChunk, at: int) -> bool:
        """Parse one line in Python into its row; return False if it is skipped."""
        start, stop = int(parsed.starts[at]), int(parsed.stops[at])
        text = bytes(memoryview(parsed.chunk.buffer)[start:stop])
        try:
            end, row = parse_line(text, self.dim, self._type, allow_nonfinite=self._request.allow_nonfinite)
        except MalformedLine as error:
            if parsed.chunk.unended and stop == parsed.chunk.stop - 1:
                error.sides["hint"] = "The file ends in the middle of this row: download or copy it again."
            self._refuse(error, *self._position(parsed, at))
            return False
        parsed.rows[at if parsed.full is None else np.searchsorted(parsed.full, at)] = row
        word = text[:end].rstrip(b" \t") if self.layout.shared.after else text[:end]
        parsed.word_starts[at], parsed.word_stops[at] = start, start + len(word)
        return True

    def _refuse(self, error: MalformedLine, line: int, byte: int, *, count: int = 1) -> None:
        """Raise the error of a malformed line, or count the line as skipped."""
        if self._request.errors != "skip":
            sides = {"file": self._source.name, "line": line, "byte": byte + error.at, **error.sides}
            raise FormatError(error.cause, **sides) from None
        self.skipped[error.cause] += count

    def _batch(self, parsed: ParsedChunk, keep: npt.NDArray[np.bool_]) -> Batch:
        rows, packed = parsed.rows, parsed.packed
        if not keep.all():
            rows, packed = rows[keep if parsed.full is None else keep[parsed.full]], None
        data, offsets = packed or pack(parsed.chunk.array(), parsed.word_starts[keep], parsed.word_stops[keep])
        if self._request.only is not None and len(rows):
            # The kernel compared only first fields: "New York" was kept for "New Orleans".
            found = Words(data, offsets)
            wanted = np.flatnonzero(self._request.only.lookup(found) >= 0)
            if len(wanted) < len(rows):
                chosen = found.take(wanted)
                data, offsets, rows = chosen.data, chosen.offsets, rows[wanted]
        return Batch(data, offsets, narrowed(rows, self.dtype))


def _first_lines(source: Source) -> bytes:
    """Return the first bytes of a file: at least 64 KiB, and three lines, if they are not too long."""
    head = source.head(HEAD)
    while len(head) <= LONGEST_LINE and head.count(b"\n") < 3:
        longer = source.head(min(2 * len(head), LONGEST_LINE + 1))
        if len(longer) == len(head):
            break
        head = longer
    if b"\n" not in head and len(head) > LONGEST_LINE:
        check_line_ends(head, source.name)
        raise line_too_long(source.name, 1, 0)
    return head
