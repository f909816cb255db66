"""Tests of GloVe's own binary vectors, against sums computed from a model's parameters."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload.errors import FormatError, VecloadError

WORDS = ["the", "of", "北海道", "a-b", "5"]


def parameters(words: int = 5, dim: int = 3, seed: int = 0) -> np.ndarray:
    """Return words and contexts, each row with its bias."""
    return np.random.default_rng(seed).normal(0, 0.4, size=(2, words, dim + 1))


def vocab(words: list[str]) -> bytes:
    return "".join(f"{word} {1000 - at}\n" for at, word in enumerate(words)).encode()


def saved(folder: Path, values: np.ndarray, words: list[str] | None = None) -> Path:
    """Write files as ``glove -binary 1`` and ``vocab_count`` do."""
    (folder / "vocab.txt").write_bytes(vocab(WORDS if words is None else words))
    (folder / "vectors.bin").write_bytes(values.astype("<f8").tobytes())
    return folder / "vectors.bin"


@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 99))
def test_load_sums_words_and_contexts(words: int, dim: int, seed: int) -> None:
    values = parameters(words, dim, seed)
    names = [f"w{number}" for number in range(words)]
    found = vecload.load(io.BytesIO(values.tobytes()), words=names, format="GloVe binary")
    assert list(found.words) == names
    # As glove.c sums them for its text files.
    wanted = [[values[0, row, at] + values[1, row, at] for at in range(dim)] for row in range(words)]
    assert found.matrix.tolist() == wanted


def test_load_finds_the_words_beside_the_file(tmp_path: Path) -> None:
    values = parameters()
    path = saved(tmp_path, values)
    whole = vecload.load(path)
    assert (list(whole.words), whole.dim, whole.dtype) == (WORDS, 3, np.dtype(np.float64))
    assert whole.meta["format"] == "GloVe binary"
    some = vecload.load(path, vocab=["北海道", "cow", "the"], dtype="float32")
    assert list(some.words) == ["the", "北海道"]
    np.testing.assert_array_equal(some.matrix, (values[0] + values[1])[[0, 2], :3].astype(np.float32))
    assert vecload.info(path).rows == 5
    assert vecload.convert(path, tmp_path / "v.txt", limit=2).written == 2
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.write(path, "vectors.bin")
        archive.write(tmp_path / "vocab.txt", "vocab.txt")
    assert list(vecload.load(tmp_path / "model.zip").words) == WORDS


def test_load_without_words_says_where_they_belong(tmp_path: Path) -> None:
    path = saved(tmp_path, parameters())
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(FormatError, match=r'without their words: found no vocab\.txt\. .* words="vocab\.txt"'):
        vecload.load(path)
    assert len(vecload.load(path, words=WORDS)) == 5


@pytest.mark.parametrize("count", [0, 3, 7, 40])
def test_load_with_other_words_raises(count: int, tmp_path: Path) -> None:
    path = saved(tmp_path, parameters(), [f"w{number}" for number in range(count)])
    with pytest.raises(VecloadError, match=r"the size does not fit the words|no words|empty"):
        vecload.load(path)


def test_load_cut_file_raises(tmp_path: Path) -> None:
    path = saved(tmp_path, parameters())
    whole = path.read_bytes()
    for size in range(1, len(whole)):
        if size % (16 * len(WORDS)) == 0 and size > 16 * len(WORDS):
            continue  # the parameters of a smaller model
        path.write_bytes(whole[:size])
        with pytest.raises(FormatError):
            vecload.load(path)


@pytest.mark.parametrize("dtype", ["<f4", "<f2", "<i4", "<i8", "u1"])
def test_other_binary_numbers_are_not_taken_for_glove(dtype: str, tmp_path: Path) -> None:
    numbers = np.random.default_rng(1).normal(0, 30, size=4000).astype(dtype)
    (tmp_path / "v.bin").write_bytes(numbers.tobytes())
    with pytest.raises(FormatError) as caught:
        vecload.load(tmp_path / "v.bin")
    assert "GloVe" not in str(caught.value).split("expected")[0]
