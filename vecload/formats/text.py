"""Text vectors: GloVe (no header), word2vec text and fastText .vec (header ``rows dim``).

One line a word, ended by a line feed; a carriage return before it is dropped. The last `dim` fields are the values and
everything before the separator in front of them is the word, byte for byte. Only the ASCII space and the tab separate
fields, so a word may hold U+00A0, U+3000 or U+0085, and spaces too. Trailing separators, as word2vec.c and fastText
write them, mean nothing. A UTF-8 byte order mark at the start of the file is dropped.

Chunks of lines are parsed by the kernels of `vecload.kernels.text_rows`, and the few lines that those leave open one
by one by `vecload.formats.lines`. Values are Python's ``float`` of the text, rounded to the requested type.

Sources: word2vec.c and glove.c (the writers), fastText's ``Vector`` stream operator, gensim ``save_word2vec_format``.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vecload.arrays import INFINITE_FROM, narrowed, type_of
from vecload.errors import FormatError
from vecload.formats.chunks import LONGEST_LINE, Chunk, line_too_long, read_chunks
from vecload.formats.contract import BaseReader, Batch, ReadRequest
from vecload.formats.format import Format
from vecload.formats.lines import (
    BOM,
    HEAD,
    Flaw,
    check_line_ends,
    fields_of,
    first_words,
    inspect,
    numbers_at_end,
    parse_line,
    preview,
)
from vecload.formats.printing import HEADERS, check_options, write
from vecload.threads import ordered_map
from vecload.words import Words, pack, read_only
from vecload.words.doubts import SharedSpaces

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from vecload.formats.contract import RowBuffer
    from vecload.sources import Source

NAME: Final = "text"
_log = logging.getLogger("vecload")


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - every format is asked the same way
    """80 when a line ends in numbers; 1 for any other text, so that the reader can say what is wrong with it."""
    lines = head.removeprefix(BOM).split(b"\n")[:20]
    return 80 if any(numbers_at_end(fields_of(line)) for line in lines) else 1


class _Task(NamedTuple):
    """A chunk, where its lines end, and where its rows shall lie if that is not their own business."""

    chunk: Chunk
    ends: npt.NDArray[np.int32]
    rows: npt.NDArray[Any] | None


class _Parsed(NamedTuple):
    """What the kernels made of a chunk: `total` lines, of which those numbered `lines` (None: all) were parsed.

    Empty lines are counted in `blanks` only where not all were parsed. Where all are fine, `packed` are their words.
    Only the lines numbered `full` (None: all) have an element of `rows`; the others are too short for one.
    """

    chunk: Chunk
    total: int
    blanks: int
    lines: npt.NDArray[np.int64] | None
    starts: npt.NDArray[np.int32]
    stops: npt.NDArray[np.int32]
    word_starts: npt.NDArray[np.int32]
    word_stops: npt.NDArray[np.int32]
    status: npt.NDArray[np.uint8]
    rows: npt.NDArray[Any]
    full: npt.NDArray[np.int64] | None
    packed: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]] | None


class Reader(BaseReader):
    """Reads a file of text vectors as batches, in file order; made by `read`."""

    def __init__(self, source: Source, request: ReadRequest, *, header: bool | None) -> None:
        self._source = source
        self._only = request.only
        self._limit = request.limit
        self._type = request.dtype or "float32"
        self._errors = request.errors
        self._strict = request.strict
        self._allow_nonfinite = request.allow_nonfinite
        self._heads = None if request.only is None else _heads(request.only)
        self.dtype = type_of(self._type)
        self._parsed = np.dtype(np.float32 if self._type == "float32" else np.float64)
        self.ngrams = None
        head = source.head(HEAD)
        while len(head) <= LONGEST_LINE and head.count(b"\n") < 3:
            longer = source.head(min(2 * len(head), LONGEST_LINE + 1))
            if len(longer) == len(head):
                break
            head = longer
        if b"\n" not in head and len(head) > LONGEST_LINE:
            check_line_ends(head, source.name)
            raise line_too_long(source.name, 1, 0)
        size = len(head) if len(source.head(len(head) + 1)) == len(head) else source.size
        self.layout = inspect(head, source.name, size=size, header=header)
        self._head = head[self.layout.begin : head.rfind(b"\n") + 1 or None]
        self.dim = self.layout.dim
        self.declared = self.layout.declared
        self.skipped: Counter[str] = Counter()
        self.lines = int(self.declared is not None)
        """Lines read so far, a header included."""
        self.row_lines = 0
        """Lines with a row read so far, skipped ones included."""
        self._blanks, self._first_blank = 0, (0, 0)  # empty lines without a row after them; place of the first
        self._average = (head.rfind(b"\n") + 1) / max(1, head.count(b"\n")) or float(len(head))  # bytes in a line

    @property
    def expected(self) -> int:
        """Rows, as the first lines go. A header is not to be believed: no file has more than its bytes can hold."""
        size = self._source.size
        if size is None:
            done, total = self._source.progress()
            return self.declared or int(self._source.reached * (total or done) / max(done, 1) / self._average) + 1
        return min(self.declared or int(size / self._average * 1.01) + 1, size // (2 * self.dim) + 1)

    @property
    def meta(self) -> dict[str, Any]:
        """What is known of the file after reading."""
        meta: dict[str, Any] = {"format": "word2vec text" if self.declared is not None else "GloVe text"}
        if self.layout.header is not None:
            meta["header"] = self.layout.header
        doubts = [doubt for doubt in (self.layout.doubt, self.layout.shared.text) if doubt]
        if doubts:
            meta["doubt"] = "; ".join(doubts)
        if self.skipped:
            meta["skipped"] = dict(self.skipped)
        return meta

    def first_words(self) -> Words:
        """Return the words of the first lines, whatever the request asks for."""
        return self.layout.shared.strip(first_words(self._head.split(b"\n"), self.dim))

    def __iter__(self) -> Iterator[Batch]:
        return self._batches(None)

    def read_into(self, buffer: RowBuffer) -> Iterator[Batch]:
        """Return the batches, with rows parsed into `buffer` unless some are skipped or converted."""
        return self._batches(buffer)

    def _batches(self, buffer: RowBuffer | None) -> Iterator[Batch]:
        from vecload.kernels import workers  # numba is loaded when there is something to parse

        spare: list[bytearray] = []  # buffers to fill again
        for parsed in ordered_map(self._tasks(spare, buffer), self._parse, workers()):
            batch = self._settle(parsed)
            spare.append(parsed.chunk.buffer)
            if len(batch.rows):
                yield batch
            if self._limit is not None and self.row_lines >= self._limit:
                return
        if self.declared is not None and self.declared != self.row_lines:
            self._report_count()

    def _report_count(self) -> None:
        found = f"{self.row_lines:,} rows"
        if self._strict:
            raise FormatError(
                "the header's count is wrong", file=self._source.name, found=found, expected=f"{self.declared:,}"
            )
        _log.warning("%s: the header says %s rows, the file holds %s", self._source.name, self.declared, self.row_lines)

    def _tasks(self, spare: list[bytearray], buffer: RowBuffer | None) -> Iterator[_Task]:
        """Chunks, where their lines end and where their rows belong: lines are found first, to know the latter."""
        from vecload.kernels import plain_rows

        straight = self._only is None and self._parsed == self.dtype  # else rows are made from those that are parsed
        room = np.empty(0, dtype=np.int32)  # for the ends of a chunk's lines, as many as it can have
        for chunk in read_chunks(self._source, self.layout.begin, spare):
            if len(room) < chunk.stop:
                room = np.empty(chunk.stop, dtype=np.int32)
            ends = room[: plain_rows.find_lines(chunk.bytes(), chunk.stop, room)].copy()
            yield _Task(chunk, ends, buffer.next_rows(len(ends)) if buffer is not None and straight else None)

    def _parse(self, task: _Task) -> _Parsed:
        """The part that runs on the threads: kernels only."""
        from vecload.kernels import hash_table, plain_rows, text_rows

        chunk, stops, rows = task
        buffer = chunk.bytes()
        total = len(stops)
        starts = np.concatenate([[0], stops[:-1] + 1], dtype=np.int32)
        if self.layout.shared.before:
            starts = SharedSpaces(before=True).bounds(buffer, starts, stops)[0].astype(np.int32)
        kept = None
        blanks = 0
        if self._heads is not None:
            blanks = int(np.count_nonzero(stops - starts <= 1))  # with its carriage return; no row is so short
            kept = np.empty(total, dtype=np.int64)
            heads = self._heads.data, self._heads.offsets, *self._heads.table
            kept = kept[: hash_table.match_first_fields(read_only(buffer), starts, stops, *heads, kept)]
            starts, stops = starts[kept], stops[kept]
        full = None
        if rows is None:
            # A header may promise thousands of values for lines of a few bytes, which are too short to get a row: the
            # shortest value is a digit and a separator.
            long_enough = stops - starts >= 2 * self.dim - 1
            full = None if long_enough.all() else np.flatnonzero(long_enough)
            rows = np.empty((len(starts) if full is None else len(full), self.dim), dtype=self._parsed)
        words = np.empty((2, len(rows)), dtype=np.int32)
        status = np.empty(len(rows), dtype=np.uint8)
        lines = buffer, *((starts, stops) if full is None else (starts[full], stops[full]))
        if plain_rows.parse_plain(*lines, rows, words[0], words[1], status):
            text_rows.parse_lines(*lines, INFINITE_FROM[self._type], rows, words[0], words[1], status)
        if full is not None:
            words, status = _with_short_lines(buffer, starts, stops, full, words, status)
        if self.layout.shared.after:
            fine = status == plain_rows.PARSED
            words[1][fine] = SharedSpaces(after=True).bounds(buffer, words[0][fine], words[1][fine])[1]
        packed = None if status.any() else pack(buffer, words[0], words[1])  # while the bytes are near
        return _Parsed(chunk, total, blanks, kept, starts, stops, words[0], words[1], status, rows, full, packed)

    def _settle(self, parsed: _Parsed) -> Batch:
        """Look at the lines the kernel left, in file order, and keep what was asked for."""
        from vecload.kernels.plain_rows import BLANK, PARSED

        if parsed.packed is not None and parsed.lines is None and self._limit is None and not self._blanks:
            self.lines += parsed.total  # nothing to look at, as in nearly every chunk
            self.row_lines += parsed.total
            return Batch(*parsed.packed, narrowed(parsed.rows, self.dtype))
        keep = parsed.status == PARSED
        blank = parsed.status == BLANK
        if parsed.lines is None:
            numbers = np.cumsum(~blank) - 1  # of each row in this chunk
            count = len(blank) - int(np.count_nonzero(blank))
        else:
            numbers = parsed.lines
            count = parsed.total - parsed.blanks
        room = count if self._limit is None else min(count, self._limit - self.row_lines)
        wanted = numbers < room
        last = int(np.max(np.flatnonzero(wanted & ~blank), initial=-1))
        if count and self._blanks:
            self._refuse(Flaw("an empty line"), *self._first_blank, count=self._blanks)
            self._blanks = 0
        # Empty lines at the end of a file mean nothing; whether it ends here, the next chunk tells.
        at_end = wanted & blank & (np.arange(len(blank)) > last)
        for at in np.flatnonzero(wanted & ~keep & ~at_end).tolist():
            if blank[at]:
                self._refuse(Flaw("an empty line"), *self._place_of(parsed, at))
            else:
                keep[at] = self._settle_line(parsed, at)
        if at_end.any() and not self._blanks:
            self._first_blank = self._place_of(parsed, int(np.argmax(at_end)))
        self._blanks += int(np.count_nonzero(at_end))
        self.lines += parsed.total
        self.row_lines += room
        return self._batch(parsed, keep & wanted)

    def _place_of(self, parsed: _Parsed, at: int) -> tuple[int, int]:
        """Return the line number and the offset in the file of a line of this chunk."""
        line = at if parsed.lines is None else int(parsed.lines[at])
        return self.lines + 1 + line, parsed.chunk.offset + int(parsed.starts[at])

    def _settle_line(self, parsed: _Parsed, at: int) -> bool:
        """Parse one line slowly into its row; false when it is left out."""
        start, stop = int(parsed.starts[at]), int(parsed.stops[at])
        text = bytes(memoryview(parsed.chunk.buffer)[start:stop])
        try:
            end, row = parse_line(text, self.dim, self._type, allow_nonfinite=self._allow_nonfinite)
        except Flaw as flaw:
            if parsed.chunk.unended and stop == parsed.chunk.stop - 1:
                flaw.sides["hint"] = "The file ends in the middle of this row: download or copy it again."
            self._refuse(flaw, *self._place_of(parsed, at))
            return False
        parsed.rows[at if parsed.full is None else np.searchsorted(parsed.full, at)] = row
        word = text[:end].rstrip(b" \t") if self.layout.shared.after else text[:end]
        parsed.word_starts[at], parsed.word_stops[at] = start, start + len(word)
        return True

    def _refuse(self, flaw: Flaw, line: int, byte: int, *, count: int = 1) -> None:
        if self._errors != "skip":
            raise FormatError(
                flaw.cause, file=self._source.name, line=line, byte=byte + flaw.at, **flaw.sides
            ) from None
        self.skipped[flaw.cause] += count

    def _batch(self, parsed: _Parsed, keep: npt.NDArray[np.bool_]) -> Batch:
        rows, packed = parsed.rows, parsed.packed
        if not keep.all():
            rows, packed = rows[keep if parsed.full is None else keep[parsed.full]], None
        data, offsets = packed or pack(parsed.chunk.bytes(), parsed.word_starts[keep], parsed.word_stops[keep])
        if self._only is not None and len(rows):  # so far only the words' first fields were looked up
            found = Words(data, offsets)
            wanted = np.flatnonzero(self._only.lookup(found) >= 0)
            if len(wanted) < len(rows):
                chosen = found.take(wanted)
                data, offsets, rows = chosen.data, chosen.offsets, rows[wanted]
        return Batch(data, offsets, narrowed(rows, self.dtype))


def _with_short_lines(
    buffer: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int32],
    stops: npt.NDArray[np.int32],
    full: npt.NDArray[np.int64],
    words: npt.NDArray[np.int32],
    status: npt.NDArray[np.uint8],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return the word bounds and statuses of all lines, given those of the lines `full`; the others are too short."""
    from vecload.kernels.plain_rows import BLANK, UNPARSED

    all_words = np.zeros((2, len(starts)), dtype=np.int32)
    all_status = np.full(len(starts), UNPARSED, dtype=np.uint8)
    all_words[:, full], all_status[full] = words, status
    # As the kernels do: without one carriage return at its end, a blank line holds separators only.
    stops = stops - ((stops > starts) & (buffer[stops - 1] == 13))
    separators = np.isin(buffer[: stops.max()], np.frombuffer(b" \t", dtype=np.uint8))
    others = np.concatenate([[0], np.cumsum(~separators)])
    blank = others[stops] == others[starts]
    blank[full] = False
    all_status[blank] = BLANK
    return all_words, all_status


def _heads(words: Words) -> Words:
    """The first fields of wanted words, as `match_first_fields` sees them: mostly the words themselves."""
    if not np.isin(words.data, (9, 32)).any():
        return words
    raws = (words.bytes(row).replace(b"\t", b" ") for row in range(len(words)))
    return Words.from_bytes(sorted({raw.partition(b" ")[0] for raw in raws}))


def read(source: Source, request: ReadRequest) -> Reader:
    r"""Read text vectors batch by batch.

    Parameters
    ----------
    source
        The opened file.
    request
        What to read of it; the values of rows not asked for are not looked at.
    header
        Whether the first line is a header; None to tell from the lines.

    Raises
    ------
    FormatError
        When the file is none of text vectors, at once or on the way.

    Examples
    --------
    >>> import io
    >>> from vecload.sources import open_source
    >>> reader = read(open_source(io.BytesIO(b"cat 1 2\ndog 3 4\n")), ReadRequest())
    >>> reader.dim, [batch.rows.tolist() for batch in reader]
    (2, [[[1.0, 2.0], [3.0, 4.0]]])
    """
    return Reader(source, request, header=HEADERS.get(request.alias))


FORMAT: Final = Format(
    name=NAME,
    aliases=tuple(HEADERS),
    detect=detect,
    read=read,
    preview=preview,
    write=write,
    write_stream=write,
    check_options=check_options,
    suffixes=(".txt", ".vec"),
    options=("precision", "unencodable"),
)
