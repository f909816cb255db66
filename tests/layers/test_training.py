"""Test frequency bands, unfreezing, anchors and learning rates with optimizers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from vecload import Vocab
from vecload.errors import OptionError
from vecload.layers import PartialEmbedding, anchor, frequency_bands, param_groups, unfreeze_after

BANDS = torch.tensor([0, 1, 2, 2, 3, 1])


def layer() -> PartialEmbedding:
    return PartialEmbedding(torch.arange(12.0).reshape(6, 2), BANDS, padding_idx=0)


def plain() -> torch.nn.Embedding:
    return torch.nn.Embedding.from_pretrained(torch.arange(12.0).reshape(6, 2), freeze=False)


def test_frequency_bands_by_count_and_by_order() -> None:
    vocab = Vocab.from_counter({f"w{at}": at + 1 for at in range(10)}, specials=["<s>"], pad_token="<pad>")
    bands = frequency_bands(vocab, [2, 5])
    assert dict(zip(vocab, bands.tolist(), strict=True)) == {
        "<pad>": 0,
        "<s>": 1,
        **{f"w{at}": 1 if at >= 8 else 2 if at >= 5 else 3 for at in range(10)},
    }
    assert frequency_bands(Vocab.from_words(["b", "a", "c"]), [1]).tolist() == [1, 2, 2]
    assert frequency_bands(Vocab.from_words(["b", "a", "c"]), []).tolist() == [1, 1, 1]
    assert PartialEmbedding(torch.zeros(12, 2), bands).trained[1].shape == (3, 2)
    for edges in ([0], [3, 3], [5, 2]):
        with pytest.raises(OptionError, match=r"edges must increase and be at least 1, got \["):
            frequency_bands(vocab, edges)


@pytest.mark.parametrize("make", [layer, plain])
def test_unfreeze_after_freezes_rows_until_their_step(
    make: Callable[[], PartialEmbedding | torch.nn.Embedding],
) -> None:
    embed = make()
    starts = [0, 2, 4] if isinstance(embed, PartialEmbedding) else 3
    schedule = unfreeze_after(embed, starts)
    head = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW([*embed.parameters(), *head.parameters()], lr=0.1, weight_decay=0.5)
    begun: dict[int, int] = {}
    for step in range(6):
        before = embed.weight.detach().clone()
        optimizer.zero_grad()
        head(embed(torch.arange(6))).sum().backward()
        optimizer.step()
        schedule.step()
        for row in torch.nonzero((embed.weight.detach() != before).any(1)).flatten().tolist():
            begun.setdefault(row, step)
    expected = {1: 0, 5: 0, 2: 2, 3: 2, 4: 4} if isinstance(embed, PartialEmbedding) else dict.fromkeys(range(6), 3)
    assert begun == expected


def test_unfreeze_schedule_is_resumed_from_its_state() -> None:
    schedule = unfreeze_after(layer(), 2)
    schedule.step()
    resumed = layer()
    again = unfreeze_after(resumed, 2)
    assert not any(rows.requires_grad for rows in resumed.trained)
    again.load_state_dict(schedule.state_dict())
    again.step()
    assert again.state_dict() == {"step": 2}
    assert all(rows.requires_grad for rows in resumed.trained)


@pytest.mark.parametrize("make", [layer, plain])
def test_anchor_is_the_squared_distance(make: Callable[[], PartialEmbedding | torch.nn.Embedding]) -> None:
    embed = make()
    penalty = anchor(embed)
    before = embed.weight.detach().clone()
    with torch.no_grad():
        for rows in embed.parameters():
            rows.add_(torch.randn_like(rows))
    moved = (embed.weight - before).detach()
    assert penalty().item() == pytest.approx(moved.square().sum().item(), rel=1e-5)
    some = penalty(torch.tensor([[1, 1, 3], [0, 1, 3]]))
    assert some.item() == pytest.approx(moved[[0, 1, 3]].square().sum().item(), rel=1e-5)
    some.backward()
    if isinstance(embed, PartialEmbedding):
        assert embed.trained[0].grad is not None
        torch.testing.assert_close(embed.trained[0].grad[0], 2 * moved[1])
    else:
        assert embed.weight.grad is not None
        torch.testing.assert_close(embed.weight.grad[[1, 3, 2]], 2 * moved[[1, 3, 2]] * torch.tensor([[1], [1], [0]]))


@pytest.mark.parametrize("make", [layer, plain])
def test_anchor_follows_its_layer_to_another_dtype(make: Callable[[], PartialEmbedding | torch.nn.Embedding]) -> None:
    embed = make()
    penalty = anchor(embed)
    embed.to(torch.bfloat16)
    with torch.no_grad():
        for rows in embed.parameters():
            rows.add_(1)
    ids = torch.arange(embed.num_embeddings)
    assert penalty(ids).item() == pytest.approx(penalty().item(), rel=0.02) != 0


def test_strong_anchor_keeps_rows() -> None:
    distances = []
    for weight in (0.0, 10.0):
        embed = layer()
        penalty = anchor(embed)
        optimizer = torch.optim.SGD(embed.parameters(), lr=0.01)
        for _ in range(50):
            optimizer.zero_grad()
            (embed(torch.arange(6)).sum() + weight * penalty()).backward()
            optimizer.step()
        distances.append(penalty().item())
    assert distances[1] < 0.05 * distances[0]


def test_param_groups_set_learning_rates() -> None:
    embed, head = layer(), torch.nn.Linear(2, 6, bias=False)
    model = torch.nn.ModuleDict({"embed": embed, "head": head, "other": plain()})
    with pytest.raises(OptionError, match="embedding_lr must have one value for each of the 1 bands, got 3"):
        param_groups(model, lr=1, embedding_lr=[3, 2, 1])
    groups = param_groups(model, lr=1, embedding_lr=0.5)
    assert [(group["lr"], len(group["params"])) for group in groups] == [(1, 1), (0.5, 4)]
    groups = param_groups(embed, lr=1, embedding_lr=[0.3, 0.2, 0.1])
    optimizer = torch.optim.SGD(groups)
    before = embed.weight.detach().clone()
    embed(torch.arange(6)).sum().backward()
    optimizer.step()
    torch.testing.assert_close((before - embed.weight.detach())[:, 0], torch.tensor([0, 0.3, 0.2, 0.2, 0.1, 0.3]))
    tied = plain()
    head.weight = tied.weight
    groups = param_groups(torch.nn.Sequential(tied, head), lr=1, embedding_lr=0.5)
    assert [(group["lr"], len(group["params"])) for group in groups] == [(0.5, 1)]


def test_number_of_steps_or_rates_must_match_the_bands() -> None:
    with pytest.raises(OptionError, match="step must have one value for each of the 3 bands, got 2"):
        unfreeze_after(layer(), [0, 1])
