"""Compressed streams, decompressed on the way.

They go through the decompressor objects of their library in small pieces, so memory stays bounded and a stream cut
short is noticed.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING, Protocol, cast

from vecload.errors import FormatError, require
from vecload.sources.stream import Source

if TYPE_CHECKING:
    from collections.abc import Callable

_PIECE = 1 << 15  # compressed bytes at a time: a run of zeros, in gzip 1000 to 1, stays small
_SMALL_PIECE = 1 << 11  # for zstd, 32 000 to 1
_MOST = 1 << 20  # decompressed bytes asked for at a time: one piece can hold 32 MB in gzip, gigabytes in bzip2
MOST_DICTIONARY = 1 << 26
"""Bytes of the largest LZMA dictionary that is read: that of ``xz -9``. A file may ask for 4 GiB."""
_MOST_MEMORY = MOST_DICTIONARY + (1 << 22)  # the decoder itself needs little more
_HOLDING = (bz2.BZ2Decompressor, lzma.LZMADecompressor)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Deflated(Protocol):
    """The decompressor of `zlib`, which keeps what it did not need for the output it was allowed."""

    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, most: int, /) -> bytes: ...


_Engine = tuple["Callable[[], _Decompressor]", type[Exception]]
"""What makes a decompressor, and what it raises on damaged data."""


def _gzip() -> _Engine:
    try:  # twice zlib's speed behind the same interface: benchmarks/RESULTS.md
        from isal import isal_zlib
    except ImportError:
        return lambda: zlib.decompressobj(31), zlib.error
    return lambda: isal_zlib.decompressobj(31), cast("type[Exception]", isal_zlib.error)


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=_MOST_MEMORY)


def _zstd() -> _Engine:
    zstandard = require("zstandard", "zstd")
    # One context for all frames of a file: making one takes longer than reading an empty frame of nine bytes.
    return zstandard.ZstdDecompressor().decompressobj, zstandard.ZstdError


_COMPRESSIONS: tuple[tuple[str, bytes, Callable[[], _Engine]], ...] = (
    ("gzip", b"\x1f\x8b", _gzip),
    ("bzip2", b"BZh", lambda: (bz2.BZ2Decompressor, OSError)),
    ("xz", b"\xfd7zXZ\x00", lambda: (_xz, lzma.LZMAError)),
    ("zstd", b"\x28\xb5\x2f\xfd", _zstd),
)


class _Unpacked:
    """Reads one compressed stream, or several in a row, from a source beneath."""

    def __init__(self, beneath: Source, kind: str, make: Callable[[], _Decompressor], failure: type[Exception]) -> None:
        self._beneath = beneath
        self._kind = kind
        self._make = make
        self._failure = failure
        self._engine = make()
        self._pending = b""  # compressed, left over behind the end of a stream
        self._ready: bytes | memoryview = b""  # decompressed
        self._piece = _SMALL_PIECE if kind == "zstd" else _PIECE
        self._held = False
        """Whether the decompressor may have more output for the bytes it was given."""

    def read(self, count: int) -> bytes:
        while not self._ready:
            held = self._held and not self._engine.eof
            piece = self._pending if held or self._pending else self._beneath.read(self._piece)
            self._pending = b""
            if self._engine.eof:
                if not piece:
                    return b""
                piece = piece.lstrip(b"\0")  # padding behind the last stream, as tapes and some uploaders leave it
                if not piece:
                    continue
                self._engine = self._make()
            elif not (piece or held):
                raise self._error(f"the {self._kind} stream is cut short")
            try:
                self._ready = self._decompressed(piece)
            except (self._failure, OSError, EOFError) as error:
                raise self._error(f"the {self._kind} stream is damaged ({error})") from error
            if self._engine.eof:
                self._pending = self._engine.unused_data
        ready = self._ready
        if len(ready) <= count:
            self._ready = b""
            return bytes(ready)
        view = memoryview(ready)  # the rest is not copied again for each piece taken of it
        self._ready = view[count:]
        return bytes(view[:count])

    def _decompressed(self, piece: bytes) -> bytes:
        engine = self._engine
        if isinstance(engine, _HOLDING):
            ready = engine.decompress(piece, _MOST)
            self._held = not (engine.eof or engine.needs_input)
        elif self._kind == "gzip":
            ready = cast("_Deflated", engine).decompress(piece, _MOST)
            self._pending = cast("_Deflated", engine).unconsumed_tail
            self._held = len(ready) == _MOST
        else:
            ready = engine.decompress(piece)
        return ready

    def _error(self, problem: str) -> FormatError:
        hint = "Download or copy the file again."
        return FormatError(problem, file=self._beneath.name, byte=self._beneath.position, hint=hint)


def detect_compression(head: bytes) -> str | None:
    r"""What a file that begins with these bytes is taken to be compressed with.

    Examples
    --------
    >>> detect_compression(b"\x1f\x8b\x08"), detect_compression(b"cat 0.1")
    ('gzip', None)
    """
    return next((kind for kind, magic, _ in _COMPRESSIONS if head.startswith(magic)), None)


def decompressed(plain: Source) -> Source:
    """The source itself, or what is compressed in it."""
    found = detect_compression(plain.head(6))
    for kind, _, engine in _COMPRESSIONS:
        if kind == found:
            inner = _Unpacked(plain, kind, *engine())
            packed = kind if plain.compression is None else f"{plain.compression}, {kind}"
            return Source(plain.name, inner.read, compression=packed, close=plain.close, beneath=plain)
    return plain
