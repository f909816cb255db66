"""`MappedRange`: find the file of a memory-mapped array, and map the same bytes again in another process."""

from __future__ import annotations

import contextlib
import mmap
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vecload.errors import FormatError

_HEAD = 4096
"""Number of bytes at the start of a file that are compared. They include the header of every format that can be mapped,
or its first part."""


@dataclass(frozen=True)
class MappedRange:
    """The position of a C-contiguous array in a file, and enough of the file to recognize it later.

    Parameters
    ----------
    path
        Absolute path of the file.
    offset
        First byte of the array.
    dtype, shape
        Type and shape of the array.
    size
        Size of the whole file in bytes.
    digest
        SHA-256 of its first 4,096 bytes.
    """

    path: str
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    size: int
    digest: bytes

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> MappedRange | None:
        """Return the position of an array in its file, or None if it is not in a file that still has its name.

        Examples
        --------
        >>> MappedRange.of(np.ones(3)) is None
        True
        """
        # A slice has the array that it was taken from as its base; the last base is the memmap, which keeps the path.
        root: Any = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        path = getattr(root, "filename", None)
        if not isinstance(root.base, mmap.mmap) or path is None or not array.size or not array.flags.c_contiguous:
            return None
        # The system maps from a multiple of the granularity on, while NumPy keeps the offset that was requested.
        begin = root.offset - root.offset % mmap.ALLOCATIONGRANULARITY
        offset = begin + array.ctypes.data - np.frombuffer(root.base, dtype=np.uint8).ctypes.data
        with contextlib.suppress(OSError, ValueError):
            size, digest = _identity(Path(path))
            place = cls(str(path), offset, array.dtype, array.shape, size, digest)
            # The file may have been replaced since the array was mapped.
            file, mine = (one.reshape(-1)[:_HEAD].tobytes() for one in (place.open(), array))
            if file == mine:
                return place
        return None

    def open(self) -> npt.NDArray[Any]:
        """Map the array again, copy-on-write: writes change only this map, never the file.

        Raises
        ------
        FormatError
            If the file is missing or is not the one that was mapped.
        OSError
            If the system does not have the address space for a writable map.
        """
        hint = "Put the file back, or load and save the vectors again."
        try:
            found = _identity(Path(self.path))
        except OSError as error:
            raise FormatError(f"the mapped file cannot be opened ({error})", file=self.path, hint=hint) from error
        if found != (self.size, self.digest):
            size = f"{found[0]:,} bytes" + (" with another header" if found[0] == self.size else "")
            problem = "the file is not the one that was mapped"
            raise FormatError(problem, file=self.path, found=size, expected=f"{self.size:,} bytes", hint=hint)
        return np.asarray(np.memmap(self.path, dtype=self.dtype, mode="c", offset=self.offset, shape=self.shape))


def _identity(path: Path) -> tuple[int, bytes]:
    with path.open("rb") as file:
        head = file.read(_HEAD)
        return file.seek(0, 2), sha256(head).digest()
