"""Find the words of a table of numbers in the file beside it. Every text file is checked, so this module is small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from vecload.sources import Source

_BLOCK: Final = 1 << 20
_TABLES: Final = ("vectors", "tensors")


def metadata_beside(source: Source) -> Path | None:
    """Return the metadata file beside a table of numbers: ``x_metadata.tsv`` for ``x_vectors.tsv``; None if missing."""
    path = source.path
    if path is None or not path.is_file() or path.suffix != ".tsv":
        return None
    for name in _TABLES:
        beside = path.with_name(path.name.replace(name, "metadata"))
        if name in path.name and beside.is_file() and _numbers_only(source.head(_BLOCK)):
            return beside
    return None


def _numbers_only(head: bytes) -> bool:
    """Return whether the first line is a row of numbers."""
    try:
        return bool([float(cell) for cell in head.split(b"\n", 1)[0].decode().split()])
    except ValueError:
        return False
