"""Turn a catalog name or an address of the Hugging Face Hub into something to open: a file in a cache, or a stream.

Every function that takes a file also takes such a name, which it passes to this module first. Anything else is returned
unchanged, and an existing file of the same name takes precedence over the catalog.

The catalog is imported only for a string that names no file: with its web client, that takes longer than opening a
native file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, TypeGuard, cast

from vecload.errors import FormatError
from vecload.lazy import LazyModule

if TYPE_CHECKING:
    from vecload.catalog import cache, hugging_face, listing, remote_zip
    from vecload.catalog.http import Policy
    from vecload.catalog.listing import Entry
    from vecload.catalog.remote_zip import Member
else:
    cache = LazyModule("vecload.catalog.cache")
    hugging_face = LazyModule("vecload.catalog.hugging_face")
    listing = LazyModule("vecload.catalog.listing")
    remote_zip = LazyModule("vecload.catalog.remote_zip")


@contextlib.contextmanager
def resolve_source(
    source: str | os.PathLike[str] | IO[bytes], *, few_words: bool = False, policy: Policy | None = None
) -> Iterator[str | os.PathLike[str] | IO[bytes]]:
    """Yield the file of a catalog name or Hub address, downloaded if necessary; yield any other source unchanged.

    Parameters
    ----------
    source
        The user's argument. An existing file of that name takes precedence over the catalog.
    few_words
        Whether only a few words are wanted. A text file that is one of several members of a zip archive is then
        streamed from the server, without downloading the rest of the archive, unless the archive is in the cache.
    policy
        Time limits and retries.

    Yields
    ------
    str, PathLike or file object
        The path of the file in the cache, or of its native form if there is one; or a stream, closed at the end.

    Raises
    ------
    DownloadError, FormatError
        As `download` does; also if the name is that of a data set, which holds no vectors.
    FileNotFoundError
        If the name is neither a file nor a catalog name, but similar to a catalog name.
    """
    if not _may_be_name(source):
        yield source
        return
    if hugging_face.is_hub_address(source):
        yield hugging_face.local_path(source)
        return
    entry = find_entry(source)
    if entry is None:
        yield source
        return
    if entry.dim is None:
        hint = "Pass it to `vecload evaluate` or `vecload map`."
        raise FormatError("a data set of the catalog", file=source, found=entry.format, expected="vectors", hint=hint)
    target = cache.cache_path(entry)
    # The native form was converted on this machine, so no published hash can verify it: it is used only if no other
    # user can have written it.
    if cache.native_path(entry).exists() and cache.is_private(cache.native_path(entry)):
        yield str(cache.native_path(entry))
        return
    if few_words and not target.exists() and (stream := _stream_member(entry, policy)) is not None:
        with contextlib.closing(stream):
            yield cast("IO[bytes]", stream)  # a RawIOBase has every method that readers call
        return
    path = cache.download(entry, policy=policy)
    yield f"{path}/{entry.member}" if entry.member else str(path)


def resolve_dataset(name: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Return the cached file of a data set of the catalog or the Hub; return any other name, or a file, unchanged.

    Raises
    ------
    DownloadError, FormatError
        As `download` does.
    """
    if not _may_be_name(name):
        return name
    if hugging_face.is_hub_address(name):
        return str(hugging_face.local_path(name))
    entry = listing.get(name)
    if entry is None or entry.dim is not None:
        return name
    path = cache.download(entry)
    return f"{path}/{entry.member}" if entry.member else path


def stated_by_catalog(source: object, place: object = None, in_file: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the license and the page of a catalog name or Hub address; an empty dict for anything else.

    Parameters
    ----------
    source
        The user's argument.
    place
        The file that `resolve_source` yields for it.
    in_file
        License and source that the file states. They are kept if it is from the Hub: its source is where it was first.

    Returns
    -------
    dict
        "license" and "source", if they are known; for the Hub also "hub", the address with the commit.
    """
    if not _may_be_name(source):
        return {}
    if hugging_face.is_hub_address(source):
        return {**hugging_face.stated_by_hub(source, place), **(in_file or {})}
    entry = None if "://" in source else listing.get(source)
    if entry is None:
        return {}
    stated = {"license": entry.license, "source": entry.page or next(iter(entry.urls), "")}
    return {key: value for key, value in stated.items() if value not in ("", "unknown")}


def input_files(*sources: str | os.PathLike[str] | IO[bytes]) -> list[str | os.PathLike[str] | IO[bytes]]:
    """Return the local files from which sources are read, so that no output replaces one of them.

    Raises
    ------
    FileNotFoundError
        If a name is neither a file nor a catalog name, but similar to a catalog name.
    """
    found: list[str | os.PathLike[str] | IO[bytes]] = []
    for source in sources:
        entry = find_entry(source) if _may_be_name(source) else None
        if entry is None:
            found.append(source)
            continue
        found += [path for path in (cache.cache_path(entry), cache.native_path(entry)) if path.exists()]
    return found


def _may_be_name(source: object) -> TypeGuard[str]:
    """Return whether a source is a string that names no file, and not ``-`` for standard input."""
    return isinstance(source, str) and source != "-" and not os.path.lexists(source)


def _stream_member(entry: Entry, policy: Policy | None) -> Member | None:
    """Open the entry's archive member on its server; None if it is not in an archive, or the server has no ranges."""
    if entry.container != "zip" or not entry.member or not entry.format.endswith("text"):
        return None
    cache.refuse_offline(entry.full_name)
    try:
        return remote_zip.Member(entry.urls, entry.member, hash_known=entry.digest is not None, policy=policy)
    except remote_zip.NoRangesError:
        return None


def find_entry(name: str) -> Entry | None:
    """Return the entry of a name, or None; raise with a suggestion if the name is similar to one."""
    rest = name.removeprefix("huggingface:").removeprefix("facebook/")
    if "://" in name or "/" in rest or os.sep in rest:
        return None
    entry = listing.get(name)
    if entry is None and (guesses := listing.close_names(name)):
        raise FileNotFoundError(2, f"no such file; the catalog has {', '.join(guesses)}", name)
    return entry
