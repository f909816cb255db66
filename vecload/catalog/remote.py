"""One member of a zip archive on a server, without the rest of the archive and without the disk.

A zip archive keeps its table of contents at its end, so a few requests for ranges find a member and one more brings it.
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
    """The server gives whole files only."""


class _Remote(io.RawIOBase):
    """A file on a server, as `zipfile` wants one: it reads on where it is, and asks anew after a jump."""

    def __init__(self, url: str, *, known: bool, policy: http.Policy) -> None:
        self._url = url
        self._known = known
        self._policy = policy
        self._session = http.session()
        self._response: Any = None
        self._at = 0  # where the response is
        self._position = 0  # where the reader is
        self._received = 0
        self._validator = ""
        self._patience, self._pace = http.Patience(url, policy), http.Pace(url, policy)
        while True:
            try:
                with http.ask(self._session, url, {"Range": "bytes=0-0"}, known=known, policy=policy) as response:
                    self._validator = http.validator(response.headers)
                    _, total = http.span(response.headers)
                break
            except http.Again as cause:
                self._patience.wait(cause, 0)
        if total is None:
            raise NoRangesError(f"{url}: the server gives whole files only, no ranges")
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

        view = memoryview(buffer)
        while self._position < self._size and len(view):
            self._pace.count()
            try:
                if self._response is None or self._at != self._position:
                    self._open()
                piece = http.read_some(self._response, len(view))
                if not piece:
                    raise http.Again(f"the connection ended at byte {self._position:,} of {self._size:,}")
            except (HTTPError, OSError, ValueError) as error:
                self._drop()
                if isinstance(error, DownloadError):
                    raise
                self._patience.wait(http.Again(f"the connection broke ({type(error).__name__})"), self._received)
            except http.Again as cause:
                self._drop()
                self._patience.wait(cause, self._received)
            else:
                view[: len(piece)] = piece
                self._position += len(piece)
                self._at = self._position
                self._received += len(piece)
                self._pace.count(len(piece))
                return len(piece)
        return 0

    def _open(self) -> None:
        self._drop()
        headers = {"Range": f"bytes={self._position}-"}
        if self._validator:
            headers["If-Range"] = self._validator
        response = http.ask(self._session, self._url, headers, known=self._known, policy=self._policy)
        if response.status_code != 206 or http.span(response.headers) != (self._position, self._size):
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
    """The bytes of one member, in order.

    Parameters
    ----------
    urls
        Where the archive is, the first choice first.
    member
        Its name in the archive.
    known
        Whether the archive's hash is known, as for `http.ask`.
    policy
        How patient to be.

    Raises
    ------
    NoRangesError
        When no server gives ranges.
    DownloadError
        When no server gives the file.
    FormatError
        When it is no zip archive, has no such member, or is damaged: a member has a checksum of its own.
    """

    def __init__(self, urls: Sequence[str], member: str, *, known: bool, policy: http.Policy | None = None) -> None:
        failures: list[DownloadError] = []
        for url in urls:
            try:
                self._remote = _Remote(url, known=known, policy=policy or http.Policy())
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
            if isinstance(error.__context__, DownloadError):  # to zipfile, whatever cannot be read is no archive
                raise error.__context__ from None
            raise FormatError(f"this is no zip archive to read ({error})", file=self.name) from error

    def readable(self) -> bool:  # noqa: D102 - as io says
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
