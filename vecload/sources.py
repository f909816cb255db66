"""Bytes in and out: open, decompress, look ahead; write whole files or none. Knows nothing of vectors.

What a source is compressed with is told from its first bytes, never from its name. Compressed streams go through the
decompressor objects of their library in small pieces, so memory stays bounded and a stream cut short is noticed.
"""

from __future__ import annotations

import bz2
import contextlib
import lzma
import os
import secrets
import stat
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, cast

from vecload.errors import FormatError, OptionError, require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import numpy.typing as npt

_PIECE = 1 << 15  # compressed bytes at a time: even a run of zeros, 1000 to 1, stays small
_BLOCK = 1 << 20


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


_Engine = tuple["Callable[[], _Decompressor]", type[Exception]]
"""What makes a decompressor, and what it raises on damaged data."""


def _gzip() -> _Engine:
    try:  # twice zlib's speed behind the same interface: benchmarks/RESULTS.md
        from isal import isal_zlib
    except ImportError:
        return lambda: zlib.decompressobj(31), zlib.error
    return lambda: isal_zlib.decompressobj(31), cast("type[Exception]", isal_zlib.error)


def _zstd() -> _Engine:
    zstandard = require("zstandard", "zstd")
    return lambda: zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError


_COMPRESSIONS: tuple[tuple[str, bytes, Callable[[], _Engine]], ...] = (
    ("gzip", b"\x1f\x8b", _gzip),
    ("bzip2", b"BZh", lambda: (bz2.BZ2Decompressor, OSError)),
    ("xz", b"\xfd7zXZ\x00", lambda: (lzma.LZMADecompressor, lzma.LZMAError)),
    ("zstd", b"\x28\xb5\x2f\xfd", _zstd),
)
_ZIP = b"PK\x03\x04"


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
        self.position = 0
        self._read = read
        self._readinto = readinto
        self._close = close
        self._beneath = beneath
        self._head = b""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

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

    def take(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end."""
        buffer = bytearray(count)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def mapped(self) -> npt.NDArray[np.uint8]:
        """All bytes not yet taken, as a read-only uint8 array mapped into memory.

        What is compressed or comes from a stream is first written to a temporary file without a name, which goes with
        the array. `position` does not move: who maps says himself how far he is.
        """
        import mmap

        import numpy as np

        if self.path is not None:
            with self.path.open("rb") as file:
                begin, size = self.position, os.fstat(file.fileno()).st_size
                whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
            return np.frombuffer(whole, dtype=np.uint8)[begin:]
        here = self.position
        with tempfile.TemporaryFile() as file:
            block = memoryview(bytearray(_BLOCK))
            while count := self.readinto(block):
                file.write(block[:count])
            file.flush()
            self.position = here
            spooled = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if file.tell() else b""
        return np.frombuffer(spooled, dtype=np.uint8)

    def lines(self) -> Iterator[bytes]:
        """The lines, without their line feeds. Only a line feed ends a line."""
        block, rest = bytearray(_BLOCK), b""
        while count := self.readinto(memoryview(block)):
            *whole, rest = (rest + block[:count]).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def progress(self) -> tuple[int, int | None]:
        """Bytes taken from the outermost file so far, and their number where known."""
        if self._beneath is not None:
            return self._beneath.progress()
        return self.position, self.size


class _Unpacked:
    """Reads one compressed stream, or several in a row, from a source beneath."""

    def __init__(self, beneath: Source, kind: str, make: Callable[[], _Decompressor], failure: type[Exception]) -> None:
        self._beneath = beneath
        self._kind = kind
        self._make = make
        self._failure = failure
        self._engine = make()
        self._pending = b""  # compressed, left over behind the end of a stream
        self._ready = b""  # decompressed

    def read(self, count: int) -> bytes:
        while not self._ready:
            piece = self._pending or self._beneath.take(_PIECE)
            self._pending = b""
            if self._engine.eof:
                if not piece:
                    return b""
                piece = piece.lstrip(b"\0")  # padding behind the last stream, as tapes and some uploaders leave it
                if not piece:
                    continue
                self._engine = self._make()
            elif not piece:
                raise self._error(f"the {self._kind} stream is cut short")
            try:
                self._ready = self._engine.decompress(piece)
            except (self._failure, OSError, EOFError) as error:
                raise self._error(f"the {self._kind} stream is damaged ({error})") from error
            if self._engine.eof:
                self._pending = self._engine.unused_data
        piece, self._ready = self._ready[:count], self._ready[count:]
        return piece

    def _error(self, problem: str) -> FormatError:
        hint = "Download or copy the file again."
        return FormatError(problem, file=self._beneath.name, byte=self._beneath.position, hint=hint)


def open_source(source: str | os.PathLike[str] | IO[bytes], *, folders: bool = False) -> Source:
    """Open anything that holds bytes, decompressed.

    Parameters
    ----------
    source
        A path; ``-`` for standard input; a member of a zip archive as ``archive.zip/member``; or a file opened in
        binary mode, which is left open. gzip, bzip2, xz, zstd and zip are told from the first bytes.
    folders
        Whether a folder is a source: one without bytes, whose `path` says where it is.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    FormatError
        For a directory, a zip archive of several members when none is named, a damaged archive.

    Examples
    --------
    >>> import gzip, io
    >>> with open_source(io.BytesIO(gzip.compress(b"cat 0.1 0.2"))) as source:
    ...     source.compression, source.head(3)
    ('gzip', b'cat')
    """
    if not isinstance(source, (str, os.PathLike)):
        return _unpacked(_from_file(source, getattr(source, "name", None) or "<stream>"), source)
    if source == "-":
        return _unpacked(_from_file(sys.stdin.buffer, "<stdin>"), sys.stdin.buffer)
    path = Path(source)
    member = ""
    if not path.exists():
        archive = next((parent for parent in path.parents if parent.is_file()), None)
        if archive is None:
            raise FileNotFoundError(2, "no such file", str(path))
        path, member = archive, path.relative_to(archive).as_posix()
    if path.is_dir() and folders:
        return Source(str(path), lambda _count: b"", path=path)
    if path.is_dir():
        hint = "Name a file in it."
        raise FormatError("a directory, not a file", file=str(path), hint=hint)
    file = path.open("rb", buffering=0)
    try:
        plain = _from_file(file, str(path), close=file.close)
        unpacked = _unpacked(plain, file, member=member)
        if unpacked is plain and path.is_file():
            plain.path = path
        return unpacked
    except BaseException:
        file.close()
        raise


def _from_file(file: IO[bytes], name: object, *, close: Callable[[], object] = lambda: None) -> Source:
    if not hasattr(file, "read") or isinstance(file.read(0), str):
        raise OptionError(f"{name} is not a file opened in binary mode: open it with mode 'rb', or pass its path")
    size = None
    try:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            size = status.st_size - file.tell()
    except (AttributeError, OSError):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # no descriptor: io.BytesIO, fsspec
            here = file.tell()
            size = file.seek(0, os.SEEK_END) - here
            file.seek(here)
    return Source(str(name), file.read, size=size, readinto=getattr(file, "readinto", None), close=close)


def _unpacked(plain: Source, file: IO[bytes], *, member: str = "") -> Source:
    """The source itself, or what is compressed in it."""
    head = plain.head(6)
    if head.startswith(_ZIP):
        return _zip_member(plain, file, member)
    if member:
        raise FormatError(
            "not a zip archive, so it has no members", file=plain.name, found=f"member {member!r} asked for"
        )
    for kind, magic, engine in _COMPRESSIONS:
        if head.startswith(magic):
            unpacked = _Unpacked(plain, kind, *engine())
            return Source(plain.name, unpacked.read, compression=kind, close=plain._close, beneath=plain)
    return plain


def _zip_member(plain: Source, file: IO[bytes], member: str) -> Source:
    if not (hasattr(file, "seekable") and file.seekable()):
        hint = "Save it to a file first, or unpack it on the way: unzip -p archive.zip member | ..."
        raise FormatError("a zip archive cannot be read from a stream", file=plain.name, hint=hint)
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        hint = "Download or copy the file again."
        raise FormatError(f"the zip archive is cut short or damaged ({error})", file=plain.name, hint=hint) from error
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if not member and len(names) != 1:
        hint = "Name one of its members: " + ", ".join(f"{plain.name}/{name}" for name in names)
        raise FormatError(f"a zip archive of {len(names)} files", file=plain.name, hint=hint)
    if member and member not in names:
        hint = f"It holds: {', '.join(names)}."
        raise FormatError(f"the zip archive has no member {member!r}", file=plain.name, hint=hint)
    name = f"{plain.name}/{member or names[0]}"
    try:
        stream = archive.open(member or names[0])
    except (RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:  # encrypted; an unknown method; damage
        raise FormatError(f"the zip member cannot be read ({error})", file=name) from error

    def read(count: int) -> bytes:
        try:
            return stream.read(count)
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            hint = "Download or copy the file again."
            raise FormatError(f"the zip member is damaged ({error})", file=name, hint=hint) from error

    size = archive.getinfo(member or names[0]).file_size
    return Source(name, read, size=size, compression="zip", close=plain._close)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary neighbour of `path` to write to; it takes the name when the block ends well, else it goes.

    The bytes are on the disk before the name changes, so after a crash `path` is the old file or the new one, whole.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "vectors.txt"
    >>> with replacing(target) as part:
    ...     _ = part.write_text("cat 0.1")
    >>> target.read_text()
    'cat 0.1'
    """
    target = Path(os.path.realpath(path))  # through a link, not over it
    if target.is_dir():
        raise OptionError(f"{path} is a directory: name the file to write")
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    part.open("xb").close()  # never over somebody's file, and with the permissions the umask gives
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
