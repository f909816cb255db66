"""Request files from web servers that are not trusted: schemes, redirects, tokens, retries, minimum rate.

Redirects are followed here one by one, and not by `requests`, so that every address is checked before it is requested,
and no token for one host is sent to another. Proxies, certificates and .netrc are read from the environment by
`requests`.
"""

from __future__ import annotations

import contextlib
import email.utils
import functools
import logging
import os
import queue
import random
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from vecload._version import __version__
from vecload.errors import DownloadError
from vecload.message_text import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_REDIRECTS = 10
_MAX_DIGITS = 18  # of a number in a header; more would not fit in 64 bits
_LONGEST_VALIDATOR = 1024  # characters of an ETag or date that is stored and sent back to the server
_TOKENS = {"huggingface.co": "HF_TOKEN"}  # host → environment variable with a token that is sent to this host only
_log = logging.getLogger("vecload")

_TEMPORARY = {408, 425, 429, 500, 502, 503, 504}  # status codes that may be different at the next try


@dataclass(frozen=True)
class Policy:
    """Time limits and retries of downloads."""

    tries: int = 6
    """Maximum number of tries in a row without progress."""
    backoff: float = 1.0
    """Seconds before the second try; doubled before each further one."""
    longest: float = 120.0
    """Longest wait between tries, in seconds. If a server requests a longer one, the download fails."""
    connect: float = 15.0
    """Seconds to wait for a connection."""
    read: float = 60.0
    """Seconds to wait for the next bytes."""
    answer: float = 120.0
    """Seconds to wait for all headers of a response, even if they arrive steadily."""
    slowest: float = 8192.0
    """Minimum average rate of a transfer in bytes per second, pauses included."""
    grace: float = 300.0
    """Seconds that a transfer may take in addition to its size divided by the minimum rate."""


class RetryError(Exception):
    """A temporary error: the request can be tried again, after `wait` seconds if the server said so."""

    def __init__(self, problem: str, *, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


class MinimumRate:
    """Check that ends transfers slower than the policy allows, so that their total time is bounded.

    A time-out for single reads is not enough: a server that sends one byte per minute never exceeds it.

    Parameters
    ----------
    url
        Address to name in errors.
    policy
        Time limits.
    """

    def __init__(self, url: str, policy: Policy) -> None:
        self._url = url
        self._policy = policy
        self._begin = time.monotonic()
        self._received = 0

    def count(self, received: int = 0) -> None:
        """Count received bytes.

        Raises
        ------
        DownloadError
            If the transfer is too slow.
        """
        self._received += received
        elapsed = time.monotonic() - self._begin
        if elapsed > self._policy.grace + self._received / self._policy.slowest:
            raise DownloadError(
                f"{shorten(self._url)}: too slow: {self._received:,} bytes in {elapsed:,.0f} seconds; try again later"
            )


class Retries:
    """Counter of tries in a row without progress, with growing waits between them.

    Parameters
    ----------
    url
        Address to name in errors.
    policy
        Number of tries and waits.
    """

    def __init__(self, url: str, policy: Policy) -> None:
        self._url = url
        self._policy = policy
        self._failures = 0
        self._mark = 0

    def wait(self, cause: RetryError, mark: int) -> None:
        """Wait before the next try.

        Parameters
        ----------
        cause
            Error that ended the last try.
        mark
            Number of bytes received so far. If it has grown, counting starts again.

        Raises
        ------
        DownloadError
            If the maximum number of tries is reached, or the server requests a wait that is too long.
        """
        if mark > self._mark:
            self._mark, self._failures = mark, 0
        self._failures += 1
        if cause.wait is not None and cause.wait > self._policy.longest:
            raise DownloadError(f"{self._url}: {cause}; the server asks to try again in {cause.wait:,.0f} seconds")
        if self._failures >= self._policy.tries:
            raise DownloadError(f"{self._url}: {cause}, {self._failures} times in a row; try again later") from cause
        pause = self._policy.backoff * 2 ** (self._failures - 1) * random.uniform(0.75, 1.25)
        pause = min(pause, self._policy.longest) if cause.wait is None else cause.wait
        again = f"trying again in {pause:,.0f} s ({self._failures + 1} of {self._policy.tries})"
        _log.warning("%s: %s; %s", self._url, cause, again)
        time.sleep(pause)


def session() -> Any:
    """Return a `requests.Session` whose user agent names vecload."""
    import requests

    made = requests.Session()
    made.headers["User-Agent"] = f"vecload/{__version__}"
    made.headers["Accept-Encoding"] = "identity"  # the bytes of the file, not compressed for transfer
    return made


def request(session: Any, url: str, headers: Mapping[str, str], *, hash_known: bool, policy: Policy) -> Any:
    """Send a GET request; return the streaming response, of status 200, 206 or 416.

    Parameters
    ----------
    session
        Session of `session()`.
    url
        Address of the file.
    headers
        Headers to send.
    hash_known
        Whether the hash of the file is known. Only then is plain http allowed, because a changed file is detected.
    policy
        Time limits.

    Raises
    ------
    RetryError
        For temporary errors: no connection, a time-out, status 429 and 5xx.
    DownloadError
        For permanent errors: status 404 and similar ones, an invalid certificate, http without a known hash, a redirect
        to another scheme, or too many redirects.
    """
    from requests import exceptions
    from urllib3.exceptions import HTTPError

    scheme = urlsplit(url).scheme
    if scheme != "https" and not (scheme == "http" and hash_known):
        why = "" if scheme != "http" else ", and no hash of the file is known to verify it"
        raise DownloadError(f"{url}: only https is trusted{why}")
    first = url
    for _ in range(_MAX_REDIRECTS):
        try:
            get = functools.partial(session.get, url, headers={**headers, **authorization(url)}, stream=True)
            get = functools.partial(get, allow_redirects=False, timeout=(policy.connect, policy.read))
            response = _call_with_timeout(policy.answer, get)
        except exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise DownloadError(f"{url}: the server's certificate cannot be verified ({error})") from error
            raise RetryError(f"the secure connection failed ({error})") from error
        except (exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError) as error:
            raise RetryError(f"no answer ({type(error).__name__})") from error
        # Invalid addresses, proxies or headers. Some of these errors are plain ValueErrors of urllib3.
        except (exceptions.RequestException, HTTPError, ValueError) as error:
            raise DownloadError(f"{shorten(url)}: {shorten(str(error))}") from error
        status = response.status_code
        if status in (301, 302, 303, 307, 308) and "location" in response.headers:
            response.close()
            url = _redirected(first, url, response.headers["location"])
            if urlsplit(url).scheme != scheme:
                raise DownloadError(f"{first}: redirected to {shorten(url)}, which is not {scheme}: not followed")
            continue
        if status in (200, 206, 416):
            return response
        response.close()
        if status in _TEMPORARY:
            raise RetryError(f"status {status} {shorten(str(response.reason))}", wait=_retry_after(response.headers))
        raise DownloadError(f"{shorten(url)}: status {status} {shorten(str(response.reason))}")
    raise DownloadError(f"{first}: redirected more than {_MAX_REDIRECTS} times")


def _call_with_timeout(seconds: float, get: Callable[[], Any]) -> Any:
    """Call `get` on a thread, and wait at most the given time for its response."""
    # The time-outs of requests apply to single reads of the socket, but headers may arrive byte by byte forever. The
    # thread is a daemon, so a server that never answers does not keep the program from ending.
    outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
    late = threading.Event()

    def work() -> None:
        try:
            response = get()
        except BaseException as error:  # raised again below
            outcome.put((None, error))
            return
        outcome.put((response, None))
        if late.is_set():
            response.close()

    threading.Thread(target=work, daemon=True, name="vecload").start()
    try:
        response, error = outcome.get(timeout=seconds)
    except BaseException as stopped:  # the time-out, or Ctrl-C
        # A response that arrives from now on is closed by the thread, and one that has just arrived is closed here.
        late.set()
        with contextlib.suppress(queue.Empty):
            response, _ = outcome.get_nowait()
            if response is not None:
                response.close()
        if isinstance(stopped, queue.Empty):
            raise RetryError(f"no answer within {seconds:g} seconds") from None
        raise
    if error is not None:
        raise error
    return response


def read_some(response: Any, most: int) -> bytes:
    """Return the next bytes of a streaming response as soon as some arrive; return b"" at its end."""
    piece: bytes = response.raw.read1(most, decode_content=False)
    return piece


def _redirected(first: str, url: str, location: str) -> str:
    try:
        found = urljoin(url, location)
        _ = urlsplit(found).port  # an invalid port raises only when it is accessed
    except ValueError as error:
        raise DownloadError(f"{first}: redirected to an invalid address, {shorten(location)}") from error
    return found


def authorization(url: str) -> dict[str, str]:
    """Return the header with the access token for the host of a URL; empty without a token or without HTTPS."""
    parts = urlsplit(url)
    token = os.environ.get(_TOKENS.get(parts.hostname or "", ""), "")
    return {"Authorization": f"Bearer {token}"} if token and parts.scheme == "https" else {}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in the Retry-After header, a number or a date (RFC 9110, 10.2.3); None without one."""
    value = headers.get("Retry-After", "").strip()
    seconds = parse_number(value)
    if seconds is not None:
        return float(seconds)
    try:
        date = email.utils.parsedate_to_datetime(value)
        # Python parses the zone -0000 as no zone. All dates of RFC 9110 are in GMT.
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def parse_number(text: str) -> int | None:
    """Return a number of bytes or seconds in a header; None for anything else, and for more than 18 digits.

    Examples
    --------
    >>> parse_number("1000"), parse_number("-1"), parse_number("9" * 5000), parse_number("")
    (1000, None, None, None)
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None


def validator(headers: Mapping[str, str]) -> str:
    """Return the value for `If-Range`: a strong ETag, the date of the last change, or "" (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag", "")
    name: str = tag if tag.startswith('"') else headers.get("Last-Modified", "")
    return name if name.isascii() and name.isprintable() and len(name) <= _LONGEST_VALIDATOR else ""


def content_range(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Return the first byte and the total size of a `Content-Range` header, None for missing values.

    Examples
    --------
    >>> content_range({"Content-Range": "bytes 500-999/1000"})
    (500, 1000)
    >>> content_range({"Content-Range": "bytes */1000"}), content_range({})
    ((None, 1000), (None, None))
    """
    unit, _, rest = headers.get("Content-Range", "").partition(" ")
    at, _, total = rest.partition("/")
    begin = at.partition("-")[0]
    if unit != "bytes":
        return None, None
    return parse_number(begin), parse_number(total)
