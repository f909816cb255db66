"""The layout of a CSV file, found in its first rows: delimiter, header, columns of the words and values."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from vecload.errors import FormatError
from vecload.formats.text.grammar import BOM, parse_value
from vecload.message_text import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD: Final = 1 << 16
"""Number of bytes in which the layout is found."""

NAMES: Final = (
    "word",
    "words",
    "token",
    "tokens",
    "text",
    "key",
    "name",
    "id",
    "label",
    "term",
    "gene",
    "item",
    "entity",
)
"""Usual names of the column of words."""

_DELIMITERS: Final = ",;\t"
_ROWS: Final = 50
_SURE: Final = 91
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Layout(NamedTuple):
    """Facts that the first rows show."""

    delimiter: str
    begin: int
    """Offset of the first row after the header."""
    skip: int
    """Number of columns before the words."""
    dim: int
    """Number of values in a row."""
    listed: bool
    """Whether the values are a list in one column."""
    header: bool
    record_bytes: float
    """Average number of bytes of the first rows."""


def detect(head: bytes, name: str) -> int:
    """Return 91 if the first rows are words and values between commas or semicolons, or tabs after a header."""
    if _CONTROLS.search(head[:4096]) or not any(mark in head for mark in (b",", b";", b"\t")):
        return 0
    found = find_layout(head, whole=len(head) < HEAD)
    if found is None:
        return 0
    # Rows with tabs are text vectors, unless there is a header or a column of row numbers.
    if found.delimiter == "\t" and not ((found.header and found.dim > 1) or found.listed or found.skip):
        return 0
    # Words with commas in a text file look like two columns: "1,000 0.5 0.6".
    return _SURE if found.dim > 1 or name.casefold().endswith(".csv") else 50


def find_layout(head: bytes, *, whole: bool) -> Layout | None:
    """Return the layout that the first bytes of a file show, or None if they are not rows of CSV.

    Parameters
    ----------
    head
        The first bytes.
    whole
        Whether they are the whole file. Otherwise the last row may be incomplete and is ignored.
    """
    found = [layout for mark in _DELIMITERS if (layout := _with_delimiter(head, mark, whole=whole)) is not None]
    return max(found, key=lambda layout: layout.dim, default=None)


def require_layout(head: bytes, name: str, *, whole: bool) -> Layout:
    """Return the layout, or raise FormatError if it is not CSV."""
    found = find_layout(head, whole=whole)
    if found is None:
        line = head.removeprefix(BOM).split(b"\n", 1)[0]
        expected = "a word and its values between commas, semicolons or tabs"
        raise FormatError("no vectors in the first rows", file=name, line=1, found=quote(line[:80]), expected=expected)
    return found


def _with_delimiter(head: bytes, mark: str, *, whole: bool) -> Layout | None:
    begin = len(BOM) if head.startswith(BOM) else 0
    text = head[begin:].decode("utf-8", "surrogateescape")
    rows, first_bytes, size = _first_rows(text, mark, whole=whole)
    if not rows:
        return None
    # Names of columns may be numbers: pandas writes 0, 1, 2, … after an empty name or a word.
    header = len(rows) > 1 and (_is_named(rows[0], rows[1]) or _is_numbered(rows[0], rows[1:]))
    body = rows[1:] if header else rows
    skip, dim, listed = _columns(rows[0] if header else None, body)
    width = skip + (2 if listed else 1 + dim)
    # Text vectors may have tabs as well. Only a table whose rows are all of one width is TSV.
    if not dim or (header and len(rows[0]) != width) or (mark == "\t" and any(len(row) != width for row in body)):
        return None
    return Layout(mark, begin + first_bytes if header else begin, skip, dim, listed, header, size / len(rows))


def _first_rows(text: str, mark: str, *, whole: bool) -> tuple[list[list[str]], int, int]:
    """Return the fields of the first rows, the bytes of the first row, and those of all of them."""
    lines = io.StringIO(text, newline="").readlines()
    taken = 0
    sizes: list[int] = []

    def counted() -> Iterator[str]:
        nonlocal taken
        for line in lines:
            taken += len(line.encode("utf-8", "surrogateescape"))
            yield line

    rows = []
    try:
        for row in csv.reader(counted(), delimiter=mark):
            sizes.append(taken)
            rows.append(row)
            if len(rows) > _ROWS:
                break
    except csv.Error:
        return [], 0, 0
    if not whole and taken >= len(text.encode("utf-8", "surrogateescape")):
        rows, sizes = rows[:-1], sizes[:-1]
    first = next((at for at, row in enumerate(rows) if row), 0)
    return [row for row in rows if row], sizes[first] if sizes else 0, sizes[-1] if sizes else 0


def _values_from(row: list[str], begin: int) -> int:
    """Return how many fields at the end of a row are numbers; fields before `begin` do not count."""
    count = 0
    for cell in reversed(row[begin:]):
        if parse_value(cell.strip().encode("utf-8", "surrogateescape")) is None:
            break
        count += 1
    return count


def _is_named(first: list[str], second: list[str]) -> bool:
    """Return whether a row is a header of names, none of which is a number."""
    return len(first) == len(second) and not any(_values_from([cell], 0) for cell in first) and not _is_list(first[-1])


def _is_list(cell: str) -> bool:
    cell = cell.strip()
    return cell.startswith("[") and cell.endswith("]") and len(cell) > 2


def _is_numbered(first: list[str], body: list[list[str]]) -> bool:
    """Return whether a row is a header that ends in 0, 1, 2, … or 1, 2, 3, …."""
    count = _values_from(first, 1)
    names, cells = first[: len(first) - count], first[len(first) - count :]
    numbers = [str(at) for at in range(count + 1)]
    if len(body[0]) != len(first) or cells not in (numbers[:-1], numbers[1:]):
        return False
    # The values of a word may be 0, 1, 2, too. Then the other rows are likely to be whole numbers as well.
    usual = any(not name or name.casefold() in NAMES for name in names)
    return usual or (count > 2 and any("." in cell for cell in body[0][-count:]))


def _columns(header: list[str] | None, body: list[list[str]]) -> tuple[int, int, bool]:
    """Return the number of columns before the words, the dimension (0 without values), and whether it is of lists."""
    width = Counter(len(row) for row in body).most_common(1)[0][0]
    rows = [row for row in body if len(row) == width]
    if width < 2:
        return 0, 0, False
    if all(_is_list(row[-1]) for row in rows) and width <= 3:
        dims = Counter(len(split_list(row[-1])) for row in rows)
        return width - 2, dims.most_common(1)[0][0], True
    # The values are the columns at the end that are numbers in most rows; the word is the column before them.
    counts = Counter(_values_from(row, 1) for row in rows)
    dim = counts.most_common(1)[0][0]
    if 2 * counts[dim] <= len(rows) and len(rows) > 1:
        dim = max(counts)
    if not dim:
        return 0, 0, False
    skip = width - 1 - dim
    numbers = all(row[0].strip().isdigit() for row in rows)
    if skip == 0 or (skip == 1 and numbers):
        named = header is not None and len(header) == width and not header[0]
        words_are_numbers = skip == 0 and numbers and named and header is not None and header[1].casefold() in NAMES
        return (1, dim - 1, False) if words_are_numbers else (skip, dim, False)
    return 0, 0, False


def split_list(cell: str) -> list[str]:
    """Return the items of a list in brackets, between commas or white space."""
    inner = cell.strip()[1:-1]
    return [item.strip() for item in inner.split(",")] if "," in inner else inner.split()
