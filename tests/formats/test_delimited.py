"""Tests of CSV and TSV: the layouts that pandas, polars and people write, and damaged files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from tests.strategies import DECIMALS
from vecload import Vectors, Words
from vecload.errors import FormatError

WORDS = ["the", "a,b", 'say "hi"', "two\nlines", "New York", "é", "", "x;y", "t\tab", "#", "'", "null"]
MATRIX = np.random.default_rng(0).normal(size=(len(WORDS), 3)).astype(np.float32)
FRAME = pd.DataFrame(MATRIX, index=WORDS)
NAMED = FRAME.rename_axis("word").rename(columns="d{}".format)


def read(text: str | bytes, **options: object) -> Vectors:
    data = text.encode() if isinstance(text, str) else text
    return vecload.load(io.BytesIO(data), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        FRAME.to_csv(),
        FRAME.to_csv(header=False),
        NAMED.to_csv(),
        NAMED.reset_index().to_csv(),
        NAMED.reset_index().to_csv(index=False),
        FRAME.reset_index(names="word").to_csv(),
        NAMED.to_csv(sep="\t"),
        NAMED.reset_index().to_csv(sep="\t"),
        FRAME.to_csv(sep="\t"),
        NAMED.to_csv(sep=";"),
        NAMED.to_csv(lineterminator="\r\n"),
        NAMED.to_csv(quoting=csv.QUOTE_ALL),
        NAMED.to_csv(quoting=csv.QUOTE_NONNUMERIC),
        "\ufeff" + NAMED.to_csv(),
        NAMED.to_csv().rstrip("\n"),
        NAMED.to_csv() + "\n\n",
        pl.from_pandas(NAMED.reset_index()).write_csv(),
        NAMED.reset_index().assign(vector=MATRIX.tolist())[["word", "vector"]].to_csv(index=False),
        NAMED.reset_index().assign(vector=list(MATRIX.astype(float)))[["word", "vector"]].to_csv(index=False),
    ],
)
def test_load_reads_tables_of_pandas_and_polars(text: str) -> None:
    vectors = read(text)
    assert list(vectors.words) == WORDS
    np.testing.assert_allclose(vectors.matrix, MATRIX, rtol=1e-6)


def test_files_agree_with_pandas_and_the_csv_module(tmp_path: Path) -> None:
    path = tmp_path / "vectors.csv"
    Vectors(WORDS, MATRIX).save(path)
    frame = pd.read_csv(path, index_col="word", keep_default_na=False)
    assert list(frame.index) == WORDS
    assert list(frame.columns) == ["d0", "d1", "d2"]
    assert np.array_equal(frame.to_numpy(dtype=np.float32), MATRIX)
    with path.open(newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["word", *WORDS]
    assert pl.read_csv(path)["word"].fill_null("").to_list() == WORDS
    assert pl.read_csv(path)["d2"].cast(pl.Float32).to_list() == MATRIX[:, 2].tolist()


def test_tsv_is_written_with_tabs(tmp_path: Path) -> None:
    path = tmp_path / "vectors.tsv"
    Vectors(WORDS, MATRIX).save(path, "TSV")
    assert path.read_text().startswith("word\td0\td1\td2\nthe\t")
    assert vecload.load(path).meta["format"] == "TSV"
    assert list(pd.read_csv(path, sep="\t", keep_default_na=False)["word"]) == WORDS


@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
@given(st.lists(st.text(max_size=6).filter(lambda word: "\0" not in word), min_size=1, max_size=6, unique=True))
def test_any_text_can_be_a_word(words: list[str]) -> None:
    try:
        packed = Words.from_strings(words)
    except vecload.VecloadError:
        return
    out = io.StringIO()
    csv.writer(out).writerows([["word", "d0", "d1"], *([word, "0.5", "1e-3"] for word in words)])
    vectors = read(out.getvalue().encode("utf-8", "surrogateescape"), format="CSV")
    # The csv module writes a carriage return in quotes, so words survive unchanged.
    assert vectors.words == packed


@given(st.lists(DECIMALS, min_size=2, max_size=5))
def test_values_equal_float_of_the_text(cells: list[str]) -> None:
    text = "word," + ",".join(f"d{at}" for at in range(len(cells))) + "\ncat," + ",".join(cells) + "\n"
    expected = np.array([float(cell) for cell in cells])
    got = read(text, format="CSV", dtype="float64", allow_nonfinite=True).matrix[0]
    assert got.tobytes() == expected.tobytes()
    with np.errstate(over="ignore"):
        single = expected.astype(np.float32)
    assert read(text, format="CSV", allow_nonfinite=True).matrix[0].tobytes() == single.tobytes()


@pytest.mark.parametrize(
    ("rows", "problem", "line"),
    [
        ("cat,1,2\ndog,1\n", "too few values", 3),
        ("cat,1,2\ndog,1,2,3\n", "too many values", 3),
        ("cat,1,2\ndog,1,\n", "a missing value", 3),
        ('"a\nb",1,2\ndog,1,x\n', "a value that is not a number", 4),
        ("cat,1,2\ndog,1 2,3\n", "a value that is not a number", 3),
        ("cat,1,2\ndog,1,,2\n", "too many values", 3),
        ("cat,1,2\ndog,nan,2\n", "a value that is not finite in float32", 3),
        ('cat,1,2\n"dog"s,1,2\n', "invalid quotes", 3),
        ('cat,1,2\n"dog,1,2\n', "invalid quotes", 3),
    ],
)
def test_damaged_rows_are_named_or_skipped(rows: str, problem: str, line: int) -> None:
    text = "word,d0,d1\n" + "".join(f"w{at},1,2\n" for at in range(0)) + rows
    with pytest.raises(FormatError, match=problem) as caught:
        read(text, format="CSV")
    assert caught.value.line == line
    assert caught.value.byte == len("\n".join(text.split("\n")[: line - 1])) + 1
    kept = read(text, format="CSV", errors="skip")
    assert (len(kept), sum(kept.meta["skipped"].values())) == (1, 1)


def test_words_and_rows_are_selected_while_reading() -> None:
    text = NAMED.to_csv()
    some = read(text, vocab=["a,b", "é", "absent"])
    assert list(some.words) == ["a,b", "é"]
    assert np.array_equal(some.matrix, MATRIX[[1, 5]])
    assert list(read(text, limit=4).words) == WORDS[:4]


def test_chunks_of_any_size_give_the_same_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    from vecload.formats.records import chunks

    text = "word,d0,d1,d2\n" + NAMED.to_csv(header=False) * 20
    whole = read(text)
    for size in (1, 7, 64, 100):
        monkeypatch.setattr(chunks, "CHUNK_BYTES", size)
        again = read(text)
        assert again.words == whole.words
        assert np.array_equal(again.matrix, whole.matrix)


def test_text_vectors_with_commas_stay_text() -> None:
    assert read("1,000 0.5 0.5\n, 0.25 1\nof 1 2\nthe, 1 3\n").meta["format"] == "GloVe text"
    assert read("cat\t0.5\t0.5\ndog\t1\t2\n").meta["format"] == "GloVe text"
