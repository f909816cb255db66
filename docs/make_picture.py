"""Make docs/explorer.png: train small vectors on the news texts that gensim ships, and photograph their report.

    python docs/make_picture.py [VECTORS [WORD [OUTPUT]]]

VECTORS is any source that `vecload.load` accepts, in place of the trained vectors. Needs Chromium, `vecload[report]`,
`vecload[umap]` and gensim.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import vecload

SIZE = 1280, 768


def news_vectors() -> vecload.Vectors:
    """Train 100-dimensional vectors on 300 news texts; the same ones each time on one machine."""
    from gensim.models import Word2Vec
    from gensim.test.utils import datapath

    corpus = Path(datapath("lee_background.cor")).read_text(encoding="utf-8").lower()
    texts = [re.findall(r"[a-z]+", line) for line in corpus.split("\n")]
    options = {"vector_size": 100, "window": 8, "min_count": 4, "epochs": 60, "sg": 1, "sample": 1e-4}
    model = Word2Vec(texts, **options, workers=1, seed=1)
    return vecload.Vectors(model.wv.index_to_key, model.wv.vectors, {"source": "news.100d.vec"})


def main(source: str = "", word: str = "cricket", output: str = "docs/explorer.png") -> None:
    """Write the picture of a report that shows a word."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("chromium is not installed")
    vectors = vecload.load(source) if source else news_vectors()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = Path(folder, "page.html")
        vecload.report(vectors, page, layout="umap")
        width, height = SIZE
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=20000"]
        options += [f"--user-data-dir={folder}/profile", f"--window-size={width},{height}"]
        options += [f"--screenshot={Path(output).resolve()}", f"{page.as_uri()}#word={word}"]
        subprocess.run([chromium, *options], check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
