"""Test each layer for the behaviors that PyTorch's own tests check for `nn.Embedding` and `nn.EmbeddingBag`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.autograd.forward_ad as fwd
from torch import nn
from torch.func import functional_call
from torch.nn.functional import embedding_bag

from vecload import PartialEmbedding, SentencePooler, Vectors, Words
from vecload.errors import OptionError
from vecload.layers import StoredEmbedding

# Forward-mode differentiation compiles parts of torch with torch.jit.script.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")

COUNT, DIM, PADDING = 6, 3, 2
WEIGHT = torch.randn(COUNT, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
WEIGHT[PADDING] = 0
SOME = torch.tensor([True, False, False, True, True, False])
IDS = torch.tensor([[0, 2, 3], [4, 1, 0]])

LAYERS: dict[str, Callable[[], Any]] = {
    "some": lambda: PartialEmbedding(WEIGHT, SOME, padding_idx=PADDING),
    "all": lambda: PartialEmbedding(WEIGHT, torch.ones_like(SOME), padding_idx=PADDING),
    "bands": lambda: PartialEmbedding(WEIGHT, SOME.int() * torch.tensor([1, 1, 1, 2, 2, 1]), padding_idx=PADDING),
    "over stored": lambda: PartialEmbedding(StoredEmbedding(WEIGHT, padding_idx=PADDING, dtype=torch.float64), SOME),
}


def vectors(weight: torch.Tensor = WEIGHT) -> Vectors:
    return Vectors(Words.from_strings([f"w{at}" for at in range(len(weight))]), weight.numpy())


def pooler(mode: str, weight: torch.Tensor = WEIGHT) -> SentencePooler:
    made = SentencePooler(vectors(weight), mode, trainable=True, dtype=torch.float64)
    if made.query is not None:
        made.query = nn.Parameter(torch.linspace(-1, 1, DIM, dtype=torch.float64))
    return made


def plain() -> nn.Embedding:
    layer = nn.Embedding(COUNT, DIM, padding_idx=PADDING, dtype=torch.float64)
    layer.load_state_dict({"weight": WEIGHT})
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_padding_row_is_zero_and_has_no_gradient(name: str) -> None:
    layer, expected = LAYERS[name](), plain()
    assert layer.padding_idx == expected.padding_idx
    assert torch.equal(layer(IDS), expected(IDS))
    assert layer(torch.tensor([PADDING])).count_nonzero() == 0
    for one in (layer, expected):
        one(IDS).pow(2).sum().backward()
    trained = torch.cat([rows.grad for rows in layer.trained])
    order = torch.from_numpy(layer._order)
    assert PADDING not in order
    assert torch.equal(trained, expected.weight.grad[order])


@pytest.mark.parametrize("name", ["some", "all", "bands"])
def test_changed_padding_row_is_looked_up_and_stays_frozen(name: str) -> None:
    layer, expected = LAYERS[name](), plain()
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.1) for one in (layer, expected)]
    for one, optimizer in zip((layer, expected), optimizers, strict=True):
        with torch.no_grad():
            one.weight[PADDING] = 7
        assert torch.equal(one(torch.tensor([PADDING])), torch.full((1, DIM), 7.0, dtype=torch.float64))
        one(torch.tensor([[PADDING, 0, PADDING]])).pow(2).sum().backward()
        optimizer.step()
        assert torch.equal(one(torch.tensor([PADDING])), torch.full((1, DIM), 7.0, dtype=torch.float64))
    assert torch.equal(layer(IDS), expected(IDS))


def test_padding_row_of_a_stored_table_cannot_be_changed() -> None:
    for layer in (StoredEmbedding(WEIGHT, padding_idx=PADDING), LAYERS["over stored"]()):
        with pytest.raises(OptionError, match="is never written to"), torch.no_grad():
            layer.weight[PADDING] = 7
        assert layer(torch.tensor([PADDING])).count_nonzero() == 0


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
def test_pooler_skips_the_padding_row(mode: str, trainable: bool) -> None:
    layer = nn.Embedding(COUNT, DIM, padding_idx=PADDING)
    with torch.no_grad():
        layer.weight[PADDING] = 7
    layer.requires_grad_(trainable)
    bag = nn.EmbeddingBag(COUNT, DIM, mode=mode, padding_idx=PADDING)
    bag.load_state_dict(layer.state_dict())
    made = SentencePooler(layer, mode)
    ids = torch.tensor([[0, 2, 3], [2, 2, 2], [4, 2, 0]])
    assert torch.equal(made(ids), bag(ids))
    assert made(ids)[1].count_nonzero() == 0
    if trainable:
        made(ids).pow(2).sum().backward()
        bag(ids).pow(2).sum().backward()
        assert torch.equal(layer.weight.grad, bag.weight.grad)


@pytest.mark.parametrize("name", LAYERS)
def test_second_gradients_equal_torch(name: str) -> None:
    layer = LAYERS[name]()
    rows = [rows.detach().clone().requires_grad_() for rows in layer.trained]

    def call(*rows: torch.Tensor) -> torch.Tensor:
        state = {f"trained{band}": one for band, one in enumerate(rows)}
        return functional_call(layer, state, (IDS,)).pow(3)

    assert torch.autograd.gradcheck(call, rows)
    assert torch.autograd.gradgradcheck(call, rows)


@pytest.mark.parametrize("mode", ["sqrt-n", "pmeans", "attention", "fasttext"])
def test_second_gradients_of_modes_that_torch_lacks(mode: str) -> None:
    made = pooler(mode, WEIGHT + 0.1)
    rows = made.embedding.weight.detach().clone().requires_grad_()

    def call(rows: torch.Tensor) -> torch.Tensor:
        return functional_call(made, {"embedding.weight": rows}, (IDS,)).pow(2)

    assert torch.autograd.gradcheck(call, rows)
    assert torch.autograd.gradgradcheck(call, rows)


@pytest.mark.parametrize("name", LAYERS)
def test_forward_mode_differentiation_of_partial_layers(name: str) -> None:
    layer = LAYERS[name]()
    tangents = [torch.randn_like(rows) for rows in layer.trained]
    whole = torch.zeros_like(WEIGHT)
    whole[torch.from_numpy(layer._order)] = torch.cat(tangents)
    with fwd.dual_level():
        state = {
            f"trained{band}": fwd.make_dual(rows.detach(), tangent)
            for band, (rows, tangent) in enumerate(zip(layer.trained, tangents, strict=True))
        }
        found = fwd.unpack_dual(functional_call(layer, state, (IDS,)))
    assert torch.equal(found.primal, WEIGHT[IDS])
    assert torch.equal(found.tangent, whole[IDS])


@pytest.mark.parametrize("mode", ["mean", "sum", "sqrt-n", "pmeans", "attention", "fasttext"])
def test_forward_mode_differentiation_of_poolers(mode: str) -> None:
    made = pooler(mode, WEIGHT + 0.1)
    rows = made.embedding.weight.detach().clone().requires_grad_()

    def call(rows: torch.Tensor) -> torch.Tensor:
        return functional_call(made, {"embedding.weight": rows}, (IDS,))

    assert torch.autograd.gradcheck(call, rows, check_forward_ad=True, check_backward_ad=False)


def test_empty_input() -> None:
    for shape in ((0,), (0, 3), (2, 0), (2, 0, 4)):
        ids = torch.empty(shape, dtype=torch.long)
        for layer in (*(make() for make in LAYERS.values()), StoredEmbedding(WEIGHT)):
            found = layer(ids)
            assert found.shape == (*shape, DIM)
            if found.requires_grad:
                found.sum().backward()
    for mode in ("mean", "sum", "max"):
        made, bag = pooler(mode), nn.EmbeddingBag(COUNT, DIM, mode=mode, dtype=torch.float64)
        ids = torch.empty((0, 3), dtype=torch.long)
        assert torch.equal(made(ids), bag(ids))
        assert made(torch.empty((2, 0), dtype=torch.long)).tolist() == [[0.0] * DIM] * 2  # torch divides by zero here
        nothing, offsets = torch.empty(0, dtype=torch.long), torch.tensor([0, 0])
        assert torch.equal(made(nothing, offsets), bag(nothing, offsets))


def test_tables_without_rows_or_without_columns() -> None:
    for rows, dim in ((0, 3), (4, 0), (0, 0)):
        weight, ids = torch.empty(rows, dim), torch.empty(2, 0, dtype=torch.long)
        mask = torch.zeros(rows, dtype=torch.bool)
        for layer in (PartialEmbedding(weight, mask), StoredEmbedding(weight)):
            assert layer(ids).shape == (2, 0, dim)
            assert tuple(layer.weight.shape) == (rows, dim)
            with pytest.raises(
                (IndexError, RuntimeError), match=f"id {rows} in a layer of {rows} rows|out of DATA bounds"
            ):
                layer(torch.tensor([rows]))
        made = SentencePooler(nn.Embedding.from_pretrained(weight))
        assert made(ids).shape == (2, dim)
        if not rows:
            with pytest.raises(OptionError, match="row 0 is not one of the 0 rows"):
                made(torch.tensor([[0]]))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("trainable", [False, True])
def test_gradients_of_per_sample_weights(dtype: torch.dtype, trainable: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, COUNT, (9,), generator=generator).to(dtype)
    offsets = torch.tensor([0, 0, 4, 7, 9]).to(dtype)
    start = torch.randn(9, dtype=torch.float64, generator=generator)
    weights, expected = start.clone().requires_grad_(), start.clone().requires_grad_()
    rows = WEIGHT.clone().requires_grad_(trainable)
    made = SentencePooler(vectors(), "sum", trainable=trainable, dtype=torch.float64)
    found = made(tokens, offsets, weights)
    answer = embedding_bag(tokens, rows, offsets, mode="sum", per_sample_weights=expected)
    assert torch.equal(found, answer)
    found.pow(2).sum().backward()
    answer.pow(2).sum().backward()
    assert torch.equal(weights.grad, expected.grad)
    if trainable:
        assert torch.equal(made.embedding.weight.grad, rows.grad)


def test_gradients_of_per_sample_weights_in_other_modes() -> None:
    weights = torch.rand(IDS.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 0.5
    for mode in ("mean", "sqrt-n", "fasttext"):
        made = pooler(mode, WEIGHT + 0.1)
        given = weights.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda given, made=made: made(IDS, per_sample_weights=given), given)


def test_gradients_of_repeated_ids_are_summed() -> None:
    ids = torch.tensor([0, 0, 3, 0, 1])
    for name, make in LAYERS.items():
        layer, expected = make(), plain()
        for one in (layer, expected):
            one(ids).pow(2).sum().backward()
        found = torch.cat([rows.grad for rows in layer.trained])
        assert torch.equal(found, expected.weight.grad[torch.from_numpy(layer._order)]), name


def test_results_do_not_share_memory_with_the_table() -> None:
    table = WEIGHT.numpy().astype(np.float32)
    for layer in (StoredEmbedding(table), PartialEmbedding(torch.from_numpy(table), torch.zeros_like(SOME))):
        layer(torch.arange(COUNT)).fill_(7)
        assert np.array_equal(table, WEIGHT.float().numpy())
        assert torch.equal(layer(torch.arange(COUNT)), WEIGHT.float())
