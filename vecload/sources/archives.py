"""Read one member of a zip or tar archive in place: nothing is extracted to a named file.

Members with absolute names or with ``..`` in their names are rejected, and so are links and devices. Published vectors
never contain such members, so such an archive is damaged or malicious, and extracting it with another tool would be
dangerous.
"""

from __future__ import annotations

import io
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO, TYPE_CHECKING

from vecload.errors import FormatError
from vecload.message_text import shorten
from vecload.sources.compression import MAX_DICTIONARY
from vecload.sources.stream import Source

if TYPE_CHECKING:
    from collections.abc import Callable

_AGAIN = "Download or copy the file again."
_ZIP = b"PK\x03\x04"
_BLOCK = 1 << 20
_USTAR = slice(257, 262)
_LONGEST_NAME = 4096  # the longest path of Linux
_MAX_MEMBERS = 10_000
_LONGEST_HEADER = 1 << 17  # bytes of the headers of one tar member, with long names and pax fields
_SHOWN = 20
_LOCAL_HEADER = struct.Struct("<26xHH")  # lengths of the name and of the extra field in a zip file's local header
ZIP_DAMAGE = (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError)
"""Exceptions that `zipfile` raises for damaged bytes: its own, those for invalid offsets and names, and the codecs'."""


class SeveralMembersError(FormatError):
    """Error for an archive of several files if none of them was named."""

    members: tuple[str, ...] = ()
    """Names of the files as sources, in the form ``archive.zip/member``."""


def detect_archive(source: Source) -> str | None:
    """Return "zip" or "tar", or None if the source is not an archive."""
    if source.head(4) == _ZIP:
        return "zip"
    return "tar" if source.head(_USTAR.stop)[_USTAR] == b"ustar" else None


def holds_arrays(file: IO[bytes]) -> bool:
    """Return whether a zip archive is NumPy's ``.npz``, whose members form one value. Keeps the position of `file`."""
    here = file.tell()
    try:
        names = zipfile.ZipFile(file).namelist()
    except ZIP_DAMAGE:
        return False
    finally:
        file.seek(here)
    return bool(names) and all(name.endswith(".npy") for name in names)


def zip_member(source: Source, file: IO[bytes], member: str) -> Source:
    """Open a member of a zip archive.

    Parameters
    ----------
    source
        The archive.
    file
        The same bytes as a seekable file, positioned at their start.
    member
        Name of the member; "" for the only one.
    """
    try:
        archive = zipfile.ZipFile(file)
    except ZIP_DAMAGE as error:
        problem = f"the zip archive is cut short or damaged ({error})"
        raise FormatError(problem, file=source.name, hint=_AGAIN) from error
    names = [info.filename for info in archive.infolist() if not info.filename.endswith("/")]
    for found in names:
        _check_name(found, source.name)
    chosen = _chosen("zip", source.name, names, member)
    name = f"{source.name}/{chosen}"
    try:
        stream = archive.open(chosen)
        _check_dictionary(archive.getinfo(chosen), file, name)
    except FormatError:
        raise
    except (RuntimeError, *ZIP_DAMAGE) as error:  # RuntimeError: an encrypted member
        raise FormatError(f"the zip member cannot be read ({error})", file=name) from error
    read = _guarded(stream.read, name, "zip", *ZIP_DAMAGE)
    return Source(name, read, size=archive.getinfo(chosen).file_size, compression="zip", close=source.close)


def tar_member(source: Source, file: IO[bytes] | None, member: str) -> Source:
    """Open a member of a tar archive. Parameters are those of `zip_member`.

    A member that is named can be read from a stream, without `file`. If none is named, the whole archive must be read
    once to know that it has only one file, and the file must be seekable to go back to it.
    """
    kind = f"{source.compression}, tar" if source.compression else "tar"
    metered = _Metered(file or _Forward(source))
    try:
        stream = tarfile.TarFile(fileobj=metered)
        members = _tar_members(stream, metered, source.name, member)
        chosen = _chosen("tar", source.name, list(members), member)
        found = members[chosen]
        metered.left = None
        data = stream.extractfile(found) if found.isreg() else None
    except FormatError:
        raise
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        problem = f"the tar archive is cut short or damaged ({str(error) or type(error).__name__})"
        raise FormatError(problem, file=source.name, hint=_AGAIN) from error
    name = f"{source.name}/{chosen}"
    if data is None:
        raise FormatError("a link or a device, not a file", file=name)
    read = _guarded(data.read, name, "tar", tarfile.TarError, EOFError, OSError)
    parent = None if file else source
    return Source(name, read, size=found.size, compression=kind, close=source.close, parent=parent)


def _tar_members(stream: tarfile.TarFile, metered: _Metered, archive: str, member: str) -> dict[str, tarfile.TarInfo]:
    """Return the files of a tar archive by name, up to the one called `member`, in bounded memory."""
    members: dict[str, tarfile.TarInfo] = {}
    while (info := stream.next()) is not None:
        # tarfile keeps every header in a list (missing from its type stubs), which would grow with the archive.
        stream.members.clear()  # type: ignore[attr-defined]
        metered.left = _LONGEST_HEADER
        if info.size < 0:  # tarfile would go back and read this header again forever
            raise tarfile.ReadError(f"a member of {info.size} bytes")
        name = info.name.removeprefix("./")  # `tar -c .` writes it
        if info.isdir():
            continue
        _check_name(name, archive)
        if len(members) < _MAX_MEMBERS or name == member:
            members[name] = info
        elif not member:
            hint = "Name one of its members, as archive.tar/member."
            raise FormatError(f"a tar archive of more than {_MAX_MEMBERS:,} files", file=archive, hint=hint)
        if name == member:
            break
    return members


class _Metered(io.RawIOBase):
    """File that raises an error after `left` bytes were read, until `left` is set again; None means no limit.

    tarfile reads long names and pax headers at once, whatever their length, and calls itself recursively for each. A
    limit on the bytes of the headers of one member bounds both memory and recursion.
    """

    def __init__(self, file: IO[bytes] | _Forward) -> None:
        self._file = file
        self.left: int | None = _LONGEST_HEADER

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def read(self, count: int = -1) -> bytes:
        if self.left is not None:
            if not 0 <= count <= self.left:
                raise tarfile.ReadError(f"a header of more than {_LONGEST_HEADER:,} bytes")
            self.left -= count
        return self._file.read(count)


class _Forward(io.RawIOBase):
    """Source as a file that seeks forward only, which is all that `tarfile` needs to read members in order."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def tell(self) -> int:
        return self._source.position

    def seek(self, offset: int, _whence: int = os.SEEK_SET) -> int:
        while offset > self._source.position and self._source.read(min(_BLOCK, offset - self._source.position)):
            pass
        return self._source.position

    def read(self, count: int = -1) -> bytes:
        if count < 0:
            raise tarfile.ReadError(f"{count} bytes to read")
        # The count comes from an untrusted header, so memory is taken only for bytes that exist.
        data = bytearray()
        while piece := self._source.read(min(_BLOCK, count - len(data))):
            data += piece
        return bytes(data)


def _check_name(name: str, archive: str) -> None:
    if not 0 < len(name) <= _LONGEST_NAME:
        found = f"a name of {len(name):,} characters"
        raise FormatError("a member with an invalid name", file=archive, found=found, expected=f"1 to {_LONGEST_NAME}")


def _check_dictionary(info: zipfile.ZipInfo, file: IO[bytes], name: str) -> None:
    """Refuse an LZMA member that requests more memory than any preset of the LZMA tools."""
    if info.compress_type != zipfile.ZIP_LZMA:
        return
    here = file.tell()
    file.seek(info.header_offset)
    # After the local header follow the LZMA version (2 bytes), the size of the properties (2), and the properties: one
    # byte, then the dictionary size (APPNOTE.TXT, section 5.8).
    file.seek(sum(_LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))) + 5, os.SEEK_CUR)
    dictionary = int.from_bytes(file.read(4), "little")
    file.seek(here)
    if dictionary > MAX_DICTIONARY:
        found = f"a dictionary of {dictionary:,} bytes"
        raise FormatError(
            "the zip member needs too much memory", file=name, found=found, expected=f"{MAX_DICTIONARY:,}"
        )


def _listed(names: list[str]) -> str:
    """Return the first names as text, at most a few lines long."""
    shown = ", ".join(shorten(name) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown


def _chosen(kind: str, archive: str, names: list[str], member: str) -> str:
    if member and member not in names:
        problem = f"the {kind} archive has no member {shorten(member)!r}"
        raise FormatError(problem, file=archive, hint=f"It holds: {_listed(names)}.")
    # macOS adds a file "._name" with attributes for each file.
    names = [name for name in names if not PurePosixPath(name).name.startswith("._")] or names
    if not member and len(names) != 1:
        hint = "Name one of its members: " + _listed([f"{archive}/{name}" for name in names])
        error = SeveralMembersError(f"a {kind} archive of {len(names)} files", file=archive, hint=hint)
        error.members = tuple(f"{archive}/{name}" for name in names)
        raise error
    chosen = member or names[0]
    paths = PurePosixPath(chosen), PureWindowsPath(chosen)
    if any(path.is_absolute() or path.drive or ".." in path.parts for path in paths):
        hint = "The archive may be malicious: do not extract it with other tools."
        raise FormatError("a member whose name points outside its folder", file=archive, found=repr(chosen), hint=hint)
    return chosen


def _guarded(read: Callable[[int], bytes], name: str, kind: str, *damage: type[Exception]) -> Callable[[int], bytes]:
    """Return `read` with exceptions for damaged data turned into `FormatError`."""

    def guarded(count: int) -> bytes:
        try:
            return read(count)
        except damage as error:
            raise FormatError(f"the {kind} member is damaged ({error})", file=name, hint=_AGAIN) from error

    return guarded
