"""What the lines of a text file of vectors mean: header, fields, values. One line at a time, in plain Python.

`vecload.formats.text` parses nearly every line with a kernel; this is the grammar for the first lines of a file, from
which its layout is told, and for the few lines the kernel cannot decide.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from vecload.arrays import narrowed, type_of
from vecload.errors import FormatError, quote
from vecload.formats.contract import NONFINITE_HINT, Preview, Sample
from vecload.saved import MAX_DIM
from vecload.words import Words
from vecload.words.doubts import SharedSpaces

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from vecload.sources import Source

BOM: Final = b"\xef\xbb\xbf"

HEAD: Final = 1 << 16
"""Bytes from which the layout of a file is found."""

_SURVEYED, _ROWS = 1 << 20, 1000  # bytes, and lines, that `preview` looks at
_COUNTED = 1 << 32  # bytes of a file whose lines are counted in a second or two
_SINGLE = 9  # significant digits beyond which two decimals can be one float32
_BLOCK = 1 << 20  # bytes read together where lines are only counted
_SAMPLE = 50  # lines looked at to find the dimension
_MOST_ROWS = 10**12
_FIELD = re.compile(rb"[^ \t]+")
_SPACE = ord(" ")
_HEADER = re.compile(rb"^(-?\d{1,20})[ \t]+(-?\d{1,20})[ \t]*\r?$")  # longer numbers are not sizes
_NONFINITE = re.compile(rb"[+-]?(nan(\(\w*\))?|1\.#(inf|ind|qnan|snan)\d*)", re.IGNORECASE)


class Layout(NamedTuple):
    """What the first lines say: `declared` rows (None without a header), `dim`, and where the rows begin."""

    declared: int | None
    dim: int
    begin: int
    header: str | None
    doubt: str | None
    shared: SharedSpaces = SharedSpaces()
    """Spaces that all words of the first lines begin or end with; they belong to no word."""


def inspect(head: bytes, name: str, *, size: int | None, header: bool | None) -> Layout:
    """Find header and dimension in the first bytes of a file.

    Parameters
    ----------
    head
        The first bytes; all of them if the file is short.
    name
        For error messages.
    size
        Bytes in the whole file, where known.
    header
        Whether the first line is a header; None to tell from the lines.

    Raises
    ------
    FormatError
        When there are no rows, or the header's numbers cannot be.
    """
    begin = len(BOM) if head.startswith(BOM) else 0
    whole = size is not None and size <= len(head)
    check_line_ends(head[begin:], name)
    lines = head[begin:].split(b"\n")
    if not whole and len(lines) > 1:
        lines.pop()  # cut by the end of the head
    if not any(map(_strip, lines)):
        raise FormatError("the file holds no rows", file=name, found="blank lines")
    first = _HEADER.match(lines[0])
    rest = [fields for line in lines[1 : _SAMPLE + 1] if (fields := fields_of(line))]
    _check_commas(lines, name)
    doubt = None
    if first and header is None:
        header, doubt = _is_header(lines, int(first[1]), int(first[2]), rest, whole=whole)
    if header and not first:
        raise FormatError(
            "no header",
            file=name,
            line=1,
            found=quote(lines[0].strip()),
            expected="two whole numbers, rows and dimension",
        )
    if not header or not first:
        dim = _common_dim(([fields] if (fields := fields_of(lines[0])) else []) + rest)
        if not dim:
            raise FormatError(
                "no vectors in the first lines",
                file=name,
                line=1,
                found=quote(lines[0]),
                expected="a word and its values",
            )
        return Layout(None, dim, begin, None, doubt, SharedSpaces.of(first_words(lines, dim)))
    declared, dim = int(first[1]), int(first[2])
    if not 0 < declared <= _MOST_ROWS or not 0 < dim <= MAX_DIM:
        raise FormatError(
            "the header's sizes cannot be",
            file=name,
            line=1,
            found=f"{declared} rows of {dim} values",
            expected=f"1 to {_MOST_ROWS} rows of 1 to {MAX_DIM} values",
        )
    if whole and not rest:
        raise FormatError("a header and no rows", file=name, line=1, found=quote(lines[0].strip()))
    text = lines[0].strip(b" \t\r").decode()
    shared = SharedSpaces.of(first_words(lines[1:], dim))
    return Layout(declared, dim, begin + len(lines[0]) + 1, text, doubt, shared)


def first_words(lines: Iterable[bytes], dim: int) -> Words:
    r"""Return the words of lines with at least `dim` values, which are not looked at.

    Examples
    --------
    >>> list(first_words([b"New York 0.1 0.2", b"cat  1 2", b"0.5 1"], 2))
    ['New York', 'cat ']
    """
    words = []
    for line in lines:
        # An offset moves to the left instead of the line being cut: a row may have hundreds of thousands of values.
        fields = line.removesuffix(b"\r").replace(b"\t", b" ")
        end = len(fields)
        for _ in range(dim):
            while end and fields[end - 1] == _SPACE:
                end -= 1
            end = fields.rfind(b" ", 0, end) + 1
            if not end:
                break
        if end > 1:
            words.append(line[: end - 1])
    return Words.from_bytes(words)


def check_line_ends(text: bytes, name: str) -> None:
    """Refuse text whose lines end in carriage returns alone, as on the Macintosh before 2001: it is a single line."""
    feeds = text.count(b"\n")
    alone = text.count(b"\r") - text.count(b"\r\n")
    if alone > feeds and alone > 1:
        found = f"{alone:,} carriage returns and {feeds:,} line feeds in the first {len(text):,} bytes"
        hint = "Convert them: tr '\\r' '\\n' < FILE > NEW."
        raise FormatError("lines end in carriage returns, not in line feeds", file=name, found=found, hint=hint)


def _check_commas(lines: list[bytes], name: str) -> None:
    """Refuse values with commas after them. The last value alone has none, so it would be the only one read."""
    rows = [fields for line in lines[: _SAMPLE + 1] if len(fields := fields_of(line)) > 2]
    listed = [fields for fields in rows if all(_is_listed(field) for field in fields[1:-1])]
    if rows and len(listed) == len(rows):
        hint = "Remove them: sed 's/, / /g' FILE > NEW."
        raise FormatError("commas after the values", file=name, found=quote(b" ".join(listed[0])), hint=hint)


def _is_listed(field: bytes) -> bool:
    return field.endswith(b",") and _value(field[:-1]) is not None


def count_digits(head: bytes, dim: int) -> int:
    """The most significant digits of a value in the first rows."""
    cells = [cell for line in head.split(b"\n")[:20] for cell in fields_of(line)[-dim:]]
    mantissas = (re.split(rb"[eE]", cell)[0].translate(None, b"+-.").strip(b"0") for cell in cells)
    return max(map(len, mantissas), default=0)


def count_lines(path: Path) -> int:
    """Lines of a file, without empty ones at its end."""
    block = bytearray(_BLOCK)
    lines = feeds = 0  # feeds: line feeds behind the last byte that is not white
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            text = len(block[:count].rstrip(b"\r\n\t "))
            if text:
                lines += feeds + block.count(b"\n", 0, text)
                feeds = 0
            feeds += block.count(b"\n", text, count)
    return lines + 1


def fields_of(line: bytes) -> list[bytes]:
    """The fields of a line, between spaces and tabs."""
    return _FIELD.findall(line.removesuffix(b"\r"))


def numbers_at_end(fields: list[bytes]) -> int:
    """How many fields, counted from the right and without the first, are numbers."""
    return sum(1 for _ in itertools.takewhile(lambda field: _value(field) is not None, reversed(fields[1:])))


def _common_dim(rows: list[list[bytes]]) -> int:
    """The dimension most rows agree on: words with spaces have more fields, and some words are numbers."""
    counts = Counter(
        len(fields) - 1 for fields in rows if len(fields) > 1 and numbers_at_end(fields) == len(fields) - 1
    )
    if not counts:
        counts = Counter(dim for fields in rows if (dim := numbers_at_end(fields)))
    return max(counts, key=lambda dim: (counts[dim], dim), default=0)


def _is_header(
    lines: list[bytes], rows: int, dim: int, rest: list[list[bytes]], *, whole: bool
) -> tuple[bool, str | None]:
    """Whether a first line of two whole numbers is a header or a word with one value, and the doubt that remains."""
    if not rest or any(len(fields) != 2 for fields in rest):
        return True, None
    if dim != 1:  # every other line is a word and one value
        return False, f"the first line, {quote(lines[0])}, was read as a row: the others have one value too"
    remaining = sum(map(bool, map(_strip, lines[1:])))
    if whole and rows == remaining:
        return True, None
    header = not whole and rows >= remaining
    return header, f"the first line, {quote(lines[0])}, was read as a {'header' if header else 'row'}"


def _value(field: bytes) -> float | None:
    """What ``float`` makes of a field, or of a spelling of NaN and infinity it does not know."""
    try:
        return float(field.decode())
    except ValueError:
        if not _NONFINITE.fullmatch(field):
            return None
        size = np.inf if b"inf" in field.lower() else np.nan
        return -size if field.startswith(b"-") else size


class Flaw(Exception):  # noqa: N818 - not an error yet: it may be counted and passed over
    """A line that is no row: the cause it is counted under, the byte of the line, and `FormatError`'s arguments."""

    def __init__(self, cause: str, *, at: int = 0, **sides: Any) -> None:
        super().__init__(cause)
        self.cause = cause
        self.at = at
        self.sides = sides


def parse_line(line: bytes, dim: int, dtype: str, *, allow_nonfinite: bool) -> tuple[int, npt.NDArray[Any]]:
    """Where a line's word ends, and its values: shape (dim,), type `dtype`.

    Raises
    ------
    Flaw
        When the line is no row.
    """
    line = line.removesuffix(b"\r")
    if b"\0" in line:
        raise Flaw("a NUL byte", at=line.index(b"\0"), hint="The file is damaged, or is not text.")
    spans = [match.span() for match in _FIELD.finditer(line)]
    first = spans[-dim][0] if len(spans) >= dim else 0
    if first == 0:
        numbers = all(_value(line[start:stop]) is not None for start, stop in spans)
        hint = "The row holds numbers only: its word is missing." if numbers and len(spans) > 1 else None
        raise Flaw("too few values", found=f"{len(spans) - 1} values", expected=str(dim), hint=hint)
    if first == 1:
        raise Flaw("an empty word", found="a line that begins with a separator")
    cells = [line[start:stop] for start, stop in spans[-dim:]]
    values = np.empty(dim, dtype=np.float64)
    for column, cell in enumerate(cells):
        value = _value(cell)
        if value is None:
            at = spans[column - dim][0]
            raise Flaw("a value that is no number", at=at, found=quote(cell), expected=f"{dim} numbers")
        values[column] = value
    with np.errstate(over="ignore", invalid="ignore"):
        row = narrowed(values, type_of(dtype))
    bad = np.flatnonzero(~np.isfinite(row))
    if len(bad) and not allow_nonfinite:
        at = spans[bad[0] - dim][0]
        raise Flaw(f"a value that is not finite in {dtype}", at=at, found=quote(cells[bad[0]]), hint=NONFINITE_HINT)
    _check_width(line[: first - 1], line[first - 1 : first], cells, dim)
    return first - 1, row


def sample(text: bytes, dim: int, shared: SharedSpaces, *, most: int) -> tuple[list[str], npt.NDArray[np.float64]]:
    r"""Return the words and the values (float64, shape (k, dim)) of the first `most` rows.

    Malformed lines are skipped. This needs no compiled code, so it is the quicker way to a few hundred rows.

    Examples
    --------
    >>> sample(b"cat 0.1 0.2\n\ndog 1\n", 2, SharedSpaces(), most=10)
    (['cat'], array([[0.1, 0.2]]))
    """
    words, rows, looked = [], [], 0
    for line in text.split(b"\n"):
        if not _strip(line):
            continue
        if looked == most:
            break
        looked += 1
        row_text = line.lstrip(b" \t") if shared.before else line
        try:
            end, row = parse_line(row_text, dim, "float64", allow_nonfinite=True)
        except Flaw:
            continue
        word = row_text[:end].rstrip(b" \t") if shared.after else row_text[:end]
        words.append(word.decode("utf-8", "surrogateescape"))
        rows.append(row)
    return words, np.array(rows).reshape(len(rows), dim)


def _strip(line: bytes) -> bytes:
    return line.strip(b" \t\r")


def preview(source: Source) -> Preview:
    """Return the first rows, how values are written and, for a plain file of up to 4 GB, the number of its rows."""
    head = source.head(_SURVEYED)
    layout = inspect(head[:HEAD], source.name, size=source.size, header=None)
    whole = len(source.head(_SURVEYED + 1)) == len(head)
    lines = head[layout.begin :] if whole else head[layout.begin : head.rfind(b"\n") + 1]
    words, rows = sample(lines, layout.dim, layout.shared, most=_ROWS)
    digits = count_digits(head[layout.begin : HEAD], layout.dim)
    count = None
    if source.path is not None and source.size is not None and source.size <= _COUNTED:
        count = count_lines(source.path) - (layout.declared is not None)
    return Preview(
        rows=count,
        values=f"decimal text of up to {digits} digit{'s' * (digits != 1)}: float{32 if digits <= _SINGLE else 64}",
        sample=Sample(words, rows, sum(map(bool, map(_strip, lines.split(b"\n")))) if whole else None),
    )


def _check_width(word: bytes, separator: bytes, cells: list[bytes], dim: int) -> None:
    """Refuse a word that ends in one of the row's values.

    "area 51" before decimal fractions may well be a word; "cat 0.25" before values spelt the same way is a row with
    one value too many. A tab in front of the values says where the word ends.
    """
    fields = _FIELD.findall(word)
    if separator == b"\t" or len(fields) < 2 or word[-1:] in b" \t":
        return
    last = fields[-1]
    if last[:1] not in b"0123456789+-." or _value(last) is None:
        return
    if _is_whole(last) and not all(map(_is_whole, cells)):
        return
    hint = "If the word does end in a number, put a tab between word and values."
    raise Flaw(
        "too many values",
        at=len(word) - len(last),
        found=f"{dim + numbers_at_end(fields)} values",
        expected=str(dim),
        hint=hint,
    )


def _is_whole(cell: bytes) -> bool:
    return cell.lstrip(b"+-").isdigit()
