"""The rows of the matrix: each layer in a small model, and the same model with a plain layer of torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vecload import PartialEmbedding, SentencePooler, Vectors, Words, extend_embedding, load
from vecload.layers import StoredEmbedding

os.environ.setdefault("HF_HUB_OFFLINE", "1")

COUNT, DIM, CLASSES, NEW = 12, 4, 3, 3
WEIGHT = torch.randn(COUNT, DIM, generator=torch.Generator().manual_seed(0))
SOME = torch.zeros(COUNT, dtype=torch.bool).index_fill(0, torch.tensor([1, 4, 5, 9]), value=True)
ALL, NONE = torch.ones_like(SOME), torch.zeros_like(SOME)
LAST = torch.arange(COUNT) >= COUNT - NEW
BATCH = torch.tensor([[1, 2, 5], [9, 0, 4], [11, 3, 1], [10, 9, 2]])
LABELS = torch.tensor([0, 2, 1, 0])


class Net(nn.Module):
    """A classifier on one embedding layer or bag."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.pools = isinstance(layer, (nn.EmbeddingBag, SentencePooler))
        self.linear = nn.Linear(DIM, CLASSES)
        values = torch.linspace(-1, 1, DIM * CLASSES + CLASSES)
        with torch.no_grad():
            self.linear.weight.copy_(values[: DIM * CLASSES].view(CLASSES, DIM))
            self.linear.bias.copy_(values[DIM * CLASSES :])

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        found = self.layer(input_ids)
        return self.linear(found if self.pools else found.mean(1))


class WithLoss(nn.Module):
    """A model as trainers expect it: it returns its loss."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        scores = scores_of(self.net, input_ids)
        scores = scores if scores.dim() == 2 else scores.mean(1)[:, :CLASSES]
        loss = None if labels is None else nn.functional.cross_entropy(scores, labels)
        return {"logits": scores} if loss is None else {"loss": loss, "logits": scores}


def scores_of(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Return the output of a model of either kind."""
    found = model(input_ids=ids)
    return found if isinstance(found, torch.Tensor) else found.logits


@dataclass(frozen=True)
class Row:
    """A layer of the matrix.

    `make` returns a model with the layer, `plain` the model to compare with; both take a folder. `trained` selects the
    rows to train; a plain model trains all rows, unless `freeze` removes the gradients of the others.
    """

    name: str
    title: str
    trained: torch.Tensor
    make: Callable[[Path], nn.Module]
    plain: Callable[[Path], nn.Module]
    kind: str = "embedding"

    def table(self, model: nn.Module) -> torch.Tensor:
        """Return all rows of the input layer, by looking up each of them."""
        with torch.no_grad():
            ids = torch.arange(COUNT)
            if self.kind == "model":
                return model.get_input_embeddings()(ids).detach().clone()
            return model.layer(ids[:, None] if self.kind == "bag" else ids).detach().clone()

    def freeze(self, model: nn.Module) -> None:
        """Take from a plain model's gradients those of the frozen rows. Other models have none."""
        layers = (
            [model.layer] if self.kind != "model" else [model.get_input_embeddings(), model.get_output_embeddings()]
        )
        for layer in layers:
            weight = getattr(layer, "_parameters", {}).get("weight")
            if weight is not None and weight.grad is not None and len(weight) == COUNT:
                weight.grad = weight.grad * self.trained[:, None]

    def __str__(self) -> str:
        return self.name


def embedding(trained: torch.Tensor) -> nn.Embedding:
    return nn.Embedding.from_pretrained(WEIGHT.clone(), freeze=not trained.any())


def bag(*, freeze: bool) -> nn.EmbeddingBag:
    return nn.EmbeddingBag.from_pretrained(WEIGHT.clone(), freeze=freeze, mode="mean")


def vectors() -> Vectors:
    return Vectors(Words.from_strings([f"w{at}" for at in range(COUNT)]), WEIGHT.numpy().copy())


def mapped(folder: Path) -> Vectors:
    file = folder / "rows.safetensors"
    if not file.exists():
        vectors().save(file)
    return load(file)


def partial(name: str, title: str, trained: torch.Tensor) -> Row:
    return Row(
        name,
        title,
        trained,
        lambda _: Net(PartialEmbedding(WEIGHT, trained)),
        lambda _: Net(embedding(trained)),
    )


def pooler(name: str, title: str, trained: torch.Tensor, source: Callable[[Path], Vectors], **options: Any) -> Row:
    return Row(
        name,
        title,
        trained,
        lambda folder: Net(SentencePooler(source(folder), "mean", **options)),
        lambda _: Net(bag(freeze=not trained.any())),
        "bag",
    )


def llama(*, tied: bool, size: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=8,
        tie_word_embeddings=tied,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


def extended(*, tied: bool) -> nn.Module:
    model = llama(tied=tied, size=COUNT - NEW)
    extend_embedding(model, [f"new{at}" for at in range(NEW)], train="new", noise=1.0)
    return model


def resized(*, tied: bool) -> nn.Module:
    model, ours = llama(tied=tied, size=COUNT - NEW), extended(tied=tied)
    model.resize_token_embeddings(COUNT, mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(ours.get_input_embeddings()(torch.arange(COUNT)))
        if not tied:
            head = ours.get_output_embeddings()
            model.get_output_embeddings().weight.copy_(head(torch.eye(head.in_features)).T)
    return model


ROWS = [
    partial("partial-some", "`PartialEmbedding`, some rows", SOME),
    partial("partial-all", "`PartialEmbedding`, all rows", ALL),
    partial("partial-none", "`PartialEmbedding`, no rows", NONE),
    Row(
        "partial-stored",
        "`PartialEmbedding` over a `StoredEmbedding`",
        SOME,
        lambda folder: Net(PartialEmbedding(StoredEmbedding(mapped(folder).matrix), SOME)),
        lambda _: Net(embedding(SOME)),
    ),
    Row(
        "stored",
        "`StoredEmbedding`",
        NONE,
        lambda folder: Net(StoredEmbedding(mapped(folder).matrix)),
        lambda _: Net(embedding(NONE)),
    ),
    pooler("pooler-frozen", "`SentencePooler`, frozen", NONE, lambda _: vectors()),
    pooler("pooler-trained", "`SentencePooler`, trainable", ALL, lambda _: vectors(), trainable=True),
    pooler("pooler-mapped", "`SentencePooler`, mapped", NONE, mapped),
    Row(
        "extended-tied",
        "Extended model, tied",
        LAST,
        lambda _: extended(tied=True),
        lambda _: resized(tied=True),
        "model",
    ),
    Row(
        "extended-untied",
        "Extended model, untied",
        LAST,
        lambda _: extended(tied=False),
        lambda _: resized(tied=False),
        "model",
    ),
]
BY_NAME = {row.name: row for row in ROWS}


def train(row: Row, model: nn.Module, steps: int = 3, optimizer: torch.optim.Optimizer | None = None) -> None:
    """Train a model of either kind, in place. Frozen rows of plain models get no gradient."""
    optimizer = optimizer or torch.optim.Adam([one for one in model.parameters() if one.requires_grad], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        scores = scores_of(model, BATCH)
        scores = scores if scores.dim() == 2 else scores.mean(1)[:, :CLASSES]
        nn.functional.cross_entropy(scores, LABELS).backward()
        row.freeze(model)
        optimizer.step()


def assert_same(row: Row, ours: nn.Module, plain: nn.Module) -> None:
    """Check that both models have equal rows, bit for bit where frozen, and equal outputs."""
    found, expected = row.table(ours), row.table(plain)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected)
    assert torch.equal(found[~row.trained], expected[~row.trained])
    with torch.no_grad():
        torch.testing.assert_close(scores_of(ours, BATCH), scores_of(plain, BATCH), rtol=1e-4, atol=1e-5)


def assert_not_same(row: Row, model: nn.Module, before: torch.Tensor) -> None:
    assert not np.array_equal(row.table(model)[row.trained], before[row.trained])
