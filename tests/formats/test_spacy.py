"""Folders of spaCy, compared with spaCy itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vecload
from tests.builders import ODD_WORDS, small_vectors
from tests.formats.battery import check_mutations
from tests.formats.tables import TableOf, same
from tests.strategies import raw_words
from vecload import Vectors, Words
from vecload.errors import FormatError, MissingDependencyError
from vecload.formats import spacy as format_spacy
from vecload.formats.contract import WriteOptions
from vecload.formats.spacy import hash_words

spacy = pytest.importorskip("spacy")
from spacy.strings import StringStore, hash_string  # noqa: E402
from spacy.vectors import Vectors as SpacyVectors  # noqa: E402
from spacy.vocab import Vocab  # noqa: E402

WORDS = ["cat", "NOUN", "dog", "", "X", "北海道", "dep", "a\u00a0b", "New York", "PERSON"]


def murmur64a(raw: bytes, seed: int = 1) -> int:
    """Compute MurmurHash64A with Python integers, as a reference."""
    factor, mask = 0xC6A4A7935BD1E995, (1 << 64) - 1
    state = seed ^ (len(raw) * factor & mask)
    for at in range(0, len(raw) - 7, 8):
        block = int.from_bytes(raw[at : at + 8], "little") * factor & mask
        state = ((state ^ ((block ^ (block >> 47)) * factor & mask)) * factor) & mask
    if len(raw) % 8:
        state = ((state ^ int.from_bytes(raw[len(raw) // 8 * 8 :], "little")) * factor) & mask
    state = ((state ^ (state >> 47)) * factor) & mask
    return state ^ (state >> 47)


def test_hash_words_gives_published_values() -> None:
    assert hash_words(Words.from_strings(["coffee", "apple", ""])).tolist() == [
        3197928453018144401,
        8566208034543834098,
        0,
    ]


@settings(max_examples=200)
@given(raw_words(40, max_count=20))
def test_hash_words_equals_reference_for_any_bytes(raws: list[bytes]) -> None:
    want = [murmur64a(raw) if raw else 0 for raw in raws]
    assert hash_words(Words.from_bytes(raws)).tolist() == want


@given(st.text(min_size=1, max_size=30).filter(lambda text: "\0" not in text))
def test_hash_words_equals_spacy(text: str) -> None:
    try:
        words = Words.from_strings([text])
    except vecload.errors.VocabularyError:
        return
    assert hash_words(words)[0] == hash_string(text)


@pytest.fixture
def matrix() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(WORDS), 4)).astype(np.float32)


@pytest.fixture
def pipeline(matrix: np.ndarray, tmp_path: Path) -> Path:
    nlp = spacy.blank("en")
    for word, row in zip(WORDS, matrix, strict=True):
        nlp.vocab.set_vector(word, row)
    nlp.to_disk(tmp_path / "pipeline")
    return tmp_path / "pipeline"


def test_load_pipeline_vocab_or_vectors_folder(pipeline: Path, matrix: np.ndarray, tmp_path: Path) -> None:
    Vocab().from_disk(pipeline / "vocab").vectors.to_disk(tmp_path / "alone")
    for path in (pipeline, pipeline / "vocab", tmp_path / "alone"):
        vectors = vecload.load(path)
        if path.name == "alone":  # its string store does not have these words
            (path / "strings.json").write_bytes((pipeline / "vocab" / "strings.json").read_bytes())
            vectors = vecload.load(path)
        assert list(vectors.words) == WORDS
        assert np.array_equal(vectors.matrix, matrix)
        assert isinstance(vectors.matrix.base, np.memmap)
        assert vectors.meta["format"] == "spaCy"


def test_load_honors_vocab_limit_and_dtype(pipeline: Path, matrix: np.ndarray) -> None:
    assert list(vecload.load(pipeline, limit=3).words) == WORDS[:3]
    some = vecload.load(pipeline, vocab=["dep", "nothing", ""], dtype="float64")
    assert list(some.words) == ["", "dep"]
    assert np.array_equal(some.matrix, matrix[[3, 6]].astype(np.float64))


def test_load_words_that_share_a_row(tmp_path: Path) -> None:
    strings = StringStore(["a", "b", "c", "d"])
    data = np.arange(6, dtype=np.float32).reshape(3, 2)
    table = SpacyVectors(strings=strings, data=data)
    for word, row in [("a", 2), ("b", 0), ("c", 2), ("d", 0)]:
        table.add(strings[word], row=row)
    table.to_disk(tmp_path / "shared")
    vectors = vecload.load(tmp_path / "shared")
    assert {word: vectors[word].tolist() for word in vectors} == {"a": [4, 5], "b": [0, 1], "c": [4, 5], "d": [0, 1]}
    assert list(vectors.words) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("tidy", ["prune_vectors", "deduplicate_vectors"])
def test_load_keeps_the_order_of_keys(tidy: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nlp = spacy.blank("en")
    words = [f"w{at}" for at in range(100)]  # in order of decreasing frequency
    rows = rng.normal(size=(100, 5)).astype(np.float32)
    rows[60:] = rows[:40]
    for word, row in zip(words, rows, strict=True):
        nlp.vocab.set_vector(word, row)
    if tidy == "prune_vectors":  # as `spacy init vectors --prune`: every second word gets a similar row
        nlp.vocab.prune_vectors(10)
    else:  # as `spacy init vectors`, which sorts the rows
        nlp.vocab.deduplicate_vectors()
    nlp.to_disk(tmp_path / "pipeline")
    vectors = vecload.load(tmp_path / "pipeline")
    assert list(vectors.words) == [nlp.vocab.strings[key] for key in nlp.vocab.vectors.key2row]
    assert list(vectors.words)[:10] == words[:10]
    assert np.array_equal(vectors.matrix, np.stack([nlp.vocab.get_vector(word) for word in vectors.words]))
    first = vecload.load(tmp_path / "pipeline", limit=10)
    assert list(first.words) == words[:10]
    assert len(np.unique(first.matrix, axis=0)) == 10
    assert vecload.info(tmp_path / "pipeline").words == tuple(words[:8])
    near = vectors.neighbors("w99", 3, limit=10)
    assert {word for word, _ in near} <= set(words[:10])
    vecload.convert(tmp_path / "pipeline", tmp_path / "out.safetensors", limit=20)
    assert list(vecload.load(tmp_path / "out.safetensors").words)[:10] == words[:10]


def test_load_old_folder_with_keys_file(matrix: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "vectors.npy", matrix)
    (tmp_path / "vectors.npy").rename(tmp_path / "vectors")
    words = [word for word in WORDS if word not in ("NOUN", "X", "dep", "PERSON")]
    np.save(tmp_path / "keys.npy", np.array([hash_string(word) if word else 0 for word in words], dtype=np.uint64))
    (tmp_path / "keys.npy").rename(tmp_path / "keys")
    (tmp_path / "strings.json").write_text(json.dumps(words))
    vectors = vecload.load(tmp_path)
    assert list(vectors.words) == words
    assert np.array_equal(vectors.matrix, matrix[: len(words)])


def test_load_counts_keys_without_strings(pipeline: Path) -> None:
    (pipeline / "vocab" / "strings.json").write_text('["cat"]')
    vectors = vecload.load(pipeline)
    assert set(vectors.words) == {"cat", "", "NOUN", "X", "dep", "PERSON"}  # symbols are found without strings.json
    assert vectors.meta["skipped"] == {"a key without its string": 4}


def test_load_symbol_names_without_spacy_raises_or_skips(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy.symbols", None)
    with pytest.raises(MissingDependencyError, match=r"vecload\[spacy\]"):
        vecload.load(pipeline)
    vectors = vecload.load(pipeline, errors="skip")
    assert list(vectors.words) == [word for word in WORDS if word not in ("NOUN", "X", "dep", "PERSON")]
    assert vectors.meta["skipped"] == {"a symbol's name": 4}


FLORET = {"minn": 3, "maxn": 4, "hash_count": 2, "hash_seed": 7, "bow": "[", "eow": "]"}


def test_load_floret_folder_composes_as_spacy(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    theirs = SpacyVectors(mode="floret", data=data, attr="LOWER", **FLORET)
    theirs.to_disk(tmp_path / "floret")
    vectors = vecload.load(tmp_path / "floret")
    assert len(vectors) == 0
    assert vectors.ngrams is not None
    words = ["cat", "北海道", "a", "🙂🙂🙂"]
    store = StringStore(words)
    theirs = SpacyVectors(mode="floret", data=data, strings=store, **FLORET)
    np.testing.assert_allclose(
        vectors.ngrams.vectors(words), theirs.get_batch([store[word] for word in words]), atol=1e-6
    )
    format_spacy.write(tmp_path / "again", TableOf(vectors), WriteOptions())
    assert (tmp_path / "again" / "vectors").read_bytes() == (tmp_path / "floret" / "vectors").read_bytes()
    assert json.loads((tmp_path / "again" / "vectors.cfg").read_text()) == {"mode": "floret", **FLORET, "attr": 66}
    loaded = Vocab().from_disk(tmp_path / "again")
    again = loaded.vectors.get_batch([loaded.strings.add(word) for word in words])
    np.testing.assert_allclose(again, vectors.ngrams.vectors(words), atol=1e-6)


@pytest.mark.parametrize("counted", [True, False])
def test_save_is_read_by_spacy(counted: bool, tmp_path: Path) -> None:
    words = [
        *WORDS,
        *(word for word in ODD_WORDS if word not in WORDS and "\udcff" not in word),
        'quo"te',
        "li\nne",
        "nul\0",
    ]
    vectors = small_vectors(words, dim=5)
    assert format_spacy.write(tmp_path / "written", TableOf(vectors, counted=counted), WriteOptions()) == {}
    vocab = Vocab().from_disk(tmp_path / "written")
    assert vocab.vectors.shape == (len(words), 5)
    for word in words:
        if word and "\0" not in word:  # spaCy hashes up to a NUL
            assert np.array_equal(vocab.get_vector(word), vectors[word]), word
    assert same(vecload.load(tmp_path / "written"), vectors)


def test_save_words_that_are_not_utf8_raises_or_skips(tmp_path: Path) -> None:
    vectors = small_vectors(["a", "\udcff", "é"])
    with pytest.raises(FormatError, match=r"a word that spaCy cannot represent: found '\\udcff'"):
        format_spacy.write(tmp_path / "refused", TableOf(vectors), WriteOptions())
    assert format_spacy.write(tmp_path / "dropped", TableOf(vectors), WriteOptions(unencodable="skip")).total() == 1
    assert list(vecload.load(tmp_path / "dropped").words) == ["a", "é"]


def test_save_empty_vectors(tmp_path: Path) -> None:
    format_spacy.write(
        tmp_path / "none", TableOf(Vectors(Words.from_bytes([]), np.zeros((0, 3), dtype=np.float32))), WriteOptions()
    )
    Vocab().from_disk(tmp_path / "none")
    assert len(vecload.load(tmp_path / "none")) == 0


@pytest.mark.parametrize("name", ["vectors", "key2row", "strings.json", "vectors.cfg"])
def test_load_file_cut_at_any_byte_raises(name: str, tmp_path: Path) -> None:
    format_spacy.write(tmp_path / "cut", TableOf(small_vectors(["a", "b", "é"], dim=2)), WriteOptions())
    path = tmp_path / "cut" / name
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(FormatError):
            vecload.load(tmp_path / "cut")
    path.unlink()
    if name == "vectors.cfg":
        assert len(vecload.load(tmp_path / "cut")) == 3
    else:
        with pytest.raises(FormatError):
            vecload.load(tmp_path / "cut")


def test_load_mutated_files_gives_vectors_or_format_error(tmp_path: Path) -> None:
    format_spacy.write(tmp_path / "mutated", TableOf(small_vectors(["a", "b", "é"], dim=2)), WriteOptions())
    for name in ("vectors", "key2row", "strings.json", "vectors.cfg"):
        check_mutations(tmp_path / "mutated" / name, tmp_path / "mutated", rounds=150)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vectors.cfg", b'{"mode": "other"}', "unknown mode: found 'other'"),
        ("vectors.cfg", b'["mode"]', "wrong type of JSON value"),
        ("vectors.cfg", b'{"mode": "floret"}', "invalid settings of n-grams"),
        (
            "vectors.cfg",
            json.dumps({"mode": "floret", **FLORET, "hash_count": 9}).encode(),
            "invalid settings of n-grams",
        ),
        ("vectors.cfg", json.dumps({"mode": "floret", **FLORET, "minn": "3"}).encode(), "invalid settings of n-grams"),
        ("strings.json", b'{"a": 1}', "wrong type of JSON value"),
        ("strings.json", b"[1, 2]", "not a list of strings"),
        ("strings.json", b'["\\ud800"]', "not a list of strings"),
        ("strings.json", b"[" * 100_000, "invalid JSON"),
        ("key2row", b"\x81\x01\x63", "row number out of range"),
        ("key2row", b"\x81\x01\xff", "row number out of range"),
        ("key2row", b"\x81\xff\x01", "invalid map of keys to rows"),
        ("key2row", b"\x81\xa1a\x01", "invalid map of keys to rows"),
        ("key2row", b"\x93\x01\x02\x03", "invalid map of keys to rows"),
        ("key2row", b"\xdf\xff\xff\xff\xff", "invalid map of keys to rows"),
        ("vectors", b"not an array", "not a NumPy array"),
    ],
)
def test_load_invalid_file_raises(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    format_spacy.write(tmp_path / "bad", TableOf(small_vectors(["a", "b", "é"], dim=2)), WriteOptions())
    (tmp_path / "bad" / name).write_bytes(content)
    with pytest.raises(FormatError, match=message):
        vecload.load(tmp_path / "bad")


def test_load_other_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="a directory, not a file"):
        vecload.load(tmp_path)
