"""Stream one member of a zip archive from a server, without downloading the rest and without writing to the disk.

A zip archive has its table of contents at the end. So a few range requests find a member, and one more reads it.
"""

from __future__ import annotations

import io
import os
import zipfile
from typing import TYPE_CHECKING, Any

from vecload.catalog import http
from vecload.errors import DownloadError, FormatError
from vecload.sources import ZIP_DAMAGE

if TYPE_CHECKING:
    from collections.abc import Sequence


class NoRangesError(DownloadError):
    """Error for a server that does not support range requests."""


class _Remote(io.RawIOBase):
    """Seekable file on a server, for `zipfile`. It continues a response, and sends a new request only after a seek."""

    def __init__(self, url: str, *, hash_known: bool, policy: http.Policy) -> None:
        self._url = url
        self._hash_known = hash_known
        self._policy = policy
        self._session = http.session()
        self._response: Any = None
        self._at = 0  # position of the response
        self._position = 0  # position of the reader
        self._received = 0
        self._validator = ""
        self._retries, self._rate = http.Retries(url, policy), http.MinimumRate(url, policy)
        # The first byte is requested to learn the size and the validator, and whether the server supports ranges.
        while True:
            try:
                first_byte = {"Range": "bytes=0-0"}
                with http.request(self._session, url, first_byte, hash_known=hash_known, policy=policy) as response:
                    self._validator = http.validator(response.headers)
                    _, total = http.content_range(response.headers)
                break
            except http.RetryError as cause:
                self._retries.wait(cause, 0)
        if total is None:
            raise NoRangesError(f"{url}: the server does not support range requests")
        self._size = total

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        from urllib3.exceptions import HTTPError

        # An open response continues where it is. After a seek, or after a broken connection, a new request is sent.
        view = memoryview(buffer)
        while self._position < self._size and len(view):
            self._rate.count()
            try:
                if self._response is None or self._at != self._position:
                    self._open()
                piece = http.read_some(self._response, len(view))
                if not piece:
                    raise http.RetryError(f"the connection ended at byte {self._position:,} of {self._size:,}")
            except (HTTPError, OSError, ValueError) as error:
                self._drop()
                if isinstance(error, DownloadError):
                    raise
                self._retries.wait(http.RetryError(f"the connection broke ({type(error).__name__})"), self._received)
            except http.RetryError as cause:
                self._drop()
                self._retries.wait(cause, self._received)
            else:
                view[: len(piece)] = piece
                self._position += len(piece)
                self._at = self._position
                self._received += len(piece)
                self._rate.count(len(piece))
                return len(piece)
        return 0

    def _open(self) -> None:
        self._drop()
        # With If-Range, a server whose file has changed sends all of it (status 200), which is refused below: two
        # versions of the file must not be mixed.
        headers = {"Range": f"bytes={self._position}-"}
        if self._validator:
            headers["If-Range"] = self._validator
        response = http.request(self._session, self._url, headers, hash_known=self._hash_known, policy=self._policy)
        if response.status_code != 206 or http.content_range(response.headers) != (self._position, self._size):
            response.close()
            raise DownloadError(f"{self._url}: the file changed while it was read; read it again")
        self._response, self._at = response, self._position

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    def close(self) -> None:
        self._drop()
        self._session.close()
        super().close()


class Member(io.RawIOBase):
    """Stream of the bytes of one archive member.

    Parameters
    ----------
    urls
        Addresses of the archive. Each one is tried if all before it failed.
    member
        Name of the member.
    hash_known
        Whether the hash of the archive is known, as for `http.request`.
    policy
        Time limits and retries.

    Raises
    ------
    NoRangesError
        If no server supports range requests.
    DownloadError
        If no server delivers the file.
    FormatError
        If it is not a zip archive, has no such member, or is damaged. Every member has its own checksum (CRC-32).
    """

    def __init__(
        self, urls: Sequence[str], member: str, *, hash_known: bool, policy: http.Policy | None = None
    ) -> None:
        failures: list[DownloadError] = []
        for url in urls:
            try:
                self._remote = _Remote(url, hash_known=hash_known, policy=policy or http.Policy())
                break
            except DownloadError as error:
                failures.append(error)
        else:
            raise next((error for error in failures if isinstance(error, NoRangesError)), failures[0])
        self.name = f"{url}/{member}"
        try:
            self._stream = zipfile.ZipFile(self._remote).open(member)  # noqa: SIM115 - closed with this
        except KeyError as error:
            self._remote.close()
            raise FormatError("the zip archive has no such member", file=self.name) from error
        except (RuntimeError, *ZIP_DAMAGE) as error:
            self._remote.close()
            if isinstance(error, DownloadError):
                raise
            # zipfile reports every error of reading as "not a zip file". The real error is its context.
            if isinstance(error.__context__, DownloadError):
                raise error.__context__ from None
            raise FormatError(f"cannot read the zip archive ({error})", file=self.name) from error

    def readable(self) -> bool:  # noqa: D102 - documented in io
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: D102
        try:
            piece = self._stream.read(len(buffer))
        except ZIP_DAMAGE as error:
            if isinstance(error, DownloadError):
                raise
            raise FormatError(f"the zip member is damaged ({error})", file=self.name, hint="Try again.") from error
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:  # noqa: D102
        if not self.closed:
            self._stream.close()
            self._remote.close()
        super().close()
