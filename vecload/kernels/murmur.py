"""MurmurHash64A of packed words: the keys by which spaCy knows its strings.

Austin Appleby's MurmurHash2 for 64-bit machines (public domain, ``MurmurHash2.cpp``): eight bytes at a time, read as a
little-endian number; the last one to seven together as one number more.
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import kernel

_FACTOR = np.uint64(0xC6A4A7935BD1E995)
_FOLD = np.uint64(47)


@kernel
def murmur64(data, offsets, seed, hashes):  # type: ignore[no-untyped-def]
    """Hash word i, the bytes ``data[offsets[i]:offsets[i + 1]]`` (uint8, int64), into ``hashes[i]`` (uint64)."""
    for word in range(len(hashes)):
        start, stop = offsets[word], offsets[word + 1]
        state = np.uint64(seed) ^ (np.uint64(stop - start) * _FACTOR)
        for at in range(start, stop, 8):
            count = min(8, stop - at)
            block = np.uint64(0)
            for offset in range(count):
                block |= np.uint64(data[at + offset]) << np.uint64(8 * offset)
            if count == 8:
                block *= _FACTOR
                block ^= block >> _FOLD
                block *= _FACTOR
            state ^= block
            state *= _FACTOR
        state ^= state >> _FOLD
        state *= _FACTOR
        state ^= state >> _FOLD
        hashes[word] = state
