"""A web server on the loopback interface that misbehaves on request."""

from __future__ import annotations

import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Answer = Callable[["Handler"], None]


@dataclass
class Site:
    """Served data, planned failures of the next requests, and the requests received."""

    data: bytes
    etag: str = '"one"'
    modified: str = ""
    ranges: bool = True
    plan: deque[Answer] = field(default_factory=deque)
    always: Answer | None = None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    @property
    def from_bytes(self) -> list[str]:
        """Range headers of the requests, in order."""
        return [headers.get("Range", "") for _, headers in self.asked]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        site = self.server.site
        self.close_connection = True
        site.asked.append((self.path, dict(self.headers)))
        answer = site.plan.popleft() if site.plan else site.always or send()
        with suppress(BrokenPipeError, ConnectionResetError):
            answer(self)

    def log_message(self, *_: object) -> None:
        pass

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()

    def body(self) -> bytes:
        """Send the head, and return the requested bytes."""
        site = self.server.site
        asked = self.headers.get("Range", "")
        current = self.headers.get("If-Range") in (None, site.etag or site.modified)
        about = {name: value for name, value in (("ETag", site.etag), ("Last-Modified", site.modified)) if value}
        if not asked or not site.ranges or not current:
            self.head(200, {**about, "Content-Length": str(len(site.data))})
            return site.data
        first, _, last = asked.removeprefix("bytes=").partition("-")
        begin, end = int(first), int(last) + 1 if last else len(site.data)
        if begin >= len(site.data):
            self.head(416, {"Content-Range": f"bytes */{len(site.data)}", "Content-Length": "0"})
            return b""
        piece = site.data[begin:end]
        span = f"bytes {begin}-{begin + len(piece) - 1}/{len(site.data)}"
        self.head(206, {**about, "Content-Range": span, "Content-Length": str(len(piece))})
        return piece


class Server(ThreadingHTTPServer):
    daemon_threads = True
    site: Site

    def handle_error(self, *_: object) -> None:  # the client was killed
        pass


@contextmanager
def serving(site: Site, *, certificate: Path | None = None) -> Iterator[Site]:
    server = Server(("127.0.0.1", 0), Handler)
    server.site = site
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    site.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/file"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(*, piece: int | None = None, pause: float = 0.0) -> Answer:
    """Answer the request; optionally in pieces with pauses."""

    def answer(handler: Handler) -> None:
        body = handler.body()
        step = piece or max(len(body), 1)
        for at in range(0, len(body), step):
            handler.wfile.write(body[at : at + step])
            handler.wfile.flush()
            time.sleep(pause)

    return answer


def cut(at: int) -> Answer:
    """Send the given number of bytes, then close the connection."""
    return lambda handler: handler.wfile.write(handler.body()[:at]) and None


def stall(at: int, seconds: float) -> Answer:
    """Send the given number of bytes, then nothing more."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(handler.body()[:at])
        handler.wfile.flush()
        time.sleep(seconds)

    return answer


def status(code: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.head(code, {"Content-Length": "0", **named})


def whole(body: bytes, **headers: str) -> Answer:
    """Send these bytes for every request."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(handler: Handler) -> None:
        handler.head(200, {"Content-Length": str(len(body)), **named})
        handler.wfile.write(body)

    return answer


def raw(code: int, body: bytes, **headers: str) -> Answer:
    """Send this head and body, valid or not."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(handler: Handler) -> None:
        handler.head(code, named)
        handler.wfile.write(body)

    return answer


def then(do: Callable[[Site], object], answer: Answer | None = None) -> Answer:
    """Change the site, then answer."""

    def both(handler: Handler) -> None:
        do(handler.server.site)
        (answer or send())(handler)

    return both
