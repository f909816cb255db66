"""Vectors as tables and arrays of other libraries: Arrow streams and DLPack."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from tests.builders import ODD_WORDS, random_rows, small_vectors
from vecload import Vectors, load
from vecload.errors import FormatError, OptionError

WORDS = ["cat", "dog", "北海道", ""]


def address(array):
    return array.__array_interface__["data"][0]


def table_of(words=("cat", "dog"), vectors=((1.0, 2.0), (3.0, 4.0)), text=None, values=None):
    values = values or pa.list_(pa.float32(), 2)
    return pa.table({"word": pa.array(words, text or pa.string()), "vector": pa.array(vectors, values)})


def assert_same(found, expected):
    assert list(found) == list(expected)
    assert found.matrix.dtype == expected.matrix.dtype
    np.testing.assert_array_equal(found.matrix, expected.matrix)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8"])
def test_arrow_table_shares_words_and_matrix(dtype):
    vectors = small_vectors(WORDS, 3, dtype)
    table = pa.table(vectors)
    assert table.schema.field("word").type == pa.large_string()
    word, vector = (table[name].chunk(0) for name in ("word", "vector"))
    assert word.buffers()[2].address == address(vectors.words.data)
    assert word.buffers()[1].address == address(vectors.words.offsets)
    assert vector.flatten().buffers()[1].address == address(vectors.matrix)
    assert word.to_pylist() == WORDS


def test_arrow_table_of_mapped_file_shares_its_pages(tmp_path):
    small_vectors(WORDS, 3).save(tmp_path / "v.vecload", format="native")
    vectors = load(tmp_path / "v.vecload")
    assert pa.table(vectors)["vector"].chunk(0).flatten().buffers()[1].address == address(vectors.matrix)


def test_polars_shares_matrix():
    vectors = small_vectors(WORDS, 3)
    frame = pl.DataFrame(vectors)
    assert frame.schema == {"word": pl.String, "vector": pl.Array(pl.Float32, 3)}
    assert address(frame["vector"].to_numpy()) == address(vectors.matrix)


@pytest.mark.skipif(not hasattr(pd.DataFrame, "from_arrow"), reason="pandas 3 reads Arrow streams")
def test_pandas_reads_stream():
    vectors = small_vectors(WORDS, 3)
    frame = pd.DataFrame.from_arrow(vectors)
    assert frame["word"].tolist() == WORDS
    np.testing.assert_array_equal(np.stack(frame["vector"]), vectors.matrix)


def test_duckdb_queries_vectors():
    duckdb = pytest.importorskip("duckdb")
    vectors = small_vectors(WORDS, 3)
    found = duckdb.sql("select * from vectors where word <> 'dog' order by word")
    assert_same(Vectors.from_arrow(found), vectors.select(["", "cat", "北海道"]))


def test_arrow_table_of_invalid_utf8_has_bytes():
    vectors = small_vectors(ODD_WORDS, 3)
    table = pa.table(vectors)
    assert table.schema.field("word").type == pa.large_binary()
    assert_same(Vectors.from_arrow(table), vectors)


def test_arrow_table_gathers_shared_rows_and_widens_bfloat16():
    shared = Vectors(["a", "b", "c"], random_rows(2, 3).astype(ml_dtypes.bfloat16), row_ids=[1, 0, 1])
    found = Vectors.from_arrow(pa.table(shared))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.matrix, shared.matrix.astype(np.float32))


def test_arrow_table_of_no_words():
    assert Vectors.from_arrow(Vectors([], np.empty((0, 3), "f4"))).shape == (0, 3)


def test_arrow_stream_converts_to_requested_schema():
    schema = pa.schema([("word", pa.string()), ("vector", pa.list_(pa.float64(), 3))])
    assert pa.table(small_vectors(WORDS, 3), schema=schema).schema == schema


@pytest.mark.parametrize(
    "text", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
@pytest.mark.parametrize("kind", ["list_", "large_list", "fixed"])
def test_from_arrow_reads_column_types(text, kind):
    values = pa.list_(pa.float32(), 2) if kind == "fixed" else getattr(pa, kind)(pa.float32())
    assert Vectors.from_arrow(table_of(text=text, values=values))["dog"].tolist() == [3, 4]


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table, lambda vectors: pa.table(vectors).to_reader(), lambda v: v])
def test_from_arrow_returns_exported_vectors(make):
    vectors = small_vectors(WORDS, 3)
    assert_same(Vectors.from_arrow(make(vectors)), vectors)


def test_from_arrow_reads_frames_of_pandas():
    vectors = small_vectors(WORDS, 3)
    assert_same(Vectors.from_arrow(vectors.to_pandas()), vectors)
    frame = pd.DataFrame({"word": WORDS, "vector": list(vectors.matrix)})
    assert_same(Vectors.from_arrow(frame), vectors)


def test_from_arrow_reads_categories_of_polars():
    frame = pl.DataFrame(small_vectors(WORDS, 3)).with_columns(pl.col("word").cast(pl.Categorical))
    assert list(Vectors.from_arrow(frame)) == WORDS


def test_from_arrow_shares_one_batch_and_joins_several():
    vectors = small_vectors(WORDS, 3)
    table = pa.table(vectors)
    assert np.shares_memory(Vectors.from_arrow(table).matrix, vectors.matrix)
    assert_same(
        Vectors.from_arrow(pa.concat_tables([table[1:2], table[2:], table[:1]])),
        vectors.select(["dog", "北海道", "", "cat"]),
    )


def test_from_arrow_keeps_first_row_of_duplicate_words():
    vectors = Vectors.from_arrow(table_of(["a", "a", "b"], [[1, 2], [3, 4], [5, 6]]))
    assert vectors.matrix.tolist() == [[1, 2], [5, 6]]
    assert vectors.meta["duplicates"] == 1


def test_from_arrow_takes_named_columns():
    table = table_of().append_column("text", pa.array(["x", "y"])).append_column("other", table_of()["vector"])
    table = table.rename_columns(["name", "a", "text", "b"])
    with pytest.raises(FormatError, match="not a table of word vectors"):
        Vectors.from_arrow(table)
    assert list(Vectors.from_arrow(table, words="text", vectors="b")) == ["x", "y"]
    assert list(Vectors.from_arrow(table, words="name", vectors="a")) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"words": "none"}, "no single column is named 'none'; choose from: word, vector"),
        ({"words": "vector"}, "column 'vector' has the type .*, expected strings"),
        ({"vectors": "word"}, "column 'word' has the type string, expected lists of floats"),
        ({"errors": "ignore"}, "errors must be 'raise' or 'skip', got 'ignore'"),
    ],
)
def test_from_arrow_refuses_invalid_arguments(given, message):
    with pytest.raises(OptionError, match=message):
        Vectors.from_arrow(table_of(), **given)


def test_from_arrow_refuses_objects_without_stream():
    with pytest.raises(OptionError, match=r"dict has no method __arrow_c_stream__; pass a table of pyarrow"):
        Vectors.from_arrow({"cat": [1, 2]})


@pytest.mark.parametrize(
    ("words", "rows", "message"),
    [
        (["a", "b", None], [[1, 2]] * 3, "a row without a word.*row 3"),
        (["a", "b", "c"], [[1, 2], None, [1, 2]], "does not have 2 values.*row 2"),
        (["a", "b", "c"], [[1, 2], [1, 2], [1, None]], "a missing value.*row 3"),
        (["a", "b", "c"], [[1, 2], [1, 2], [1, 2, 3]], "does not have 2 values.*row 3"),
    ],
)
def test_from_arrow_names_invalid_row(words, rows, message):
    # In batches of two rows, so that the row is also counted in the second batch.
    table = table_of(words, rows, values=pa.list_(pa.float32()))
    table = pa.concat_tables([table[:2], table[2:]])
    with pytest.raises(FormatError, match=f"(?s){message}"):
        Vectors.from_arrow(table)
    assert len(Vectors.from_arrow(table, errors="skip")) == 2
    assert sum(Vectors.from_arrow(table, errors="skip").meta["skipped"].values()) == 1


def test_from_arrow_keeps_nan():
    assert np.isnan(Vectors.from_arrow(table_of(vectors=[[1, np.nan], [2, np.inf]])).matrix[0, 1])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8"])
def test_dlpack_shares_matrix(dtype):
    vectors = small_vectors(WORDS, 3, dtype)
    array = np.from_dlpack(vectors)
    assert address(array) == address(vectors.matrix)
    assert not array.flags.writeable
    assert torch.from_dlpack(vectors).data_ptr() == address(vectors.matrix)


def test_dlpack_copies_on_request():
    vectors = small_vectors(WORDS, 3)
    for copied in (torch.from_dlpack(vectors, copy=True), np.from_dlpack(vectors, copy=True)):
        before = vectors.matrix.copy()
        copied[0, 0] = 9
        np.testing.assert_array_equal(vectors.matrix, before)


def test_dlpack_copies_bfloat16():
    vectors = Vectors(["a", "b"], random_rows(2, 3).astype(ml_dtypes.bfloat16))
    tensor = torch.from_dlpack(vectors)
    assert tensor.dtype == torch.bfloat16
    assert torch.equal(tensor, vectors.to_torch())
    assert tensor.data_ptr() != address(vectors.matrix)
    with pytest.raises(BufferError, match="without a copy; use to_torch"):
        vectors.__dlpack__(copy=False)


def test_dlpack_refuses_consumers_that_cannot_keep_it_read_only():
    vectors = small_vectors(WORDS, 3)
    with pytest.raises(BufferError, match=r"use numpy.array\(vectors\) or to_torch\(\) for a copy"):
        vectors.__dlpack__()
    with pytest.raises(BufferError, match=r"use numpy.array\(vectors\) or to_torch\(\) for a copy"):
        vectors.__dlpack__(max_version=(0, 9))
    assert vectors.__dlpack__(max_version=(1, 0)) is not None
    with pytest.raises(BufferError, match="the matrix is on the CPU"):
        vectors.__dlpack__(max_version=(1, 0), dl_device=(2, 0))
    assert vectors.__dlpack_device__() == (1, 0)
