"""Test exports of poolers to sentence-transformers and model2vec, and the scikit-learn transformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import small_vectors
from vecload import Vectors
from vecload.errors import OptionError
from vecload.ngrams import NgramTable
from vecload.pooling import SentencePooler, sif

VECTORS = small_vectors(30, 6)
WORDS, MATRIX = list(VECTORS), VECTORS.matrix
TEXTS = [" ".join(np.random.default_rng(at).choice(WORDS, at % 9)) for at in range(50)]
STRANGE = [*TEXTS, "w1 other w2", "other"]
MODES = [("mean", False), ("sif", False), (sif(components=2), True), ("usif", False), ("tfidf", True), ("sum", True)]


def with_ngrams() -> Vectors:
    return small_vectors(30, 6, ngrams=NgramTable(MATRIX, minn=2, maxn=3))


def made(mode: Any, **options: Any) -> SentencePooler:
    pooler = SentencePooler(VECTORS, mode, **options)
    return pooler.fit(TEXTS) if pooler.mode.name in ("sif", "usif", "tfidf") else pooler


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("mode", "normalize"), MODES)
def test_sentence_transformers_computes_the_same_vectors_from_an_export(
    mode: Any, normalize: bool, tmp_path: Path
) -> None:
    library = pytest.importorskip("sentence_transformers")
    pooler = made(mode, normalize=normalize, lowercase=True)
    pooler.export(tmp_path / "model")
    theirs = library.SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
    texts = [text.upper() for text in (STRANGE if normalize else TEXTS)]
    np.testing.assert_allclose(theirs.encode(texts), pooler.encode(texts), atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("mode", "normalize"), MODES)
def test_model2vec_computes_the_same_vectors_from_an_export(mode: Any, normalize: bool, tmp_path: Path) -> None:
    library = pytest.importorskip("model2vec")
    pooler = made(mode, normalize=normalize)
    pooler.export(tmp_path / "model", "model2vec")
    theirs = library.StaticModel.from_pretrained(tmp_path / "model")
    np.testing.assert_allclose(theirs.encode(STRANGE), pooler.encode(STRANGE), atol=1e-5)


@pytest.mark.parametrize(
    ("pooler", "message"),
    [
        (lambda: made("max"), "mode 'max' is not a mean of one row per word"),
        (lambda: made("tfidf"), "normalize=True makes up for that"),
        (lambda: made("mean", tokenize=str.split), "this pooler has another"),
        (lambda: SentencePooler(with_ngrams(), unknown="ngrams"), "has no unknown='ngrams'"),
        (lambda: SentencePooler(with_ngrams(), "fasttext"), "has no unknown='ngrams'"),
    ],
)
def test_export_refuses_poolers_that_are_not_a_mean_of_rows(pooler: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        pooler().export(tmp_path / "model")
    with pytest.raises(OptionError, match="unknown layout 'onnx'; choose from: sentence-transformers, model2vec"):
        made("mean").export(tmp_path / "model", "onnx")
    assert not (tmp_path / "model").exists()


@pytest.mark.filterwarnings("ignore")
def test_sentence_vectorizer_works_in_a_scikit_learn_pipeline() -> None:
    pipeline = pytest.importorskip("sklearn.pipeline")
    linear = pytest.importorskip("sklearn.linear_model")
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError

    from vecload.pooling.estimator import SentenceVectorizer

    step = SentenceVectorizer(VECTORS, mode="sif", normalize=True)
    whole = pipeline.make_pipeline(clone(step), linear.LogisticRegression())
    labels = ["w1" in text.split() for text in TEXTS]
    whole.fit(TEXTS, labels)
    assert whole.predict(TEXTS).shape == (50,)
    assert np.array_equal(step.fit_transform(TEXTS), made("sif", normalize=True).encode(TEXTS))
    assert whole.set_params(sentencevectorizer__mode="mean").named_steps["sentencevectorizer"].mode == "mean"
    assert list(step.get_feature_names_out()) == [f"vector{at}" for at in range(6)]
    with pytest.raises(NotFittedError):
        clone(step).transform(TEXTS)
