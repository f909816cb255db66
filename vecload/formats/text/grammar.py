"""The grammar of one line of a text file: fields, values and the word, in plain Python.

Kernels parse nearly all lines (`vecload.kernels.plain_rows`, `vecload.kernels.text_rows`). This module is for the first
lines of a file, which show its layout, and for the few lines that the kernels leave unparsed.
"""

from __future__ import annotations

import itertools
import re
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vecload.arrays import narrowed, type_of
from vecload.formats.contract import NONFINITE_HINT
from vecload.message_text import number_of, quote

BOM: Final = b"\xef\xbb\xbf"
"""UTF-8 byte order mark, which is dropped at the start of a file."""

# Only the ASCII space and the tab separate fields. Other white space, such as U+00A0 or U+3000, is part of a word.
_FIELD = re.compile(rb"[^ \t]+")
# Spellings that Python's float does not know: C99's nan(...) and those of old Microsoft runtimes.
_NONFINITE = re.compile(rb"[+-]?(nan(\(\w*\))?|1\.#(inf|ind|qnan|snan)\d*)", re.IGNORECASE)


class MalformedLine(Exception):  # noqa: N818 - not an error yet: the line may be counted and skipped
    """A malformed line: the cause it is counted under, the position in the line, and arguments of `FormatError`."""

    def __init__(self, cause: str, *, at: int = 0, **sides: Any) -> None:
        super().__init__(cause)
        self.cause = cause
        self.at = at
        self.sides = sides


def split_fields(line: bytes) -> list[bytes]:
    """Return the fields of a line, between spaces and tabs."""
    return _FIELD.findall(line.removesuffix(b"\r"))


def is_blank(line: bytes) -> bool:
    """Return whether a line holds separators only."""
    return not line.strip(b" \t\r")


def numbers_at_end(fields: list[bytes]) -> int:
    """Return how many fields at the end of a line are numbers. The first field is the word and does not count."""
    return sum(1 for _ in itertools.takewhile(lambda field: parse_value(field) is not None, reversed(fields[1:])))


def parse_value(field: bytes) -> float | None:
    """Return the number that a field spells, or None.

    Examples
    --------
    >>> parse_value(b"-1e-3"), parse_value(b"1.#INF"), parse_value(b"cat")
    (-0.001, inf, None)
    """
    try:
        return float(field.decode())
    except ValueError:
        if not _NONFINITE.fullmatch(field):
            return None
        size = np.inf if b"inf" in field.lower() else np.nan
        return -size if field.startswith(b"-") else size


def parse_line(line: bytes, dim: int, dtype: str, *, allow_nonfinite: bool) -> tuple[int, npt.NDArray[Any]]:
    """Return the end of a line's word, and its values: shape (dim,), type `dtype`.

    Raises
    ------
    MalformedLine
        If the line is not a word and `dim` finite values.
    """
    line = line.removesuffix(b"\r")
    if b"\0" in line:
        raise MalformedLine("a NUL byte", at=line.index(b"\0"), hint="The file is damaged, or is not text.")
    # The values are the last `dim` fields, because the word may contain spaces and look like several fields.
    spans = [match.span() for match in _FIELD.finditer(line)]
    first = spans[-dim][0] if len(spans) >= dim else 0
    if first == 0:
        numbers = all(parse_value(line[start:stop]) is not None for start, stop in spans)
        hint = "The row holds numbers only: its word is missing." if numbers and len(spans) > 1 else None
        found = number_of(max(0, len(spans) - 1), "value")
        raise MalformedLine("too few values", found=found, expected=str(dim), hint=hint)
    if first == 1:
        raise MalformedLine("an empty word", found="a line that begins with a separator")
    cells = [line[start:stop] for start, stop in spans[-dim:]]
    # Values are rounded once, from float64 to the requested type, as the kernels do.
    values = np.empty(dim, dtype=np.float64)
    for column, cell in enumerate(cells):
        value = parse_value(cell)
        if value is None:
            at = spans[column - dim][0]
            raise MalformedLine("a value that is not a number", at=at, found=quote(cell), expected=f"{dim} numbers")
        values[column] = value
    with np.errstate(over="ignore", invalid="ignore"):
        row = narrowed(values, type_of(dtype))
    bad = np.flatnonzero(~np.isfinite(row))
    if len(bad) and not allow_nonfinite:
        at = spans[bad[0] - dim][0]
        cause = f"a value that is not finite in {dtype}"
        raise MalformedLine(cause, at=at, found=quote(cells[bad[0]]), hint=NONFINITE_HINT)
    _check_width(line[: first - 1], line[first - 1 : first], cells, dim)
    return first - 1, row


def _check_width(word: bytes, separator: bytes, cells: list[bytes], dim: int) -> None:
    """Refuse a word that ends in one of the row's values.

    Words may contain spaces, so a row with one value too many looks like a word that ends in a number. "area 51" before
    decimal fractions may well be a word; "cat 0.25" before values of the same spelling has one value too many. A tab
    before the values shows where the word ends.
    """
    fields = _FIELD.findall(word)
    if separator == b"\t" or len(fields) < 2 or word[-1:] in b" \t":
        return
    last = fields[-1]
    if last[:1] not in b"0123456789+-." or parse_value(last) is None:
        return
    if _is_whole(last) and not all(map(_is_whole, cells)):
        return
    hint = "If the word does end in a number, put a tab between word and values."
    found = number_of(dim + numbers_at_end(fields), "value")
    raise MalformedLine("too many values", at=len(word) - len(last), found=found, expected=str(dim), hint=hint)


def _is_whole(cell: bytes) -> bool:
    return cell.lstrip(b"+-").isdigit()
