"""Write outputs sequentially: pipes, devices and compressed files, which cannot seek."""

from __future__ import annotations

import bz2
import contextlib
import lzma
import os
import sys
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from vecload.errors import require
from vecload.sources.atomic import atomic_write
from vecload.sources.targets import check_target, descriptor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BLOCK = 1 << 18  # bytes per call of the compressor


class _Compressor(Protocol):
    def compress(self, data: Any, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _gzip() -> _Compressor:
    # isal is faster than zlib. Neither writes a file name or a time, so equal content gives equal bytes.
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.compressobj(wbits=31)
    compressor: _Compressor = isal_zlib.compressobj(wbits=31)
    return compressor


def _zstd() -> _Compressor:
    compressor: _Compressor = require("zstandard", "zstd").ZstdCompressor().compressobj()
    return compressor


COMPRESSORS: dict[str, Callable[[], _Compressor]] = {
    ".gz": _gzip,
    ".bz2": bz2.BZ2Compressor,
    ".xz": lzma.LZMACompressor,
    ".zst": _zstd,
}
"""Functions that make a compressor, by the file extension of their format."""


class OutputStream:
    """Output to a file that cannot seek, compressed in the format of `suffix`.

    Examples
    --------
    >>> import gzip, io
    >>> file = io.BytesIO()
    >>> stream = OutputStream(file, ".gz")
    >>> stream.write(b"cat 0.1")
    >>> stream.finish()
    >>> gzip.decompress(file.getvalue()), stream.written == len(file.getvalue())
    (b'cat 0.1', True)
    """

    def __init__(self, file: IO[bytes], suffix: str = "", folder: Path | None = None) -> None:
        self._file = file
        self._engine = COMPRESSORS[suffix]() if suffix else None
        # The output of isal depends on how its input is divided, so the input is collected into blocks of one size. The
        # same content then always gives the same bytes.
        self._pending = bytearray()
        self.folder = folder
        """Folder for temporary files; None for the default of the system."""
        self.written = 0
        """Number of bytes written so far."""

    def write(self, data: Any) -> None:
        """Write bytes, or an array of them."""
        if self._engine is None:
            self._put(data)
            return
        self._pending += memoryview(data)
        while len(self._pending) >= _BLOCK:
            self._put(self._engine.compress(bytes(self._pending[:_BLOCK])))
            del self._pending[:_BLOCK]

    def finish(self) -> None:
        """Write the bytes that the compressor still buffers."""
        if self._engine is not None:
            self._put(self._engine.compress(bytes(self._pending)) + self._engine.flush())
        self._file.flush()

    def _put(self, data: Any) -> None:
        self._file.write(data)
        self.written += len(data)


@contextlib.contextmanager
def open_target(
    path: str | os.PathLike[str],
    *,
    folder: bool = False,
    streams: bool = False,
    compression: str = "",
    beside: tuple[str, ...] = (),
) -> Iterator[Path | OutputStream]:
    """Yield the temporary path of `atomic_write`, or an `OutputStream` for targets that cannot seek.

    Parameters
    ----------
    path, folder, streams
        As for `vecload.sources.check_target`.
    compression
        A key of `COMPRESSORS`, or "" to write plain bytes.
    beside
        As for `atomic_write`.
    """
    check_target(path, folder=folder, streams=streams)
    if streams and _is_stream(path):
        with _open_stream(path) as file:
            stream = OutputStream(file, compression)
            yield stream
            stream.finish()
        return
    with atomic_write(path, folder=folder, beside=beside) as part:
        if not compression:
            yield part
            return
        with part.open("wb") as file:
            stream = OutputStream(file, compression, part.parent)
            yield stream
            stream.finish()


def _is_stream(path: str | os.PathLike[str]) -> bool:
    target = Path(path)
    return descriptor_of(path) is not None or (target.exists() and not (target.is_file() or target.is_dir()))


def _open_stream(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a pipe or a device for writing."""
    # /dev/stdout and the like are duplicated, not opened again: if standard output is redirected to a file, opening it
    # again would start at the beginning of that file.
    number = descriptor_of(path)
    if number is None:
        return Path(path).open("wb")
    for standard in (sys.stdout, sys.stderr):
        standard.flush()
    return os.fdopen(os.dup(number), "wb")
