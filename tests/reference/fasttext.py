"""Slow fastText and floret n-grams, written from the documentation of the formats, independent of the package."""

from __future__ import annotations

import numpy as np


def characters(raw: bytes) -> list[tuple[int, int]]:
    """Return the start and stop of each character: a leading byte and the continuation bytes after it."""
    starts = [at for at in range(len(raw)) if raw[at] & 0xC0 != 0x80]
    return [
        (start, starts[number + 1] if number + 1 < len(starts) else len(raw)) for number, start in enumerate(starts)
    ]


def ngrams(word: bytes, minn: int, maxn: int, *, bow: bytes = b"<", eow: bytes = b">") -> list[bytes]:
    marked = bow + word + eow
    spans = characters(marked)
    found = []
    for first in range(len(spans)):
        for size in range(1, maxn + 1):
            last = first + size - 1
            if last >= len(spans):
                break
            start, stop = spans[first][0], spans[last][1]
            lone = size == 1 and (start == 0 or stop == len(marked))
            if size >= minn and not lone:
                found.append(marked[start:stop])
    return found


def fnv(raw: bytes) -> int:
    state = 2166136261
    for byte in raw:
        signed = byte - 256 if byte >= 128 else byte
        state ^= signed % 2**32
        state = state * 16777619 % 2**32
    return state


def fasttext_rows(word: bytes, minn: int, maxn: int, bucket: int, kept: dict[int, int] | None = None) -> list[int]:
    if word == b"</s>" or bucket == 0:
        return []
    buckets = [fnv(ngram) % bucket for ngram in ngrams(word, minn, maxn)]
    return buckets if kept is None else [kept[number] for number in buckets if number in kept]


def phrase_rows(words: list[bytes], length: int, bucket: int) -> list[int]:
    hashes = [state - 2**32 if (state := fnv(word)) >= 2**31 else state for word in words]
    rows = []
    for first in range(len(words)):
        state = hashes[first]
        for other in hashes[first + 1 : first + length]:
            state = (state * 116049371 + other) % 2**64
            rows.append(state % bucket)
    return rows


def murmur(raw: bytes, seed: int) -> tuple[int, int]:
    """MurmurHash3_x64_128."""
    all64 = 2**64 - 1
    c1, c2 = 0x87C37B91114253D5, 0x4CF5AD432745937F

    def rotate(value: int, by: int) -> int:
        return (value << by | value >> (64 - by)) & all64

    def finish(value: int) -> int:
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            value = (value ^ value >> 33) * factor & all64
        return value ^ value >> 33

    one = two = seed
    whole = len(raw) // 16 * 16
    for at in range(0, whole, 16):
        k1 = int.from_bytes(raw[at : at + 8], "little")
        k2 = int.from_bytes(raw[at + 8 : at + 16], "little")
        one ^= rotate(k1 * c1 & all64, 31) * c2 & all64
        one = ((rotate(one, 27) + two) * 5 + 0x52DCE729) & all64
        two ^= rotate(k2 * c2 & all64, 33) * c1 & all64
        two = ((rotate(two, 31) + one) * 5 + 0x38495AB5) & all64
    tail = raw[whole:].ljust(16, b"\0")
    two ^= rotate(int.from_bytes(tail[8:], "little") * c2 & all64, 33) * c1 & all64
    one ^= rotate(int.from_bytes(tail[:8], "little") * c1 & all64, 31) * c2 & all64
    one, two = one ^ len(raw), two ^ len(raw)
    one = (one + two) & all64
    two = (two + one) & all64
    one, two = finish(one), finish(two)
    one = (one + two) & all64
    return one, (two + one) & all64


def floret_rows(
    word: bytes,
    minn: int,
    maxn: int,
    bucket: int,
    hashes: int,
    *,
    seed: int = 2166136261,
    bow: bytes = b"<",
    eow: bytes = b">",
) -> list[int]:
    if not word:
        return []
    rows = []
    for ngram in [bow + word + eow, *ngrams(word, minn, maxn, bow=bow, eow=eow)]:
        one, two = murmur(ngram, seed)
        keys = [one & 0xFFFFFFFF, one >> 32, two & 0xFFFFFFFF, two >> 32]
        rows += [key % bucket for key in keys[:hashes]]
    return rows


def mean(rows: list[np.ndarray]) -> np.ndarray:
    """Return the mean as fastText computes it: a float32 sum in order, times the reciprocal of the count."""
    total = np.zeros_like(rows[0], dtype=np.float32)
    for row in rows:
        total += row
    return total * np.float32(1 / len(rows))


def dictionary_end(raw: bytes, at: int, entries: int) -> int:
    for _ in range(entries):
        at = raw.index(b"\0", at) + 10
    return at


def modern(old: bytes) -> bytes:
    """Return a version 12 model in the older layout without a magic number."""
    head, sizes = old[:56], old[56:76]
    entries = int.from_bytes(sizes[:4], "little")
    end = dictionary_end(old, 76, entries)
    rows, dim = np.frombuffer(old[end : end + 16], dtype="<i8").tolist()
    behind = end + 16 + 4 * rows * dim
    start = bytes.fromhex("ba164f2f0c000000")
    pruned = (-1).to_bytes(8, "little", signed=True)
    return start + head + sizes + pruned + old[76:end] + b"\0" + old[end:behind] + b"\0" + old[behind:]
