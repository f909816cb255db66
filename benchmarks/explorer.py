"""Measure the size of a report, and the frames per second while its map is dragged in headless Chromium.

    PYTHONPATH=. python benchmarks/explorer.py [VECTORS]

Without VECTORS, 30,000 random words with 100 values each are generated, in clusters.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import vecload
from tests.browser import browsing

SECONDS = 5


def made() -> vecload.Vectors:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(300, 100))
    rows = centers[rng.integers(300, size=30_000)] + rng.normal(size=(30_000, 100))
    words = ["".join(map(chr, rng.integers(97, 123, size=rng.integers(3, 10)))) + str(at) for at in range(30_000)]
    return vecload.Vectors(words, rows.astype(np.float32))


def main() -> None:
    vectors = vecload.load(sys.argv[1]) if len(sys.argv) > 1 else made()
    with tempfile.TemporaryDirectory() as folder, browsing() as browser:
        page = Path(folder, "page.html")
        begin = time.perf_counter()
        vecload.report(vectors, page)
        print(f"{len(vectors):,} × {vectors.dim}: page made in {time.perf_counter() - begin:.1f} s", end=", ")
        print(f"{page.stat().st_size / 1e6:.2f} MB")
        begin = time.perf_counter()
        browser.open(page)
        print(f"ready after {time.perf_counter() - begin:.1f} s")
        browser.run("explorer.map.fit()")
        browser.run("frames = 0; (function count() { frames++; requestAnimationFrame(count); })(); 0")
        browser.mouse("mousePressed", 450, 450, button="left", buttons=1, clickCount=1)
        browser.run("frames = 0")
        begin = time.perf_counter()
        while (spent := time.perf_counter() - begin) < SECONDS:
            angle = 2 * np.pi * spent
            browser.mouse("mouseMoved", 450 + 90 * np.sin(angle), 450 + 70 * np.cos(angle), button="left", buttons=1)
        frames = browser.run("frames")
        browser.mouse("mouseReleased", 450, 450, button="left", clickCount=1)
        points = browser.run("explorer.map.shown.length")
        print(f"{frames / SECONDS:.0f} frames a second while dragging {points:,} points")


if __name__ == "__main__":
    main()
