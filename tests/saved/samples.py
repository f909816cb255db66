"""Small valid files of every kind that only vecload writes, and functions that change one thing in them."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import vecload
import vecload.errors
from tests.builders import random_rows, small_vectors
from vecload import Vectors, Vocab
from vecload.formats import History
from vecload.ngrams import NgramTable, QuantizedRows
from vecload.pooling import SentencePooler, sif
from vecload.saved import Schema, Setting, parse_safetensors, write_safetensors
from vecload.saved.schemas import (
    ALIGNED,
    DENSE_NGRAMS,
    META,
    NATIVE,
    POOLER,
    POOLER_MODE,
    POOLER_STATE,
    POOLER_TOKENIZER,
    QUANTIZED_NGRAMS,
    SPACE_MAP,
    VOCAB,
)

WORDS = ["cat", "dog", "cow", "北", "\udcff", "a-b"]


def table(*, pruned: bool = False) -> NgramTable:
    kept = np.array([[1, 0], [7, 19]], dtype=np.int32) if pruned else None
    rows = random_rows(20, 4, seed=1)
    return NgramTable(rows, minn=2, maxn=4, kept=kept, bucket=100 if pruned else 20)


def quantized_table() -> NgramTable:
    draws = np.random.default_rng(2)
    codes, norms = draws.integers(0, 256, (20, 2)).astype(np.uint8), draws.integers(0, 256, 20).astype(np.uint8)
    centroids, lengths = draws.normal(size=1024).astype(np.float32), draws.normal(size=256).astype(np.float32)
    kept = np.array([[1, 0], [7, 19]], dtype=np.int32)
    return NgramTable(QuantizedRows(codes, centroids, 3, norms, lengths), minn=2, maxn=4, kept=kept, bucket=100)


def vectors(ngrams: NgramTable | None = None) -> Vectors:
    history = History({"model": "cbow"}, ("x",), transforms=({"step": "unit"},), attr="ORTH")
    plain = small_vectors(WORDS, 4, ngrams=ngrams)
    return Vectors(plain.words, plain.matrix, ngrams=ngrams, history=history)


def vocab() -> Vocab:
    return Vocab.from_counter({"cat": 3, "x": 2}, specials=["<pad>", "<unk>"])


def space_map() -> vecload.SpaceMap:
    pairs = [(word, word) for word in WORDS]
    return vecload.map_spaces(vectors(), vectors(), pairs=pairs, method="vecmap", normalize=("unit", "center", "unit"))


def pooler() -> SentencePooler:
    made = SentencePooler(vectors(), sif(components=1))
    return made.fit(["cat dog", "dog cow", "cow cat cat", "北 cow"])


@dataclass(frozen=True)
class Sample:
    """Kind of file: functions to write, open and use it, and the location of its tensors and settings."""

    save: Callable[[Path], None]
    """Write the value to a path, which becomes a folder for a pooler."""
    use: Callable[[Path], object]
    """Open the file and use the result."""
    schema: Schema
    prefix: str = ""
    """Prefix of the schema's tensors in the file."""
    file: str = ""
    """Name of the file in the folder."""
    key: str = "vecload"
    """Entry of the metadata with the settings; for JSON files, the path of keys to them."""
    settings: Mapping[str, Setting] | None = None
    """Settings, if they differ from the schema."""

    @property
    def json(self) -> bool:
        return self.file.endswith(".json") or self.schema is VOCAB

    @property
    def wanted(self) -> Mapping[str, Setting]:
        return self.schema.settings if self.settings is None else self.settings


def use_vectors(opened: Vectors) -> None:
    words = list(opened)
    opened.words.lookup([f"w{at}" for at in range(100)])
    opened.neighbors(words[0], 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vecload.errors.VecloadWarning)  # damage may remove the word
        vecload.align(opened, ["cat", "new"], oov=["casefold", "normal"])
    if opened.ngrams is not None:
        opened.ngrams.vectors(["", "x" * 500, "\udcff", "北海道", "</s>"])
        opened.ngrams.counts(["cat"])


def use_map(opened: vecload.SpaceMap) -> None:
    opened.apply(vectors())
    opened.apply_target(vectors())
    opened.inverse().apply(vectors())
    repr(opened)


SAMPLES: dict[str, Sample] = {
    "native": Sample(
        lambda path: vectors().save(path, "native"),
        lambda path: use_vectors(vecload.load(path)),
        NATIVE,
        key="meta",
        settings=META,
    ),
    "native with n-grams": Sample(
        lambda path: vectors(table()).save(path, "native"),
        lambda path: use_vectors(vecload.load(path)),
        DENSE_NGRAMS,
        prefix="ngrams.",
        key="ngrams",
    ),
    "native with pruned n-grams": Sample(
        lambda path: vectors(table(pruned=True)).save(path, "native"),
        lambda path: use_vectors(vecload.load(path)),
        DENSE_NGRAMS,
        prefix="ngrams.",
        key="ngrams",
    ),
    "native with quantized n-grams": Sample(
        lambda path: vectors(quantized_table()).save(path, "native"),
        lambda path: use_vectors(vecload.load(path)),
        QUANTIZED_NGRAMS,
        prefix="ngrams.",
        key="ngrams",
    ),
    "Aligned": Sample(
        lambda path: vecload.align(vectors(), vocab(), oov=["casefold", "normal"]).save(path),
        lambda path: str(vecload.Aligned.load(path).coverage) + repr(vecload.Aligned.load(path).new),
        ALIGNED,
    ),
    "SpaceMap": Sample(
        lambda path: space_map().save(path), lambda path: use_map(vecload.SpaceMap.load(path)), SPACE_MAP
    ),
    "Vocab": Sample(
        lambda path: vocab().save(path),
        lambda path: vecload.Vocab.load(path).encode(["cat", "other"]),
        VOCAB,
        key="",
    ),
    **{
        f"pooler {name}": Sample(
            lambda path: pooler().save(path),
            lambda path: SentencePooler.load(path).encode(["the cat and the dog", ""]),
            schema,
            file=file,
            key=key,
            settings=settings,
        )
        for name, schema, file, key, settings in (
            ("settings", POOLER, "pooler.json", "", None),
            ("mode", POOLER, "pooler.json", "mode", POOLER_MODE),
            ("tokenizer", POOLER, "pooler.json", "tokenizer", POOLER_TOKENIZER),
            ("state", POOLER_STATE, "state.safetensors", "", {}),
        )
    },
}


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def place(name: str, folder: Path) -> Path:
    """Return a path in a folder with the suffix of a kind."""
    sample = SAMPLES[name]
    return folder / ("saved" + ("" if sample.file else ".json" if sample.json else ".safetensors"))


def write(name: str, path: Path) -> Sample:
    """Write the sample of a name; it is created once and then copied."""
    made = place(name, Path(_folder().name, name))
    made.parent.mkdir(exist_ok=True)
    if not made.exists():
        SAMPLES[name].save(made)
    if made.is_dir():
        shutil.copytree(made, path)
    else:
        shutil.copyfile(made, path)
    return SAMPLES[name]


def change(
    sample: Sample,
    path: Path,
    *,
    tensors: Callable[[dict[str, Any]], object] = lambda _tensors: None,
    settings: Callable[[dict[str, Any]], object] = lambda _settings: None,
) -> None:
    """Rewrite the sample's file with changed tensors (names without prefix) or settings."""
    file = path / sample.file if sample.file else path
    if sample.json:
        whole = json.loads(file.read_text())
        settings(whole[sample.key] if sample.key else whole)
        file.write_text(json.dumps(whole))
        return
    container = parse_safetensors(np.fromfile(file, dtype=np.uint8), str(file))
    mine = {name.removeprefix(sample.prefix): array for name, array in container.arrays.items()}
    others: dict[str, Any] = {}
    if sample.prefix:
        others = {name: array for name, array in container.arrays.items() if not name.startswith(sample.prefix)}
        mine = {name: array for name, array in mine.items() if name not in others}
    tensors(mine)
    metadata = dict(container.metadata)
    if sample.key:
        kept = json.loads(metadata[sample.key])
        settings(kept)
        metadata[sample.key] = json.dumps(kept)
    with file.open("wb") as opened:
        write_safetensors(opened, {**others, **{sample.prefix + name: array for name, array in mine.items()}}, metadata)
