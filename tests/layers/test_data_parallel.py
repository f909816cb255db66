"""Test layers in replicas of `nn.DataParallel`, which Hugging Face's Trainer uses for several GPUs in one process."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vecload import PartialEmbedding
from vecload.layers import TiedEmbedding, TiedHead

IDS = torch.tensor([[0, 1, 4], [5, 2, 2]])


class Tied(nn.Module):
    """Model of an encoder, a decoder and a head with the same rows, in which the head comes first."""

    def __init__(self, layer: PartialEmbedding) -> None:
        super().__init__()
        self.head = TiedHead(layer, nn.Parameter(torch.zeros(6)))
        self.layer, self.decoder = layer, TiedEmbedding(layer)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = self.layer(ids) + 2 * self.decoder(ids.flip(1))
        return self.head(hidden) + hidden @ self.head.weight.T


def replicas(model: nn.Module, factors: list[float], monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """Return torch's replicas of a model, without GPUs: copies are multiplied, so that replicas differ."""
    module: Any = importlib.import_module("torch.nn.parallel.replicate")

    def broadcast(tensors: list[torch.Tensor], _: Any, detach: bool = False) -> list[list[torch.Tensor]]:
        return [[one.as_subclass(torch.Tensor) * factor for one in tensors] for factor in factors]

    monkeypatch.setattr(module, "_broadcast_coalesced_reshape", broadcast)
    monkeypatch.setattr(module, "_get_device_index", lambda device, _: device)
    return list(module.replicate(model, list(range(len(factors)))))


def test_replica_of_a_tied_model_uses_its_own_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.randn(6, 3, generator=torch.manual_seed(0))
    model = Tied(PartialEmbedding(rows, np.array([0, 1, 0, 2, 1, 0])))
    for factor in (2.0, 3.0):  # a second step makes new replicas
        (replica,) = replicas(model, [factor], monkeypatch)
        expected = copy.deepcopy(model)
        with torch.no_grad():
            expected.layer.weight.mul_(factor)
        scores = replica(IDS)
        assert torch.equal(scores, expected(IDS))
        scores.sum().backward()
        expected(IDS).sum().backward()
        for mine, other in zip(model.layer.trained, expected.layer.trained, strict=True):
            assert mine.grad is not None
            torch.testing.assert_close(mine.grad, factor * other.grad)
        model.zero_grad()
    assert torch.equal(model.layer.weight.detach(), rows)


def test_replicas_are_not_part_of_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = PartialEmbedding(torch.ones(6, 3), np.arange(6))
    kept = replicas(Tied(layer), [1.0, 2.0], monkeypatch)
    assert len(layer._replicas) == len(kept)
    assert not copy.deepcopy(layer)._replicas


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_data_parallel_on_two_gpus_equals_one() -> None:
    model = Tied(PartialEmbedding(torch.randn(6, 3), np.arange(6))).cuda()
    ids = IDS.cuda()
    torch.testing.assert_close(nn.DataParallel(model)(ids), model(ids))
