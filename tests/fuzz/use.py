"""Read an input as a user would, and use the loaded value: some call follows every table that a file contains.

Errors of vecload are expected and end the use; `children` judges all others.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

import vecload
from tests.fuzz import oracles
from tests.fuzz.children import Stage
from tests.fuzz.inputs import Input
from vecload import Vectors

ODD = ["", " ", "cat", "北海道", "\u0301", "x" * 300, "🙂" * 20, "<>", "</s>", "\udcff\udc80", "\0", "w5w7", "a\u00a0b"]
"""Strings to look up: known, unknown, empty, long, and not valid UTF-8."""
TEXTS = ["the cat", "", "unknown words only", "北海道 é cat", "x" * 200]

_ROWS = 2000  # rows of a table that are read one by one


def use(path: Path, given: Input, stage: Stage) -> None:
    """Read an input with its reader, use the loaded value, and compare it with other readers."""
    loaded = _USES.get(given.reader, _vectors)(path, given)
    stage("loaded")
    if isinstance(loaded, Vectors):
        oracle = oracles.ORACLES.get(given.reader)
        if oracle is not None:
            stage("compared")
            oracle(path, given, loaded)


def _vectors(path: Path, given: Input) -> Vectors:
    # The contents determine the additional calls, so that an input always gets the same ones.
    choice = zlib.crc32(b"".join(given.files.values()))
    with contextlib.suppress(vecload.VecloadError):
        str(vecload.info(path))
    if choice % 7 == 0:
        with contextlib.suppress(vecload.VecloadError):
            vecload.load(path, vocab=[*ODD, "the", "dog"], limit=5, dtype="float16", errors="skip")
    if choice % 11 == 0:
        with contextlib.suppress(vecload.VecloadError):
            vecload.load(path, allow_nonfinite=True, errors="skip", prefix="w")
    if choice % 13 == 0:
        with contextlib.suppress(vecload.VecloadError):
            vecload.convert(path, path.parent / "converted.vec")
    if choice % 5 == 0 and path.is_file():
        with contextlib.suppress(vecload.VecloadError):
            vecload.load(io.BytesIO(path.read_bytes()), errors="skip", allow_nonfinite=True)
    vectors = vecload.load(path)
    use_vectors(vectors, path.parent / "elsewhere")
    return vectors


def use_vectors(vectors: Vectors, folder: Path) -> None:
    """Look words up, search, compose, align, pool and save."""
    folder.mkdir(exist_ok=True)
    words = list(vectors.words)[:_ROWS]
    for word in [*words[:3], *words[-1:]]:
        vectors.get(word)  # a changed hash table may not find the word
    for word in ODD:
        vectors.get(word)
    vectors.words.lookup([*ODD, *words])
    rows = np.asarray(vectors.matrix[:_ROWS], dtype=np.float64)
    repr(vectors), rows.sum(), dict(vectors.meta)
    _each(
        lambda: vectors.neighbors(words[:2], 3),
        lambda: _compose(vectors),
        lambda: vecload.align(vectors, ["cat", "zebra", *words[:3]], oov=_chain(vectors)).save(
            folder / "b.safetensors"
        ),
        lambda: vecload.SentencePooler(vectors).encode([*TEXTS, " ".join(words[:20])]),
        lambda: _save(vectors, folder),
    )


def _each(*calls: Callable[[], object]) -> None:
    """Make every call, even if an earlier one raised an error."""
    for call in calls:
        with contextlib.suppress(vecload.VecloadError):
            call()


def _compose(vectors: Vectors) -> None:
    if vectors.ngrams is not None:
        asked = [word for word in ODD if "\udcff" not in word]
        vectors.ngrams.vectors(asked)
        vectors.ngrams.counts(asked)
        vectors.ngrams.ngrams("cat")
        vectors.ngrams.vectors([*vectors.words[:5]])


def _chain(vectors: Vectors) -> list[str]:
    return ["casefold", "ngrams", "normal"] if vectors.ngrams is not None else ["casefold", "normal"]


def _save(vectors: Vectors, folder: Path) -> None:
    for form, name in (("native", "a.safetensors"), ("word2vec text", "a.vec"), ("gensim", "a.kv")):
        with contextlib.suppress(vecload.VecloadError):
            vectors.save(folder / name, form)
            again = vecload.load(folder / name, allow_nonfinite=True)
            unique = len(set(vectors)) == len(vectors)  # else only the first row of each word is read
            assert again.words == vectors.words or not unique, f"{form} changes words"


def _vocab(path: Path, given: Input) -> None:
    vocab = vecload.Vocab.load(path)
    [vocab[word] for word in list(vocab)[:50]]
    repr(vocab)
    _each(
        lambda: vocab.encode(["the", "cat", "北海道", ""]),
        lambda: vecload.align(vectors_of("the cat"), vocab),
        lambda: vocab.save(path.with_name("again.json")),
    )


def vectors_of(text: str) -> Vectors:
    """Return small vectors of the words of a text."""
    words = text.split()
    return Vectors(vecload.Words.from_strings(words), np.eye(len(words), 4, dtype=np.float32))


def _pairs(path: Path, given: Input) -> None:
    vecload.evaluate(vectors_of("the cat dog a b c d e f g h"), [path])


def _dictionary(path: Path, given: Input) -> None:
    source = vectors_of("the cat dog of w5")
    vecload.map_spaces(source, source, pairs=path).apply(source)


def _texts(path: Path, given: Input) -> None:
    from vecload.text_input.texts import read_texts

    texts = list(read_texts(path))
    vecload.SentencePooler(vectors_of("the cat dog of")).encode(texts[:_ROWS])


def _aligned(path: Path, given: Input) -> None:
    aligned = vecload.Aligned.load(path)
    aligned.matrix.sum(), repr(aligned), str(aligned.coverage), list(aligned.vocab)[:50]
    _each(
        aligned.embedding,
        lambda: aligned.embedding(mode="new-rows"),
        lambda: aligned.pooler().encode(TEXTS),
        lambda: aligned.save(path.with_name("again.safetensors")),
    )


def _spacemap(path: Path, given: Input) -> None:
    space = vecload.SpaceMap.load(path)
    repr(space)
    vectors = vectors_of("the cat dog of")
    _each(
        lambda: space.apply(vectors),
        lambda: space.inverse().apply(vectors),
        lambda: space.save(path.with_name("again.safetensors")),
    )


def _pooler(path: Path, given: Input) -> None:
    pooler = vecload.SentencePooler.load(path)
    repr(pooler)
    _each(
        lambda: pooler.encode(TEXTS),
        lambda: pooler.save(path.with_name("again")),
    )


BROKEN = ("crash", "hang", "memory", "raise", "fine")
"""Functions that violate a guarantee, to test the limits."""


def break_promise(path: Path, given: Input, stage: Stage) -> None:
    """Violate the guarantee that the contents of the file name."""
    how = path.read_text(encoding="ascii")
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while how == "hang":
        pass
    if how == "memory":
        np.ones(1 << 27, dtype=np.uint8).sum()
    if how == "raise":
        {}["header"]


_USES: dict[str, Callable[[Path, Input], object]] = {
    "Vocab": _vocab,
    "word pairs": _pairs,
    "dictionary": _dictionary,
    "texts": _texts,
    "Aligned": _aligned,
    "SpaceMap": _spacemap,
    "pooler": _pooler,
}
