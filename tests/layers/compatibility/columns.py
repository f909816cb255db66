"""Columns of the matrix that need one process and torch alone. A column compares a layer with the plain one."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.utils.parametrize
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tests.layers.compatibility.rows import BATCH, COUNT, WEIGHT, Row, assert_same, scores_of, train
from vecload import SentencePooler
from vecload.layers import StoredEmbedding

Check = Callable[[Row, Path], None]


def both(row: Row, folder: Path) -> tuple[nn.Module, nn.Module]:
    ours, plain = row.make(folder), row.plain(folder)
    assert_same(row, ours, plain)
    return ours, plain


def inner(module: nn.Module) -> nn.Module:
    """Return the layer with the weight: the embedding of a pooler."""
    return module.embedding if isinstance(module, SentencePooler) else module


def layer_of(row: Row, model: Any) -> Any:
    return inner(model.get_input_embeddings() if row.kind == "model" else model.layer)


def after_copy(row: Row, folder: Path, through: Callable[[nn.Module], nn.Module]) -> None:
    """Compare a copy with the original, train it, and check that the original is unchanged."""
    ours, plain = both(row, folder)
    train(row, ours)
    train(row, plain)
    before = row.table(ours)
    copied, plain_copy = through(ours), through(plain)
    assert_same(row, copied, plain_copy)
    train(row, copied)
    train(row, plain_copy)
    assert_same(row, copied, plain_copy)
    assert torch.equal(row.table(ours), before)


def use_deepcopy(row: Row, folder: Path) -> None:
    after_copy(row, folder, copy.deepcopy)


def use_pickle(row: Row, folder: Path) -> None:
    after_copy(row, folder, lambda model: pickle.loads(pickle.dumps(model)))


def saved(value: Any, *, weights_only: bool) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=weights_only)


def use_torch_save(row: Row, folder: Path) -> None:
    after_copy(row, folder, lambda model: saved(model, weights_only=False))
    ours, plain = both(row, folder)
    train(row, ours)
    train(row, plain)
    fresh = row.make(folder)
    fresh.load_state_dict(saved(ours.state_dict(), weights_only=True))
    assert_same(row, fresh, plain)


def use_state_from_plain(row: Row, folder: Path) -> None:
    ours, plain = both(row, folder)
    if row.trained.any():
        train(row, plain)
    ours.load_state_dict(plain.state_dict())
    assert_same(row, ours, plain)
    train(row, ours)
    train(row, plain)
    assert_same(row, ours, plain)


def use_state_to_plain(row: Row, folder: Path) -> None:
    ours, plain = both(row, folder)
    train(row, ours)
    if row.kind == "bag":  # as the documentation has it: the rows are those of `pooler.embedding`
        plain.layer.load_state_dict(ours.layer.embedding.state_dict())
        plain.linear.load_state_dict(ours.linear.state_dict())
    else:
        plain.load_state_dict(ours.state_dict())
    assert_same(row, ours, plain)


def use_assign(row: Row, folder: Path) -> None:
    ours, plain = both(row, folder)
    train(row, ours)
    train(row, plain)
    fresh = row.make(folder)
    fresh.load_state_dict(ours.state_dict(), assign=True)
    assert_same(row, fresh, plain)
    train(row, fresh)
    train(row, plain)
    assert_same(row, fresh, plain)


def use_meta(row: Row, folder: Path) -> None:
    ours, plain = both(row, folder)
    train(row, ours)
    train(row, plain)
    fresh = row.make(folder).to("meta")
    if row.kind != "model":
        assert fresh(BATCH.to("meta")).shape == plain(BATCH).shape
    fresh.load_state_dict(ours.state_dict(), assign=True)
    buffers(fresh, ours)
    assert_same(row, fresh, plain)


def use_to_empty(row: Row, folder: Path) -> None:
    ours, plain = both(row, folder)
    train(row, ours)
    train(row, plain)
    fresh = row.make(folder).to("meta").to_empty(device="cpu")
    fresh.load_state_dict(ours.state_dict())
    buffers(fresh, ours)
    assert_same(row, fresh, plain)


def buffers(fresh: nn.Module, model: nn.Module) -> None:
    """Restore buffers of other modules that no state dict has (a transformer's frequencies), as for any model."""
    for name, module in fresh.named_modules():
        for key in module._non_persistent_buffers_set:
            module._buffers[key] = model.get_submodule(name)._buffers[key].clone()


def use_dtypes(row: Row, folder: Path) -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        ours, plain = both(row, folder)
        ours, plain = ours.to(dtype), plain.to(dtype)
        assert row.table(ours).dtype == dtype
        assert torch.equal(row.table(ours), row.table(plain))
        torch.testing.assert_close(scores_of(ours, BATCH), scores_of(plain, BATCH), rtol=2e-2, atol=2e-2)
    train(row, ours)
    train(row, plain)
    assert_same(row, ours, plain)


def initialize(module: nn.Module) -> None:
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag, nn.Linear)):
        nn.init.normal_(module.weight, std=0.5)


def use_apply_init(row: Row, folder: Path) -> None:
    ours, plain = both(row, folder)
    for model in (ours, plain):
        torch.manual_seed(1)
        model.apply(initialize)
    assert_same(row, ours, plain)
    if row.name != "stored":
        assert not torch.equal(row.table(ours), row.table(row.make(folder)))


def write_item(layer: Any) -> None:
    with torch.no_grad():
        layer.weight[1] = 7


def write_copy(layer: Any) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.full_like(layer.weight, 3))


def set_data(layer: Any) -> None:
    layer.weight.data = torch.full_like(layer.weight, 5).detach()


WRITES: dict[str, Callable[[Any], object]] = {
    "item": write_item,
    "copy_": write_copy,
    "data.fill_": lambda layer: layer.weight.data.fill_(4),
    "data =": set_data,
    "init": lambda layer: nn.init.constant_(layer.weight, 6),
}


def use_writes(row: Row, folder: Path) -> None:
    for write in WRITES.values():
        ours, plain = both(row, folder)
        write(layer_of(row, ours))
        write(layer_of(row, plain))
        assert_same(row, ours, plain)
        train(row, ours)
        train(row, plain)
        assert_same(row, ours, plain)


def averaged(row: Row, folder: Path, average: Callable[[nn.Module], Callable[[nn.Module], nn.Module]]) -> None:
    """Average both models while they train, and compare the averages."""
    ours, plain = both(row, folder)
    start = row.table(ours)
    results = []
    for model in (ours, plain):
        update = average(model)
        for _ in range(4):
            train(row, model, 1, torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.5))
            result = update(model)
        results.append(result)
    found, expected = (row.table(model) for model in results)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(scores_of(results[0], BATCH), scores_of(results[1], BATCH), rtol=1e-4, atol=1e-5)
    if average not in (timm_ema, yolo_ema):  # which round even equal numbers apart, in a plain model too
        assert torch.equal(found[~row.trained], start[~row.trained])


def torch_average(function: Any) -> Any:
    def start(model: nn.Module) -> Callable[[nn.Module], nn.Module]:
        mean = AveragedModel(model, multi_avg_fn=function, use_buffers=True)

        def update(model: nn.Module) -> nn.Module:
            mean.update_parameters(model)
            return mean.module

        return update

    return start


def use_swa(row: Row, folder: Path) -> None:
    averaged(row, folder, torch_average(None))


def use_ema(row: Row, folder: Path) -> None:
    averaged(row, folder, torch_average(get_ema_multi_avg_fn(0.9)))


def timm_ema(model: nn.Module) -> Callable[[nn.Module], nn.Module]:
    """Average like timm's ModelEmaV2: every tensor of the state dict."""
    mean, decay = copy.deepcopy(model).eval(), 0.9

    def update(model: nn.Module) -> nn.Module:
        with torch.no_grad():
            for old, new in zip(mean.state_dict().values(), model.state_dict().values(), strict=True):
                old.copy_(decay * old + (1.0 - decay) * new)
        return mean

    return update


def yolo_ema(model: nn.Module) -> Callable[[nn.Module], nn.Module]:
    """Average like YOLO's ModelEMA: floating-point tensors of the state dict, in place."""
    mean, decay = copy.deepcopy(model).eval().requires_grad_(False), 0.9

    def update(model: nn.Module) -> nn.Module:
        state = model.state_dict()
        for name, value in mean.state_dict().items():
            if value.dtype.is_floating_point:
                value *= decay  # noqa: PLW2901 - as in the loop that this stands for
                value += (1 - decay) * state[name].detach()  # noqa: PLW2901
        return mean

    return update


def use_timm_ema(row: Row, folder: Path) -> None:
    averaged(row, folder, timm_ema)


def use_yolo_ema(row: Row, folder: Path) -> None:
    averaged(row, folder, yolo_ema)


def use_weight_averaging(row: Row, folder: Path) -> None:
    """Average like Lightning's WeightAveraging: swap the weights for validation and back, and copy them at the end."""
    ours, plain = both(row, folder)
    start = row.table(ours)
    for model in (ours, plain):
        mean = AveragedModel(model, use_buffers=True)
        for _ in range(3):
            train(row, model, 1, torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.5))
            mean.update_parameters(model)
        with torch.no_grad():
            for copies in ("swap", "swap", "keep"):
                for averaged, current in zip(tensors(mean.module), tensors(model), strict=True):
                    kept = averaged.data.clone()
                    if copies == "swap":
                        averaged.data.copy_(current.data)
                    current.data.copy_(kept)
    assert_same(row, ours, plain)
    assert torch.equal(row.table(ours)[~row.trained], start[~row.trained])


def tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]


def use_functional_call(row: Row, folder: Path) -> None:
    ours, plain = both(row, folder)
    train(row, ours)
    train(row, plain)
    fresh, fresh_plain = row.make(folder), row.plain(folder)
    states = [lambda model: dict(model.named_parameters()), nn.Module.state_dict]
    for state in states[:1] if row.kind == "model" else states:  # the dict of a tied model has two keys for a tensor
        found = torch.func.functional_call(fresh, state(ours), kwargs={"input_ids": BATCH})
        expected = torch.func.functional_call(fresh_plain, state(plain), kwargs={"input_ids": BATCH})
        torch.testing.assert_close(of(found), of(expected), rtol=1e-4, atol=1e-5)
    assert_same(row, fresh, fresh_plain)


def of(found: Any) -> torch.Tensor:
    return found if isinstance(found, torch.Tensor) else found.logits


def use_vmap(row: Row, folder: Path) -> None:
    """Compute the gradients of each example, as torch's tutorial and Opacus do."""
    ours, plain = both(row, folder)

    def grads(model: nn.Module) -> dict[str, torch.Tensor]:
        state = {name: one.detach() for name, one in model.named_parameters() if one.requires_grad}

        def loss(state: dict[str, torch.Tensor], ids: torch.Tensor) -> torch.Tensor:
            found = torch.func.functional_call(model, state, kwargs={"input_ids": ids[None]})
            return of(found).pow(2).sum()

        return torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(state, BATCH)

    found, expected = grads(ours), grads(plain)
    for name in found.keys() & expected.keys():
        torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-4)
    if row.kind == "embedding" and row.trained.any():
        torch.testing.assert_close(found["layer.trained0"], expected["layer.weight"][:, row.trained])


class Doubled(nn.Module):
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return 2 * rows


def use_parametrize(row: Row, folder: Path) -> None:
    """Parametrize the trained rows, and compare with a parametrized weight of a plain layer."""
    ours, plain = both(row, folder)
    layer, weight = layer_of(row, ours), layer_of(row, plain)
    name = "trained0" if hasattr(layer, "trained0") else "weight"
    nn.utils.parametrize.register_parametrization(layer, name, Doubled())
    with torch.no_grad():
        rows = row.trained if name == "trained0" else torch.ones(COUNT, dtype=torch.bool)
        weight.weight[rows] *= 2
    assert_same(row, ours, plain)
    nn.utils.parametrize.remove_parametrizations(layer, name)
    assert_same(row, ours, plain)


def use_hooks(row: Row, folder: Path) -> None:
    """Add forward, forward-pre and backward hooks, which run once each and change inputs, outputs and gradients."""
    before = row.table(row.make(folder))
    for model in both(row, folder):
        layer = model.get_input_embeddings() if row.kind == "model" else model.layer
        seen = watch(layer, backward=bool(row.trained.any()))
        assert torch.equal(row.table(model), 2 * before)
        seen.clear()
        scores_of(model, BATCH).sum().backward()
        assert seen == ["before", "after", *(["back"] if row.trained.any() else [])]


def watch(layer: nn.Module, *, backward: bool) -> list[str]:
    seen: list[str] = []

    def double(module: nn.Module, given: Any, found: torch.Tensor) -> torch.Tensor:
        seen.append("after")
        return 2 * found

    layer.register_forward_pre_hook(lambda module, given: seen.append("before"))
    layer.register_forward_hook(double)
    if backward:
        layer.register_full_backward_hook(lambda module, given, out: seen.append("back"))
    return seen


def use_sparse_adam(row: Row, folder: Path) -> None:
    """Train a layer with `sparse=True` by `SparseAdam`."""
    from vecload import PartialEmbedding

    table = StoredEmbedding(WEIGHT) if row.name == "partial-stored" else WEIGHT
    ours, plain = PartialEmbedding(table, row.trained, sparse=True), nn.Embedding(COUNT, WEIGHT.shape[1], sparse=True)
    plain.weight.data.copy_(WEIGHT)
    optimizers = [torch.optim.SparseAdam(list(layer.parameters()), lr=0.1) for layer in (ours, plain)]
    for _ in range(3):
        for layer, optimizer in zip((ours, plain), optimizers, strict=True):
            optimizer.zero_grad()
            layer(BATCH).pow(2).sum().backward()
            optimizer.step()
    assert torch.equal(ours.weight[~row.trained].detach(), WEIGHT[~row.trained])
    torch.testing.assert_close(ours.weight[row.trained].detach(), plain.weight[row.trained].detach())


def use_autocast(row: Row, folder: Path) -> None:
    ours, plain = both(row, folder)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = scores_of(ours, BATCH), scores_of(plain, BATCH)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)


def use_cuda(row: Row, folder: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    ours, plain = both(row, folder)
    ours, plain, ids = ours.cuda(), plain.cuda(), BATCH.cuda()
    torch.testing.assert_close(scores_of(ours, ids), scores_of(plain, ids), rtol=1e-4, atol=1e-5)
    with torch.autocast("cuda", dtype=torch.float16):
        torch.testing.assert_close(scores_of(ours, ids), scores_of(plain, ids), rtol=2e-2, atol=2e-2)
    for model in (ours, plain):
        scores_of(model, ids).sum().backward()
    assert_same(row, ours.cpu(), plain.cpu())
