"""Test that `StoredEmbedding` does not copy its table and returns the rows of ``torch.nn.Embedding``."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from vecload import Vectors, Vocab, Words, load
from vecload.errors import OptionError
from vecload.layers import PartialEmbedding, StoredEmbedding

IDS = torch.tensor([[2, 0], [1, 1]])


def table(dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).normal(size=(4, 3)).astype(dtype)


def mapped(path: Path, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    np.save(path, array)
    found: np.ndarray[Any, Any] = np.load(path, mmap_mode="r")
    return found


@pytest.mark.parametrize("given", [[0, 1], "cat", np.array([0])])
def test_lookup_of_no_tensor_raises_an_error_that_names_the_type(given: Any) -> None:
    with pytest.raises(OptionError, match=f"a tensor of row numbers, got {type(given).__name__}"):
        StoredEmbedding(table())(given)


def test_table_in_a_mapped_file_is_not_copied(tmp_path: Path) -> None:
    array = mapped(tmp_path / "table.npy", table())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = StoredEmbedding(array)
    assert layer._table.data_ptr() == array.ctypes.data  # nothing was copied
    assert torch.equal(layer(IDS), torch.from_numpy(table())[IDS])
    assert list(layer.state_dict()) == list(layer.parameters()) == list(layer.buffers()) == []


def test_table_keeps_its_dtype_and_output_has_the_requested_one() -> None:
    for dtype in (np.float16, np.float32, np.float64, ">f4", ml_dtypes.bfloat16):
        array = table(dtype)
        layer = StoredEmbedding(array)
        assert layer._table.element_size() == array.dtype.itemsize
        assert layer(IDS).dtype == torch.float32
        assert np.array_equal(layer(IDS).numpy(), array.astype(np.float32)[IDS.numpy()])
    assert repr(layer) == "StoredEmbedding(4, 3, stored=torch.bfloat16, dtype=torch.float32)"


def test_moving_and_casting_the_model_keeps_the_table() -> None:
    model = torch.nn.Sequential(StoredEmbedding(table(np.float16)), torch.nn.Linear(3, 2))
    layer = model[0]
    place = layer._table.data_ptr()
    model.to(torch.bfloat16)
    assert model(IDS).dtype == torch.bfloat16
    model.to("meta")
    assert (layer._table.data_ptr(), layer._table.dtype) == (place, torch.float16)
    assert layer.dtype == torch.bfloat16
    looked_up = model(IDS.to("meta"))
    assert (looked_up.device.type, looked_up.shape) == ("meta", (2, 2, 2))
    assert torch.equal(layer(IDS).float(), torch.from_numpy(table(np.float16))[IDS].bfloat16().float())


def test_ids_without_a_row_and_padding_are_zero() -> None:
    layer = StoredEmbedding(table(), rows=np.array([3, -1, 0, 2]), padding_idx=-1)
    expected = table()[[3, 0, 0, 0]] * [[1], [0], [1], [0]]
    assert np.array_equal(layer.weight.numpy(), expected.astype(np.float32))
    assert layer.found.tolist() == [True, False, True, False]
    assert layer.padding_idx == 3
    merged = layer.merged()
    assert (type(merged), merged.padding_idx, merged.weight.requires_grad) == (torch.nn.Embedding, 3, False)
    assert torch.equal(merged(IDS), layer(IDS))
    assert StoredEmbedding(np.empty((0, 3), np.float32), rows=np.array([-1]))(torch.tensor([0])).tolist() == [[0] * 3]
    every = StoredEmbedding(table(), rows=np.array([1, 0]))
    assert np.array_equal(every.weight.numpy(), table()[[1, 0]])
    for wrong in (4, -1):
        with pytest.raises(IndexError, match=f"id {wrong} in a layer of 4 rows"):
            layer(torch.tensor([2, wrong]))


def test_from_vectors_looks_up_the_words_of_a_vocabulary() -> None:
    vectors = Vectors(Words.from_strings(["a", "b", "c", "d"]), table())
    vocab = Vocab.from_words(["d", "x", "a"], pad_token="<pad>")
    layer = StoredEmbedding.from_vectors(vectors, vocab, dtype=torch.float64)
    assert layer.padding_idx == 0
    assert layer.weight.dtype == torch.float64
    assert np.array_equal(layer.weight[[1, 3]].float().numpy(), vectors[["d", "a"]])
    assert layer.weight[[0, 2]].abs().sum() == 0
    assert layer._table.data_ptr() == vectors.matrix.ctypes.data


def test_table_in_a_native_file_is_not_copied(tmp_path: Path) -> None:
    Vectors(Words.from_strings(["a", "b", "c", "d"]), table(np.float16)).save(tmp_path / "v.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vectors = load(tmp_path / "v.safetensors")
        layer = StoredEmbedding.from_vectors(vectors, Vocab.from_words(["d", "x"], pad_token="<pad>"))
    assert not vectors.matrix.flags.writeable
    assert layer._table.data_ptr() == vectors.matrix.ctypes.data
    trained = PartialEmbedding(layer, ~layer.found)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(10):
        optimizer.zero_grad()
        (trained(torch.arange(3)) - 1).square().sum().backward()
        optimizer.step()
    assert trained.weight[0].tolist() == [0] * 3
    assert np.array_equal(trained.weight[1].detach().numpy(), table(np.float16)[3].astype(np.float32))
    assert trained.weight[2].abs().min() > 0.1


def test_copied_and_compiled_layers_equal_the_layer() -> None:
    layer = StoredEmbedding(table(), rows=np.array([3, -1, 0]))
    assert torch.equal(copy.deepcopy(layer)(IDS), layer(IDS))
    assert torch.equal(torch.compile(layer, backend="eager", fullgraph=True)(IDS), layer(IDS))
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (np.ones((2, 2), dtype=np.int32), {}, "rows must be floating-point numbers, got torch.int32"),
        (np.ones(2), {}, "a table must have two dimensions, got shape (2,)"),
        (table(), {"dtype": torch.int8}, "dtype must be a floating-point type, got torch.int8"),
        (table(), {"rows": np.array([4])}, "rows must be numbers from -1 to 3, the last row of the table"),
        (table(), {"padding_idx": 4}, "padding_idx=4 is not one of the 4 rows"),
    ],
)
def test_stored_embedding_refuses_invalid_arguments(
    given: np.ndarray[Any, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError) as caught:
        StoredEmbedding(given, **options)
    assert str(caught.value) == message
