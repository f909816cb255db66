from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from vecload import Aligned, Vectors, Vocab, Words, align
from vecload.errors import OptionError
from vecload.layers import PartialEmbedding


def aligned() -> Aligned:
    words = ["cat", "dog", "cow"]
    matrix = np.arange(9, dtype=np.float32).reshape(3, 3) + 1
    return align(Vectors(Words.from_strings(words), matrix), Vocab.from_words(words, pad_token="<pad>"))


def test_rows_are_in_the_order_of_the_vocabulary() -> None:
    source = aligned()
    layer = source.embedding()
    assert type(layer) is torch.nn.Embedding
    assert (layer.num_embeddings, layer.embedding_dim, layer.padding_idx) == (4, 3, 0)
    looked_up = layer(torch.from_numpy(source.vocab.encode(["cow", "cat"])))
    assert looked_up.tolist() == [[7, 8, 9], [1, 2, 3]]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.SGD(p, lr=0.5, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, lr=0.1),
        lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5),
        lambda p: torch.optim.Adagrad(p, lr=0.1),
    ],
)
def test_padding_row_stays_zero(optimizer: object) -> None:
    layer = aligned().embedding()
    before = layer.weight.detach().clone()
    steps = optimizer(layer.parameters())  # type: ignore[operator]
    for _ in range(20):
        steps.zero_grad()
        layer(torch.tensor([0, 1, 2, 0])).pow(2).sum().backward()
        steps.step()
    assert layer.weight[0].tolist() == [0, 0, 0]
    assert not torch.equal(layer.weight[1], before[1])


def test_freeze_makes_a_layer_without_gradients() -> None:
    layer = aligned().embedding(mode="freeze")
    assert not layer.weight.requires_grad
    assert aligned().embedding(mode="finetune").weight.requires_grad


def test_layer_is_a_copy_of_the_matrix() -> None:
    source = aligned()
    layer = source.embedding()
    with torch.no_grad():
        layer.weight.fill_(5)
    assert source.matrix[1].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("given", "row"), [("vocab", 0), (2, 2), (-1, 3), (np.int64(1), 1)])
def test_padding_idx_can_be_any_row(given: int, row: int) -> None:
    layer = aligned().embedding(padding_idx=given)
    assert layer.padding_idx == row
    assert layer.weight[row].tolist() == [0, 0, 0]


def test_rows_argument_selects_the_trained_rows() -> None:
    layer = aligned().embedding(rows=np.array([True, False, True, False]), device="meta", dtype=torch.float16)
    assert isinstance(layer, PartialEmbedding)
    assert [(rows.shape, rows.dtype, rows.device.type) for rows in layer.trained] == [((1, 3), torch.float16, "meta")]
    assert aligned().embedding(device="meta").weight.is_meta


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(
    "options", [{}, {"mode": "new-rows"}, {"rows": np.array([False, True, True, False])}, {"mode": "freeze"}]
)
def test_embedding_of_half_precision_is_float32_if_a_row_is_trained(dtype: str, options: dict[str, Any]) -> None:
    words = ["a", "b", "c"]
    source = align(
        Vectors(words, np.ones((3, 2), ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)), [*words, "new"]
    )
    layer = source.embedding(**options)
    kept = options == {"mode": "freeze"} and "16" in dtype
    expected = getattr(torch, dtype) if kept else torch.float32
    assert {layer.weight.dtype, *(one.dtype for one in layer.parameters())} == {expected}
    assert layer(torch.tensor([0])).dtype == expected
    given = source.embedding(**options, dtype=torch.float16)
    assert {given.weight.dtype, *(one.dtype for one in given.parameters())} == {torch.float16}
    if not kept and options != {"mode": "freeze"}:
        optimizer = torch.optim.AdamW(layer.parameters())
        layer(torch.tensor([[0, 1]])).sum().backward()
        optimizer.step()
        assert bool(layer.weight.isfinite().all())


def test_padding_idx_none_makes_a_layer_without_padding() -> None:
    layer = aligned().embedding(padding_idx=None)
    assert layer.padding_idx is None
    layer(torch.tensor([0])).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad[0].tolist() == [1, 1, 1]


def test_options_of_torch_are_passed_on() -> None:
    layer = aligned().embedding(
        max_norm=1.0, norm_type=1.0, scale_grad_by_freq=True, sparse=False, dtype=torch.float64, device="cpu"
    )
    assert (layer.max_norm, layer.norm_type, layer.scale_grad_by_freq) == (1.0, 1.0, True)
    assert layer.weight.dtype == torch.float64
    assert layer(torch.tensor([3])).abs().sum().item() == pytest.approx(1, abs=1e-6)
    assert aligned().embedding(sparse=True)(torch.tensor([1])).sum().backward() is None
    assert aligned().embedding(dtype=torch.bfloat16, mode="freeze").weight.dtype == torch.bfloat16


def test_padding_row_of_a_sparse_layer_stays_zero() -> None:
    layer = aligned().embedding(sparse=True)
    steps = torch.optim.SparseAdam(layer.parameters(), lr=0.1)
    for _ in range(5):
        steps.zero_grad()
        layer(torch.tensor([0, 1])).sum().backward()
        steps.step()
    assert layer.weight[0].tolist() == [0, 0, 0]
    assert layer.weight[1, 0] != 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"mode": "freeze", "max_norm": 1.0},
            "max_norm cannot be combined with mode='freeze': torch shortens rows of the weight in place whenever "
            "they are looked up, so frozen rows would change",
        ),
        (
            {"mode": "new-rows", "max_norm": 1.0},
            "max_norm cannot be combined with mode='new-rows': torch shortens rows of the weight in place whenever "
            "they are looked up, so frozen rows would change",
        ),
        (
            {"rows": np.ones(4, dtype=bool), "max_norm": 1.0},
            "max_norm cannot be combined with rows: torch shortens rows of the weight in place whenever "
            "they are looked up, so frozen rows would change",
        ),
        (
            {"rows": np.ones(4, dtype=bool), "mode": "freeze"},
            "rows cannot be combined with mode='freeze', which already says which rows are trained",
        ),
        (
            {"sparse": True, "scale_grad_by_freq": True},
            "scale_grad_by_freq cannot be combined with sparse: torch does not scale sparse gradients",
        ),
        ({"padding_idx": 4}, "padding_idx=4 is not one of the 4 rows"),
        ({"padding_idx": -5}, "padding_idx=-5 is not one of the 4 rows"),
        ({"padding_idx": 1.0}, "padding_idx=1.0 is not one of the 4 rows"),
        ({"padding_idx": True}, "padding_idx=True is not one of the 4 rows"),
        ({"padding_idx": "<pad>"}, "padding_idx='<pad>' is not one of the 4 rows"),
        ({"mode": "frozen"}, "unknown mode 'frozen'; choose from: freeze, finetune, new-rows"),
        ({"dtype": torch.int64}, "dtype must be a floating-point type, not torch.int64"),
    ],
)
def test_embedding_refuses_invalid_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        aligned().embedding(**options)
    assert str(caught.value) == message
