"""Write JSON and JSON lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vecload.formats.records import write_records
from vecload.formats.text.writer import check_options

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from vecload.formats.contract import RowStream, WriteOptions
    from vecload.sources import OutputStream

__all__ = ["check_options", "write_document", "write_lines"]


def write_lines(output: Path | OutputStream, table: RowStream, options: WriteOptions) -> Counter[str]:
    """Write JSON lines: an object with the keys "word" and "vector" for each row.

    ``pandas.read_json(path, lines=True)`` and ``polars.read_ndjson`` read it. NaN and infinity are spelled as Python's
    json module spells them, which is not standard JSON. `options.precision` is that of text.
    """

    def line(word: bytes, values: bytes) -> bytes:
        return b'{"word": %b, "vector": [%b]}\n' % (_string(word), _numbers(values))

    return write_records(output, table, options, mark=b", ", first=b"", record=line)


def write_document(output: Path | OutputStream, table: RowStream, options: WriteOptions) -> Counter[str]:
    """Write JSON: one object with a list for each word, a word on each line. Options are those of `write_lines`."""

    def entry(word: bytes, values: bytes) -> bytes:
        return b"%b: [%b]" % (_string(word), _numbers(values))

    return write_records(output, table, options, mark=b", ", first=b"{\n", record=entry, last=b"\n}\n", between=b",\n")


def _string(word: bytes) -> bytes:
    """Return a word as a JSON string. Bytes that are not UTF-8 become escapes of surrogates, as in Python strings."""
    try:
        return json.dumps(word.decode(), ensure_ascii=False).encode()
    except UnicodeDecodeError:
        return json.dumps(word.decode("utf-8", "surrogateescape")).encode()


def _numbers(values: bytes) -> bytes:
    if b"n" not in values:
        return values
    return values.replace(b"nan", b"NaN").replace(b"inf", b"Infinity")
