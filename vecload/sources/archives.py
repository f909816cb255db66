"""One member of a zip or tar archive, read where it lies: nothing is unpacked to disk under a name.

A member whose name would leave the folder it is unpacked to, and one that is a link, is refused.
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

from vecload.errors import FormatError, shorten
from vecload.sources.compression import MOST_DICTIONARY
from vecload.sources.stream import Source

if TYPE_CHECKING:
    from collections.abc import Callable

_AGAIN = "Download or copy the file again."
_ZIP = b"PK\x03\x04"
_BLOCK = 1 << 20
_USTAR = slice(257, 262)
_LONGEST_NAME = 4096  # as file systems allow
_MOST_MEMBERS = 10_000
_LONGEST_HEADER = 1 << 17
_SHOWN = 20
_LZMA_AT = struct.Struct("<26xHH")  # lengths of a local header's name and extra field
ZIP_DAMAGE = (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError)
"""What `zipfile` raises on damaged bytes: its own errors, those of places and names it makes of them, and codecs'."""


class SeveralMembersError(FormatError):
    """An archive of several files, none of which was named."""

    members: tuple[str, ...] = ()
    """Sources for the files, as ``archive.zip/member``."""


def detect_archive(source: Source) -> str | None:
    """What archive the source is, "zip" or "tar"; None if it is none."""
    if source.head(4) == _ZIP:
        return "zip"
    return "tar" if source.head(_USTAR.stop)[_USTAR] == b"ustar" else None


def holds_arrays(file: IO[bytes]) -> bool:
    """Whether a zip archive is NumPy's ``.npz``, whose members are one value together. `file` stays where it is."""
    here = file.tell()
    try:
        names = zipfile.ZipFile(file).namelist()
    except ZIP_DAMAGE:
        return False
    finally:
        file.seek(here)
    return bool(names) and all(name.endswith(".npy") for name in names)


def zip_member(source: Source, file: IO[bytes], member: str) -> Source:
    """A member of a zip archive; its only one, if none is named.

    Parameters
    ----------
    source
        The archive.
    file
        The same bytes as a file that can be positioned, at their start.
    member
        The member's name, or "".
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
    except (RuntimeError, *ZIP_DAMAGE) as error:  # encrypted; an unknown method; damage
        raise FormatError(f"the zip member cannot be read ({error})", file=name) from error
    read = _guarded(stream.read, name, "zip", *ZIP_DAMAGE)
    return Source(name, read, size=archive.getinfo(chosen).file_size, compression="zip", close=source.close)


def tar_member(source: Source, file: IO[bytes] | None, member: str) -> Source:
    """A member of a tar archive; parameters as for `zip_member`.

    Without `file`, a member that is named is read as it comes by. To know that one is the only one, all of the archive
    has to be gone through first.
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
    beneath = None if file else source
    return Source(name, read, size=found.size, compression=kind, close=source.close, beneath=beneath)


def _tar_members(stream: tarfile.TarFile, metered: _Metered, archive: str, member: str) -> dict[str, tarfile.TarInfo]:
    """Return the files of a tar archive by name, up to the one called `member`, in bounded memory."""
    members: dict[str, tarfile.TarInfo] = {}
    while (info := stream.next()) is not None:
        # tarfile keeps every header it has seen, in a list that its type stubs do not have.
        stream.members.clear()  # type: ignore[attr-defined]
        metered.left = _LONGEST_HEADER
        if info.size < 0:  # the next header would be this one again
            raise tarfile.ReadError(f"a member of {info.size} bytes")
        name = info.name.removeprefix("./")  # as `tar -c .` has it
        if info.isdir():
            continue
        _check_name(name, archive)
        if len(members) < _MOST_MEMBERS or name == member:
            members[name] = info
        elif not member:
            hint = "Name one of its members, as archive.tar/member."
            raise FormatError(f"a tar archive of more than {_MOST_MEMBERS:,} files", file=archive, hint=hint)
        if name == member:
            break
    return members


class _Metered(io.RawIOBase):
    """A file that refuses to read more than `left` bytes until that is set again; None for no limit.

    tarfile reads the long names and pax headers before a member whole, whatever length they say, and calls itself for
    each: a limit on the bytes before one member bounds both.
    """

    def __init__(self, file: IO[bytes] | _Forward) -> None:
        self._file = file
        self.left: int | None = _LONGEST_HEADER

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(place, whence)

    def read(self, count: int = -1) -> bytes:
        if self.left is not None:
            if not 0 <= count <= self.left:
                raise tarfile.ReadError(f"a header of more than {_LONGEST_HEADER:,} bytes")
            self.left -= count
        return self._file.read(count)


class _Forward(io.RawIOBase):
    """A source as a file that can be positioned, but only ahead: all that `tarfile` does while it goes through."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def tell(self) -> int:
        return self._source.position

    def seek(self, place: int, _whence: int = os.SEEK_SET) -> int:
        while place > self._source.position and self._source.read(min(_BLOCK, place - self._source.position)):
            pass
        return self._source.position

    def read(self, count: int = -1) -> bytes:
        if count < 0:
            raise tarfile.ReadError(f"{count} bytes to read")
        data = bytearray()  # as long as there are bytes: the count is what a header says
        while piece := self._source.read(min(_BLOCK, count - len(data))):
            data += piece
        return bytes(data)


def _check_name(name: str, archive: str) -> None:
    if not 0 < len(name) <= _LONGEST_NAME:
        found = f"a name of {len(name):,} characters"
        raise FormatError("a member with an invalid name", file=archive, found=found, expected=f"1 to {_LONGEST_NAME}")


def _check_dictionary(info: zipfile.ZipInfo, file: IO[bytes], name: str) -> None:
    """Refuse an LZMA member that asks for more memory than any preset of the LZMA tools does."""
    if info.compress_type != zipfile.ZIP_LZMA:
        return
    here = file.tell()
    file.seek(info.header_offset)
    file.seek(sum(_LZMA_AT.unpack(file.read(_LZMA_AT.size))) + 5, os.SEEK_CUR)  # past version, size and one property
    dictionary = int.from_bytes(file.read(4), "little")
    file.seek(here)
    if dictionary > MOST_DICTIONARY:
        found = f"a dictionary of {dictionary:,} bytes"
        raise FormatError(
            "the zip member needs too much memory", file=name, found=found, expected=f"{MOST_DICTIONARY:,}"
        )


def _listed(names: list[str]) -> str:
    """The first names, in a few lines at most."""
    shown = ", ".join(shorten(name) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown


def _chosen(kind: str, archive: str, names: list[str], member: str) -> str:
    if member and member not in names:
        problem = f"the {kind} archive has no member {shorten(member)!r}"
        raise FormatError(problem, file=archive, hint=f"It holds: {_listed(names)}.")
    # macOS adds a "._name" with its attributes to each file.
    names = [name for name in names if not PurePosixPath(name).name.startswith("._")] or names
    if not member and len(names) != 1:
        hint = "Name one of its members: " + _listed([f"{archive}/{name}" for name in names])
        error = SeveralMembersError(f"a {kind} archive of {len(names)} files", file=archive, hint=hint)
        error.members = tuple(f"{archive}/{name}" for name in names)
        raise error
    chosen = member or names[0]
    ways = PurePosixPath(chosen), PureWindowsPath(chosen)
    if any(way.is_absolute() or way.drive or ".." in way.parts for way in ways):
        hint = "The archive was made by mistake or in bad faith; do not unpack it."
        raise FormatError("a member whose name leaves its folder", file=archive, found=repr(chosen), hint=hint)
    return chosen


def _guarded(read: Callable[[int], bytes], name: str, kind: str, *damage: type[Exception]) -> Callable[[int], bytes]:
    """`read`, with the damage it notices on the way as errors of the house."""

    def guarded(count: int) -> bytes:
        try:
            return read(count)
        except damage as error:
            raise FormatError(f"the {kind} member is damaged ({error})", file=name, hint=_AGAIN) from error

    return guarded
