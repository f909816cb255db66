"""Read texts: one per line, a field of JSON objects, or a column of a Parquet file."""

from __future__ import annotations

import contextlib
import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecload.errors import FormatError, require
from vecload.message_text import shorten
from vecload.text_input.lines import Input, decode_lines, json_or_none, open_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vecload.sources import Source

_BATCH = 8192  # rows of a Parquet file in memory at a time
_COLUMN_HINT = "Name the field with --text-column (text_column=)."
_LOOK = 2  # lines that show whether all lines are JSON objects


def read_texts(path: Input, *, column: str = "text", progress: bool | None = False) -> Iterator[str]:
    """Yield the texts of a file while it is read.

    The kind of the file is detected from its content: Parquet by its first bytes, JSON lines by a JSON object in one of
    the first two lines, and a JSON list by its brackets. All other files have one text per line. A file with the
    extension ``.jsonl`` is always read as JSON lines.

    Parameters
    ----------
    path
        As for `read_lines`.
    column
        Field of the JSON objects, or column of the Parquet file.
    progress
        Whether to show a progress bar; None shows one if standard error is a terminal.

    Raises
    ------
    FormatError
        If an object or a Parquet file has no such field of texts, or the file is binary.
    """
    with open_input(path) as source:
        if source.head(4) == b"PAR1":
            yield from _parquet_texts(source, column)
            return
        lines = decode_lines(source, progress=progress)
        head: list[str] = []
        looked = 0
        while looked < _LOOK and (line := next(lines, None)) is not None:
            head.append(line)
            looked += bool(line.strip())
        if any("\0" in line for line in head):
            raise FormatError("binary data, not texts", file=source.name, found=f"bytes {source.head(16)!r}")
        start = next((line.lstrip() for line in head if line.strip()), "")
        if ".jsonl" in Path(source.name).suffixes or any(isinstance(json_or_none(line), dict) for line in head):
            yield from _json_line_texts(chain(head, lines), column, source.name)
        elif start.startswith("["):
            yield from _json_list_texts([*head, *lines], column, source.name)
        else:
            yield from chain(head, lines)


def _json_line_texts(lines: Iterable[str], column: str, name: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _text_of(_parsed(line, column, name, number), column, name, number)


def _json_list_texts(lines: list[str], column: str, name: str) -> Iterator[str]:
    """Yield the texts of a JSON list, or the lines themselves if they are not valid JSON, such as "[music] hello"."""
    document = json_or_none("\n".join(lines))
    if not isinstance(document, list):
        yield from lines
        return
    for entry in document:
        yield entry if isinstance(entry, str) else _text_of(entry, column, name, None)


def _parsed(line: str, column: str, name: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        expected = f'an object with "{column}"'
        raise FormatError(f"not JSON ({error})", file=name, line=number, expected=expected) from error


def _text_of(entry: Any, column: str, name: str, number: int | None) -> str:
    if not isinstance(entry, dict) or column not in entry:
        found = f"fields {', '.join(map(str, entry))}" if isinstance(entry, dict) else type(entry).__name__
        expected = f'an object with "{column}"'
        raise FormatError("no text", file=name, line=number, found=found, expected=expected, hint=_COLUMN_HINT)
    text = entry[column]
    if not isinstance(text, str):
        raise FormatError(f'"{column}" is not a text', file=name, line=number, found=type(text).__name__)
    return text


def _parquet_texts(source: Source, column: str) -> Iterator[str]:
    parquet: Any = require("pyarrow.parquet", "arrow")
    arrow: Any = require("pyarrow", "arrow")
    damage = (arrow.ArrowException, OSError, ValueError)  # UnicodeDecodeError is a ValueError
    name = source.name
    with contextlib.ExitStack() as stack:
        # A Parquet file has its metadata at the end, so a stream is first written to a temporary file.
        whole = stack.enter_context(source.spooled()) if source.path is None else source.path
        try:
            file = stack.enter_context(parquet.ParquetFile(whole))
        except damage as error:
            raise FormatError(f"a damaged Parquet file ({error})", file=name) from error
        names = file.schema_arrow.names
        if column not in names:
            raise FormatError(f"no column {column!r}", file=name, found=", ".join(names), hint=_COLUMN_HINT)
        batches = file.iter_batches(_BATCH, columns=[column])
        while True:
            try:
                texts = next(batches).column(0).to_pylist()
            except StopIteration:
                return
            except damage as error:
                raise FormatError(f"a damaged Parquet file ({error})", file=name) from error
            for text in texts:
                if not isinstance(text, str):
                    problem = f"column {column!r} contains values that are not texts"
                    raise FormatError(problem, file=name, found=shorten(text))
                yield text
