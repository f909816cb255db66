"""Checks that every format has to pass if it is both read and written; formats differ only in their guarantees."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.formats.tables import same
from vecload import Vectors, Words
from vecload.errors import FormatError
from vecload.formats import Format

_NAMES = {
    "text": ("word2vec text", "glove"),
    "CSV": ("CSV", "TSV"),
    "sentence-transformers": ("sentence-transformers", "model2vec"),
}
"""Aliases under which a format writes different files, each of which is checked."""
_UTF8_ONLY = ("spaCy", "sentence-transformers", "TensorBoard")
"""Formats that cannot store words of invalid UTF-8."""
_WITHOUT_END = ("glove", "word2vec text", "CSV", "TSV", "JSON lines")
"""Formats whose files may end after any row."""
_EXCLUDED = {"floret": "stores rows of n-grams, not words", "npy": "stores words in another file"}


@dataclass(frozen=True)
class Case:
    """A format and its guarantees. Formats that are not listed above give all guarantees."""

    name: str
    raw: bool = True
    """Whether it stores words of invalid UTF-8."""
    exact: bool = True
    """Whether a file that lacks some of its vectors is refused, wherever it was cut."""
    folder: bool = False
    """Whether it writes a folder."""

    def write(self, vectors: Vectors, folder: Path, **options: object) -> Path:
        """Save vectors in this format, and return the path."""
        path = folder / f"vectors.{self.name.replace(' ', '-')}"
        if path.is_dir():
            shutil.rmtree(path)
        vectors.save(path, self.name, **options)  # type: ignore[arg-type]
        return path

    def load(self, source: object) -> Vectors:
        """Load a source in this format."""
        return vecload.load(source, format=self.name)  # type: ignore[arg-type]


def cases(forms: Iterable[Format]) -> dict[str, Case]:
    """Return the cases to check, by name: all formats that are read and written."""
    return {
        name: Case(name, form.name not in _UTF8_ONLY, name not in _WITHOUT_END, form.writes_folder)
        for form in forms
        if form.read is not None and form.write is not None and form.name not in _EXCLUDED
        for name in _NAMES.get(form.name, (form.name,))
    }


class Pipe:
    """A stream without positions that returns few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, count: int = -1) -> bytes:
        return self.file.read(min(count, 1000))


def check_round_trip(case: Case, vectors: Vectors, folder: Path) -> None:
    """Check that words are equal byte for byte, and float32 values bit for bit."""
    path = case.write(vectors, folder)
    again = case.load(path)
    assert same(again, vectors)
    assert all(again.words.index(word) == at for at, word in enumerate(vectors.words))


def check_every_source(case: Case, vectors: Vectors, folder: Path) -> None:
    """Check that the format is detected from content, and vectors are equal, for every kind of source and request."""
    path = case.write(vectors, folder)
    data = path.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner", data)
    (folder / "packed").write_bytes(gzip.compress(data))
    sources = [
        path,
        folder / "packed",
        io.BytesIO(data),
        Pipe(data),
        io.BytesIO(bz2.compress(data)),
        io.BytesIO(packed.getvalue()),
    ]
    for source in sources:
        again = vecload.load(source)  # type: ignore[arg-type]
        assert same(again, vectors), source
    wanted = list(vectors.words)[::3]
    assert list(vecload.load(path, vocab=[*wanted, "absent"]).words) == wanted
    assert list(vecload.load(path, limit=4).words) == list(vectors.words)[:4]
    half = vecload.load(path, dtype="float16")
    assert same(half, Vectors(vectors.words, vectors.matrix.astype(np.float16)))
    look = vecload.info(path)
    assert (look.rows, look.dim, look.words[0]) == (len(vectors), vectors.dim, vectors.words[0])


def check_overflow(case: Case, folder: Path) -> None:
    """Check that a value too large for the requested type raises, or its row is skipped and counted."""
    large = np.array([[1, 2], [7e4, 1], [3, 4]], dtype=np.float32)
    path = case.write(Vectors(Words.from_strings(["a", "b", "c"]), large), folder)
    with pytest.raises(FormatError, match="not finite in float16"):
        vecload.load(path, dtype="float16")
    kept = vecload.load(path, dtype="float16", errors="skip")
    assert (list(kept.words), sum(kept.meta["skipped"].values())) == (["a", "c"], 1)
    assert np.array_equal(kept.matrix, large[[0, 2]])


def check_truncation(case: Case, vectors: Vectors, folder: Path) -> None:
    """Check that a file cut at any byte raises, unless the missing bytes were not part of the vectors."""
    data = case.write(vectors, folder).read_bytes()
    assert case.load(io.BytesIO(data)).words == vectors.words
    for cut in range(len(data)):
        try:
            short = vecload.load(io.BytesIO(data[:cut]), format=case.name, strict=True)
        except FormatError:
            continue
        if case.exact:
            assert same(short, vectors), f"cut at {cut} of {len(data)}"
        assert len(short) <= len(vectors)


def check_small(case: Case, folder: Path) -> None:
    """Check that a table of one value is kept, and one without rows is kept or raises."""
    one = Vectors(Words.from_strings(["a"]), np.array([[0.5]], dtype=np.float32))
    check_round_trip(case, one, folder)
    empty = Vectors(Words.from_strings([]), np.empty((0, 3), dtype=np.float32))
    try:
        again = case.load(case.write(empty, folder))
    except vecload.VecloadError:
        return
    assert again.matrix.shape == (0, 3)


def check_float64(case: Case, folder: Path) -> None:
    """Check that values too large for float32 are stored exactly or refused; then no file is left."""
    large = Vectors(Words.from_strings(["a", "b"]), np.array([[0.5, 2], [1e300, 1]]))
    try:
        path = case.write(large, folder)
    except FormatError as error:
        assert "which holds float32: found one in the row of 'b'" in str(error)
        assert not list(folder.iterdir())
        return
    assert np.array_equal(vecload.load(path, dtype="float64").matrix, large.matrix)


def mutated(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Yield copies of a file with a few bytes changed, half of them near its start."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        other = bytearray(data)
        for _ in range(int(rng.integers(1, 5))):
            at = int(rng.integers(0, min(len(other), 256) if rng.random() < 0.5 else len(other)))
            other[at] = int(rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))]))
        yield bytes(other)


def use(data: bytes, name: str) -> None:
    """Load a file that may be damaged, and follow all its offsets; only errors of vecload may be raised."""
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


def check_every_cut(path: Path, source: Path | None = None) -> None:
    """Check that `source`, the file itself if None, raises FormatError when the file is cut at any byte."""
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(FormatError):
            vecload.load(source or path)
    path.write_bytes(whole)


def check_mutations(path: Path, source: Path | None = None, *, rounds: int = 300) -> None:
    """Check that `source`, the file itself if None, loads or raises FormatError when bytes of the file change."""
    whole = path.read_bytes()
    for other in mutated(whole, rounds, seed=0):
        path.write_bytes(other)
        with contextlib.suppress(FormatError):
            vecload.load(source or path, allow_nonfinite=True)
    path.write_bytes(whole)
