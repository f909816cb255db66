"""`RecordReader`: chunks of records on worker threads, their results in file order."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.arrays import narrowed, type_of
from vecload.errors import FormatError
from vecload.formats.contract import NONFINITE_HINT, BaseReader, ReadRequest
from vecload.formats.records.chunks import ChunkParser, Grammar, ParsedChunk, Task, read_chunks
from vecload.formats.table import Batch
from vecload.formats.text.grammar import MalformedLine, parse_value
from vecload.message_text import number_of, quote
from vecload.row_status import BLANK, PARSED, UNPARSED
from vecload.threads import ordered_map
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from vecload.formats.contract import RowBuffer
    from vecload.sources import Source


class RecordReader(BaseReader):
    """Reader of a file of records.

    Parameters
    ----------
    source
        The opened file.
    request
        Rows to read, and their type: None for float32.
    grammar
        The records of the file.
    """

    ngrams = None
    declared = None

    def __init__(self, source: Source, request: ReadRequest, grammar: Grammar) -> None:
        self._source = source
        self._request = request
        self._grammar = grammar
        self._type = request.dtype or "float32"
        self.dtype = type_of(self._type)
        self.dim = grammar.dim
        parsed = np.dtype(np.float32 if self._type == "float32" else np.float64)
        self._parser = ChunkParser(grammar, request, self._type, parsed)
        self.skipped: Counter[str] = Counter()
        self._records = 0
        """Number of records read so far, including skipped ones."""

    @property
    def expected(self) -> int:
        """Number of rows, estimated from the first records; never more than the file's bytes can hold."""
        size = self._source.size
        if size is None:
            done, total = self._source.progress()
            read = self._source.reached * (total or done) / max(done, 1)
            return int(read / self._grammar.record_bytes) + 1
        return min(int(size / self._grammar.record_bytes * 1.01) + 1, size // (2 * self.dim) + 1)

    @property
    def meta(self) -> dict[str, Any]:
        """Description of the file, complete after the last batch."""
        meta: dict[str, Any] = {"format": self._grammar.form}
        return {**meta, "skipped": dict(self.skipped)} if self.skipped else meta

    def __iter__(self) -> Iterator[Batch]:
        return self._batches(None)

    def read_into(self, buffer: RowBuffer) -> Iterator[Batch]:
        """Return the batches, with rows parsed into `buffer` unless some are skipped or converted."""
        return self._batches(buffer)

    def _batches(self, buffer: RowBuffer | None) -> Iterator[Batch]:
        from vecload.kernels import workers  # numba is loaded only when there is something to parse

        limit = self._request.limit
        spare: list[bytearray] = []
        for parsed in ordered_map(self._tasks(spare, buffer), self._parser.parse, workers()):
            batch = self._finish(parsed)
            spare.append(parsed.chunk.buffer)
            if len(batch.rows):
                yield batch
            if limit is not None and self._records >= limit:
                return

    def _tasks(self, spare: list[bytearray], buffer: RowBuffer | None) -> Iterator[Task]:
        in_place = self._request.only is None and self._parser.dtype == self.dtype
        for chunk in read_chunks(self._source, self._grammar, spare):
            rows = buffer.next_rows(len(chunk.bounds.starts)) if buffer is not None and in_place else None
            yield Task(chunk, rows)

    def _finish(self, parsed: ParsedChunk) -> Batch:
        """Return the rows of a chunk, after parsing the records that the kernels left, in file order."""
        limit = self._request.limit
        status, words, rows = parsed.status, parsed.words, parsed.rows
        if parsed.numbers is None and limit is None and not status.any():
            self._records += len(status)
            return Batch(words.data, words.offsets, narrowed(rows, self.dtype))
        counted = status != BLANK if self._grammar.blank_records else np.ones(len(status), dtype=np.bool_)
        if limit is not None:
            wanted = np.cumsum(counted) <= limit - self._records
            counted &= wanted
        self._records += int(np.count_nonzero(counted))
        keep = counted & (status == PARSED)
        slow: dict[int, tuple[bytes, npt.NDArray[Any]]] = {}
        for at in np.flatnonzero(counted & ((status == UNPARSED) | (status == BLANK))).tolist():
            found = self._parse_slowly(parsed, at)
            if found is not None:
                slow[at] = found
        if not slow:
            at_rows = keep if parsed.numbers is None else keep[parsed.numbers]
            some = words.take(np.flatnonzero(keep))
            return Batch(some.data, some.offsets, narrowed(rows[at_rows], self.dtype))
        keep[list(slow)] = True
        kept = np.flatnonzero(keep).tolist()
        positions = (
            np.arange(len(status))
            if parsed.numbers is None
            else np.searchsorted(parsed.numbers, np.arange(len(status)))
        )
        raws = [slow[at][0] if at in slow else words.bytes(at) for at in kept]
        values = [slow[at][1] if at in slow else rows[positions[at]] for at in kept]
        packed = Words.from_bytes(raws)
        return Batch(packed.data, packed.offsets, narrowed(np.stack(values), self.dtype))

    def _parse_slowly(self, parsed: ParsedChunk, at: int) -> tuple[bytes, npt.NDArray[Any]] | None:
        """Parse one record in plain Python; return None if it is skipped, or its word is not requested."""
        record = parsed.chunk.record(at)
        try:
            word, values = self._grammar.decode(record)
            only = self._request.only
            if only is not None and only.lookup(Words.from_bytes([word]))[0] < 0:
                return None
            return word, self._row(values)
        except MalformedLine as error:
            if self._request.errors == "skip":
                self.skipped[error.cause] += 1
                return None
            blanks = record[: len(record) - len(record.lstrip())]
            line = parsed.chunk.line + int(parsed.chunk.bounds.lines[at]) + blanks.count(b"\n") + 1
            byte = parsed.chunk.offset + int(parsed.chunk.bounds.starts[at]) + len(blanks)
            where: dict[str, Any] = {"file": self._source.name, "line": line, "byte": byte}
            raise FormatError(error.cause, **where, **error.sides) from None

    def _row(self, cells: list[Any]) -> npt.NDArray[Any]:
        """Return the values of a row, rounded once to the requested type and stored in the type of parsed rows."""
        if len(cells) != self.dim:
            cause = "too few values" if len(cells) < self.dim else "too many values"
            raise MalformedLine(cause, found=number_of(len(cells), "value"), expected=str(self.dim))
        values = np.empty(self.dim, dtype=np.float64)
        for column, cell in enumerate(cells):
            value = _number(cell)
            if value is None:
                found = quote(cell) if isinstance(cell, bytes) else repr(cell)[:40]
                cause = "a missing value" if cell in (b"", None) else "a value that is not a number"
                raise MalformedLine(cause, found=found, expected=number_of(self.dim, "number"))
            values[column] = value
        with np.errstate(over="ignore", invalid="ignore"):
            row = narrowed(values, self.dtype)
        bad = np.flatnonzero(~np.isfinite(row))
        if len(bad) and not self._request.allow_nonfinite:
            cell = cells[bad[0]]
            found = quote(cell) if isinstance(cell, bytes) else repr(cell)[:40]
            raise MalformedLine(f"a value that is not finite in {self._type}", found=found, hint=NONFINITE_HINT)
        return row


def _number(cell: Any) -> float | None:
    """Return the number of a cell: bytes that spell it, or a number of JSON."""
    if isinstance(cell, bytes):
        return parse_value(cell)
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        try:
            return float(cell)
        except OverflowError:
            return np.inf if cell > 0 else -np.inf
    return None
