"""Find the columns of a word list: the word, its count or row number, a line number.

A word may contain spaces and may be a number, so no single line shows whether ``Area 51`` is a word or a word and its
count. All lines together usually do. If they do not, the file is refused, because a wrong guess would shift every word.
"""

from __future__ import annotations

import csv
import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from vecload.errors import FormatError
from vecload.message_text import quote
from vecload.text_input.numbering import WordList, interpret_numbers, is_sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

_MANY = 20  # from this number on, lines that end in a number are not a list of names such as "Catch 22"
_COUNT = re.compile(r"[0-9]{1,18}")
_WORD_COUNT = re.compile(r"(.*\S) +([0-9]{1,18}) *")
_COUNT_WORD = re.compile(r" *([0-9]{1,18}) +(\S.*)")
_WAY_OUT = "Put a tab between a word and its count, or write the words as a JSON list."


def is_number(field: str) -> bool:
    """Return whether a field is a number, as Python's ``float`` reads it.

    Examples
    --------
    >>> is_number("-3.5e1"), is_number("nan"), is_number("1,000")
    (True, True, False)
    """
    try:
        float(field)
    except ValueError:
        return False
    return True


def csv_fields(line: str, separator: str) -> list[str]:
    """Return the fields of a line of CSV, with quotes resolved where they are valid.

    Examples
    --------
    >>> csv_fields('"New York, NY",3', ",")
    ['New York, NY', '3']
    """
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # a field of more than 128 KiB, for example
        return line.split(separator)


def split_columns(lines: Sequence[str], name: str) -> WordList | None:
    r"""Return the words and counts of lines with several columns; None if every line is one word.

    Parameters
    ----------
    lines
        Lines of a file, none of them empty.
    name
        Name of the file, for error messages.

    Raises
    ------
    FormatError
        If all lines have tabs but no column can be identified as the words, or if the numbers at the ends of all lines
        may be counts or parts of the words.

    Examples
    --------
    >>> split_columns(["the 1061396", "of 593677"], "").counts
    [1061396, 593677]
    >>> split_columns(["New York", "Area 51"], "")
    """
    if all("\t" in line.strip("\t ") for line in lines):
        found = _from_table([line.split("\t") for line in lines], name)
        if found is None:
            shown = quote(lines[-1].encode("utf-8", "surrogateescape"))
            expected = "a word and its count"
            raise FormatError("unknown columns", file=name, found=shown, expected=expected)
        return found
    if len(lines) > 1 and all("," in line for line in lines) and not re.search("[0-9]", lines[0].strip(",")):
        # The first line has no digits, so it is a header, as pandas writes it.
        found = _from_table([csv_fields(line, ",") for line in lines], name)
        if found is not None:
            return found
    if len(lines) < 2:
        return None
    return _word_then_count(lines, name) or _count_then_word(lines, name)


def _from_table(rows: list[list[str]], name: str) -> WordList | None:
    """Return the words and counts in rows of fields, or None if the columns are unknown."""
    if len({len(row) for row in rows}) > 1:
        return None
    rows = [[field.strip(" ") for field in row] for row in rows]
    if len(rows) > 1 and not any(map(is_number, rows[0])):
        body = list(zip(*rows[1:], strict=True))
        if any(all(map(is_number, column)) for column in body):
            rows = rows[1:]  # a header
    columns = [list(column) for column in zip(*rows, strict=True)]
    if len(columns) == 3 and _integers(columns[0]) and is_sequence([int(field) for field in columns[0]]):
        columns = columns[1:]
    if len(columns) != 2 or "" in columns[0]:
        return None
    first, second = columns
    if _integers(second):
        return interpret_numbers(first, [int(field) for field in second], name)
    if all(is_number(field) and math.isfinite(float(field)) for field in second):
        return WordList(first)  # scores, which SentencePiece writes
    if _integers(first):
        numbers = [int(field) for field in first]
        return WordList(second) if is_sequence(numbers) else WordList(second, numbers)
    return None


def _integers(fields: Sequence[str]) -> bool:
    return all(_COUNT.fullmatch(field) for field in fields)


def _word_then_count(lines: Sequence[str], name: str) -> WordList | None:
    matches = [match for match in map(_WORD_COUNT.fullmatch, lines) if match]
    if len(matches) < len(lines):
        return None
    words = [match[1].lstrip(" ") for match in matches]
    numbers = [int(match[2]) for match in matches]
    return interpret_numbers(words, numbers, name) if _are_counts(words, numbers, lines, name) else None


def _count_then_word(lines: Sequence[str], name: str) -> WordList | None:
    matches = [match for match in map(_COUNT_WORD.fullmatch, lines) if match]
    if len(matches) < len(lines):
        return None
    words = [match[2].rstrip(" ") for match in matches]
    numbers = [int(match[1]) for match in matches]
    # `uniq -c` pads its counts with leading spaces, and its words are distinct.
    padded = len(set(words)) == len(words) and any(line.startswith(" ") for line in lines)
    if not padded and not _are_counts(words, numbers, lines, name):
        return None
    return WordList(words) if is_sequence(numbers) else WordList(words, numbers)


def _are_counts(words: list[str], numbers: list[int], lines: Sequence[str], name: str) -> bool:
    """Return whether the numbers that all lines begin or end with are counts or row numbers, not parts of the words.

    They are if the words are distinct without them and either the numbers are sorted and half of the words have no
    spaces, or there are many lines and no word has spaces.
    """
    if len(set(words)) < len(words):  # names such as "Route 1" and "Route 2"
        return False
    single = sum(" " not in word for word in words)
    start = next((at for at, number in enumerate(numbers) if number), 0)  # special tokens with count 0 may be first
    falling = all(one >= other for one, other in pairwise(numbers[start:]))
    if (falling or is_sequence(numbers)) and 2 * single >= len(words):
        return True
    if single < len(words):
        return False
    if len(words) >= _MANY:
        return True
    shown = quote(lines[0].encode("utf-8", "surrogateescape"))
    raise FormatError(
        "a number on every line, which may be a count or part of the word", file=name, found=shown, hint=_WAY_OUT
    )
