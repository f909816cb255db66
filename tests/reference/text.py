"""Read text vectors line by line with simple splitting and float(): the answer that the kernels must give.

Written from the documentation of the format (docs/text-formats.md), not from the package's code.
"""

from __future__ import annotations

import re

import numpy as np

NONFINITE = re.compile(r"[+-]?(nan(\(\w*\))?|1\.#(inf|ind|qnan|snan)\d*)", re.IGNORECASE)


class Refused(Exception):  # noqa: N818 - an expected answer
    """Number of a malformed line, counted from 1."""


def number(field: bytes) -> float | None:
    try:
        text = field.decode("utf-8")
        return float(text)
    except ValueError:
        if not NONFINITE.fullmatch(field.decode("latin-1")):
            return None
        value = float("inf") if b"inf" in field.lower() else float("nan")
        return -value if field[:1] == b"-" else value


def is_whole(field: bytes) -> bool:
    return re.fullmatch(rb"[+-]*[0-9]+", field) is not None


def split_right(line: bytes, count: int) -> tuple[bytes, bytes, list[bytes]] | None:
    """Return the word, the separator after it and the last `count` fields."""
    line = line.rstrip(b" \t")
    fields: list[bytes] = []
    while len(fields) < count:
        at = len(line)
        while at and line[at - 1] not in b" \t":
            at -= 1
        if at == len(line):
            return None
        fields.insert(0, line[at:])
        line = line[:at]
        if len(fields) < count:
            line = line.rstrip(b" \t")
    return line[:-1], line[-1:], fields


def row(line: bytes, dim: int, dtype: str, *, allow_nonfinite: bool = False) -> tuple[bytes, np.ndarray] | None:
    """Return the word and the values of a line, or None if it is malformed."""
    if line.endswith(b"\r"):
        line = line[:-1]
    if b"\0" in line:
        return None
    parts = split_right(line, dim)
    if parts is None or not parts[0]:
        return None
    word, separator, fields = parts
    values = [number(field) for field in fields]
    if None in values:
        return None
    with np.errstate(over="ignore"):
        vector = np.array([np.dtype(dtype).type(value) for value in values], dtype=dtype)
    if not allow_nonfinite and not np.isfinite(vector).all():
        return None
    pieces = [piece for piece in re.split(rb"[ \t]", word) if piece]
    if separator == b" " and len(pieces) > 1 and word[-1:] not in (b" ", b"\t"):
        last = pieces[-1]
        looks = last[:1] in (b"+", b"-", b".") or last[:1].isdigit()
        if looks and number(last) is not None and not (is_whole(last) and not all(map(is_whole, fields))):
            return None
    return word, vector


def read(
    data: bytes, dim: int, *, header: bool, dtype: str = "float32", skip: bool = False, allow_nonfinite: bool = False
) -> tuple[list[bytes], np.ndarray, int]:
    """Return words, matrix (first row of each word) and the number of skipped lines."""
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    lines = lines[1:] if header else lines
    while lines and not lines[-1].rstrip(b"\r").strip(b" \t"):
        lines.pop()
    words: dict[bytes, np.ndarray] = {}
    skipped = 0
    for at, line in enumerate(lines):
        parsed = row(line, dim, dtype, allow_nonfinite=allow_nonfinite)
        if parsed is None:
            if not skip:
                raise Refused(at + 1 + header)
            skipped += 1
        else:
            words.setdefault(*parsed)
    matrix = np.array(list(words.values()), dtype=dtype).reshape(len(words), dim)
    return list(words), matrix, skipped
