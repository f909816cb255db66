"""Chunks of lines: cut a text into them, and parse one with kernels, on a worker thread.

Kernels parse nearly all lines. The other lines, and the choice between errors and skipped rows, depend on the lines
before them: `vecload.formats.text.reader` handles them in file order, on one thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vecload.arrays import INFINITE_FROM
from vecload.errors import FormatError
from vecload.row_status import BLANK, PADDING, PARSED, UNPARSED
from vecload.words import Words, pack, read_only
from vecload.words.doubts import SharedSpaces

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from vecload.sources import Source

LONGEST_LINE: Final = 1 << 23
"""Limit on the bytes of one line: 300,000 values of 27 characters fit."""

_FEED: Final = 10

# A chunk fits the processor's caches and is large enough that passing it to a thread costs nothing in comparison.
CHUNK_BYTES: int = 1 << 21
"""Number of bytes that are read together."""


class Chunk(NamedTuple):
    """Whole lines: ``buffer[:stop]``, followed by the padding that kernels need, from byte `offset` of the file."""

    buffer: bytearray
    stop: int
    offset: int
    unended: bool
    """Whether the file ends with the last line of this chunk, without a line feed."""

    def array(self) -> npt.NDArray[np.uint8]:
        """Return the buffer as kernels take it."""
        return np.frombuffer(self.buffer, dtype=np.uint8)


def line_too_long(name: str, line: int | None, byte: int) -> FormatError:
    """Return the error for a line of more than `LONGEST_LINE` bytes."""
    hint = "Check that this is a file of word vectors."
    found = f"no line feed in {LONGEST_LINE:,} bytes"
    return FormatError("the line is too long", file=name, line=line, byte=byte, found=found, hint=hint)


def read_chunks(source: Source, begin: int, spare: list[bytearray]) -> Iterator[Chunk]:
    """Read the source from byte `begin` and cut it after line feeds; a missing last line feed is added.

    Parameters
    ----------
    source
        The opened file.
    begin
        Offset of the first line, whose bytes are skipped.
    spare
        Buffers of earlier chunks that may be filled again.

    Raises
    ------
    FormatError
        For a line of more than `LONGEST_LINE` bytes.
    """
    source.read(begin)
    offset = begin
    rest, ended = b"", False
    while not ended:
        buffer = spare.pop() if spare else bytearray()
        buffer[: len(rest)] = rest
        stop, cut = len(rest), 0
        # A line longer than a chunk grows the buffer in place: copies of it would cost several times its size.
        while not (cut or ended):
            size = stop + CHUNK_BYTES
            buffer.extend(bytes(max(0, size + PADDING - len(buffer))))
            with memoryview(buffer) as view:
                count = source.readinto(view[stop:size])
            ended = count < size - stop
            cut = buffer.rfind(b"\n", stop, stop + count) + 1
            stop += count
            if stop - cut > LONGEST_LINE:
                raise line_too_long(source.name, None, offset + cut)
        if not ended:
            rest = bytes(memoryview(buffer)[cut:stop])
            yield Chunk(buffer, cut, offset, unended=False)
            offset += cut
    # Programs of DOS and CP/M end text files with Ctrl-Z.
    if buffer[cut:stop] == b"\x1a":
        stop = cut
    if stop > cut:
        buffer[stop] = 10
    if stop:
        yield Chunk(buffer, stop + (stop > cut), offset, unended=stop > cut)


class Task(NamedTuple):
    """A chunk to parse."""

    chunk: Chunk
    ends: npt.NDArray[np.int32]
    """Offset of each line feed in the chunk."""
    rows: npt.NDArray[Any] | None
    """Memory for the rows, one for each line; None to allocate it."""


class ParsedChunk(NamedTuple):
    """Lines of a chunk, parsed as far as kernels can."""

    chunk: Chunk
    total: int
    """Number of lines in the chunk."""
    blanks: int
    """Number of blank lines, counted only if `lines` is given."""
    lines: npt.NDArray[np.int64] | None
    """Numbers of the lines that were parsed, because their word may be a requested one; None for all lines."""
    starts: npt.NDArray[np.int32]
    """Offset of each parsed line."""
    stops: npt.NDArray[np.int32]
    """Offset of the end of each parsed line."""
    word_starts: npt.NDArray[np.int32]
    word_stops: npt.NDArray[np.int32]
    status: npt.NDArray[np.uint8]
    """Status of each parsed line, as `vecload.kernels.plain_rows` defines it."""
    rows: npt.NDArray[Any]
    """Values, shape (number of lines long enough for a row, dim)."""
    full: npt.NDArray[np.int64] | None
    """Positions of the parsed lines that are long enough for a row; None for all."""
    packed: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]] | None
    """Packed words, if all lines were parsed without trouble."""


@dataclass(frozen=True)
class ChunkParser:
    """Parser of the chunks of one file; threads share it.

    Parameters
    ----------
    dim
        Number of values in a row.
    type_name
        Type that the values are rounded to.
    dtype
        Type of the parsed rows: float32 if `type_name` is that, else float64, which is rounded once, later.
    shared
        Spaces to remove from the start or end of each word.
    first_fields
        First fields of the requested words; None if all rows are requested.
    plain
        Whether to leave all lines to the reader, which parses them in plain Python.
    """

    dim: int
    type_name: str
    dtype: np.dtype[Any]
    shared: SharedSpaces
    first_fields: Words | None
    plain: bool

    def find_ends(self, chunk: Chunk, space: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return the offset of each line feed in a chunk; `space` is memory for at least as many as it has bytes."""
        if self.plain:
            return np.flatnonzero(chunk.array()[: chunk.stop] == _FEED).astype(np.int32)
        from vecload.kernels import plain_rows

        return space[: plain_rows.find_lines(chunk.array(), chunk.stop, space)].copy()

    def parse(self, task: Task) -> ParsedChunk:
        """Return the words and rows of a chunk."""
        chunk, stops, rows = task
        buffer = chunk.array()
        total = len(stops)
        starts = np.concatenate([[0], stops[:-1] + 1], dtype=np.int32)
        if self.shared.before:
            starts = SharedSpaces(before=True).bounds(buffer, starts, stops)[0].astype(np.int32)
        kept = None
        blanks = 0
        if self.first_fields is not None:
            # A line of one byte, with or without a carriage return, is too short for a row.
            blanks = int(np.count_nonzero(stops - starts <= 1))
            kept = np.empty(total, dtype=np.int64)
            from vecload.kernels import hash_table

            fields = self.first_fields.data, self.first_fields.offsets, *self.first_fields.table
            kept = kept[: hash_table.match_first_fields(read_only(buffer), starts, stops, *fields, kept)]
            starts, stops = starts[kept], stops[kept]
        full = None
        if rows is None:
            # A header may claim thousands of values for lines of a few bytes. Lines that are too short to have `dim`
            # values get no row, so that no file makes the reader allocate much more than its own size: the shortest
            # value is a digit, and values have a separator between them.
            long_enough = stops - starts >= 2 * self.dim - 1
            full = None if long_enough.all() else np.flatnonzero(long_enough)
            rows = np.empty((len(starts) if full is None else len(full), self.dim), dtype=self.dtype)
        words = np.empty((2, len(rows)), dtype=np.int32)
        status = np.empty(len(rows), dtype=np.uint8)
        lines = buffer, *((starts, stops) if full is None else (starts[full], stops[full]))
        if self.plain:
            status[:] = np.where(_are_blank(*lines), BLANK, UNPARSED)
        else:
            from vecload.kernels import plain_rows, text_rows

            if plain_rows.parse_plain(*lines, rows, words[0], words[1], status):
                text_rows.parse_lines(*lines, INFINITE_FROM[self.type_name], rows, words[0], words[1], status)
        if full is not None:
            words, status = _with_short_lines(buffer, starts, stops, full, words, status)
        if self.shared.after:
            fine = status == PARSED
            words[1][fine] = SharedSpaces(after=True).bounds(buffer, words[0][fine], words[1][fine])[1]
        # Words are packed here, and not by the reader, while their bytes are still in the processor's caches.
        packed = None if status.any() else pack(buffer, words[0], words[1])
        return ParsedChunk(chunk, total, blanks, kept, starts, stops, words[0], words[1], status, rows, full, packed)


def find_first_fields(words: Words) -> Words:
    """Return the first fields of words, as `match_first_fields` compares them: mostly the words themselves."""
    if not np.isin(words.data, (9, 32)).any():
        return words
    raws = (words.bytes(row).replace(b"\t", b" ") for row in range(len(words)))
    return Words.from_bytes(sorted({raw.partition(b" ")[0] for raw in raws}))


def _with_short_lines(
    buffer: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int32],
    stops: npt.NDArray[np.int32],
    full: npt.NDArray[np.int64],
    words: npt.NDArray[np.int32],
    status: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return the word bounds and statuses of all lines, given those of the lines `full`; the others are too short."""
    all_words = np.zeros((2, len(starts)), dtype=np.int32)
    all_status = np.full(len(starts), UNPARSED, dtype=np.uint8)
    all_words[:, full], all_status[full] = words, status
    blank = _are_blank(buffer, starts, stops)
    blank[full] = False
    all_status[blank] = BLANK
    return all_words, all_status


def _are_blank(
    buffer: npt.NDArray[np.uint8], starts: npt.NDArray[np.int32], stops: npt.NDArray[np.int32]
) -> npt.NDArray[np.bool_]:
    """Return which lines hold only separators before one carriage return at the end: the same as the kernels find."""
    stops = stops - ((stops > starts) & (buffer[stops - 1] == 13))
    separators = np.isin(buffer[: stops.max(initial=0)], np.frombuffer(b" \t", dtype=np.uint8))
    # Running totals of the other bytes show, for all lines at once, which lines contain none.
    others = np.concatenate([[0], np.cumsum(~separators)])
    return np.asarray(others[stops] == others[starts])
