"""Download one file from a web server: the target appears complete and verified, or not at all.

The bytes are written to ``NAME.part`` next to the target, and their address to ``NAME.part.json``. If the transfer ends
early (a broken connection, Ctrl-C, a killed process), the next one requests the rest. The `If-Range` header makes the
server send the whole file if it has changed in the meantime (RFC 9110, 13.1.5). The part is renamed to the target when
its length and hash are correct.
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
from vecload.sources import atomic_write, flush_file, replace_path, sync_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vecload.catalog.listing import Digest

_PIECE = 1 << 16
_MAX_UNKNOWN = 1 << 35  # most bytes of a file whose length is not known
_KEPT = 1 << 20  # bytes of such a file that are kept for inspection if it is not the requested one
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<error")  # error pages that servers send instead of a file


@dataclass(frozen=True)
class Receipt:
    """Facts about a downloaded file, stored next to it as ``NAME.json``."""

    url: str
    size: int
    sha256: str
    expected_digest: str
    """Hash that the file was verified with, as ``md5 c289bc...``; "" if none was known, and `sha256` is now the pin."""


def receipt_path(target: Path) -> Path:
    """Return the path of the receipt of a file."""
    return target.with_name(f"{target.name}.json")


@dataclass(frozen=True)
class _Job:
    """The expected properties of a file, and the options of its download."""

    size: int | None
    digest: Digest | None
    magic: bytes
    progress: bool | None
    policy: http.Policy


class _Part:
    """The partial file, and the note about its origin."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def resume_point(self, url: str) -> tuple[int, str]:
        """Return the number of bytes received from this address, and the server's validator of that version."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0, ""
        same = isinstance(note, dict) and note.get("url") == url
        return (self.size, str(note.get("validator", ""))) if same else (0, "")

    def restart(self, url: str, validator: str) -> None:
        """Empty the part, then record the address of the bytes that follow."""
        # In this order: if the process is killed in between, an empty part with the old note is still consistent.
        self.path.write_bytes(b"")
        self._note.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def become(self, target: Path, receipt: Receipt) -> None:
        # The receipt is written before the file gets its final name, so that every file has a receipt.
        with self.path.open("rb+") as file:
            flush_file(file.fileno())
        with atomic_write(receipt_path(target)) as note:
            note.write_text(json.dumps(dataclasses.asdict(receipt), indent=2) + "\n", encoding="utf-8")
        replace_path(self.path, target)
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
    """Download a file.

    Parameters
    ----------
    urls
        Addresses of the file. Each one is tried if all before it failed.
    target
        Path to write; its folder is created.
    size, digest
        Expected size and hash, if known.
    magic
        Expected first bytes.
    progress
        Whether to show a progress bar; None shows one if standard error is a terminal.
    policy
        Time limits and retries.

    Returns
    -------
    Receipt or None
        None if the file exists already, for example because another process has downloaded it in the meantime.

    Raises
    ------
    DownloadError
        If no address delivers the file. Received bytes are kept, and the next call continues after them.
    FormatError
        If the received file is not the expected one. It is kept as ``NAME.rejected``, and the target is unchanged.
    OSError
        If the disk is full.
    """
    from filelock import FileLock

    # The lock makes a second process wait for the first one's download, and then find the file.
    job = _Job(size, digest, magic, progress, policy or http.Policy())
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.exists():
            return None
        failures: list[DownloadError | FormatError] = []
        with http.session() as session:
            for url in urls:
                try:
                    return _fetch_from(session, url, target, job)
                except (DownloadError, FormatError) as error:
                    failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    # A file with wrong content is a more serious finding than a server that does not answer, so it is reported first.
    wrong = next((failure for failure in failures if isinstance(failure, FormatError)), None)
    raise wrong or DownloadError(" | ".join(str(failure) for failure in failures) or f"{target.name}: no address")


def _fetch_from(session: Any, url: str, target: Path, job: _Job) -> Receipt:
    """Download a file from one address."""
    part = _Part(target)
    retries, rate = http.Retries(url, job.policy), http.MinimumRate(url, job.policy)
    while True:
        try:
            whole, announced = _receive(session, url, part, job, rate)
            expected_digest = f"{job.digest.kind} {job.digest.value}" if job.digest else ""
            receipt = Receipt(url, part.size, digests(part.path, "sha256")["sha256"], expected_digest)
            problem = _find_mismatch(part.path, job, receipt)
            if problem is None:
                part.become(target, receipt)
                return receipt
            if not whole:
                # The bytes from an earlier try may be wrong, so the whole file is downloaded once more.
                part.discard()
                raise http.RetryError(str(problem.problem))
            rejected = target.with_name(f"{target.name}.rejected")
            if part.size > announced:
                os.truncate(part.path, announced)
            replace_path(part.path, rejected)
            part.discard()
            problem.file = str(rejected)
            raise problem
        except http.RetryError as cause:
            retries.wait(cause, part.size)


def _receive(session: Any, url: str, part: _Part, job: _Job, rate: http.MinimumRate) -> tuple[bool, int]:
    """Request the missing bytes and append them.

    Returns whether the server sent the whole file in one response, and its announced length.
    """
    begin, validator = part.resume_point(url)
    headers = {}
    # Without a validator, the server cannot say whether the file has changed. Then the download is resumed only if a
    # hash will show whether the parts fit together.
    if begin and (validator or job.digest):
        headers = {"Range": f"bytes={begin}-", **({"If-Range": validator} if validator else {})}
    with http.request(session, url, headers, hash_known=job.digest is not None, policy=job.policy) as response:
        new_validator = http.validator(response.headers)
        first, total = http.content_range(response.headers)
        if response.status_code == 416:  # range not satisfiable: the file ends where the part ends, or before
            if total == begin:
                return False, begin
            part.discard()
            raise http.RetryError("the length of the file has changed")
        if response.status_code == 206:
            changed = bool(validator and new_validator and new_validator != validator)
            if first != begin or changed:
                part.discard()
                raise http.RetryError(
                    "the file has changed" if changed else "the server sent a different range than requested"
                )
        else:
            begin, total = 0, http.parse_number(response.headers.get("Content-Length", ""))
        _check_answer(url, response, total, job)  # before the received bytes are discarded for this response
        _check_space(part, (total or job.size or 0) - begin)
        if response.status_code == 200:
            part.restart(url, new_validator)
        name = part.path.name.removesuffix(".part")
        with progress_bar(total or job.size, name=name, shown=job.progress, initial=begin) as bar:
            _append(response, url, part, total or job.size or _MAX_UNKNOWN, bar.advance, rate)
    if total is not None and part.size != total:
        if part.size > total:
            part.discard()
        raise http.RetryError(f"the connection ended at byte {part.size:,} of {total:,}")
    return begin == 0, job.size or total or _KEPT


def _check_answer(url: str, response: Any, total: int | None, job: _Job) -> None:
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise DownloadError(f"{url}: received a web page instead of the file; does this network require a login?")
    if total is None:
        chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        if not chunked and job.size is None and job.digest is None:
            raise DownloadError(f"{url}: the length of the file is unknown, so a truncated file would not be noticed")
    elif job.size not in (None, total):
        raise DownloadError(
            f"{url}: the file on the server has {total:,} bytes, but the catalog lists {job.size:,}: they differ"
        )


def _check_space(part: _Part, needed: int) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if needed > free:
        raise _disk_full(part, f"{needed:,} bytes are needed and {free:,} are free")


def _disk_full(part: _Part, why: str) -> OSError:
    hint = "free some space or set VECLOAD_CACHE to a folder on another disk; the received bytes are kept"
    return OSError(errno.ENOSPC, f"the disk is full: {why}: {hint}", str(part.path))


def _append(response: Any, url: str, part: _Part, most: int, advance: Any, rate: http.MinimumRate) -> None:
    """Append the bytes of a response to the part, up to `most` bytes in total."""
    from urllib3.exceptions import HTTPError

    with part.path.open("ab", buffering=0) as file:
        left = most - part.size
        while True:
            rate.count()
            try:
                piece = http.read_some(response, _PIECE)
            # urllib3 and http.client raise various exceptions for broken connections and malformed chunks.
            except (HTTPError, OSError, ValueError) as error:
                raise http.RetryError(f"the connection broke ({type(error).__name__})") from error
            if not piece:
                return
            left -= len(piece)
            if left < 0:
                part.discard()
                raise DownloadError(f"{url}: received more bytes than the announced {most:,}")
            rate.count(len(piece))
            view = memoryview(piece)
            try:
                while view:
                    view = view[file.write(view) :]
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise _disk_full(part, "the rest cannot be written") from error
                raise
            advance(len(piece))


def _find_mismatch(path: Path, job: _Job, receipt: Receipt) -> FormatError | None:
    """Return the error if a complete part is not the expected file, or None."""
    with path.open("rb") as file:
        head = file.read(64)
    if job.digest is not None:
        kind = job.digest.kind
        value = receipt.sha256 if kind == "sha256" else digests(path, kind)[kind]
        if value != job.digest.value:
            return FormatError(
                f"the file from {receipt.url} is not the catalog's file",
                found=f"{kind} {value} ({receipt.size:,} bytes)",
                expected=job.digest.value,
                hint="The publisher may have replaced the file, or it was changed in transit. Inspect it before you "
                "use it; your files are unchanged.",
            )
    if job.size not in (None, receipt.size):
        found = f"{receipt.size:,} bytes"
        return FormatError(f"the file from {receipt.url} has the wrong length", found=found, expected=job.size)
    if head.lstrip().lower().startswith(_PAGES) or not head.startswith(job.magic) or not head:
        hint = "The server may have answered with an error page, or the file has moved."
        return FormatError(f"the file from {receipt.url} is not a file of vectors", found=f"{head[:16]!r}", hint=hint)
    return None


def digests(path: Path, *kinds: Literal["sha256", "md5"]) -> dict[str, str]:
    """Return several hashes of a file, reading it once.

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
