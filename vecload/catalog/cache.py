"""Where downloads are kept: one folder, a file each, with a receipt beside it.

::

    FAMILY/FILE               as it came
    FAMILY/FILE.json          where from, how long, its SHA-256, what it was held against
    FAMILY/FILE.part[.json]   a download that ended early: the next one goes on from there
    FAMILY/FILE.rejected      what came but was not the file
    FAMILY/NAME.safetensors   the same in native form
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from vecload.catalog import listing
from vecload.catalog.http import Policy
from vecload.catalog.listing import Digest, Entry
from vecload.catalog.transfer import digests, fetch, receipt_path
from vecload.errors import DownloadError, FormatError, VocabularyError

_BESIDE = {".part": "unfinished: the next download goes on from here", ".rejected": "not the file asked for"}


def cache_folder() -> Path:
    """The cache: what ``VECLOAD_CACHE`` names, else the platform's place for such things."""
    import platformdirs

    named = os.environ.get("VECLOAD_CACHE")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("vecload")


def offline() -> bool:
    """Whether ``VECLOAD_OFFLINE`` forbids the network."""
    return os.environ.get("VECLOAD_OFFLINE", "0") not in ("", "0")


def refuse_offline(name: str) -> None:
    """Raise when the network is forbidden."""
    if offline():
        raise DownloadError(
            f"{name} is not in the cache, {cache_folder()}, and VECLOAD_OFFLINE forbids to download it: "
            f"unset that, or run `vecload download {name}` where there is a network and copy the folder"
        )


def cache_path(entry: Entry) -> Path:
    """Where the download of an entry is or will be."""
    return cache_folder() / entry.family / entry.file


def native_path(entry: Entry) -> Path:
    """Where its native form is or will be."""
    return cache_folder() / entry.family / f"{entry.name.replace('/', '--')}.safetensors"


def download(entry: Entry, *, progress: bool | None = None, policy: Policy | None = None) -> Path:
    """Bring a file of the catalog into the cache, unless it is there.

    Parameters
    ----------
    entry
        From `catalog.get` or `catalog.find`.
    progress
        Whether to show a bar; None: when standard error is a terminal.
    policy
        How patient to be.

    Returns
    -------
    Path
        The file as it came.

    Raises
    ------
    DownloadError
        When it cannot be fetched, or only by hand, or the network is forbidden.
    FormatError
        When what came is not the file, or the file in the cache is another.

    Notes
    -----
    The cache is a folder that no other user can read or write. A file that another user may have written (in a folder
    that ``VECLOAD_CACHE`` names) is hashed and compared each time before it is used.

    A file whose hash nobody states is pinned: its first download's SHA-256 stays in its receipt, also after the file
    was removed from the cache, and later downloads have to have it.
    """
    target = cache_path(entry)
    _make_folder()
    if target.exists():
        if not is_private(target):
            _verify_shared(entry, target)
        return target
    if not entry.urls:
        raise DownloadError(f"{entry.full_name} can only be had by hand, from {entry.page}: {'; '.join(entry.notes)}")
    refuse_offline(entry.full_name)
    pin = None if entry.digest else _receipt(target).get("sha256")
    digest = entry.digest or (Digest("sha256", str(pin)) if pin else None)
    magic = {"zip": b"PK\x03\x04", "gzip": b"\x1f\x8b", "tar.gz": b"\x1f\x8b", "bzip2": b"BZh", "tar.bz2": b"BZh"}
    try:
        fetch(
            entry.urls,
            target,
            size=entry.size,
            digest=digest,
            magic=magic.get(entry.container or "", b""),
            progress=progress,
            policy=policy,
        )
    except FormatError as error:
        if pin and error.hint:
            error.hint += f" To accept it as the new one, delete {receipt_path(target)}."
        raise
    return target


def _make_folder() -> None:
    """Make the cache a folder of this user alone; one that ``VECLOAD_CACHE`` names is left as it is."""
    root = cache_folder()
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        root.mkdir(mode=0o700, exist_ok=True)
    elif os.name == "posix" and not os.environ.get("VECLOAD_CACHE") and root.stat().st_uid == os.geteuid():
        root.chmod(0o700)


def is_private(path: Path) -> bool:
    """Return whether only this user can have written a file of the cache."""
    if os.name != "posix":  # permissions are not told by the mode
        return True
    found = [each.stat() for each in (path, path.parent, cache_folder())]
    return all(each.st_uid == os.geteuid() and not each.st_mode & (stat.S_IWGRP | stat.S_IWOTH) for each in found)


def _verify_shared(entry: Entry, target: Path) -> None:
    """Hash a file that others may have written, and compare.

    Raises
    ------
    FormatError
        When it is not the file of the catalog.
    DownloadError
        When there is no hash to compare it with, but perhaps one that others may have written too.
    """
    digest, receipt = entry.digest, receipt_path(target)
    if digest is None and receipt.exists() and is_private(receipt):
        digest = Digest("sha256", str(_receipt(target).get("sha256")))
    if digest is None:
        raise DownloadError(
            f"{target} belongs to another user, or others can write to its folder, and no hash of it is known; "
            "if you trust it, pass its path instead of its name; else remove it and download it again"
        )
    found = digests(target, digest.kind)[digest.kind]
    if found != digest.value:
        hint = "Others can write to this folder. Remove the file, or set VECLOAD_CACHE to a folder of your own."
        raise FormatError(
            "the cached file is not that of the catalog",
            file=str(target),
            found=f"{digest.kind} {found}",
            expected=digest.value,
            hint=hint,
        )


def _receipt(target: Path) -> dict[str, object]:
    try:
        found = json.loads(receipt_path(target).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Cached:
    """A file in the cache."""

    path: Path
    size: int
    names: tuple[str, ...]
    """The entries it serves."""
    state: str
    """What it was held against, or what is unfinished."""
    sha256: str | None
    """As its receipt says."""


def cached() -> list[Cached]:
    """What is in the cache, by name."""
    found = []
    for path in sorted(cache_folder().glob("*/*")):
        if path.name.startswith(".") or path.suffix == ".json" or not path.is_file():
            continue
        beside = next((suffix for suffix in _BESIDE if path.name.endswith(suffix)), "")
        target = path.with_name(path.name.removesuffix(beside))
        serves = [entry for entry in listing.entries() if target in (cache_path(entry), native_path(entry))]
        receipt = _receipt(target)
        if beside:
            state = _BESIDE[beside]
        elif path.suffix == ".safetensors":
            state = "native form"
        elif not receipt:
            state = "no receipt"
        else:
            stated = _known_digest(path)
            state = f"verified: {stated.kind}" if stated else "pinned on first download"
        sha256 = receipt.get("sha256") if not beside else None
        names = tuple(entry.full_name for entry in serves)
        found.append(Cached(path, path.stat().st_size, names, state, str(sha256) if sha256 else None))
    return found


def _known_digest(path: Path) -> Digest | None:
    """The hash that the catalog states for a file of the cache."""
    return next((entry.digest for entry in listing.entries() if cache_path(entry) == path and entry.digest), None)


def _select(name: str, known: list[Cached]) -> list[Cached]:
    found = [file for file in known if name in (file.path.name, str(file.path)) or name in _names(file)]
    if not found:
        raise VocabularyError(f"nothing in the cache, {cache_folder()}, is named {name!r}")
    return found


def _names(file: Cached) -> set[str]:
    return {*file.names, *(name.partition(":")[2] for name in file.names)}


def remove(name: str) -> list[Path]:
    """Remove a file from the cache, with what is unfinished or rejected of it and its native form.

    Parameters
    ----------
    name
        Of an entry, or of a file that `cached` lists. Of an archive that serves several entries all goes.

    Returns
    -------
    list of Path
        What was removed. The receipt of a pinned file stays: it is the pin.

    Raises
    ------
    VocabularyError
        When the cache has nothing of this name.
    """
    gone = []
    for file in _select(name, cached()):
        if _known_digest(file.path) or file.path.suffix == ".part":  # the note of a part looks like a receipt
            receipt_path(file.path).unlink(missing_ok=True)
        file.path.unlink()
        gone.append(file.path)
    return gone


def verify(name: str | None = None) -> list[tuple[Cached, str]]:
    """Hold files of the cache against their receipts and the catalog.

    Parameters
    ----------
    name
        As for `remove`; None for all.

    Returns
    -------
    list of (Cached, str)
        With what is wrong, empty where nothing is. Unfinished files, native forms and files without receipt or known
        hash have nothing to be held against and are not listed.
    """
    files = cached()
    verdicts = []
    for file in files if name is None else _select(name, files):
        stated = _known_digest(file.path)
        if file.sha256 is None and stated is None:
            continue
        kinds = {"sha256", stated.kind} if stated else {"sha256"}
        found = digests(file.path, *kinds)
        wrong = ""
        if file.sha256 not in (None, found["sha256"]):
            wrong = f"changed since it was downloaded: sha256 {found['sha256']}, receipt {file.sha256}"
        elif stated and found[stated.kind] != stated.value:
            wrong = f"not the catalog's file: {stated.kind} {found[stated.kind]}, catalog {stated.value}"
        verdicts.append((file, wrong))
    return verdicts
