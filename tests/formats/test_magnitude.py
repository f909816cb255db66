"""Tests of Magnitude files, written here as pymagnitude's converter writes them, which no current Python installs."""

from __future__ import annotations

import gzip
import io
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload.errors import FormatError

WORDS = ["the", "The", "New York", "北海道", "it's", ""]
PRECISION = 7


def saved(
    path: Path,
    words: list[str | bytes | None],
    rows: np.ndarray,
    *,
    heavy: bool = False,
    precision: int = PRECISION,
    settings: dict[str, object] | None = None,
) -> Path:
    """Write vectors of unit length as scaled integers, and their lengths."""
    database = sqlite3.connect(path)
    dims = range(rows.shape[1])
    columns = ", ".join(f"dim_{at} INTEGER" for at in dims)
    database.execute(f"CREATE TABLE `magnitude` (key TEXT COLLATE NOCASE, {columns}, magnitude REAL)")
    database.execute("CREATE TABLE `magnitude_format` (key TEXT COLLATE NOCASE, value INTEGER)")
    for word, row in zip(words, rows.tolist(), strict=True):
        length = float(np.linalg.norm(row))
        scaled = [round(value / length * 10**precision) for value in row]
        marks = ", ".join("?" * (len(row) + 2))
        database.execute(f"INSERT INTO `magnitude` VALUES ({marks})", (word, *scaled, length))
    kept = {"version": 1, "elmo": False, "size": len(words), "dim": rows.shape[1], "precision": precision}
    for item in {**kept, **(settings or {})}.items():
        database.execute("INSERT INTO `magnitude_format` VALUES (?, ?)", item)
    if heavy:
        database.execute("CREATE VIRTUAL TABLE `magnitude_subword` USING fts3(char_ngrams, num_ngrams)")
        database.execute("CREATE TABLE `magnitude_approx` (trees INTEGER, index_file BLOB)")
        database.execute("CREATE INDEX `magnitude_key_idx` ON `magnitude` (key)")
    database.commit()
    database.close()
    return path


def rows_of(words: int, dim: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(words, dim))


@pytest.mark.parametrize("heavy", [False, True])
def test_load_restores_vectors(heavy: bool, tmp_path: Path) -> None:
    rows = rows_of(len(WORDS))
    path = saved(tmp_path / "v.magnitude", list(WORDS), rows, heavy=heavy)
    before = path.read_bytes()
    whole = vecload.load(path)
    assert list(whole.words) == WORDS
    np.testing.assert_allclose(whole.matrix, rows, atol=1e-6)
    assert (whole.meta["format"], whole.dtype) == ("Magnitude", np.dtype(np.float32))
    for source in (io.BytesIO(before), tmp_path / "v.magnitude.gz"):
        if isinstance(source, Path):
            source.write_bytes(gzip.compress(before))
        assert vecload.load(source).matrix.tobytes() == whole.matrix.tobytes()
    looked = vecload.info(path)
    assert (looked.rows, looked.exact, looked.dim, looked.words) == (6, True, 4, tuple(WORDS))
    some = vecload.load(path, vocab=["北海道", "cow", "The"], limit=4, dtype="float64")
    assert list(some.words) == ["The", "北海道"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["v.magnitude", "v.magnitude.gz"]
    assert path.read_bytes() == before


@given(st.integers(0, 99), st.integers(0, 12), st.integers(1, 6))
def test_values_are_rounded_once(seed: int, precision: int, dim: int) -> None:
    rows = rows_of(3, dim, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = saved(Path(folder) / "v.magnitude", ["a", "b", "c"], rows, precision=precision)
        found = vecload.load(path, dtype="float64")
    for row, values in zip(rows, found.matrix, strict=True):
        length = float(np.linalg.norm(row))
        wanted = [round(value / length * 10**precision) * (length / 10.0**precision) for value in row.tolist()]
        assert values.tolist() == wanted


def test_first_of_repeated_keys_wins(tmp_path: Path) -> None:
    rows = rows_of(3)
    vectors = vecload.load(saved(tmp_path / "v.magnitude", ["a", "b", "a"], rows))
    assert (list(vectors.words), vectors.meta["duplicates"]) == (["a", "b"], 1)
    np.testing.assert_allclose(vectors["a"], rows[0], atol=1e-6)


def test_keys_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    path = saved(tmp_path / "v.magnitude", ["a", b"caf\xe9"], rows_of(2))
    assert [word.encode("utf-8", "surrogateescape") for word in vecload.load(path).words] == [b"a", b"caf\xe9"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("DROP TABLE magnitude_format", "an SQLite database that is not a Magnitude file: found magnitude"),
        ("DROP TABLE magnitude", "an SQLite database that is not a Magnitude file"),
        ("UPDATE magnitude_format SET value = 5 WHERE key = 'dim'", "not complete: found no column dim_4"),
        ("UPDATE magnitude_format SET value = 'x' WHERE key = 'dim'", "invalid dim in the table magnitude_format"),
        ("UPDATE magnitude_format SET value = -1 WHERE key = 'precision'", "invalid precision"),
        ("DELETE FROM magnitude_format WHERE key = 'size'", "invalid size in the table magnitude_format: found None"),
        ("UPDATE magnitude_format SET value = 1 WHERE key = 'elmo'", "an ELMo model"),
        ("UPDATE magnitude SET key = NULL WHERE rowid = 2", "a row without a key: found in row 2"),
        ("UPDATE magnitude SET dim_1 = 'x' WHERE rowid = 3", "a value that is not a number: found in row 3"),
        ("UPDATE magnitude SET dim_1 = NULL WHERE rowid = 3", "a value that is not a number: found in row 3"),
        ("UPDATE magnitude SET magnitude = 'x'", "a value that is not a number"),
    ],
)
def test_load_invalid_tables_raises(change: str, message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "v.magnitude", ["a", "b", "c"], rows_of(3))
    database = sqlite3.connect(path)
    database.execute(change)
    database.commit()
    database.close()
    with pytest.raises(FormatError, match=message):
        vecload.load(path)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW magnitude AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n",
        "CREATE VIRTUAL TABLE magnitude USING rtree(key, dim_0, magnitude)",
        "CREATE TABLE magnitude (key TEXT, dim_0 INTEGER AS (length(hex(zeroblob(100000000)))), magnitude REAL)",
    ],
)
def test_load_runs_nothing_from_the_file(statement: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "v.magnitude", ["a"], np.ones((1, 1)))
    database = sqlite3.connect(path)
    database.execute("DROP TABLE magnitude")
    database.execute(statement)
    database.commit()
    database.close()
    with pytest.raises(FormatError, match=r"not a Magnitude file|not complete"):
        vecload.load(path)


def test_load_takes_no_memory_for_a_claimed_size(tmp_path: Path) -> None:
    path = saved(tmp_path / "v.magnitude", ["a"], rows_of(1), settings={"size": 1 << 61})
    assert len(vecload.load(path)) == 1


def test_load_damaged_database_gives_vectors_or_format_error(tmp_path: Path) -> None:
    path = saved(tmp_path / "v.magnitude", [f"w{number}" for number in range(40)], rows_of(40))
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(150):
        raw = bytearray(whole)
        for at in random.integers(16, len(raw), size=4):
            raw[at] = random.integers(256)
        cut = random.integers(16, len(raw)) if random.random() < 0.3 else len(raw)
        path.write_bytes(bytes(raw[:cut]))
        try:
            vecload.load(path, errors="skip")
        except FormatError:
            continue


def test_values_that_are_not_finite_raise_or_are_skipped(tmp_path: Path) -> None:
    path = saved(tmp_path / "v.magnitude", ["a", "b"], np.array([[1e39, 1.0], [1, 2]]))
    with pytest.raises(FormatError, match="not finite in float32: found in the row of 'a'"):
        vecload.load(path)
    assert list(vecload.load(path, errors="skip").words) == ["b"]
    assert list(vecload.load(path, dtype="float64").words) == ["a", "b"]
