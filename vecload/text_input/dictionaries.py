"""Read dictionaries: pairs of words in two languages."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from vecload.errors import FormatError, OptionError
from vecload.message_text import quote
from vecload.text_input.lines import Input, input_name, json_or_none, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_word_pairs(path: Input, *, numbered: bool = False) -> list[tuple[str, str]]:
    """Read a source and a target word per line, each pair once.

    Words are separated by a tab or, in lines without one, by spaces. Blank lines are skipped. A JSON object of words
    to a word or a list of words is read too, as is a JSON list of pairs.

    Parameters
    ----------
    path
        As for `read_lines`.
    numbered
        Whether the first words may be consecutive numbers, as identifiers of items are.

    Raises
    ------
    FormatError
        If a line does not have two words, the first column holds line numbers, or there are no pairs.
    """
    name = input_name(path)
    lines = list(read_lines(path, progress=False))
    document = json_or_none("\n".join(lines))
    pairs = dict.fromkeys(_json_pairs(document, name) if document else _line_pairs(lines, name))
    if not pairs:
        raise FormatError("a dictionary without pairs", file=name, expected="two words per line")
    # Without this check, line numbers would be read as source words, and none would be found in any vectors.
    firsts = [source for source, _ in pairs]
    if not numbered and len(firsts) > 1 and all(word.isdecimal() and word.isascii() for word in firsts):
        numbers = list(map(int, firsts))
        if numbers[0] in (0, 1) and all(other == one + 1 for one, other in pairwise(numbers)):
            hint = "Remove the line numbers and put the source words there."
            raise FormatError("the first column numbers the lines", file=name, expected="two words per line", hint=hint)
    return list(pairs)


def list_of_pairs(argument: str, pairs: Iterable[Any]) -> list[tuple[str, str]]:
    """Return pairs of words as a list; reject strings, which would be split into characters.

    Parameters
    ----------
    argument
        Name of the argument, for the message.
    pairs
        Value of the argument.

    Raises
    ------
    OptionError
        If an entry is not a pair of strings.

    Examples
    --------
    >>> list_of_pairs("pairs", [["cat", "Katze"]])
    [('cat', 'Katze')]
    """
    listed = []
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(word, str) for word in pair):
            raise OptionError(f"{argument} must be pairs of words, such as ('cat', 'Katze'): found {pair!r:.60}")
        listed.append((pair[0], pair[1]))
    return listed


def _line_pairs(lines: list[str], name: str) -> list[tuple[str, str]]:
    pairs = []
    for number, line in enumerate(lines, start=1):
        # Only spaces and tabs separate words, so that a word may contain U+3000 or U+00A0.
        trimmed = line.strip(" \t")
        words = [field.strip(" ") for field in trimmed.split("\t" if "\t" in trimmed else " ") if field.strip(" ")]
        if not words:
            continue
        if len(words) != 2:
            hint = "Put a tab between words that contain spaces."
            found = quote(line.encode("utf-8", "surrogateescape"))
            raise FormatError(
                "not a pair of words", file=name, line=number, found=found, expected="two words", hint=hint
            )
        pairs.append((words[0], words[1]))
    return pairs


def _json_pairs(document: Any, name: str) -> list[tuple[str, str]]:
    entries = document.items() if isinstance(document, dict) else document
    pairs: list[tuple[str, str]] = []
    for entry in entries:
        source, targets = entry if isinstance(entry, (list, tuple)) and len(entry) == 2 else (None, None)
        targets = [targets] if isinstance(targets, str) else targets
        if not isinstance(source, str) or not isinstance(targets, list) or not all(isinstance(t, str) for t in targets):
            found = quote(repr(entry).encode("utf-8", "surrogateescape"))
            raise FormatError("not a pair of words", file=name, found=found, expected="two strings")
        pairs.extend((source, target) for target in targets)
    return pairs
