"""Start a model of genes from vectors of genes: an index of its own, synonyms, frozen and new rows.

    python examples/gene_vectors.py [VECTORS [ALIASES]]

VECTORS is any file of vectors whose words are gene symbols, and ALIASES a file of two columns: a symbol, and its name
in VECTORS. Without them, the example makes vectors of 200 genes that belong to one of four pathways. A small classifier
learns the pathway of a gene from its vector. Its index has older symbols and genes without a vector, too. Known rows
are frozen, and the rows of new genes are trained.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

import vecload

PATHWAYS = 4
GENES = [f"GENE{number}" for number in range(200)]
OLD_SYMBOLS = {f"OLD{number}": f"GENE{number}" for number in range(0, 200, 10)}
NEW_GENES = [f"NOVEL{number}" for number in range(8)]


def main() -> None:
    """Run the example."""
    if sys.argv[1:]:
        source, *aliases = sys.argv[1:]
        index = list(vecload.load(source, limit=100).words)
        show(
            vecload.align(
                source, vecload.Vocab.from_words(index), oov=[*(f"aliases:{one}" for one in aliases), "normal"]
            )
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        source, aliases = Path(folder) / "genes.parquet", Path(folder) / "aliases.tsv"
        make_vectors().save(source)
        aliases.write_text("".join(f"{old}\t{new}\n" for old, new in OLD_SYMBOLS.items()), encoding="utf-8")
        # The index of the model: padding first, then genes in its own order, some of them under older symbols.
        current = [gene for gene in reversed(GENES) if gene not in OLD_SYMBOLS.values()]
        vocab = vecload.Vocab.from_words(["<pad>", *NEW_GENES, *OLD_SYMBOLS, *current], pad_token="<pad>")
        aligned = vecload.align(source, vocab, oov=[f"aliases:{aliases}", "normal"])
        show(aligned)
        train(aligned)


def make_vectors() -> vecload.Vectors:
    """Return vectors of genes around the center of their pathway, float32, shape (200, 16)."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(PATHWAYS, 16))
    rows = centers[np.arange(len(GENES)) % PATHWAYS] + 0.3 * rng.normal(size=(len(GENES), 16))
    return vecload.Vectors(GENES, rows.astype("float32"))


def show(aligned: vecload.Aligned) -> None:
    """Print where the rows are from."""
    print(aligned.coverage)


def train(aligned: vecload.Aligned) -> None:
    """Train a classifier of pathways on top of the rows, and print the result."""
    torch.manual_seed(0)
    layer = aligned.embedding(mode="new-rows")
    model = torch.nn.Sequential(layer, torch.nn.Linear(layer.embedding_dim, PATHWAYS))
    words = list(aligned.vocab)
    labels = torch.tensor([int("".join(filter(str.isdigit, word)) or 0) % PATHWAYS for word in words])
    numbers = torch.arange(1, len(words))  # without padding
    before = layer.weight.detach().clone()
    optimizer = torch.optim.Adam([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.05)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(model(numbers), labels[numbers])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = int((model(numbers).argmax(dim=1) == labels[numbers]).sum())
    changed = (layer.weight.detach() != before).any(dim=1)
    print(f"{right} of {len(numbers)} genes have the right pathway")
    print(f"{int(changed.sum())} rows were trained: {', '.join(words[at] for at in changed.nonzero().flatten())}")


if __name__ == "__main__":
    main()
