"""Inputs of the fuzzer: files with the name of their reader."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Input:
    """Files for a reader. `entry` is the file to open, or "" for the whole folder."""

    reader: str
    files: dict[str, bytes]
    entry: str = ""

    @property
    def size(self) -> int:
        """Number of bytes of all files."""
        return sum(map(len, self.files.values()))

    @property
    def digest(self) -> str:
        """Short name derived from the contents."""
        state = hashlib.sha256()
        for name, data in sorted(self.files.items()):
            state.update(f"{name}\0{len(data)}\0".encode() + data)
        return state.hexdigest()[:10]

    def write(self, folder: Path) -> Path:
        """Write the files to an emptied folder, and return the path to open."""
        shutil.rmtree(folder, ignore_errors=True)
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / self.entry if self.entry else folder

    def replaced(self, name: str, data: bytes) -> Input:
        """Return a copy with other contents of one file."""
        return Input(self.reader, {**self.files, name: data}, self.entry)


def from_file(reader: str, path: Path) -> Input:
    """Read an input of one file, or of a folder with all of its files."""
    if path.is_dir():
        return from_folder(reader, path)
    return Input(reader, {path.name: path.read_bytes()}, path.name)


def from_folder(reader: str, folder: Path, entry: str = "") -> Input:
    """Read an input of all files of a folder."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    return Input(reader, files, entry)
