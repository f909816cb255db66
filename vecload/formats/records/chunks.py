"""Chunks of records: cut a file into them, and parse one with kernels, on a worker thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import numpy as np

from vecload.arrays import INFINITE_FROM
from vecload.errors import FormatError
from vecload.formats.text.grammar import MalformedLine
from vecload.row_status import PADDING, PARSED, UNPARSED
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest
    from vecload.sources import Source

LONGEST_RECORD: Final = 1 << 23
"""Limit on the bytes of one record: 300,000 values of 27 characters fit."""
CHUNK_BYTES: int = 1 << 21
"""Number of bytes that are read together."""
UNREQUESTED: Final = 3
"""Status of a record whose word was not requested; the others are those of `vecload.kernels.plain_rows`."""


class Places(NamedTuple):
    """Memory for the words and lines of a chunk, which `Grammar.locate` fills: see `locate_delimited`."""

    words: npt.NDArray[np.uint8]
    word_ends: npt.NDArray[np.int64]
    out: npt.NDArray[np.uint8]
    line_starts: npt.NDArray[np.int32]
    line_stops: npt.NDArray[np.int32]
    status: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, size: int, records: int) -> Places:
        """Return memory for a chunk of the given number of bytes and records."""
        return cls(
            np.empty(size, dtype=np.uint8),
            np.empty(records, dtype=np.int64),
            np.empty(size + 2 * records + PADDING, dtype=np.uint8),
            np.empty(records, dtype=np.int32),
            np.empty(records, dtype=np.int32),
            np.empty(records, dtype=np.uint8),
        )


class Bounds(NamedTuple):
    """Memory for the bounds of records, which `Grammar.split` fills."""

    starts: npt.NDArray[np.int32]
    stops: npt.NDArray[np.int32]
    lines: npt.NDArray[np.int32]
    """Number of line feeds before each record, in the chunk."""


class Grammar(Protocol):
    """The records of one kind of file, and their layout in one file."""

    form: str
    """Name of the format."""
    dim: int
    """Number of values in a record."""
    begin: int
    """Offset of the first record."""
    blank_records: bool
    """Whether empty records are ignored, as blank lines are."""
    record_bytes: float
    """Average number of bytes of the first records."""

    def split(self, buffer: npt.NDArray[np.uint8], stop: int, bounds: Bounds, *, ended: bool) -> tuple[int, int]:
        """Fill the bounds of the complete records of a chunk; return their number, and the offset after them.

        Chunks are passed in file order. Raises MalformedLine for text outside of records.
        """

    def locate(self, buffer: npt.NDArray[np.uint8], bounds: Bounds, places: Places) -> None:
        """Find the words and values of a chunk. Several threads call it at the same time."""

    def decode(self, record: bytes) -> tuple[bytes, list[Any]]:
        """Return the word of a record, and its values as numbers or bytes that spell them.

        Raises MalformedLine if the record is invalid.
        """

    def unfinished(self) -> str | None:
        """Return why the file cannot end here, once all records are split; None if it can."""


class Chunk(NamedTuple):
    """Complete records: ``buffer[:stop]``, followed by padding, from byte `offset` of the file."""

    buffer: bytearray
    stop: int
    offset: int
    line: int
    """Number of line feeds before the chunk."""
    bounds: Bounds

    def record(self, at: int) -> bytes:
        """Return the bytes of a record."""
        return bytes(memoryview(self.buffer)[int(self.bounds.starts[at]) : int(self.bounds.stops[at])])


def read_chunks(source: Source, grammar: Grammar, spare: list[bytearray]) -> Iterator[Chunk]:
    """Read the source, and cut it after complete records.

    Parameters
    ----------
    source
        The opened file.
    grammar
        Its records.
    spare
        Buffers of earlier chunks that may be filled again.

    Raises
    ------
    FormatError
        For a record of more than `LONGEST_RECORD` bytes, text outside of records, or a file that ends too early.
    """
    line = source.read(grammar.begin).count(b"\n")
    offset = grammar.begin
    rest, ended = b"", False
    space = Bounds(*(np.empty(0, dtype=np.int32) for _ in range(3)))
    while not ended:
        buffer = spare.pop() if spare else bytearray()
        buffer[: len(rest)] = rest
        stop, count, cut = len(rest), 0, 0
        while not (cut or ended):
            size = stop + CHUNK_BYTES
            buffer.extend(bytes(max(0, size + PADDING - len(buffer))))
            with memoryview(buffer) as view:
                filled = source.readinto(view[stop:size])
            ended = filled < size - stop
            stop += filled
            if len(space.starts) < stop + 1:
                space = Bounds(*(np.empty(stop + 1, dtype=np.int32) for _ in range(3)))
            array = np.frombuffer(buffer, dtype=np.uint8)
            try:
                count, cut = grammar.split(array, stop, space, ended=ended)
            except MalformedLine as error:
                line += 1 + buffer.count(b"\n", 0, error.at)
                where: dict[str, Any] = {"file": source.name, "line": line, "byte": offset + error.at}
                raise FormatError(error.cause, **where, **error.sides) from None
            del array
            if not (cut or ended) and stop > LONGEST_RECORD:
                hint = "Check that this is a file of word vectors."
                found = f"more than {LONGEST_RECORD:,} bytes"
                raise FormatError("the record is too long", file=source.name, byte=offset, found=found, hint=hint)
        rest = bytes(memoryview(buffer)[cut:stop])
        bounds = Bounds(*(column[:count].copy() for column in space))
        feeds = int(np.count_nonzero(np.frombuffer(buffer, dtype=np.uint8, count=cut) == 10))
        yield Chunk(buffer, cut, offset, line, bounds)
        offset += cut
        line += feeds
    problem = grammar.unfinished()
    if problem is not None:
        hint = "The file is cut short: download or copy it again."
        raise FormatError(problem, file=source.name, byte=offset + len(rest), hint=hint)


class Task(NamedTuple):
    """A chunk to parse, and the memory for its rows: one for each record, or None to allocate it."""

    chunk: Chunk
    rows: npt.NDArray[Any] | None


class ParsedChunk(NamedTuple):
    """Records of a chunk, parsed as far as kernels can."""

    chunk: Chunk
    status: npt.NDArray[np.uint8]
    """Status of each record."""
    words: Words
    """Words of all records; those of unparsed records are empty."""
    rows: npt.NDArray[Any]
    numbers: npt.NDArray[np.int64] | None
    """Number of the record of each row; None if there is a row for each record."""


@dataclass(frozen=True)
class ChunkParser:
    """Parser of the chunks of one file; threads share it.

    Parameters
    ----------
    grammar
        The records of the file.
    request
        Rows to read.
    type_name
        Type that the values are rounded to.
    dtype
        Type of the parsed rows: float32 if `type_name` is that, else float64, which is rounded once, later.
    """

    grammar: Grammar
    request: ReadRequest
    type_name: str
    dtype: np.dtype[Any]

    def parse(self, task: Task) -> ParsedChunk:
        """Return the words and rows of a chunk."""
        chunk, rows = task
        records = len(chunk.bounds.starts)
        places = Places.of(chunk.stop, records)
        self.grammar.locate(np.frombuffer(chunk.buffer, dtype=np.uint8), chunk.bounds, places)
        status = places.status
        offsets = np.concatenate([[0], places.word_ends])
        # The words are copied, because they are kept after the memory of the chunk is used again.
        words = Words(places.words[: int(offsets[-1])].copy(), offsets)
        numbers = None
        if rows is None:
            chosen = status == PARSED
            if self.request.only is not None:
                unwanted = chosen & (self.request.only.lookup(words) < 0)
                status[unwanted] = UNREQUESTED
                chosen &= ~unwanted
            # A line that is too short to have `dim` values gets no row, so that memory is bounded by the file's size.
            short = chosen & (places.line_stops - places.line_starts < 2 * self.grammar.dim + 1)
            status[short] = UNPARSED
            chosen &= ~short
            numbers = None if chosen.all() else np.flatnonzero(chosen)
            rows = np.empty((records if numbers is None else len(numbers), self.grammar.dim), dtype=self.dtype)
        starts, stops = places.line_starts, places.line_stops
        if numbers is not None:
            starts, stops = starts[numbers], stops[numbers]
        parsed = parse_lines(places.out, starts, stops, INFINITE_FROM[self.type_name], rows)
        bad = np.flatnonzero(parsed != PARSED)
        if len(bad):
            at = bad if numbers is None else numbers[bad]
            status[at[status[at] == PARSED]] = UNPARSED
        return ParsedChunk(chunk, status, words, rows, numbers)


def parse_lines(
    out: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int32],
    stops: npt.NDArray[np.int32],
    limit: float,
    rows: npt.NDArray[Any],
) -> npt.NDArray[np.uint8]:
    """Parse lines of a mark and values into rows, and return their statuses."""
    from vecload.kernels import plain_rows, text_rows

    marks = np.empty((2, len(starts)), dtype=np.int32)
    status = np.empty(len(starts), dtype=np.uint8)
    if plain_rows.parse_plain(out, starts, stops, rows, marks[0], marks[1], status):
        text_rows.parse_lines(out, starts, stops, limit, rows, marks[0], marks[1], status)
    return status


def first_complete(source: Source, decode: Callable[[bytes, bool], Any]) -> Any:
    """Return ``decode(head, whole)`` of the shortest beginning of the file for which it is not None.

    `whole` says that the beginning is the whole file. Returns None if there is no such beginning of up to
    `LONGEST_RECORD` bytes.
    """
    size = 1 << 16
    while True:
        head = source.head(size)
        whole = len(head) < size
        found = decode(head, whole)
        if found is not None or whole or size > LONGEST_RECORD:
            return found
        size *= 2
