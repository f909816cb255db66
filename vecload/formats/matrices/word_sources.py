"""Read the words of a matrix from another file, or take them from memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vecload.errors import FormatError, OptionError, VocabularyError, require
from vecload.formats.matrices.strings import words_of_strings
from vecload.formats.matrices.tokenizer_json import read_tokens
from vecload.saved.npy import map_npy
from vecload.sources import open_source
from vecload.text_input import parse_word_list, read_document, read_lines
from vecload.words import Words

if TYPE_CHECKING:
    from vecload.formats.contract import ReadRequest

_NPY: Final = b"\x93NUMPY"
_PARQUET: Final = b"PAR1"
_COLUMNS: Final = ("word", "words", "token", "label", "name", "id")
WORDS_HINT: Final = (
    'Pass words="words.txt" (--words words.txt): a file with one word per line, a .npy array, a JSON list, a Parquet '
    "column, or a tokenizer.json."
)
"""Hint for a matrix without words."""


def read_words_of_rows(source: str | os.PathLike[str] | Iterable[str]) -> Words:
    """Return the words of a matrix in row order. A word may occur more than once.

    Parameters
    ----------
    source
        An iterable of strings, or the path of a file: one word per line, or a table with a header, as TensorBoard's
        ``metadata.tsv``; a ``.npy`` array of strings; a JSON list of words, or an object ``{word: row}``; a Parquet
        file with one column of text, or one called ``word``; or a ``tokenizer.json``.

    Raises
    ------
    FormatError
        If the file is not a list of words.
    OptionError
        If `source` is neither a path nor strings.
    """
    if isinstance(source, (str, os.PathLike)):
        return _read(Path(source))
    try:
        return source if isinstance(source, Words) else Words.from_strings(list(source))
    except (TypeError, VocabularyError) as error:
        raise OptionError(f"words must be a path or strings ({error})") from error


def read_table_of_words(path: Path) -> Words:
    """Return the words of a file such as TensorBoard's ``metadata.tsv``, exactly as they are written.

    A file with one column has a word on each line. One with several has a header, and the words are in the column
    "word", "token", "label", "name" or "id", or else in the first.

    Raises
    ------
    FormatError
        If lines have different numbers of columns.
    """
    rows = [line.split("\t") for line in read_lines(path, progress=False)]
    width = len(rows[0]) if rows else 1
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            found = f"{len(row)} columns"
            raise FormatError("a line of another width", file=str(path), line=number, found=found, expected=str(width))
    if width == 1:
        return Words.from_strings([row[0] for row in rows])
    header = [name.casefold() for name in rows[0]]
    column = next((header.index(name) for name in _COLUMNS if name in header), 0)
    return Words.from_strings([row[column] for row in rows[1:]])


def check_count(words: Words, rows: int, name: str) -> None:
    """Refuse words that are not one for each row of a matrix.

    Raises
    ------
    FormatError
        If the numbers differ.
    """
    if len(words) != rows:
        hint = "The words must be in the order of the rows, with one word for each."
        found = f"{len(words):,} words"
        raise FormatError("not one word per row", file=name, found=found, expected=f"{rows:,}", hint=hint)


def requested_words(request: ReadRequest, rows: int, name: str) -> Words:
    """Return the words that the caller passed for a matrix.

    Raises
    ------
    FormatError
        If the caller passed no words, or another number of words.
    """
    if request.word_list is None:
        raise FormatError("a matrix without words", file=name, found=f"{rows:,} rows", hint=WORDS_HINT)
    check_count(request.word_list, rows, name)
    return request.word_list


def _read(path: Path) -> Words:
    with open_source(path) as source:
        head = source.head(1 << 12)
    if head.startswith(_NPY):
        try:
            return words_of_strings(map_npy(path), str(path))
        except ValueError as error:
            raise FormatError(f"not an array of strings ({error})", file=str(path)) from error
    if head.startswith(_PARQUET):
        return _column(path)
    if head.lstrip().startswith(b"{") and path.name.endswith("tokenizer.json"):
        tokens = read_tokens(path)
        if len(tokens.rows) and tokens.rows[-1] != len(tokens.rows) - 1:
            found = f"{len(tokens.rows):,} tokens with numbers up to {tokens.rows[-1]:,}"
            raise FormatError("numbers without a token", file=str(path), found=found)
        return tokens.words
    if b"\t" in head.split(b"\n", 1)[0]:
        return read_table_of_words(path)
    return Words.from_strings(parse_word_list(read_document(path), str(path), repeated=True).words)


def _column(path: Path) -> Words:
    require("pyarrow", "arrow")
    from pyarrow import ArrowException, parquet

    try:
        schema = parquet.read_schema(path)
        texts = [field.name for field in schema if str(field.type) in ("string", "large_string", "string_view")]
        name = next((one for one in _COLUMNS if one in texts), texts[0] if len(texts) == 1 else None)
        if name is None:
            expected = "one column of text, or one called 'word'"
            found = ", ".join(schema.names)
            raise FormatError("no column of words", file=str(path), found=found, expected=expected)
        column: Any = parquet.read_table(path, columns=[name]).column(0).combine_chunks()
    except ArrowException as error:
        raise FormatError(f"cannot read the Parquet file ({error})", file=str(path)) from error
    if column.null_count:
        raise FormatError("rows without a word", file=str(path), found=f"{column.null_count:,}")
    return Words.from_strings(column.to_pylist())
