"""The formats vecload reads, one file each, blind to each other.

The contract. A format is a plain module with

``NAME``
    What people call it.
``sniff(head, name) -> int``
    How sure it is, 0 to 100, that a file beginning with the bytes `head` (64 KiB, less if the file is short) is its
    own. Opens nothing and never raises.
``read(source, ...) -> Reader``
    An iterable of `Batch` in file order with `dim`, `declared` (the number of rows the file claims, or None),
    `skipped` (counts by cause) and `meta`. `only` and `limit` are pushed down to it, so rows nobody asked for are not
    parsed. What it raises is `FormatError` with the place.

A new format is a new file and one line in `FORMATS`. What is known but cannot be read is named by `foreign`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vecload.errors import FormatError
from vecload.formats import foreign, text

if TYPE_CHECKING:
    from types import ModuleType

FORMATS: tuple[ModuleType, ...] = (text,)

HEAD = 1 << 16
"""Bytes that `recognise` wants to see."""


def recognise(head: bytes, name: str) -> ModuleType:
    """The format whose `sniff` is surest of a file's first bytes.

    Raises
    ------
    FormatError
        When none is sure at all: names what the file looks like, where that is known.
    """
    if not head:
        raise FormatError("the file is empty", file=name, hint="Check that it was written or downloaded whole.")
    look = foreign.describe(head)
    if look is not None:
        raise FormatError("not a file of text vectors", file=name, found=look.what, hint=look.hint)
    best = max(FORMATS, key=lambda module: module.sniff(head, name))
    if best.sniff(head, name) == 0:
        raise FormatError(
            "the format is not recognised",
            file=name,
            found=f"bytes {head[:16].hex(' ')}",
            expected=" or ".join(module.NAME for module in FORMATS),
        )
    return best
