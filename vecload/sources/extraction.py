"""Open a file or a folder of an archive that needs other files of it: they are written to a temporary folder.

Most files are read in place. A model of gensim in several files, or the folder of a Hugging Face model, is read by
path, so its files are extracted, and deleted when the source is closed. Memory maps of them stay valid.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from vecload.errors import FormatError
from vecload.sources.archives import check_member
from vecload.sources.compression import decompressed
from vecload.sources.stream import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from vecload.sources.archives import Archive

_BLOCK = 1 << 20


class Selection(NamedTuple):
    """The file or folder of an archive to open."""

    path: str
    """Name of the file or folder in the archive; "" for the whole archive as a folder."""
    files: tuple[str, ...] = ()
    """Names of the files to extract, including `path` if it is a file; empty to read the file in place."""


Choose: TypeAlias = "Callable[[Archive, str], Selection | None]"
"""A function that chooses what to open, given an archive and the requested name ("" for none); None if unclear."""


def open_extracted(archive: Archive, chosen: Selection) -> Source:
    """Extract the files of a selection to a temporary folder, and open its file or folder.

    Raises
    ------
    FormatError
        If a file cannot be read, or two names denote the same path.
    OSError
        If the files need more than nine tenths of the free space of the temporary folder.
    """
    # The folder is deleted when the source is closed; on Windows, files that are still mapped are left to the system.
    folder = tempfile.TemporaryDirectory(prefix="vecload-", ignore_cleanup_errors=True)
    try:
        _extract(archive, chosen.files, Path(folder.name))
        path = Path(folder.name) / chosen.path
        name = f"{archive.name}/{chosen.path}".removesuffix("/")
        if path.is_dir():
            return Source(name, lambda _count: b"", compression=archive.compression, close=folder.cleanup, path=path)
        file = path.open("rb", buffering=0)
    except BaseException:
        folder.cleanup()
        raise

    def close() -> None:
        file.close()
        folder.cleanup()

    plain = Source(
        name,
        file.read,
        size=path.stat().st_size,
        readinto=file.readinto,
        compression=archive.compression,
        close=close,
        path=path,
    )
    return decompressed(plain)


def _extract(archive: Archive, names: tuple[str, ...], folder: Path) -> None:
    limit = shutil.disk_usage(folder).free // 10 * 9
    for name in names:
        check_member(archive, name)
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = target.open("xb")
        # Other errors of the system, such as a full disk, are reported as they are.
        except (FileExistsError, NotADirectoryError) as error:
            problem = "two members of the archive have the same path"
            raise FormatError(problem, file=archive.name, found=repr(name)) from error
        member = archive.open(name)
        with file:
            while piece := member.read(min(_BLOCK, limit + 1)):
                limit -= len(piece)
                if limit < 0:
                    raise member.no_space(tempfile.gettempdir(), "the files of the archive do not fit")
                file.write(piece)
