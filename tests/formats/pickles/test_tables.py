"""Tests of plain pickles: dictionaries of vectors, and words with a matrix."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vecload
from vecload.errors import FormatError

WORDS = ["the", "New York", "北海道"]
MATRIX = np.array([[1.5, -2], [0.25, 3], [4, 5e-3]], dtype=np.float32)
NUMBERS = {word: row for row, word in enumerate(WORDS)}
TABLES = {
    "lists": dict(zip(WORDS, MATRIX.astype(np.float64).tolist(), strict=True)),
    "arrays": dict(zip(WORDS, MATRIX, strict=True)),
    "pair": (WORDS, MATRIX),
    "pair reversed": [MATRIX, WORDS],
    "embedding, word_dict": {"embedding": MATRIX, "word_dict": NUMBERS},
    "vectors, vocab": {"vocab": WORDS, "vectors": MATRIX},
    "vectors, words": {"vectors": MATRIX.astype(np.float64).tolist(), "words": tuple(WORDS)},
    "row to word": {"id2word": dict(enumerate(WORDS)), "syn0": MATRIX},
}


def dump(value: Any, path: Path, protocol: int) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("table", TABLES)
def test_load_reads_plain_pickles(table: str, protocol: int, tmp_path: Path) -> None:
    vectors = vecload.load(dump(TABLES[table], tmp_path / "v.pkl", protocol))
    assert list(vectors.words) == WORDS
    np.testing.assert_array_equal(vectors.matrix, MATRIX)
    assert vectors.meta["format"] == "pickle"
    assert vecload.info(tmp_path / "v.pkl").rows == 3


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), st.integers(-9, 9), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
def test_load_reads_any_dictionary(tmp_path: Path, table: dict[str, int]) -> None:
    value = {word: [number / 2, 1] for word, number in table.items()}
    vectors = vecload.load(dump(value, tmp_path / "v.pkl", 4), format="pickle")
    assert {word: vectors[word].tolist() for word in vectors.words} == value


def test_load_takes_the_words_of_a_matrix_from_the_caller(tmp_path: Path) -> None:
    path = dump({"weight": MATRIX, "epoch": 3}, tmp_path / "v.pkl", 4)
    assert list(vecload.load(path, words=WORDS).words) == WORDS
    with pytest.raises(FormatError, match="a matrix without words: found 3 rows"):
        vecload.load(path)


@pytest.mark.parametrize(
    "value",
    [
        *({}, {"a": [1, 2], "b": [1]}, {"a": "b"}, {"a": [1, "x"]}, {"a": [10**400]}, {"a": []}),
        *([1, 2, 3], "text", (WORDS, [1])),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_pickle_without_vectors_says_what_it_holds(value: Any, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no matrix of vectors: found a "):
        vecload.load(dump(value, tmp_path / "v.pkl", 4))


@pytest.mark.parametrize(
    "words", [["a", "b"], {"a": 0, "b": 0, "c": 1}, {"a": 0, "b": 1, "c": 3}, ["a", 5, "c"]], ids=str
)
def test_words_that_do_not_fit_are_refused(words: Any, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="a matrix without words: found 3 rows"):
        vecload.load(dump((words, MATRIX), tmp_path / "v.pkl", 4))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("table", TABLES)
def test_load_reads_files_of_joblib(table: str, protocol: int, tmp_path: Path) -> None:
    joblib.dump(TABLES[table], tmp_path / "v.joblib", protocol=protocol)
    vectors = vecload.load(tmp_path / "v.joblib")
    assert list(vectors.words) == WORDS
    np.testing.assert_array_equal(vectors.matrix, MATRIX)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("compress", [0, ("gzip", 3), ("xz", 3)])
def test_load_reads_arrays_of_joblib(dtype: str, order: Any, compress: Any, tmp_path: Path) -> None:
    rows = np.asarray(np.random.default_rng(0).normal(size=(700, 5)), dtype=dtype, order=order)
    names = [f"w{number}" for number in range(700)]
    value = {"ids": np.arange(700), "rows": rows, "words": names, "more": np.ones((2, 2, 2))}
    joblib.dump(value, tmp_path / "v", compress=compress)
    vectors = vecload.load(tmp_path / "v")
    assert list(vectors.words) == names
    assert np.array_equal(vectors.matrix, rows)


def test_joblib_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    joblib.dump({f"w{number}": np.ones(3) for number in range(60)}, tmp_path / "many.joblib")
    with pytest.raises(FormatError, match=r"more than 50 arrays and objects .* Load it with joblib\.load"):
        vecload.load(tmp_path / "many.joblib")
    joblib.dump((WORDS, np.array([None, "x", 3], dtype=object)), tmp_path / "objects.joblib")
    with pytest.raises(FormatError):
        vecload.load(tmp_path / "objects.joblib")
    joblib.dump((Path("x"), MATRIX), tmp_path / "names.joblib")
    with pytest.raises(FormatError, match="refused to read the pickle"):
        vecload.load(tmp_path / "names.joblib")
    joblib.dump((WORDS, MATRIX), tmp_path / "v.joblib")
    whole = (tmp_path / "v.joblib").read_bytes()
    for size in range(len(whole)):
        (tmp_path / "v.joblib").write_bytes(whole[:size])
        with pytest.raises(FormatError):
            vecload.load(tmp_path / "v.joblib")
