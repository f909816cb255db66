"""Compare writes through `PartialEmbedding.weight`, averaging and casting with the same on ``nn.Embedding``."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import (
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
    get_swa_avg_fn,
    get_swa_multi_avg_fn,
)

from vecload import PartialEmbedding
from vecload.errors import OptionError
from vecload.layers import StoredEmbedding
from vecload.layers.assembled_weight import AssembledWeight

ROWS, DIM = 12, 4
BANDS = {
    "none": torch.zeros(ROWS, dtype=torch.int64),
    "some": torch.tensor([1, 0, 0] * 4),
    "bands": torch.tensor([2, 0, 1] * 4),
    "all": torch.ones(ROWS, dtype=torch.int64),
}
VALUES = torch.arange(ROWS * DIM, dtype=torch.float32).view(ROWS, DIM)


def weight() -> torch.Tensor:
    return torch.randn(ROWS, DIM, generator=torch.Generator().manual_seed(3))


def pair(name: str) -> tuple[nn.Embedding, PartialEmbedding]:
    return nn.Embedding.from_pretrained(weight(), freeze=False), PartialEmbedding(weight(), BANDS[name])


def no_grad(do: Callable[[nn.Embedding], Any]) -> Callable[[nn.Embedding], Any]:
    return torch.no_grad()(do)


def item(layer: nn.Embedding) -> None:
    layer.weight[1] = 7


def in_place_operator(layer: nn.Embedding) -> None:
    rows = layer.weight.data
    rows *= 2
    rows[3:5] += 1


def out_argument(layer: nn.Embedding) -> None:
    torch.add(VALUES, 1, out=layer.weight)


def ema_of_timm(layer: nn.Embedding) -> None:
    for average, value in zip(layer.state_dict().values(), {"weight": VALUES}.values(), strict=True):
        average.copy_(0.9 * average + 0.1 * value)


def ema_of_yolo(layer: nn.Embedding) -> None:
    for name, average in layer.state_dict().items():
        if average.dtype.is_floating_point:
            average *= 0.9  # noqa: PLW2901 - YOLO's own loop
            average += 0.1 * {"weight": VALUES}[name].detach()  # noqa: PLW2901


WRITES: dict[str, Callable[[nn.Embedding], Any]] = {
    "item": no_grad(item),
    "slice": no_grad(lambda layer: layer.weight[2:9:3].copy_(VALUES[2:9:3])),
    "column": no_grad(lambda layer: layer.weight[:, 1].fill_(3)),
    "boolean mask": no_grad(lambda layer: layer.weight.masked_fill_(VALUES > 20, 0.5)),
    "index_copy_": no_grad(lambda layer: layer.weight.index_copy_(0, torch.tensor([0, 5]), VALUES[:2])),
    "copy_": no_grad(lambda layer: layer.weight.copy_(VALUES)),
    "view": no_grad(lambda layer: layer.weight.view(-1)[5:30].zero_()),
    "transposed": no_grad(lambda layer: layer.weight.t()[0].add_(1)),
    "unbound rows": no_grad(lambda layer: [row.mul_(2) for row in layer.weight.unbind()[:3]]),
    "out=": no_grad(out_argument),
    "foreach": no_grad(lambda layer: torch._foreach_mul_([layer.weight], 3)),
    "inference mode": torch.inference_mode()(lambda layer: layer.weight.copy_(VALUES)),
    "detach": lambda layer: layer.weight.detach().mul_(3),
    "data.copy_": lambda layer: layer.weight.data.copy_(VALUES),
    "data[row]": lambda layer: layer.weight.data[4].zero_(),
    "data operators": in_place_operator,
    "data =": lambda layer: setattr(layer.weight, "data", VALUES.clone()),
    "init.constant_": lambda layer: nn.init.constant_(layer.weight, 7),
    "init.xavier_uniform_": lambda layer: nn.init.xavier_uniform_(layer.weight, generator=torch.manual_seed(1)),
    "init.trunc_normal_": lambda layer: nn.init.trunc_normal_(layer.weight, generator=torch.manual_seed(1)),
    "reset_parameters": lambda layer: (torch.manual_seed(5), layer.reset_parameters()),
    "state_dict": lambda layer: layer.state_dict()["weight"].fill_(7),
    "state_dict row": lambda layer: layer.state_dict()["weight"][3].fill_(7),
    "timm": no_grad(ema_of_timm),
    "yolo": no_grad(ema_of_yolo),
    "clip": no_grad(lambda layer: layer.weight.clamp_(-0.5, 0.5)),
    "renorm": no_grad(lambda layer: layer.weight.renorm_(2, 0, 0.5)),
}


@pytest.mark.parametrize("bands", BANDS)
@pytest.mark.parametrize("name", WRITES)
def test_write_to_the_weight_changes_the_same_rows_as_in_torch(name: str, bands: str) -> None:
    plain, layer = pair(bands)
    for one in (plain, layer):
        WRITES[name](one)
    assert torch.equal(layer.weight, plain.weight)
    assert torch.equal(layer(torch.arange(ROWS)), plain(torch.arange(ROWS)))
    assert not torch.equal(layer.weight, weight())


def test_init_functions_applied_to_a_model_reach_the_layer() -> None:
    def init(module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
            module.weight.data[2].zero_()

    models = [nn.Sequential(one, nn.Linear(DIM, 2)) for one in pair("some")]
    for model in models:
        torch.manual_seed(0)
        model.apply(init)
    assert torch.equal(models[0][0].weight, models[1][0].weight)


def test_write_keeps_rows_that_were_trained_since_the_weight_was_read() -> None:
    plain, layer = pair("some")
    for one in (plain, layer):
        rows, state = one.weight, one.state_dict()["weight"]
        one(torch.tensor([0, 3])).sum().backward()
        torch.optim.SGD(one.parameters(), lr=1).step()
        with torch.no_grad():
            rows[1] = 5
            state[2] = 6
    assert torch.equal(layer.weight, plain.weight)


@pytest.mark.parametrize("do", [item, lambda layer: layer.weight.mul_(2), lambda layer: layer.weight[0].zero_()])
def test_write_with_gradients_enabled_raises_as_in_torch(do: Callable[[nn.Embedding], None]) -> None:
    plain, layer = pair("some")
    with pytest.raises(RuntimeError, match="in-place operation"):
        do(plain)
    with pytest.raises(RuntimeError, match=r"write under torch\.no_grad\(\)"):
        do(layer)
    assert torch.equal(layer.weight, weight())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            nn.Parameter(VALUES),
            "cannot assign a Parameter as the weight of a partly trained layer, which has no single",
        ),
        (None, "cannot assign a NoneType as the weight"),
        (VALUES[:5], r"weight has the shape \(12, 4\), not \(5, 4\)"),
    ],
)
def test_assignment_that_cannot_take_effect_raises(value: Any, message: str) -> None:
    layer = pair("some")[1]
    with pytest.raises(TypeError, match=message):
        layer.weight = value
    assert torch.equal(layer.weight, weight())


def test_assigned_tensor_takes_effect() -> None:
    layer = pair("some")[1]
    layer.weight = VALUES
    assert torch.equal(layer(torch.arange(ROWS)), VALUES)
    assert torch.equal(layer.trained[0], VALUES[::3])
    with pytest.raises(RuntimeError, match=r"weight has the shape \(12, 4\), which a partly trained layer keeps"):
        layer.weight.data = torch.ones(13, DIM)
    with pytest.raises(TypeError, match="cannot assign"):
        nn.Linear(DIM, ROWS).weight = layer.weight  # tying by hand


def test_hooks_on_the_weight_are_refused() -> None:
    layer = pair("some")[1]
    with pytest.raises(OptionError, match=r"register hooks on the parameters in layer\.trained"):
        layer.weight.register_hook(lambda grad: grad)


def test_freezing_and_gradients_through_the_weight_reach_the_trained_rows() -> None:
    plain, layer = pair("bands")
    for one in (plain, layer):
        assert one.weight.grad is None
        one(torch.tensor([0, 1, 2, 2])).sum().backward()
    grad = plain.weight.grad
    assert grad is not None
    assert torch.equal(layer.weight.grad, torch.where(BANDS["bands"].unsqueeze(1) > 0, grad, 0))
    layer.weight.grad = None
    assert all(rows.grad is None for rows in layer.trained)
    with pytest.raises(OptionError, match=r"weight\.grad can only be set to None"):
        layer.weight.grad = grad
    layer.weight.requires_grad = False
    assert not any(rows.requires_grad for rows in layer.trained)
    layer.weight.requires_grad_()
    assert layer.weight.requires_grad
    assert all(rows.requires_grad for rows in layer.trained)


GRADIENT_WRITES: dict[str, Callable[[torch.Tensor], Any]] = {
    "clip_grad_norm_": lambda weight: nn.utils.clip_grad_norm_(weight, 0.1),
    "clip_grad_value_": lambda weight: nn.utils.clip_grad_value_(weight, 0.5),
    "rows": lambda weight: weight.grad[:2].zero_(),  # type: ignore[index]
    "mask": lambda weight: weight.grad.mul_(torch.arange(len(weight)).unsqueeze(1) % 2),  # type: ignore[union-attr]
    "data": lambda weight: weight.grad.data.mul_(0.5),  # type: ignore[union-attr]
    "foreach": lambda weight: torch._foreach_mul_([weight.grad], 0.5),  # type: ignore[list-item]
}


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("name", GRADIENT_WRITES)
def test_write_to_the_gradient_changes_gradients_of_trained_rows(name: str, sparse: bool) -> None:
    start, bands = torch.randn(9, 4, generator=torch.manual_seed(0)), torch.arange(9) % 3
    plain, layer = nn.Embedding.from_pretrained(start, freeze=False), PartialEmbedding(start, bands, sparse=sparse)
    for one in (plain, layer):
        one(torch.tensor([1, 4, 4, 2])).pow(2).sum().backward()
        GRADIENT_WRITES[name](one.weight)
    assert plain.weight.grad is not None
    for band, rows in enumerate(layer.trained, start=1):
        assert rows.grad is not None
        assert rows.grad.is_sparse == sparse
        torch.testing.assert_close(rows.grad.to_dense(), plain.weight.grad[bands == band])


def test_write_to_the_gradient_keeps_bands_without_gradient() -> None:
    layer = PartialEmbedding(torch.ones(6, 2), np.arange(6) % 3)
    layer.trained[1].requires_grad = False
    layer(torch.tensor([1, 2])).sum().backward()
    layer.weight.grad.mul_(2)  # type: ignore[union-attr]
    assert layer.trained[0].grad.tolist() == [[2, 2], [0, 0]]  # type: ignore[union-attr]
    assert layer.trained[1].grad is None


def test_error_names_the_missing_weight_as_checkpoints_do() -> None:
    model = nn.Sequential(PartialEmbedding(torch.ones(3, 2), np.arange(3)), nn.Linear(2, 1))
    found = model.load_state_dict({"1.weight": torch.ones(1, 2)}, strict=False)
    assert sorted(found.missing_keys) == ["0.weight", "1.bias"]


def test_metadata_of_the_weight_does_not_assemble_it() -> None:
    rows = pair("some")[1].weight
    assert isinstance(rows, AssembledWeight)
    facts = (rows.dtype, rows.shape, rows.device.type, len(rows), rows.size(1), rows.numel(), rows.requires_grad)
    assert facts == (torch.float32, (ROWS, DIM), "cpu", ROWS, DIM, ROWS * DIM, True)
    assert rows._rows is None
    assert rows.stride() == (DIM, 1)


def test_results_computed_from_the_weight_are_ordinary_tensors() -> None:
    layer = pair("some")[1]
    results = [
        layer.weight + 1,
        layer.weight.clone(),
        copy.deepcopy(layer.weight),
        layer.weight.double(),
        layer(torch.tensor([1])),
    ]
    results += [pickle.loads(pickle.dumps(layer.weight)), copy.deepcopy(layer.state_dict())["weight"]]
    assert {type(one) for one in results} == {torch.Tensor}
    assert repr(layer.weight).startswith("tensor(")
    for made in (nn.Parameter(layer.weight), nn.Embedding.from_pretrained(layer.weight, freeze=False).weight):
        assert type(made) is nn.Parameter
        assert made.requires_grad
        with torch.no_grad():
            made.zero_()
    assert torch.equal(layer.weight, weight())


def test_array_of_the_weight_is_read_only() -> None:
    layer = pair("some")[1]
    for array in (layer.weight.detach().numpy(), np.asarray(layer.state_dict()["weight"])):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_saved_weight_is_an_ordinary_tensor() -> None:
    from safetensors.torch import load, save

    model = nn.Sequential(pair("some")[1])
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    for state in (torch.load(file, weights_only=True), load(save(model.state_dict()))):
        assert type(state["0.weight"]) is torch.Tensor
        assert torch.equal(state["0.weight"], weight())
    state = model.state_dict()
    del model
    state["0.weight"].zero_()  # the layer no longer exists
    assert not state["0.weight"].any()


def test_writes_to_frozen_rows_of_a_stored_table_are_refused() -> None:
    table = torch.ones(ROWS, DIM)
    layer = PartialEmbedding(StoredEmbedding(table), BANDS["some"])
    with torch.no_grad():
        layer.weight[3] = 5
        assert layer.trained[0][1].tolist() == [5] * DIM
        with pytest.raises(OptionError, match="frozen rows are in a StoredEmbedding, whose table is never written to"):
            layer.weight[1] = 5
    assert bool((table == 1).all())


AVERAGES: dict[str, dict[str, Any]] = {
    "ema": {"avg_fn": get_ema_avg_fn(0.9)},
    "ema, multi": {"multi_avg_fn": get_ema_multi_avg_fn(0.9)},
    "swa": {"avg_fn": get_swa_avg_fn()},
    "swa, multi": {"multi_avg_fn": get_swa_multi_avg_fn()},
    "by hand": {"avg_fn": lambda average, value, _: 0.7 * average + 0.3 * value},
}


@pytest.mark.parametrize("name", AVERAGES)
@pytest.mark.parametrize("buffers", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_averaging_leaves_frozen_rows_bit_identical(name: str, buffers: bool, dtype: torch.dtype) -> None:
    start = torch.randn(4000, DIM).to(dtype)
    start[1] = torch.tensor([0.0, -0.0, float("inf"), float("nan")])
    start[2] = torch.finfo(dtype).smallest_normal * torch.rand(DIM)
    mask = torch.arange(4000) % 10 == 0
    plain = nn.Embedding.from_pretrained(start, freeze=False)
    layer = PartialEmbedding(start, mask)
    averages = [AveragedModel(one, use_buffers=buffers, **AVERAGES[name]) for one in (plain, layer)]
    for step in range(5):
        for one, average in zip((plain, layer), averages, strict=True):
            with torch.no_grad():
                one.weight[mask] = one.weight[mask] + step
            average.update_parameters(one)
    rows, expected = averages[1].module.weight.detach(), averages[0].module.weight.detach()
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[start.element_size()]
    assert torch.equal(rows[~mask].view(bits), start[~mask].view(bits))
    assert torch.equal(rows[mask], expected[mask])
    assert torch.equal(averages[1].module.place, layer.place)


def test_averaging_changes_frozen_rows_that_differ() -> None:
    layer = pair("some")[1]
    average = AveragedModel(layer, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=True)
    average.update_parameters(layer)
    with torch.no_grad():
        layer.weight.add_(1)
    average.update_parameters(layer)
    torch.testing.assert_close(average.module.weight, weight() + 0.5)


def test_swapping_with_an_averaged_model_and_back_changes_nothing() -> None:
    """Swap and restore like Lightning's WeightAveraging does around validation."""
    layer = pair("some")[1]
    average = AveragedModel(layer, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=True)
    average.update_parameters(layer)
    with torch.no_grad():
        layer.trained[0].add_(1)
    average.update_parameters(layer)
    expected = average.module.weight.detach(), layer.weight.detach()
    for _ in range(2):
        for ours, theirs in zip(
            [*average.module.parameters(), *average.module.buffers()],
            [*layer.parameters(), *layer.buffers()],
            strict=True,
        ):
            kept = ours.data.clone()
            ours.data.copy_(theirs.data)
            theirs.data.copy_(kept)
    assert torch.equal(average.module.weight, expected[0])
    assert torch.equal(layer.weight, expected[1])


@pytest.mark.parametrize("bands", BANDS)
@pytest.mark.parametrize("cast", [nn.Module.half, nn.Module.bfloat16, nn.Module.double, nn.Module.float])
def test_cast_layer_equals_a_plain_layer_with_the_same_cast(bands: str, cast: Callable[[nn.Module], nn.Module]) -> None:
    plain, layer = pair(bands)
    place = layer.place.clone()
    for one in (plain, layer):
        cast(one)
    assert torch.equal(layer(torch.arange(ROWS)), plain(torch.arange(ROWS)))
    assert layer.weight.dtype == plain.weight.dtype
    assert torch.equal(layer.place, place)
    assert layer.place.dtype == torch.int64
