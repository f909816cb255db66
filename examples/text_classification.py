"""Train a text classifier with four modes of its embedding layer, and from random rows.

    python examples/text_classification.py [VECTORS]

VECTORS is any file that vecload reads, for example glove.6B.50d.txt. Without it, the example trains small vectors on
news texts that gensim ships. The task is to decide whether a paragraph was posted to sci.space or to alt.atheism. The
200 posts are a part of the 20 Newsgroups collection (Lang 1995) that gensim ships too; headers and quotations are
removed. Half of the posts are for training and the other half for testing. Accuracies are means over several splits,
with their standard deviation. Every mode uses the same splits, so the table also shows how often each mode beats
random rows.
"""

from __future__ import annotations

import pickletools
import re
import statistics
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gensim.models import Word2Vec
from gensim.test.utils import datapath

import vecload

SPLITS, STEPS, SHORTEST, LONGEST = 6, 30, 8, 64


def posts() -> list[tuple[list[list[str]], float]]:
    """Return the paragraphs of each post as tokens, and its label: 1 for sci.space.

    The collection is a pickle. Its strings are read without executing it.
    """
    raw = zlib.decompress(Path(datapath("mini_newsgroup")).read_bytes())
    texts = [str(argument) for operation, argument, _ in pickletools.genops(raw) if operation.name == "UNICODE"]
    found = []
    for text in texts:
        header, _, body = text.partition("\n\n")
        groups = re.findall(r"^Newsgroups:.*", header, re.M)
        lines = [line for line in body.split("\n") if not re.match(r"\s*[>|:]|.*(writes|wrote):?\s*$|In article", line)]
        body = "\n".join(lines).split("\n--")[0]
        tokens = [re.findall(r"[a-z]+(?:'[a-z]+)?", paragraph.lower()) for paragraph in re.split(r"\n\s*\n", body)]
        paragraphs = [some[:LONGEST] for some in tokens if len(some) >= SHORTEST]
        if groups and paragraphs:
            found.append((paragraphs, float("sci.space" in groups[0])))
    return found


def small_vectors(folder: str) -> str:
    """Train vectors on the Lee corpus, save them as text and return the path."""
    texts = Path(datapath("lee_background.cor")).read_text(encoding="utf-8").lower().splitlines()
    model = Word2Vec([text.split() for text in texts], vector_size=50, min_count=2, epochs=20, workers=1, seed=1)
    model.wv.save_word2vec_format(f"{folder}/lee.txt")
    return f"{folder}/lee.txt"


class Classifier(torch.nn.Module):
    """Linear function of the mean of a text's word vectors. Padding rows are zero, so they add nothing to the sum."""

    def __init__(self, embed: torch.nn.Module, dim: int) -> None:
        super().__init__()
        self.embed, self.head = embed, torch.nn.Linear(dim, 1)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return scores, shape (texts,), of padded ids, shape (texts, longest)."""
        return self.head(self.embed(ids).sum(1) / (ids != 0).sum(1, keepdim=True)).squeeze(1)


def accuracy(aligned: vecload.Aligned, train: Any, test: Any, seed: int, options: dict[str, Any]) -> float:
    """Return the percentage of test texts classified correctly after training with these layer options."""
    torch.manual_seed(seed)
    model = Classifier(aligned.embedding(**options), aligned.matrix.shape[1])
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.02, weight_decay=0.01)
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(train[0]), train[1]).backward()
        optimizer.step()
    with torch.no_grad():
        return 100 * float(((model(test[0]) > 0) == test[1].bool()).float().mean())


def batch(vocab: vecload.Vocab, some: list[tuple[list[list[str]], float]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return padded ids and labels of the paragraphs of some posts."""
    rows = [torch.from_numpy(vocab.encode(paragraph)) for paragraphs, _ in some for paragraph in paragraphs]
    labels = [label for paragraphs, label in some for _ in paragraphs]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=vocab.padding_idx), torch.tensor(
        labels
    )


def main() -> None:
    """Print the coverage of the vectors and a table of the modes."""
    everything = posts()
    tokens = [token for paragraphs, _ in everything for paragraph in paragraphs for token in paragraph]
    vocab = vecload.Vocab.from_tokens(tokens, pad_token="<pad>", unk_token="<unk>")
    with tempfile.TemporaryDirectory() as folder:
        source = sys.argv[1] if len(sys.argv) > 1 else small_vectors(folder)
        pretrained = vecload.align(source, vocab, oov=["casefold", "normal"])
    print(pretrained.coverage, end="\n\n")
    nothing = vecload.Vectors(vecload.Words.from_strings([]), pretrained.matrix[:0])
    drawn = vecload.align(nothing, vocab, oov=[vecload.oov.normal(0.0, float(pretrained.matrix.std()))])
    frequent = vocab.counts >= np.sort(vocab.counts)[-500]  # words with enough text to learn from
    cases: dict[str, tuple[vecload.Aligned, dict[str, Any]]] = {
        "random rows, finetune": (drawn, {"mode": "finetune"}),
        "freeze": (pretrained, {"mode": "freeze"}),
        "new-rows": (pretrained, {"mode": "new-rows"}),
        "rows=frequent": (pretrained, {"rows": frequent}),
        "finetune": (pretrained, {"mode": "finetune"}),
    }
    scores: dict[str, list[float]] = {name: [] for name in cases}
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(len(everything))
        train, test = (batch(vocab, [everything[at] for at in half]) for half in np.array_split(order, 2))
        for name, (aligned, options) in cases.items():
            scores[name].append(accuracy(aligned, train, test, split, options))
        results = ", ".join(f"{name} {found[-1]:.1f}%" for name, found in scores.items())
        print(f"split {split + 1} of {SPLITS}: {results}", flush=True)
    print(f"\n{len(everything)} posts, {sum(len(some) for some, _ in everything):,} paragraphs, {SPLITS} splits\n")
    print(f"{'embedding':<24}{'trained':>10}{'accuracy':>18}{'beats random':>15}")
    for name, (aligned, options) in cases.items():
        layer = aligned.embedding(**options)
        trained = sum(parameter.numel() for parameter in layer.parameters() if parameter.requires_grad)
        shown = f"{statistics.mean(scores[name]):.1f}% ± {statistics.pstdev(scores[name]):.1f}"
        better = sum(one > other for one, other in zip(scores[name], scores["random rows, finetune"], strict=True))
        print(f"{name:<24}{trained:>10,}{shown:>18}{f'{better} of {SPLITS}':>15}")


if __name__ == "__main__":
    main()
