"""`MappedBytes`: mapped bytes as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_LONGEST_LINE: Final = 1 << 12  # names of classes in a pickle


class MappedBytes:
    """Mapped bytes as a file, which does not copy more than is read."""

    def __init__(self, data: npt.NDArray[np.uint8], begin: int = 0) -> None:
        self._data = data
        self._at = begin

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to an offset, and return it."""
        self._at = max(0, offset + (0, self._at, len(self._data))[whence])
        return self._at

    def read(self, count: int = -1) -> bytes:
        """Return the next bytes; all if `count` is negative."""
        end = len(self._data) if count < 0 else self._at + count
        piece = self._data[self._at : end].tobytes()
        self._at += len(piece)
        return piece

    def readline(self) -> bytes:
        """Return the bytes up to the next line feed, of a line that is not longer than names are."""
        ends = np.flatnonzero(self._data[self._at : self._at + _LONGEST_LINE] == ord("\n"))
        return self.read(int(ends[0]) + 1 if len(ends) else _LONGEST_LINE)
