"""The layout of a text file, found in its first lines: header or not, dimension, spaces that all words share."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from vecload.errors import FormatError
from vecload.formats.format import SURE
from vecload.formats.text.grammar import BOM, is_blank, numbers_at_end, parse_value, split_fields
from vecload.message_text import number_of, quote
from vecload.saved import MAX_DIM
from vecload.words import Words
from vecload.words.doubts import SharedSpaces

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD: Final = 1 << 16
"""Number of bytes in which the layout is found."""

_DETECT_LINES = 20
_LAYOUT_LINES = 50
_MOST_ROWS = 10**12
_SPACE = ord(" ")
_HEADER = re.compile(rb"^[ \t]*(-?\d{1,20})[ \t]+(-?\d{1,20})[ \t]*\r?$")  # longer numbers are not sizes
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Layout(NamedTuple):
    """Facts that the first lines show."""

    declared: int | None
    """Number of rows according to the header; None without a header."""
    dim: int
    """Number of values in a row."""
    begin: int
    """Offset of the first row in the file."""
    header: str | None
    """The header line, if there is one."""
    doubt: str | None
    """Doubt about the layout, for ``meta["doubt"]``."""
    shared: SharedSpaces = SharedSpaces()
    """Spaces at the start or end of all words of the first lines, which are removed from all words."""


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return how certain it is that a file is text vectors.

    Return `SURE` if all of the first lines, with or without a header, are rows of one dimension without control
    characters: no other format begins with such lines. Return 80 if some line ends in numbers, and 1 for any other
    text, so that the reader can explain the error.
    """
    lines = head.removeprefix(BOM).split(b"\n")
    rows = [split_fields(line) for line in lines[:_DETECT_LINES]]
    counts = [numbers_at_end(fields) for fields in rows]
    if not any(counts):
        return 1
    # Few lines may agree by chance. The last line may be incomplete.
    if len(lines) > 3:
        whole = counts[: len(lines) - 1]
        dims = set(whole[1:] if _HEADER.match(lines[0]) else whole)
        if len(dims) == 1 and dims.pop() > 1 and not _CONTROLS.search(b"".join(lines[: len(whole)])):
            return SURE
    return 80


def find_layout(head: bytes, name: str, *, size: int | None, header: bool | None) -> Layout:
    """Return the layout that the first bytes of a file show.

    Parameters
    ----------
    head
        The first bytes; all of them if the file is short.
    name
        Name of the file, for error messages.
    size
        Number of bytes of the file, if known.
    header
        Whether the first line is a header; None to decide from the lines.

    Raises
    ------
    FormatError
        If there are no rows, or the sizes in the header are out of range.
    """
    begin = len(BOM) if head.startswith(BOM) else 0
    whole = size is not None and size <= len(head)
    check_line_ends(head[begin:], name)
    lines = head[begin:].split(b"\n")
    if not whole and len(lines) > 1:
        lines.pop()  # incomplete
    if all(map(is_blank, lines)):
        raise FormatError("the file holds no rows", file=name, found="blank lines")
    first = _HEADER.match(lines[0])
    rest = [fields for line in lines[1 : _LAYOUT_LINES + 1] if (fields := split_fields(line))]
    _check_commas(lines, name)
    doubt = None
    if first and header is None:
        header, doubt = _is_header(lines, int(first[1]), int(first[2]), rest, whole=whole)
    if header and not first:
        found, expected = quote(lines[0].strip()), "two whole numbers, rows and dimension"
        raise FormatError("the header is missing", file=name, line=1, found=found, expected=expected)
    if not header or not first:
        dim = _common_dim(([fields] if (fields := split_fields(lines[0])) else []) + rest)
        if not dim:
            found, expected = quote(lines[0]), "a word and its values"
            raise FormatError("no vectors in the first lines", file=name, line=1, found=found, expected=expected)
        return Layout(None, dim, begin, None, doubt, SharedSpaces.of(first_words(lines, dim)))
    declared, dim = int(first[1]), int(first[2])
    if not 0 < declared <= _MOST_ROWS or not 0 < dim <= MAX_DIM:
        found = f"{number_of(declared, 'row')} of {number_of(dim, 'value')}"
        expected = f"1 to {_MOST_ROWS:,} rows of 1 to {MAX_DIM:,} values"
        raise FormatError("invalid sizes in the header", file=name, line=1, found=found, expected=expected)
    if whole and not rest:
        raise FormatError("a header without rows", file=name, line=1, found=quote(lines[0].strip()))
    text = lines[0].strip(b" \t\r").decode()
    shared = SharedSpaces.of(first_words(lines[1:], dim))
    return Layout(declared, dim, begin + len(lines[0]) + 1, text, doubt, shared)


def first_words(lines: Iterable[bytes], dim: int) -> Words:
    r"""Return the words of lines with at least `dim` values, which are not parsed.

    Examples
    --------
    >>> list(first_words([b"New York 0.1 0.2", b"cat  1 2", b"0.5 1"], 2))
    ['New York', 'cat ']
    """
    words = []
    for line in lines:
        # An offset moves to the left, field by field: cutting the line instead would copy it for each of its values,
        # and a row may have hundreds of thousands.
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
    """Refuse text with carriage returns as line ends, as on the Macintosh before 2001: it would be a single line."""
    feeds = text.count(b"\n")
    alone = text.count(b"\r") - text.count(b"\r\n")
    if alone > feeds and alone > 1:
        found = f"{alone:,} carriage returns and {feeds:,} line feeds in the first {len(text):,} bytes"
        hint = "Convert them: tr '\\r' '\\n' < FILE > NEW."
        raise FormatError("lines end in carriage returns, not in line feeds", file=name, found=found, hint=hint)


def _check_commas(lines: list[bytes], name: str) -> None:
    """Refuse commas after the values. Only the last value has none, so the file would be read with one dimension."""
    rows = [fields for line in lines[: _LAYOUT_LINES + 1] if len(fields := split_fields(line)) > 2]
    listed = [fields for fields in rows if all(_ends_in_comma(field) for field in fields[1:-1])]
    if rows and len(listed) == len(rows):
        hint = "Remove them: sed 's/, / /g' FILE > NEW."
        raise FormatError("commas after the values", file=name, found=quote(b" ".join(listed[0])), hint=hint)


def _ends_in_comma(field: bytes) -> bool:
    return field.endswith(b",") and parse_value(field[:-1]) is not None


def _common_dim(rows: list[list[bytes]]) -> int:
    """Return the dimension of most rows; 0 if no line ends in numbers.

    Words with spaces have more fields than others, and some words are numbers, so first only lines count whose fields
    after the first are all numbers.
    """
    counts = Counter(
        len(fields) - 1 for fields in rows if len(fields) > 1 and numbers_at_end(fields) == len(fields) - 1
    )
    if not counts:
        counts = Counter(dim for fields in rows if (dim := numbers_at_end(fields)))
    return max(counts, key=lambda dim: (counts[dim], dim), default=0)


def _is_header(
    lines: list[bytes], rows: int, dim: int, rest: list[list[bytes]], *, whole: bool
) -> tuple[bool, str | None]:
    """Return whether a first line of two whole numbers is a header or a word with one value, and any doubt."""
    if not rest or any(len(fields) != 2 for fields in rest):
        return True, None
    # Every other line is a word and one value.
    if dim != 1:
        return False, f"the first line, {quote(lines[0])}, was read as a row: the others have one value too"
    remaining = sum(not is_blank(line) for line in lines[1:])
    if whole and rows == remaining:
        return True, None
    header = not whole and rows >= remaining
    return header, f"the first line, {quote(lines[0])}, was read as a {'header' if header else 'row'}"
