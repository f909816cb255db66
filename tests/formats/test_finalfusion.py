"""Tests of finalfusion files, against a writer of a few lines and hashes that finalfusion-python 0.7.1 computed.

The reader was compared with finalfusion-python on all combinations of vocabularies, storages and norms below.
"""

from __future__ import annotations

import io
import itertools
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload import NgramTable
from vecload.errors import FormatError
from vecload.words import Words

WORDS = ["the", "cat", "北海道", "naïve", "a", "🙂"]
UNSEEN = ["cats", "北海", "catalog", "x", "🙂🙂", ""]
DIM = 6
MINN, MAXN = 2, 4
HASHES = {"<ca": 956616, "cat": 853760, "北海道": 1234443, "🙂>": 1362532, "naïve>": 1052638}
"""Values of ``FinalfusionHashIndexer(21, 3, 6)``."""
_IDS = {"simple": 1, "bucket": 3, "fasttext": 7, "explicit": 8}


def ngrams_of(word: str) -> list[str]:
    marked = f"<{word}>"
    return [
        marked[start : start + size]
        for start in range(len(marked))
        for size in range(MAXN, MINN - 1, -1)
        if start + size <= len(marked)
    ]


def finalfusion_hash(ngram: str) -> int:
    state = 0xCBF29CE484222325
    for byte in struct.pack(f"<Q{len(ngram)}I", len(ngram), *map(ord, ngram)):
        state = (state ^ byte) * 0x100000001B3 % (1 << 64)
    return state


def fasttext_hash(ngram: str) -> int:
    state = 2166136261
    for byte in ngram.encode():
        state = ((state ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619) % (1 << 32)
    return state


LISTED = {ngram: at // 2 for at, ngram in enumerate(dict.fromkeys(itertools.chain(*map(ngrams_of, WORDS))))}
"""N-grams of the words; two of them share each row."""
RULES: dict[str, tuple[int, Any]] = {
    "simple": (0, None),
    "bucket": (64, lambda ngram: finalfusion_hash(ngram) % 64),
    "fasttext": (50, lambda ngram: fasttext_hash(ngram) % 50),
    "explicit": (max(LISTED.values()) + 1, LISTED.get),
}


def chunk(kind: int, body: bytes, at: int) -> bytes:
    return struct.pack("<IQ", kind, len(body)) + body


def strings(words: list[str]) -> bytes:
    return b"".join(struct.pack("<I", len(word.encode())) + word.encode() for word in words)


def vocabulary(kind: str) -> bytes:
    if kind == "simple":
        return struct.pack("<Q", len(WORDS)) + strings(WORDS)
    if kind == "explicit":
        head = struct.pack("<2Q2I", len(WORDS), len(LISTED), MINN, MAXN)
        return head + strings(WORDS) + b"".join(strings([one]) + struct.pack("<Q", row) for one, row in LISTED.items())
    buckets = 6 if kind == "bucket" else 50
    return struct.pack("<Q3I", len(WORDS), MINN, MAXN, buckets) + strings(WORDS)


def padded(head: bytes, at: int) -> bytes:
    """Return a header with padding, for a chunk that begins at a byte of the file."""
    return head + bytes(4 - (at + 12 + len(head)) % 4)


def file_of(
    kind: str, *, quantized: tuple[int, bool, bool] | None = None, norms: bool = True, short: bool = False
) -> tuple[bytes, np.ndarray, np.ndarray]:
    """Return a file, its rows, and the norms of its words.

    `quantized` has the number of centroids, and whether there are a projection and norms. `short` leaves the row
    numbers of explicit n-grams out of the length of their chunk, as finalfusion-python does.
    """
    rng = np.random.default_rng(0)
    count = len(WORDS) + RULES[kind][0]
    rows = rng.normal(size=(count, DIM)).astype("<f4")
    lengths = rng.uniform(0.5, 2, len(WORDS)).astype("<f4")
    kinds = [5, _IDS[kind], 2 if quantized is None else 4, *([6] if norms else [])]
    raw = b"FiFu" + struct.pack(f"<2I{len(kinds)}I", 0, len(kinds), *kinds)
    raw += chunk(5, b"a = 1\n", len(raw))
    words = chunk(_IDS[kind], vocabulary(kind), len(raw))
    if short:
        words = struct.pack("<IQ", _IDS[kind], len(words) - 12 - 8 * len(LISTED)) + words[12:]
    raw += words
    if quantized is None:
        raw += chunk(2, padded(struct.pack("<Q2I", count, DIM, 10), len(raw)) + rows.tobytes(), len(raw))
    else:
        centroids, projected, normed = quantized
        table = rng.normal(size=(3, centroids, 2)).astype("<f4")
        projection = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0].astype("<f4")
        codes = rng.integers(0, centroids, size=(count, 3)).astype("u1")
        factors = rng.uniform(0.5, 2, count).astype("<f4")
        head = struct.pack("<5IQ2I", projected, normed, 3, DIM, centroids, count, 1, 10)
        body = padded(head, len(raw)) + (projection.tobytes() if projected else b"") + table.tobytes()
        body += (factors.tobytes() if normed else b"") + codes.tobytes()
        raw += chunk(4, body, len(raw))
        rows = np.stack([np.concatenate([table[part, code] for part, code in enumerate(line)]) for line in codes])
        rows = rows @ projection.T if projected else rows
        rows = rows * factors[:, None] if normed else rows
    if norms:
        raw += chunk(6, padded(struct.pack("<QI", len(WORDS), 10), len(raw)) + lengths.tobytes(), len(raw))
    return raw, rows, lengths if norms else np.ones(len(WORDS), dtype=np.float32)


STORAGES = [None, (256, False, False), (7, True, False), (9, True, True), (5, False, True)]


@pytest.mark.parametrize("norms", [True, False])
@pytest.mark.parametrize("quantized", STORAGES)
@pytest.mark.parametrize("kind", RULES)
def test_load_reads_every_combination_of_chunks(kind: str, quantized: Any, norms: bool, tmp_path: Path) -> None:
    raw, rows, lengths = file_of(kind, quantized=quantized, norms=norms)
    (tmp_path / "v.fifu").write_bytes(raw)
    for source in (tmp_path / "v.fifu", io.BytesIO(raw)):
        vectors = vecload.load(source)
        assert list(vectors.words) == WORDS
        np.testing.assert_allclose(vectors.matrix, rows[: len(WORDS)] * lengths[:, None], rtol=1e-5, atol=1e-6)
    assert vectors.meta["format"] == "finalfusion"
    some = vecload.load(tmp_path / "v.fifu", vocab=["a", "cat", "x"], dtype="float64")
    assert list(some.words) == ["cat", "a"]
    _, rule = RULES[kind]
    if rule is None:
        assert vectors.ngrams is None
        return
    for table in (vectors.ngrams, pickle.loads(pickle.dumps(vectors.ngrams))):
        for word in UNSEEN:
            found = [row for row in map(rule, ngrams_of(word)) if row is not None]
            assert table.counts([word])[0] == len(found)
            wanted = rows[len(WORDS) :][found].mean(axis=0) if found else np.zeros(DIM)
            np.testing.assert_allclose(table[word], wanted, rtol=1e-4, atol=1e-6)


def test_load_reads_explicit_ngrams_of_finalfusion_python() -> None:
    whole, short = (vecload.load(io.BytesIO(file_of("explicit", short=short)[0])) for short in (False, True))
    assert whole.matrix.tobytes() == short.matrix.tobytes()
    assert whole.ngrams.vectors(UNSEEN).tolist() == short.ngrams.vectors(UNSEEN).tolist()


def test_hashes_equal_those_of_finalfusion() -> None:
    assert {ngram: finalfusion_hash(ngram) % (1 << 21) for ngram in HASHES} == HASHES
    table = NgramTable(np.zeros((1 << 21, 1), dtype=np.float32), minn=3, maxn=6, kind="finalfusion")
    found = {}
    for word in ("cat", "北海道", "🙂", "🙂🙂", "naïve"):
        packed = Words.from_strings([word])
        rows, _ = table.find_rows(packed.data, packed.offsets)
        found |= dict(zip(table.ngrams(word), rows.tolist(), strict=True))
    assert {ngram: found[ngram] for ngram in HASHES if ngram in found}.items() <= HASHES.items()
    assert len(found.keys() & HASHES.keys()) >= 4


@given(st.text(max_size=9), st.integers(1, 4), st.integers(0, 4))
def test_ngrams_are_hashed_as_in_the_reference(word: str, minn: int, more: int) -> None:
    packed = Words.from_strings([word.encode("utf-8", "ignore").decode()])
    table = NgramTable(np.zeros((97, 1), dtype=np.float32), minn=minn, maxn=minn + more, kind="finalfusion")
    rows, ends = table.find_rows(packed.data, packed.offsets)
    marked = f"<{packed[0]}>"
    wanted = [
        marked[start : start + size]
        for start in range(len(marked))
        for size in range(minn + more, minn - 1, -1)
        if start + size <= len(marked)
    ]
    assert table.ngrams(packed[0]) == wanted
    assert rows.tolist() == [finalfusion_hash(ngram) % 97 for ngram in wanted]
    assert ends.tolist() == [len(wanted)]


@pytest.mark.parametrize("quantized", [None, (9, True, True)])
@pytest.mark.parametrize("kind", ["bucket", "fasttext"])
def test_native_file_keeps_ngrams(kind: str, quantized: Any, tmp_path: Path) -> None:
    vectors = vecload.load(io.BytesIO(file_of(kind, quantized=quantized)[0]))
    vectors.save(tmp_path / "v.safetensors")
    again = vecload.load(tmp_path / "v.safetensors")
    np.testing.assert_allclose(again.matrix, vectors.matrix)
    np.testing.assert_allclose(again.ngrams.vectors(UNSEEN), vectors.ngrams.vectors(UNSEEN), atol=1e-6)


def test_native_file_drops_listed_ngrams(tmp_path: Path) -> None:
    vectors = vecload.load(io.BytesIO(file_of("explicit")[0]))
    vectors.save(tmp_path / "v.safetensors")
    assert vecload.load(tmp_path / "v.safetensors").ngrams is None


def test_load_cut_file_raises() -> None:
    for kind in RULES:
        raw = file_of(kind, quantized=None if kind == "bucket" else (9, True, True))[0]
        for size in range(0, len(raw), 1 + len(raw) // 150):
            with pytest.raises(FormatError):
                vecload.load(io.BytesIO(raw[:size]))


@pytest.mark.parametrize(
    ("find", "replace", "message"),
    [
        (b"FiFu\0\0\0\0", b"FiFu\1\0\0\0", "an unknown version of finalfusion's format: found version 1"),
        (struct.pack("<Q3I", 6, 2, 4, 6), struct.pack("<Q3I", 6, 5, 4, 6), "invalid n-grams: found n-grams of 5 to 4"),
        (
            struct.pack("<Q3I", 6, 2, 4, 6),
            struct.pack("<Q3I", 6, 2, 4, 40),
            r"found 2 \*\* 40 buckets",
        ),
        (struct.pack("<Q3I", 6, 2, 4, 6), struct.pack("<Q3I", 6, 2, 4, 9), "n-grams can select rows that do not exist"),
        (struct.pack("<Q3I", 6, 2, 4, 6), struct.pack("<Q3I", 1 << 62, 2, 4, 6), "shorter than its words"),
        (struct.pack("<Q2I", 70, 6, 10), struct.pack("<Q2I", 70, 6, 11), "an invalid chunk: found 70 rows of 6 values"),
        (struct.pack("<Q2I", 70, 6, 10), struct.pack("<Q2I", 1 << 60, 6, 10), "shorter than its rows"),
        (struct.pack("<Q2I", 70, 6, 10), struct.pack("<Q2I", 3, 6, 10), "not one row for each word"),
        (struct.pack("<QI", 6, 10), struct.pack("<QI", 5, 10), "not one norm for each word: found 5"),
    ],
)
def test_load_invalid_chunks_raises(find: bytes, replace: bytes, message: str) -> None:
    raw = file_of("bucket")[0]
    assert raw.count(find) == 1
    with pytest.raises(FormatError, match=message):
        vecload.load(io.BytesIO(raw.replace(find, replace)))
