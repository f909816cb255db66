"""A text classifier that starts from word vectors, beside the same one that starts from random rows.

    python examples/text_classification.py [VECTORS]

VECTORS is any file vecload reads, say glove.6B.50d.txt. Without it, small vectors are trained on news texts. The task:
tell praise from complaint in 200 sentences of film reviews (Pang and Lee 2005) that gensim ships. There is little to
learn from so few: each accuracy is the mean over 5 folds and 10 seeds, with the standard deviation between seeds, and a
difference smaller than that says nothing about the vectors. For a difference worth having, bring more text.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import torch
from gensim.models import Word2Vec
from gensim.test.utils import datapath

import vecload

FOLDS, SEEDS, EPOCHS = 5, 10, 30


def reviews() -> tuple[list[list[str]], torch.Tensor]:
    """Tokens of each sentence, and 1 for praise."""
    lines = Path(datapath("pang_lee_polarity.cor")).read_text(encoding="cp1252").strip().split("\n")
    labels, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)
    return [text.split() for text in texts], torch.tensor([float(label.endswith("pos")) for label in labels])


def small_vectors(folder: str) -> str:
    """Vectors trained on the Lee corpus, saved as text."""
    texts = Path(datapath("lee_background.cor")).read_text(encoding="utf-8").lower().splitlines()
    model = Word2Vec([text.split() for text in texts], vector_size=50, min_count=2, epochs=20, workers=1, seed=1)
    model.wv.save_word2vec_format(f"{folder}/lee.txt")
    return f"{folder}/lee.txt"


def score(layer: torch.nn.Embedding, head: torch.nn.Linear, batch: torch.Tensor) -> torch.Tensor:
    """How much each text is praise: a linear function of the mean of its words. Padding rows are zero."""
    words = (batch != layer.padding_idx).sum(1, keepdim=True)
    return head(layer(batch).sum(1) / words).squeeze(1)


def accuracy(aligned: vecload.Aligned, texts: list[list[str]], labels: torch.Tensor) -> str:
    """Test accuracy of a mean-pooling logistic classifier, with its deviation between seeds."""
    rows = [torch.from_numpy(aligned.vocab.encode(text)) for text in texts]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=aligned.vocab.pad_idx or 0)
    means = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        folds = torch.randperm(len(texts)) % FOLDS
        scores = []
        for fold in range(FOLDS):
            train, test = folds != fold, folds == fold
            layer = aligned.embedding(mode="finetune")
            head = torch.nn.Linear(layer.embedding_dim, 1)
            optimizer = torch.optim.AdamW([*layer.parameters(), *head.parameters()], lr=0.01, weight_decay=0.01)

            def forward(
                batch: torch.Tensor, layer: torch.nn.Embedding = layer, head: torch.nn.Linear = head
            ) -> torch.Tensor:
                words = (batch != layer.padding_idx).sum(1, keepdim=True)
                return head(layer(batch).sum(1) / words).squeeze(1)  # padding rows are zero

            for _ in range(EPOCHS):
                loss = torch.nn.functional.binary_cross_entropy_with_logits(forward(padded[train]), labels[train])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                scores.append(float(((score(layer, head, padded[test]) > 0) == labels[test].bool()).float().mean()))
        means.append(100 * statistics.mean(scores))
    return f"{statistics.mean(means):.1f}% ± {statistics.pstdev(means):.1f}"


def main() -> None:
    """Print the coverage of the vectors and both accuracies."""
    texts, labels = reviews()
    vocab = vecload.Vocab.from_texts([" ".join(text) for text in texts], pad="<pad>", unk="<unk>")
    with tempfile.TemporaryDirectory() as folder:
        source = sys.argv[1] if len(sys.argv) > 1 else small_vectors(folder)
        pretrained = vecload.align(source, vocab, oov=["casefold", "digits", "normal"])
    print(pretrained.coverage)
    nothing = vecload.Vectors(vecload.Words.from_strings([]), pretrained.matrix[:0])
    drawn = vecload.align(nothing, vocab, oov=[vecload.oov.normal(0.0, float(pretrained.matrix.std()))])
    print(f"\naccuracy from vectors:     {accuracy(pretrained, texts, labels)}")
    print(f"accuracy from random rows: {accuracy(drawn, texts, labels)}")


if __name__ == "__main__":
    main()
