"""Contents of the golden files, and the calls that write and read them.

All values are multiples of 1/64, which every type of floats and every text holds exactly, so files can be compared bit
for bit on every system.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import vecload
from tests.formats.battery import cases
from vecload import Aligned, SentencePooler, SpaceMap, Vectors, Vocab
from vecload.formats import all_formats

FOLDER = Path(__file__).parent / "data"
MANIFEST = FOLDER / "manifest.json"
WORDS = ["the", "cat", "北海道", "naïve", "😀", "New York", "x" * 40]
DIM = 5
SINGLE = ("glove", "word2vec text", "word2vec binary", "fastText", "sentence-transformers", "model2vec", "npy")
"""Formats that end a word at a space."""


def values(count: int, seed: int = 0, dim: int = DIM) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).integers(-200, 200, (count, dim)).astype(np.float32) / 64


def words_of(name: str) -> list[str]:
    """Return words that a format can store."""
    return [word for word in WORDS if name not in SINGLE or " " not in word]


def vectors_of(name: str) -> Vectors:
    stated = {"license": "CC0-1.0", "source": "https://example.org/vectors"} if name == "native" else None
    return Vectors(words_of(name), values(len(words_of(name))), stated)


def ngrams(kind: str) -> vecload.NgramTable:
    options = {"hash_count": 2, "seed": 7} if kind == "floret" else {}
    return vecload.NgramTable(values(40, seed=1), minn=2, maxn=4, kind=kind, **options)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Golden:
    """A golden file: the calls that write and read it, and its contents.

    `read` returns arrays, strings and lists, all of which are compared.
    """

    path: str
    write: Callable[[Path], object]
    read: Callable[[Path], dict[str, Any]]
    expected: Callable[[], dict[str, Any]]
    rounding: float = 0
    """Largest difference: fastText's files have the sums that vectors are computed from."""


def table(vectors: Vectors) -> dict[str, Any]:
    found: dict[str, Any] = {"words": list(vectors.words), "matrix": vectors.matrix}
    if vectors.ngrams is not None and vectors.ngrams.rows.shape[0] > 1:
        found["unseen"] = vectors.ngrams.vectors(["unseen", "猫"])
    return found


def formats() -> Iterator[Golden]:
    for name in cases(all_formats()):
        made = vectors_of(name)
        yield Golden(
            name.replace(" ", "-"),
            lambda path, made=made, name=name: made.save(path, name),
            lambda path, name=name: table(vecload.load(path, format=name)),
            lambda made=made: table(made),
            rounding=1e-6 if name == "fastText" else 0,
        )


def subwords() -> Iterator[Golden]:
    for name, kind in (("fastText", "fasttext"), ("floret", "floret"), ("native", "fasttext"), ("native", "floret")):
        words = [] if name == "floret" else words_of(name)
        made = Vectors(words, values(len(words)), ngrams=ngrams(kind))
        yield Golden(
            f"{name}-with-{kind}-n-grams",
            lambda path, made=made, name=name: made.save(path, name),
            lambda path, name=name: table(vecload.load(path, format=name)),
            lambda made=made: table(made),
            rounding=1e-6 if name == "fastText" else 0,
        )


def others() -> Iterator[Golden]:
    shared = Vectors(WORDS[:4], values(2), row_ids=[0, 1, 1, 0])
    yield Golden(
        "native-with-shared-rows",
        lambda path: shared.save(path, "native"),
        lambda path: {**table(vecload.load(path)), "rows": vecload.load(path).unique_rows},
        lambda: {**table(shared), "rows": shared.unique_rows},
    )
    vocab = Vocab.from_texts(["the cat unknown"], specials=["<pad>", "<unk>"])
    yield Golden("vocabulary.json", vocab.save, lambda path: entries(Vocab.load(path)), lambda: entries(vocab))
    aligned = vecload.align(vectors_of("native"), vocab, oov=["zeros"])
    yield Golden(
        "aligned.safetensors",
        aligned.save,
        lambda path: {"words": list(Aligned.load(path).vocab), "matrix": Aligned.load(path).matrix},
        lambda: {"words": list(aligned.vocab), "matrix": aligned.matrix},
    )
    texts = ["the cat", "naïve 😀 unknown", ""]
    pooler = SentencePooler(vectors_of("native"), "max")
    yield Golden(
        "pooler",
        pooler.save,
        lambda path: {"encoded": np.asarray(SentencePooler.load(path).encode(texts))},
        lambda: {"encoded": np.asarray(pooler.encode(texts))},
    )
    made = vectors_of("native")
    learned = vecload.map_spaces(made, made, pairs=[(word, word) for word in WORDS], method="procrustes", normalize=())
    # The learned matrix differs from system to system in its last bits.
    space = dataclasses.replace(learned, matrix=np.eye(DIM)[::-1].copy())
    yield Golden(
        "map.safetensors",
        space.save,
        lambda path: {"mapped": SpaceMap.load(path).apply(vectors_of("native")).matrix},
        lambda: {"mapped": values(len(WORDS))[:, ::-1]},
    )


def entries(vocab: Vocab) -> dict[str, Any]:
    special = {"unknown": vocab.unk_token, "padding": vocab.pad_token, "special": vocab.specials}
    return {"words": list(vocab), "counts": vocab.counts, **special}


def golden_files() -> dict[str, Golden]:
    return {one.path: one for one in (*formats(), *subwords(), *others())}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of all names and files of a folder."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    whole = hashlib.sha256()
    for file in sorted(one for one in path.rglob("*") if one.is_file()):
        whole.update(f"{file.relative_to(path).as_posix()}\0{digest(file)}\n".encode())
    return whole.hexdigest()


def manifest() -> list[dict[str, str]]:
    """Return the entries of all golden files: path, version of vecload that wrote it, and SHA-256."""
    found: list[dict[str, str]] = json.loads(MANIFEST.read_text(encoding="utf-8")) if MANIFEST.exists() else []
    return found
