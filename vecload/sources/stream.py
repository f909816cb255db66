"""`Source`: a stream of bytes that can be inspected before it is read, or mapped into memory."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import tempfile
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

_BLOCK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Source:
    """A stream of bytes that can be inspected before it is read.

    Parameters
    ----------
    name
        Name of the source in error messages.
    read
        Function that returns up to the given number of bytes, and none at the end.
    size
        Number of bytes of the stream, if known.
    compression
        Names of the compressions that were removed, such as "gzip" or "gzip, tar"; None for plain bytes.
    close
        Function to call at the end.
    readinto
        Function that fills a buffer, which saves a copy; None if there is only `read`.
    parent
        Source that these bytes are decompressed or extracted from, for progress.
    path
        Path of the plain file or folder on disk, if the source is one.
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
        parent: Source | None = None,
        path: Path | None = None,
    ) -> None:
        self.name = name
        self.path = path
        self.size = size
        self.compression = compression
        self.archive_size: int | None = None
        """Number of bytes of the archive that holds the source, if the archive was opened or spooled as a whole."""
        self.position = 0
        """Number of bytes that were read."""
        self._read = read
        self._readinto = readinto
        self.close = close
        self._parent = parent
        self._head = b""
        self._mapped: npt.NDArray[np.uint8] | None = None

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def head(self, count: int) -> bytes:
        """Return the next `count` bytes, or fewer at the end, without advancing the position."""
        while len(self._head) < count:
            piece = self._read(count - len(self._head))
            if not piece:
                break
            self._head += piece
        return self._head[:count]

    def readinto(self, view: memoryview) -> int:
        """Read bytes until `view` is full or the stream ends; return how many were written."""
        # Inspected bytes are delivered first.
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
        """Read `count` bytes, or fewer at the end."""
        buffer = bytearray(count)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def mapped(self) -> npt.NDArray[np.uint8]:
        """Return all remaining bytes as a read-only uint8 array, mapped into memory.

        The bytes of a compressed file or of a stream are first written to an unnamed temporary file, which is deleted
        together with the array. They can be read only once, so the array is kept and every call returns the same one.
        `position` does not change: the caller sets it.

        Raises
        ------
        OSError
            If the temporary folder does not have enough space, as for `spooled`.
        """
        if self.path is not None:
            with self.path.open("rb") as file:
                if not os.fstat(file.fileno()).st_size:
                    return np.frombuffer(b"", dtype=np.uint8)
                # A memmap keeps the path, which `MappedRange` uses to map the same bytes again.
                return np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))[self.position :]
        if self._mapped is None:
            here = self.position
            with self.spooled() as file:
                self.position = here
                # A copy-on-write map is writable memory, so code that ignores NumPy's read-only flag does not crash.
                # Its writes affect no other process, because none can open the unnamed file.
                whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) if file.seek(0, os.SEEK_END) else b""
            self._mapped = np.frombuffer(whole, dtype=np.uint8)
            self._mapped.flags.writeable = False
            self.size = here + len(self._mapped)
        return self._mapped

    def spooled(self) -> IO[bytes]:
        """Write all remaining bytes to an unnamed temporary file, and return it, positioned at its start.

        Raises
        ------
        OSError
            If the bytes need more than nine tenths of the free space of the temporary folder.
        """
        # A compressed file of a few kilobytes can decompress to any size, and other programs need the disk too.
        folder = tempfile.gettempdir()
        limit = shutil.disk_usage(folder).free // 10 * 9
        block = memoryview(bytearray(_BLOCK))
        written = 0
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - the caller closes it
        try:
            while count := self.readinto(block):
                written += count
                if written > limit:
                    raise self.no_space(folder, f"its data needs more than {limit:,} bytes")
                file.write(block[:count])
            file.seek(0)
        except BaseException as error:
            file.close()
            # Errors of reading name a file; errors of writing to the unnamed file do not.
            if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
                raise self.no_space(folder, "its data does not fit") from error
            raise
        return file

    def no_space(self, folder: str, problem: str) -> OSError:
        """Return the error for a temporary folder without enough space."""
        hint = "decompress the file yourself and pass its path, or set TMPDIR to a folder with more space"
        return OSError(errno.ENOSPC, f"not enough space in the temporary folder {folder}: {problem}; {hint}", self.name)

    @property
    def reached(self) -> int:
        """Number of bytes received so far, including those that were only inspected."""
        return self.position + len(self._head)

    def consumed(self) -> int:
        """Return how many bytes of the outermost file were used so far; a spooled archive counts as a whole."""
        if self.archive_size is not None:
            return self.archive_size
        return self.position if self._parent is None else self._parent.consumed()

    def progress(self) -> tuple[int, int | None]:
        """Return the number of bytes read from the outermost file, and its size, if known."""
        if self._parent is not None:
            return self._parent.progress()
        return self.position, self.size
