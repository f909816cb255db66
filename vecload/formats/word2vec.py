r"""word2vec binary vectors, as word2vec.c, gensim and GoogleNews have them.

::

    header  "<rows> <dim>\n" in ASCII
    row     the word's bytes, a space, dim float32 (little-endian), and a line feed in most files

Whether rows end in a line feed is not said anywhere, and any byte of a value may be one: so line feeds in front of a
word are dropped, as word2vec.c does on reading (``distance.c``). A word holds no space, and no line feed in front.

Sources: word2vec.c (``word2vec.c``, ``distance.c``), gensim ``keyedvectors.py``.
"""

from __future__ import annotations

import logging
import re
from codecs import getincrementaldecoder
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import narrowed, type_of
from vecload.errors import FormatError
from vecload.formats.contract import NONFINITE_HINT, BaseReader, Batch
from vecload.formats.doubtful_words import DoubtfulWords
from vecload.formats.format import Format
from vecload.formats.text.grammar import numbers_at_end, split_fields
from vecload.formats.writing.counted import open_counted
from vecload.formats.writing.values import to_float32
from vecload.formats.writing.word_policy import WordPolicy
from vecload.message_text import quote
from vecload.saved import MAX_DIM
from vecload.words import Words, pack, read_only

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.sources import OutputStream, Source

NAME: Final = "word2vec binary"

_HEADER = re.compile(rb"^ *(\d{1,18}) +(\d{1,18}) *\r?\n")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_LONGEST_WORD = 1 << 16
_PRINTABLE = bytes(range(32, 127)) + b"\t\r\n"
_LINES = 20  # looked at to tell what a file is
_CHUNK = 1 << 20  # bytes of rows together: they stay in the caches until they are copied to their place
_UNHOLDABLE = b" \n"
_log = logging.getLogger("vecload")


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - every format is asked the same way
    """95 when a header's rows hold bytes that no text does."""
    header = _HEADER.match(head)
    if header is None:
        return 0
    dim = int(header[2])
    lines = map(split_fields, head[header.end() :].split(b"\n")[:_LINES])
    if any(len(fields) > dim and numbers_at_end(fields) >= dim for fields in lines):
        return 0
    at, values = header.end(), b""
    for _ in range(_LINES):
        at = head.find(b" ", at) + 1
        if not at or at > len(head):
            break
        values += head[at : at + 4 * dim]
        at += 4 * dim
    if 4 * len(values.translate(None, _PRINTABLE)) < len(values):  # of float32 values, two fifths are such bytes
        return 0  # a text, of which words or a few rows are damaged
    try:
        getincrementaldecoder("utf-8")().decode(values)
    except UnicodeDecodeError:
        return 95
    return 95 if _CONTROLS.search(values) else 0


class Reader(BaseReader):
    """Reads a word2vec binary file as batches, in file order; made by `read`."""

    ngrams = None

    def __init__(self, source: Source, request: ReadRequest) -> None:
        self._source = source
        self._request = request
        head = source.head(64)
        header = _HEADER.match(head)
        if header is None:
            found = quote(head.split(b"\n")[0])
            raise FormatError(
                "the header is missing",
                file=source.name,
                byte=0,
                found=found,
                expected="two whole numbers, rows and dimension",
            )
        self.declared, self.dim = int(header[1]), int(header[2])
        self._begin = header.end()
        least = self.declared * (4 * self.dim + 1)
        if not (self.declared and 0 < self.dim <= MAX_DIM):
            raise FormatError(
                "invalid sizes in the header", file=source.name, found=f"{self.declared:,} rows of {self.dim:,} values"
            )
        room = None if source.size is None else source.size - self._begin
        if room is not None and room < least and request.errors != "skip" and self._wanted > room // (4 * self.dim + 1):
            raise FormatError(
                "the file is shorter than its header says",
                file=source.name,
                found=f"{room:,} bytes of rows",
                expected=f"at least {least:,} for {self.declared:,} rows of {self.dim} values",
                hint="Download or copy it again. If only its end is missing, errors='skip' (--errors skip) reads the "
                "rows before.",
            )
        self.expected = self.declared if room is None else min(self.declared, room // (4 * self.dim + 1))
        self.dtype = type_of(request.dtype or "float32")
        self.skipped: Counter[str] = Counter()
        self._header = head[: self._begin].decode().strip()
        self._text_mode = head[: self._begin].endswith(b"\r\n")
        self._odd = DoubtfulWords()
        self._left_over = ""

    @property
    def _wanted(self) -> int:
        limit = self._request.limit
        return self.declared if limit is None else min(limit, self.declared)

    @property
    def meta(self) -> dict[str, Any]:
        """What is known of the file."""
        meta: dict[str, Any] = {"format": NAME, "header": self._header}
        doubts = [doubt for doubt in (self._odd.text, self._left_over) if doubt]
        if doubts:
            meta["doubt"] = "; ".join(doubts)
        return {**meta, "skipped": dict(self.skipped)} if self.skipped else meta

    def __iter__(self) -> Iterator[Batch]:
        from vecload.kernels import binary_rows

        source, width = self._source, 4 * self.dim
        source.read(self._begin)
        longest = _LONGEST_WORD + 1 + width
        starts, stops = np.empty((2, max(1, _CHUNK // width)), dtype=np.int64)
        block = bytearray(max(_CHUNK, longest) + longest)
        buffer = np.frombuffer(block, dtype=np.uint8)
        base = self._begin  # of the buffer in the file
        filled = done = 0
        while done < self._wanted:
            filled += source.readinto(memoryview(block)[filled:])
            ended = filled < len(buffer)
            at = 0
            while done < self._wanted:
                room = min(len(starts), self._wanted - done)
                count, behind = binary_rows.find_rows(
                    buffer, at, filled, width, _LONGEST_WORD, starts[:room], stops[:room]
                )
                if not count:
                    break
                feeds = starts[:count] - np.concatenate([[at], stops[: count - 1] + 1 + width])
                batch = self._batch(buffer, starts[:count], stops[:count], feeds, base)
                if len(batch.rows):
                    yield batch
                done, at = done + count, behind
            if done < self._wanted and (ended or filled - at >= longest):
                self._end_early(bytes(block[at:filled]), done, base + at)
                return
            block[: filled - at] = block[at:filled]
            base, filled = base + at, filled - at
        if self._wanted == self.declared:
            self._check_end(bytes(block[:filled]) + source.read(2), base)

    def _batch(
        self,
        buffer: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.int64],
        stops: npt.NDArray[np.int64],
        feeds: npt.NDArray[np.int64],
        base: int,
    ) -> Batch:
        from vecload.kernels import binary_rows

        data, offsets = pack(buffer, starts, stops)
        found = Words(data, offsets)
        self._odd.add(found, feeds)
        if self._text_mode and self._odd.mostly:
            self._check_step(base + int(starts[0]))
        begins = stops + 1
        if self._request.only is not None:
            wanted = np.flatnonzero(self._request.only.lookup(found) >= 0)
            chosen = found.take(wanted)
            data, offsets, begins = chosen.data, chosen.offsets, begins[wanted]
        rows = np.empty((len(begins), self.dim), dtype="<f4")
        binary_rows.copy_rows(buffer, begins, rows.view(np.uint8))
        batch = Batch(data, offsets, narrowed(rows, self.dtype))
        if not self._request.allow_nonfinite:
            bad = binary_rows.first_nonfinite(batch.rows.astype("<f4", copy=False).view(np.uint32))
            if bad < len(rows):
                batch = self._without_nonfinite(batch, bad, base + int(begins[bad]))
        return batch

    def _without_nonfinite(self, batch: Batch, first: int, byte: int) -> Batch:
        cause = f"a value that is not finite in {self.dtype.name}"
        words = Words(batch.data, batch.offsets)
        self._check_step(byte)
        if self._request.errors != "skip":
            found = f"one in the row of {quote(words.bytes(first))}"
            raise FormatError(cause, file=self._source.name, byte=byte, found=found, hint=NONFINITE_HINT)
        keep = np.flatnonzero(np.isfinite(batch.rows).all(axis=1))
        self.skipped[cause] += len(words) - len(keep)
        return batch.take(keep)

    def _check_step(self, byte: int) -> None:
        """Raise at the first other trouble if the words show that words and values are out of step.

        Skipping rows, or keeping them, would give wrong words with wrong values.
        """
        if not self._odd or (self._request.errors == "skip" and not self._odd.mostly):
            return
        again = " in binary mode: it may have been sent as text" if self._text_mode else ""
        raise FormatError(
            "words and values are out of step",
            file=self._source.name,
            byte=byte,
            found=self._odd.text,
            hint=f"Download or copy the file again{again}.",
        )

    def _end_early(self, rest: bytes, done: int, byte: int) -> None:
        """Report that the bytes `rest` hold no whole row, where there should be one."""
        self._check_step(byte)
        if len(rest) > _LONGEST_WORD and b" " not in rest[:_LONGEST_WORD].lstrip(b"\n"):
            found = f"no space in {_LONGEST_WORD:,} bytes"
            hint = "The dimension in the header may be wrong, or bytes are missing before here."
            raise FormatError("the word is too long", file=self._source.name, byte=byte, found=found, hint=hint)
        if self._request.errors != "skip":
            hint = "Download or copy the file again; errors='skip' (--errors skip) reads the rows that are there."
            found = f"{done:,} rows"
            expected = f"{self.declared:,}"
            raise FormatError(
                "the file is cut short", file=self._source.name, byte=byte, found=found, expected=expected, hint=hint
            )
        if self._request.strict:
            raise FormatError(
                "the header's count is wrong",
                file=self._source.name,
                found=f"{done:,} rows",
                expected=f"{self.declared:,}",
            )
        if rest.strip(b"\n"):
            self.skipped["a row cut short"] += 1
        _log.warning("%s: the header says %s rows, the file holds %s", self._source.name, self.declared, done)

    def _check_end(self, rest: bytes, byte: int) -> None:
        """Report bytes after the last row."""
        if not rest.strip(b"\r\n"):
            return
        if self._odd.mostly:
            self._check_step(byte)
        if self._request.strict:
            raise FormatError("bytes after the last row", file=self._source.name, byte=byte, found=quote(rest))
        self._left_over = f"there are bytes after the {self.declared:,} rows of the header, from byte {byte:,}"


def read(source: Source, request: ReadRequest) -> Reader:
    r"""Read word2vec binary vectors batch by batch.

    Raises
    ------
    FormatError
        For a header that claims more than the file holds, at once where its size is known; for a file cut short.

    Examples
    --------
    >>> import io
    >>> from vecload.sources import open_source
    >>> from vecload.formats.contract import ReadRequest
    >>> file = io.BytesIO(b"2 1\ncat \0\0\x80\x3f\ndog \0\0\0\x40\n")
    >>> [batch.rows.tolist() for batch in read(open_source(file), ReadRequest())]
    [[[1.0], [2.0]]]
    """
    return Reader(source, request)


def write(output: Path | OutputStream, table: RowStream, options: WriteOptions) -> Counter[str]:
    """Write word2vec binary vectors, with a line feed behind each row as word2vec.c does.

    Parameters
    ----------
    output
        The file, or a stream to it.
    table
        Its rows; values become float32.
    options
        `unencodable` applies to words with a space or a line feed.

    Returns
    -------
    Counter
        Rows left out.
    """
    from vecload.kernels import binary_rows

    policy = WordPolicy(NAME, _UNHOLDABLE, options.unencodable, empty=True)
    exact = table.rows is not None and options.unencodable != "skip"
    with open_counted(output, table.expected, lambda rows: f"{rows} {table.dim}\n".encode(), exact=exact) as file:
        for batch in map(policy.apply, table.batches()):
            rows = to_float32(batch, NAME).view(np.uint8)
            out = np.empty(len(batch.data) + len(rows) * (rows.shape[1] + 2), dtype=np.uint8)
            binary_rows.write_rows(read_only(batch.data), read_only(batch.offsets), read_only(rows), out)
            file.write(out, len(rows))
    return policy.dropped


FORMAT: Final = Format(
    name=NAME,
    aliases=("word2vec.bin",),
    detect=detect,
    read=read,
    write=write,
    write_stream=write,
    suffixes=(".bin",),
    options=("unencodable",),
)
