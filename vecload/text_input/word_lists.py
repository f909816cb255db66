"""Read and write word lists: one word per line, with or without counts or row numbers, or JSON."""

from __future__ import annotations

import io
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from vecload.errors import FormatError, VocabularyError, warn
from vecload.message_text import quote
from vecload.text_input.columns import is_number, split_columns
from vecload.text_input.lines import Input, input_name, json_or_none, read_lines
from vecload.text_input.numbering import WordList, interpret_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LIKE_JSON = re.compile(r'\s*(\{|\[)\s*["\[{]')  # a whole list or object, not "[PAD]"
_SAMPLE = 200  # lines that show whether the file holds vectors or words, before the rest is read
_VECTORS = "If it holds vectors, Vocab.from_vectors(vecload.load(path)) takes their words."
_WAY_OUT = "Write one word per line, a word, a tab and its count, or a JSON list of words."


class Document(NamedTuple):
    """Uninterpreted content of a word list."""

    lines: list[str]
    json: Any
    """The JSON list or object in the lines, or None."""


def read_document(path: Input) -> Document:
    """Read the file of a word list.

    Parameters
    ----------
    path
        As for `read_lines`.

    Raises
    ------
    FormatError
        If the file holds vectors or binary data instead of words.
    """
    name = input_name(path)
    reader = read_lines(path, progress=False)
    lines = list(islice(reader, _SAMPLE))
    _refuse_binary(lines, name)
    _refuse_vectors(lines, name)
    lines += reader
    _refuse_binary(lines, name)
    text = "\n".join(lines)
    document = json_or_none(text)
    if document is None and _LIKE_JSON.match(text):
        raise FormatError("damaged JSON", file=name, found=quote(text[:60].encode("utf-8", "surrogateescape")))
    return Document(lines, document)


def parse_word_list(document: Document, name: str, *, repeated: bool = False) -> WordList:
    """Return the words of a document, and their counts where it has them.

    Parameters
    ----------
    document
        Result of `read_document`.
    name
        Name of the file, for error messages.
    repeated
        Whether a word may occur more than once.

    Raises
    ------
    FormatError
        If there are no words, a word occurs more than once, a line is empty, or the columns are unknown.
    """
    found = _from_lines(document.lines, name) if document.json is None else _from_json(document.json, name)
    first: dict[str, int] = {}
    for at, word in enumerate(found.words, start=1):
        if word in first and not repeated:
            where = f"words {first[word]:,} and {at:,}"
            raise FormatError(f"{word!r} occurs more than once", file=name, found=where)
        first[word] = at
    return found


def format_word_list(words: Iterable[str]) -> bytes:
    r"""Return the words as a file with one word per line.

    Raises
    ------
    VocabularyError
        If `parse_word_list` would not read the same words back: a word holds a line end, say, or all words end in a
        space and a number.

    Examples
    --------
    >>> format_word_list(["cat", "New York"])
    b'cat\nNew York\n'
    """
    listed = list(words)
    for word in listed:
        if not word or "\n" in word or "\r" in word or "\0" in word:
            raise VocabularyError(f"{word!r} cannot be written on one line: save the vocabulary as .json")
    content = "".join(word + "\n" for word in listed).encode("utf-8", "surrogateescape")
    # A reader drops one byte order mark, so a first word that begins with one gets a second.
    if content.startswith(b"\xef\xbb\xbf"):
        content = b"\xef\xbb\xbf" + content
    try:
        document = read_document(io.BytesIO(content))
        readable = document.json is None and _from_lines(document.lines, "", repair=False) == WordList(listed)
    except FormatError:
        readable = False
    if not readable:
        shown = ", ".join(map(repr, listed[:3])) or "no words"
        raise VocabularyError(
            f"a text file of these words ({shown}) would be read back differently: save the vocabulary as .json"
        )
    return content


def _refuse_binary(lines: Sequence[str], name: str) -> None:
    for line in lines:
        if "\0" in line:
            found = quote(line.encode("utf-8", "surrogateescape"))
            raise FormatError("binary data, not a list of words", file=name, found=found, hint=_VECTORS)


def _refuse_vectors(lines: Sequence[str], name: str) -> None:
    """Raise `FormatError` if all lines end in two or more numbers; the first line may be a header."""
    body = [line.strip(" ") for line in (lines[1:] if len(lines) > 1 else lines) if line]
    separator = "\t" if all("\t" in line for line in body) else None
    if all(line.count(",") > 1 for line in body) and not any(is_number(line.split(",")[0]) for line in body):
        separator = ","  # lines that begin with a number are excluded, because "10,000,000" is a word
    rows = [line.split(separator) for line in body]
    if rows and all(len(row) > 2 and is_number(row[-1]) and is_number(row[-2]) for row in rows):
        found = f"lines such as {quote(' '.join(rows[0]).encode('utf-8', 'surrogateescape'))}"
        hint = "Vocab.from_vectors(vecload.load(path)) takes the words of vectors."
        raise FormatError("a file of vectors, not a list of words", file=name, found=found, hint=hint)


def _from_lines(lines: list[str], name: str, *, repair: bool = True) -> WordList:
    # Drop empty lines at the end. A slice is linear, even if there are a million of them.
    lines = lines[: next((at for at in range(len(lines), 0, -1) if lines[at - 1].strip(" \t")), 0)]
    if not lines:
        raise FormatError("no words", file=name, expected="one word per line")
    for number, line in enumerate(lines, start=1):
        if not line:
            raise FormatError("an empty line", file=name, line=number, expected="a word")
    found = split_columns(lines, name)
    if found is not None:
        return found
    plain = _unquoted(_stripped(lines))
    if plain != lines and repair:
        warn(f"{name}: every line is quoted or has spaces around it; they were removed: {lines[0]!r} is {plain[0]!r}")
    return WordList(plain)


def _stripped(lines: list[str]) -> list[str]:
    """Remove leading or trailing spaces and tabs that all lines share."""
    for strip in (str.lstrip, str.rstrip):
        shorter = [strip(line, " \t") for line in lines]
        if all(after and after != before for before, after in zip(lines, shorter, strict=True)):
            lines = shorter
    return lines


def _unquoted(lines: list[str]) -> list[str]:
    """Remove quotation marks if all lines are quoted."""
    if len(lines) > 1 and all(len(line) > 2 and line[0] == line[-1] == '"' for line in lines):
        return [line[1:-1].replace('""', '"') for line in lines]
    return lines


def _from_json(document: Any, name: str) -> WordList:
    if not document:
        raise FormatError("no words", file=name, found=repr(document))
    if isinstance(document, dict):
        if "model" in document and "added_tokens" in document:
            hint = "Use Vocab.from_tokenizer(tokenizers.Tokenizer.from_file(path))."
            raise FormatError("a tokenizer, not a list of words", file=name, hint=hint)
        pairs = list(document.items())
    elif all(isinstance(entry, str) for entry in document):
        pairs = [(entry, None) for entry in document]
    else:
        pairs = [tuple(entry) if isinstance(entry, list) else (entry,) for entry in document]
    words, numbers = [], []
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], str) or not pair[0]:
            found = f"an entry {quote(repr(pair).encode('utf-8', 'surrogateescape'))}"
            raise FormatError("not a JSON list of words", file=name, found=found, hint=_WAY_OUT)
        words.append(pair[0])
        numbers.append(pair[1])
    if all(number is None for number in numbers):
        return WordList(words)
    if isinstance(numbers[0], list):
        hint = "vecload.load reads vectors; Vocab.from_words takes the keys."
        raise FormatError("a JSON object of vectors, not of counts", file=name, hint=hint)
    for word, number in zip(words, numbers, strict=True):
        if type(number) is not int or not 0 <= number < 1 << 63:
            raise FormatError(
                "a JSON object of words needs counts or row numbers", file=name, found=f"{word!r}: {number!r:.40}"
            )
    return interpret_numbers(words, numbers, name)
