"""What every format that is written has to stand: the same checks for all, each told only the format's name."""

from __future__ import annotations

import bz2
import gzip
import io
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.formats.tables import same
from vecload import Vectors, Words
from vecload.errors import FormatError


@dataclass(frozen=True)
class Case:
    """A format, and what it promises."""

    name: str
    raw: bool = True
    """Whether it holds words that are not UTF-8."""
    exact: bool = True
    """Whether a file that misses a part of its vectors is told from a whole one, wherever it is cut."""
    folder: bool = False
    """Whether what it writes is a folder."""

    def write(self, vectors: Vectors, folder: Path, **options: object) -> Path:
        path = folder / f"vectors.{self.name.replace(' ', '-')}"
        if path.is_dir():
            shutil.rmtree(path)
        vectors.save(path, self.name, **options)  # type: ignore[arg-type]
        return path


class Pipe:
    """Bytes that come once, a few at a time."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, count: int = -1) -> bytes:
        return self.file.read(min(count, 1000))


def loaded(case: Case, source: object) -> Vectors:
    return vecload.load(source, format=case.name)  # type: ignore[arg-type]


def check_round_trip(case: Case, vectors: Vectors, folder: Path) -> None:
    """Words byte for byte, float32 bit for bit, whichever way the file comes."""
    path = case.write(vectors, folder)
    again = loaded(case, path)
    assert same(again, vectors)
    assert all(again.words.index(word) == at for at, word in enumerate(vectors.words))


def check_every_way_in(case: Case, vectors: Vectors, folder: Path) -> None:
    """The same from a path, told by its bytes alone; from an open file, a pipe, compressed, in an archive."""
    path = case.write(vectors, folder)
    data = path.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", data)
    (folder / "packed").write_bytes(gzip.compress(data))
    ways = [
        path,
        folder / "packed",
        io.BytesIO(data),
        Pipe(data),
        io.BytesIO(bz2.compress(data)),
        io.BytesIO(packed.getvalue()),
    ]
    for way in ways:
        again = vecload.load(way)  # type: ignore[arg-type]
        assert same(again, vectors), way
    wanted = list(vectors.words)[::3]
    assert list(vecload.load(path, vocab=[*wanted, "absent"]).words) == wanted
    assert list(vecload.load(path, limit=4).words) == list(vectors.words)[:4]
    half = vecload.load(path, dtype="float16")
    assert same(half, Vectors(vectors.words, vectors.matrix.astype(np.float16)))
    look = vecload.info(path)
    assert (look.rows, look.dim, look.words[0]) == (len(vectors), vectors.dim, vectors.words[0])
    check_overflow(case, folder)


def check_overflow(case: Case, folder: Path) -> None:
    """A value that the type asked for cannot hold is refused, or its row left out and counted: never infinity."""
    large = np.array([[1, 2], [7e4, 1], [3, 4]], dtype=np.float32)
    path = case.write(Vectors(Words.from_strings(["a", "b", "c"]), large), folder)
    with pytest.raises(FormatError, match="not finite in float16"):
        vecload.load(path, dtype="float16")
    kept = vecload.load(path, dtype="float16", errors="skip")
    assert (list(kept.words), sum(kept.meta["skipped"].values())) == (["a", "c"], 1)
    assert np.array_equal(kept.matrix, large[[0, 2]])


def check_cuts(case: Case, vectors: Vectors, folder: Path) -> None:
    """A file cut at any byte is refused by an error of the house, and is never shorter without a word."""
    data = case.write(vectors, folder).read_bytes()
    assert loaded(case, io.BytesIO(data)).words == vectors.words
    for cut in range(len(data)):
        try:
            short = vecload.load(io.BytesIO(data[:cut]), format=case.name, strict=True)
        except FormatError:
            continue
        if case.exact:  # what was cut off was no part of the vectors
            assert same(short, vectors), f"cut at {cut} of {len(data)}"
        assert len(short) <= len(vectors)


def check_small(case: Case, folder: Path) -> None:
    """One row of one value; and no row at all is read as it was written or refused, on writing or on reading."""
    one = Vectors(Words.from_strings(["a"]), np.array([[0.5]], dtype=np.float32))
    check_round_trip(case, one, folder)
    none = Vectors(Words.from_strings([]), np.empty((0, 3), dtype=np.float32))
    try:
        again = loaded(case, case.write(none, folder))
    except vecload.VecloadError:
        return
    assert again.matrix.shape == (0, 3)


def mutated(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """The file with a few bytes changed, half of them near its start."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        other = bytearray(data)
        for _ in range(int(rng.integers(1, 5))):
            at = int(rng.integers(0, min(len(other), 256) if rng.random() < 0.5 else len(other)))
            other[at] = int(rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))]))
        yield bytes(other)


def use(data: bytes, name: str) -> None:
    """Load a file that may be damaged, and follow all that it leads to; only errors of the house may come out."""
    try:
        vectors = vecload.load(io.BytesIO(data), format=name, allow_nonfinite=True)
        vectors.get("w7")
        vectors.words.lookup(["w5", *(f"w{at}" for at in range(100))])
        vectors.words.lookup(vectors.words)
        list(vectors.words)
        vectors.words.take(np.arange(len(vectors)))
        np.asarray(vectors.matrix, dtype=np.float64).sum()
        if vectors.ngrams is not None:
            vectors.ngrams.vectors(["one", "two"])
    except vecload.VecloadError:
        pass
