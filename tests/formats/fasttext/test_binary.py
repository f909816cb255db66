"""fastText models compared with the official library, gensim and published values; damaged and hostile files."""

import dataclasses
import gzip
import io
import lzma
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fasttext
import gensim
import numpy as np
import pytest
from gensim.models.fasttext import load_facebook_model, load_facebook_vectors

import vecload
from tests.reference import fasttext as slow
from vecload.errors import FormatError, OptionError
from vecload.formats.contract import WriteOptions
from vecload.formats.fasttext import binary as form
from vecload.formats.table import Batch
from vecload.ngrams import NgramTable, QuantizedRows
from vecload.vectors import Vectors
from vecload.words import Words

DATA = Path(gensim.__file__).parent / "test" / "test_data"
QUIET = {"verbose": 0, "thread": 12}  # with fewer than ten threads, fastText leaves most of its matrices uninitialized
LINES = [
    "the cat sat on the mat </s> naïve café\n".encode(),
    "吾輩 は 猫 で ある 名前 は まだ 無い 北海道\n".encode(),
    "🙂 👍🏽 e\u0301 zero\u200bwidth no\u00a0break хозяйка\n".encode(),
    b"bad\xff \xe3\x81 \x80\x80lead caf\xe9\n",
]
UNSEEN = [
    *"cats Mat のは 北海 🙂🙂 хозяйки x </s>".split(),
    "",
    "two words",
    "very" * 50,
    *(raw.decode("utf-8", "surrogateescape") for raw in (b"bad\xff\xff", b"\x80", b"\xe3\x81\x81x")),
]


def official_vector(model: "fasttext.FastText._FastText", word: str) -> np.ndarray:
    """Call the official library with bytes, because its Python interface accepts only valid UTF-8."""
    vector = fasttext.FastText.fasttext.Vector(model.get_dimension())
    model.f.getWordVector(vector, word.encode("utf-8", "surrogateescape"))
    return np.array(vector)


def check(path: Path, model: "fasttext.FastText._FastText") -> Vectors:
    vectors = vecload.load(path)
    frequencies = dict(zip(*model.get_words(include_freq=True, on_unicode_error="replace"), strict=True))
    assert len(vectors) >= len(frequencies)
    for word, count in zip(vectors, vectors.history.counts.tolist(), strict=True):
        np.testing.assert_allclose(vectors[word], official_vector(model, word), atol=1e-6, rtol=1e-6)
        if word in frequencies:
            assert count == frequencies[word]
    unseen = [word for word in UNSEEN if word not in vectors]
    answers = [official_vector(model, word) for word in unseen]
    np.testing.assert_allclose(vectors.ngrams.vectors(unseen), answers, atol=1e-6, rtol=1e-6)
    return vectors


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_bytes(b"".join(LINES) * 3)
    return path


@pytest.mark.parametrize(
    ("model", "minn", "maxn", "bucket"),
    [
        ("skipgram", 3, 6, 1000),
        ("cbow", 3, 6, 1000),
        ("skipgram", 1, 2, 7),
        ("skipgram", 0, 4, 50),
        ("skipgram", 5, 3, 50),
        ("skipgram", 0, 0, 0),
        ("cbow", 2, 30, 300),
    ],
)
def test_load_unsupervised_model_equals_official_library(
    corpus: Path, tmp_path: Path, model: str, minn: int, maxn: int, bucket: int
) -> None:
    trained = fasttext.train_unsupervised(
        str(corpus), model=model, dim=10, minn=minn, maxn=maxn, bucket=bucket, minCount=1, epoch=2, lr=0.01, **QUIET
    )
    trained.save_model(str(tmp_path / "model.bin"))
    vectors = check(tmp_path / "model.bin", trained)
    args = vectors.history.arguments
    assert (args["model"], args["loss"], args["minn"], args["maxn"], args["dim"]) == (model, "ns", minn, maxn, 10)
    assert vectors.meta["version"] == 12
    assert vectors.history.labels == ()
    assert vectors.ngrams["</s>"].tolist() == [0] * 10


def labelled(tmp_path: Path, words: int = 400) -> Path:
    rng = np.random.default_rng(1)
    lines = []
    for number in range(words):
        others = " ".join(f"w{other}語" for other in rng.integers(0, words, 4))
        lines.append(f"__label__{'αb'[number % 2]} w{number}語 {others} é{number}\n")
    path = tmp_path / "labelled.txt"
    path.write_text("".join(lines))
    return path


def sentence(vectors: Vectors, text: str) -> np.ndarray:
    """Compute getSentenceVector of a supervised model from the result of `load`, as in docs/fasttext.md."""
    tokens = [token for token in [*text.split(), "</s>"] if not token.startswith("__label__")]
    table = vectors.ngrams
    composed = [vectors.get(token, table[token]) for token in tokens]
    counts = table.counts(tokens) + [token in vectors for token in tokens]
    phrases, number = table.sum_word_ngrams(tokens, vectors.history.arguments["wordNgrams"])
    total = sum((vector * count for vector, count in zip(composed, counts, strict=True)), phrases)
    return total / (counts.sum() + number)


@pytest.mark.parametrize("loss", ["softmax", "hs", "ova"])
@pytest.mark.parametrize(("minn", "maxn", "length"), [(0, 0, 1), (2, 4, 1), (2, 3, 3), (0, 0, 2)])
def test_load_supervised_model_equals_official_library(
    tmp_path: Path, loss: str, minn: int, maxn: int, length: int
) -> None:
    text = labelled(tmp_path, 40)
    options = {"minn": minn, "maxn": maxn, "wordNgrams": length, "bucket": 1000, "loss": loss}
    trained = fasttext.train_supervised(str(text), dim=10, epoch=2, **QUIET, **options)
    trained.save_model(str(tmp_path / "model.bin"))
    vectors = check(tmp_path / "model.bin", trained)
    assert sorted(vectors.history.labels) == ["__label__b", "__label__α"]
    assert not set(vectors.history.labels) & set(vectors)
    assert (vectors.history.arguments["model"], vectors.history.arguments["loss"]) == ("supervised", loss)
    for line in ("w3語 é5 w7語", "", "unseen w1語 __label__b", "w1語 w1語"):
        np.testing.assert_allclose(sentence(vectors, line), trained.get_sentence_vector(line), atol=1e-6)


@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize(("cutoff", "width", "dim"), [(0, 2, 6), (300, 2, 7), (300, 3, 7), (0, 9, 7)])
def test_load_quantized_model_equals_official_library(
    tmp_path: Path, norms: bool, cutoff: int, width: int, dim: int
) -> None:
    text = labelled(tmp_path)
    trained = fasttext.train_supervised(str(text), dim=dim, epoch=1, minn=2, maxn=3, bucket=900, wordNgrams=2, **QUIET)
    trained.quantize(input=str(text), qnorm=norms, cutoff=cutoff, dsub=width, retrain=bool(cutoff), epoch=1)
    trained.save_model(str(tmp_path / "model.ftz"))
    vectors = check(tmp_path / "model.ftz", trained)
    assert isinstance(vectors.ngrams.rows, QuantizedRows)
    assert bool(vectors.ngrams.rows.norm_codes.size) is norms
    assert (vectors.ngrams.kept is not None) is bool(cutoff)
    assert vectors.meta["quantized"] is True
    for line in ("w3語 é5 w7語", "unseen w1語"):
        np.testing.assert_allclose(sentence(vectors, line), trained.get_sentence_vector(line), atol=1e-6)
    with pytest.raises(FormatError, match="shorter"):
        load_bytes((tmp_path / "model.ftz").read_bytes()[:-1])


def load_bytes(raw: bytes, **options: object) -> Vectors:
    return vecload.load(io.BytesIO(raw), **options)


# Models in gensim's test data: number of words, dimension, version; minn, maxn and bucket of the n-grams.
SHIPPED = {
    "lee_fasttext.bin": (1762, 10, None, 3, 6, 1000),
    "lee_fasttext_new.bin": (1763, 10, 11, 3, 6, 1000),
    "toy-model.bin": (22, 5, 12, 3, 6, 100),
    "toy-model-pretrained.bin": (24, 5, 12, 3, 6, 100),
    "crime-and-punishment.bin": (291, 5, 12, 3, 6, 100),
    "non_ascii_fasttext.bin": (171, 2, None, 2, 4, 10000),
    "cp852_fasttext.bin": (171, 2, None, 2, 4, 1000),
    "pang_lee_polarity_fasttext.bin": (1694, 100, 12, 0, 0, 0),
}


@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
@pytest.mark.parametrize("name", SHIPPED)
def test_load_models_in_gensim_test_data_equals_gensim(name: str) -> None:
    words, dim, version, minn, maxn, bucket = SHIPPED[name]
    vectors = vecload.load(DATA / name)
    assert (len(vectors), vectors.dim, vectors.meta["version"]) == (words, dim, version)
    assert (vectors.ngrams.minn, vectors.ngrams.maxn, vectors.ngrams.bucket) == (minn, maxn, bucket)
    if name.startswith("pang"):  # gensim cannot read supervised models
        assert vectors.history.labels == ("__label__pos", "__label__neg")
        assert vectors.words.index("</s>") == 2
        return
    if name.startswith("cp852"):  # gensim hashes the decoded word, not the bytes: see below
        assert "který" in [vectors.words.bytes(row).decode("cp852") for row in range(words)]
        return
    answer = load_facebook_vectors(str(DATA / name))
    assert list(vectors) == answer.index_to_key
    # gensim gives </s> n-grams in every version, fastText in the oldest only.
    known = [word for word in vectors if word != "</s>" or version is None]
    np.testing.assert_allclose(vectors[known], answer[known], atol=1e-6)
    unseen = [word + "x" for word in known if word + "x" not in vectors] + ["łódź", "日本"]
    np.testing.assert_allclose(vectors.ngrams.vectors(unseen), answer[unseen], atol=1e-6)


@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
@pytest.mark.parametrize("name", SHIPPED)
def test_load_models_in_gensim_test_data_equals_official_library(name: str, tmp_path: Path) -> None:
    path = DATA / name
    if SHIPPED[name][2] is None:  # fastText refuses the oldest models, so their bytes are rewritten in today's layout
        path = tmp_path / name
        path.write_bytes(slow.modern((DATA / name).read_bytes()))
        vectors, same = vecload.load(DATA / name), vecload.load(path)
        assert vectors.words == same.words
        others = np.array([word != "</s>" for word in vectors])  # the newer version drops the n-grams of </s>
        assert np.array_equal(vectors.matrix[others], same.matrix[others])
    check(path, fasttext.load_model(str(path)))


@pytest.mark.parametrize(
    ("name", "word", "answer", "tolerance"),
    [
        (
            "lee_fasttext.bin",
            "hundred",
            "-0.57144 -0.0085561 0.15748 -0.67855 -0.25459 -0.58077 -0.09913 1.1447 0.23418 0.060007",
            1e-4,
        ),
        (
            "lee_fasttext.bin",
            "rejection",
            "-0.21929 -0.53778 -0.22463 -0.41735 0.71737 -1.59758 -0.24833 0.62028 0.53203 0.77568",
            1e-4,
        ),
        (
            "lee_fasttext_new.bin",
            "hundred",
            "-0.025627 -0.11448 0.18116 -0.96779 0.2532 -0.93224 0.3929 0.12679 -0.19685 -0.13179",
            1e-4,
        ),
        (
            "lee_fasttext_new.bin",
            "rejection",
            "-0.49111 -0.13122 -0.02109 -0.88769 -0.20105 -0.91732 0.47243 0.19708 -0.17856 0.19815",
            1e-4,
        ),
        ("toy-model.bin", "quick", "0.023393 0.11499 0.11684 -0.13349 0.022543", 1e-5),
        ("toy-model.bin", "dog", "0.084983 0.09216 0.020204 -0.13616 0.01118", 1e-5),
        ("toy-model-pretrained.bin", "monarchist", "0.76222 1.0669 0.7055 -0.090969 -0.53508", 1e-4),
        ("crime-and-punishment.bin", "паровоз", "-0.0033987 0.056236 0.036073 0.094008 0.00085222", 1e-5),
        (
            "crime-and-punishment.bin",
            "rechtsschutzversicherungsgesellschaften",
            "-0.012889 0.029756 0.018020 0.099077 0.041939",
            1e-5,
        ),
        ("crime-and-punishment.bin", "", "0 0 0 0 0", 0),
    ],
)
def test_load_gives_published_vectors(name: str, word: str, answer: str, tolerance: float) -> None:
    """Values of gensim's test_fasttext.py."""
    vectors = vecload.load(DATA / name)
    found = vectors[word] if word in vectors else vectors.ngrams[word]
    np.testing.assert_allclose(found, np.array(answer.split(), dtype=float), atol=tolerance)


def test_load_bin_equals_its_vec_file() -> None:
    vectors = vecload.load(DATA / "crime-and-punishment.bin")
    text = vecload.load(DATA / "crime-and-punishment.vec")
    assert list(vectors) == list(text)
    np.testing.assert_allclose(vectors.matrix, text.matrix, atol=1e-5)


def test_ngrams_equal_output_of_print_ngrams() -> None:
    """fb-ngrams.txt has a line of zeros for each word, followed by its n-grams with their rows."""
    table = vecload.load(DATA / "crime-and-punishment.bin").ngrams
    blocks = (DATA / "fb-ngrams.txt").read_text().split("<start>\n")[1:]
    assert len(blocks) == 6
    for block in blocks:
        word, _, *lines = block.removesuffix("<end>\n").splitlines()
        ngrams = [line.rstrip().rsplit(" ", 5) for line in lines if line.strip()]
        assert table.ngrams(word) == [ngram for ngram, *_ in ngrams]
        rows = np.array([slow.fnv(ngram.encode()) % 100 for ngram, *_ in ngrams], dtype=int)
        values = np.array([values for _, *values in ngrams], dtype=float).reshape(-1, 5)
        np.testing.assert_allclose(table.rows.take(rows, sparse=False), values, atol=1e-5)


def test_load_with_vocab_composes_only_these_words(tmp_path: Path) -> None:
    whole = vecload.load(DATA / "crime-and-punishment.bin")
    some = vecload.load(DATA / "crime-and-punishment.bin", vocab=["not there", "хозяйка", "landlady", "хозяйка"])
    assert sorted(some) == ["landlady", "хозяйка"]
    assert np.array_equal(some[list(some)], whole[list(some)])
    assert some.history.counts.tolist() == whole.history.counts[whole.words.lookup(some.words)].tolist()
    first = vecload.load(DATA / "crime-and-punishment.bin", limit=7, dtype="float16")
    assert list(first) == list(whole)[:7]
    assert np.array_equal(first.matrix, whole.matrix[:7].astype("float16"))
    assert len(vecload.load(DATA / "crime-and-punishment.bin", vocab=[])) == 0


def test_load_few_words_of_large_file_reads_single_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = Words.from_strings(f"word{number}" for number in range(3000))
    matrix = rng.normal(size=(3000, 100)).astype("float32")
    table = NgramTable(rng.normal(size=(50_000, 100)).astype("float32"), minn=3, maxn=4)
    write(tmp_path / "model.bin", Vectors(words, matrix, ngrams=table))
    some = vecload.load(tmp_path / "model.bin", vocab=["word7", "word2999"])
    np.testing.assert_allclose(some.matrix, matrix[[7, 2999]], atol=1e-6)
    whole = vecload.load(tmp_path / "model.bin")
    np.testing.assert_allclose(whole.matrix, matrix, atol=1e-6)
    unseen = [f"unseen{number}" for number in range(3000)]
    np.testing.assert_array_equal(whole.ngrams.vectors(unseen), table.vectors(unseen))
    np.testing.assert_array_equal(some.ngrams.vectors(unseen[:9]), table.vectors(unseen[:9]))
    os.truncate(tmp_path / "model.bin", 100_000)  # while the file is open; reading through a mapping would crash
    with pytest.raises(FormatError, match="became shorter"):
        some.ngrams.vectors(unseen[:9])


def test_load_compressed_or_streamed_model_equals_plain_file(tmp_path: Path) -> None:
    raw = (DATA / "toy-model.bin").read_bytes()
    answer = vecload.load(DATA / "toy-model.bin")
    (tmp_path / "model.bin.gz").write_bytes(gzip.compress(raw))
    for vectors in (load_bytes(raw), load_bytes(gzip.compress(raw)), vecload.load(tmp_path / "model.bin.gz")):
        assert vectors.words == answer.words
        assert np.array_equal(vectors.matrix, answer.matrix)
        assert np.array_equal(vectors.ngrams["unseen"], answer.ngrams["unseen"])


def test_info_describes_model() -> None:
    info = vecload.info(DATA / "lee_fasttext.bin")
    assert (info.rows, info.exact, info.dim, info.format) == (1762, True, 10, "fastText")
    assert "n-grams" in info.values


def ways_to(path: Path, tmp_path: Path) -> dict[str, Any]:
    """Return the same model in every form in which it can be compressed and passed."""
    raw = path.read_bytes()
    (tmp_path / "model.bin.gz").write_bytes(gzip.compress(raw))
    (tmp_path / "model.bin.xz").write_bytes(lzma.compress(raw))
    with zipfile.ZipFile(tmp_path / "model.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.bin", raw)
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(path, "model.bin")
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe("/models/model.bin", raw)
    fsspec.filesystem("memory").pipe("/models/model.bin.gz", gzip.compress(raw))
    return {
        "gzip": tmp_path / "model.bin.gz",
        "xz": tmp_path / "model.bin.xz",
        "zip": tmp_path / "model.zip",
        "a member": tmp_path / "model.zip" / "model.bin",
        "tar": tmp_path / "model.tar.gz" / "model.bin",
        "an open file": io.BytesIO(raw),
        "an open compressed file": io.BytesIO(gzip.compress(raw)),
        "a URL": "memory://models/model.bin",
        "a compressed URL": "memory://models/model.bin.gz",
    }


@pytest.mark.parametrize("name", ["toy-model.bin", "lee_fasttext.bin", "crime-and-punishment.bin"])
def test_info_is_equal_for_every_way_to_pass_a_model(name: str, tmp_path: Path) -> None:
    answer = vecload.info(DATA / name)
    for way, source in ways_to(DATA / name, tmp_path).items():
        found = vecload.info(source)
        for info in dataclasses.fields(answer):
            if info.name not in ("source", "compression", "stored"):  # these depend on how the model is passed
                assert getattr(found, info.name) == getattr(answer, info.name), (way, info.name)
    with (DATA / name).open("rb") as file:
        assert vecload.info(file).rows == answer.rows
        assert file.read() == b""
    done = subprocess.run(
        [sys.executable, "-m", "vecload.cli", "info", "-"], input=(DATA / name).read_bytes(), capture_output=True
    )
    assert done.returncode == 0
    assert done.stdout.decode().split("\n")[1:] == [*str(answer).split("\n")[1:], ""]


def test_load_old_model_composes_end_of_line_as_gensim(tmp_path: Path) -> None:
    vectors = vecload.load(DATA / "lee_fasttext.bin")
    printed = vecload.load(DATA / "lee_fasttext.vec")  # written by fastText of that time
    assert list(vectors) == list(printed)
    np.testing.assert_allclose(vectors.matrix, printed.matrix, atol=6e-5)
    assert "</s>" in vectors.ngrams.ngrams("</s>")
    assert vectors.ngrams.counts(["</s>"]) == [10]
    vectors.save(tmp_path / "native.safetensors")
    native = vecload.load(tmp_path / "native.safetensors")
    assert np.array_equal(native.ngrams["</s>"], vectors.ngrams["</s>"])
    vectors.save(tmp_path / "new.bin", format="fasttext")
    official = fasttext.load_model(str(tmp_path / "new.bin"))
    np.testing.assert_allclose(official.get_word_vector("</s>"), vectors["</s>"], atol=1e-6)
    again = pickle.loads(pickle.dumps(vectors.ngrams))
    assert again.settings == vectors.ngrams.settings
    few = vecload.load(DATA / "lee_fasttext.bin", vocab=["</s>", "the"])
    assert np.array_equal(few["</s>"], vectors["</s>"])


def test_load_newer_model_composes_end_of_line_without_ngrams() -> None:
    for name in ("lee_fasttext_new.bin", "toy-model.bin"):
        table = vecload.load(DATA / name).ngrams
        assert table.ngrams("</s>") == []
        assert "eos_ngrams" not in table.settings


def test_load_model_saved_by_gensim_composes_end_of_line_as_gensim(tmp_path: Path) -> None:
    model = load_facebook_model(str(DATA / "crime-and-punishment.bin"))
    model.save(str(tmp_path / "g.model"))
    vectors = vecload.load(tmp_path / "g.model")
    np.testing.assert_allclose(vectors.matrix, model.wv[list(vectors)], atol=1e-6)
    assert "</s>" in vectors


# Damaged models

TOY = (DATA / "toy-model.bin").read_bytes()
OLD = (DATA / "cp852_fasttext.bin").read_bytes()
FIELDS = {name: 8 + 4 * at for at, name in enumerate("dim ws epoch minCount neg wordNgrams loss model".split())}
FIELDS |= {"bucket": 40, "minn": 44, "maxn": 48, "size": 64, "nwords": 68, "nlabels": 72}


def input_at(raw: bytes) -> int:
    """Return the offset of the byte before the input matrix, in a model of version 12 that is not pruned."""
    return slow.dictionary_end(raw, 92, int.from_bytes(raw[64:68], "little"))


def test_load_model_cut_at_any_byte_raises() -> None:
    matrix = input_at(TOY) + 1
    rows, dim = struct.unpack_from("<qq", TOY, matrix)
    whole_input = matrix + 16 + 4 * rows * dim
    for stop in range(1, len(TOY)):
        if stop == whole_input:  # finalfusion's converter stops here, and the vectors are complete
            assert np.array_equal(load_bytes(TOY[:stop]).matrix, load_bytes(TOY).matrix)
            continue
        with pytest.raises(FormatError):
            load_bytes(TOY[:stop])


def test_load_old_model_cut_short_raises() -> None:
    for stop in [*range(1, 200), *range(200, len(OLD), 97), len(OLD) - 1]:
        with pytest.raises(FormatError):
            load_bytes(OLD[:stop])


def test_load_strict_with_bytes_after_the_model_raises() -> None:
    with pytest.raises(FormatError, match="bytes after the model"):
        load_bytes(TOY + b"\0", strict=True)
    assert len(load_bytes(TOY + b"\0")) == 22


@pytest.mark.parametrize("value", [-1, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("field", ["dim", "loss", "model", "bucket", "maxn", "size", "nwords", "nlabels"])
def test_load_wrong_int32_in_header_takes_no_memory(field: str, value: int) -> None:
    raw = bytearray(TOY)
    struct.pack_into("<i", raw, FIELDS[field], value)
    refused_cheaply(bytes(raw))


@pytest.mark.parametrize("value", [-(2**63), -2, 2**63 - 1, 10**9])
@pytest.mark.parametrize("field", ["pruned", "rows", "columns"])
def test_load_wrong_int64_size_takes_no_memory(field: str, value: int) -> None:
    raw = bytearray(TOY)
    matrix = input_at(TOY) + 1
    struct.pack_into("<q", raw, {"pruned": 84, "rows": matrix, "columns": matrix + 8}[field], value)
    refused_cheaply(bytes(raw))


def refused_cheaply(raw: bytes) -> None:
    load_bytes(TOY)  # so that imports and compilation are not counted
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            load_bytes(raw)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("version", [0, 10, 13, -1])
def test_load_unknown_version_raises(version: int) -> None:
    with pytest.raises(FormatError, match="version"):
        load_bytes(TOY[:4] + struct.pack("<i", version) + TOY[8:])


def test_load_supervised_model_of_version_11_has_no_ngrams(tmp_path: Path) -> None:
    trained = fasttext.train_supervised(str(labelled(tmp_path, 40)), dim=10, minn=2, maxn=3, bucket=100, **QUIET)
    trained.save_model(str(tmp_path / "model.bin"))
    raw = (tmp_path / "model.bin").read_bytes()
    older = load_bytes(raw[:4] + struct.pack("<i", 11) + raw[8:])
    assert older.ngrams.maxn == 0
    rows = trained.get_input_matrix()[: len(older)]
    np.testing.assert_array_equal(older.matrix, rows)


def test_load_quantized_model_pruned_to_nothing_has_no_ngrams(tmp_path: Path) -> None:
    text = labelled(tmp_path)
    trained = fasttext.train_supervised(str(text), dim=10, minn=2, maxn=3, bucket=500, epoch=1, **QUIET)
    trained.quantize(dsub=2)
    trained.save_model(str(tmp_path / "model.ftz"))
    raw = bytearray((tmp_path / "model.ftz").read_bytes())
    struct.pack_into("<q", raw, 84, 0)
    (tmp_path / "none.ftz").write_bytes(raw)
    vectors = check(tmp_path / "none.ftz", fasttext.load_model(str(tmp_path / "none.ftz")))
    assert not vectors.ngrams["w1"].any()


def test_load_model_with_zero_kept_buckets_of_2017_is_not_pruned() -> None:
    raw = bytearray(TOY)
    struct.pack_into("<q", raw, 84, 0)
    vectors = load_bytes(bytes(raw))
    assert np.array_equal(vectors.ngrams["quick"], load_bytes(TOY).ngrams["quick"])


def test_load_floret_binary_model_raises_and_names_it() -> None:
    raw = TOY[:52] + struct.pack("<2i", 2, 2) + TOY[52:]
    with pytest.raises(FormatError, match="floret"):
        load_bytes(raw)


def sent2vec(model: int, *, ngrams: int) -> bytes:
    """Return a model as sent2vec's ``FastText::saveModel`` writes it: rows of words, and of n-grams of words."""
    words, dim, buckets = ["<PLACEHOLDER>", "the", "北海道"], 4, 0 if ngrams == 1 else 5
    raw = struct.pack("<2i12id", 793712314, 12, dim, 5, 5, 1, 10, ngrams, 2, model, buckets, 0, 0, 100, 1e-4)
    raw += struct.pack("<3iqq", len(words), len(words), 0, 1000, -1)
    for at, word in enumerate(words):
        raw += word.encode() + struct.pack("<bqb", 0, 100 * at, 0)
    rows = np.arange(4 * (len(words) + buckets), dtype="<f4").reshape(-1, dim)
    output = np.zeros((len(words), dim), dtype="<f4")
    for matrix in (rows, output):
        raw += struct.pack("<bqq", 0, *matrix.shape) + matrix.tobytes()
    return raw


@pytest.mark.parametrize("ngrams", [1, 2])
def test_load_sent2vec_model_reads_its_words(ngrams: int) -> None:
    vectors = load_bytes(sent2vec(4, ngrams=ngrams))
    assert list(vectors.words) == ["<PLACEHOLDER>", "the", "北海道"]
    assert vectors.matrix.tolist() == np.arange(12.0).reshape(3, 4).tolist()
    assert vectors.history.arguments["model"] == "sent2vec"
    assert vectors.history.counts.tolist() == [0, 100, 200]
    assert vectors.ngrams.counts(["the", "cow"]).tolist() == [0, 0]


def test_load_sent2vec_model_with_character_ngrams_raises_and_names_it() -> None:
    with pytest.raises(FormatError, match="not a fastText model: found a sent2vec model with character n-grams"):
        load_bytes(sent2vec(5, ngrams=1))


def test_load_model_with_nonfinite_values() -> None:
    raw = bytearray(TOY)
    struct.pack_into("<f", raw, input_at(TOY) + 17, np.nan)  # in the first word's own row
    word = next(iter(load_bytes(TOY)))
    with pytest.raises(FormatError, match=f"not finite.*{word}"):
        load_bytes(bytes(raw))
    kept = load_bytes(bytes(raw), errors="skip")
    assert len(kept) == len(kept.history.counts) == 21
    assert word not in kept
    assert np.isnan(load_bytes(bytes(raw), allow_nonfinite=True)[word]).sum() == 1


MUTATE = """
import io, random, sys
import vecload
from pathlib import Path
raw = Path(sys.argv[1]).read_bytes()
rng = random.Random(int(sys.argv[2]))
fine = 0
for _ in range(500):
    new = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(min(len(new), rng.choice((100, 600, len(new)))))
        new[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    if rng.random() < 0.1:
        del new[rng.randrange(len(new)) :]
    try:
        vectors = vecload.load(io.BytesIO(new), allow_nonfinite=True)
        vectors.ngrams.vectors(["some", "words", "\\udcff", "x" * 99])
        fine += 1
    except vecload.VecloadError:
        pass
print("mutated", fine)
"""


@pytest.mark.parametrize("name", ["toy-model.bin", "cp852_fasttext.bin", "pruned.ftz"])
def test_load_mutated_models_never_crashes(name: str, tmp_path: Path) -> None:
    path = DATA / name
    if name == "pruned.ftz":
        path = tmp_path / name
        text = labelled(tmp_path)
        trained = fasttext.train_supervised(str(text), dim=4, epoch=1, minn=2, maxn=3, bucket=300, **QUIET)
        trained.quantize(input=str(text), qnorm=True, cutoff=260, dsub=2, retrain=False)
        trained.save_model(str(path))
    done = subprocess.run([sys.executable, "-c", MUTATE, path, "0"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    fine = int(done.stdout.split()[-1])
    assert 0 < fine < 500


# Writing


def write(path: Path, vectors: Vectors, **options: str) -> Counter[str]:
    """Write as `Vectors.save` does, without the temporary file."""

    def batches() -> Iterator[Batch]:
        for begin in range(0, len(vectors), 1000):
            part = vectors.words[begin : begin + 1000]
            yield Batch(part.data, part.offsets, vectors.matrix[begin : begin + 1000])

    table = SimpleNamespace(
        meta=vectors.meta, history=vectors.history, ngrams=vectors.ngrams, dim=vectors.dim, batches=batches
    )
    return form.write(path, table, WriteOptions(**options))


WRITTEN = ["cat", "New York", "北海道", "</s>", "a\nb", "\udcff\udce9", "🙂", "nb\u00a0sp", "__label__x", "x" * 300]


def test_save_words_without_ngrams_is_read_by_fasttext_and_gensim(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(len(WRITTEN), 7)).astype("float32")
    vectors = Vectors(Words.from_strings(WRITTEN), matrix)
    write(tmp_path / "model.bin", vectors)
    model = fasttext.load_model(str(tmp_path / "model.bin"))
    for word, row in zip(WRITTEN, matrix, strict=True):
        assert np.array_equal(official_vector(model, word), row)
    assert not model.get_word_vector("unseen").any()
    assert np.array_equal(load_facebook_vectors(str(tmp_path / "model.bin"))["北海道"], matrix[2])
    back = vecload.load(tmp_path / "model.bin")
    assert list(back) == WRITTEN
    assert np.array_equal(back.matrix, matrix)
    assert back.history.counts.tolist() == [1] * len(WRITTEN)
    assert vecload.load(tmp_path / "model.bin", strict=True).history.arguments["maxn"] == 0


@pytest.mark.parametrize("name", ["crime-and-punishment.bin", "lee_fasttext.bin"])
def test_save_and_load_keeps_words_and_ngrams(name: str, tmp_path: Path) -> None:
    vectors = vecload.load(DATA / name)
    write(tmp_path / "model.bin", vectors)
    model = fasttext.load_model(str(tmp_path / "model.bin"))
    back = check(tmp_path / "model.bin", model)
    assert back.words == vectors.words
    scale = np.abs(vectors.matrix).max()
    assert np.abs(back.matrix - vectors.matrix).max() <= 1e-6 * scale
    assert np.array_equal(back.history.counts, vectors.history.counts)
    assert back.history.arguments == vectors.history.arguments
    unseen = [*UNSEEN, *(word + "x" for word in vectors)]
    if vectors.ngrams.eos_ngrams:  # in the version that is written, </s> has no n-grams
        unseen = [word for word in unseen if word != "</s>"]
    assert np.array_equal(back.ngrams.vectors(unseen), vectors.ngrams.vectors(unseen))


def test_save_vectors_unrelated_to_ngrams_keeps_vectors(tmp_path: Path) -> None:
    """The words' own rows compensate for n-gram rows that have nothing to do with the vectors."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(scale=5, size=(len(WRITTEN), 7)).astype("float32")
    table = NgramTable(rng.normal(size=(50, 7)), minn=1, maxn=6)
    write(tmp_path / "model.bin", Vectors(Words.from_strings(WRITTEN), matrix, ngrams=table))
    model = fasttext.load_model(str(tmp_path / "model.bin"))
    for word, row in zip(WRITTEN, matrix, strict=True):
        np.testing.assert_allclose(official_vector(model, word), row, atol=2e-6)


def test_save_quantized_table_writes_decoded_rows(tmp_path: Path) -> None:
    text = labelled(tmp_path)
    trained = fasttext.train_supervised(str(text), dim=10, epoch=1, minn=2, maxn=3, bucket=500, **QUIET)
    trained.quantize(dsub=2)
    trained.save_model(str(tmp_path / "model.ftz"))
    vectors = vecload.load(tmp_path / "model.ftz")
    write(tmp_path / "model.bin", vectors)
    back = vecload.load(tmp_path / "model.bin")
    np.testing.assert_allclose(back.matrix, vectors.matrix, atol=1e-6)
    np.testing.assert_allclose(back.ngrams.vectors(UNSEEN), vectors.ngrams.vectors(UNSEEN), atol=1e-6)


def test_save_pruned_or_floret_table_raises(tmp_path: Path) -> None:
    words, matrix = Words.from_strings(["a"]), np.ones((1, 2), dtype="float32")
    pruned = NgramTable(matrix, minn=3, maxn=6, bucket=9, kept=np.array([[1, 0]]))
    with pytest.raises(OptionError, match="pruned"):
        write(tmp_path / "model.bin", Vectors(words, matrix, ngrams=pruned))
    floret = NgramTable(matrix, minn=3, maxn=6, kind="floret")
    with pytest.raises(OptionError, match="floret"):
        write(tmp_path / "model.bin", Vectors(words, matrix, ngrams=floret))


def test_save_words_with_nul_by_unencodable(tmp_path: Path) -> None:
    vectors = Vectors(Words.from_strings(["a\0b", "c"]), np.eye(2, dtype="float32"))
    with pytest.raises(FormatError, match="cannot represent"):
        write(tmp_path / "model.bin", vectors)
    assert write(tmp_path / "model.bin", vectors, unencodable="skip").total() == 1
    assert list(vecload.load(tmp_path / "model.bin")) == ["c"]
    write(tmp_path / "model.bin", vectors, unencodable="escape")
    assert list(vecload.load(tmp_path / "model.bin")) == ["a%00b", "c"]


def test_save_keeps_counts_of_words(tmp_path: Path) -> None:
    vectors = vecload.load(DATA / "crime-and-punishment.bin")
    some = vectors.select(["landlady", "the"])
    assert some.history.counts.tolist() == vectors.history.counts[vectors.words.lookup(some.words)].tolist()
    vecload.convert(DATA / "crime-and-punishment.bin", tmp_path / "copy.bin", format="fasttext")
    copy = vecload.load(tmp_path / "copy.bin")
    assert copy.history.counts.tolist() == vectors.history.counts.tolist()
    vectors.save(tmp_path / "copy.safetensors")
    assert "counts" not in vecload.load(tmp_path / "copy.safetensors").meta
