"""Compare the mode "fasttext" with the official library, on models that it trains here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecload
from vecload.pooling import SentencePooler

official = pytest.importorskip("fasttext")

WORDS = "the cat sat on a mat and dog ran far away from café 北海道 tree".split()
RNG = np.random.default_rng(0)
LINES = [" ".join(RNG.choice(WORDS, 12)) for _ in range(300)]
TEXTS = [
    *LINES[:40],
    "",
    "unseen words only",
    "the unseen cat",
    "  the\tcat  ",
    "a\u00a0b",
    "cat </s> dog",
    "__label__x cat",
    "</s>",
]


@pytest.fixture(scope="module", params=["skipgram", "cbow", "plain", "subwords", "phrases", "both"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("fasttext")
    corpus = folder / "corpus.txt"
    # With fewer than ten threads, fastText does not initialize all of its matrices.
    common = {"dim": 10, "epoch": 2, "bucket": 500, "minCount": 1, "thread": 12, "verbose": 0}
    if request.param in ("skipgram", "cbow"):
        corpus.write_text("\n".join(LINES))
        made = official.train_unsupervised(str(corpus), model=request.param, minn=2, maxn=4, **common)
    else:
        corpus.write_text("\n".join(f"__label__{at % 2} {line}" for at, line in enumerate(LINES)))
        subwords = {"minn": 2, "maxn": 4} if request.param in ("subwords", "both") else {"minn": 0, "maxn": 0}
        phrases = 3 if request.param in ("phrases", "both") else 1
        made = official.train_supervised(str(corpus), wordNgrams=phrases, **subwords, **common)
    made.save_model(str(folder / "model.bin"))
    return made, folder / "model.bin"


@pytest.mark.parametrize("options", [{}, {"tokenize": str.split}, {"trainable": True}])
def test_fasttext_mode_equals_get_sentence_vector(model: tuple[Any, Path], options: dict[str, Any]) -> None:
    theirs, path = model
    pooler = SentencePooler(vecload.load(path), "fasttext", **options)
    texts = [text for text in TEXTS if not options.get("tokenize") or "\u00a0" not in text]
    expected = np.array([theirs.get_sentence_vector(text) for text in texts])
    np.testing.assert_allclose(pooler.encode(texts), expected, atol=2e-6)


def test_saved_fasttext_pooler_gives_the_same_vectors(model: tuple[Any, Path], tmp_path: Path) -> None:
    pooler = SentencePooler(vecload.load(model[1]), "fasttext")
    pooler.save(tmp_path / "pooler")
    assert np.array_equal(SentencePooler.load(tmp_path / "pooler").encode(TEXTS), pooler.encode(TEXTS))
