"""Asking a web server for bytes, with little trust: schemes, redirects, tokens, retries.

Redirects are followed here, one by one, so that each address is checked before it is asked and no header meant for one
host reaches another. Proxies, certificates and .netrc come from the environment, as `requests` reads them.
"""

from __future__ import annotations

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
from vecload.errors import DownloadError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HOPS = 10
_MOST_DIGITS = 18
_LONGEST_NAME = 1024  # of a state of a file, by which the server is asked for the rest of it
_TOKENS = {"huggingface.co": "HF_TOKEN"}  # host → the variable that holds a token for it, and for it alone
_log = logging.getLogger("vecload")

_LATER = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Policy:
    """How patient to be."""

    tries: int = 6
    """Tries in a row that bring nothing new before a server is given up."""
    backoff: float = 1.0
    """Seconds before the second try; twice as long before each further one."""
    longest: float = 120.0
    """Longest wait between tries, in seconds; a server that asks for more is told of, not obeyed."""
    connect: float = 15.0
    """Seconds to wait for a connection."""
    read: float = 60.0
    """Seconds to wait for the next bytes."""
    answer: float = 120.0
    """Seconds to wait for all headers of an answer, however steadily they arrive."""
    slowest: float = 8192.0
    """Bytes per second that a transfer must reach on average, pauses included."""
    grace: float = 300.0
    """Seconds that a transfer may take in addition."""


class Again(Exception):  # noqa: N818 - no failure yet
    """What went wrong may go right at the next try, `wait` seconds later where the server said so."""

    def __init__(self, problem: str, *, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


class Pace:
    """Ends a transfer that is slower than the policy allows, so that its total time is bounded.

    Waiting for single bytes does not help against a server that sends one a minute.

    Parameters
    ----------
    url
        What error messages name.
    """

    def __init__(self, url: str, policy: Policy) -> None:
        self._url = url
        self._policy = policy
        self._begin = time.monotonic()
        self._received = 0

    def count(self, received: int = 0) -> None:
        """Count bytes that arrived.

        Raises
        ------
        DownloadError
            When the transfer is too slow.
        """
        self._received += received
        elapsed = time.monotonic() - self._begin
        if elapsed > self._policy.grace + self._received / self._policy.slowest:
            raise DownloadError(
                f"{shorten(self._url)}: too slow: {self._received:,} bytes in {elapsed:,.0f} seconds; try again later"
            )


class Patience:
    """Counts tries in a row that bring nothing new, and waits between them.

    Parameters
    ----------
    url
        What error messages name.
    """

    def __init__(self, url: str, policy: Policy) -> None:
        self._url = url
        self._policy = policy
        self._failures = 0
        self._mark = 0

    def wait(self, cause: Again, mark: int) -> None:
        """Wait for the next try.

        Parameters
        ----------
        cause
            Why the last one ended.
        mark
            Bytes that have come: more than ever before, and counting starts again.

        Raises
        ------
        DownloadError
            When there were enough of them, or the server asks to wait for very long.
        """
        if mark > self._mark:
            self._mark, self._failures = mark, 0
        self._failures += 1
        if cause.wait is not None and cause.wait > self._policy.longest:
            raise DownloadError(f"{self._url}: {cause}; the server asks to come back in {cause.wait:,.0f} seconds")
        if self._failures >= self._policy.tries:
            raise DownloadError(f"{self._url}: {cause}, {self._failures} times in a row; try again later") from cause
        pause = self._policy.backoff * 2 ** (self._failures - 1) * random.uniform(0.75, 1.25)
        pause = min(pause, self._policy.longest) if cause.wait is None else cause.wait
        again = f"trying again in {pause:,.0f} s ({self._failures + 1} of {self._policy.tries})"
        _log.warning("%s: %s; %s", self._url, cause, again)
        time.sleep(pause)


def session() -> Any:
    """A `requests.Session` that says who asks."""
    import requests

    made = requests.Session()
    made.headers["User-Agent"] = f"vecload/{__version__}"
    made.headers["Accept-Encoding"] = "identity"  # the bytes of the file, not a packed form of them
    return made


def ask(session: Any, url: str, headers: Mapping[str, str], *, known: bool, policy: Policy) -> Any:
    """GET an address; returns the streaming response, of status 200, 206 or 416.

    Parameters
    ----------
    session
        From `session`.
    known
        Whether the file's hash is known, which is what makes http bearable.

    Raises
    ------
    Again
        For what may pass: no connection, a time-out, 429 and 5xx.
    DownloadError
        For what will not: 404 and its like, a certificate that does not verify, http where no hash is known, a
        redirect to another scheme or in circles.
    """
    from requests import exceptions
    from urllib3.exceptions import HTTPError

    scheme = urlsplit(url).scheme
    if scheme != "https" and not (scheme == "http" and known):
        why = "" if scheme != "http" else ", and no hash of the file is known to hold it against"
        raise DownloadError(f"{url}: only https is trusted{why}")
    first = url
    for _ in range(_HOPS):
        try:
            get = functools.partial(session.get, url, headers={**headers, **_token(url)}, stream=True)
            get = functools.partial(get, allow_redirects=False, timeout=(policy.connect, policy.read))
            response = _within(policy.answer, get)
        except exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise DownloadError(f"{url}: the server's certificate cannot be verified ({error})") from error
            raise Again(f"the secure connection failed ({error})") from error
        except (exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError) as error:
            raise Again(f"no answer ({type(error).__name__})") from error
        # An invalid address, an odd proxy, headers that urllib3 refuses. Some raise plain ValueErrors.
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
        if status in _LATER:
            raise Again(f"status {status} {shorten(str(response.reason))}", wait=_retry_after(response.headers))
        raise DownloadError(f"{shorten(url)}: status {status} {shorten(str(response.reason))}")
    raise DownloadError(f"{first}: redirected more than {_HOPS} times")


def _within(seconds: float, get: Callable[[], Any]) -> Any:
    """Call `get` on a thread, and wait for its response for some time at most.

    The time-outs of requests are for single reads of the socket, and headers may arrive byte by byte.
    """
    outcome: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
    late = threading.Event()

    def work() -> None:
        try:
            response = get()
        except BaseException as error:  # for the caller
            outcome.put((None, error))
            return
        outcome.put((response, None))
        if late.is_set():
            response.close()

    threading.Thread(target=work, daemon=True, name="vecload").start()
    try:
        response, error = outcome.get(timeout=seconds)
    except queue.Empty:
        late.set()
        raise Again(f"no answer within {seconds:g} seconds") from None
    if error is not None:
        raise error
    return response


def read_some(response: Any, most: int) -> bytes:
    """Return the next bytes of a streaming response as soon as there are any; none at its end."""
    piece: bytes = response.raw.read1(most, decode_content=False)
    return piece


def _redirected(first: str, url: str, location: str) -> str:
    try:
        found = urljoin(url, location)
        _ = urlsplit(found).port  # parsed only when it is asked for
    except ValueError as error:
        raise DownloadError(f"{first}: redirected to an invalid address, {shorten(location)}") from error
    return found


def _token(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    token = os.environ.get(_TOKENS.get(parts.hostname or "", ""), "")
    return {"Authorization": f"Bearer {token}"} if token and parts.scheme == "https" else {}


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the header asks for, as a number or as a date (RFC 9110, 10.2.3); None without one."""
    value = headers.get("Retry-After", "").strip()
    seconds = number(value)
    if seconds is not None:
        return float(seconds)
    try:
        date = email.utils.parsedate_to_datetime(value)
        # A date with the zone -0000 has none for Python; RFC 9110 has only GMT.
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def number(text: str) -> int | None:
    """Return a count of bytes or seconds in a header; None for anything else, and for numbers beyond 18 digits.

    Examples
    --------
    >>> number("1000"), number("-1"), number("9" * 5000), number("")
    (1000, None, None, None)
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def validator(headers: Mapping[str, str]) -> str:
    """What `If-Range` may name: a strong ETag, else the date of the last change, else nothing (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag", "")
    name: str = tag if tag.startswith('"') else headers.get("Last-Modified", "")
    return name if name.isascii() and name.isprintable() and len(name) <= _LONGEST_NAME else ""


def span(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """First byte and total of a `Content-Range`, None for what it does not say.

    Examples
    --------
    >>> span({"Content-Range": "bytes 500-999/1000"}), span({"Content-Range": "bytes */1000"}), span({})
    ((500, 1000), (None, 1000), (None, None))
    """
    unit, _, rest = headers.get("Content-Range", "").partition(" ")
    at, _, total = rest.partition("/")
    begin = at.partition("-")[0]
    if unit != "bytes":
        return None, None
    return number(begin), number(total)
