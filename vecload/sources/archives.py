"""The members of zip and tar archives: which of them can be opened, and errors for the others.

Members with absolute names or with ``..`` in their names are rejected, and so are links and devices. Published vectors
never contain such members, so such an archive is damaged or malicious, and extracting it with another tool would be
dangerous.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Protocol

from vecload.errors import FormatError, VecloadError
from vecload.message_text import shorten
from vecload.sources.compression import decompressed
from vecload.sources.stream import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AGAIN = "Download or copy the file again."
"""Hint for damaged archives."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # the second is the directory of an empty archive
_USTAR = slice(257, 262)
_LONGEST_NAME = 4096  # the longest path of Linux
_SHOWN = 20
# Files that systems and publishers add to archives: macOS writes "._name" with the attributes of each file.
_ACCESSORY = re.compile(
    r"(^|/)(__MACOSX/.*|\._[^/]*|\.DS_Store|Thumbs\.db|desktop\.ini|meta\.json|"
    r"(README|LICEN[CS]E|COPYING|NOTICE)([._-][^/]*)?)$",
    re.IGNORECASE,
)


class SeveralMembersError(FormatError):
    """Error for an archive of several files if none of them was named."""

    members: tuple[str, ...] = ()
    """Names of the files as sources, in the form ``archive.zip/member``."""


def detect_archive(source: Source) -> str | None:
    """Return "zip" or "tar", or None if the source is not an archive."""
    if source.head(4) in _ZIP:
        return "zip"
    return "tar" if source.head(_USTAR.stop)[_USTAR] == b"ustar" else None


class Archive(Protocol):
    """The files of an opened zip or tar archive."""

    kind: str
    """"zip" or "tar"."""
    compression: str
    """The same, after the compression of the archive itself: "gzip, tar"."""
    name: str
    """Name of the archive, for error messages."""
    names: tuple[str, ...]
    """Names of all files in the archive."""

    def open(self, member: str) -> Source:
        """Return the bytes of a file in the archive.

        Raises
        ------
        FormatError
            If there is no such file, its name points outside its folder, or it cannot be read.
        """


def candidates(archive: Archive) -> tuple[str, ...]:
    """Return the names of the files that can hold data: all but those that describe an archive, if there are others."""
    return tuple(name for name in archive.names if not _ACCESSORY.search(name)) or archive.names


def check_member(archive: Archive, member: str) -> None:
    """Refuse a name that is not a file of the archive, or that points outside its folder."""
    if member not in archive.names:
        problem = f"the {archive.kind} archive has no member {shorten(member)!r}"
        held = f"It holds: {_listed(archive.names)}." if archive.names else "It is empty."
        raise FormatError(problem, file=archive.name, hint=held)
    paths = PurePosixPath(member), PureWindowsPath(member)
    if any(path.is_absolute() or path.drive or ".." in path.parts for path in paths):
        hint = "The archive may be malicious: do not extract it with other tools."
        problem = "a member whose name points outside its folder"
        raise FormatError(problem, file=archive.name, found=repr(member), hint=hint)


def member_head(archive: Archive, member: str, count: int) -> bytes:
    """Return the first `count` bytes of a file in an archive, decompressed; none if it cannot be read."""
    try:
        return decompressed(archive.open(member)).head(count)
    except VecloadError:
        return b""


def several_members(archive: Archive) -> FormatError:
    """Return the error for an archive of which no file was chosen."""
    names = candidates(archive)
    if not names:
        return FormatError(f"the {archive.kind} archive is empty", file=archive.name, hint=AGAIN)
    members = tuple(f"{archive.name}/{name}" for name in names)
    hint = f"Name one of its members: {_listed(members)}"
    error = SeveralMembersError(f"a {archive.kind} archive of {len(names)} files", file=archive.name, hint=hint)
    error.members = members
    return error


def check_length(name: str, archive: str) -> None:
    """Refuse an empty name, and one that is longer than any path."""
    if not 0 < len(name) <= _LONGEST_NAME:
        found = f"a name of {len(name):,} characters"
        raise FormatError("a member with an invalid name", file=archive, found=found, expected=f"1 to {_LONGEST_NAME}")


def _listed(names: Sequence[str]) -> str:
    """Return the first names as text, at most a few lines long."""
    shown = ", ".join(shorten(name) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else shown


def guard_reads(read: Callable[[int], bytes], name: str, kind: str, *damage: type[Exception]) -> Callable[[int], bytes]:
    """Return `read` with exceptions for damaged data turned into `FormatError`."""

    def guarded(count: int) -> bytes:
        try:
            return read(count)
        except damage as error:
            raise FormatError(f"the {kind} member is damaged ({error})", file=name, hint=AGAIN) from error

    return guarded
