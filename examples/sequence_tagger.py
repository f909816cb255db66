"""A sequence tagger on padded texts: packed for an LSTM, masked for attention, and padding does not count in either.

    python examples/sequence_tagger.py

The task is made up, so that it needs no data: tag each number word and the noun it belongs to. The nouns of the test
are not those of training: their vectors lie near them, as those of real nouns do, and that is what the model can go by.
The words' vectors are frozen; the specials and the words the vectors lack are trained ("new-rows").
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
    """Words of a kind lie together, as they do in real vectors."""
    rng = np.random.default_rng(0)
    kinds = (NUMBERS[:-1], NOUNS, REST)  # "six" is not in the file
    rows = [rng.normal(size=dim) + 0.4 * rng.normal(size=(len(kind), dim)) for kind in kinds]
    words = vecload.Words.from_strings([word for kind in kinds for word in kind])
    return vecload.Vectors(words, np.concatenate(rows).astype("float32"))


def sentence(rng: random.Random, nouns: list[str]) -> tuple[list[str], list[int]]:
    """Words and their tags: a noun right behind a number, or behind it and one adjective, is counted."""
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
    """A bidirectional LSTM over packed sequences: it never sees the padding."""

    def __init__(self, embed: torch.nn.Module, dim: int) -> None:
        super().__init__()
        self.embed = embed
        self.lstm = torch.nn.LSTM(dim, 16, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(32, len(TAGS))

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Padded ids, shape (texts, longest), to scores, shape (texts, longest, tags)."""
        packed = pack_padded_sequence(self.embed(ids), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=ids.shape[1])
        return self.head(states)


class MaskedEncoder(torch.nn.Module):
    """A convolution and one layer of self-attention, told by a mask which places are padding."""

    def __init__(self, embed: torch.nn.Module, dim: int) -> None:
        super().__init__()
        self.embed = embed
        self.near = torch.nn.Conv1d(dim, dim, 5, padding=2)  # padding rows are zero, as beyond the ends
        self.encoder = torch.nn.TransformerEncoderLayer(dim, 2, 32, dropout=0.0, batch_first=True)
        self.head = torch.nn.Linear(dim, len(TAGS))

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Padded ids, shape (texts, longest), to scores, shape (texts, longest, tags)."""
        padding = torch.arange(ids.shape[1]) >= lengths[:, None]
        states = self.near(self.embed(ids).transpose(1, 2)).transpose(1, 2)
        return self.head(self.encoder(states, src_key_padding_mask=padding))


def main() -> None:
    """Train both, print their accuracy on nouns they have not met, and show that padding changes nothing."""
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
        layer = aligned.embedding(mode="new-rows")  # "six", which the file lacks, has to be learned
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
