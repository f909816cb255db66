"""Search a folder of texts by meaning: each text is one vector, pooled from its words.

    python examples/search_texts.py [FOLDER VECTORS QUERY...]

FOLDER contains .txt files. VECTORS is a file or a catalog name such as glove.6B.50d; only the rows of words that occur
are read. Without arguments, the example uses the 300 news texts that gensim ships, and trains small vectors on them.

Smooth inverse frequency (Arora, Liang and Ma 2017) gives rare words a higher weight and removes the direction that all
texts share. It is fitted on the folder itself.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import numpy as np

import vecload

WORDS = re.compile(r"\w+")
QUERIES = ("bush fires and fire fighters in New South Wales", "cricket test match", "Israeli and Palestinian leaders")


def main() -> None:
    """Run the example."""
    if sys.argv[1:]:
        folder, vectors, *queries = sys.argv[1:]
        search(Path(folder), vectors, queries)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        vectors = folder / "small.vec"
        fill(folder, vectors)
        search(folder, vectors, QUERIES)


def search(folder: Path, vectors: str | Path, queries: list[str] | tuple[str, ...]) -> None:
    """Print the three texts nearest to each query."""
    files = sorted(folder.glob("*.txt"))
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    vocab = vecload.Vocab.from_texts((*texts, *queries), tokenize=lambda text: WORDS.findall(text.lower()))
    aligned = vecload.align(vectors, vocab, oov=["zeros"])
    pooler = vecload.SentencePooler(aligned, "sif", tokenize=WORDS, lowercase=True, normalize=True).fit(texts)
    found = pooler.encode(texts)
    known = aligned.coverage.found_tokens
    print(f"{len(texts)} texts, {len(vocab):,} words, {known:.0%} of the running words have a vector")
    for query, vector in zip(queries, pooler.encode(list(queries)), strict=True):
        scores = found @ vector
        print(query)
        for at in np.argsort(-scores)[:3]:
            print(f"  {scores[at]:.2f}  {files[at].name}  {' '.join(texts[at].split()[:9])} ...")


def fill(folder: Path, vectors: Path) -> None:
    """Write the news texts, and vectors trained on them."""
    from gensim.models import Word2Vec
    from gensim.test.utils import datapath

    lines = Path(datapath("lee_background.cor")).read_text("latin-1").splitlines()
    for at, line in enumerate(lines):
        (folder / f"{at:03}.txt").write_text(line, encoding="utf-8")
    model = Word2Vec(
        [WORDS.findall(line.lower()) for line in lines], vector_size=50, sg=1, min_count=2, epochs=10, seed=1, workers=1
    )
    model.wv.save_word2vec_format(str(vectors))


if __name__ == "__main__":
    main()
