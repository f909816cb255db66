"""A large matrix is written to a file of its own, which gensim maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.builders import small_vectors
from vecload.errors import OptionError
from vecload.formats.gensim import pickle_writer

VECTORS = small_vectors(["the", "cat", "\u5317\u6d77\u9053", "dog"], dim=3)


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_writer, "SEPARATE_FROM", 12)


@pytest.mark.usefixtures("small_limit")
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_gensim_maps_the_matrix(dtype: str, tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim.models")
    path = tmp_path / "v.kv"
    vectors = vecload.Vectors(VECTORS.words, VECTORS.matrix.astype(dtype))
    vectors.save(path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["v.kv", "v.kv.vectors.npy"]
    loaded = gensim.KeyedVectors.load(str(path), mmap="r")
    assert isinstance(loaded.vectors, np.memmap)
    assert loaded.vectors.dtype == dtype
    assert np.array_equal(loaded.vectors, vectors.matrix)
    assert loaded.index_to_key == list(vectors.words)
    assert loaded.most_similar("cat", topn=1)
    loaded.save(str(tmp_path / "again.kv"))
    again = vecload.load(path)
    assert (again.words, again.matrix.tobytes()) == (vectors.words, vectors.matrix.tobytes())


@pytest.mark.usefixtures("small_limit")
def test_matrix_of_an_older_file_is_replaced_or_removed(tmp_path: Path) -> None:
    path = tmp_path / "v.kv"
    VECTORS.save(path)
    other = small_vectors(["a", "b", "c", "d", "e"], dim=3)
    other.save(path)
    assert vecload.load(path).words == other.words
    assert np.load(f"{path}.vectors.npy").shape == (5, 3)
    small_vectors(["a"], dim=2).save(path)
    assert [one.name for one in tmp_path.iterdir()] == ["v.kv"]
    assert len(vecload.load(path)) == 1


@pytest.mark.usefixtures("small_limit")
def test_convert_counts_both_files(tmp_path: Path) -> None:
    source = tmp_path / "v.txt"
    VECTORS.save(source)
    done = vecload.convert(source, tmp_path / "v.kv")
    assert done.size == sum((tmp_path / name).stat().st_size for name in ("v.kv", "v.kv.vectors.npy"))
    assert np.array_equal(vecload.load(tmp_path / "v.kv").matrix, VECTORS.matrix)


@pytest.mark.usefixtures("small_limit")
def test_failed_save_leaves_the_older_pair(tmp_path: Path) -> None:
    path = tmp_path / "v.kv"
    VECTORS.save(path)
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    source = tmp_path / "bad.txt"
    source.write_text("".join(f"w{at} 1 2 3\n" for at in range(9)) + "dog 1 x 3\n")
    with pytest.raises(vecload.errors.FormatError):
        vecload.convert(source, path)
    source.unlink()
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


@pytest.mark.usefixtures("small_limit")
def test_save_refuses_a_folder_in_place_of_the_matrix(tmp_path: Path) -> None:
    (tmp_path / "v.kv.vectors.npy").mkdir()
    with pytest.raises(OptionError, match="is a directory"):
        VECTORS.save(tmp_path / "v.kv")
