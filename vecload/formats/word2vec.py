r"""word2vec binary vectors, as word2vec.c and gensim write them (GoogleNews).

::

    header  "<rows> <dim>\n" in ASCII
    row     the word's bytes, a space, dim float32 (little-endian), and a line feed in most files

No field of a file records whether its rows end in line feeds, and any byte of a value may be one. So line feeds before
a word are dropped, as word2vec.c does when it reads (``distance.c``). A word cannot contain a space, or begin with a
line feed.

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
from vecload.formats.contract import BaseReader, skip_nonfinite
from vecload.formats.doubtful_words import DoubtfulWords
from vecload.formats.format import Format
from vecload.formats.table import Batch
from vecload.formats.text.grammar import numbers_at_end, split_fields
from vecload.formats.writing.counted import open_counted
from vecload.formats.writing.values import to_float32
from vecload.formats.writing.word_policy import WordPolicy
from vecload.message_text import number_of, quote
from vecload.saved import MAX_DIM
from vecload.words import Words, pack, read_only
from vecload.words.doubts import join_doubts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.sources import OutputStream, Source

NAME: Final = "word2vec binary"
MAX_WORD_BYTES: Final = 1 << 16
"""Limit on the bytes of a word."""
BATCH_BYTES: Final = 1 << 20
"""Bytes of the rows of a batch, which fit the processor's caches until they are copied to the matrix."""

_HEADER = re.compile(rb"^ *(\d{1,18}) +(\d{1,18}) *\r?\n")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_PRINTABLE: Final = bytes(range(32, 127)) + b"\t\r\n"
_DETECT_ROWS: Final = 20
_BAD_BYTES: Final = b" \n"
_log = logging.getLogger("vecload")


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 95 if a header is followed by rows that cannot be text."""
    header = _HEADER.match(head)
    if header is None:
        return 0
    dim = int(header[2])
    # word2vec text has the same header. Lines that end in `dim` numbers are text.
    lines = map(split_fields, head[header.end() :].split(b"\n")[:_DETECT_ROWS])
    if any(len(fields) > dim and numbers_at_end(fields) >= dim for fields in lines):
        return 0
    # Read the first rows as if the file were binary: text gives values of printable bytes, in valid UTF-8.
    at, values = header.end(), b""
    for _ in range(_DETECT_ROWS):
        at = head.find(b" ", at) + 1
        if not at or at > len(head):
            break
        values += head[at : at + 4 * dim]
        at += 4 * dim
    # About two fifths of the bytes of float32 values are not printable. Fewer than a quarter means a text, in which
    # words or a few rows are damaged.
    if 4 * len(values.translate(None, _PRINTABLE)) < len(values):
        return 0
    # An incremental decoder accepts a character that is cut at the end.
    try:
        getincrementaldecoder("utf-8")().decode(values)
    except UnicodeDecodeError:
        return 95
    return 95 if _CONTROLS.search(values) else 0


class Reader(BaseReader):
    """Reader of a word2vec binary file, in file order; `read` makes it."""

    ngrams = None

    def __init__(self, source: Source, request: ReadRequest) -> None:
        self._source = source
        self._request = request
        head = source.head(64)
        header = _HEADER.match(head)
        if header is None:
            found, expected = quote(head.split(b"\n")[0]), "two whole numbers, rows and dimension"
            raise FormatError("the header is missing", file=source.name, byte=0, found=found, expected=expected)
        self.declared, self.dim = int(header[1]), int(header[2])
        self._begin = header.end()
        if not (self.declared and 0 < self.dim <= MAX_DIM):
            found = f"{number_of(self.declared, 'row')} of {number_of(self.dim, 'value')}"
            raise FormatError("invalid sizes in the header", file=source.name, found=found)
        # A row has at least its values and the space before them. The header is not trusted: no more rows are
        # allocated than the file's bytes can hold.
        least_row = 4 * self.dim + 1
        least = self.declared * least_row
        present = None if source.size is None else source.size - self._begin
        if present is not None and present < least and request.errors != "skip" and self._wanted > present // least_row:
            raise FormatError(
                "the file is shorter than its header says",
                file=source.name,
                found=f"{number_of(present, 'byte')} of rows",
                expected=f"at least {least:,} for {number_of(self.declared, 'row')} of {number_of(self.dim, 'value')}",
                hint="Download or copy it again. If only its end is missing, errors='skip' (--errors skip) reads the "
                "rows before.",
            )
        self.expected = self.declared if present is None else min(self.declared, present // least_row)
        self.dtype = type_of(request.dtype or "float32")
        self.skipped: Counter[str] = Counter()
        self._header = head[: self._begin].decode().strip()
        # A transfer in text mode changes line feeds to CR LF, in the header and in the bytes of values.
        self._text_mode = head[: self._begin].endswith(b"\r\n")
        self._doubtful = DoubtfulWords()
        self._extra_bytes = ""

    @property
    def _wanted(self) -> int:
        """Number of rows to read."""
        limit = self._request.limit
        return self.declared if limit is None else min(limit, self.declared)

    @property
    def meta(self) -> dict[str, Any]:
        """Description of the file, complete after the last batch."""
        meta: dict[str, Any] = {"format": NAME, "header": self._header}
        return {**meta, "skipped": dict(self.skipped)} if self.skipped else meta

    @property
    def doubt(self) -> str | None:
        """Doubts about the words, and about bytes after the last row."""
        return join_doubts(self._doubtful.text, self._extra_bytes)

    def __iter__(self) -> Iterator[Batch]:
        from vecload.kernels import binary_rows

        source, width = self._source, 4 * self.dim
        source.read(self._begin)
        longest = MAX_WORD_BYTES + 1 + width
        starts, stops = np.empty((2, max(1, BATCH_BYTES // width)), dtype=np.int64)
        # The buffer holds a batch and one more row of any length, so that a row which the first read cuts is whole
        # after the next one. The bytes of an incomplete row are moved to the front.
        block = bytearray(max(BATCH_BYTES, longest) + longest)
        buffer = np.frombuffer(block, dtype=np.uint8)
        base = self._begin  # offset of the buffer in the file
        filled = done = 0
        while done < self._wanted:
            filled += source.readinto(memoryview(block)[filled:])
            ended = filled < len(buffer)
            at = 0
            while done < self._wanted:
                most = min(len(starts), self._wanted - done)
                count, end = binary_rows.find_rows(
                    buffer, at, filled, width, MAX_WORD_BYTES, starts[:most], stops[:most]
                )
                if not count:
                    break
                # Number of bytes between the end of the row before and the word: they are all line feeds.
                feeds = starts[:count] - np.concatenate([[at], stops[: count - 1] + 1 + width])
                batch = self._batch(buffer, starts[:count], stops[:count], feeds, base)
                if len(batch.rows):
                    yield batch
                done, at = done + count, end
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
        """Return the requested rows among those at the given offsets of the buffer."""
        from vecload.kernels import binary_rows

        data, offsets = pack(buffer, starts, stops)
        found = Words(data, offsets)
        self._doubtful.add(found, feeds)
        if self._text_mode and self._doubtful.mostly:
            self._check_step(base + int(starts[0]))
        begins = stops + 1  # a space separates word and values
        if self._request.only is not None:
            wanted = np.flatnonzero(self._request.only.lookup(found) >= 0)
            chosen = found.take(wanted)
            data, offsets, begins = chosen.data, chosen.offsets, begins[wanted]
        rows = np.empty((len(begins), self.dim), dtype="<f4")
        binary_rows.copy_rows(buffer, begins, rows.view(np.uint8))
        batch = Batch(data, offsets, narrowed(rows, self.dtype))
        if not self._request.allow_nonfinite:
            # The kernel tests exponents as integers, which is faster than comparing floats.
            bad = binary_rows.first_nonfinite(batch.rows.astype("<f4", copy=False).view(np.uint32))
            if bad < len(rows):
                batch = self._without_nonfinite(batch, bad, base + int(begins[bad]))
        return batch

    def _without_nonfinite(self, batch: Batch, first: int, byte: int) -> Batch:
        """Return the batch without rows that are not finite, of which `first` is one, or raise the error."""
        self._check_step(byte)
        keep = np.flatnonzero(np.isfinite(batch.rows).all(axis=1))
        skip_nonfinite(
            self._request,
            self.skipped,
            self.dtype,
            word=batch.words.bytes(first),
            count=len(batch.rows) - len(keep),
            file=self._source.name,
            byte=byte,
        )
        return batch.take(keep)

    def _check_step(self, byte: int) -> None:
        """Raise if the words show that words and values are misaligned; called when something else is wrong too.

        Skipping or keeping rows would then give wrong words with wrong values.
        """
        if not self._doubtful or (self._request.errors == "skip" and not self._doubtful.mostly):
            return
        again = " in binary mode: it may have been sent as text" if self._text_mode else ""
        raise FormatError(
            "words and values are misaligned",
            file=self._source.name,
            byte=byte,
            found=self._doubtful.text,
            hint=f"Download or copy the file again{again}.",
        )

    def _end_early(self, rest: bytes, done: int, byte: int) -> None:
        """Report that `rest` is not a complete row although the header states more rows."""
        self._check_step(byte)
        if len(rest) > MAX_WORD_BYTES and b" " not in rest[:MAX_WORD_BYTES].lstrip(b"\n"):
            found = f"no space in {MAX_WORD_BYTES:,} bytes"
            hint = "The dimension in the header may be wrong, or bytes are missing before this byte."
            raise FormatError("the word is too long", file=self._source.name, byte=byte, found=found, hint=hint)
        found, expected = number_of(done, "row"), f"{self.declared:,}"
        if self._request.errors != "skip":
            hint = "Download or copy the file again; errors='skip' (--errors skip) reads the rows that are there."
            problem = "the file is cut short"
            raise FormatError(problem, file=self._source.name, byte=byte, found=found, expected=expected, hint=hint)
        if self._request.strict:
            raise FormatError("the header's count is wrong", file=self._source.name, found=found, expected=expected)
        if rest.strip(b"\n"):
            self.skipped["a row cut short"] += 1
        _log.warning("%s: the header says %s rows, the file holds %s", self._source.name, self.declared, done)

    def _check_end(self, rest: bytes, byte: int) -> None:
        """Report bytes after the last row."""
        if not rest.strip(b"\r\n"):
            return
        if self._doubtful.mostly:
            self._check_step(byte)
        if self._request.strict:
            raise FormatError("bytes after the last row", file=self._source.name, byte=byte, found=quote(rest))
        rows = number_of(self.declared, "row")
        self._extra_bytes = f"there are bytes after the {rows} of the header, from byte {byte:,}"


def read(source: Source, request: ReadRequest) -> Reader:
    r"""Return a reader of word2vec binary vectors.

    Raises
    ------
    FormatError
        If the header claims more rows than the file holds: at once if its size is known, else at the end of the file.

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
    """Write word2vec binary vectors, with a line feed after each row as word2vec.c does.

    Parameters
    ----------
    output
        Path of the file, or a stream.
    table
        The rows to write; values become float32.
    options
        `unencodable` applies to words with a space or a line feed.

    Returns
    -------
    Counter
        Number of dropped rows, by cause.
    """
    from vecload.kernels import binary_rows

    policy = WordPolicy(NAME, _BAD_BYTES, options.unencodable, empty=True)
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
    read_options=("encoding",),
)
