"""Read and write the dictionary of a fastText model.

An entry is a word's bytes, a NUL byte, its count (int64), and its kind (0 for a word, 1 for a label): what
``Dictionary::save`` of fastText writes. Entries have no length field, so each is found from the end of the previous
one.
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import kernel

ENTRY_OVERHEAD = 10
"""Number of bytes of an entry in addition to its word."""


@kernel
def find_entries(data, at, longest, starts, stops, counts, kinds):  # type: ignore[no-untyped-def]
    """Find up to ``len(starts)`` entries from byte `at` of `data`; return their number and the offset after the last.

    Word `i` starts at ``starts[i]`` and ends at ``stops[i]`` (int64); its count and kind are in ``counts[i]`` (int64)
    and ``kinds[i]`` (uint8). The search ends early at the first entry that is incomplete or whose word is longer than
    `longest` bytes. Nothing after the end of `data` is read.
    """
    for entry in range(len(starts)):
        # At most `longest` bytes are searched for the end of the word, so damaged data without NUL bytes takes little
        # time.
        stop = at
        last = min(len(data), at + longest + 1)
        while stop < last and data[stop] != 0:
            stop += 1
        if stop - at > longest or stop + ENTRY_OVERHEAD > len(data):
            return entry, at
        # Here the NUL byte, the count and the kind are inside the data, because `stop + ENTRY_OVERHEAD` is.
        starts[entry] = at
        stops[entry] = stop
        count = np.uint64(0)
        for byte in range(8):
            count |= np.uint64(data[stop + 1 + byte]) << np.uint64(8 * byte)
        counts[entry] = np.int64(count)
        kinds[entry] = data[stop + 9]
        at = stop + ENTRY_OVERHEAD
    return len(starts), at


@kernel
def write_entries(data, offsets, counts, out):  # type: ignore[no-untyped-def]
    """Write words (``data[offsets[i]:offsets[i + 1]]``) and their counts (int64) as entries to `out` (uint8).

    `out` needs the length of all words, and `ENTRY_OVERHEAD` bytes for each of them.
    """
    at = 0
    for word in range(len(counts)):
        for position in range(offsets[word], offsets[word + 1]):
            out[at] = data[position]
            at += 1
        out[at] = 0
        count = np.uint64(counts[word])
        for byte in range(8):
            out[at + 1 + byte] = np.uint8((count >> np.uint64(8 * byte)) & np.uint64(255))
        out[at + 9] = 0
        at += ENTRY_OVERHEAD
