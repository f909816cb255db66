"""Move a tiny English language model to Japanese text: a new tokenizer, new rows, and some more training.

    python examples/new_language.py

Without a download: the English text is the Lee corpus that is part of gensim, and the Japanese text is the Japanese
pages of vecload's documentation. The model and both tokenizers are trained here.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from gensim.test.utils import datapath
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import vecload
from vecload.layers import token_vectors

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("getting-started", "glossary", "one-hot-and-embedding")
LENGTH, BATCH = 64, 16
STEPS, MORE = 300, 60


def tokenizer_of(texts: list[str], size: int) -> Tokenizer:
    """Train a byte-level tokenizer."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    )
    return made


def ids_of(tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    """Return the ids of texts, one after the other."""
    return torch.tensor([one for found in tokenizer.encode_batch(texts) for one in found.ids])


def train(model: torch.nn.Module, ids: torch.Tensor, steps: int) -> None:
    """Train a model on random passages."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        starts = torch.randint(len(ids) - LENGTH, (BATCH,), generator=generator)
        batch = torch.stack([ids[at : at + LENGTH] for at in starts])
        model(batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


@torch.no_grad()
def loss_of(model: torch.nn.Module, ids: torch.Tensor) -> float:
    """Return the mean loss per token."""
    batch = ids[: len(ids) // LENGTH * LENGTH].reshape(-1, LENGTH)
    return model(batch, labels=batch).loss.item()


def main() -> None:
    """Run the example."""
    from transformers import LlamaConfig, LlamaForCausalLM

    english = Path(datapath("lee_background.cor")).read_text(encoding="utf-8").split("\n")
    pages = [(DOCS / f"{name}.ja.md").read_text("utf-8") for name in PAGES]
    japanese = [line for page in pages for line in page.split("\n") if line]
    held_out, japanese = japanese[::10], [line for at, line in enumerate(japanese) if at % 10]
    old, new = tokenizer_of(english, 2000), tokenizer_of(japanese, 1000)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=2000,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=192,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    ids = ids_of(old, english)
    train(model, ids, STEPS)
    print(f"English model: 2,000 tokens, loss {loss_of(model, ids[:20_000]):.2f}")
    sizes = [len(ids_of(tokenizer, held_out)) for tokenizer in (old, new)]
    print(f"Japanese text: {sizes[0]:,} tokens by the English tokenizer, {sizes[1]:,} by a Japanese one")
    torch.manual_seed(0)
    config.vocab_size = 1000
    scratch = LlamaForCausalLM(config)
    start = loss_of(scratch, ids_of(new, held_out))
    train(scratch, ids_of(new, japanese), MORE)
    print(f"a new model: loss {start:.2f}, after {MORE} steps {loss_of(scratch, ids_of(new, held_out)):.2f}")

    # Vectors of the Japanese tokens, for FOCUS.
    vectors = token_vectors(japanese, new, dim=50, min_count=1, epochs=20, bucket=20_000)
    for method, given in (("normal", {}), ("subwords", {}), ("focus", {"vectors": vectors})):
        moved = copy.deepcopy(model)
        result = vecload.transfer_embedding(moved, old, new, method, **given)
        start = loss_of(moved, ids_of(new, held_out))
        train(moved, ids_of(new, japanese), MORE)
        end = loss_of(moved, ids_of(new, held_out))
        made = {count.origin: count.types for count in result.coverage.counts if count.origin != "copied"}
        kinds = ", ".join(f"{count} {origin}" for origin, count in made.items())
        print(f"{method}: {kinds}; loss {start:.2f}, after {MORE} steps {end:.2f}")
    print(result.coverage)


if __name__ == "__main__":
    main()
