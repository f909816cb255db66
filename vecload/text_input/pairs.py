"""Read pairs of words or sentences with a score, from the tables that are published and exported for benchmarks."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from vecload.errors import FormatError
from vecload.text_input.analogies import numbered_lines
from vecload.text_input.columns import csv_fields, is_number
from vecload.text_input.lines import Input, input_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXPECTED = "two columns of words, then a score"
_STS = 7  # columns of the STS benchmark: genre, file, year, id, score, sentence, sentence
_INDEX_TITLES = frozenset({"", "#", "id", "idx", "index", "no", "no.", "nr", "pair_id", "unnamed: 0"})


class ScoredPair(NamedTuple):
    """Two words or sentences, and the similarity that people assigned to them."""

    left: str
    right: str
    score: float


class _Row(NamedTuple):
    number: int
    line: str
    fields: list[str]


def read_scored_pairs(path: Input) -> list[ScoredPair]:
    r"""Read two columns of text, then a column of numbers.

    Fields are separated by tabs, commas, semicolons or spaces: the first of these that splits all lines. They may be
    quoted. A first line without a score is a header. A column of line numbers before the texts, which pandas writes, is
    skipped. The score is the first column after the texts that holds a number in every line. Lines that begin with
    ``#`` are comments.

    Parameters
    ----------
    path
        As for `read_lines`.

    Raises
    ------
    FormatError
        If there are no pairs, a line has fewer columns or no finite score, or the first two columns are numbers.
    """
    lines = list(numbered_lines(path))
    return _from_lines(lines, _separator_of([line for _, line in lines]), input_name(path))


def read_scored_sentences(path: Input) -> list[ScoredPair]:
    """Read sentence pairs in tab-separated columns: two sentences and a score, or those of the STS benchmark.

    Raises
    ------
    FormatError
        As `read_scored_pairs`.
    """
    lines = list(numbered_lines(path))
    rows = [line.split("\t") for _, line in lines]
    if rows and all(len(row) >= _STS and is_number(row[4]) and math.isfinite(float(row[4])) for row in rows):
        return [ScoredPair(row[5], row[6], float(row[4])) for row in rows]
    return _from_lines(lines, "\t", input_name(path))


def _from_lines(lines: list[tuple[int, str]], separator: str, name: str) -> list[ScoredPair]:
    rows = [_Row(number, line, _fields(line, separator)) for number, line in lines]
    header: list[str] = []
    if rows and _is_header(rows[0].fields):
        header, rows = rows[0].fields, rows[1:]
    if not rows:
        raise FormatError("no pairs", file=name, expected=f"{_EXPECTED} per line")
    begin = 1 if _is_index([row.fields for row in rows], header) else 0
    _refuse_numbers(rows, begin, name)
    score = _score_column(rows, begin)
    pairs = []
    for row in rows:
        left, right = ([*row.fields[begin : begin + 2], "", ""])[:2]
        value = row.fields[score] if score < len(row.fields) else ""
        if not left or not right or not is_number(value) or not math.isfinite(float(value)):
            raise FormatError("not a pair", file=name, line=row.number, found=repr(row.line[:80]), expected=_EXPECTED)
        pairs.append(ScoredPair(left, right, float(value)))
    return pairs


def _separator_of(lines: Sequence[str]) -> str:
    """Return the first separator that splits all lines into the same number of columns; the header may lack it.

    Otherwise a line is malformed. Then the first separator that all lines contain is returned, so that the
    error is about that line.
    """
    body = lines[1:] if len(lines) > 1 else lines
    candidates = [sign for sign in "\t,;" if all(sign in line for line in body)]
    for sign in candidates:
        rows = [_fields(line, sign) for line in body]
        if len({len(row) for row in rows}) == 1 and any(
            all(map(is_number, column)) for column in list(zip(*rows, strict=True))[2:]
        ):
            return sign
    return candidates[0] if candidates else " "


def _fields(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    if separator == "\t":  # not CSV: a single quotation mark may be a word
        fields = line.split("\t")
        return [field[1:-1] if len(field) > 2 and field[0] == field[-1] == '"' else field for field in _trim(fields)]
    return _trim(csv_fields(line, separator))


def _trim(fields: Sequence[str]) -> list[str]:
    return [field.strip() for field in fields]


def _is_header(fields: list[str]) -> bool:
    """Return whether a first line names columns: it has no number, or the numbers of the columns themselves."""
    count_up = [str(at) for at in range(len(fields))]
    # pandas writes such a line if the columns have no names.
    if fields == count_up or (fields[0] == "" and fields[1:] == count_up[:-1]):
        return len(fields) > 2
    return not any(map(is_number, fields[2:]))


def _is_index(rows: Sequence[Sequence[str]], header: Sequence[str]) -> bool:
    """Return whether the first column numbers the lines, and two columns of words follow it."""
    if any(len(row) < 4 or not re.fullmatch("[0-9]+", row[0]) for row in rows):
        return False
    if all(is_number(row[2]) for row in rows):
        return False
    numbers = [int(row[0]) for row in rows]
    counts_up = numbers[0] in (0, 1) and all(other == one + 1 for one, other in pairwise(numbers))
    return counts_up or (len(set(numbers)) == len(numbers) and [*header, "?"][0].casefold() in _INDEX_TITLES)


def _refuse_numbers(rows: Sequence[_Row], begin: int, name: str) -> None:
    for at in (begin, begin + 1):
        if all(at < len(row.fields) and is_number(row.fields[at]) for row in rows):
            row = rows[0]
            problem = f"column {at + 1} holds only numbers, not words"
            raise FormatError(problem, file=name, line=row.number, found=repr(row.line[:80]), expected=_EXPECTED)


def _score_column(rows: Sequence[_Row], begin: int) -> int:
    """Return the index of the first column of numbers after the words, or an index past the last column."""
    shortest = min(len(row.fields) for row in rows)
    columns = range(begin + 2, shortest)
    whole = (at for at in columns if all(is_number(row.fields[at]) for row in rows))
    # If no column has a number in every line, the error should be about the line that lacks one. So the column with the
    # most numbers is taken.
    best = max(
        range(begin + 2, max(begin + 3, *(len(row.fields) for row in rows))),
        key=lambda at: sum(at < len(row.fields) and is_number(row.fields[at]) for row in rows),
    )
    return next(whole, best)
