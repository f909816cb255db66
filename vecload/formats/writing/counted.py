"""Files whose header gives the number of rows, which is known only after the last row is written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, Final

from vecload.sources import OutputStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

    import numpy as np
    import numpy.typing as npt

_COPY_BYTES: Final = 1 << 20
_WRITEBACK_BYTES: Final = 1 << 23


class CountedFile:
    r"""A file that begins with a header of its row count, which is written last.

    Space is left for the header of `expected` rows. If the header of the actual count has another length, as with 100
    instead of 99 rows, everything after it is moved.

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

    def __init__(self, path: Path, expected: int, header: Callable[[int], bytes]) -> None:
        self._header = header
        self._space = len(header(expected))  # may raise, so it is called before the file is opened
        self._file = path.open("wb+", buffering=0)
        self._end = 0
        self._flushing = 0
        self._rows = 0
        self.write(bytes(self._space), 0)

    def __enter__(self) -> CountedFile:
        return self

    def write(self, text: bytes | npt.NDArray[np.uint8], rows: int) -> None:
        """Append the bytes of the given number of rows."""
        self._file.seek(self._end)
        self._write_all(memoryview(text))  # type: ignore[arg-type] # an array is a buffer
        self._end += len(text)
        self._rows += rows
        self._start_writeback()

    def _start_writeback(self) -> None:
        """Ask the system to begin writing full pieces to the disk, without waiting.

        Otherwise the disk would be idle until the fsync at the end, which then takes as long as producing the text. On
        Linux, this advice starts the writeback of changed pages; pages that are being written remain in the cache. It
        is only advice: the fsync at the end waits for all pages and reports errors.
        """
        if hasattr(os, "posix_fadvise") and self._end - self._flushing >= _WRITEBACK_BYTES:
            length = self._end - self._flushing
            with contextlib.suppress(OSError):  # a file system without advice
                os.posix_fadvise(self._file.fileno(), self._flushing, length, os.POSIX_FADV_DONTNEED)
            self._flushing = self._end

    def __exit__(self, kind: object, *_: object) -> None:
        with self._file as file:
            if kind is not None:
                return
            header = self._header(self._rows)
            longer = len(header) - self._space
            if longer:
                self._move(longer)
            if file.seek(0, os.SEEK_END) > self._end + longer:
                file.truncate(self._end + longer)
            file.seek(0)
            file.write(header)

    def _write_all(self, rest: memoryview) -> None:
        # A file without a buffer may write less than it is given.
        while rest:
            rest = rest[self._file.write(rest) :]

    def _move(self, by: int) -> None:
        """Move everything after the header by some bytes, piece by piece, starting at the end toward which it moves.

        The file is not mapped into memory for this: on a full disk, touching a new page of a mapped file kills the
        process, while a write raises OSError.
        """
        starts = range(self._space, self._end, _COPY_BYTES)
        for start in reversed(starts) if by > 0 else starts:
            self._file.seek(start)
            piece = self._file.read(min(_COPY_BYTES, self._end - start))
            self._file.seek(start + by)
            self._write_all(memoryview(piece))


class CountedStream:
    r"""A `CountedFile` for an output without random access: a pipe, a device, a compressed file.

    If the header depends on the row count and that is not known, the rows are kept in a temporary file until it is.

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

    def __init__(self, stream: OutputStream, expected: int, header: Callable[[int], bytes], *, exact: bool) -> None:
        self._stream = stream
        self._header = header
        self._rows = 0
        self._spool: IO[bytes] | None = None
        if exact or not header(expected):
            stream.write(header(expected))
        else:
            self._spool = tempfile.TemporaryFile(dir=stream.folder)  # noqa: SIM115 - __exit__ closes it

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
            while piece := spool.read(_COPY_BYTES):
                self._stream.write(piece)


def open_counted(
    output: Path | OutputStream, expected: int, header: Callable[[int], bytes], *, exact: bool
) -> CountedFile | CountedStream:
    """Return a context manager that writes rows after a header of their count.

    Parameters
    ----------
    output
        Path of a file, or an output stream.
    expected
        Expected number of rows.
    header
        Return the header for a number of rows.
    exact
        Whether `expected` is the exact number.
    """
    if isinstance(output, OutputStream):
        return CountedStream(output, expected, header, exact=exact)
    return CountedFile(output, expected, header)
