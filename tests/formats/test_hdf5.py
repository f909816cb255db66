"""Tests of HDF5 files, which h5py and pandas' layout of tables write."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecload
from vecload.errors import FormatError

h5py = pytest.importorskip("h5py")

WORDS = ["/c/en/the", "/c/de/Straße", "/c/ja/北海道", "/c/en/a"]
ROWS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def numberbatch(path: Path, rows: np.ndarray) -> Path:
    """Write the arrays that ``DataFrame.to_hdf(path, "mat")`` writes."""
    with h5py.File(path, "w") as file:
        group = file.create_group("mat")
        group["axis0"] = group["block0_items"] = np.arange(rows.shape[1])
        group["axis1"] = np.array([word.encode() for word in WORDS])
        group["block0_values"] = rows
    return path


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8"])
def test_load_reads_a_table_of_pandas(dtype: str, tmp_path: Path) -> None:
    rows = (ROWS * 40).astype(dtype)
    path = numberbatch(tmp_path / "mini.h5", rows)
    for source in (path, io.BytesIO(path.read_bytes()), tmp_path / "mini.h5.gz"):
        if source == tmp_path / "mini.h5.gz":
            (tmp_path / "mini.h5.gz").write_bytes(gzip.compress(path.read_bytes()))
        found = vecload.load(source)
        assert list(found.words) == WORDS
        assert np.array_equal(found.matrix, rows)
        assert found.dtype == np.dtype("float32" if dtype == "int8" else dtype)
        assert found.meta.get("quantized") == ("int8" if dtype == "int8" else None)
    english = vecload.load(path, prefix="/c/en/")
    assert list(english.words) == ["the", "a"]
    assert np.array_equal(english.matrix, rows[[0, 3]])
    some = vecload.load(path, vocab=[WORDS[3], WORDS[1]], limit=3)
    assert list(some.words) == [WORDS[1]]
    assert (vecload.info(path).rows, vecload.info(path).dim) == (4, 3)


def test_load_equals_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    path = tmp_path / "p.h5"
    pandas.DataFrame(ROWS, index=WORDS).to_hdf(path, key="mat")
    found = vecload.load(path)
    assert found.to_pandas().equals(pandas.read_hdf(path, "mat").rename_axis("word"))


def test_load_reads_words_of_the_same_length(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["a/vectors"] = ROWS
        file["a/bias"] = np.ones(4)
        file["words"] = [word[6:] for word in WORDS]  # strings of any length
        file["other"] = np.array([b"x", b"y"])
    assert list(vecload.load(tmp_path / "v.h5").words) == [word[6:] for word in WORDS]


def test_load_reads_a_named_matrix_with_other_words(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["embedding/embedding/embeddings:0"] = ROWS
        file["dense/dense/kernel:0"] = np.eye(3)
    with pytest.raises(FormatError, match="several tensors"):
        vecload.load(tmp_path / "weights.h5", words=WORDS)
    found = vecload.load(tmp_path / "weights.h5", words=WORDS, tensor="embedding/embedding/embeddings:0")
    assert np.array_equal(found.matrix, ROWS)
    with pytest.raises(FormatError, match="a matrix without words"):
        vecload.load(tmp_path / "weights.h5", tensor="dense/dense/kernel:0")
    with pytest.raises(FormatError, match="not one word per row"):
        vecload.load(tmp_path / "weights.h5", words=WORDS[:2], tensor="embedding/embedding/embeddings:0")
    with pytest.raises(FormatError, match="no tensor 'x'"):
        vecload.load(tmp_path / "weights.h5", words=WORDS, tensor="x")


def write_nothing(file: Any) -> None:
    file["text"] = "no matrix"


def write_link(file: Any) -> None:
    file["vectors"] = h5py.ExternalLink("other.h5", "vectors")
    file["words"] = [word.encode() for word in WORDS]


def write_external(file: Any) -> None:
    file.create_dataset("vectors", (4, 3), "f4", external=[("/etc/hostname", 0, 48)])
    file["words"] = [word.encode() for word in WORDS]


def write_virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "vectors", (4, 3))
    file.create_virtual_dataset("vectors", layout)
    file["words"] = [word.encode() for word in WORDS]


def write_unwritten(file: Any) -> None:
    file.create_dataset("vectors", (1 << 30, 300), "f4", chunks=(1024, 300))


def write_long_doubles(file: Any) -> None:
    file["vectors"] = ROWS.astype(np.longdouble)


def write_numbers_as_words(file: Any) -> None:
    file["mat/block0_values"], file["mat/axis1"] = ROWS, np.arange(4)


def write_fewer_words(file: Any) -> None:
    file["mat/block0_values"], file["mat/axis1"] = ROWS, np.array([b"a", b"b"])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (write_nothing, "found no matrix"),
        (write_link, "found no matrix"),
        (write_external, "values that are stored in another file"),
        (write_virtual, "values that are stored in another file"),
        (write_unwritten, "values that are missing in the file: found 0 bytes stored"),
        (write_long_doubles, "not a matrix of numbers"),
        (write_numbers_as_words, "words that are not text"),
        (write_fewer_words, "not one word per row"),
    ],
)
def test_load_reads_only_complete_tables_of_the_file_itself(write: Any, message: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["vectors"] = ROWS
    with h5py.File(tmp_path / "v.h5", "w") as file:
        write(file)
    with pytest.raises(FormatError, match=message):
        vecload.load(tmp_path / "v.h5")


def test_load_compressed_values(tmp_path: Path) -> None:
    rows = np.zeros((3000, 50), dtype=np.float32)
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_dataset("v", data=rows, compression="gzip", chunks=(1000, 50))
        file["words"] = [f"w{number}" for number in range(3000)]
    assert vecload.load(tmp_path / "v.h5").shape == (3000, 50)


def test_load_cut_file_raises(tmp_path: Path) -> None:
    path = numberbatch(tmp_path / "v.h5", ROWS)
    whole = path.read_bytes()
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        with pytest.raises(FormatError):
            vecload.load(path)
