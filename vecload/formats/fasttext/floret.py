"""floret's text tables: rows for hashed n-grams, without words.

::

    bucket dim minn maxn hashCount hashSeed BOW EOW
    0 v v v ...
    1 v v v ...

A file is read as `Vectors` without words, whose n-gram table composes a vector for any string. The rows have the syntax
of text vectors with row numbers as words, so the text reader parses them.

Sources: floret's ``fasttext.cc`` (``saveFloretVectors``) and spaCy's ``training/initialize.py``, which reads it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vecload.arrays import type_of
from vecload.attribution import described
from vecload.errors import FormatError, OptionError
from vecload.formats import text
from vecload.formats.contract import BaseReader, Preview
from vecload.formats.format import Format
from vecload.formats.table import Table
from vecload.message_text import quote
from vecload.ngrams import LONGEST_MARK, LONGEST_NGRAM, NgramTable
from vecload.saved import MAX_DIM
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.formats.table import Batch
    from vecload.sources import Source

NAME: Final = "floret"

_HEADER = re.compile(rb"(\d{1,10}) (\d{1,7}) (\d{1,4}) (\d{1,4}) ([1-4]) (\d{1,10}) (\S+) (\S+) *\r?\n")
_BLOCK = 1 << 12  # rows formatted at a time


class Header(NamedTuple):
    """Fields of the first line."""

    bucket: int
    dim: int
    minn: int
    maxn: int
    hash_count: int
    seed: int
    bow: str
    eow: str


def _header(head: bytes) -> tuple[Header, int] | None:
    """Return the header and the byte at which the rows begin, or None if there is no header."""
    match = _HEADER.match(head)
    if match is None:
        return None
    *numbers, bow, eow = match.groups()
    marks = (mark.decode("utf-8", "surrogateescape") for mark in (bow, eow))
    bucket, dim, minn, maxn, hash_count, seed = map(int, numbers)
    return Header(bucket, dim, minn, maxn, hash_count, seed, *marks), match.end()


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 95 for a header that is followed by row 0."""
    found = _header(head)
    if found is None:
        return 0
    header, begin = found
    fields = head[begin:].split(b"\n", 1)[0].split()
    return 95 if fields[:1] == [b"0"] and len(fields) == header.dim + 1 else 0


def preview(source: Source) -> Preview:  # noqa: ARG001 - all formats share this signature
    """Return the number of words, which is 0; all rows belong to n-grams."""
    return Preview(rows=0, values="decimal text: rows of n-grams, without words")


class Reader(BaseReader):
    """Reader that reads the whole table when it is created. It yields no batches, because there are no words."""

    declared = 0
    expected = 0

    def __init__(self, source: Source, request: ReadRequest) -> None:
        found = _header(source.head(1 << 10))
        if found is None:
            line = source.head(1 << 10).split(b"\n")[0]
            expected = "bucket dim minn maxn hashCount hashSeed BOW EOW"
            raise FormatError(
                "missing header of a floret table", file=source.name, line=1, found=quote(line), expected=expected
            )
        self._header, begin = found
        self._name = source.name
        self.dim = self._header.dim
        self.dtype = type_of(request.dtype or "float32")
        self.skipped: Counter[str] = Counter()
        header, size = self._header, source.size
        # A row has at least a digit, a space and a digit for each value, and a line feed. The header is compared with
        # the size of the file before anything is allocated.
        least = header.bucket * (2 * self.dim + 3) - 1
        ngrams = (
            max(header.minn, header.maxn) <= LONGEST_NGRAM and max(len(header.bow), len(header.eow)) <= LONGEST_MARK
        )
        valid = 0 < header.bucket < 1 << 31 and 0 < self.dim <= MAX_DIM and ngrams and header.seed < 1 << 32
        if not valid or (size and least > size - begin):
            raise FormatError(
                "invalid sizes in the header",
                file=source.name,
                line=1,
                found=quote(source.head(begin).strip()),
                hint="Download or copy the file again.",
            )
        source.read(begin)
        try:
            rows = self._rows(source, replace(request, only=None, limit=None, errors="raise"))
        except FormatError as error:  # the text reader counts lines and bytes from the first row
            error.line = None if error.line is None else error.line + 1
            error.byte = None if error.byte is None else error.byte + begin
            raise
        self.ngrams = NgramTable(
            rows,
            kind="floret",
            minn=header.minn,
            maxn=header.maxn,
            hash_count=header.hash_count,
            seed=header.seed,
            bow=header.bow,
            eow=header.eow,
        )

    @property
    def meta(self) -> dict[str, Any]:
        """Format and header of the file."""
        return {"format": NAME, "header": " ".join(map(str, self._header))}

    def __iter__(self) -> Iterator[Batch]:
        yield from ()

    def mapped(self) -> Table:
        """Return a table without words, and the n-gram table."""
        empty = np.empty((0, self.dim), dtype=self.dtype)
        return Table(Words.from_bytes([]), empty, described(self.meta, self._name), self.ngrams)

    def _rows(self, source: Source, request: ReadRequest) -> npt.NDArray[Any]:
        """Return all rows, after checking that they are in order."""
        reader = text.read(source, replace(request, alias="glove"))
        blocks: list[npt.NDArray[Any]] = []
        done = 0
        for batch in reader:
            for number, word in enumerate(batch.words, start=done):
                if word != str(number):
                    line = number + 1
                    raise FormatError(
                        "rows out of order", file=self._name, line=line, found=repr(word), expected=number
                    )
            blocks.append(batch.rows)
            done += len(batch.rows)
        if reader.dim != self.dim or done != self._header.bucket:
            raise FormatError(
                "wrong sizes in the header",
                file=self._name,
                found=f"{done:,} rows of {reader.dim:,} values",
                expected=f"{self._header.bucket:,} of {self.dim:,}",
                hint="Download or copy the file again.",
            )
        return np.concatenate(blocks)


def read(source: Source, request: ReadRequest) -> Reader:
    r"""Read a floret table.

    Parameters
    ----------
    source
        The opened file.
    request
        Its `dtype` is the type of the rows. All rows are read, because there are no words to select.

    Raises
    ------
    FormatError
        If rows are missing, out of order or malformed, or if there are too many.

    Examples
    --------
    >>> import io
    >>> from vecload.sources import open_source
    >>> from vecload.formats.contract import ReadRequest
    >>> file = io.BytesIO(b"2 1 3 4 2 2166136261 < >\n0 0.5\n1 0.5\n")
    >>> read(open_source(file), ReadRequest()).ngrams["any word"]
    array([0.5], dtype=float32)
    """
    return Reader(source, request)


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:  # noqa: ARG001 - this format has no options
    """Write a floret table for floret and spaCy. Values have the fewest digits that read back to the same float32.

    Parameters
    ----------
    path
        The file.
    table
        Rows with an n-gram table of kind "floret", and without words.

    Raises
    ------
    OptionError
        If there is no such n-gram table, or there are words, which the format cannot store.
    """
    from vecload.kernels import float_formatting

    ngrams: NgramTable | None = table.ngrams
    if ngrams is None or ngrams.kind != "floret":
        raise OptionError("a .floret file stores a floret table; these vectors do not have one")
    if any(len(batch.rows) for batch in table.batches()):
        raise OptionError("a .floret file cannot store words; Vectors(vectors.words[:0], ...) drops them")
    settings = (ngrams.bucket, ngrams.dim, ngrams.minn, ngrams.maxn, ngrams.hash_count, ngrams.seed)
    header = " ".join(map(str, (*settings, ngrams.bow, ngrams.eow))) + "\n"
    with path.open("wb") as file:
        file.write(header.encode("utf-8", "surrogateescape"))
        for begin in range(0, ngrams.bucket, _BLOCK):
            numbers = np.arange(begin, min(begin + _BLOCK, ngrams.bucket))
            rows = np.ascontiguousarray(ngrams.rows.take(numbers, sparse=False))
            names = Words.from_bytes([b"%d" % number for number in numbers.tolist()])
            out = np.empty(
                len(names.data) + len(rows) * (1 + ngrams.dim * float_formatting.MAX_VALUE_BYTES), dtype=np.uint8
            )
            size = float_formatting.format_rows(names.data, names.offsets, rows, rows.view(np.uint32), -1, out)
            file.write(out[:size].data)
    return Counter()


FORMAT: Final = Format(
    name=NAME,
    detect=detect,
    read=read,
    preview=preview,
    write=write,
    suffixes=(".floret",),
    ngram_kinds=("floret",),
)
