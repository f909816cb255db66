"""One file from a web server to a path: whole and right, or not there.

The bytes go to ``NAME.part`` beside the target, with a note of where they come from in ``NAME.part.json``. Whatever
ends the transfer - a cut connection, Ctrl-C, a kill - the next one asks for the rest, and `If-Range` makes the server
send all of it when the file has changed meanwhile. The part takes the target's name when length and hash are right.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vecload.catalog import http
from vecload.errors import DownloadError, FormatError
from vecload.progress import progress_bar
from vecload.sources import atomic_write, sync_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vecload.catalog.listing import Digest

_PIECE = 1 << 16
_MOST = 1 << 35  # bytes of a file of unknown length
_KEPT = 1 << 20  # bytes of such a file that are kept to look at when it is not the one asked for
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<error")  # what servers send in place of a file


@dataclass(frozen=True)
class Receipt:
    """What came, kept beside the file as ``NAME.json``."""

    url: str
    size: int
    sha256: str
    held_against: str
    """The hash it had to have, as ``md5 c289bc...``; empty when none was known, and its own is the pin from now on."""


def receipt_path(target: Path) -> Path:
    """Where the receipt of a file is."""
    return target.with_name(f"{target.name}.json")


@dataclass(frozen=True)
class _Job:
    """What is known of the file before it comes, and how to go about it."""

    size: int | None
    digest: Digest | None
    magic: bytes
    progress: bool | None
    policy: http.Policy


class _Part:
    """The bytes that have come, and where from."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def begun(self, url: str) -> tuple[int, str]:
        """Bytes there are of this address, and what the server calls that state of the file."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0, ""
        same = isinstance(note, dict) and note.get("url") == url
        return (self.size, str(note.get("validator", ""))) if same else (0, "")

    def restart(self, url: str, validator: str) -> None:
        """Empty, then say where the bytes will be from: in this order, so that a kill between leaves nothing wrong."""
        self.path.write_bytes(b"")
        self._note.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def become(self, target: Path, receipt: Receipt) -> None:
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        with atomic_write(receipt_path(target)) as note:
            note.write_text(json.dumps(dataclasses.asdict(receipt), indent=2) + "\n", encoding="utf-8")
        self.path.replace(target)
        self._note.unlink(missing_ok=True)
        sync_folder(target.parent)


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    size: int | None = None,
    digest: Digest | None = None,
    magic: bytes = b"",
    progress: bool | None = None,
    policy: http.Policy | None = None,
) -> Receipt | None:
    """Bring a file.

    Parameters
    ----------
    urls
        Where it is, the first choice first: a mirror is asked when all before it failed.
    target
        Where it goes; its folder is made.
    size, digest
        What it has to have, where known.
    magic
        What it has to begin with.
    progress
        Whether to show a bar; None: when standard error is a terminal.
    policy
        How patient to be.

    Returns
    -------
    Receipt or None
        None when the file was there already: another process may have brought it meanwhile.

    Raises
    ------
    DownloadError
        When no address gives the file. What has come so far stays, and the next call goes on from there.
    FormatError
        When what came is not the file; it is kept as ``NAME.rejected`` to look at, and the target is untouched.
    OSError
        When the disk is full.
    """
    from filelock import FileLock

    job = _Job(size, digest, magic, progress, policy or http.Policy())
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.exists():
            return None
        failures: list[DownloadError | FormatError] = []
        with http.session() as session:
            for url in urls:
                try:
                    return _from(session, url, target, job)
                except (DownloadError, FormatError) as error:
                    failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    wrong = next((failure for failure in failures if isinstance(failure, FormatError)), None)
    raise wrong or DownloadError(" | ".join(str(failure) for failure in failures) or f"{target.name}: no address")


def _from(session: Any, url: str, target: Path, job: _Job) -> Receipt:
    """Bring a file from one address."""
    part = _Part(target)
    patience, pace = http.Patience(url, job.policy), http.Pace(url, job.policy)
    while True:
        try:
            whole, announced = _receive(session, url, part, job, pace)
            held_against = f"{job.digest.kind} {job.digest.value}" if job.digest else ""
            receipt = Receipt(url, part.size, digests(part.path, "sha256")["sha256"], held_against)
            problem = _wrong(part.path, job, receipt)
            if problem is None:
                part.become(target, receipt)
                return receipt
            if not whole:  # the part of an earlier try may be to blame
                part.discard()
                raise http.Again(str(problem.problem))
            rejected = target.with_name(f"{target.name}.rejected")
            if part.size > announced:
                os.truncate(part.path, announced)
            part.path.replace(rejected)
            part.discard()
            problem.file = str(rejected)
            raise problem
        except http.Again as cause:
            patience.wait(cause, part.size)


def _receive(session: Any, url: str, part: _Part, job: _Job, pace: http.Pace) -> tuple[bool, int]:
    """Ask for what is missing and append it.

    Returns whether it came in one piece from the first byte on, and the announced length.
    """
    begin, known_as = part.begun(url)
    headers = {}
    if begin and (known_as or job.digest):
        headers = {"Range": f"bytes={begin}-", **({"If-Range": known_as} if known_as else {})}
    with http.ask(session, url, headers, known=job.digest is not None, policy=job.policy) as response:
        name = http.validator(response.headers)
        first, total = http.span(response.headers)
        if response.status_code == 416:  # there is nothing behind what we have
            if total == begin:
                return False, begin
            part.discard()
            raise http.Again("the file has another length than before")
        if response.status_code == 206:
            changed = bool(known_as and name and name != known_as)
            if first != begin or changed:
                part.discard()
                raise http.Again("the file has changed" if changed else "the server sent another range than asked for")
        else:
            begin, total = 0, http.number(response.headers.get("Content-Length", ""))
        _check_answer(url, response, total, job)  # before what has come is given up for it
        _check_space(part, (total or job.size or 0) - begin)
        if response.status_code == 200:
            part.restart(url, name)
        name = part.path.name.removesuffix(".part")
        with progress_bar(total or job.size, name=name, shown=job.progress, initial=begin) as bar:
            _append(response, url, part, total or job.size or _MOST, bar.advance, pace)
    if total is not None and part.size != total:
        if part.size > total:
            part.discard()
        raise http.Again(f"the connection ended at byte {part.size:,} of {total:,}")
    return begin == 0, job.size or total or _KEPT


def _check_answer(url: str, response: Any, total: int | None, job: _Job) -> None:
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise DownloadError(f"{url}: a web page came in place of the file: does this network ask to log in first?")
    if total is None:
        chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        if not chunked and job.size is None and job.digest is None:
            raise DownloadError(f"{url}: nobody says how long the file is, so its end would not be noticed")
    elif job.size not in (None, total):
        raise DownloadError(
            f"{url}: the server has a file of {total:,} bytes, the catalog one of {job.size:,}: it is not the same file"
        )


def _check_space(part: _Part, needed: int) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if needed > free:
        raise _full(part, f"{needed:,} bytes are to come and {free:,} are free")


def _full(part: _Part, why: str) -> OSError:
    hint = "make room or set VECLOAD_CACHE to a folder on another disk; what has come is kept"
    return OSError(errno.ENOSPC, f"the disk is full: {why}: {hint}", str(part.path))


def _append(response: Any, url: str, part: _Part, most: int, advance: Any, pace: http.Pace) -> None:
    """Append the bytes of a response, up to a length of `most` bytes in all."""
    from urllib3.exceptions import HTTPError

    with part.path.open("ab", buffering=0) as file:
        left = most - part.size
        while True:
            pace.count()
            try:
                piece = http.read_some(response, _PIECE)
            except (HTTPError, OSError, ValueError) as error:
                raise http.Again(f"the connection broke ({type(error).__name__})") from error
            if not piece:
                return
            left -= len(piece)
            if left < 0:
                part.discard()
                raise DownloadError(f"{url}: more bytes arrived than the {most:,} that were announced")
            pace.count(len(piece))
            view = memoryview(piece)
            try:
                while view:
                    view = view[file.write(view) :]
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise _full(part, "no more can be written") from error
                raise
            advance(len(piece))


def _wrong(path: Path, job: _Job, receipt: Receipt) -> FormatError | None:
    """Why a complete part is not the file; None when it is."""
    with path.open("rb") as file:
        head = file.read(64)
    if job.digest is not None:
        kind = job.digest.kind
        value = receipt.sha256 if kind == "sha256" else digests(path, kind)[kind]
        if value != job.digest.value:
            return FormatError(
                f"what came from {receipt.url} is not the file of the catalog",
                found=f"{kind} {value} ({receipt.size:,} bytes)",
                expected=job.digest.value,
                hint="The publisher may have replaced the file, or somebody on the way did. Look at it before you "
                "trust it; nothing of yours was changed.",
            )
    if job.size not in (None, receipt.size):
        found = f"{receipt.size:,} bytes"
        return FormatError(f"what came from {receipt.url} has the wrong length", found=found, expected=job.size)
    if head.lstrip().lower().startswith(_PAGES) or not head.startswith(job.magic) or not head:
        hint = "The server may have answered with an error page, or the file has moved."
        return FormatError(f"what came from {receipt.url} is no file of vectors", found=f"{head[:16]!r}", hint=hint)
    return None


def digests(path: Path, *kinds: Literal["sha256", "md5"]) -> dict[str, str]:
    """Hashes of a file's bytes, in one reading.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "a"
    >>> _ = file.write_bytes(b"abc")
    >>> digests(file, "md5")
    {'md5': '900150983cd24fb0d6963f7d28e17f72'}
    """
    sums = {kind: hashlib.new(kind, usedforsecurity=kind != "md5") for kind in kinds}
    block = memoryview(bytearray(1 << 20))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            for value in sums.values():
                value.update(block[:count])
    return {kind: value.hexdigest() for kind, value in sums.items()}
