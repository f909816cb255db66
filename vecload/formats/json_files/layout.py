"""The layout of a JSON file, found in its first records: the kind of records, their keys, the dimension."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Final, NamedTuple

from vecload.formats.text.grammar import BOM

WORD_KEYS: Final = ("word", "token", "text", "term", "key", "name", "label", "id", "item", "entity", "gene", "w")
"""Keys of words, in order of preference. Any other key is used if it is the only one with a string."""
VECTOR_KEYS: Final = ("vector", "embedding", "values", "vec", "embeddings", "vectors", "emb", "v")
"""Keys of vectors, in order of preference. Any other key is used if it is the only one with a list of numbers."""

HEAD: Final = 1 << 16
_SURE: Final = 92
_RECORDS: Final = 20
_BLANKS = re.compile(r"[ \t\r\n]*")
_SCAN = json.JSONDecoder().raw_decode
_FAILURES = (ValueError, RecursionError)


class Layout(NamedTuple):
    """Facts that the first records show."""

    lines: bool
    """Whether each line is a record."""
    opens: str
    """Character that opens the document: ``{`` for entries, ``[`` for a list of objects."""
    word_key: str
    """Key of the word in each object; empty if records are entries ``"word": [...]``."""
    vector_key: str
    dim: int
    begin: int
    record_bytes: float


def detect_document(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 92 if the first records are an object of lists, or a list of objects, with words and numbers."""
    found = find_layout(head, whole=len(head) < HEAD)
    return 0 if found is None or found.lines else _SURE


def detect_lines(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 92 if the first lines are objects with words and numbers."""
    found = find_layout(head, whole=len(head) < HEAD)
    return 0 if found is None or not found.lines else _SURE


def find_layout(head: bytes, *, whole: bool) -> Layout | None:
    """Return the layout that the first bytes of a file show; None if they are not words and vectors in JSON.

    Parameters
    ----------
    head
        The first bytes.
    whole
        Whether they are the whole file. Otherwise the last record may be incomplete and is ignored.
    """
    begin = len(BOM) if head.startswith(BOM) else 0
    start = head[begin:].lstrip(b" \t\r\n")
    if not start.startswith((b"{", b"[")):
        return None
    text = head[begin:].decode("utf-8", "surrogateescape")
    at = _skip(text, 0)
    if text[at] == "[":
        objects, end = _items(text, at + 1, None)
        return _of_objects(objects, end - at, begin, lines=False)
    entries, end = _items(text, at + 1, ":")
    dims = Counter(dim for _, value in entries if (dim := _dim(value)))
    # Most entries are vectors of one dimension: the settings of a model have some list of numbers, too.
    if dims and 2 * dims.most_common(1)[0][1] > len(entries):
        dim, _ = dims.most_common(1)[0]
        size = (end - at) / len(entries)
        return Layout(lines=False, opens="{", word_key="", vector_key="", dim=dim, begin=begin, record_bytes=size)
    lines = [line for line in text.split("\n") if line.strip()]
    if not whole and len(lines) > 1:
        lines.pop()
    objects = []
    for line in lines[:_RECORDS]:
        try:
            objects.append(json.loads(line))
        except _FAILURES:
            objects.append(None)
    size = sum(len(line) + 1 for line in lines[:_RECORDS])
    return _of_objects(objects, size, begin, lines=True)


def _items(text: str, at: int, colon: str | None) -> tuple[list[Any], int]:
    """Return the first items of a list, or pairs of keys and values of an object, and the offset after them."""
    items: list[Any] = []
    try:
        while len(items) < _RECORDS:
            at = _skip(text, at)
            key, after = _SCAN(text, at) if colon else (None, at)
            if colon:
                after = _skip(text, after)
                if text[after : after + 1] != colon or not isinstance(key, str):
                    break
                after = _skip(text, after + 1)
            value, after = _SCAN(text, after)
            items.append((key, value) if colon else value)
            at = _skip(text, after)
            if text[at : at + 1] != ",":
                break
            at += 1
    except _FAILURES:
        pass
    return items, at


def _skip(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return at if found is None else found.end()


def _dim(value: Any) -> int:
    """Return the number of values in a list of numbers; 0 for anything else."""
    numbers = isinstance(value, list) and all(
        isinstance(item, (int, float)) and not isinstance(item, bool) for item in value
    )
    return len(value) if numbers else 0


def _of_objects(objects: list[Any], size: float, begin: int, *, lines: bool) -> Layout | None:
    """Return the layout of records that are objects, or None if most of them have no word or vector."""
    pairs = [pair for item in objects if isinstance(item, dict) and (pair := _keys(item)) is not None]
    if not pairs or 2 * len(pairs) <= len(objects):
        return None
    (word, vector), _ = Counter(pairs).most_common(1)[0]
    dims = Counter(dim for item in objects if isinstance(item, dict) and (dim := _dim(item.get(vector))))
    return Layout(lines, "[", word, vector, dims.most_common(1)[0][0], begin, size / len(objects))


def _keys(item: dict[str, Any]) -> tuple[str, str] | None:
    """Return the keys of the word and the vector of an object, or None if they are missing or ambiguous."""
    strings = [key for key, value in item.items() if isinstance(value, str)]
    lists = [key for key, value in item.items() if _dim(value)]
    word = next((key for key in WORD_KEYS if key in strings), strings[0] if len(strings) == 1 else None)
    if word is None and isinstance(item.get("id"), int):
        word = "id"
    vector = next((key for key in VECTOR_KEYS if key in lists), lists[0] if len(lists) == 1 else None)
    return None if word is None or vector is None else (word, vector)
