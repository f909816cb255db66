"""Time partly trained layers, masked gradients and PEFT's trainable tokens: lookups, steps and memory.

    python benchmarks/layers.py [--quick]

The table has 400,000 × 300 values, some of its rows are trained, and batches have 64 × 128 ids. The cases alternate
in one process for many rounds, and a time is the best of them. "Masked" is a full `nn.Embedding` with a hook that
multiplies the gradient of frozen rows by 0. PEFT is `TrainableTokensConfig` on a model with one embedding.
Data-parallel training runs in two processes on this machine, connected by gloo, each with half of the batch.
"""

from __future__ import annotations

import inspect
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from record import arguments, info, lower, row, title, topic

from vecload.layers import PartialEmbedding

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = (64, 128)


def best(cases: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the best time of each case in seconds. The cases alternate."""
    times = dict.fromkeys(cases, float("inf"))
    for step in range(rounds + 1):
        for name, case in cases.items():
            begin = time.perf_counter()
            case()
            if step:  # the first round is a warm-up
                times[name] = min(times[name], time.perf_counter() - begin)
    return times


def plain(weight: torch.Tensor, **options: Any) -> torch.nn.Embedding:
    return torch.nn.Embedding.from_pretrained(weight.clone(), freeze=False, **options)


def masked(weight: torch.Tensor, mask: torch.Tensor) -> torch.nn.Embedding:
    layer, keep = plain(weight), mask.unsqueeze(1).to(weight.dtype)
    layer.weight.register_hook(lambda grad: grad * keep)
    return layer


def peft_tokens(weight: torch.Tensor, mask: torch.Tensor) -> torch.nn.Module:
    from peft import TrainableTokensConfig, get_peft_model

    model = torch.nn.Sequential()
    model.embed = plain(weight)
    config = TrainableTokensConfig(target_modules=["embed"], token_indices=mask.nonzero().flatten().tolist())
    return get_peft_model(model, config)


def forward(layer: torch.nn.Module, ids: torch.Tensor) -> None:
    with torch.no_grad():
        layer(ids)


def both_ways(layer: torch.nn.Module, ids: torch.Tensor, grad: torch.Tensor) -> None:
    layer(ids).backward(grad)
    layer.zero_grad(set_to_none=True)


def lookups(rows: int, dim: int, rounds: int, shares: tuple[float, ...]) -> None:
    weight, ids = torch.randn(rows, dim), torch.randint(0, rows, BATCH)
    grad = torch.randn(*BATCH, dim)
    layers: dict[str, torch.nn.Module] = {
        "nn.Embedding": plain(weight),
        "nn.Embedding, sparse=True": plain(weight, sparse=True),
    }
    for share in shares:
        mask = torch.rand(rows) < share
        layers[f"PartialEmbedding, {share:.0%} trained"] = PartialEmbedding(weight, mask)
        layers[f"PartialEmbedding, {share:.0%} trained, sparse=True"] = PartialEmbedding(weight, mask, sparse=True)
    mask = torch.rand(rows) < shares[0]
    layers[f"masked gradient, {shares[0]:.0%} trained"] = masked(weight, mask)
    layers[f"PEFT TrainableTokens, {shares[0]:.0%} trained"] = peft_tokens(weight, mask)
    there = best({name: lambda layer=layer: forward(layer, ids) for name, layer in layers.items()}, rounds)
    back = best(
        {name: lambda layer=layer: both_ways(layer, ids, grad) for name, layer in layers.items()}, max(3, rounds // 10)
    )
    title(
        "lookups",
        f"Lookups, {rows:,} × {dim}, batch {BATCH[0]} × {BATCH[1]}",
        "layer",
        lower("forward, ms"),
        lower("forward, times nn.Embedding", portable=True),
        lower("forward and backward, ms"),
        lower("both, times nn.Embedding", portable=True),
    )
    for name in layers:
        ratios = [times[name] / times["nn.Embedding"] for times in (there, back)]
        row(name, f"{1e3 * there[name]:.2f}", f"{ratios[0]:.2f}", f"{1e3 * back[name]:.2f}", f"{ratios[1]:.3f}")


def steps(rows: int, dim: int, rounds: int, counts: tuple[int, ...]) -> None:
    title(
        "steps",
        f"A step of Adam, {rows:,} × {dim}: lookup, backward and step",
        *("layer", "rows trained", lower("ms"), lower("optimizer state, MB")),
    )
    weight, ids = torch.randn(rows, dim), torch.randint(0, rows, BATCH)
    for count in counts:
        mask = torch.arange(rows) < count
        cases: dict[str, torch.nn.Module] = {"PartialEmbedding": PartialEmbedding(weight, mask)}
        if count == counts[0]:
            cases |= {"masked gradient": masked(weight, mask), "PEFT TrainableTokens": peft_tokens(weight, mask)}
        for name, layer in cases.items():
            optimizer = torch.optim.Adam([one for one in layer.parameters() if one.requires_grad], lr=1e-3)

            def step(layer: torch.nn.Module = layer, optimizer: torch.optim.Optimizer = optimizer) -> None:
                optimizer.zero_grad()
                layer(ids).sum().backward()
                optimizer.step()

            small = sum(one.numel() for one in optimizer.param_groups[0]["params"]) < weight.numel() // 10
            taken = best({name: step}, 10 * rounds if small else rounds)[name]
            state = sum(one.nbytes for state in optimizer.state.values() for one in state.values())
            row(name, f"{count:,}", f"{1e3 * taken:.1f}", f"{state / 1e6:.1f}")


def distributed_layer(name: str, rows: int, dim: int) -> torch.nn.Module:
    weight = torch.randn(rows, dim, generator=torch.Generator().manual_seed(0))
    return plain(weight) if name == "nn.Embedding" else PartialEmbedding(weight, torch.arange(rows) < rows // 100)


def in_parallel(rank: int, folder: str, rows: int, dim: int, rounds: int) -> None:
    """Time training steps under DDP and FSDP2 in one of two processes. Process 0 writes the medians to a file."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.nn.parallel import DistributedDataParallel

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    # torch 2.13 replaced the option by which buffers, and so frozen rows, are not sent at each step.
    options = inspect.signature(DistributedDataParallel).parameters
    option = "forward_sync_buffers" if "forward_sync_buffers" in options else "broadcast_buffers"
    wrap = {
        "DDP": partial(DistributedDataParallel, **{option: False}),
        "FSDP2": lambda model: fully_shard(model, mesh=mesh) or model,
    }
    ids = torch.randint(0, rows, (BATCH[0] // 2, BATCH[1]), generator=torch.Generator().manual_seed(rank))
    found: dict[tuple[str, str], float] = {}
    for way in wrap:
        for name in ("nn.Embedding", "PartialEmbedding"):
            model = wrap[way](torch.nn.Sequential(distributed_layer(name, rows, dim), torch.nn.Linear(dim, 2)))
            optimizer = torch.optim.Adam([one for one in model.parameters() if one.requires_grad], lr=1e-3)
            times = []
            for step in range(rounds + 1):
                torch.distributed.barrier()
                begin = time.perf_counter()
                optimizer.zero_grad()
                model(ids).sum().backward()
                optimizer.step()
                times.extend([time.perf_counter() - begin] if step else [])
            found[way, name] = statistics.median(times)
            del model, optimizer
    if not rank:
        torch.save(found, Path(folder, "times"))
    torch.distributed.destroy_process_group()


def parallel_steps(rows: int, dim: int, rounds: int) -> None:
    title(
        "two_processes",
        f"A step of Adam in two processes (gloo), {rows:,} × {dim}, 1% of the rows trained, batch 2 × {BATCH[0] // 2}",
        "way",
        info("nn.Embedding, all rows, ms"),
        lower("PartialEmbedding, ms"),
        lower("times nn.Embedding", portable=True),
    )
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(in_parallel, args=(folder, rows, dim, rounds), nprocs=2)
        times = torch.load(Path(folder, "times"), weights_only=True)
    for way in ("DDP", "FSDP2"):
        whole, ours = times[way, "nn.Embedding"], times[way, "PartialEmbedding"]
        row(way, f"{1e3 * whole:.1f}", f"{1e3 * ours:.1f}", f"{ours / whole:.3f}")


def main() -> None:
    chosen = arguments(__doc__, ("lookups", "steps", "two_processes"), "a small table")
    torch.manual_seed(0)
    rows, dim = (40_000, 100) if chosen.quick else (400_000, 300)
    measures = {
        "lookups": lambda: lookups(rows, dim, 20 if chosen.quick else 100, (0.01, 0.05, 0.2)),
        "steps": lambda: steps(rows, dim, 5, (100, 1_000, 10_000, rows // 2)),
        "two_processes": lambda: parallel_steps(rows, dim, 5 if chosen.quick else 10),
    }
    with topic("layers", chosen, "vecload", "torch", "peft"):
        for name in chosen.only:
            measures[name]()


if __name__ == "__main__":
    main()
