"""Tell counts from row numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from vecload.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence


class WordList(NamedTuple):
    """Words of a file, in row order."""

    words: list[str]
    counts: list[int] | None = None
    unused: tuple[str, ...] = ()
    """Placeholders among the words, for rows that the file gives to no word."""


def numbered(words: list[str], numbers: Sequence[int], name: str) -> WordList:
    """Interpret one non-negative integer per word.

    They are row numbers if they are 0 to n - 1 in any order, or 1 to n in increasing order (row 0 then belongs to no
    word, as in Keras), and counts otherwise. One number alone is a count.

    Raises
    ------
    FormatError
        If they may be row numbers with gaps: increasing from 0 or 1, without one for every second row or more.

    Examples
    --------
    >>> numbered(["cat", "the"], [1, 0], "").words, numbered(["the", "cat"], [7, 2], "").counts
    (['the', 'cat'], [7, 2])
    >>> numbered(["the", "cat"], [1, 2], "").words
    ['<unused-0>', 'the', 'cat']
    """
    count, increasing = len(words), all(one < other for one, other in pairwise(numbers))
    if count == 1:
        return WordList(words, list(numbers))
    if sorted(numbers) == list(range(count)):
        return WordList([word for _, word in sorted(zip(numbers, words, strict=True))])
    if list(numbers) == list(range(1, count + 1)):
        unused = "<unused-0>"
        return WordList([unused, *words], None, (unused,))
    if increasing and numbers[0] <= 1 and numbers[-1] < 2 * count and count > 2:
        found = f"{numbers[0]} to {numbers[-1]} for {count:,} words"
        hint = "Use Vocab.from_counter for counts; give rows in between a placeholder word."
        raise FormatError("the numbers may be counts, or row numbers with gaps", file=name, found=found, hint=hint)
    return WordList(words, list(numbers))


def is_sequence(numbers: Sequence[int]) -> bool:
    """Return whether two or more numbers count up from 0 or 1, as line numbers do."""
    return len(numbers) > 1 and numbers[0] in (0, 1) and all(other == one + 1 for one, other in pairwise(numbers))
