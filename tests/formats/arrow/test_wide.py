"""Wide tables in Parquet and Arrow files, as pandas and polars write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.builders import small_vectors
from tests.formats.battery import check_every_cut, check_mutations
from vecload.errors import FormatError

pa = pytest.importorskip("pyarrow")
import pandas as pd  # noqa: E402
import polars as pl  # noqa: E402

VECTORS = small_vectors(["the", "a,b", "\u5317\u6d77", "", "w5"], dim=3)
FRAME = pd.DataFrame(VECTORS.matrix, index=list(VECTORS.words)).rename(columns="d{}".format)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME.rename_axis("word"),
        FRAME.rename_axis("word").reset_index(),
        FRAME.rename_axis("gene").reset_index(),
        FRAME.assign(word=list(VECTORS.words)),
        FRAME.rename_axis("word").reset_index().astype({"word": "category"}),
    ],
)
@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_load_reads_wide_tables_of_pandas(frame: pd.DataFrame, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"wide.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    else:
        pa.feather.write_feather(pa.Table.from_pandas(frame), path)
    vectors = vecload.load(path)
    assert vectors.words == VECTORS.words
    assert np.array_equal(vectors.matrix, VECTORS.matrix)
    assert list(vecload.load(path, vocab=["w5", "the"]).words) == ["the", "w5"]
    assert len(vecload.load(path, limit=2)) == 2


def test_load_reads_wide_tables_of_polars(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    pl.from_pandas(FRAME.rename_axis("word").reset_index()).write_parquet(path)
    assert np.array_equal(vecload.load(path).matrix, VECTORS.matrix)


def test_load_takes_whole_numbers_as_words(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    FRAME.assign(item=[7, 5, 3, 2, 1]).to_parquet(path, index=False)
    assert list(vecload.load(path).words) == ["7", "5", "3", "2", "1"]


def test_load_refuses_or_skips_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    columns = {"word": ["a", "b", None], "d0": [1.0, None, 3.0], "d1": [1.0, 2.0, 3.0]}
    pa.parquet.write_table(pa.table(columns), path)
    with pytest.raises(FormatError, match="a row without a word"):
        vecload.load(path)
    kept = vecload.load(path, errors="skip")
    assert (list(kept.words), kept.meta["skipped"]) == (["a"], {"a row without a word": 1, "a missing value": 1})


@pytest.mark.parametrize(
    "columns",
    [
        {"word": ["a"], "pos": ["NN"], "d0": [1.0]},
        {"d0": [1.0], "d1": [2.0]},
        {"word": ["a"], "count": [3], "d0": [1.0]},
        {"word": ["a"]},
    ],
)
def test_load_refuses_tables_with_other_columns(columns: dict[str, list[object]], tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    pa.parquet.write_table(pa.table(columns), path)
    with pytest.raises(FormatError, match="not a table of word vectors"):
        vecload.load(path)


def test_load_refuses_damaged_wide_tables(tmp_path: Path) -> None:
    path = tmp_path / "wide.parquet"
    FRAME.to_parquet(path, compression=None)
    check_every_cut(path)
    check_mutations(path, rounds=150)
