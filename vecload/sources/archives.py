"""One member of a zip or tar archive, read where it lies: nothing is unpacked to disk under a name.

A member whose name would leave the folder it is unpacked to, and one that is a link, is refused.
"""

from __future__ import annotations

import io
import lzma
import os
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO, TYPE_CHECKING

from vecload.errors import FormatError
from vecload.sources.stream import Source

if TYPE_CHECKING:
    from collections.abc import Callable

_AGAIN = "Download or copy the file again."
_ZIP = b"PK\x03\x04"
_BLOCK = 1 << 20
_USTAR = slice(257, 262)
ZIP_DAMAGE = (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError)
"""What `zipfile` raises on damaged bytes: its own errors, those of places and names it makes of them, and codecs'."""


def archive_in(source: Source) -> str | None:
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
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    chosen = _chosen("zip", source.name, names, member)
    name = f"{source.name}/{chosen}"
    try:
        stream = archive.open(chosen)
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
    members: dict[str, tarfile.TarInfo] = {}
    try:
        stream = tarfile.TarFile(fileobj=file or _Forward(source))
        for info in stream:
            if info.size < 0:  # the next header would be this one again
                raise tarfile.ReadError(f"a member of {info.size} bytes")
            name = info.name.removeprefix("./")  # as `tar -c .` has it
            if not info.isdir():
                members[name] = info
            if name == member:
                break
        chosen = _chosen("tar", source.name, list(members), member)
        found = members[chosen]
        data = stream.extractfile(found) if found.isreg() else None
    except FormatError:
        raise
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, MemoryError) as error:
        problem = f"the tar archive is cut short or damaged ({str(error) or 'no room for what it says'})"
        raise FormatError(problem, file=source.name, hint=_AGAIN) from error
    name = f"{source.name}/{chosen}"
    if data is None:
        raise FormatError("a link or a device, not a file", file=name)
    read = _guarded(data.read, name, "tar", tarfile.TarError, EOFError, OSError)
    beneath = None if file else source
    return Source(name, read, size=found.size, compression=kind, close=source.close, beneath=beneath)


class _Forward(io.RawIOBase):
    """A source as a file that can be positioned, but only ahead: all that `tarfile` does while it goes through."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def tell(self) -> int:
        return self._source.position

    def seek(self, place: int, _whence: int = os.SEEK_SET) -> int:
        while place > self._source.position and self._source.take(min(_BLOCK, place - self._source.position)):
            pass
        return self._source.position

    def read(self, count: int = -1) -> bytes:
        if count < 0:
            raise tarfile.ReadError(f"{count} bytes to read")
        data = bytearray()  # as long as there are bytes: the count is what a header says
        while piece := self._source.take(min(_BLOCK, count - len(data))):
            data += piece
        return bytes(data)


def _chosen(kind: str, archive: str, names: list[str], member: str) -> str:
    if member and member not in names:
        raise FormatError(
            f"the {kind} archive has no member {member!r}", file=archive, hint=f"It holds: {', '.join(names)}."
        )
    # macOS adds a "._name" with its attributes to each file.
    names = [name for name in names if not PurePosixPath(name).name.startswith("._")] or names
    if not member and len(names) != 1:
        hint = "Name one of its members: " + ", ".join(f"{archive}/{name}" for name in names)
        raise FormatError(f"a {kind} archive of {len(names)} files", file=archive, hint=hint)
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
