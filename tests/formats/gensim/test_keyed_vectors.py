"""Files of gensim compared with gensim, or with pickle and empty classes where gensim no longer reads them."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import pickle
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecload
from tests.builders import ODD_WORDS, small_vectors
from tests.formats.tables import TableOf, same
from vecload.arrays import type_of
from vecload.errors import FormatError
from vecload.formats.contract import WriteOptions
from vecload.formats.gensim import keyed_vectors

gensim = pytest.importorskip("gensim")
from gensim.models import Doc2Vec, FastText, KeyedVectors, Word2Vec  # noqa: E402
from gensim.models.doc2vec import TaggedDocument  # noqa: E402
from gensim.models.fasttext import ft_ngram_hashes  # noqa: E402

DATA = Path(gensim.__file__).parent / "test" / "test_data"
TEXTS = [["human", "interface", "computer"], ["survey", "user", "北海道", "é"], ["user", "human", "trees"]] * 3


def pickled_by_gensim(path: Path) -> bool:
    head = path.read_bytes()[:200]
    if head.startswith(b"\x1f\x8b"):
        head = gzip.decompress(path.read_bytes())[:200]
    return head[:1] == b"\x80" and b"gensim.models." in head


PATHS = (path for path in DATA.rglob("*") if path.is_file() and pickled_by_gensim(path))
FILES = sorted(path.relative_to(DATA).as_posix() for path in PATHS)
OTHERS = ("lda", "phras", "tfidf", "nmf", "atmodel", "0_13_2")
VECTORS = [name for name in FILES if not any(part in name for part in OTHERS)]


class Plain(pickle.Unpickler):
    """Unpickle with empty classes in place of gensim's. These files are known to be harmless."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("gensim"):
            return type(name, (), {"__init__": lambda self, *_: None})
        if (module, name) == ("numpy.random", "__RandomState_ctor"):
            return type(name, (), {"__setstate__": lambda self, _: None})
        if (module, name) in (("UserString", "defaultdict"), ("collections", "defaultdict")):
            return type(name, (dict,), {"__init__": lambda self, *_: None})
        return super().find_class(module, name)


def by_plain_pickle(path: Path) -> tuple[list[str], np.ndarray]:
    raw = path.read_bytes()
    value = Plain(io.BytesIO(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw), encoding="latin1").load()
    inner = next((getattr(value, name) for name in ("wv", "kv") if hasattr(value, name)), value)
    prefix = "" if inner is value else ".wv"
    words = next(getattr(inner, name) for name in ("index_to_key", "index2word") if hasattr(inner, name))
    for name in ("vectors", "syn0"):
        if name in getattr(inner, "__numpys", ()):
            return words, np.load(f"{path}{prefix}.{name}.npy")
        if getattr(inner, name, None) is not None:
            return words, getattr(inner, name)
    raise AssertionError(path)


def test_gensim_test_data_exists() -> None:
    assert len(VECTORS) > 50
    assert len(FILES) > len(VECTORS)


@pytest.mark.parametrize("name", VECTORS)
def test_load_files_of_gensim_test_data_equals_gensim(name: str) -> None:
    vectors = vecload.load(DATA / name)
    words, matrix = by_plain_pickle(DATA / name)
    assert list(vectors.words) == words
    assert np.array_equal(vectors.matrix, matrix)
    try:
        value = KeyedVectors.load(str(DATA / name))
        value = getattr(value, "wv", getattr(value, "kv", value))
        keys = value.index_to_key
    except (AttributeError, ModuleNotFoundError, TypeError):  # too old for the installed gensim
        return
    assert list(vectors.words) == keys
    np.testing.assert_allclose(vectors.matrix, value.vectors, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(FILES) - set(VECTORS)))
def test_load_objects_without_word_vectors_raises(name: str) -> None:
    with pytest.raises(FormatError, match=r"refused to read the pickle: found the name gensim\.models"):
        vecload.load(DATA / name)


def test_load_gives_published_value() -> None:
    vector = vecload.load(DATA / "old_keyedvectors_320.dat")["computer"]
    np.testing.assert_allclose(vector[:3], [0.00330005, 0.00266475, -0.00035939], rtol=1e-4)


@pytest.fixture(scope="module")
def model() -> Any:
    return Word2Vec(TEXTS, vector_size=6, min_count=1, epochs=1, seed=1, workers=1)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("sep_limit", [1 << 40, 0])
@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2"])
@pytest.mark.parametrize("whole", [True, False], ids=["model", "kv"])
def test_load_model_saved_by_installed_gensim(
    model: Any, protocol: int, sep_limit: int, suffix: str, whole: bool, tmp_path: Path
) -> None:
    path = tmp_path / f"saved.kv{suffix}"
    (model if whole else model.wv).save(str(path), sep_limit=sep_limit, pickle_protocol=protocol)
    vectors = vecload.load(path)
    assert list(vectors.words) == model.wv.index_to_key
    assert np.array_equal(vectors.matrix, model.wv.vectors)
    assert vectors.meta["format"] == ("gensim Word2Vec" if whole else "gensim KeyedVectors")
    mapped = sep_limit == 0 and not suffix
    assert (not vectors.matrix.flags.owndata and isinstance(vectors.matrix, np.memmap)) == mapped


def test_load_model_saved_to_open_file(model: Any) -> None:
    file = io.BytesIO()
    model.wv.save(file)
    file.seek(0)
    assert np.array_equal(vecload.load(file).matrix, model.wv.vectors)
    assert np.array_equal(vecload.load(io.BytesIO(bz2.compress(file.getvalue()))).matrix, model.wv.vectors)


def test_load_doc2vec_with_integer_tags(tmp_path: Path) -> None:
    model = Doc2Vec([TaggedDocument(text, [at]) for at, text in enumerate(TEXTS)], vector_size=4, min_count=1, epochs=1)
    model.save(str(tmp_path / "d2v"))
    model.dv.save(str(tmp_path / "dv"))
    assert list(vecload.load(tmp_path / "d2v").words) == model.wv.index_to_key
    tags = vecload.load(tmp_path / "dv")
    assert list(tags.words) == [str(at) for at in range(len(TEXTS))]
    assert np.array_equal(tags.matrix, model.dv.vectors)


def test_load_keyed_vectors_with_missing_keys_skips_rows(tmp_path: Path) -> None:
    text = tmp_path / "repeated.txt"
    text.write_text("3 2\na 1 2\na 3 4\nb 5 6\n")
    kept = KeyedVectors.load_word2vec_format(str(text))
    kept.save(str(tmp_path / "kv"))
    vectors = vecload.load(tmp_path / "kv")
    assert list(vectors.words) == ["a", "b"]
    assert vectors.matrix.tolist() == [[1, 2], [5, 6]]
    assert vectors.meta.get("skipped", {}) == ({} if None not in kept.index_to_key else {"a row without a word": 1})


def test_load_pickle_of_other_object_raises() -> None:
    with pytest.raises(FormatError, match="no matrix of vectors: found a dict of a: list"):
        vecload.load(io.BytesIO(pickle.dumps({"a": ["x"]})))


def test_load_honors_vocab_limit_and_dtype(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "kv"
    model.wv.save(str(path), sep_limit=0)
    assert list(vecload.load(path, limit=2).words) == model.wv.index_to_key[:2]
    some = vecload.load(path, vocab=["北海道", "nothing"])
    assert list(some.words) == ["北海道"]
    assert np.array_equal(some["北海道"], model.wv["北海道"])
    for dtype in ("float16", "float64"):
        assert np.array_equal(vecload.load(path, dtype=dtype).matrix, model.wv.vectors.astype(dtype))
    model.wv.vectors[1, 2] = np.nan
    model.wv.save(str(path), sep_limit=0)
    with pytest.raises(FormatError, match=rf"a value that is not finite.*in the row of '{model.wv.index_to_key[1]}'"):
        vecload.load(path)
    assert len(vecload.load(path, errors="skip")) == len(model.wv) - 1
    assert len(vecload.load(path, allow_nonfinite=True)) == len(model.wv)
    model.wv.vectors[1, 2] = 0


def test_load_names_missing_or_wrong_array_file(model: Any, tmp_path: Path) -> None:
    model.save(str(tmp_path / "m"), sep_limit=0)
    (tmp_path / "m.wv.vectors.npy").rename(tmp_path / "elsewhere.npy")
    with pytest.raises(FormatError, match=r"keep m\.wv\.vectors\.npy in the same folder"):
        vecload.load(tmp_path / "m")
    with pytest.raises(FormatError, match="pass the path of the model"):
        vecload.load(io.BytesIO((tmp_path / "m").read_bytes()))
    np.save(tmp_path / "m.wv.vectors.npy", np.zeros((2, 6), dtype=np.float32))
    with pytest.raises(FormatError, match=r"invalid vectors: found shape \(2, 6\)"):
        vecload.load(tmp_path / "m")
    np.save(tmp_path / "m.wv.vectors.npy", np.array([{}], dtype=object))
    with pytest.raises(FormatError, match="not a NumPy array"):
        vecload.load(tmp_path / "m")


def test_load_array_file_cut_at_any_byte_raises(model: Any, tmp_path: Path) -> None:
    model.wv.save(str(tmp_path / "kv"), sep_limit=0)
    model.wv.save(str(tmp_path / "kv.gz"), sep_limit=0)
    for side in (tmp_path / "kv.vectors.npy", tmp_path / "kv.gz.vectors.npz"):
        whole = side.read_bytes()
        for cut in range(len(whole)):
            side.write_bytes(whole[:cut])
            with pytest.raises(FormatError):
                vecload.load(side.with_name(side.name[: -len(".vectors.npy")]))


def test_load_damaged_compressed_array_file_raises(model: Any, tmp_path: Path) -> None:
    model.wv.save(str(tmp_path / "kv.gz"), sep_limit=0)
    side = tmp_path / "kv.gz.vectors.npz"
    whole, refusals = side.read_bytes(), 0
    for at, byte in itertools.product(range(4, len(whole), 3), (0x0E, 0xFF)):  # 0x0E is the zip method LZMA
        damaged = bytearray(whole)
        damaged[at] = byte
        side.write_bytes(damaged)
        try:
            vecload.load(tmp_path / "kv.gz")
        except FormatError:
            refusals += 1
    assert refusals > 100


def test_load_ignores_file_names_in_the_pickle(tmp_path: Path) -> None:
    np.save(tmp_path / "secret.npy", np.eye(1, dtype=np.float32))
    folder = tmp_path / "a"
    folder.mkdir()
    state = {"index_to_key": ["a"], "__numpys": ["../../secret", "../secret.npy", "vectors"], "vectors": None}
    body = pickle.dumps(state, protocol=2)[2:-1]
    (folder / "kv").write_bytes(b"\x80\x02cgensim.models.keyedvectors\nKeyedVectors\n)\x81" + body + b"b.")
    with pytest.raises(FormatError, match=r"keep kv\.vectors\.npy in the same folder"):
        vecload.load(folder / "kv")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"index_to_key": ["a"]}, "without word vectors"),
        ({"vectors": np.eye(2)}, "without word vectors"),
        ({"index_to_key": ["a", "b"], "vectors": np.eye(3)}, "found shape (3, 3)"),
        ({"index_to_key": ["a", "b"], "vectors": np.eye(2, dtype=int)}, "int64"),
        ({"index_to_key": ["a", "b"], "vectors": np.zeros(2)}, "found shape (2,)"),
        ({"index_to_key": ["a", "b"], "vectors": [[1], [2]]}, "without word vectors"),
        ({"index_to_key": ["a", ("b",)], "vectors": np.eye(2)}, "a word that is not text: found a tuple"),
        ({"index_to_key": ["a", "\ud800"], "vectors": np.eye(2)}, "lone surrogate"),
        ({"index_to_key": {"a": 0}, "vectors": np.eye(1)}, "without word vectors"),
        (None, "without word vectors"),
        ([1], "without word vectors"),
    ],
)
def test_load_incomplete_object_raises(state: Any, message: str) -> None:
    body = pickle.dumps(state, protocol=2)[2:-1]
    with pytest.raises(FormatError) as caught:
        vecload.load(io.BytesIO(b"\x80\x02cgensim.models.keyedvectors\nKeyedVectors\n)\x81" + body + b"b."))
    assert message in str(caught.value)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("counted", [True, False])
def test_save_is_read_by_gensim(dtype: str, counted: bool, tmp_path: Path) -> None:
    vectors = small_vectors(dtype=dtype)
    keyed_vectors.write(tmp_path / "written.kv", TableOf(vectors, counted=counted), WriteOptions())
    kept = KeyedVectors.load(str(tmp_path / "written.kv"))
    assert kept.index_to_key == list(vectors.words)
    assert kept.vectors.dtype == vectors.dtype
    assert np.array_equal(kept.vectors, vectors.matrix)
    assert np.array_equal(kept["New York"], vectors["New York"])
    assert kept.most_similar("cat", topn=1)
    kept.add_vectors(["new"], np.ones((1, 5), dtype=dtype))
    assert same(vecload.load(tmp_path / "written.kv"), vectors)


def test_save_many_words_keeps_all(tmp_path: Path) -> None:
    vectors = small_vectors([f"w{at}" for at in range(5000)], dim=3)
    keyed_vectors.write(tmp_path / "many.kv", TableOf(vectors, step=999), WriteOptions())
    assert KeyedVectors.load(str(tmp_path / "many.kv")).key_to_index["w4321"] == 4321
    assert same(vecload.load(tmp_path / "many.kv"), vectors)


def test_load_saved_file_cut_at_any_byte_raises(tmp_path: Path) -> None:
    path = tmp_path / "written.kv"
    keyed_vectors.write(path, TableOf(small_vectors(ODD_WORDS[:3], dim=2)), WriteOptions())
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(FormatError):
            vecload.load(path)


def test_load_does_not_import_gensim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(DATA / "word2vec_3.3", tmp_path / "old")
    blocked = types.ModuleType("gensim")
    blocked.__getattr__ = lambda name: pytest.fail(f"gensim.{name} was looked up")  # type: ignore[method-assign]
    for name in [name for name in sys.modules if name.partition(".")[0] == "gensim"]:
        monkeypatch.setitem(sys.modules, name, blocked)
    assert len(vecload.load(tmp_path / "old")) == 4


@pytest.fixture(scope="module")
def fasttext() -> Any:
    return FastText(TEXTS, vector_size=6, min_count=1, epochs=1, seed=1, workers=1, bucket=500, min_n=2, max_n=4)


OOV = ["humans", "京都の北海道", "é!", "x", "surveyor", "", "🙂🙂"]


@pytest.mark.parametrize("sep_limit", [1 << 40, 0])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("whole", [True, False], ids=["model", "kv"])
def test_load_fasttext_saved_by_installed_gensim(
    fasttext: Any, sep_limit: int, suffix: str, whole: bool, tmp_path: Path
) -> None:
    path = str(tmp_path / f"ft{suffix}")
    (fasttext if whole else fasttext.wv).save(path, sep_limit=sep_limit)
    vectors = vecload.load(path)
    assert list(vectors.words) == fasttext.wv.index_to_key
    np.testing.assert_allclose(vectors.matrix, fasttext.wv.vectors, atol=1e-6)
    assert vectors.ngrams is not None
    np.testing.assert_allclose(vectors.ngrams.vectors(OOV), [fasttext.wv[word] for word in OOV], atol=1e-6)
    some = vecload.load(path, vocab=["trees", "nothing"], dtype="float64")
    np.testing.assert_allclose(some.matrix, [fasttext.wv["trees"]], atol=1e-6)
    assert some.matrix.dtype == np.float64


def test_load_fasttext_saved_to_open_file(fasttext: Any) -> None:
    file = io.BytesIO()
    fasttext.wv.save(file)
    vectors = vecload.load(io.BytesIO(file.getvalue()))
    np.testing.assert_allclose(vectors.matrix, fasttext.wv.vectors, atol=1e-6)


def test_load_pruned_ngrams_of_gensim_3() -> None:
    """gensim 4 raises IndexError for these files, so the rule of version 3.8 is implemented here."""
    path = DATA / "compatible-hash-true.model"
    ngrams = vecload.load(path).ngrams
    kept = Plain(io.BytesIO(path.read_bytes()), encoding="latin1").load().wv
    assert ngrams is not None
    for word in ["anarchist", "thee", "with", "anarchism", "日本", "of the"]:
        buckets = ft_ngram_hashes(word, kept.min_n, kept.max_n, kept.bucket)
        rows = [kept.vectors_ngrams[kept.hash2index[bucket]] for bucket in buckets if bucket in kept.hash2index]
        np.testing.assert_allclose(ngrams[word], np.mean(rows, axis=0), atol=1e-6)
        assert ngrams.counts([word])[0] == len(rows)


@pytest.mark.parametrize("name", ["ft_kv_3.6.0.model.gz", "fasttext_old", "ft_model_2.3.0", "lee_fasttext"])
def test_load_drops_ngrams_with_incompatible_hash(name: str) -> None:
    vectors = vecload.load(DATA / name)
    assert vectors.ngrams is None
    assert vectors.meta["ngrams"].startswith("dropped")


@pytest.mark.parametrize(
    "change",
    [
        {"vectors_ngrams": np.zeros((3, 2))},
        {"vectors_ngrams": np.zeros((5, 3), dtype=np.float32)},
        {"bucket": "many"},
        {"bucket": -1},
        {"bucket": 1 << 40},
        {"min_n": None},
        {"max_n": 1 << 40},
        {"hash2index": [1]},
        {"hash2index": {1: 7}},
        {"hash2index": {1: "a"}},
        {"hash2index": {1 << 40: 1}},
        {"hash2index": {0: -1}},
    ],
    ids=str,
)
def test_load_invalid_ngram_table_raises(change: dict[str, Any]) -> None:
    state = {"index_to_key": ["a"], "vectors_vocab": np.zeros((1, 2), dtype=np.float32), "compatible_hash": True}
    state |= {"vectors_ngrams": np.zeros((5, 2), dtype=np.float32), "bucket": 5, "min_n": 1, "max_n": 2}
    head = b"\x80\x02cgensim.models.fasttext\nFastTextKeyedVectors\n)\x81"
    assert vecload.load(io.BytesIO(head + pickle.dumps(state, protocol=2)[2:-1] + b"b.")).ngrams is not None
    with pytest.raises(FormatError):
        vecload.load(io.BytesIO(head + pickle.dumps(state | change, protocol=2)[2:-1] + b"b."))


def test_from_gensim_shares_the_matrix(model: Any, fasttext: Any) -> None:
    for given in (model, model.wv):
        vectors = vecload.Vectors.from_gensim(given)
        assert list(vectors.words) == model.wv.index_to_key
        assert np.shares_memory(vectors.matrix, model.wv.vectors)
    vectors = vecload.Vectors.from_gensim(fasttext)
    assert vectors.ngrams is not None
    np.testing.assert_allclose(vectors.ngrams.vectors(OOV), [fasttext.wv[word] for word in OOV], atol=1e-6)
    with pytest.raises(FormatError, match="the dict: a gensim object without word vectors"):
        vecload.Vectors.from_gensim({})


def test_to_gensim_and_back_keeps_vectors() -> None:
    vectors = small_vectors()
    kept = vectors.to_gensim()
    assert np.shares_memory(kept.vectors, vectors.matrix)
    assert kept.most_similar("cat", topn=3)
    assert kept.get_index("北海道") == 2
    assert same(vecload.Vectors.from_gensim(kept), vectors)
    half = small_vectors(["a", "b"], dtype=np.float16)
    assert half.to_gensim().vectors.dtype == np.float16
    brain = small_vectors(["a", "b"], dtype=type_of("bfloat16"))
    assert np.array_equal(brain.to_gensim()["a"], brain["a"].astype(np.float32))
