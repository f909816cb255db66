"""`Source`: a stream of bytes that can be looked at before it is read, or mapped into memory."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

_BLOCK = 1 << 20


class Source:
    """A stream of bytes that can be looked at before it is read.

    Parameters
    ----------
    name
        What error messages call it.
    read
        Gives up to so many bytes, none at the end.
    size
        Number of bytes to come, where known.
    compression
        "gzip", "bzip2", "xz", "zstd", "zip" or None.
    close
        Called once at the end.
    path
        The plain file or the folder on disk that it is, where it is one.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[int], bytes],
        *,
        size: int | None = None,
        compression: str | None = None,
        close: Callable[[], object] = lambda: None,
        readinto: Callable[[memoryview], int | None] | None = None,
        beneath: Source | None = None,
        path: Path | None = None,
    ) -> None:
        self.name = name
        self.path = path
        self.size = size
        self.compression = compression
        self.archive_size: int | None = None
        """Bytes of the archive that holds it, if the archive was opened or unpacked as a whole."""
        self.position = 0
        self._read = read
        self._readinto = readinto
        self.close = close
        self._beneath = beneath
        self._head = b""
        self._mapped: npt.NDArray[np.uint8] | None = None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def head(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end, without taking them."""
        while len(self._head) < count:
            piece = self._read(count - len(self._head))
            if not piece:
                break
            self._head += piece
        return self._head[:count]

    def readinto(self, view: memoryview) -> int:
        """Fill `view` as far as there are bytes; returns how many were written."""
        done = min(len(self._head), len(view))
        view[:done] = self._head[:done]
        self._head = self._head[done:]
        while done < len(view):
            if self._readinto is not None:
                count = self._readinto(view[done:]) or 0
            else:
                piece = self._read(len(view) - done)
                count = len(piece)
                view[done : done + count] = piece
            if not count:
                break
            done += count
        self.position += done
        return done

    def read(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end."""
        buffer = bytearray(count)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def mapped(self) -> npt.NDArray[np.uint8]:
        """Return all bytes not yet taken, as a read-only uint8 array mapped into memory.

        Bytes that are compressed or come from a stream are first written to a temporary file without a name, which goes
        with the array. They can be read only once, so the array is kept and every call returns the same one. `position`
        does not move: the caller sets it.
        """
        if self.path is not None:
            with self.path.open("rb") as file:
                if not os.fstat(file.fileno()).st_size:
                    return np.frombuffer(b"", dtype=np.uint8)
                # A memmap remembers the path, by which `MappedRange` maps the same bytes again.
                return np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))[self.position :]
        if self._mapped is None:
            here = self.position
            with self.spooled() as file:
                self.position = here
                # Nobody else maps this file, so even a write past NumPy's flag is harmless if the map is copy-on-write.
                whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) if file.seek(0, os.SEEK_END) else b""
            self._mapped = np.frombuffer(whole, dtype=np.uint8)
            self._mapped.flags.writeable = False
            self.size = here + len(self._mapped)
        return self._mapped

    def spooled(self) -> IO[bytes]:
        """All bytes not yet taken, in a temporary file without a name, at its start."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's to close
        block = memoryview(bytearray(_BLOCK))
        while count := self.readinto(block):
            file.write(block[:count])
        file.seek(0)
        return file

    def lines(self) -> Iterator[bytes]:
        """The lines, without their line feeds. Only a line feed ends a line."""
        block, rest = bytearray(_BLOCK), b""
        while count := self.readinto(memoryview(block)):
            *whole, rest = (rest + block[:count]).split(b"\n")
            yield from whole
        if rest:
            yield rest

    @property
    def reached(self) -> int:
        """Bytes that have come out so far, those only looked at included."""
        return self.position + len(self._head)

    def consumed(self) -> int:
        """Return how many bytes of the outermost file these bytes were made of so far; an archive counts as a whole."""
        if self.archive_size is not None:
            return self.archive_size
        return self.position if self._beneath is None else self._beneath.consumed()

    def progress(self) -> tuple[int, int | None]:
        """Bytes taken from the outermost file so far, and their number where known."""
        if self._beneath is not None:
            return self._beneath.progress()
        return self.position, self.size
