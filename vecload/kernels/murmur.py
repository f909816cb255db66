"""Compute MurmurHash64A of packed words: the keys of spaCy's ``StringStore``.

The algorithm is Austin Appleby's MurmurHash2 for 64-bit processors (public domain, ``MurmurHash2.cpp``). It mixes in
eight bytes at a time as a little-endian number, and the last one to seven bytes as one more number.
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import kernel

_FACTOR = np.uint64(0xC6A4A7935BD1E995)
_FOLD = np.uint64(47)


@kernel
def murmur64(data, offsets, seed, hashes):  # type: ignore[no-untyped-def]
    """Write the hash of each word, ``data[offsets[i]:offsets[i + 1]]`` (uint8, int64), to ``hashes[i]`` (uint64)."""
    # The last block is read byte by byte, because up to seven bytes after a word need not exist.
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
