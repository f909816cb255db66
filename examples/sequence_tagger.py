"""Tag words in padded texts, with packed sequences for an LSTM and with a mask for attention.

    python examples/sequence_tagger.py

The task is invented, so it needs no data: tag each number word and the noun that it counts. The test sentences use
other nouns than the training sentences. The vectors of nouns are similar, as in real files, so the model can
generalize. Rows from the vectors are frozen; special tokens and words without a vector are trained (mode "new-rows").
"""

from __future__ import annotations

import random

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

import vecload

STEPS = 60
TAGS = ("other", "number", "counted")
NUMBERS = "two three four five six".split()
NOUNS = [f"noun{at}" for at in range(40)]
REST = "we saw bought again slowly then and the big red".split()


def made_up_vectors(dim: int = 16) -> vecload.Vectors:
    """Return vectors in which words of one kind are similar, as in real files."""
    rng = np.random.default_rng(0)
    kinds = (NUMBERS[:-1], NOUNS, REST)  # "six" is not in the file
    rows = [rng.normal(size=dim) + 0.4 * rng.normal(size=(len(kind), dim)) for kind in kinds]
    words = vecload.Words.from_strings([word for kind in kinds for word in kind])
    return vecload.Vectors(words, np.concatenate(rows).astype("float32"))


def sentence(rng: random.Random, nouns: list[str]) -> tuple[list[str], list[int]]:
    """Return words and tags: a noun is counted if a number precedes it, with at most one adjective between."""
    words, tags = [], []
    for _ in range(rng.randint(2, 6)):
        if rng.random() < 0.5:
            between = rng.choice([[], ["big"], ["red"]])
            words += [rng.choice(NUMBERS), *between, rng.choice(nouns)]
            tags += [1, *(0 for _ in between), 2]
        else:
            words += [rng.choice(REST), rng.choice(nouns)]
            tags += [0, 0]
    return words, tags


class PackedTagger(torch.nn.Module):
    """Bidirectional LSTM over packed sequences, which exclude the padding."""

    def __init__(self, embed: torch.nn.Module, dim: int) -> None:
        super().__init__()
        self.embed = embed
        self.lstm = torch.nn.LSTM(dim, 16, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(32, len(TAGS))

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return scores, shape (texts, longest, tags), of padded ids, shape (texts, longest)."""
        packed = pack_padded_sequence(self.embed(ids), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=ids.shape[1])
        return self.head(states)


class MaskedEncoder(torch.nn.Module):
    """Convolution and one layer of self-attention, with a mask of the padding positions."""

    def __init__(self, embed: torch.nn.Module, dim: int) -> None:
        super().__init__()
        self.embed = embed
        self.near = torch.nn.Conv1d(dim, dim, 5, padding=2)  # zero rows, like the convolution's padding
        self.encoder = torch.nn.TransformerEncoderLayer(dim, 2, 32, dropout=0.0, batch_first=True)
        self.head = torch.nn.Linear(dim, len(TAGS))

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return scores, shape (texts, longest, tags), of padded ids, shape (texts, longest)."""
        padding = torch.arange(ids.shape[1]) >= lengths[:, None]
        states = self.near(self.embed(ids).transpose(1, 2)).transpose(1, 2)
        return self.head(self.encoder(states, src_key_padding_mask=padding))


def main() -> None:
    """Train both models, print their accuracy on unseen nouns, and show that padding does not change scores."""
    aligned = vecload.align(
        made_up_vectors(), vecload.Vocab.from_words([*NUMBERS, *NOUNS, *REST], pad_token="<pad>"), oov=["normal"]
    )
    rng = random.Random(0)
    data = {}
    for part, nouns, count in (("train", NOUNS[:20], 200), ("test", NOUNS[20:], 100)):
        words, tags = zip(*(sentence(rng, nouns) for _ in range(count)), strict=True)
        rows = [torch.from_numpy(aligned.vocab.encode(some)) for some in words]
        data[part] = (
            pad_sequence(rows, batch_first=True, padding_value=aligned.vocab.padding_idx),
            torch.tensor([len(some) for some in words]),
            pad_sequence([torch.tensor(some) for some in tags], batch_first=True, padding_value=-100),
        )
    for kind in (PackedTagger, MaskedEncoder):
        torch.manual_seed(0)
        layer = aligned.embedding(mode="new-rows")  # the row of "six", which has no vector, is learned
        model = kind(layer, aligned.matrix.shape[1])
        before = layer.weight.detach().clone()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.01)
        ids, lengths, tags = data["train"]
        for _ in range(STEPS):
            optimizer.zero_grad()
            scores = model(ids, lengths)
            torch.nn.functional.cross_entropy(scores.transpose(1, 2), tags, ignore_index=-100).backward()
            optimizer.step()
        model.eval()
        ids, lengths, tags = data["test"]
        with torch.no_grad():
            scores = model(ids, lengths)
            alone = model(ids[:1, : lengths[0]], lengths[:1])  # the first text without its padding
        real = tags != -100
        right = float((scores.argmax(2) == tags)[real].float().mean())
        commonest = float((tags == 0)[real].float().mean())
        apart = float((alone - scores[:1, : lengths[0]]).abs().max())
        changed = (layer.weight != before).any(dim=1)
        moved = [word for word, one in zip(aligned.vocab, changed.tolist(), strict=True) if one]
        print(f"{kind.__name__:<14} {right:.1%} of the tags right ({commonest:.1%} are 'other'); rows trained: {moved}")
        print(f"{'':<14} a text alone and among longer ones: scores differ by {apart:.0e}")


if __name__ == "__main__":
    main()
