"""Test `PartialEmbedding` compiled, exported, traced and transformed by ``torch.func``, and its checkpoints."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, jacrev, jvp, vmap
from torch.nn.utils import parametrize, prune

from vecload import PartialEmbedding
from vecload.errors import OptionError
from vecload.layers import StoredEmbedding, TiedHead

ROWS, DIM = 12, 4
IDS = torch.tensor([[0, 1, 2, 3], [3, 3, 5, 11]])
BANDS = {
    "none": torch.zeros(ROWS, dtype=torch.int64),
    "some": torch.tensor([1, 0, 0] * 4),
    "bands": torch.tensor([2, 0, 1] * 4),
    "all": torch.ones(ROWS, dtype=torch.int64),
}


def weight(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(ROWS, DIM, generator=torch.Generator().manual_seed(3), dtype=dtype)


def plain(dtype: torch.dtype = torch.float32) -> nn.Embedding:
    return nn.Embedding.from_pretrained(weight(dtype), freeze=False)


def partial(bands: str = "some", *, stored: bool = False) -> PartialEmbedding:
    return PartialEmbedding(StoredEmbedding(weight()) if stored else weight(), BANDS[bands])


@pytest.mark.parametrize("wrong", [-1, ROWS, -ROWS - 1, 10**9])
def test_error_names_an_id_out_of_range(wrong: int) -> None:
    for layer in (partial(), partial("all"), partial("none"), partial(stored=True)):
        with pytest.raises(IndexError, match=rf"id {wrong} .*layer of 12 rows"):
            layer(torch.tensor([[0, wrong]]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inductor's own
@pytest.mark.parametrize("backend", ["eager", "aot_eager", "inductor"])
def test_compiled_layer_refuses_ids_out_of_range(backend: str) -> None:
    torch._dynamo.reset()
    for bands in ("some", "all") if backend != "inductor" else ("some",):
        layer = partial(bands)
        compiled = torch.compile(layer, backend=backend, fullgraph=True, dynamic=True)
        assert torch.equal(compiled(IDS), layer(IDS))
        for wrong in (-1, ROWS):
            with pytest.raises((IndexError, RuntimeError), match=r"out of (range|bounds)|index"):
                compiled(torch.tensor([[0, 1, 2, wrong], [0, 0, 0, 0]]))


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("bands", BANDS)
def test_exported_layer_takes_any_shape(bands: str, stored: bool, strict: bool) -> None:
    if strict and stored:
        pytest.skip("StoredEmbedding has tests of its own")
    layer = partial(bands, stored=stored)
    model = nn.Sequential(layer, nn.Linear(DIM, DIM), TiedHead(layer)).eval()
    shapes = ({0: torch.export.Dim("batch"), 1: torch.export.Dim("length")},)
    program = torch.export.export(model, (IDS,), dynamic_shapes=shapes, strict=strict)
    for size in ((3, 7), (5, 2), (2, 4)):
        ids = torch.randint(0, ROWS, size)
        torch.testing.assert_close(program.module()(ids), model(ids))


def test_layer_is_traced_and_refuses_torch_script() -> None:
    layer = partial("bands")
    model = nn.Sequential(layer, TiedHead(layer))
    ids = torch.tensor([[4, 7]])
    assert torch.equal(torch.fx.symbolic_trace(model)(ids), model(ids))
    with pytest.warns((DeprecationWarning, torch.jit.TracerWarning)):
        traced = torch.jit.trace(layer, (IDS,), check_trace=False)
    assert torch.equal(traced(ids), layer(ids))
    for one in (layer, model, TiedHead(layer)):
        with (
            pytest.warns(DeprecationWarning, match="is deprecated"),
            pytest.raises(OptionError, match=r"torch\.jit\.script cannot compile a (PartialEmbedding|TiedHead)"),
        ):
            torch.jit.script(one)


def rows_of(layer: PartialEmbedding, whole: torch.Tensor, band: int = 1) -> torch.Tensor:
    bands = (layer.place < 0).long() if len(layer.trained) == 1 else BANDS["bands"]
    return whole[..., bands == band, :]


def test_gradients_per_sample_equal_those_of_torch() -> None:
    def loss(layer: nn.Module) -> Any:
        return lambda parameters, ids: functional_call(layer, parameters, (ids[None],)).pow(3).sum()

    layer, reference = partial("bands"), plain()
    ours, theirs = (
        vmap(grad(loss(one)), in_dims=(None, 0))({name: p.detach() for name, p in one.named_parameters()}, IDS)
        for one in (layer, reference)
    )
    for band in (1, 2):
        torch.testing.assert_close(ours[f"trained{band - 1}"], rows_of(layer, theirs["weight"], band))
    jacobian = jacrev(lambda p: functional_call(layer, p, (IDS,)))(dict(layer.named_parameters()))
    assert jacobian["trained0"].shape == (*IDS.shape, DIM, 4, DIM)


@pytest.mark.filterwarnings(
    "ignore:.torch.jit.script. is deprecated:DeprecationWarning"
)  # torch's own, in forward mode
def test_derivatives_of_second_order_and_forward_mode() -> None:
    layer = PartialEmbedding(weight(torch.float64), BANDS["some"])
    rows = layer.trained[0].detach().clone().requires_grad_()

    def cubes(rows: torch.Tensor) -> torch.Tensor:
        return functional_call(layer, {"trained0": rows}, (IDS,)).pow(3)

    assert gradcheck(cubes, (rows,), check_forward_ad=True)
    assert gradgradcheck(cubes, (rows,))
    tangent = torch.ones_like(rows)
    assert torch.equal(
        jvp(cubes, (rows,), (tangent,))[1], 3 * layer(IDS).pow(2) * (BANDS["some"][IDS] > 0).unsqueeze(-1)
    )


def test_functional_call_over_a_stored_table_takes_a_state_dict_of_the_same_rows() -> None:
    table = StoredEmbedding(torch.randn(6, DIM))
    layer = PartialEmbedding(table, torch.arange(6) < 2)
    ids = torch.arange(6)
    before = layer(ids)
    state = {**layer.state_dict(), "trained0": torch.ones(2, DIM)}
    found = functional_call(layer, state, (ids,))
    assert torch.equal(found, torch.cat([torch.ones(2, DIM), before[2:]]))
    assert torch.equal(layer(ids), before)
    others = PartialEmbedding(table, torch.arange(6) > 3).state_dict()
    with pytest.raises(OptionError, match=r"rows of the layer are \[0, 1\], those in the checkpoint are \[4, 5\]"):
        functional_call(layer, others, (ids,))
    assert torch.equal(layer(ids), before)


def test_functional_call_replaces_all_rows_and_restores_them() -> None:
    layer, other = partial(), torch.randn(ROWS, DIM)
    before = layer.weight.detach().clone()
    for given in (other, other.clone().requires_grad_(), nn.Sequential(plain()).state_dict()["0.weight"] + 1):
        found = functional_call(layer, {"weight": given}, (IDS,))
        assert torch.equal(found, given[IDS])
        assert torch.equal(layer.weight, before)
        assert torch.equal(layer(IDS), before[IDS])
        if given.requires_grad:
            found.sum().backward()
            assert given.grad is not None
            assert given.grad.sum() == IDS.numel() * DIM
    assert torch.equal(functional_call(layer, layer.state_dict(), (IDS,)), layer(IDS))
    stacked = torch.stack([other, other + 1])
    found = vmap(lambda rows: functional_call(layer, {"weight": rows}, (IDS,)))(stacked)
    assert torch.equal(found, stacked[:, IDS])
    assert grad(lambda rows: functional_call(layer, {"weight": rows}, (IDS,)).sum())(other).sum() == IDS.numel() * DIM
    with pytest.raises(ZeroDivisionError):
        functional_call(Failing(layer), {"layer.weight": other}, (IDS,))
    assert torch.equal(layer(IDS), before[IDS])


class Failing(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.layer(ids) + 1 // 0


@pytest.mark.parametrize("bands", BANDS)
def test_checkpoints_are_exchanged_with_plain_layers(bands: str) -> None:
    layer, reference = partial(bands), nn.Embedding(ROWS, DIM)
    for assign in (False, True):
        reference.load_state_dict(layer.state_dict(), assign=assign)
        assert type(reference.weight) is nn.Parameter
        assert reference.weight.requires_grad
        assert torch.equal(reference.weight, layer.weight)
        with torch.no_grad():
            reference.weight.mul_(1 + 1e-7).add_(1)
        expected = reference.weight.detach().clone()
        layer.load_state_dict(reference.state_dict(), assign=assign)
        assert torch.equal(layer.weight, expected)
        assert torch.equal(layer(IDS), reference(IDS))
        assert all(type(rows) is nn.Parameter for rows in layer.trained)


@pytest.mark.parametrize("bands", BANDS)
def test_layer_on_the_meta_device_is_filled_by_assignment(bands: str) -> None:
    with torch.device("meta"):
        layer = PartialEmbedding(torch.empty(ROWS, DIM), BANDS[bands].cpu())
    layer.load_state_dict(plain().state_dict(), assign=True)
    assert torch.equal(layer(IDS), weight()[IDS])
    emptied = PartialEmbedding(torch.empty(ROWS, DIM, device="meta"), BANDS[bands]).to_empty(device="cpu")
    emptied.reset_parameters()
    assert emptied(IDS).isfinite().all()
    assert torch.equal(emptied.weight, emptied(torch.arange(ROWS)))


def test_copies_do_not_share_memory_with_the_layer() -> None:
    layer = partial()
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(file, weights_only=False)):
        assert torch.equal(twin(IDS), layer(IDS))
        assert twin._table.data_ptr() == twin.frozen.data_ptr()
        with torch.no_grad():
            twin.weight.zero_()
        assert not twin(IDS).any()
        torch._dynamo.reset()
        assert not torch.compile(twin, backend="eager")(IDS).any()
    assert torch.equal(layer(IDS), weight()[IDS])


def test_rows_over_a_stored_table_are_saved_with_their_numbers() -> None:
    layer = partial(stored=True)
    with torch.no_grad():
        layer.trained[0].fill_(5)
    state = layer.state_dict()
    assert state["rows"].tolist() == [0, 3, 6, 9]
    twin = partial(stored=True)
    twin.load_state_dict(state)
    assert torch.equal(twin.weight, layer.weight)
    other = PartialEmbedding(StoredEmbedding(weight()), torch.tensor([0, 1, 0] * 4))
    message = (
        r"trained rows of the layer are \[1, 4, 7, 10\], those in the checkpoint are \[0, 3, 6, 9\]: make the layer"
    )
    with pytest.raises(RuntimeError, match=message):
        other.load_state_dict(state)
    assert torch.equal(other.weight, weight())
    del state["rows"]
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "0\.rows"'):
        nn.Sequential(other).load_state_dict({f"0.{name}": value for name, value in state.items()})


class Double(nn.Module):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return 2 * rows

    def right_inverse(self, rows: torch.Tensor) -> torch.Tensor:
        return rows / 2


def parametrized(layer: PartialEmbedding) -> None:
    parametrize.register_parametrization(layer, "trained0", Double())


def pruned(layer: PartialEmbedding) -> None:
    prune.custom_from_mask(layer, "trained0", torch.tensor([[1, 0, 1, 1]]).expand(4, DIM))


@pytest.mark.parametrize("change", [parametrized, pruned])
@pytest.mark.parametrize("stored", [False, True])
def test_parametrized_rows_are_trained_and_keep_their_own_keys(change: Any, stored: bool) -> None:
    layers = []
    for _ in range(2):
        layer = partial(stored=stored)
        change(layer)
        layers.append(layer)
    layer, twin = layers
    frozen = layer.weight.detach().clone()[BANDS["some"] == 0]
    layer(IDS).pow(2).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.1).step()
    state = layer.state_dict()
    assert "weight" not in state
    twin.load_state_dict(state)
    assert torch.equal(twin(IDS), layer(IDS))
    assert torch.equal(layer(torch.arange(ROWS))[BANDS["some"] == 0], frozen)
    if not stored:
        with pytest.raises(
            RuntimeError, match="weight cannot be loaded into trained rows that a parametrization or pr"
        ):
            twin.load_state_dict(plain().state_dict())
    if change is parametrized:
        parametrize.remove_parametrizations(layer, "trained0")
        assert list(layer.state_dict()) == (["trained0", "rows"] if stored else ["weight"])
    else:
        prune.remove(layer, "trained0")
        assert not layer.trained[0][:, 1].any()


def test_optimizer_state_is_resumed_from_a_checkpoint() -> None:
    def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        model(IDS).pow(2).sum().backward()
        optimizer.step()

    layer = partial("bands")
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    step(layer, optimizer)
    twin = partial("bands")
    resumed = torch.optim.AdamW(twin.parameters(), lr=0.1)
    twin.load_state_dict(copy.deepcopy(layer.state_dict()))
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step(layer, optimizer)
    step(twin, resumed)
    assert torch.equal(layer.weight, twin.weight)


def test_padding_row_can_be_changed_and_has_no_gradient() -> None:
    """Repeat torch's test_embedding_padding_idx."""
    layer = PartialEmbedding(weight(), BANDS["some"], padding_idx=3)
    with torch.no_grad():
        layer.weight[3] = 7
    assert layer(torch.tensor([3])).tolist() == [[7] * DIM]
    layer(torch.tensor([3, 0])).sum().backward()
    assert layer.weight.grad[3].tolist() == [0] * DIM
    assert layer.weight.grad[0].tolist() == [1] * DIM


@pytest.mark.parametrize("shape", [(0, DIM), (0, 0), (3, 0)])
def test_lookups_in_empty_tables(shape: tuple[int, int]) -> None:
    layer = PartialEmbedding(torch.zeros(shape), torch.zeros(shape[0], dtype=torch.bool))
    assert layer(torch.empty(2, 0, dtype=torch.int64)).shape == (2, 0, shape[1])
    assert layer.weight.shape == shape
    if not shape[0]:
        with pytest.raises(IndexError, match=r"id 0 .*layer of 0 rows"):
            layer(torch.tensor([0]))
