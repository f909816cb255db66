"""Rows after a header of their number, which is known only when the last row is written."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.sources import OutputStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

    import numpy.typing as npt

_PIECE: Final = 1 << 20  # bytes copied together


class CountedFile:
    r"""A file that begins with a header of its number of rows, which is known when the last is written.

    Room is made for the header of `guess` rows. If the true one has another length, which takes a guess on the wrong
    side of a power of ten, all that follows is moved.

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
        self._rows = 0
        self.write(bytes(self._room), 0)

    def __enter__(self) -> CountedFile:
        return self

    def write(self, text: bytes | npt.NDArray[np.uint8], rows: int) -> None:
        """Append the bytes of the given number of rows."""
        self._file.seek(self._end)
        rest = memoryview(text)  # type: ignore[arg-type]
        while rest:
            rest = rest[self._file.write(rest) :]
        self._end += len(text)
        self._rows += rows

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
