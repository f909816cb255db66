"""Shrink models that gensim trains here, and open the results with the official library."""

from __future__ import annotations

import json
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecload
from tests.cli.running import run
from tests.fasttext_training import train_supervised
from vecload import NgramTable, Vectors, shrink
from vecload.cli import shrinking as command
from vecload.errors import FormatError, OptionError
from vecload.ngrams import DenseRows
from vecload.shrinking import quantizing, writing
from vecload.words import Words

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
    assert 0 < made.cosine["dropped"] <= made.cosine["frequent"]
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


def test_report_of_dropped_words_compares_their_vectors_in_both_models(model: Path, tmp_path: Path) -> None:
    """The cosine agrees with one computed from vectors that `load` reads, for all of fewer than 1,000 words."""
    before = vecload.load(model)
    kept = list(before)[500:]
    made = shrink(model, tmp_path / "small.bin", vocab=kept, buckets=500)
    after = vecload.load(tmp_path / "small.bin")
    assert after.ngrams is not None
    old, new = before.matrix[:500], after.ngrams.vectors(list(before)[:500])
    cosines = (old * new).sum(1) / np.linalg.norm(old, axis=1) / np.linalg.norm(new, axis=1)
    assert made.cosine["dropped"] == pytest.approx(float(cosines.mean()), abs=1e-5)
    # Nothing is lost for unseen words without fewer buckets, and dropped words lose their own rows.
    same = shrink(model, tmp_path / "same.bin", vocab=kept)
    assert same.cosine["unseen"] == pytest.approx(1, abs=1e-6)
    assert same.cosine["dropped"] < same.cosine["unseen"] - 1e-6
    assert "dropped" not in shrink(model, tmp_path / "all.ftz").cosine


@pytest.mark.parametrize("suffix", [".bin", ".ftz", ".safetensors"])
def test_model_without_ngrams_keeps_its_words(tmp_path: Path, suffix: str) -> None:
    words, matrix = [f"w{at}" for at in range(300)], RNG.normal(size=(300, 7)).astype(np.float32)
    Vectors(words, matrix).save(tmp_path / "model.bin", format="fasttext")
    path = tmp_path / f"small{suffix}"
    made = shrink(tmp_path / "model.bin", path, words=100)
    assert (made.words, made.buckets, made.dim) == (100, 0, 7)
    assert set(made.cosine) == {"frequent", "rare", "dropped"}
    after = vecload.load(path)
    np.testing.assert_allclose(after.matrix, matrix[:100], atol=1.0 if suffix == ".ftz" else 1e-6)
    if suffix != ".safetensors":
        theirs = official.load_model(str(path))
        np.testing.assert_allclose([theirs.get_word_vector(word) for word in words[:100]], after.matrix, atol=1e-6)


@pytest.mark.parametrize("suffix", [".bin", ".ftz", ".safetensors"])
@pytest.mark.parametrize("options", [{}, {"dim": 3}])
@pytest.mark.parametrize("damaged", ["word", "bucket"])
def test_models_with_nan_are_refused(tmp_path: Path, suffix: str, options: dict[str, Any], damaged: str) -> None:
    words, matrix = [f"w{at}" for at in range(50)], RNG.normal(size=(50, 8)).astype(np.float32)
    table = NgramTable(RNG.normal(size=(90, 8)).astype(np.float32), minn=3, maxn=4)
    Vectors(words, matrix, ngrams=table).save(tmp_path / "model.bin", format="fasttext")
    data = bytearray((tmp_path / "model.bin").read_bytes())
    end = len(data) - 17 - 4 * 50 * 8  # of the input matrix
    packed = Words.from_strings(words)
    unused = int(np.setdiff1d(np.arange(90), table.find_rows(packed.data, packed.offsets)[0])[-1])
    at = end - 4 * 8 * (90 - unused) if damaged == "bucket" else end - 4 * 8 * 95
    data[at : at + 4] = np.float32(np.nan).tobytes()
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(FormatError, match=r"the model has (vectors|n-grams) with NaN or infinity"):
        shrink(tmp_path / "model.bin", tmp_path / f"small{suffix}", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["model.bin"]


def test_too_many_codes_for_the_format_are_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of codes is an int32 in the file."""
    monkeypatch.setattr(writing, "MOST_CODES", 12 * 3100 - 1)
    shrink(model, tmp_path / "small.ftz", words=99, report=False)
    with pytest.raises(OptionError, match=r"the model has too many rows for a \.ftz file"):
        shrink(model, tmp_path / "large.ftz", words=100, report=False)
    assert not (tmp_path / "large.ftz").exists()


@pytest.mark.parametrize(("dim", "width", "norms"), [(6, 2, False), (7, 2, True), (5, 1, False)])
def test_codes_are_those_of_the_nearest_centroids(dim: int, width: int, norms: bool) -> None:
    rows = RNG.normal(size=(3000, dim)).astype(np.float32)
    quantizer = quantizing.learn_quantizer(rows[:1000], width, norms=norms, uniform=False, seed=0)
    made = quantizer.empty(len(rows))
    quantizer.encode(rows, made)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    wanted = rows / lengths if norms else rows
    for group in range(made.codes.shape[1]):
        columns = slice(group * width, min(group * width + width, dim))
        distances = np.square(wanted[:, columns][:, None] - quantizer.lines[columns].T).sum(2)
        found = distances[np.arange(len(rows)), made.codes[:, group]]
        assert (found <= distances.min(1) * 1.0001 + 1e-9).all()
    if norms:
        assert quantizer.norms is not None
        distances = np.abs(lengths - quantizer.norms)
        assert (distances[np.arange(len(rows)), made.norm_codes] <= distances.min(1) + 1e-4).all()
    decoded = made.take(np.arange(len(rows)), sparse=False)
    assert np.square(decoded - rows).sum() < 0.05 * np.square(rows).sum()


def test_consecutive_rows_of_a_file_are_read_as_others_are(tmp_path: Path) -> None:
    matrix = np.arange(1 << 22, dtype=np.float32).reshape(-1, 4)  # large enough to be read, not mapped
    (tmp_path / "rows").write_bytes(b"head" + matrix.tobytes())
    with (tmp_path / "rows").open("rb") as file:
        rows = DenseRows(np.zeros_like(matrix), file=file.fileno(), offset=4)
    for some in ([], [0], [len(matrix) - 1], [0, 1, 2], [3, 2, 1], [5, 5, 6, 7, 40, 41, 0], [*range(1000)]):
        np.testing.assert_array_equal(rows.take(np.array(some, dtype=np.int64), sparse=True), matrix[some])


_MEMORY = """
import sys, threading, vecload

def resident():
    return 1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])

vecload.shrink(sys.argv[1], sys.argv[3], words=200, buckets=100)  # loads modules and compiles kernels
most, done, base = 0, threading.Event(), resident()

def watch():
    global most
    while not done.wait(0.005):
        most = max(most, resident())

thread = threading.Thread(target=watch)
thread.start()
vecload.shrink(sys.argv[2], sys.argv[3], **eval(sys.argv[4]))
done.set()
thread.join()
print(most - base)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("name", "options"),
    [("small.ftz", {}), ("small.bin", {"buckets": 20_000, "dim": 20}), ("small.safetensors", {"buckets": 20_000})],
)
def test_memory_is_bounded_by_the_size_of_the_result(
    model: Path, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    """The table of 400,000 rows has 320 MB; neither a copy of it nor its mapped pages are in memory."""
    dim, bucket = 200, 400_000
    words = [f"word{at}" for at in range(3000)]
    small = NgramTable(np.zeros((1, dim), dtype=np.float32), minn=3, maxn=5)
    Vectors(words, RNG.normal(size=(3000, dim)).astype(np.float32), ngrams=small).save(tmp_path / "a.bin", "fasttext")
    data = bytearray((tmp_path / "a.bin").read_bytes())
    inputs = len(data) - 2 * 17 - 4 * dim * (2 * 3000 + 1)
    data[8 + 4 * 8 : 8 + 4 * 9] = np.int32(bucket).tobytes()
    data[inputs + 1 : inputs + 9] = np.int64(3000 + bucket).tobytes()
    block = RNG.normal(size=(4000, dim)).astype(np.float32).tobytes()
    with (tmp_path / "large.bin").open("wb") as file:
        file.write(data[: inputs + 17 + 4 * dim * 3000])
        for _ in range(bucket // 4000):
            file.write(block)
        file.write(data[-(17 + 4 * dim * 3000) :])
    command = [
        sys.executable,
        "-c",
        _MEMORY,
        str(model),
        str(tmp_path / "large.bin"),
        str(tmp_path / name),
        repr(options),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(done) < 100e6 + (tmp_path / name).stat().st_size


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
    trained = train_supervised(tmp_path / "corpus.txt", dim=4, epoch=1, bucket=10)
    trained.save_model(str(tmp_path / "labels.bin"))
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
