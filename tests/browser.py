"""A headless Chromium for tests, driven by the DevTools protocol."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new --no-sandbox --no-first-run --disable-gpu --disable-quic --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --disable-features=IsolateSandboxedIframes "
    "--remote-debugging-port=0 --remote-allow-origins=*"
).split()
PATIENCE = 20  # seconds


class Browser:
    """Tab of a headless Chromium."""

    def __init__(self, folder: Path) -> None:
        self.websocket = pytest.importorskip("websocket", reason="websocket-client is not installed")
        assert CHROMIUM is not None
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        address = next(line.split()[-1] for line in self.process.stderr if "DevTools listening" in line)
        self.port = address.split(":")[2].split("/")[0]
        self.number = 0
        self.events: list[dict[str, Any]] = []
        self.socket: Any = None
        self.tab = ""

    def renew(self) -> None:
        """Take a new tab, and close the one used so far."""
        last = self.tab
        with self.ask("PUT", "new?about:blank") as answer:
            page = json.load(answer)
        if self.socket is not None:
            self.socket.close()
            self.ask("GET", f"close/{last}").close()
        self.tab = page["id"]
        self.socket = self.websocket.create_connection(page["webSocketDebuggerUrl"], timeout=PATIENCE)
        self.events.clear()
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def ask(self, method: str, what: str) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/{what}", method=method)
        return urllib.request.urlopen(request, timeout=PATIENCE)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol, and keep the events that arrive before its answer."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; promises are awaited."""
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> Any:
        """Wait until a JavaScript expression is true, and return its value."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if found := self.run(condition):
                return found
            time.sleep(0.05)
        raise AssertionError(f"never true: {condition}; errors: {self.errors()}")

    def open(self, page: Path | str, *, width: int = 1280, height: int = 900, dark: bool = False, phone: bool = False):
        """Open a report and wait until it can be used."""
        self.renew()
        self.screen(width, height, phone=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Page.navigate", url=page.as_uri() if isinstance(page, Path) else page)
        self.wait("document.documentElement?.dataset.ready")

    def screen(self, width: int, height: int, *, phone: bool = False) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)

    def requests(self) -> list[str]:
        """Return the addresses that were requested over a network."""
        sent = [one["params"]["request"]["url"] for one in self.events if one["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith(("file:", "data:", "blob:", "about:"))]

    def errors(self) -> list[str]:
        """Return the exceptions and logged errors of the page."""
        thrown = [one["params"] for one in self.events if one["method"] == "Runtime.exceptionThrown"]
        logged = [one["params"]["entry"] for one in self.events if one["method"] == "Log.entryAdded"]
        return [json.dumps(one) for one in (*thrown, *(one for one in logged if one["level"] == "error"))]

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> None:
        self.mouse("mouseMoved", x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", buttons=1, clickCount=1)

    def drag(self, *points: tuple[float, float]) -> None:
        self.mouse("mouseMoved", *points[0])
        self.mouse("mousePressed", *points[0], button="left", buttons=1, clickCount=1)
        for point in points[1:]:
            self.mouse("mouseMoved", *point, button="left", buttons=1)
        self.mouse("mouseReleased", *points[-1], button="left", clickCount=1)

    def tap(self, x: float, y: float) -> None:
        self.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def press(self, key: str) -> None:
        """Press a key such as "Enter", or type one character."""
        text = key if len(key) == 1 else {"Enter": "\r"}.get(key, "")
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def picture(self) -> bytes:
        import base64

        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)
        if self.process.stderr is not None:
            self.process.stderr.close()


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """Start a browser, or skip the test if Chromium is not installed."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(Path(folder))
        try:
            yield browser
        finally:
            browser.close()
