"""Dictionary entries of fastText models: the bytes of a word, NUL, int64 count, uint8 kind (0 word, 1 label)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from vecload.lazy import numba_loaded
from vecload.words import read_only

if TYPE_CHECKING:
    import numpy.typing as npt

OVERHEAD: Final = 10
"""Number of bytes of an entry in addition to its word."""

# For fewer entries in fewer bytes, plain Python takes less time than loading numba.
_MANY: Final = 1 << 15
WINDOW: Final = 1 << 20


class Entries(NamedTuple):
    """Entries in a file: start and end of each word, and its count, int64; its kind, uint8; all shape (n,)."""

    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint8]


def find_entries(data: npt.NDArray[np.uint8], at: int, count: int, longest: int) -> tuple[Entries, int, int]:
    """Find up to `count` entries from byte `at` of `data`.

    Returns
    -------
    tuple
        The entries, in arrays for `count` of them; the number of those that were found; and the offset after the last.
        The search ends early at the first entry that is incomplete or whose word is longer than `longest` bytes.
    """
    # Three arrays, so that the memory of the first two is freed before that of the counts.
    starts, stops, counts = (np.empty(count, dtype=np.int64) for _ in range(3))
    entries = Entries(starts, stops, counts, np.empty(count, dtype=np.uint8))
    if count <= _MANY and not numba_loaded():
        end = _find(data, at, longest, entries)
        if end is not None:
            return entries, count, end
    from vecload.kernels import fasttext_entries

    found, end = fasttext_entries.find_entries(read_only(data), at, longest, *entries)
    return entries, found, end


def _find(data: npt.NDArray[np.uint8], at: int, longest: int, entries: Entries) -> int | None:
    """Find all entries in plain Python, and return the offset after the last; None if they are not complete."""
    window = data[at : at + WINDOW].tobytes()
    begin = 0
    for entry in range(len(entries.starts)):
        stop = window.find(0, begin, begin + longest + 1)
        if stop < 0 or stop + OVERHEAD > len(window):
            return None
        entries.starts[entry], entries.stops[entry] = at + begin, at + stop
        entries.counts[entry] = int.from_bytes(window[stop + 1 : stop + 9], "little", signed=True)
        entries.kinds[entry] = window[stop + 9]
        begin = stop + OVERHEAD
    return at + begin


def write_entries(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Return the entries of packed words in the dictionary, as bytes."""
    from vecload.kernels import fasttext_entries

    entries = np.empty(len(data) + OVERHEAD * len(counts), dtype=np.uint8)
    fasttext_entries.write_entries(read_only(data), read_only(offsets), read_only(counts), entries)
    return entries
