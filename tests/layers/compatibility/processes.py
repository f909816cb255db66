"""Columns of the matrix that need two processes: they are started once, joined by gloo, and serve every cell."""

from __future__ import annotations

import atexit
import copy
import queue
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from tests.layers.compatibility.rows import BATCH, BY_NAME, LABELS, Row, assert_same, scores_of
from vecload import PartialEmbedding
from vecload.layers import StoredEmbedding

SIZE = 2


class Team:
    """Two processes that run the same function together."""

    def __init__(self) -> None:
        context = torch.multiprocessing.get_context("spawn")
        self._folder = tempfile.TemporaryDirectory()
        self._tasks = [context.SimpleQueue() for _ in range(SIZE)]
        self._results = context.Queue()
        store = Path(self._folder.name, "store")
        self._processes = [
            context.Process(target=work, args=(rank, store, self._tasks[rank], self._results), daemon=True)
            for rank in range(SIZE)
        ]
        for process in self._processes:
            process.start()

    def run(self, column: str, row: str, folder: Path) -> None:
        for tasks in self._tasks:
            tasks.put((column, row, folder))
        failures = []
        for _ in range(SIZE):
            try:
                failures.append(self._results.get(timeout=5 if any(failures) else 120))
            except queue.Empty:  # it waits for the other one
                break
        if any(failures) or len(failures) < SIZE:
            raise RuntimeError("\n".join(filter(None, failures)) or "the processes wait for each other")

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
            process.join()
        self._folder.cleanup()


_TEAM: list[Team] = []


def team() -> Team:
    if not _TEAM:
        _TEAM.append(Team())
        atexit.register(stop_team)
    return _TEAM[0]


def stop_team() -> None:
    while _TEAM:
        _TEAM.pop().stop()


def work(rank: int, store: Path, tasks: Any, results: Any) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=SIZE)
    while True:
        column, row, folder = tasks.get()
        failure = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                IN_PROCESS[column](BY_NAME[row], folder)
        except BaseException:
            failure = f"rank {rank}: {traceback.format_exc()}"
        results.put(failure)


def in_team(column: str) -> Callable[[Row, Path], None]:
    def check(row: Row, folder: Path) -> None:
        row.make(folder)  # writes the file that the processes map
        try:
            team().run(column, row.name, folder)
        except BaseException:
            stop_team()
            raise

    return check


def step(row: Row, model: nn.Module, wrapped: nn.Module, steps: int = 3) -> None:
    """Train on this process's half of the batch; the mean of the two gradients is that of the whole batch."""
    half = len(BATCH) // SIZE
    part = slice(dist.get_rank() * half, (dist.get_rank() + 1) * half)
    optimizer = torch.optim.SGD([one for one in wrapped.parameters() if one.requires_grad], lr=0.5)
    descend(row, model, wrapped, optimizer, BATCH[part], LABELS[part], steps)


def alone(row: Row, model: nn.Module, steps: int = 3) -> None:
    """Run the same training in one process."""
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.5)
    descend(row, model, model, optimizer, BATCH, LABELS, steps)


def descend(
    row: Row,
    model: nn.Module,
    wrapped: nn.Module,
    optimizer: torch.optim.Optimizer,
    ids: torch.Tensor,
    labels: torch.Tensor,
    steps: int,
) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        scores = scores_of(wrapped, ids)
        scores = scores if scores.dim() == 2 else scores.mean(1)[:, :3]
        nn.functional.cross_entropy(scores, labels).backward()
        row.freeze(model)
        optimizer.step()


def data_parallel(row: Row, folder: Path) -> None:
    from torch.nn.parallel import DistributedDataParallel

    ours, plain = row.make(folder), row.plain(folder)
    step(row, ours, DistributedDataParallel(ours))
    alone(row, plain)
    assert_same(row, ours, plain)


def sparse(row: Row, folder: Path) -> None:
    from torch.nn.parallel import DistributedDataParallel

    table = (
        StoredEmbedding(row.table(row.make(folder))) if row.name == "partial-stored" else row.table(row.make(folder))
    )
    ours = PartialEmbedding(table, row.trained, sparse=True)
    plain = nn.Embedding.from_pretrained(row.table(row.make(folder)), freeze=False, sparse=True)
    for layer, wrapped, ids in (
        (ours, DistributedDataParallel(ours), BATCH[dist.get_rank() :: SIZE]),
        (plain, plain, BATCH),
    ):
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
        for _ in range(3):
            optimizer.zero_grad()
            wrapped(ids).pow(2).mean().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight[row.trained].detach(), plain.weight[row.trained].detach())
    assert torch.equal(ours.weight[~row.trained].detach(), row.table(row.make(folder))[~row.trained])


def sharded(row: Row, folder: Path, shard: Callable[[nn.Module], nn.Module], full: Callable[[nn.Module], Any]) -> None:
    """Train in parts, save one plain state dict, and load it into a model in one process and into another in parts."""
    ours, plain = row.make(folder), row.plain(folder)
    wrapped = shard(ours)
    step(row, ours, wrapped)
    alone(row, plain)
    state = full(wrapped)
    rank = dist.get_rank()
    if rank == 0:
        fresh = row.make(folder)
        fresh.load_state_dict(state)
        assert_same(row, fresh, plain)
        if row.kind == "embedding" and row.name not in ("partial-stored", "stored"):
            assert set(state) == {"layer.weight", "linear.weight", "linear.bias"}
    dist.barrier()


def fsdp1(row: Row, folder: Path) -> None:
    from torch.distributed.fsdp import FullyShardedDataParallel

    def shard(model: nn.Module) -> nn.Module:
        return FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))

    def full(model: nn.Module) -> Any:
        state = model.state_dict()
        again = shard(row.make(folder))
        again.load_state_dict(copy.deepcopy(state))
        assert_equal_states(again, model)
        return state

    sharded(row, folder, shard, full)


def fsdp2(row: Row, folder: Path) -> None:
    from torch.distributed.checkpoint.state_dict import (
        StateDictOptions,
        get_model_state_dict,
        set_model_state_dict,
    )
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (SIZE,))

    def shard(model: nn.Module) -> nn.Module:
        fully_shard(model, mesh=mesh)
        return model

    def full(model: nn.Module) -> Any:
        options = StateDictOptions(full_state_dict=True)
        state = get_model_state_dict(model, options=options)
        again = shard(row.make(folder))
        again.load_state_dict(model.state_dict())
        assert_equal_states(again, model)
        again = shard(row.make(folder))
        set_model_state_dict(again, copy.deepcopy(state), options=options)
        assert_equal_states(again, model)
        return state

    sharded(row, folder, shard, full)


def assert_equal_states(found: nn.Module, expected: nn.Module) -> None:
    states = [module.state_dict() for module in (found, expected)]
    for name in states[1]:
        parts = [state[name] for state in states]
        assert torch.equal(*(part.to_local() if hasattr(part, "to_local") else part for part in parts)), name


IN_PROCESS: dict[str, Callable[[Row, Path], None]] = {
    "ddp": data_parallel,
    "ddp-sparse": sparse,
    "fsdp1": fsdp1,
    "fsdp2": fsdp2,
}


@pytest.fixture(scope="session", autouse=True)
def processes() -> Iterator[None]:
    """Stop the processes when the session ends."""
    yield
    stop_team()
