"""Decide whether the numbers in a word list are counts or row numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from vecload.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence


class WordList(NamedTuple):
    """The words of a file in row order, and their counts, if it has them."""

    words: list[str]
    counts: list[int] | None = None
    unused: tuple[str, ...] = ()
    """Placeholders among the words, for rows to which the file assigns no word."""


def interpret_numbers(words: list[str], numbers: Sequence[int], name: str) -> WordList:
    """Return the words in row order, given one non-negative integer per word.

    The integers are row numbers if they are 0 to n - 1 in any order, or 1 to n in increasing order (row 0 then has no
    word, as in Keras). Otherwise they are counts. A single number is a count.

    Raises
    ------
    FormatError
        If they may be row numbers with gaps: increasing from 0 or 1, with more than half of the rows assigned.

    Examples
    --------
    >>> interpret_numbers(["cat", "the"], [1, 0], "").words, interpret_numbers(["the", "cat"], [7, 2], "").counts
    (['the', 'cat'], [7, 2])
    >>> interpret_numbers(["the", "cat"], [1, 2], "").words
    ['<unused-0>', 'the', 'cat']
    """
    # The numbers 0 to n - 1 in any order are row numbers: counts of a corpus are not distinct, many words are equally
    # rare.
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
        hint = "Use Vocab.from_counter for counts. For row numbers, add placeholder words for the missing rows."
        raise FormatError("the numbers may be counts, or row numbers with gaps", file=name, found=found, hint=hint)
    return WordList(words, list(numbers))


def is_sequence(numbers: Sequence[int]) -> bool:
    """Return whether two or more numbers count up from 0 or 1, as line numbers do."""
    return len(numbers) > 1 and numbers[0] in (0, 1) and all(other == one + 1 for one, other in pairwise(numbers))
