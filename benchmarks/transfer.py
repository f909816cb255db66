"""Compare the methods of `transfer_embedding`: loss of a language model, sentence vectors, time and memory.

    python benchmarks/transfer.py [--quick] [--only loss|sentences|speed]

- loss: a language model of 1.4 million parameters is trained on docstrings of installed packages, and moved to another
  tokenizer of the same text by every method. Loss per byte of held-out text at the start, and after more training.
- sentences: the table of *wordllama* (32,000 × 256, Llama 2's tokenizer) is moved to a tokenizer that was trained on
  other text. Cosine of pooled sentences with those of the original.
- speed: a table of 128,000 × 2,048 bfloat16 is moved to 100,000 tokens, 40,000 of which are shared. The time of the
  straightforward NumPy version of the same formulas is extrapolated from some of the tokens.
"""

from __future__ import annotations

import ast
import importlib.util
import math
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import torch
from record import ahead, arguments, higher, info, lower, note, row, title, topic
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import vecload
from vecload.layers import token_vectors
from vecload.layers.transfer.auxiliary import token_rows
from vecload.tokenizers.token_alignment import align_tokens
from vecload.tokenizers.token_forms import token_forms

PACKAGES = ("numpy", "scipy", "pandas", "sklearn", "torch")
METHODS = {
    "random: nothing copied": {"method": "normal", "overlap": lambda _source, target: [-1] * len(target)},
    "normal": {"method": "normal"},
    "mean": {"method": "mean"},
    "focus, symbols only": {"method": "focus", "overlap": "symbols"},
    "wechsel": {"method": "wechsel"},
    "omp": {"method": "omp"},
    "subwords": {"method": "subwords"},
    "focus": {"method": "focus"},
}
LENGTH, BATCH = 128, 16


@cache
def docstrings(most: int) -> list[str]:
    """Return docstrings of installed packages, in the order of their files, shuffled."""
    texts: dict[str, None] = {}
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        for file in sorted(Path(spec.origin).parent.rglob("*.py")):
            if "test" in str(file):
                continue
            try:
                tree = ast.parse(file.read_text(encoding="utf-8"))
            except (SyntaxError, UnicodeDecodeError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
                    text = ast.get_docstring(node)
                    if text and len(text) > 200:
                        texts[text] = None
    shuffled = np.random.default_rng(0).permutation(list(texts)).tolist()
    whole, size = [], 0
    for text in shuffled:
        whole.append(text)
        size += len(text)
        if size > most:
            break
    return whole


def byte_level(texts: list[str], size: int) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=size, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
        ),
    )
    return made


def unigram(texts: list[str], size: int) -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.Metaspace(prepend_scheme="never")]
    )
    made.decoder = decoders.Metaspace(prepend_scheme="never")
    trainer = trainers.UnigramTrainer(
        vocab_size=size, unk_token="<unk>", special_tokens=["<unk>", "<|endoftext|>"], show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    return made


def stream(tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    """Return the ids of texts one after the other, with an end after each."""
    end = tokenizer.token_to_id("<|endoftext|>")
    ids = [one for found in tokenizer.encode_batch(texts) for one in (*found.ids, end)]
    return torch.tensor(ids)


def train(model: torch.nn.Module, ids: torch.Tensor, steps: int, rate: float, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.1)
    model.train()
    for _ in range(steps):
        starts = torch.randint(len(ids) - LENGTH - 1, (BATCH,), generator=generator)
        batch = torch.stack([ids[at : at + LENGTH] for at in starts])
        model(batch, labels=batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()


@torch.no_grad()
def loss_of(model: torch.nn.Module, ids: torch.Tensor, size: int) -> tuple[float, float]:
    """Return the loss per token, and in bits per byte of the text, which can be compared between tokenizers."""
    total, count = 0.0, 0
    for batch in ids[: len(ids) // LENGTH * LENGTH].reshape(-1, LENGTH).split(BATCH):
        total += model(batch, labels=batch).loss.item() * batch.numel()
        count += batch.numel()
    return total / count, total / count * len(ids) / size / math.log(2)


def language_model(size: int, dim: int, layers: int) -> torch.nn.Module:
    import transformers

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=size,
        hidden_size=dim,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=3 * dim,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
    )
    return transformers.LlamaForCausalLM(config)


def losses(quick: bool) -> None:
    texts = docstrings(300_000 if quick else 6_000_000)
    held_out, texts = texts[: len(texts) // 20], texts[len(texts) // 20 :]
    size = sum(len(text.encode()) + 1 for text in held_out)
    vocabulary, dim, steps, more = (1000, 64, 100, 30) if quick else (4000, 128, 3000, 300)
    old, new = byte_level(texts, vocabulary), unigram(texts, vocabulary)
    model = language_model(old.get_vocab_size(), dim, 2 if quick else 4)
    ids, here = stream(old, texts), stream(new, texts)
    begin = time.perf_counter()
    train(model, ids, steps, 2e-3)
    count = sum(one.numel() for one in model.parameters())
    before = loss_of(model, stream(old, held_out), size)
    shared = int((align_tokens(token_forms(old), token_forms(new)) >= 0).sum())
    about = (
        f"{count / 1e6:.1f} million parameters, trained for {steps:,} steps in {time.perf_counter() - begin:.0f} s: "
        f"loss {before[0]:.2f} per token, {before[1]:.2f} bits per byte; "
        f"{shared:,} of {new.get_vocab_size():,} tokens shared"
    )
    # The donor is another model, trained with the new tokenizer.
    donor = language_model(new.get_vocab_size(), dim, 2 if quick else 4)
    train(donor, here, steps // 3, 2e-3)
    words = pre_tokenizers.Whitespace()
    lines = [[word for word, _ in words.pre_tokenize_str(text)] for text in texts]
    from gensim.models import FastText

    spoken = vecload.Vectors.from_gensim(
        FastText(lines, vector_size=100, sg=1, min_count=3, epochs=3, bucket=100_000, workers=2, seed=0)
    )
    tokens = token_vectors(texts, new, 100, min_count=3, epochs=3, bucket=100_000, workers=2)
    given = {"focus": {"vectors": tokens}, "wechsel": {"vectors": spoken}, "omp": {"donor": donor}}
    title(
        "loss",
        f"Loss after the move, and after {more:,} more steps",
        "",
        lower("loss at the start", portable=True),
        lower("bits per byte", portable=True),
        lower(f"after {more:,} steps", portable=True),
        lower("bits per byte then", portable=True),
        info("rows made by the method"),
    )
    evaluation = stream(new, held_out)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    for name, options in METHODS.items():
        moved = language_model(old.get_vocab_size(), dim, 2 if quick else 4)
        moved.load_state_dict(state)
        moved.eval()
        made = vecload.transfer_embedding(moved, old, new, **options, **given.get(options["method"], {}))
        start = loss_of(moved, evaluation, size)
        train(moved, here, more, 5e-4)
        end = loss_of(moved, evaluation, size)
        combined = sum(one.types for one in made.coverage.counts if one.origin != "copied")
        row(name, *(f"{value:.2f}" for value in (*start, *end)), f"{combined:,}")
    note(about)


def sentences(quick: bool) -> None:
    from safetensors.torch import load_file

    folder = Path(importlib.util.find_spec("wordllama").origin).parent
    weights = load_file(next(folder.rglob("*_256.safetensors")))
    layer = torch.nn.Embedding.from_pretrained(next(iter(weights.values())).float())
    old = Tokenizer.from_file(str(next(folder.rglob("*_tokenizer_config.json"))))
    old.no_padding()
    old.no_truncation()
    # Llama 2's tokenizer does not cut a text into words first, so its time grows with the square of the length.
    texts = [line for text in docstrings(300_000 if quick else 1_500_000) for line in text.split("\n")]
    new = byte_level(texts, 2000 if quick else 10_000)
    lines = [line.strip() for line in texts if 50 < len(line.strip()) < 300][:2000]

    def pooled(tokenizer: Tokenizer, table: torch.Tensor) -> np.ndarray:
        rows = [
            table[torch.tensor(found.ids)].mean(0) for found in tokenizer.encode_batch(lines, add_special_tokens=False)
        ]
        return torch.nn.functional.normalize(torch.stack(rows).double(), dim=1).numpy()

    original = pooled(old, layer.weight.detach())
    tokens = token_vectors(texts, new, 100, min_count=2, epochs=3, bucket=100_000, workers=2)
    # A donor with the new tokens: the vectors of the tokens themselves.
    forms = token_forms(new)
    found = token_rows(tokens, forms)
    donor = np.zeros((len(forms), 100), dtype=np.float32)
    donor[found.ids] = found.rows
    given = {"focus": {"vectors": tokens}, "omp": {"donor": donor}}
    title(
        "sentences",
        f"Pooled sentences of wordllama's table ({len(lines):,} sentences, {new.get_vocab_size():,} new tokens)",
        "",
        higher("cosine with the original", portable=True),
        higher("correlation of similarities", portable=True),
        info("rows copied"),
    )
    upper = np.triu_indices(len(lines), 1)
    similarities = (original @ original.T)[upper]
    for name, options in METHODS.items():
        if options["method"] == "wechsel":
            spaces = token_vectors(texts, old, 100, min_count=2, epochs=3, bucket=100_000, workers=2)
            old_forms = token_forms(old)
            shared = align_tokens(old_forms, forms).tolist()
            pairs = [(old_forms.tokens[at], forms.tokens[made]) for made, at in enumerate(shared) if at >= 0]
            space = vecload.map_spaces(spaces, tokens, pairs=pairs, method="procrustes")
            given["wechsel"] = {"vectors": tokens, "source_vectors": spaces, "space_map": space}
        moved = vecload.transfer_embedding(layer, old, new, **options, **given.get(options["method"], {}))
        after = pooled(new, moved.layer.weight.detach())
        cosine = float(np.einsum("nd,nd->n", original, after).mean())
        correlation = float(np.corrcoef(similarities, (after @ after.T)[upper])[0, 1])
        row(name, f"{cosine:.3f}", f"{correlation:.3f}", f"{moved.coverage.found:.1%}")


SPEED = """
import json, sys, time
import numpy as np, torch, vecload
from tokenizers import Tokenizer, models
method, source, target, shared, dim, new = sys.argv[1], *map(int, sys.argv[2:])

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024

def tokenizer(words):
    return Tokenizer(models.WordLevel({word: row for row, word in enumerate(words)}, unk_token=words[0]))

old = tokenizer([f"s{row}" for row in range(source)])
names = [f"s{row}" for row in range(shared)] + [f"t{row}" for row in range(target - shared)]
fresh = tokenizer(names)
rng = np.random.default_rng(0)
def vectors(words, size=300):
    rows = rng.standard_normal((len(words), size), dtype=np.float32) + rng.standard_normal(size, dtype=np.float32)
    return vecload.Vectors(words, rows)
given = {}
if method == "focus":
    given["vectors"] = vectors(names)
elif method == "wechsel":
    given["vectors"] = vectors(names + [f"s{row}" for row in range(shared, source)])
elif method == "omp":
    given["donor"] = torch.from_numpy(rng.standard_normal((target, dim), dtype=np.float32)).bfloat16()
layer = torch.nn.Embedding(source, dim, dtype=torch.bfloat16)
torch.nn.init.normal_(layer.weight)
# Compile the kernels first.
small = torch.nn.Embedding(3, 2), tokenizer(["a", "b", "c"]), tokenizer(["a", "b", "d"])
vecload.transfer_embedding(*small, "omp", donor=torch.eye(3))
vecload.transfer_embedding(*small, "focus", vectors=vectors(["a", "b", "d"], 2))
before = peak()
begin = time.perf_counter()
moved = vecload.transfer_embedding(layer, old, fresh, method=method, **given)
print(json.dumps([time.perf_counter() - begin, peak() - before, str(moved.coverage)]))
"""


def unit_rows(rng: np.random.Generator, count: int) -> np.ndarray:
    rows = rng.standard_normal((count, 300), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def numpy_focus(new: int, shared: int, dim: int, sample: int) -> float:
    """Return the seconds of FOCUS by the formulas, for all tokens, from the time of a sample."""
    rng = np.random.default_rng(0)
    anchors, asked = unit_rows(rng, shared), unit_rows(rng, sample)
    table = rng.standard_normal((shared, dim), dtype=np.float32)
    begin = time.perf_counter()
    scores = asked @ anchors.T
    best = -np.sort(-scores, axis=1)
    sums = np.cumsum(best, axis=1)
    sizes = (1 + np.arange(1, shared + 1) * best > sums).sum(axis=1)
    tau = (sums[np.arange(sample), sizes - 1] - 1) / sizes
    _ = np.maximum(scores - tau[:, None], 0) @ table
    return (time.perf_counter() - begin) / sample * new


def numpy_wechsel(new: int, source: int, dim: int, sample: int) -> float:
    rng = np.random.default_rng(0)
    anchors, asked = unit_rows(rng, source), unit_rows(rng, sample)
    table = rng.standard_normal((source, dim), dtype=np.float32)
    begin = time.perf_counter()
    scores = asked @ anchors.T
    best = np.argsort(-scores, axis=1)[:, :10]
    weights = np.exp(np.take_along_axis(scores, best, 1) / 0.1)
    weights /= weights.sum(axis=1, keepdims=True)
    _ = np.einsum("qk,qkd->qd", weights, table[best])
    return (time.perf_counter() - begin) / sample * new


def numpy_omp(new: int, shared: int, dim: int, k: int, sample: int) -> float:
    rng = np.random.default_rng(0)
    atoms = rng.standard_normal((shared, dim), dtype=np.float32)
    begin = time.perf_counter()
    for _ in range(sample):
        vector = rng.standard_normal(dim, dtype=np.float32)
        residual, support = vector, []
        for _ in range(k):
            support.append(int(np.argmax(np.abs(atoms @ residual))))
            found = np.linalg.lstsq(atoms[support].T, vector, rcond=None)[0]
            residual = vector - found @ atoms[support]
    return (time.perf_counter() - begin) / sample * new


def speed(quick: bool) -> None:
    import json

    part, dim = (20, 256) if quick else (1, 2048)
    source, target, shared = 128_000 // part, 100_000 // part, 40_000 // part
    new = target - shared
    omp_new, omp_shared = 10_000 // part, 16_000 // part
    title(
        "speed",
        f"A table of {source:,} × {dim:,} bfloat16 ({source * dim * 2 / 1e9:.2f} GB)",
        *("", "tokens", lower("seconds"), lower("peak above the model, MB")),
        *(info("NumPy, seconds"), ahead("NumPy / vecload")),
    )
    cases = {
        "focus": ((source, target, shared), lambda: numpy_focus(new, shared, dim, 200)),
        "wechsel": ((source, target, shared), lambda: numpy_wechsel(new, source, dim, 100)),
        "subwords": ((source, target, shared), None),
        "omp": (
            (source, omp_new + omp_shared, omp_shared),
            lambda: numpy_omp(omp_new, omp_shared, dim, 64, 2),
        ),
    }
    for method, (sizes, slow) in cases.items():
        command = [sys.executable, "-c", SPEED, method, *map(str, sizes), str(dim), "0"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, peak, _ = json.loads(done.stdout.splitlines()[-1])
        other = None if slow is None else slow()
        row(
            method,
            f"{sizes[1] - sizes[2]:,} of {sizes[1]:,}",
            f"{seconds:.1f}",
            f"{peak / 1e6:,.0f}",
            "" if other is None else f"{other:,.0f}",
            "" if other is None else f"{other / seconds:.1f}",
        )


def main() -> None:
    measures = {"loss": losses, "sentences": sentences, "speed": speed}
    chosen = arguments(__doc__, tuple(measures), "small models and tables")
    with topic("transfer", chosen, "vecload", "numpy", "torch", "transformers", "tokenizers", "gensim"):
        for name in chosen.only:
            measures[name](chosen.quick)


if __name__ == "__main__":
    main()
