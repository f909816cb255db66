"""Rows after a header of their number, which is known only when the last row is written."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.formats.sink import as_bytes
from vecload.sources import OutputStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

    import numpy.typing as npt

_SENT: Final = 1 << 23  # bytes sent to the disk together
_RESERVED: Final = 1 << 25  # bytes of disk set aside together
_PAGE: Final = 4096
_PIECE: Final = 1 << 20  # bytes copied together
_WRITE: Final = 2  # SYNC_FILE_RANGE_WRITE


class CountedFile:
    r"""A file that begins with a header of its number of rows, which is known when the last is written.

    Room is made for the header of `guess` rows. If the true one has another length, which takes a guess on the wrong
    side of a power of ten, all that follows is moved.

    While rows are still being made, those written so far are sent to the disk, so that little is left to wait for when
    the whole file is synchronised before it takes its name.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "rows"
    >>> with CountedFile(path, 99, lambda rows: b"%d\n" % rows) as file:
    ...     for row in range(100):
    ...         file.write(b"x", 1)
    >>> path.read_bytes()[:6], path.stat().st_size
    (b'100\nxx', 104)
    """

    def __init__(self, path: Path, guess: int, header: Callable[[int], bytes]) -> None:
        self._header = header
        self._room = len(header(guess))  # may raise, so no file is open yet
        self._file = path.open("wb+", buffering=0)
        self._end = 0
        self._sent = 0  # bytes on their way to the disk, or there
        self._rows = 0
        CountedFile.write(self, bytes(self._room), 0)  # not a subclass's, which is not ready

    def __enter__(self) -> CountedFile:
        return self

    def write(self, text: bytes | npt.NDArray[np.uint8], rows: int) -> None:
        """Append the bytes of so many rows."""
        self._file.seek(self._end)
        rest = memoryview(text)  # type: ignore[arg-type]
        while rest:
            rest = rest[self._file.write(rest) :]
        self._grow(len(text), rows)

    def _grow(self, size: int, rows: int) -> None:
        """So many bytes more are there, of so many rows."""
        self._end += size
        self._rows += rows
        end = self._end & -_PAGE  # a page on its way to the disk is not to be written to
        if end - self._sent >= _SENT:
            _send(self._file.fileno(), self._sent, end)
            self._sent = end

    def __exit__(self, kind: object, *_: object) -> None:
        with self._file as file:
            if kind is not None:
                return
            header = self._header(self._rows)
            longer = len(header) - self._room
            if longer:
                self._move(longer)
            if file.seek(0, os.SEEK_END) > self._end + longer:
                file.truncate(self._end + longer)
            file.seek(0)
            file.write(header)

    def _move(self, by: int) -> None:
        """Move the rows by some bytes, in pieces that begin at the end they move towards.

        The file is not mapped into memory for it: on a full disk, touching a new page of a mapped file kills the
        process, while a write raises OSError.
        """
        starts = range(self._room, self._end, _PIECE)
        for start in reversed(starts) if by > 0 else starts:
            self._file.seek(start)
            piece = self._file.read(min(_PIECE, self._end - start))
            self._file.seek(start + by)
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) :]


class CountedStream:
    r"""As `CountedFile`, for an output that cannot be positioned: a pipe, a device, a compressed file.

    If the header depends on the number of rows and that is not known, the rows wait in a temporary file for it.

    Examples
    --------
    >>> import io
    >>> from vecload.sources import OutputStream
    >>> output = io.BytesIO()
    >>> with CountedStream(OutputStream(output), 9, lambda rows: b"%d\n" % rows, exact=False) as file:
    ...     file.write(b"x", 1)
    >>> output.getvalue()
    b'1\nx'
    """

    def __init__(self, stream: OutputStream, guess: int, header: Callable[[int], bytes], *, exact: bool) -> None:
        self._stream = stream
        self._header = header
        self._rows = 0
        self._spool: IO[bytes] | None = None
        if exact or not header(guess):
            stream.write(header(guess))
        else:
            self._spool = tempfile.TemporaryFile(dir=stream.folder)  # noqa: SIM115 - closed at the end

    def __enter__(self) -> CountedStream:
        return self

    def write(self, text: bytes | npt.NDArray[np.uint8], rows: int) -> None:
        """Append the bytes of the given number of rows."""
        if self._spool is None:
            self._stream.write(text)
        else:
            self._spool.write(text)  # type: ignore[arg-type] # an array is a buffer
        self._rows += rows

    def __exit__(self, kind: object, *_: object) -> None:
        if self._spool is None:
            return
        with self._spool as spool:
            if kind is not None:
                return
            self._stream.write(self._header(self._rows))
            spool.seek(0)
            while piece := spool.read(_PIECE):
                self._stream.write(piece)


def counted(
    output: Path | OutputStream, guess: int, header: Callable[[int], bytes], *, exact: bool
) -> CountedFile | CountedStream:
    """Return what writes rows after a header of their number; `exact` says whether that is `guess` for certain."""
    if isinstance(output, OutputStream):
        return CountedStream(output, guess, header, exact=exact)
    return CountedFile(output, guess, header)


class RowFile(CountedFile):
    r"""A counted file of rows of one length and type, which the threads that make the rows can write.

    As the `Place` of a reader it knows where in the file each row belongs before it is made, so the thread that parsed
    rows can write them while the processor has them near. Once rows are left out, all behind them belong elsewhere than
    was thought: from then on rows are written as they come, and those written ahead once more.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "rows"
    >>> with RowFile(path, 3, lambda rows: b"%d\n" % rows, 2, np.dtype(np.uint8)) as file:
    ...     rows = file.take(3)
    ...     rows[:] = 65
    ...     file.filled(rows)
    ...     file.append(rows)
    >>> path.read_bytes()
    b'3\nAAAAAA'
    """

    def __init__(self, path: Path, guess: int, header: Callable[[int], bytes], dim: int, dtype: np.dtype[Any]) -> None:
        super().__init__(path, guess, header)
        self._dim, self._dtype = dim, dtype
        self._taken = self._reserved = self._end
        self._most = self._end + guess * dim * dtype.itemsize
        self._places: dict[int, tuple[npt.NDArray[Any], int]] = {}  # rows to come and where they begin, by their id
        self._filled: set[int] = set()
        self._turn = Lock()
        self._ahead = hasattr(os, "pwrite")  # changes in turn, so that no thread writes when it should not

    def __enter__(self) -> RowFile:
        return self

    def take(self, count: int) -> npt.NDArray[Any] | None:
        """Memory for rows to come."""
        rows = np.empty((count, self._dim), dtype=self._dtype)
        with self._turn:
            if not self._ahead:
                return None
            begin, self._taken = self._taken, self._taken + rows.nbytes
            self._places[id(rows)] = rows, begin
            if self._taken > self._reserved:
                self._reserve(begin)
            return rows

    def _reserve(self, begin: int) -> None:
        """Have the disk set room aside, where it can: finding it piece by piece takes as long as writing.

        Only where nobody writes yet: the C library may do so by writing zeros.
        """
        size = min(_RESERVED, self._most - begin)
        if size > 0 and hasattr(os, "posix_fallocate"):
            with suppress(OSError):  # the guess may be too high for a disk that has room for the rows
                os.posix_fallocate(self._file.fileno(), begin, size)
            self._reserved = begin + size

    def filled(self, rows: npt.NDArray[Any]) -> None:
        """Write rows where they belong unless some before them are left out."""
        with self._turn:
            _, at = self._places.get(id(rows), (None, -1))
            if not self._ahead or at < 0:
                return
            rest = memoryview(as_bytes(rows))  # type: ignore[arg-type]
            while rest:
                written = os.pwrite(self._file.fileno(), rest, at)
                rest, at = rest[written:], at + written
            self._filled.add(id(rows))

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Append rows, which may be written already."""
        _, begin = self._places.pop(id(rows), (None, -1))
        if begin != self._end:
            self._stop()
        if begin == self._end and id(rows) in self._filled:
            self._filled.remove(id(rows))
            self._grow(rows.nbytes, len(rows))
        else:
            super().write(as_bytes(rows), len(rows))

    def write(self, text: bytes | npt.NDArray[np.uint8], rows: int) -> None:
        """Append what is behind the rows."""
        self._stop()
        super().write(text, rows)

    def _stop(self) -> None:
        """Nothing is written ahead any more."""
        with self._turn:
            self._ahead = False
            self._places.clear()

    def __exit__(self, kind: object, *rest: object) -> None:
        self._stop()  # an error may have come while threads are at work
        super().__exit__(kind, *rest)


def _send(file: int, begin: int, end: int) -> None:
    """Have the system begin to write these bytes to the disk. Nobody waits; what fails is told at the next fsync."""
    call = _sync_file_range()
    if call is not None:
        call(file, begin, end - begin, _WRITE)


@cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """Linux' system call; elsewhere, there is none."""
    if sys.platform != "linux":
        return None
    import ctypes

    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is not None:
        call.argtypes = ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint
    return call
