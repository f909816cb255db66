"""Find strings that are stored one after the other, each after its length: the words of finalfusion files."""

from __future__ import annotations

import numpy as np

from vecload.kernels import kernel

PREFIX = 4
"""Number of bytes of a length."""


@kernel
def find_strings(data, at, extra, longest, starts, stops):  # type: ignore[no-untyped-def]
    """Find up to ``len(starts)`` strings from byte `at` of `data`; return their number and the offset after the last.

    A string is its length (uint32, little-endian), as many bytes, and `extra` other bytes. String `i` starts at
    ``starts[i]`` and ends at ``stops[i]`` (int64). The search ends early at the first string that is incomplete or
    longer than `longest`. Nothing after the end of `data` is read.
    """
    for entry in range(len(starts)):
        if at + PREFIX > len(data):
            return entry, at
        length = np.int64(0)
        for byte in range(PREFIX):
            length |= np.int64(data[at + byte]) << np.int64(8 * byte)
        if length > longest or at + PREFIX + length + extra > len(data):
            return entry, at
        starts[entry] = at + PREFIX
        stops[entry] = at + PREFIX + length
        at += PREFIX + length + extra
    return len(starts), at
