"""Zip archives whose members are read in place."""

from __future__ import annotations

import lzma
import os
import struct
import zipfile
import zlib
from typing import IO

from vecload.errors import FormatError
from vecload.sources.archives import AGAIN, check_length, check_member, guard_reads
from vecload.sources.compression import MAX_DICTIONARY
from vecload.sources.stream import Source

_LOCAL_HEADER = struct.Struct("<26xHH")  # lengths of the name and of the extra field in a zip file's local header
ZIP_DAMAGE = (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError)
"""Exceptions that `zipfile` raises for damaged bytes: its own, those for invalid offsets and names, and the codecs'."""


def holds_arrays(file: IO[bytes]) -> bool:
    """Return whether the members of a zip archive form one value: NumPy's ``.npz``, and files of PyTorch.

    The position of `file` does not change.
    """
    here = file.tell()
    try:
        names = zipfile.ZipFile(file).namelist()
    except ZIP_DAMAGE:
        return False
    finally:
        file.seek(here)
    if any(name.endswith("/data.pkl") for name in names[:1]):
        return True
    return bool(names) and all(name.endswith(".npy") for name in names)


class ZipArchive:
    """The files of a zip archive.

    Parameters
    ----------
    source
        The archive.
    file
        The same bytes as a seekable file, positioned at their start.
    """

    kind = compression = "zip"

    def __init__(self, source: Source, file: IO[bytes]) -> None:
        self.name = source.name
        self._source = source
        self._file = file
        try:
            self._archive = zipfile.ZipFile(file)
        except ZIP_DAMAGE as error:
            problem = f"the zip archive is cut short or damaged ({error})"
            raise FormatError(problem, file=source.name, hint=AGAIN) from error
        self.names = tuple(info.filename for info in self._archive.infolist() if not info.filename.endswith("/"))
        for found in self.names:
            check_length(found, source.name)

    def open(self, member: str) -> Source:
        """Return the bytes of a file in the archive, decompressed."""
        check_member(self, member)
        name = f"{self.name}/{member}"
        try:
            stream = self._archive.open(member)
            _check_dictionary(self._archive.getinfo(member), self._file, name)
        except FormatError:
            raise
        except (RuntimeError, *ZIP_DAMAGE) as error:  # RuntimeError: an encrypted member
            raise FormatError(f"the zip member cannot be read ({error})", file=name) from error
        read = guard_reads(stream.read, name, "zip", *ZIP_DAMAGE)
        size = self._archive.getinfo(member).file_size
        return Source(name, read, size=size, compression=self.compression, close=self._source.close)


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
