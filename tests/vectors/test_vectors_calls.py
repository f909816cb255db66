"""Calls of `Vectors` that people look for: shape, index, head, slices, dictionaries, tensors and data frames."""

from __future__ import annotations

import sys

import ml_dtypes
import numpy as np
import pytest
import torch

from vecload import Vectors
from vecload.errors import MissingWordError, OptionError, VocabularyError
from vecload.formats import History


def table(dtype: str = "float32") -> Vectors:
    matrix = np.arange(12).reshape(4, 3).astype(dtype)
    return Vectors(["the", "of", "cat", "7"], matrix, {"format": "x"}, history=History(counts=np.array([9, 8, 2, 1])))


def test_shape_is_that_of_the_matrix() -> None:
    assert table().shape == table().matrix.shape == (4, 3)
    assert Vectors([], np.empty((0, 5))).shape == (0, 5)


def test_index_returns_the_row_or_raises() -> None:
    assert table().index("cat") == 2
    with pytest.raises(MissingWordError, match="'cow' is not among the 4 words"):
        table().index("cow")


@pytest.mark.parametrize(
    "rows", [slice(2), slice(1, 3), slice(-2, None), slice(None, None, -2), slice(9, 12), slice(0)]
)
def test_slice_equals_the_slice_of_words_and_matrix(rows: slice) -> None:
    vectors = table()
    part = vectors[rows]
    assert list(part) == list(vectors)[rows]
    assert np.array_equal(part.matrix, vectors.matrix[rows])
    assert part.history.counts.tolist() == vectors.history.counts[rows].tolist()
    assert part.meta["format"] == "x"


def test_counts_of_another_length_raise() -> None:
    with pytest.raises(OptionError, match=r"2 words need the same number of counts, got shape \(3,\)"):
        Vectors(["a", "b"], np.eye(2), history=History(counts=np.arange(3)))


def test_head_shares_the_matrix_and_takes_any_length() -> None:
    vectors = table()
    assert list(vectors.head(2)) == ["the", "of"]
    assert np.shares_memory(vectors.head(2).matrix, vectors.matrix)
    assert len(vectors.head()) == 4
    assert len(vectors.head(0)) == 0
    with pytest.raises(OptionError, match="n=-1 is negative"):
        vectors.head(-1)


@pytest.mark.parametrize("row", [0, np.int64(7), -1])
def test_lookup_by_row_number_raises_with_advice(row: int) -> None:
    with pytest.raises(OptionError, match=rf"looked up by word, got .*; use matrix\[{row}\] for a row by number"):
        table()[row]  # type: ignore[call-overload]


def test_slice_of_words_raises() -> None:
    with pytest.raises(OptionError, match=r"slices take row numbers.*use select\(\)"):
        table()["the":"cat"]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("vectors", "dtype", "expected"),
    [
        ({"a": [1, 2], "b": [3, 4]}, None, "float32"),
        ({"a": (0.1, 0.2), "b": [3, 4]}, None, "float32"),
        ({"a": np.ones(2), "b": np.ones(2)}, None, "float64"),
        ({"a": np.ones(2, dtype=np.float16)}, None, "float16"),
        ({"a": torch.ones(2)}, None, "float32"),
        ({"a": [0.1, 0.2]}, "float64", "float64"),
        ({"a": np.ones(2)}, ml_dtypes.bfloat16, "bfloat16"),
    ],
)
def test_from_dict_keeps_order_values_and_types(vectors: dict, dtype: object, expected: str) -> None:
    made = Vectors.from_dict(vectors, dtype=dtype)  # type: ignore[arg-type]
    assert list(made) == list(vectors)
    assert made.dtype.name == expected
    assert np.allclose(made.matrix.astype(float), [np.asarray(row) for row in vectors.values()])


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ({}, "an empty dictionary has no dimension"),
        ({"a": [1, 2], "b": [3]}, r"found shape \(1,\) for 'b', expected \(2,\)"),
        ({"a": [[1, 2]]}, r"found shape \(1, 2\) for 'a'"),
        ({"a": ["x", "y"]}, "the matrix must hold numbers"),
        ({1: [1, 2]}, "words must be strings: found int"),
    ],
)
def test_from_dict_of_invalid_dictionary_raises(vectors: dict, message: str) -> None:
    with pytest.raises((OptionError, VocabularyError), match=message):
        Vectors.from_dict(vectors)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16", "int8"])
def test_to_torch_copies_values_of_every_type(dtype: str) -> None:
    vectors = table(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)  # type: ignore[arg-type]
    tensor = vectors.to_torch()
    assert str(tensor.dtype) == f"torch.{dtype}"
    assert tensor.double().tolist() == vectors.matrix.astype(float).tolist()
    tensor.zero_()
    assert vectors.matrix[3, 2] == 11
    assert vectors.to_torch(dtype=torch.float64).dtype == torch.float64


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
def test_to_pandas_is_indexed_by_word(dtype: str) -> None:
    pytest.importorskip("pandas")
    vectors = Vectors(["cat", "\udcff"], np.eye(2, dtype=ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype))
    frame = vectors.to_pandas()
    assert frame.index.tolist() == ["cat", "\udcff"]
    assert frame.index.name == "word"
    assert frame.loc["\udcff"].tolist() == [0, 1]
    frame.iloc[0, 0] = 5
    assert vectors.matrix[0, 0] == 1


def test_to_pandas_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "vecload\[pandas\]"'):
        table().to_pandas()
