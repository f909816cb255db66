"""A quick look at a text file for `vecload.info`, without compiled code and without reading all of it."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.formats.contract import Preview, Sample
from vecload.formats.text.grammar import MalformedLine, is_blank, parse_line, split_fields
from vecload.formats.text.layout import HEAD, find_layout
from vecload.message_text import number_of

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from vecload.sources import Source
    from vecload.words.doubts import SharedSpaces

_SAMPLE_BYTES: Final = 1 << 20
_SAMPLE_ROWS: Final = 1000
_COUNT_BYTES: Final = 1 << 32  # the lines of larger files are not counted: it would take more than a second or two
_BLOCK: Final = 1 << 20  # bytes read together to count lines
# A float32 needs up to nine significant digits (IEEE 754: 1 + ceil(24 log10 2)); numbers of more are float64.
_FLOAT32_DIGITS: Final = 9


def preview(source: Source) -> Preview:
    """Return the first rows, how values are written and, for a plain file of up to 4 GB, the number of its rows."""
    head = source.head(_SAMPLE_BYTES)
    layout = find_layout(head[:HEAD], source.name, size=source.size, header=None)
    whole = len(source.head(_SAMPLE_BYTES + 1)) == len(head)
    lines = head[layout.begin :] if whole else head[layout.begin : head.rfind(b"\n") + 1]
    words, rows, skipped = sample_rows(lines, layout.dim, layout.shared, most=_SAMPLE_ROWS)
    total = sum(not is_blank(line) for line in lines.split(b"\n")) if whole else None
    digits = _count_digits(head[layout.begin : HEAD], layout.dim)
    count = None
    if source.path is not None and source.size is not None and source.size <= _COUNT_BYTES:
        count = _count_lines(source.path) - (layout.declared is not None)
    kind = "float32" if digits <= _FLOAT32_DIGITS else "float64"
    values = f"decimal text of up to {number_of(digits, 'digit')}: {kind}"
    return Preview(rows=count, values=values, sample=Sample(words, rows, total, skipped))


def sample_rows(
    text: bytes, dim: int, shared: SharedSpaces, *, most: int
) -> tuple[list[str], npt.NDArray[np.float64], Counter[str]]:
    r"""Return the words and the values (float64, shape (k, dim)) of the first `most` rows, and malformed rows by cause.

    Compiling or loading kernels takes longer than a few hundred rows in Python.

    Examples
    --------
    >>> from vecload.words.doubts import SharedSpaces
    >>> sample_rows(b"cat 0.1 0.2\n\ndog 1\n", 2, SharedSpaces(), most=10)
    (['cat'], array([[0.1, 0.2]]), Counter({'too few values': 1}))
    """
    words, rows, skipped, seen = [], [], Counter[str](), 0
    for line in text.split(b"\n"):
        if is_blank(line):
            continue
        if seen == most:
            break
        seen += 1
        row_text = line.lstrip(b" \t") if shared.before else line
        try:
            end, row = parse_line(row_text, dim, "float64", allow_nonfinite=True)
        except MalformedLine as error:
            skipped[error.cause] += 1
            continue
        word = row_text[:end].rstrip(b" \t") if shared.after else row_text[:end]
        words.append(word.decode("utf-8", "surrogateescape"))
        rows.append(row)
    return words, np.array(rows).reshape(len(rows), dim), skipped


def _count_digits(head: bytes, dim: int) -> int:
    """Return the most significant digits of a value in the first rows."""
    cells = [cell for line in head.split(b"\n")[:20] for cell in split_fields(line)[-dim:]]
    mantissas = (re.split(rb"[eE]", cell)[0].translate(None, b"+-.").strip(b"0") for cell in cells)
    return max(map(len, mantissas), default=0)


def _count_lines(path: Path) -> int:
    """Return the number of lines of a file, without blank ones at its end."""
    block = bytearray(_BLOCK)
    # Line feeds count only when something that is not white space follows, perhaps in a later block.
    lines = pending = 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            text = len(block[:count].rstrip(b"\r\n\t "))
            if text:
                lines += pending + block.count(b"\n", 0, text)
                pending = 0
            pending += block.count(b"\n", text, count)
    return lines + 1
