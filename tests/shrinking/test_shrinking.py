"""Shrink models that gensim trains here, and open the results with the official library."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecload
from tests.cli.running import run
from vecload import NgramTable, Vectors, shrink
from vecload.cli import shrinking as command
from vecload.errors import FormatError, OptionError

official = pytest.importorskip("fasttext")
fasttext = pytest.importorskip("gensim.models.fasttext")
RNG = np.random.default_rng(0)
BUCKETS = 3000
UNSEEN = ["unseen", "governmentally", "日本", "x"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model of 2,000 and more words with 24 values and 3,000 buckets."""
    from gensim.test.utils import datapath

    lines = [line.lower().split() for line in Path(datapath("lee_background.cor")).read_text("utf-8").split("\n")]
    trained = fasttext.FastText(lines[:150], vector_size=24, min_count=1, epochs=4, bucket=BUCKETS, workers=1, seed=1)
    # Without training of thousands of steps, all vectors have nearly the same direction.
    trained.wv.vectors_ngrams[:] += RNG.normal(size=trained.wv.vectors_ngrams.shape, scale=0.3)
    path = tmp_path_factory.mktemp("model") / "model.bin"
    fasttext.save_facebook_model(trained, str(path))
    return path


def assert_official_agrees(path: Path) -> Vectors:
    """Compare all kinds of words with the official library, and return the vectors."""
    theirs, ours = official.load_model(str(path)), vecload.load(path)
    words = [*list(ours)[:60], *list(ours)[-20:], *UNSEEN]
    assert ours.ngrams is not None
    composed = [ours[word] if word in ours else ours.ngrams[word] for word in words]
    np.testing.assert_allclose([theirs.get_word_vector(word) for word in words], composed, atol=1e-6)
    assert theirs.get_dimension() == ours.dim
    return ours


@pytest.mark.parametrize("suffix", [".bin", ".ftz", ".safetensors"])
def test_words_that_are_kept_do_not_change(model: Path, tmp_path: Path, suffix: str) -> None:
    before = vecload.load(model)
    made = shrink(model, tmp_path / f"small{suffix}", words=500, buckets=1000)
    after = vecload.load(made_at := tmp_path / f"small{suffix}")
    assert list(after) == list(before)[:500]
    if suffix != ".ftz":
        np.testing.assert_allclose(after.matrix, before.matrix[:500], atol=2e-6)
    if suffix != ".safetensors":
        assert_official_agrees(made_at)
    assert (made.words, made.buckets, made.dim) == (500, 1000, 24)
    assert made.bytes_after == made_at.stat().st_size < made.bytes_before == model.stat().st_size
    assert made.cosine["frequent"] > (0.9 if suffix == ".ftz" else 0.999)
    assert 0 < made.cosine["unseen"] <= made.cosine["frequent"]
    assert made.neighbors is not None
    assert set(made.similarity) <= {"wordsim353", "simlex999"}
    if suffix != ".safetensors":  # vecload's own format does not store counts
        assert after.history.counts is not None
        assert after.history.counts.tolist() == before.history.counts[:500].tolist()  # type: ignore[index]


def test_smaller_table_has_the_weighted_means_of_the_old_rows(model: Path, tmp_path: Path) -> None:
    shrink(model, tmp_path / "small.bin", buckets=600, report=False)
    before, after = vecload.load(model), vecload.load(tmp_path / "small.bin")
    assert before.ngrams is not None
    assert after.ngrams is not None
    old, new = (one.ngrams.rows.take(np.arange(one.ngrams.bucket), sparse=False) for one in (before, after))
    uses = np.zeros(BUCKETS)
    for word in before:
        found, _ = before.ngrams.find_rows(np.frombuffer(word.encode(), np.uint8), np.array([0, len(word.encode())]))
        np.add.at(uses, found, 1)
    weights = np.maximum(uses, 1e-3).reshape(-1, 600)
    expected = (weights[:, :, None] * old.reshape(-1, 600, 24)).sum(0) / weights.sum(0)[:, None]
    np.testing.assert_allclose(new, expected, atol=1e-5)


def test_pruned_table_keeps_the_rows_that_most_words_use(model: Path, tmp_path: Path) -> None:
    shrink(model, tmp_path / "small.safetensors", words=300, buckets=400, report=False)
    before, after = vecload.load(model), vecload.load(tmp_path / "small.safetensors")
    table = after.ngrams
    assert isinstance(table, NgramTable)
    assert table.kept is not None
    assert len(table.kept) == 400
    assert before.ngrams is not None
    uses = np.zeros(BUCKETS)
    for word in list(before)[:300]:
        found, _ = before.ngrams.find_rows(np.frombuffer(word.encode(), np.uint8), np.array([0, len(word.encode())]))
        np.add.at(uses, found, 1)
    dropped = np.setdiff1d(np.arange(BUCKETS), table.kept[:, 0])
    assert uses[table.kept[:, 0]].min() >= uses[dropped].max()
    old = before.ngrams.rows.take(table.kept[:, 0].astype(np.int64), sparse=False)
    np.testing.assert_array_equal(table.rows.take(table.kept[:, 1].astype(np.int64), sparse=False), old)


@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
def test_projection_keeps_what_fits_on_the_axes(tmp_path: Path, suffix: str) -> None:
    """Vectors in a space of five dimensions lose nothing when five are kept."""
    basis = RNG.normal(size=(5, 20))
    words = [f"word{at}" for at in range(200)]
    table = NgramTable((RNG.normal(size=(100, 5)) @ basis).astype(np.float32), minn=3, maxn=5)
    Vectors(words, (RNG.normal(size=(200, 5)) @ basis).astype(np.float32), ngrams=table).save(
        tmp_path / "model.bin", format="fasttext"
    )
    made = shrink(tmp_path / "model.bin", tmp_path / f"small{suffix}", dim=5, words=150)
    assert made.cosine["frequent"] > 0.99999
    before, after = vecload.load(tmp_path / "model.bin"), vecload.load(tmp_path / f"small{suffix}")
    # Products of vectors, and so cosines and norms, are the same.
    old, new = before.matrix[:150], after.matrix
    np.testing.assert_allclose(new @ new.T, old @ old.T, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("quantize", ["pq", "int8"])
@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize("suffix", [".ftz", ".safetensors"])
def test_quantized_models_are_close(model: Path, tmp_path: Path, quantize: Any, norms: bool, suffix: str) -> None:
    path = tmp_path / f"small{suffix}"
    made = shrink(model, path, quantize=quantize, norms=norms)
    after = assert_official_agrees(path) if suffix == ".ftz" else vecload.load(path)
    assert after.ngrams is not None
    assert made.cosine["frequent"] > (0.99 if quantize == "int8" else 0.9)
    before = vecload.load(model)
    assert before.ngrams is not None
    ours, theirs = after.ngrams.vectors(UNSEEN), before.ngrams.vectors(UNSEEN)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    assert ((ours * theirs).sum(1) / lengths).min() > (0.98 if quantize == "int8" else 0.8)
    assert made.bytes_after < made.bytes_before / 2.5
    again = tmp_path / f"again{suffix}"
    shrink(model, again, quantize=quantize, norms=norms, report=False)
    assert again.read_bytes() == path.read_bytes()


def test_vocabulary_chooses_the_words(model: Path, tmp_path: Path) -> None:
    words = list(vecload.load(model))
    shrink(model, tmp_path / "small.bin", vocab=[words[7], words[3], "not in the model"], report=False)
    assert list(vecload.load(tmp_path / "small.bin")) == [words[3], words[7]]


def test_quantized_model_can_be_shrunk_again(model: Path, tmp_path: Path) -> None:
    shrink(model, tmp_path / "one.ftz", words=800, buckets=900, report=False)
    shrink(tmp_path / "one.ftz", tmp_path / "two.ftz", words=300, buckets=500, report=False)
    assert len(assert_official_agrees(tmp_path / "two.ftz")) == 300
    with pytest.raises(OptionError, match=r"the model is pruned, which a \.bin file cannot store"):
        shrink(tmp_path / "one.ftz", tmp_path / "two.bin")


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("small.bin", {"buckets": 700}, r"buckets that divide the 3,000 of the model.*got 700; use 600 or 750"),
        ("small.ftz", {"buckets": 4000}, "buckets must be 1 to 3,000, the number in the model, got 4,000"),
        ("small.bin", {"quantize": "pq"}, "a .bin file cannot store quantized rows"),
        ("small.ftz", {"quantize": "int4"}, "unknown quantize 'int4'; choose from: pq, int8"),
        ("small.txt", {}, "cannot infer a format from .*small.txt'; use one of: .bin, .ftz, .safetensors"),
        ("small.bin", {"words": 0}, "words must be 1 or more, got 0"),
        ("small.bin", {"dim": 25}, "dim must be 1 to 24, the number in the model, got 25"),
        ("small.bin", {"vocab": ["not in the model"]}, "no word is kept"),
        ("small.safetensors", {"norms": True}, "norms=True needs quantize="),
    ],
)
def test_invalid_options_are_refused_before_anything_is_written(
    model: Path, tmp_path: Path, target: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        shrink(model, tmp_path / target, **options)
    assert list(tmp_path.iterdir()) == []


def test_other_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("\n".join(f"__label__{at % 2} a b c" for at in range(40)))
    official.train_supervised(str(tmp_path / "corpus.txt"), dim=4, epoch=1, bucket=10, thread=12, verbose=0).save_model(
        str(tmp_path / "labels.bin")
    )
    with pytest.raises(FormatError, match="the model predicts labels"):
        shrink(tmp_path / "labels.bin", tmp_path / "small.bin")
    (tmp_path / "v.txt").write_text("cat 1 2\n")
    with pytest.raises(FormatError, match="not a fastText model"):
        shrink(tmp_path / "v.txt", tmp_path / "small.bin")
    assert not (tmp_path / "small.bin").exists()


def test_command_prints_the_report(model: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("the\nof\nto\nzyzzyx\n")
    out = tmp_path / "small.ftz"
    code, shown, err = run("shrink", model, "-o", out, "--vocab", tmp_path / "words.txt", "--buckets", "1000")
    assert (code, err) == (0, "")
    assert shown.startswith("3 words, 1,000 n-gram rows, 24 values\n")
    assert run("shrink", model, "-o", out)[0] == 2  # exists
    code, shown, _ = run("shrink", model, "-o", out, "--words", "9", "--force", "--json", "--no-report")
    assert (code, json.loads(shown)["words"]) == (0, 9)
    hints = typing.get_type_hints(command.shrink), typing.get_type_hints(shrink)
    assert typing.get_args(hints[0]["quantize"]) == typing.get_args(hints[1]["quantize"])
