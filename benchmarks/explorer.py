"""Measure the size of a report, and the frames per second while its map is dragged in headless Chromium.

    PYTHONPATH=. python benchmarks/explorer.py [VECTORS]

The vectors are 30,000 random words with 100 values each, in clusters, and those of the file.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from record import arguments, higher, lower, row, title, topic

import vecload
from tests.browser import browsing

if TYPE_CHECKING:
    from tests.browser import Browser


def made() -> vecload.Vectors:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(300, 100))
    rows = centers[rng.integers(300, size=30_000)] + rng.normal(size=(30_000, 100))
    words = ["".join(map(chr, rng.integers(97, 123, size=rng.integers(3, 10)))) + str(at) for at in range(30_000)]
    return vecload.Vectors(words, rows.astype(np.float32))


def measure(browser: Browser, vectors: vecload.Vectors, page: Path, seconds: float) -> None:
    """Add a row for the report of the vectors."""
    begin = time.perf_counter()
    vecload.report(vectors, page)
    written = time.perf_counter() - begin
    begin = time.perf_counter()
    browser.open(page)
    ready = time.perf_counter() - begin
    frames = frames_per_second(browser, seconds)
    size = page.stat().st_size / 1e6
    row(f"{len(vectors):,} × {vectors.dim}", f"{written:.1f}", f"{size:.2f}", f"{ready:.1f}", f"{frames:.0f}")


def main() -> None:
    chosen = arguments(__doc__, ("explorer",), "two seconds of dragging", file="VECTORS")
    tables = [made(), *([vecload.load(chosen.file)] if chosen.file else [])]
    with topic("explorer", chosen, "vecload", "bokeh"), tempfile.TemporaryDirectory() as folder, browsing() as browser:
        title(
            "explorer",
            "Reports: their size, and frames while the map is dragged",
            "table",
            lower("page made in, s"),
            lower("page, MB", portable=True),
            lower("ready after, s"),
            higher("frames a second while dragging"),
        )
        for at, vectors in enumerate(tables):
            measure(browser, vectors, Path(folder, f"page{at}.html"), 2 if chosen.quick else 5)


def frames_per_second(browser: Browser, seconds: float) -> float:
    """Return the frames per second while the map is dragged in circles."""
    browser.run("explorer.map.fit()")
    browser.run("frames = 0; (function count() { frames++; requestAnimationFrame(count); })(); 0")
    browser.mouse("mousePressed", 450, 450, button="left", buttons=1, clickCount=1)
    browser.run("frames = 0")
    begin = time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds:
        angle = 2 * np.pi * spent
        browser.mouse("mouseMoved", 450 + 90 * np.sin(angle), 450 + 70 * np.cos(angle), button="left", buttons=1)
    frames = browser.run("frames")
    browser.mouse("mouseReleased", 450, 450, button="left", clickCount=1)
    return frames / seconds


if __name__ == "__main__":
    main()
