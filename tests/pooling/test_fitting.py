"""Compare `fit` with slow references written from the papers, and with scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.reference import pooling as reference
from vecload import VecloadWarning, Vectors, Words
from vecload.errors import OptionError
from vecload.ngrams import NgramTable
from vecload.pooling import SentencePooler, sif, usif

RNG = np.random.default_rng(0)
WORDS = [f"w{at}" for at in range(60)]
MATRIX = (RNG.normal(size=(60, 8)) + 0.5).astype(np.float32)
VECTORS = Vectors(WORDS, MATRIX)
SHARES = 1 / np.arange(1, 71)
TEXTS = [
    " ".join(RNG.choice([*WORDS, *(f"unknown{at}" for at in range(10))], RNG.integers(0, 12), p=SHARES / SHARES.sum()))
    for _ in range(400)
]
SENTENCES = [text.split() for text in TEXTS]
TABLE = dict(zip(WORDS, MATRIX, strict=True))


@pytest.mark.parametrize(("a", "components"), [(1e-3, 1), (1e-4, 3), (0.1, 0)])
def test_sif_equals_a_reference_written_from_the_paper(a: float, components: int) -> None:
    found = SentencePooler(VECTORS, sif(a=a, components=components)).fit(iter(TEXTS)).encode(TEXTS)
    np.testing.assert_allclose(found, reference.sif(SENTENCES, TABLE, a, components), atol=1e-5)


@pytest.mark.parametrize("components", [1, 5])
def test_usif_equals_a_reference_written_from_the_paper(components: int) -> None:
    found = SentencePooler(VECTORS, usif(components=components)).fit(TEXTS).encode(TEXTS)
    np.testing.assert_allclose(found, reference.usif(SENTENCES, TABLE, components), atol=1e-5)


def test_tfidf_equals_scikit_learn() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    vectorizer = text.TfidfVectorizer(vocabulary=WORDS, token_pattern=r"\S+", norm="l1", lowercase=False)
    expected = vectorizer.fit_transform(TEXTS) @ MATRIX
    np.testing.assert_allclose(SentencePooler(VECTORS, "tfidf").fit(TEXTS).encode(TEXTS), expected, atol=1e-5)


def test_fit_with_given_counts_equals_fit_on_the_counted_texts() -> None:
    counts: dict[str, int] = {}
    for sentence in SENTENCES:
        for word in sentence:
            if word in TABLE:
                counts[word] = counts.get(word, 0) + 1
    known = [" ".join(word for word in sentence if word in TABLE) for sentence in SENTENCES]
    once = SentencePooler(VECTORS, "sif").fit(known)
    row_counts = [counts.get(word, 0) for word in WORDS]
    for given in (counts | {"elsewhere": 7}, row_counts):
        other = SentencePooler(VECTORS, "sif").fit(known, counts=given)
        np.testing.assert_allclose(other.token_weights, once.token_weights, rtol=1e-6)
        np.testing.assert_allclose(other.encode(TEXTS), once.encode(TEXTS), atol=1e-6)
    np.testing.assert_allclose(
        SentencePooler(VECTORS, usif(length=5)).fit(known, counts=counts).encode(TEXTS),
        SentencePooler(VECTORS, usif(length=5)).fit(known).encode(TEXTS),
        atol=1e-6,
    )


def test_fit_leaves_composed_vectors_out_of_components() -> None:
    table = NgramTable(RNG.normal(size=(40, 8)).astype(np.float32), minn=2, maxn=3)
    composing = Vectors(Words.from_strings(WORDS), MATRIX, ngrams=table)
    for counts in (None, np.ones(len(WORDS), dtype=np.int64)):
        plain = SentencePooler(VECTORS, usif(length=5)).fit(TEXTS, counts=counts)
        made = SentencePooler(composing, usif(length=5), unknown="ngrams").fit(TEXTS, counts=counts)
        assert np.array_equal(made.components, plain.components)


def test_words_missing_in_the_corpus_have_the_weight_of_probability_zero() -> None:
    assert SentencePooler(VECTORS, sif(components=0)).fit(["w0 w1 w2"]).token_weights[3] == 1
    corpus = ["w0 w0 w0 w0 w0 w0 w0 w0 w1 w2 w3"]
    without = {"components": 0}
    assert SentencePooler(VECTORS, usif(length=2, **without)).fit(corpus).token_weights[9] == pytest.approx(2)
    assert SentencePooler(VECTORS, usif(length=9, **without)).fit(["w0 w1"]).token_weights[:2].tolist() == [2, 2]


@pytest.mark.parametrize(("mode", "enough"), [("sif", 4), (usif(length=5, components=2), 8), ("tfidf", 1)])
def test_fit_on_too_few_sentences_warns(mode: Any, enough: int) -> None:
    few, counts = [text for text in TEXTS if len(text) > 20], np.ones(len(WORDS), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SentencePooler(VECTORS, mode).fit(["", "nothing", *few[:enough]])
    if mode == "tfidf":
        return
    for options in ({}, {"counts": counts}):
        with pytest.warns(VecloadWarning, match=f"of {enough - 1} directions.*fit it on at least {enough}"):
            SentencePooler(VECTORS, mode).fit(["", "nothing", *few[: enough - 1]], **options)


def test_fit_that_fails_leaves_the_pooler_unfitted() -> None:
    def broken() -> Iterator[str]:
        yield from TEXTS
        raise ConnectionError

    pooler = SentencePooler(VECTORS, "sif").fit(TEXTS)
    with pytest.raises(ConnectionError):
        pooler.fit(broken(), counts=np.ones(len(WORDS)))
    with pytest.raises(OptionError, match="call fit"):
        pooler.encode(TEXTS)


def test_fit_with_fewer_dimensions_than_components() -> None:
    narrow = Vectors(Words.from_strings(WORDS), MATRIX[:, :2].copy())
    pooler = SentencePooler(narrow, usif(components=5)).fit(TEXTS)
    assert np.isfinite(pooler.encode(TEXTS)).all()


@pytest.mark.parametrize(
    ("mode", "texts", "counts", "message"),
    [
        ("mean", TEXTS, None, "mode 'mean' has nothing to fit"),
        ("sif", "w0 w1", None, "texts must be a list of strings"),
        ("sif", [], None, "the corpus has no tokens"),
        ("tfidf", TEXTS, [1] * 60, "fit it without counts"),
        ("usif", TEXTS, [1] * 60, "needs a length"),
        ("sif", TEXTS, [1] * 59, "counts must be 60 numbers"),
        ("sif", TEXTS, {"elsewhere": 1}, "not all zero"),
    ],
)
def test_fit_refuses_invalid_arguments(mode: str, texts: object, counts: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SentencePooler(VECTORS, mode).fit(texts, counts=counts)  # type: ignore[arg-type]
