"""The dictionary of a fastText model: entries of unknown length, one behind the other.

An entry is a word's bytes, a NUL, its count (int64) and its kind (0 for a word, 1 for a label).
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import kernel

ENTRY_OVERHEAD = 10
"""Bytes of an entry that are not its word's."""


@kernel
def find_entries(data, at, longest, starts, stops, counts, kinds):  # type: ignore[no-untyped-def]
    """Find entries from byte `at` of `data`, as many as fit in `starts`; nothing past the end of `data` is read.

    Word `i` starts at ``starts[i]`` and ends at ``stops[i]`` (int64); its count and kind are in ``counts[i]`` (int64)
    and ``kinds[i]`` (uint8). The search ends at the first entry that is not whole or whose word is longer than
    `longest` bytes. Returns the number of entries before it, and the offset where they end.
    """
    for entry in range(len(starts)):
        stop = at
        last = min(len(data), at + longest + 1)
        while stop < last and data[stop] != 0:
            stop += 1
        if stop - at > longest or stop + ENTRY_OVERHEAD > len(data):
            return entry, at
        starts[entry] = at
        stops[entry] = stop
        count = np.uint64(0)
        for place in range(8):
            count |= np.uint64(data[stop + 1 + place]) << np.uint64(8 * place)
        counts[entry] = np.int64(count)
        kinds[entry] = data[stop + 9]
        at = stop + ENTRY_OVERHEAD
    return len(starts), at


@kernel
def write_entries(data, offsets, counts, out):  # type: ignore[no-untyped-def]
    """Write words (``data[offsets[i]:offsets[i + 1]]``) and their counts (int64) as entries into `out` (uint8).

    `out` has room for the words and `ENTRY_OVERHEAD` bytes for each.
    """
    at = 0
    for word in range(len(counts)):
        for place in range(offsets[word], offsets[word + 1]):
            out[at] = data[place]
            at += 1
        out[at] = 0
        count = np.uint64(counts[word])
        for place in range(8):
            out[at + 1 + place] = np.uint8((count >> np.uint64(8 * place)) & np.uint64(255))
        out[at + 9] = 0
        at += ENTRY_OVERHEAD
