"""Compare training, saving and loading under DDP, FSDP1 and FSDP2 in two processes with training in one."""

from __future__ import annotations

import copy
import itertools
import socket
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from vecload import PartialEmbedding
from vecload.layers import TiedHead

ROWS, DIM = 11, 4
BANDS = {
    "none": torch.zeros(ROWS, dtype=torch.int64),
    "some": torch.tensor([1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1]),
    "bands": torch.tensor([1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0]),
    "all": torch.ones(ROWS, dtype=torch.int64),
}
BATCHES = torch.randint(0, ROWS, (4, 4, 5), generator=torch.Generator().manual_seed(2))

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")


class Model(nn.Module):
    """Model of an embedding, a linear layer and a head tied to the embedding, as in language models."""

    def __init__(self, embed: nn.Embedding, *, tied: bool = False) -> None:
        super().__init__()
        self.embed, self.linear = embed, nn.Linear(DIM, DIM)
        if not tied:
            self.head: nn.Module = nn.Linear(DIM, 2)
        elif isinstance(embed, PartialEmbedding):
            self.head = TiedHead(embed)
        else:
            self.head = nn.Linear(DIM, ROWS, bias=False)
            self.head.weight = embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.linear(self.embed(ids)))).square().mean()


def build(bands: str, *, plain: bool = False, tied: bool = False, **options: Any) -> Model:
    torch.manual_seed(0)
    start = torch.randn(ROWS, DIM)
    embed = (
        nn.Embedding.from_pretrained(start, freeze=False) if plain else PartialEmbedding(start, BANDS[bands], **options)
    )
    return Model(embed, tied=tied)


def train(model: nn.Module, batches: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    for batch in batches:
        optimizer.zero_grad()
        model(batch).backward()
        optimizer.step()


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1)


def alone(bands: str, **options: Any) -> dict[str, torch.Tensor]:
    """Train in one process on whole batches, to compare with two processes on halves of them."""
    model = build(bands, **options)
    train(model, BATCHES, adam(model))
    return model.state_dict()


def in_two_processes(work: Callable[[int], Any], *arguments: Any) -> list[Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with torch.multiprocessing.get_context("spawn").Manager() as manager:
        results = manager.dict()
        torch.multiprocessing.spawn(process, (port, results, work, arguments), nprocs=2)
        failed = [results[rank] for rank in (0, 1) if isinstance(results[rank], str)]
        assert not failed, failed[0]
        return [results[0], results[1]]


def process(rank: int, port: int, results: Any, work: Any, arguments: Any) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        results[rank] = work(rank, *arguments)
    except BaseException:
        # The parent reports it; otherwise it would see only that the other process hangs.
        results[rank] = traceback.format_exc()
    finally:
        torch.distributed.destroy_process_group()


def each(rank: int, work: Callable[..., Any], cases: list[tuple[Any, ...]]) -> list[Any]:
    """Do several cases in one pair of processes, since starting them takes longer than the cases."""
    return [work(rank, *case) for case in cases]


def numbers(state: dict[str, Any]) -> dict[str, Any]:
    whole = {name: value.full_tensor() if hasattr(value, "full_tensor") else value for name, value in state.items()}
    return {name: value.detach().tolist() for name, value in whole.items()}


def close(state: dict[str, Any], expected: dict[str, torch.Tensor]) -> None:
    assert set(state) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(torch.tensor(state[name]), value, atol=1e-5, rtol=1e-4)


def replicated(rank: int, kinds: list[str]) -> dict[str, Any]:
    states = {}
    for kind in kinds:
        model = build("some" if kind == "sparse" else kind, sparse=kind == "sparse")
        if rank == 1:
            # DDP sends the parameters and buffers of the first process, perhaps the only one with a checkpoint.
            with torch.no_grad():
                model.embed.weight.zero_()
        wrapped = nn.parallel.DistributedDataParallel(model)
        if kind == "sparse":
            sparse = torch.optim.SparseAdam(model.embed.parameters(), lr=0.05)
            train(wrapped, BATCHES[:, 2 * rank : 2 * rank + 2], sparse)
        else:
            train(wrapped, BATCHES[:, 2 * rank : 2 * rank + 2], adam(model))
        states[kind] = numbers(model.state_dict())
    return states


def test_ddp_trains_like_one_process_and_broadcasts_frozen_rows() -> None:
    kinds = ["some", "bands", "all", "none", "sparse"]
    results = in_two_processes(replicated, kinds)
    assert results[0] == results[1]
    for kind in kinds[:-1]:
        close(results[0][kind], alone(kind))
    model = build("some", sparse=True)
    train(model, BATCHES, torch.optim.SparseAdam(model.embed.parameters(), lr=0.05))
    close(results[0]["sparse"], model.state_dict())


def sharded2(rank: int, bands: str, tied: bool) -> dict[str, Any]:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    def shard() -> Model:
        model = build(bands, tied=tied)
        fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
        return model

    model = shard()
    optimizer = adam(model)
    train(model, BATCHES[:, 2 * rank : 2 * rank + 2], optimizer)
    whole = StateDictOptions(full_state_dict=True)
    full = get_model_state_dict(model, options=whole)
    states = get_optimizer_state_dict(model, optimizer, options=whole)
    found = {"plain": numbers(model.state_dict()), "full": numbers(full)}
    found["types"] = sorted({type(value).__name__ for name, value in model.state_dict().items() if "embed" in name})
    found["optimizer"] = {
        name: {key: value.tolist() for key, value in state.items()} for name, state in states["state"].items()
    }
    for name, options, state in (
        ("from full", whole, full),
        ("from sharded", StateDictOptions(), get_model_state_dict(model)),
    ):
        again = shard()
        other = adam(again)
        set_model_state_dict(again, dict(state), options=options)
        # torch keeps the tensors that it loads, including step counts.
        kept = copy.deepcopy(get_optimizer_state_dict(model, optimizer, options=options))
        set_optimizer_state_dict(again, other, kept, options=options)
        found[f"{name}, loaded"] = numbers(get_model_state_dict(again, options=whole))
        train(again, BATCHES[:1, 2 * rank : 2 * rank + 2], other)
        found[name] = numbers(get_model_state_dict(again, options=whole))
    train(model, BATCHES[:1, 2 * rank : 2 * rank + 2], optimizer)
    found["continued"] = numbers(get_model_state_dict(model, options=whole))
    return found


def test_fsdp2_trains_saves_and_loads() -> None:
    cases = [("some", False), ("some", True), ("bands", True), ("all", False), ("none", False)]
    results = in_two_processes(each, sharded2, cases)
    assert results[0] == results[1]
    for (bands, tied), found in zip(cases, results[0], strict=True):
        expected = alone(bands, tied=tied)
        close(found["full"], expected)
        close(found["plain"], expected)
        assert found["types"] == ["AssembledWeight"]
        assert found["from full, loaded"] == found["from sharded, loaded"] == found["full"]
        assert found["from full"] == found["from sharded"] == found["continued"]
        plain = build(bands, plain=True, tied=tied)
        plain.load_state_dict({name: torch.tensor(one) for name, one in found["full"].items()})
        count = int(BANDS[bands].max())
        rows = {f"embed.trained{band}": int((BANDS[bands] == band + 1).sum()) for band in range(count)}
        sizes = {name: len(state["exp_avg"]) for name, state in found["optimizer"].items() if "trained" in name}
        assert sizes == rows


def sharded1(rank: int, bands: str, original: bool) -> dict[str, Any]:
    from torch.distributed.fsdp import FullyShardedDataParallel, ShardedStateDictConfig, StateDictType

    def shard(*, nested: bool = False) -> nn.Module:
        model = build(bands)
        device = torch.device("cpu")
        if nested:
            model.embed = FullyShardedDataParallel(model.embed, use_orig_params=original, device_id=device)
        return FullyShardedDataParallel(model, use_orig_params=original, device_id=device)

    found: dict[str, Any] = {}
    for nested in (False, True):
        model = shard(nested=nested)
        train(model, BATCHES[:, 2 * rank : 2 * rank + 2], adam(model))
        found["full", nested] = numbers(model.state_dict())
        again = shard(nested=nested)
        again.load_state_dict(model.state_dict())
        found["loaded", nested] = numbers(again.state_dict())
        found["dcp", nested] = numbers(get_model_state_dict(model, options=StateDictOptions(full_state_dict=True)))
        again.load_state_dict(build(bands, plain=True).state_dict())
        found["from plain", nested] = numbers(again.state_dict())
        with FullyShardedDataParallel.state_dict_type(
            model, StateDictType.SHARDED_STATE_DICT, ShardedStateDictConfig()
        ):
            state = model.state_dict()
            found["keys", nested] = sorted(name for name in state if "embed" in name)
        again = shard(nested=nested)
        with FullyShardedDataParallel.state_dict_type(
            again, StateDictType.SHARDED_STATE_DICT, ShardedStateDictConfig()
        ):
            again.load_state_dict(state)
        found["sharded", nested] = numbers(again.state_dict())
        with FullyShardedDataParallel.summon_full_params(model):
            module = model.module.embed.module if nested else model.module.embed
            found["weight", nested] = module.weight.detach().tolist()
    return found


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_fsdp1_trains_saves_and_loads() -> None:
    cases = [("some", True), ("some", False), ("bands", True), ("all", False)]
    results = in_two_processes(each, sharded1, cases)
    for (bands, _), *both in zip(cases, *results, strict=True):
        expected = alone(bands)
        start = build(bands, plain=True).state_dict()
        names = [f"embed.trained{band}" for band in range(int(BANDS[bands].max()))]
        for found, nested in itertools.product(both, (False, True)):
            for what in ("full", "loaded", "sharded", "dcp"):
                close(found[what, nested], expected)
            close(found["from plain", nested], start)
            assert found["keys", nested] == ["embed.frozen", "embed.rows", *names]
            rows = torch.tensor(found["weight", nested])
            torch.testing.assert_close(rows, expected["embed.weight"], atol=1e-5, rtol=1e-4)
