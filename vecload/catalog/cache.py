"""The cache of downloaded files: one folder per family, and a receipt for each file.

::

    FAMILY/FILE               the file as it was downloaded
    FAMILY/FILE.json          its receipt: address, size, SHA-256, and the hash that it was verified with
    FAMILY/FILE.part[.json]   an unfinished download, which the next one continues
    FAMILY/FILE.rejected      a downloaded file that turned out not to be the expected one
    FAMILY/NAME.safetensors   the same vectors in native form
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

_SIDE_FILES = {".part": "unfinished: the next download continues it", ".rejected": "not the requested file"}


def cache_folder() -> Path:
    """Return the folder of the cache: ``VECLOAD_CACHE``, or by default the user's cache folder of the platform."""
    import platformdirs

    named = os.environ.get("VECLOAD_CACHE")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("vecload")


def offline() -> bool:
    """Return whether ``VECLOAD_OFFLINE`` forbids network access."""
    return os.environ.get("VECLOAD_OFFLINE", "0") not in ("", "0")


def refuse_offline(name: str) -> None:
    """Raise `DownloadError` if network access is forbidden."""
    if offline():
        raise DownloadError(
            f"{name} is not in the cache, {cache_folder()}, and VECLOAD_OFFLINE forbids downloads: "
            f"unset it, or run `vecload download {name}` on a machine with network access and copy the folder"
        )


def cache_path(entry: Entry) -> Path:
    """Return the path of the download of an entry, whether it exists or not."""
    return cache_folder() / entry.family / entry.file


def native_path(entry: Entry) -> Path:
    """Return the path of the native form of an entry, whether it exists or not."""
    return cache_folder() / entry.family / f"{entry.name.replace('/', '--')}.safetensors"


def download(entry: Entry, *, progress: bool | None = None, policy: Policy | None = None) -> Path:
    """Download a file of the catalog, unless the cache has it already, and return its path.

    Parameters
    ----------
    entry
        Result of `catalog.get` or `catalog.find`.
    progress
        Whether to show a progress bar; None shows one if standard error is a terminal.
    policy
        Time limits and retries.

    Returns
    -------
    Path
        The downloaded file.

    Raises
    ------
    DownloadError
        If it cannot be downloaded, must be downloaded manually, or network access is forbidden.
    FormatError
        If the downloaded file, or the file in the cache, is not the expected one.

    Notes
    -----
    By default the cache is a folder that no other user can read or write. A file that another user may have written (in
    a folder that ``VECLOAD_CACHE`` names) is hashed and compared each time before it is used.

    A file without a published hash is pinned: the SHA-256 of its first download is kept in its receipt, even after the
    file is removed from the cache, and later downloads must have the same hash.
    """
    # An existing file was verified when it was downloaded. It is hashed again only if another user could have changed
    # it.
    target = cache_path(entry)
    _make_folder()
    if target.exists():
        if not is_private(target):
            _verify_shared(entry, target)
        return target
    if not entry.urls:
        notes = "; ".join(entry.notes)
        raise DownloadError(f"{entry.full_name} must be downloaded manually from {entry.page}: {notes}")
    refuse_offline(entry.full_name)
    # Without a published hash, the receipt of an earlier download is the reference (trust on first use, as in SSH).
    pin = None if entry.digest else _receipt(target).get("sha256")
    digest = entry.digest or (Digest("sha256", str(pin)) if pin else None)
    # The first bytes expose most error pages, even for files without a known hash.
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
            error.hint += f" To accept the new file, delete {receipt_path(target)}."
        raise
    return target


def _make_folder() -> None:
    """Create the folder of the cache, accessible to this user only; keep a folder that ``VECLOAD_CACHE`` names."""
    root = cache_folder()
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        root.mkdir(mode=0o700, exist_ok=True)
    elif os.name == "posix" and not os.environ.get("VECLOAD_CACHE") and root.stat().st_uid == os.geteuid():
        root.chmod(0o700)


def is_private(path: Path) -> bool:
    """Return whether no other user can have written a file of the cache."""
    if os.name != "posix":  # the mode does not show the permissions
        return True
    # A user who can write to a folder can replace the files in it, so both folders are checked too.
    found = [each.stat() for each in (path, path.parent, cache_folder())]
    return all(each.st_uid == os.geteuid() and not each.st_mode & (stat.S_IWGRP | stat.S_IWOTH) for each in found)


def _verify_shared(entry: Entry, target: Path) -> None:
    """Verify the hash of a file that other users may have written.

    Raises
    ------
    FormatError
        If it is not the file of the catalog.
    DownloadError
        If there is no hash to compare it with, or only one that other users may have written too.
    """
    # A receipt is next to the file, so it is evidence only if no other user can have written it either.
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
            "the cached file is not the catalog's file",
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
    """Names of the catalog entries that use it."""
    state: str
    """Result of its verification, or a note that the download is unfinished."""
    sha256: str | None
    """SHA-256 in its receipt."""


def cached() -> list[Cached]:
    """Return the files in the cache, sorted by name."""
    found = []
    for path in sorted(cache_folder().glob("*/*")):
        if path.name.startswith(".") or path.suffix == ".json" or not path.is_file():
            continue
        side_file = next((suffix for suffix in _SIDE_FILES if path.name.endswith(suffix)), "")
        target = path.with_name(path.name.removesuffix(side_file))
        users = [entry for entry in listing.entries() if target in (cache_path(entry), native_path(entry))]
        receipt = _receipt(target)
        if side_file:
            state = _SIDE_FILES[side_file]
        elif path.suffix == ".safetensors":
            state = "native form"
        elif not receipt:
            state = "no receipt"
        else:
            stated = _known_digest(path)
            state = f"verified: {stated.kind}" if stated else "pinned on first download"
        sha256 = receipt.get("sha256") if not side_file else None
        names = tuple(entry.full_name for entry in users)
        found.append(Cached(path, path.stat().st_size, names, state, str(sha256) if sha256 else None))
    return found


def _known_digest(path: Path) -> Digest | None:
    """Return the hash in the catalog for a file of the cache, or None."""
    return next((entry.digest for entry in listing.entries() if cache_path(entry) == path and entry.digest), None)


def _select(name: str, files: list[Cached]) -> list[Cached]:
    found = [file for file in files if name in (file.path.name, str(file.path)) or name in _names(file)]
    if not found:
        raise VocabularyError(f"nothing in the cache, {cache_folder()}, is named {name!r}")
    return found


def _names(file: Cached) -> set[str]:
    return {*file.names, *(name.partition(":")[2] for name in file.names)}


def remove(name: str) -> list[Path]:
    """Remove a file from the cache, together with unfinished and rejected downloads and its native form.

    Parameters
    ----------
    name
        Name of an entry, or of a file that `cached` lists. An archive is removed even if several entries use it.

    Returns
    -------
    list of Path
        The removed files. The receipt of a pinned file is kept, because it is the pin.

    Raises
    ------
    VocabularyError
        If the cache has no file of this name.
    """
    removed = []
    for file in _select(name, cached()):
        # The note of an unfinished download has the name of a receipt.
        if _known_digest(file.path) or file.path.suffix == ".part":
            receipt_path(file.path).unlink(missing_ok=True)
        file.path.unlink()
        removed.append(file.path)
    return removed


def verify(name: str | None = None) -> list[tuple[Cached, str]]:
    """Compare files of the cache with their receipts and with the catalog.

    Parameters
    ----------
    name
        Name of a file or an entry, as for `remove`; None for all files.

    Returns
    -------
    list of (Cached, str)
        Each file and the difference found, or "". Unfinished files, native forms, and files without a
        receipt and a known hash cannot be compared and are not listed.
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
