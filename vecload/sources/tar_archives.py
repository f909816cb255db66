"""Tar archives whose members are read in place, or from a stream."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from typing import IO, TYPE_CHECKING

from vecload.errors import FormatError
from vecload.sources.archives import AGAIN, check_length, check_member, guard_reads
from vecload.sources.stream import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1 << 20
_MAX_MEMBERS = 10_000
_LONGEST_HEADER = 1 << 17  # bytes of the headers of one tar member, with long names and pax fields


class TarArchive:
    """The files of a tar archive.

    Parameters
    ----------
    source
        The archive.
    file
        The same bytes as a seekable file, positioned at their start. None reads the source as a stream, up to the
        file `member`, which is then the only one that can be opened.
    member
        Name of the file to open, if it is known: files after it need not be listed.
    """

    kind = "tar"

    def __init__(self, source: Source, file: IO[bytes] | None, member: str = "") -> None:
        self.name = source.name
        self._source = source
        self.compression = f"{source.compression}, tar" if source.compression else "tar"
        self._streamed = file is None
        self._metered = _Metered(file or _Forward(source))
        with self._guarded():
            self._archive = tarfile.TarFile(fileobj=self._metered)
            self._members = self._list(member)
        self.names = tuple(self._members)

    def open(self, member: str) -> Source:
        """Return the bytes of a file in the archive."""
        check_member(self, member)
        found = self._members[member]
        name = f"{self.name}/{member}"
        self._metered.left = None
        with self._guarded():
            data = self._archive.extractfile(found) if found.isreg() else None
        if data is None:
            raise FormatError("a link or a device, not a file", file=name)
        read = guard_reads(data.read, name, "tar", tarfile.TarError, EOFError, OSError)
        parent = self._source if self._streamed else None
        return Source(
            name, read, size=found.size, compression=self.compression, close=self._source.close, parent=parent
        )

    def _list(self, member: str) -> dict[str, tarfile.TarInfo]:
        """Return the files by name, in bounded memory; those of a stream up to the one called `member`."""
        members: dict[str, tarfile.TarInfo] = {}
        while (info := self._next(found=member in members)) is not None:
            # tarfile keeps every header in a list (missing from its type stubs), which would grow with the archive.
            self._archive.members.clear()  # type: ignore[attr-defined]
            self._metered.left = _LONGEST_HEADER
            if info.size < 0:  # tarfile would go back and read this header again forever
                raise tarfile.ReadError(f"a member of {info.size} bytes")
            name = info.name.removeprefix("./")  # `tar -c .` writes it
            if info.isdir():
                continue
            check_length(name, self.name)
            if len(members) < _MAX_MEMBERS or name == member:
                members[name] = info
            elif not member:
                hint = "Name one of its members, as archive.tar/member."
                raise FormatError(f"a tar archive of more than {_MAX_MEMBERS:,} files", file=self.name, hint=hint)
            if self._streamed and name == member:
                break
        return members

    def _next(self, *, found: bool) -> tarfile.TarInfo | None:
        """Return the next member; None at the end, and at damage after the requested member was `found`."""
        try:
            return self._archive.next()
        except (tarfile.TarError, OSError, ValueError):
            if found:
                return None
            raise

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn exceptions of `tarfile` for damaged bytes into `FormatError`."""
        try:
            yield
        except FormatError:
            raise
        except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, MemoryError, RecursionError) as error:
            problem = f"the tar archive is cut short or damaged ({str(error) or type(error).__name__})"
            raise FormatError(problem, file=self.name, hint=AGAIN) from error


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
