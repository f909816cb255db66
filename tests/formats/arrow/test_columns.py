"""Parquet and Arrow files, compared with pyarrow, pandas and polars."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import vecload
from tests.builders import ODD_WORDS, small_vectors
from tests.formats.battery import check_every_cut, check_mutations
from tests.formats.tables import TableOf, same
from vecload.errors import FormatError
from vecload.formats.arrow import ipc, parquet
from vecload.formats.contract import WriteOptions

pa = pytest.importorskip("pyarrow")
import pyarrow.feather as feather  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

TEXT = [word for word in ODD_WORDS if "\udcff" not in word]
BOTH = pytest.mark.parametrize("form", [parquet, ipc], ids=["parquet", "arrow"])


def table_in(path: Path) -> Any:
    return pq.read_table(path) if path.suffix == ".parquet" else feather.read_table(path)


def put(table: Any, path: Path) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        feather.write_feather(table, path)
    return path


@BOTH
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("step", [3, 100])
def test_save_is_read_by_pyarrow(form: ModuleType, dtype: str, step: int, tmp_path: Path) -> None:
    path = tmp_path / f"written{form.FORMAT.suffixes[0]}"
    vectors = small_vectors(TEXT, dtype=dtype)
    form.write(path, TableOf(vectors, step=step), WriteOptions())
    table = table_in(path)
    assert table.schema.names == ["word", "vector"]
    assert table.schema.field("vector").type == pa.list_(pa.from_numpy_dtype(np.dtype(dtype)), 5)
    assert table["word"].to_pylist() == TEXT
    values = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    assert np.array_equal(values.reshape(-1, 5), vectors.matrix)
    assert same(vecload.load(path), vectors)


@BOTH
@pytest.mark.parametrize("step", [1, 3, 100])
def test_save_words_that_are_not_utf8_as_bytes(form: ModuleType, step: int, tmp_path: Path) -> None:
    words = [*TEXT[:4], "\udcff", *TEXT[4:], "\udce2\udc82", "\udcac"]  # the last two are the halves of one character
    vectors = small_vectors(words)
    path = tmp_path / f"bytes{form.FORMAT.suffixes[0]}"
    form.write(path, TableOf(vectors, step=step), WriteOptions())
    table = table_in(path)
    assert table.schema.field("word").type in (pa.large_binary(), pa.binary())
    assert table["word"].to_pylist() == [word.encode("utf-8", "surrogateescape") for word in words]
    assert same(vecload.load(path), vectors)
    assert [left.name for left in tmp_path.iterdir()] == [path.name]


@BOTH
def test_save_is_read_by_pandas_and_polars(form: ModuleType, tmp_path: Path) -> None:
    import pandas
    import polars

    suffix = form.FORMAT.suffixes[0]
    vectors = small_vectors(TEXT)
    path = tmp_path / f"written{suffix}"
    vectors.save(path)
    frame = pandas.read_parquet(path) if suffix == ".parquet" else pandas.read_feather(path)
    assert list(frame["word"]) == TEXT
    assert np.array_equal(np.stack(frame["vector"]), vectors.matrix)
    data = polars.read_parquet(path) if suffix == ".parquet" else polars.read_ipc(path)
    assert data["word"].to_list() == TEXT
    assert np.array_equal(data["vector"].to_numpy(), vectors.matrix)

    back = tmp_path / f"pandas{suffix}"
    frame.to_parquet(back) if suffix == ".parquet" else frame.to_feather(back)
    assert same(vecload.load(back), vectors)
    for kind in (polars.Array(polars.Float32, 5), polars.List(polars.Float32)):
        other = data.with_columns(polars.col("vector").cast(kind), polars.col("word").cast(polars.Categorical))
        back = tmp_path / f"polars{suffix}"
        other.write_parquet(back) if suffix == ".parquet" else other.write_ipc(back)
        assert same(vecload.load(back), vectors)


def test_save_bfloat16_writes_float32(tmp_path: Path) -> None:
    vectors = small_vectors(TEXT, dtype=ml_dtypes.bfloat16)
    vectors.save(tmp_path / "written.arrow")
    assert np.array_equal(vecload.load(tmp_path / "written.arrow").matrix, vectors.matrix.astype(np.float32))
    assert same(vecload.load(tmp_path / "written.arrow", dtype="bfloat16"), vectors)


@BOTH
@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.binary(), pa.string_view(), "dictionary"], ids=str)
@pytest.mark.parametrize(
    "lists", [pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 5)], ids=str
)
def test_load_every_column_type(form: ModuleType, text: Any, lists: Any, tmp_path: Path) -> None:
    vectors = small_vectors(TEXT)
    words = pa.array(TEXT, pa.string())
    words = words.dictionary_encode() if text == "dictionary" else words.cast(text)
    rows = pa.array(vectors.matrix.tolist(), lists)
    odd = pa.table({"n": range(len(TEXT)), "token": words, "embedding": rows})
    assert same(vecload.load(put(odd, tmp_path / f"made{form.FORMAT.suffixes[0]}")), vectors)
    padded = pa.table({"word": pa.concat_arrays([words] * 2), "vector": pa.concat_arrays([rows] * 2)})
    half = padded.slice(len(TEXT))  # offsets that do not begin at 0
    assert same(vecload.load(put(half, tmp_path / f"made{form.FORMAT.suffixes[0]}")), vectors)


def test_load_arrow_stream(tmp_path: Path) -> None:
    vectors = small_vectors(TEXT)
    vectors.save(tmp_path / "file.arrow")
    table = feather.read_table(tmp_path / "file.arrow")
    with pa.OSFile(str(tmp_path / "stream"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    assert same(vecload.load(tmp_path / "stream"), vectors)


@BOTH
def test_load_from_path_stream_and_compressed_file(form: ModuleType, tmp_path: Path) -> None:
    vectors = small_vectors([f"w{at}" for at in range(20_000)], dim=2)
    path = tmp_path / f"written{form.FORMAT.suffixes[0]}"
    form.write(path, TableOf(vectors, step=5000), WriteOptions())
    assert same(vecload.load(path), vectors)
    assert same(vecload.load(io.BytesIO(path.read_bytes())), vectors)
    assert same(vecload.load(io.BytesIO(gzip.compress(path.read_bytes(), 1))), vectors)
    some = vecload.load(path, vocab=["w19999", "w3", "nothing"], dtype="float64")
    assert list(some.words) == ["w3", "w19999"]
    assert np.array_equal(some.matrix, vectors[["w3", "w19999"]])
    for limit in (0, 1, 4999, 5000, 12_345):
        assert list(vecload.load(path, limit=limit).words) == list(vectors.words)[:limit]
    look = vecload.info(path)
    assert (look.dim, look.format) == (2, form.NAME)
    assert vecload.convert(path, tmp_path / "again.vec").written == 20_000


ROWS = {"word": ["a", None, "c", "d", "e"], "vector": [[1.0, 2.0], [3.0, 4.0], [5.0], [None, 6.0], None]}


@BOTH
def test_load_malformed_rows_raises_or_skips(form: ModuleType, tmp_path: Path) -> None:
    table = pa.table({**ROWS, "vector": pa.array(ROWS["vector"], pa.list_(pa.float32()))})
    path = put(table, tmp_path / f"bad{form.FORMAT.suffixes[0]}")
    vectors = vecload.load(path, errors="skip")
    assert list(vectors.words) == ["a"]
    assert vectors.matrix.tolist() == [[1, 2]]
    assert vectors.meta["skipped"] == {
        "a row without a word": 1,
        "a vector that does not have 2 values": 2,
        "a missing value": 1,
    }
    for at, message in [
        (1, "a row without a word"),
        (2, "a vector that does not have 2 values"),
        (3, "a missing value"),
    ]:
        with pytest.raises(FormatError, match=f"{message}.*found in row 2"):
            vecload.load(put(pa.concat_tables([table.slice(0, 1), table.slice(at, 1)]), path))
    wrong = pa.table({"word": ["a", "b"], "vector": pa.array([[1.0], [np.inf]], pa.list_(pa.float64(), 1))})
    with pytest.raises(FormatError, match="a value that is not finite in float64: found in row 2"):
        vecload.load(put(wrong, path))
    assert len(vecload.load(path, allow_nonfinite=True)) == 2


@BOTH
@pytest.mark.parametrize(
    "columns",
    [
        {"word": ["a"]},
        {"vector": [[1.0]]},
        {"word": [1], "vector": [[1.0]]},
        {"word": ["a"], "vector": [[1]]},
        {"word": ["a"], "vector": [1.0]},
        {"x": ["a"], "y": ["b"], "vector": [[1.0]]},
    ],
    ids=str,
)
def test_load_table_without_vectors_raises(form: ModuleType, columns: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not a table of word vectors"):
        vecload.load(put(pa.table(columns), tmp_path / f"bad{form.FORMAT.suffixes[0]}"))


@BOTH
def test_load_table_with_duplicate_column_names_raises(form: ModuleType, tmp_path: Path) -> None:
    columns = [pa.array(["a"]), pa.array(["b"]), pa.array([[1.0]], pa.list_(pa.float32(), 1))]
    table = pa.Table.from_arrays(columns, names=["word", "word", "vector"])
    with pytest.raises(FormatError, match=r"not a table of word vectors: found word: string, word: string, vector"):
        vecload.load(put(table, tmp_path / f"made{form.FORMAT.suffixes[0]}"))


@BOTH
def test_load_cut_or_mutated_file_gives_vectors_or_format_error(form: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / f"cut{form.FORMAT.suffixes[0]}"
    small_vectors(["a", "é"], dim=2).save(path)
    check_every_cut(path)
    check_mutations(path)
