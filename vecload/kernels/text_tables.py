"""Fill the hash tables in which `vecload.kernels.text_lines` finds words and buckets."""

from __future__ import annotations

import numpy as np

from vecload.kernels import kernel
from vecload.kernels.intrinsics import FNV_BASIS, fnv1a

SPREAD = np.int64(0x9E3779B1)
"""2**32 divided by the golden ratio: spreads equal distances over a table. Never change it: kernels are cached."""


@kernel
def fill_slots(data, offsets, slots):  # type: ignore[no-untyped-def]
    """Fill a hash table with the numbers of dictionary entries; the last of equal entries wins, as in fastText.

    Parameters
    ----------
    data : uint8, read-only
    offsets : int64 (n + 1,), read-only
        The packed entries.
    slots : int32, a power of two above n
        Initially -1.
    """
    mask = np.uint64(len(slots) - 1)
    for entry in range(len(offsets) - 1):
        size = offsets[entry + 1] - offsets[entry]
        state = FNV_BASIS
        for at in range(offsets[entry], offsets[entry + 1]):
            state = fnv1a(state, data[at])
        slot = state & mask
        while slots[slot] >= 0:
            begin = offsets[slots[slot]]
            equal = offsets[slots[slot] + 1] - begin == size
            for at in range(size if equal else 0):
                equal = equal and data[begin + at] == data[offsets[entry] + at]
            if equal:
                break
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = entry


@kernel
def fill_kept(keys, rows, kept, filled):  # type: ignore[no-untyped-def]
    """Fill a hash table from buckets to rows, for pruned models, and a filter of the buckets.

    A hash table takes one access to memory, where a binary search takes many. The filter is small enough for caches.

    Parameters
    ----------
    keys, rows : int32 (n,), read-only
        Kept buckets, and the row of each.
    kept : int64, a power of two above n
        Receives a bucket in the upper and a row in the lower half of each number; initially -1.
    filled : uint8, a power of two
        Receives a bit for each bucket, at the bucket's number modulo the number of bits; zeros before.
    """
    mask, bits = np.int64(len(kept) - 1), np.int64(8 * len(filled) - 1)
    for at in range(len(keys)):
        key = np.int64(keys[at])
        slot = (key * SPREAD) & mask
        while kept[slot] >= 0:
            slot = (slot + 1) & mask
        kept[slot] = (key << 32) | np.int64(rows[at])
        filled[(key & bits) >> 3] |= np.uint8(1 << (key & 7))
