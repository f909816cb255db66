"""Test that no write to a frozen pooler changes the `Vectors` that it shares rows with, or crashes the process."""

from __future__ import annotations

import copy
import gzip
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vecload import SentencePooler, Vectors, Words, load
from vecload.errors import FormatError
from vecload.layers import StoredEmbedding
from vecload.layers.shared_memory import BorrowedRows, MappedRows
from vecload.ngrams import NgramTable

MATRIX = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
IDS = torch.tensor([[1, 2], [5, 0]])


def in_memory(_: Path) -> Vectors:
    return Vectors(Words.from_strings(list("abcdef")), MATRIX.copy())


def in_a_file(folder: Path) -> Vectors:
    in_memory(folder).save(folder / "v.safetensors")
    return load(folder / "v.safetensors")


def in_an_npz(folder: Path) -> Vectors:
    in_memory(folder).save(folder / "v.npz")
    return load(folder / "v.npz")


def in_a_gzip_file(folder: Path) -> Vectors:
    in_memory(folder).save(folder / "v.safetensors")
    (folder / "v.safetensors.gz").write_bytes(gzip.compress((folder / "v.safetensors").read_bytes()))
    (folder / "v.safetensors").unlink()
    return load(folder / "v.safetensors.gz")


SOURCES = [in_memory, in_a_file, in_an_npz, in_a_gzip_file]


def init(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)


def train(pooler: SentencePooler) -> None:
    model = nn.Sequential(pooler, nn.Linear(3, 1)).requires_grad_(True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model(IDS).sum().backward()
    optimizer.step()


WRITES: dict[str, Callable[[SentencePooler], object]] = {
    "apply(init)": lambda p: p.apply(init),
    "reset_parameters": lambda p: p.embedding.reset_parameters(),
    "item": lambda p: p.embedding.weight.__setitem__(1, 7.0),
    "data": lambda p: p.embedding.weight.data.fill_(7),
    "assign to data": lambda p: setattr(p.embedding.weight, "data", torch.full((6, 3), 7.0)),
    "state dict": lambda p: p.state_dict()["embedding.weight"].fill_(7),
    "load_state_dict": lambda p: p.load_state_dict({"embedding.weight": torch.full((6, 3), 7.0)}),
    "numpy": lambda p: p.embedding.weight.numpy().fill(7),
    "asarray": lambda p: np.asarray(p.embedding.weight).fill(7),
    "dlpack": lambda p: torch.from_dlpack(p.embedding.weight).fill_(7),
    "transpose": lambda p: p.embedding.weight.T.fill_(7),
    "view": lambda p: p.embedding.weight.view(-1).fill_(7),
    "out=": lambda p: torch.add(torch.ones(6, 3), 6, out=p.embedding.weight),
    "foreach": lambda p: torch._foreach_mul_([p.embedding.weight], 2),
    "max_norm": lambda p: nn.functional.embedding(torch.arange(6), p.embedding.weight, max_norm=0.1),
    "vector_to_parameters": lambda p: nn.utils.vector_to_parameters(torch.full((18,), 7.0), p.parameters()),
    "train": train,
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("how", WRITES)
def test_write_changes_the_pooler_but_not_the_vectors(how: str, source: Any, tmp_path: Path) -> None:
    vectors = source(tmp_path)
    pooler, other = SentencePooler(vectors), SentencePooler(vectors)
    before = pooler(IDS)
    with torch.set_grad_enabled(how == "train"):
        WRITES[how](pooler)
    assert not torch.allclose(pooler(IDS), before)
    assert np.array_equal(vectors.matrix, MATRIX)
    assert torch.equal(other(IDS), before)
    again = source(tmp_path) if source is in_memory else load(next(tmp_path.iterdir()))
    assert np.array_equal(again.matrix, MATRIX)


READS: dict[str, Callable[[SentencePooler], object]] = {
    "forward": lambda p: p(IDS),
    "encode": lambda p: p.encode(["a b"]),
    "count": lambda p: sum(one.numel() for one in p.parameters()),
    "print": lambda p: (repr(p), repr(p.embedding.weight)),
    "describe": lambda p: [(one.shape, one.dtype, one.device, one.is_leaf, one.grad) for one in p.parameters()],
    "to, nothing to do": lambda p: p.to("cpu").float(),
    "optimizer": lambda p: torch.optim.AdamW(p.parameters()),
    "requires_grad_(False)": lambda p: p.requires_grad_(False),
    "train and eval": lambda p: p.train().eval(),
    "compile": lambda p: torch.compile(p, backend="eager")(IDS),
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
}


@pytest.mark.parametrize("how", READS)
def test_reading_does_not_copy_the_rows(how: str) -> None:
    vectors = in_memory(Path())
    pooler = SentencePooler(vectors)
    READS[how](pooler)
    assert type(pooler.embedding.weight) is BorrowedRows
    assert pooler.embedding.weight.data_ptr() == vectors.matrix.ctypes.data


@pytest.mark.parametrize("source", SOURCES)
def test_cast_rows_are_a_plain_parameter(source: Any, tmp_path: Path) -> None:
    vectors = source(tmp_path)
    for cast, dtype in ((nn.Module.half, torch.float16), (nn.Module.double, torch.float64)):
        pooler = cast(SentencePooler(vectors))
        bag = cast(nn.EmbeddingBag.from_pretrained(torch.tensor(MATRIX)))
        assert pooler(IDS).dtype == dtype
        assert torch.equal(pooler(IDS), bag(IDS))
    assert np.array_equal(vectors.matrix, MATRIX)


def test_deep_copy_shares_rows_in_memory() -> None:
    pooler = SentencePooler(in_memory(Path()))
    copied = copy.deepcopy(pooler)
    assert copied.embedding.weight.data_ptr() == pooler.embedding.weight.data_ptr()
    assert copied.words is pooler.words
    copied.embedding.weight.data.fill_(7)
    assert torch.equal(pooler(IDS), SentencePooler(in_memory(Path()))(IDS))


def through_deepcopy(layer: Any) -> Any:
    return copy.deepcopy(layer)


def through_pickle(layer: Any) -> Any:
    return pickle.loads(pickle.dumps(layer))


def through_torch_save(layer: Any) -> Any:
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = [through_deepcopy, through_pickle, through_torch_save]


def big(folder: Path) -> Vectors:
    Vectors(Words.from_strings([f"w{at}" for at in range(5000)]), np.ones((5000, 50), np.float32)).save(
        folder / "big.safetensors"
    )
    return load(folder / "big.safetensors")


@pytest.mark.parametrize("through", COPIES)
def test_copies_of_a_mapped_pooler_map_the_file_again(through: Any, tmp_path: Path) -> None:
    pooler = SentencePooler(big(tmp_path))
    copied = through(pooler)
    assert type(copied.embedding.weight) is MappedRows
    assert torch.equal(copied(IDS), pooler(IDS))
    maps = Path("/proc/self/maps")
    if maps.exists():
        place = copied.embedding.weight.data_ptr()
        lines = [line.split()[0] for line in maps.read_text().splitlines() if "big.safetensors" in line]
        assert any(int(begin, 16) <= place < int(end, 16) for begin, end in (line.split("-") for line in lines))


def test_pickle_on_a_mapped_file_does_not_contain_the_table(tmp_path: Path) -> None:
    vectors = big(tmp_path)
    size, words = vectors.matrix.nbytes, len(pickle.dumps(vectors.words))
    for layer, rest in ((SentencePooler(vectors), words), (StoredEmbedding(vectors.matrix), 0)):
        assert len(pickle.dumps(layer)) - rest < size / 20
    assert StoredEmbedding(vectors.matrix)._table.data_ptr() == vectors.matrix.ctypes.data


def test_pickle_on_a_mapped_file_does_not_contain_the_ngrams(tmp_path: Path) -> None:
    table = NgramTable(np.random.default_rng(1).normal(size=(9000, 3)).astype(np.float32), minn=2, maxn=3)
    for kept in (False, True):
        vectors = Vectors(list("abcdef"), MATRIX, ngrams=table)
        if kept:
            vectors.save(tmp_path / "v.safetensors")
            vectors = load(tmp_path / "v.safetensors")
        pooler = SentencePooler(vectors, unknown="ngrams")
        pickled = pickle.dumps(pooler)
        assert (len(pickled) < 9000) == kept
        texts = ["a unknown", "b", "more of them"]
        assert np.array_equal(pickle.loads(pickled).encode(texts), pooler.encode(texts))
        assert copy.deepcopy(pooler).ngrams is pooler.ngrams


@pytest.mark.parametrize("through", COPIES)
def test_copies_of_a_mapped_pooler_keep_changed_rows(through: Any, tmp_path: Path) -> None:
    writes: list[Callable[[nn.Embedding], object]] = [
        lambda layer: layer.weight.data[3].fill_(2),  # leaves no trace in torch's version counter
        lambda layer: layer.half(),
        lambda layer: layer.requires_grad_(True),
    ]
    for write in writes:
        pooler = SentencePooler(big(tmp_path))
        write(pooler.embedding)
        copied = through(pooler)
        assert type(copied.embedding.weight) is nn.Parameter
        assert torch.equal(copied.embedding.weight, pooler.embedding.weight)
        assert copied.embedding.weight.requires_grad == pooler.embedding.weight.requires_grad


@pytest.mark.parametrize("make", [SentencePooler, lambda v: StoredEmbedding(v.matrix)])
def test_pickle_is_refused_if_its_file_has_changed(make: Any, tmp_path: Path) -> None:
    vectors = in_a_file(tmp_path)
    layer = make(vectors)
    kept, file = pickle.dumps(layer), tmp_path / "v.safetensors"
    whole = file.read_bytes()
    assert torch.equal(pickle.loads(kept)(IDS), layer(IDS))
    for damage in (whole + b" ", whole[:8] + b" " + whole[9:]):
        (tmp_path / "other").write_bytes(damage)
        (tmp_path / "other").replace(file)
        with pytest.raises(FormatError, match=r"is not the one that was mapped: found .* bytes"):
            pickle.loads(kept)
        assert torch.equal(copy.deepcopy(layer)(IDS), layer(IDS))
    file.unlink()
    with pytest.raises(FormatError, match=r"v\.safetensors: the mapped file cannot be opened"):
        pickle.loads(kept)
    for one in (layer, make(vectors)):
        assert torch.equal(pickle.loads(pickle.dumps(one))(IDS), layer(IDS))


@pytest.mark.parametrize("through", COPIES)
def test_copies_of_a_stored_embedding_equal_it(through: Any, tmp_path: Path) -> None:
    for vectors in (in_memory(tmp_path), in_a_file(tmp_path)):
        layer = StoredEmbedding(vectors.matrix, rows=np.array([4, -1, 0, 1, 2, 5]), padding_idx=2, dtype=torch.float64)
        copied = through(layer)
        assert torch.equal(copied(IDS), layer(IDS))
        assert copied(IDS).dtype == torch.float64
    assert copy.deepcopy(layer)._table is layer._table
