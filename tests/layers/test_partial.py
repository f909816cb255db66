"""Compare `PartialEmbedding` with ``torch.nn.Embedding`` and with masked gradients, which it replaces."""

from __future__ import annotations

import copy
import inspect
import pickle
import socket
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.parallel import DistributedDataParallel

from vecload import Vectors, Vocab, Words, align
from vecload.errors import OptionError
from vecload.layers import PartialEmbedding, StoredEmbedding

ROWS, DIM, PAD = 12, 4, 3
MASK = torch.tensor([row % 3 == 0 for row in range(ROWS)])  # including the padding row
IDS = torch.tensor([[0, 1, 2, 3], [0, 6, 9, 3], [11, 11, 0, 9]])


def weight() -> torch.Tensor:
    return torch.randn(ROWS, DIM, generator=torch.Generator().manual_seed(7))


def plain(**options: Any) -> torch.nn.Embedding:
    start = weight()
    start[PAD] = 0
    return torch.nn.Embedding.from_pretrained(start, freeze=False, padding_idx=PAD, **options)


def partial(rows: torch.Tensor = MASK, **options: Any) -> PartialEmbedding:
    return PartialEmbedding(weight(), rows, padding_idx=PAD, **options)


def gradient(layer: PartialEmbedding) -> torch.Tensor:
    """Return the gradient of all rows, with zeros for frozen rows."""
    whole = torch.zeros(ROWS, DIM)
    begin = 0
    for rows in layer.trained:
        assert rows.grad is not None
        grad = rows.grad.to_dense()
        for row, place in enumerate(layer.place.tolist()):
            if begin <= ~place < begin + len(rows):
                whole[row] = grad[~place - begin]
        begin += len(rows)
    return whole


@given(
    st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS),
    st.lists(st.integers(0, ROWS - 1), max_size=20),
    st.sampled_from([{}, {"scale_grad_by_freq": True}, {"sparse": True}]),
)
def test_rows_and_gradients_equal_those_of_torch(bands: list[int], ids: list[int], options: dict[str, bool]) -> None:
    bands[0], bands[1], bands[2] = 1, 2, 3  # no band is empty
    layer, reference = partial(torch.tensor(bands), **options), plain(**options)
    factor = torch.randn(len(ids), DIM)
    for one in (layer, reference):
        (one(torch.tensor(ids, dtype=torch.int64)) * factor).sum().backward()
    assert torch.equal(layer(torch.tensor(ids, dtype=torch.int32)), reference(torch.tensor(ids, dtype=torch.int64)))
    assert reference.weight.grad is not None
    trained = torch.tensor(bands) > 0
    torch.testing.assert_close(gradient(layer)[trained], reference.weight.grad.to_dense()[trained])


@pytest.mark.parametrize("rows", [torch.zeros(ROWS, dtype=torch.bool), torch.ones(ROWS, dtype=torch.bool), MASK])
@pytest.mark.parametrize("padding", [None, PAD])
def test_layer_trains_no_rows_some_rows_or_all_rows(rows: torch.Tensor, padding: int | None) -> None:
    layer = PartialEmbedding(weight(), rows, padding_idx=padding)
    reference = torch.nn.Embedding(ROWS, DIM, padding_idx=padding, _weight=layer.weight.detach())
    for ids in (IDS, torch.tensor(5), torch.empty(0, 2, dtype=torch.int64)):
        assert torch.equal(layer(ids), reference(ids))
    count = int(rows.sum()) - (padding is not None and bool(rows[PAD]))
    assert sum(len(band) for band in layer.trained) == count == ROWS - len(layer.frozen)
    with torch.no_grad():
        reference.weight.mul_(2)
    layer.load_state_dict(reference.state_dict())
    assert torch.equal(layer.state_dict()["weight"], reference.weight)
    shown = "" if padding is None else f", padding_idx={padding}"
    assert repr(layer) == f"PartialEmbedding({ROWS}, {DIM}{shown}, trained={count})"


def test_layer_has_the_interface_of_nn_embedding() -> None:
    layer = partial()
    assert (layer.num_embeddings, layer.embedding_dim, layer.padding_idx) == (ROWS, DIM, PAD)
    assert torch.equal(layer.weight, plain().weight)
    merged = layer.merged()
    assert type(merged) is torch.nn.Embedding
    assert torch.equal(merged.weight, layer.weight)
    assert (merged.padding_idx, merged.weight.requires_grad) == (PAD, True)
    for wrong in (ROWS, -1):
        with pytest.raises(IndexError):
            layer(torch.tensor([wrong]))


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD with momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "SparseAdam": lambda p: torch.optim.SparseAdam(p, lr=0.1),
}


def train(layer: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        ids = torch.randint(0, ROWS, (5, 6), generator=generator)
        (layer(ids) - 3).pow(2).sum().backward()
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_hundred_steps_of_every_optimizer_leave_frozen_rows_unchanged(name: str) -> None:
    layer = partial(sparse=name == "SparseAdam")
    before = layer.weight.detach().clone()
    train(layer, OPTIMIZERS[name](layer.parameters()), 100)
    after, trained = layer.weight.detach(), MASK.clone()
    trained[PAD] = False
    assert torch.equal(after[~trained], before[~trained])
    assert after[PAD].tolist() == [0] * DIM
    assert (after[trained] != before[trained]).all()
    assert sum(len(rows) for rows in layer.trained) == 3


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_masked_gradients_do_not_freeze_rows_with_every_optimizer(name: str) -> None:
    """Weight decay changes rows without gradients, and momentum those that were trained before."""
    layer = plain(sparse=name == "SparseAdam")
    keep = MASK.float().unsqueeze(1)
    frozen = [row for row in range(ROWS) if not MASK[row]]
    optimizer = OPTIMIZERS[name](layer.parameters())
    if name not in ("SGD with momentum", "AdamW"):  # only momentum changes rows here
        train(layer, optimizer, 10)
    before = layer.weight.detach().clone()
    layer.weight.register_hook(lambda grad: grad * keep if not grad.is_sparse else _masked(grad, keep))
    train(layer, optimizer, 100)
    changed = (layer.weight.detach() != before)[frozen].any()
    assert bool(changed) == (name != "Adagrad")  # Adagrad has neither decay nor momentum


def _masked(grad: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    grad = grad.coalesce()
    return torch.sparse_coo_tensor(
        grad.indices(), grad.values() * keep[grad.indices()[0]], grad.shape, check_invariants=True
    )


def test_optimizer_state_has_the_size_of_the_trained_rows() -> None:
    layer = partial()
    optimizer = torch.optim.Adam(layer.parameters())
    train(layer, optimizer, 1)
    sizes = [state.numel() for one in optimizer.state.values() for state in one.values() if state.ndim]
    assert sizes == [3 * DIM, 3 * DIM]


def test_state_dicts_are_exchanged_with_nn_embedding() -> None:
    layer, other = torch.nn.Sequential(partial()), torch.nn.Sequential(plain())
    with torch.no_grad():
        layer[0].trained[0].mul_(2)
    assert {name: value.shape for name, value in layer.state_dict().items()} == {"0.weight": (ROWS, DIM)}
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other[0].weight, layer[0].weight)
    with torch.no_grad():
        other[0].weight.add_(1)
    layer.load_state_dict(other.state_dict())
    assert torch.equal(other[0].weight, layer[0].weight)
    assert torch.equal(layer[0].frozen, other[0].weight[layer[0].place >= 0])
    twin = partial()
    twin.load_state_dict(layer[0].state_dict(keep_vars=True))
    assert torch.equal(twin.weight, layer[0].weight)
    assert not twin.frozen.requires_grad


def test_state_dicts_that_do_not_match_are_refused() -> None:
    layer = torch.nn.Sequential(partial())
    with pytest.raises(RuntimeError, match=r"size mismatch for 0.weight: \[2, 4\] in the checkpoint, \[12, 4\] here"):
        layer.load_state_dict({"0.weight": torch.ones(2, DIM)})
    with pytest.raises(RuntimeError, match="Missing key"):
        layer.load_state_dict({})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        layer.load_state_dict({**layer.state_dict(), "0.bias": torch.ones(1)})


def test_copies_and_pickles_equal_the_layer() -> None:
    layer = partial()
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        with torch.no_grad():
            twin.trained[0].add_(1)
        assert (twin.weight != layer.weight).any(1).sum() == 3


def test_layer_on_the_meta_device_loads_a_checkpoint() -> None:
    layer = PartialEmbedding(torch.empty(ROWS, DIM, device="meta"), MASK, padding_idx=PAD)
    assert layer(IDS.to("meta")).shape == (*IDS.shape, DIM)
    layer.to_empty(device="cpu").load_state_dict(plain().state_dict())
    assert torch.equal(layer(IDS), plain()(IDS))
    assert partial().to("meta").place.is_meta


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # inductor's own
@pytest.mark.parametrize(("backend", "by_freq"), [("aot_eager", False), ("aot_eager", True), ("inductor", False)])
def test_compiled_layer_equals_eager_layer(backend: str, by_freq: bool) -> None:
    layer, eager = partial(scale_grad_by_freq=by_freq), partial(scale_grad_by_freq=by_freq)
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    for one in (compiled, eager):
        one(IDS).pow(3).sum().backward()
    assert torch.equal(compiled(IDS), eager(IDS))
    torch.testing.assert_close(layer.trained[0].grad, eager.trained[0].grad)
    torch._dynamo.reset()


class Tied(torch.nn.Module):
    """Small language model whose head shares the weight of the input layer."""

    def __init__(self, embed: torch.nn.Module) -> None:
        super().__init__()
        self.embed = embed

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.embed(ids))
        if isinstance(self.embed, PartialEmbedding):
            return self.embed.attend(hidden)
        return torch.nn.functional.linear(hidden, self.embed.weight)


def test_exported_layer_equals_eager_layer() -> None:
    model = Tied(partial()).eval()
    dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    program = torch.export.export(model, (IDS,), dynamic_shapes=(dims,))
    longer = torch.randint(0, ROWS, (2, 9))
    torch.testing.assert_close(program.module()(longer), model(longer))


@pytest.mark.parametrize("rows", [MASK, torch.arange(ROWS) % 3])
def test_output_head_tied_to_the_layer(rows: torch.Tensor) -> None:
    layer, reference = partial(rows), plain()
    losses = []
    for embed in (layer, reference):
        loss = Tied(embed)(IDS).logsumexp(-1).sum()
        loss.backward()
        losses.append(loss)
    torch.testing.assert_close(losses[0], losses[1])
    trained = (rows > 0) & (torch.arange(ROWS) != PAD)
    assert reference.weight.grad is not None
    torch.testing.assert_close(gradient(layer)[trained], reference.weight.grad[trained])


def test_autocast_and_bfloat16() -> None:
    layer = partial()
    head = torch.nn.Linear(DIM, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = head(layer(IDS))
        scores.float().sum().backward()
        assert layer.attend(layer(IDS)).dtype == torch.bfloat16
    assert scores.dtype == torch.bfloat16
    assert layer.trained[0].grad is not None
    assert layer.trained[0].grad.dtype == torch.float32
    halved = partial().to(torch.bfloat16)
    assert torch.equal(halved(IDS), plain().to(torch.bfloat16)(IDS))
    assert halved.place.dtype == torch.int64
    halved(IDS).sum().backward()


# torch 2.13 replaced broadcast_buffers, which also applied to buffers at the start.
SYNC_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in inspect.signature(DistributedDataParallel).parameters
)


def _replica(rank: int, port: int, results: Any) -> None:
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        for broadcast in (True, False):
            layer = partial()
            model = DistributedDataParallel(torch.nn.Sequential(layer), **{SYNC_BUFFERS: broadcast})
            optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
            for step in range(5):
                optimizer.zero_grad()
                ids = torch.tensor([[1, 2, PAD]]) if (rank, step) == (1, 2) else IDS[rank : rank + 1]
                model(ids).pow(2).sum().backward()  # once without a trained row
                optimizer.step()
            results[rank, broadcast] = layer.weight.detach().numpy().copy()
    finally:
        torch.distributed.destroy_process_group()


def test_ddp_gives_the_same_rows_in_two_processes() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with torch.multiprocessing.Manager() as manager:
        results = manager.dict()
        torch.multiprocessing.spawn(_replica, (port, results), nprocs=2)
        ends = list(results.values())
    assert len(ends) == 4
    assert all(np.array_equal(ends[0], end) for end in ends)
    changed = (ends[0] != partial().weight.detach().numpy()).any(1)
    assert [row for row in range(ROWS) if changed[row]] == [0, 6, 9]


def test_mode_new_rows_trains_words_missing_in_the_file() -> None:
    words = ["<unk>", "cat", "dog"]
    source = Vectors(Words.from_strings(words), np.arange(9, dtype=np.float32).reshape(3, 3) + 1)
    vocab = Vocab.from_words(["Cat", "cat", "cow"], specials=["<pad>", "<unk>", "<s>"])
    layer = align(source, vocab, oov=["casefold", "normal"]).embedding(mode="new-rows")
    assert isinstance(layer, PartialEmbedding)
    trained = [vocab.words[row] for row in (layer.place < 0).nonzero().squeeze(1).tolist()]
    assert trained == ["<unk>", "<s>", "cow"]
    assert layer.padding_idx == 0
    assert layer.weight[0].tolist() == [0, 0, 0]


@pytest.fixture
def stored() -> Iterator[StoredEmbedding]:
    table = weight().to(torch.float16)
    rows = torch.arange(ROWS)
    rows[5] = -1
    return StoredEmbedding(table, rows=rows, padding_idx=PAD)


def test_frozen_rows_in_a_stored_embedding(stored: StoredEmbedding) -> None:
    layer = PartialEmbedding(stored, ~stored.found)
    assert layer.padding_idx == PAD
    assert torch.equal(layer(IDS), stored(IDS))
    assert [tuple(rows.shape) for rows in layer.trained] == [(1, DIM)]
    assert list(layer.state_dict()) == ["trained0", "rows"]
    with torch.no_grad():
        layer.trained[0].fill_(2)
    assert layer(torch.tensor([5])).tolist() == [[2] * DIM]
    assert torch.equal(layer.attend(torch.ones(1, DIM)), torch.ones(1, DIM) @ layer.weight.T)
    twin = PartialEmbedding(stored, ~stored.found)
    twin.load_state_dict(layer.state_dict())
    assert torch.equal(twin.weight, layer.weight)
    with pytest.raises(OptionError, match="padding_idx cannot be set here: the StoredEmbedding has its own"):
        PartialEmbedding(stored, ~stored.found, padding_idx=1)


@pytest.mark.parametrize(
    ("start", "rows", "options", "message"),
    [
        (
            torch.ones(2, 2),
            torch.ones(3, dtype=torch.bool),
            {},
            "rows must say for each of the 2 rows whether it is trained: bool, or the number of its band, "
            "0 for frozen; not bool of shape (3,)",
        ),
        (
            torch.ones(2, 2),
            np.array([0.0, 1.0]),
            {},
            "rows must say for each of the 2 rows whether it is trained: bool, or the number of its band, "
            "0 for frozen; not float64 of shape (2,)",
        ),
        (torch.ones(2, 2), np.array([0, 2]), {}, "band 1 of 2 has no rows"),
        (
            torch.ones(2, 2),
            np.array([True, True]),
            {"sparse": True, "scale_grad_by_freq": True},
            "scale_grad_by_freq cannot be combined with sparse: torch does not scale sparse gradients",
        ),
        (
            torch.ones(2),
            np.array([True, True]),
            {},
            "weight must be a matrix of floats, not torch.float32 of shape (2,)",
        ),
        (torch.ones(2, 2), np.array([True, True]), {"padding_idx": 2}, "padding_idx=2 is not one of the 2 rows"),
    ],
)
def test_layer_refuses_invalid_arguments(start: torch.Tensor, rows: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        PartialEmbedding(start, rows, **options)
    assert str(caught.value) == message
