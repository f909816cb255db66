"""Public files of word vectors by name: what there is, where it is, and how it comes here.

`catalog.toml` lists the files and how each statement about them is known; `find` and `get` look there. `download`
brings a file into the cache, verified; `located` is what `load` asks when it is given a name.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, cast

from vecload.catalog.cache import (
    Cached,
    cached,
    download,
    folder,
    is_private,
    native,
    place,
    refuse_offline,
    remove,
    verify,
)
from vecload.catalog.http import Policy
from vecload.catalog.listing import MARKS, Entry, entries, find, get, near
from vecload.errors import FormatError

if TYPE_CHECKING:
    from vecload.catalog.remote import Member

__all__ = [
    "MARKS",
    "Cached",
    "Entry",
    "cached",
    "dataset",
    "download",
    "entries",
    "find",
    "folder",
    "get",
    "inputs",
    "is_private",
    "located",
    "native",
    "near",
    "place",
    "remove",
    "verify",
]


@contextlib.contextmanager
def located(
    source: str | os.PathLike[str] | IO[bytes], *, few: bool = False, policy: Policy | None = None
) -> Iterator[str | os.PathLike[str] | IO[bytes]]:
    """A name of the catalogue as something to open; anything else as it is.

    Parameters
    ----------
    source
        What a user gave for a file. An existing file of that name wins over the catalogue.
    few
        Whether only a few words are wanted. A text file that is one of several in a zip archive is then read from the
        server, without the rest of the archive and without the disk, unless the archive is in the cache.
    policy
        How patient to be.

    Yields
    ------
    str, PathLike or file object
        The path of the file in the cache, its native form where there is one; or a stream, closed at the end.

    Raises
    ------
    DownloadError, FormatError
        As `download` does; and for a data set, which is no vectors.
    FileNotFoundError
        For a name that is no file, but almost one of the catalogue.
    """
    if not isinstance(source, str) or source == "-" or os.path.lexists(source) or (entry := _named(source)) is None:
        yield source
        return
    if entry.dim is None:
        hint = "It is for evaluate and map."
        raise FormatError("a data set of the catalogue", file=source, found=entry.format, expected="vectors", hint=hint)
    target = place(entry)
    if native(entry).exists() and is_private(native(entry)):  # no hash of it is known to compare it with
        yield str(native(entry))
        return
    if few and not target.exists() and (stream := _streamed(entry, policy)) is not None:
        with contextlib.closing(stream):
            yield cast("IO[bytes]", stream)  # a raw stream has all that is asked of a file object
        return
    path = download(entry, policy=policy)
    yield f"{path}/{entry.member}" if entry.member else str(path)


def dataset(name: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The file of a data set of the catalogue, in the cache; anything else, and a file of that name, as it is.

    Raises
    ------
    DownloadError, FormatError
        As `download` does.
    """
    entry = None if not isinstance(name, str) or os.path.lexists(name) else get(name)
    if entry is None or entry.dim is not None:
        return name
    path = download(entry)
    return f"{path}/{entry.member}" if entry.member else path


def _streamed(entry: Entry, policy: Policy | None) -> Member | None:
    """The entry's member of an archive on its server, where it is one of several and servers let us."""
    if entry.container != "zip" or not entry.member or not entry.format.endswith("text"):
        return None
    from vecload.catalog.remote import Member, NoRangesError

    refuse_offline(entry.full_name)
    try:
        return Member(entry.urls, entry.member, known=entry.digest is not None, policy=policy)
    except NoRangesError:
        return None


def inputs(*sources: str | os.PathLike[str] | IO[bytes]) -> list[str | os.PathLike[str] | IO[bytes]]:
    """Return what sources are read from on this machine, which no output may replace.

    Raises
    ------
    FileNotFoundError
        For a name that is not a file, but almost one of the catalog.
    """
    found: list[str | os.PathLike[str] | IO[bytes]] = []
    for source in sources:
        entry = None
        if isinstance(source, str) and source != "-" and not os.path.lexists(source):
            entry = _named(source)
        files = [source] if entry is None else [path for path in (place(entry), native(entry)) if path.exists()]
        found += files
    return found


def _named(name: str) -> Entry | None:
    """The entry of a name; a hint for one that is nearly right."""
    if "://" in name or os.sep in name.removeprefix("huggingface:").removeprefix("facebook/"):
        return None
    entry = get(name)
    if entry is None and (guesses := near(name)):
        raise FileNotFoundError(2, f"no such file; the catalogue has {', '.join(guesses)}", name)
    return entry
