"""Translate English sentences to Japanese with a tiny encoder-decoder.

    python examples/translate_sentences.py

The sentences describe the toy world of translate_words.py. Word vectors are trained on 20,000 sentences of each
language separately. Such sentences are easy to collect; translated pairs are scarce, and the example uses only 60. It
trains the same network twice, from random and from pretrained rows, and prints translations during training. The test
sentences describe events that training does not contain.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from translate_words import english, events, japanese, train

import vecload

PAIRS, STEPS = 60, 240
SPECIALS = ["<pad>", "<unk>", "<s>", "</s>"]


class Translator(torch.nn.Module):
    """Recurrent encoder and decoder, with attention of the decoder to the states of the encoder."""

    def __init__(
        self, source: torch.nn.Module, target: torch.nn.Module, dim: int, words: int, hidden: int = 64
    ) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.encoder = torch.nn.GRU(dim, hidden, batch_first=True)
        self.decoder = torch.nn.GRU(dim, hidden, batch_first=True)
        self.head = torch.nn.Linear(2 * hidden, words)

    def forward(self, ids: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        """Return scores of the next word, shape (batch, length of `previous`, words)."""
        states, last = self.encoder(self.source(ids))
        queries, _ = self.decoder(self.target(previous), last)
        scores = (queries @ states.transpose(1, 2)).masked_fill((ids == 0)[:, None], -torch.inf)
        return self.head(torch.cat([queries, scores.softmax(-1) @ states], dim=-1))

    @torch.no_grad()
    def translate(self, ids: torch.Tensor, start: int, longest: int = 12) -> torch.Tensor:
        """Return the ids of greedy decoding, shape (batch, longest)."""
        found = torch.full((len(ids), 1), start)
        for _ in range(longest):
            found = torch.cat([found, self(ids, found)[:, -1:].argmax(-1)], dim=1)
        return found[:, 1:]


def batch(vocab: vecload.Vocab, sentences: list[list[str]]) -> torch.Tensor:
    """Return padded ids, shape (sentences, longest)."""
    rows = [torch.from_numpy(vocab.encode(["<s>", *words, "</s>"])) for words in sentences]
    return pad_sequence(rows, batch_first=True, padding_value=vocab.padding_idx)


def sentence(vocab: vecload.Vocab, ids: torch.Tensor) -> list[str]:
    """Return the words up to the end-of-sentence token."""
    words = vocab.decode(ids.tolist())
    return words[: words.index("</s>")] if "</s>" in words else words


def main() -> None:
    """Train from random and from pretrained rows, and print how many unseen sentences are translated exactly."""
    some = events(20_000, seed=1)
    spaces = [
        train([say(event) for event in some]) for say, some in ((english, some), (japanese, events(20_000, seed=2)))
    ]
    # Vectors of a small corpus share one large component, which hides their differences.
    spaces = [vecload.transform(space, ["center"]) for space in spaces]
    pairs = list(dict.fromkeys(some))[: PAIRS + 100]
    said = [english(event) for event in pairs], [japanese(event) for event in pairs]
    vocabs = [vecload.Vocab.from_vectors(space, specials=SPECIALS) for space in spaces]
    ids, wanted = (batch(vocab, sentences) for vocab, sentences in zip(vocabs, said, strict=True))
    print(f"{PAIRS} pairs to learn from, {len(pairs) - PAIRS} to translate")
    for name in ("random", "pretrained"):
        torch.manual_seed(0)
        chains = {"random": [vecload.oov.normal(0.0, 0.3)], "pretrained": ["normal"]}
        empty = vecload.Vectors(vecload.Words.from_strings([]), np.empty((0, spaces[0].dim), dtype="float32"))
        sources = spaces if name == "pretrained" else (empty, empty)
        aligned = [vecload.align(space, vocab, oov=chains[name]) for space, vocab in zip(sources, vocabs, strict=True)]
        model = Translator(*(one.embedding() for one in aligned), spaces[0].dim, len(vocabs[1]))
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        print(f"{name} rows")
        for step in range(STEPS + 1):
            if step % (STEPS // 4) == 0:
                found = model.translate(ids[PAIRS:], vocabs[1]["<s>"])
                right = sum(
                    sentence(vocabs[1], row) == words for row, words in zip(found, said[1][PAIRS:], strict=True)
                )
                print(f"  step {step:>3}  {right:>3}%  {' '.join(sentence(vocabs[1], found[0])[:10])}")
            scores = model(ids[:PAIRS], wanted[:PAIRS, :-1])
            loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), wanted[:PAIRS, 1:].flatten(), ignore_index=0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print(f"asked for   {' '.join(said[0][PAIRS])}\nright       {' '.join(said[1][PAIRS])}")


if __name__ == "__main__":
    main()
