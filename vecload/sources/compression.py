"""Decompress gzip, bzip2, xz, lzma, lz4 and zstd streams while they are read.

The decompressor objects of each library receive small pieces of input, for two reasons. First, memory stays bounded,
although a few bytes can decompress to gigabytes. Second, a truncated stream is noticed, because the decompressor knows
whether it has reached the end of its stream.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from typing import TYPE_CHECKING, Protocol, cast

from vecload.errors import FormatError, require
from vecload.sources.stream import Source

if TYPE_CHECKING:
    from collections.abc import Callable

# Compressed bytes per call. gzip compresses a run of zeros about 1,000 to 1 and zstd up to 32,000 to 1, so these pieces
# decompress to at most some 32 MB and 64 MB.
_PIECE = 1 << 15
_ZSTD_PIECE = 1 << 11
# Decompressed bytes per call, where the library can limit them. In bzip2, one piece can decompress to gigabytes.
_MAX_OUTPUT = 1 << 20
MAX_DICTIONARY = 1 << 26
"""Bytes of the largest LZMA dictionary that is accepted: that of ``xz -9``. A file may request 4 GiB."""
_MAX_MEMORY = MAX_DICTIONARY + (1 << 22)  # the decoder itself needs a few megabytes more
# Compressions whose decompressors limit their output and keep the input that they have not used yet.
_BUFFERING = ("bzip2", "xz", "lzma", "lz4")
# A .lzma file has no magic number: its properties (nearly always 0x5d), the size of the dictionary, and the size of the
# data or -1. Like file(1) and xz, accept only the sizes that encoders write.
_LZMA_HEADER = struct.Struct("<BIq")
_LZMA_DICTIONARIES = {size for power in range(12, 32) for size in (1 << power, (1 << power) + (1 << power - 1))}
_LZMA_MOST = 1 << 38


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Buffering(_Decompressor, Protocol):
    """A decompressor that limits its output."""

    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, most: int = -1, /) -> bytes: ...


class _Deflated(Protocol):
    """The decompressor of `zlib`, which returns the input that it did not need for the allowed output."""

    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, most: int, /) -> bytes: ...


_Engine = tuple["Callable[[], _Decompressor]", type[Exception]]
"""A function that makes a decompressor, and the exception that it raises for damaged data."""


def _gzip() -> _Engine:
    try:  # twice as fast as zlib, with the same interface: see benchmarks/RESULTS.md
        from isal import isal_zlib
    except ImportError:
        return lambda: zlib.decompressobj(31), zlib.error
    return lambda: isal_zlib.decompressobj(31), cast("type[Exception]", isal_zlib.error)


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=_MAX_MEMORY)


def _lzma() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MAX_MEMORY)


def _lz4() -> _Engine:
    frame = require("lz4.frame", "lz4")
    return frame.LZ4FrameDecompressor, RuntimeError


def _zstd() -> _Engine:
    zstandard = require("zstandard", "zstd")
    # One context serves all frames of a file. Making one takes longer than reading an empty frame, so a file of many
    # empty frames, of nine bytes each, would take very long.
    return zstandard.ZstdDecompressor().decompressobj, zstandard.ZstdError


_COMPRESSIONS: tuple[tuple[str, bytes, Callable[[], _Engine]], ...] = (
    ("gzip", b"\x1f\x8b", _gzip),
    ("bzip2", b"BZh", lambda: (bz2.BZ2Decompressor, OSError)),
    ("xz", b"\xfd7zXZ\x00", lambda: (_xz, lzma.LZMAError)),
    ("lzma", b"", lambda: (_lzma, lzma.LZMAError)),
    ("lz4", b"\x04\x22\x4d\x18", _lz4),
    ("zstd", b"\x28\xb5\x2f\xfd", _zstd),
)


class _Decompressed:
    """Reader of the data of a compressed source, which may be several compressed streams in a row."""

    def __init__(
        self, compressed: Source, kind: str, make: Callable[[], _Decompressor], failure: type[Exception]
    ) -> None:
        self._compressed = compressed
        self._kind = kind
        self._make = make
        self._failure = failure
        self._engine = make()
        self._pending = b""  # compressed bytes that the decompressor returned unused
        self._ready: bytes | memoryview = b""  # decompressed bytes
        self._piece = _ZSTD_PIECE if kind == "zstd" else _PIECE
        self._held = False
        """Whether the decompressor may have more output for the bytes it has received."""

    def read(self, count: int) -> bytes:
        while not self._ready:
            held = self._held and not self._engine.eof
            piece = self._pending if held or self._pending else self._compressed.read(self._piece)
            self._pending = b""
            if self._engine.eof:
                if not piece:
                    return b""
                # Tapes and some upload tools pad files with zeros after the last stream.
                piece = piece.lstrip(b"\0")
                if not piece:
                    continue
                self._engine = self._make()
            elif not (piece or held):
                raise self._error(f"the {self._kind} stream is cut short")
            try:
                self._ready = self._decompress(piece)
            except (self._failure, OSError, EOFError) as error:
                raise self._error(f"the {self._kind} stream is damaged ({error})") from error
            if self._engine.eof:
                self._pending = self._engine.unused_data or b""  # lz4 has None for no bytes
        ready = self._ready
        if len(ready) <= count:
            self._ready = b""
            return bytes(ready)
        view = memoryview(ready)  # a slice of a view does not copy the rest, which could be read in many pieces
        self._ready = view[count:]
        return bytes(view[:count])

    def _decompress(self, piece: bytes) -> bytes:
        if self._kind in _BUFFERING:
            engine = cast("_Buffering", self._engine)
            ready = engine.decompress(piece, _MAX_OUTPUT)
            self._held = not (engine.eof or engine.needs_input)
        elif self._kind == "gzip":
            ready = cast("_Deflated", self._engine).decompress(piece, _MAX_OUTPUT)
            self._pending = cast("_Deflated", self._engine).unconsumed_tail
            self._held = len(ready) == _MAX_OUTPUT
        else:
            ready = self._engine.decompress(piece)
        return ready

    def _error(self, problem: str) -> FormatError:
        hint = "Download or copy the file again."
        return FormatError(problem, file=self._compressed.name, byte=self._compressed.position, hint=hint)


def detect_compression(head: bytes) -> str | None:
    r"""Return the compression of a file that begins with these bytes, or None.

    Examples
    --------
    >>> detect_compression(b"\x1f\x8b\x08"), detect_compression(b"cat 0.1")
    ('gzip', None)
    """
    if _is_lzma(head):
        return "lzma"
    return next((kind for kind, magic, _ in _COMPRESSIONS if magic and head.startswith(magic)), None)


def _is_lzma(head: bytes) -> bool:
    if len(head) < _LZMA_HEADER.size:
        return False
    properties, dictionary, size = _LZMA_HEADER.unpack_from(head)
    return properties == 0x5D and dictionary in _LZMA_DICTIONARIES and (size == -1 or 0 <= size < _LZMA_MOST)


def decompressed(plain: Source) -> Source:
    """Return a source of the decompressed bytes, or the source itself if it is not compressed."""
    found = detect_compression(plain.head(_LZMA_HEADER.size))
    for kind, _, engine in _COMPRESSIONS:
        if kind == found:
            inner = _Decompressed(plain, kind, *engine())
            compression = kind if plain.compression is None else f"{plain.compression}, {kind}"
            return Source(plain.name, inner.read, compression=compression, close=plain.close, parent=plain)
    return plain
