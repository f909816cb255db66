"""Build hash tables of packed words, and search them in plain Python.

`vecload.kernels.hash_table` explains the table. This module repeats its hashes and its search in plain Python, because
opening a native file and looking up a few words must not load numba: importing it takes longer than the lookups.
"""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vecload.lazy import numba_loaded
from vecload.threads import interruptible

if TYPE_CHECKING:
    import numpy.typing as npt

FEW = 64
"""Number of words up to which lookups use plain Python, which is faster than importing numba."""
SOME = 1 << 12
"""Number of words up to which plain Python takes less time than importing numba, if it is not imported yet."""
MANY_WORDS = 1 << 22  # entering this many words takes so long that Ctrl-C would seem to be ignored
BLOCK = 1 << 16
"""Number of slots to check at a time."""

# The constants of `vecload.kernels.hash_table`. Tests compare both implementations.
HASH_SEED = 0x9E3779B97F4A7C15
HASH_FACTOR = 0xD6E8FEB86659FD93
_ALL64 = 0xFFFFFFFFFFFFFFFF
_SIP = 0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573
MAX_PROBES = 512
ABSENT = -1


def hash_word(word: bytes, key: npt.NDArray[np.uint64] | None) -> int:
    """Return the 64-bit hash of a word: SipHash if there is a key, else a faster function."""
    if key is not None:
        return siphash(word, int(key[0]), int(key[1]))
    state = HASH_SEED ^ len(word)
    for at in range(0, len(word), 8):
        state = (state ^ int.from_bytes(word[at : at + 8], "little")) * HASH_FACTOR & _ALL64
        state ^= state >> 32
    state = state * HASH_FACTOR & _ALL64
    return state ^ (state >> 32)


def siphash(word: bytes, k0: int, k1: int) -> int:
    """Return the SipHash-1-3 of a word, the hash of tables with a key."""
    v0, v1, v2, v3 = k0 ^ _SIP[0], k1 ^ _SIP[1], k0 ^ _SIP[2], k1 ^ _SIP[3]

    def mix() -> None:
        nonlocal v0, v1, v2, v3
        v0, v2 = (v0 + v1) & _ALL64, (v2 + v3) & _ALL64
        v1, v3 = _rotate(v1, 13) ^ v0, _rotate(v3, 16) ^ v2
        v0, v2 = (_rotate(v0, 32) + v3) & _ALL64, (v2 + v1) & _ALL64
        v1, v3 = _rotate(v1, 17) ^ v2, _rotate(v3, 21) ^ v0
        v2 = _rotate(v2, 32)

    for at in range(0, len(word) + 1, 8):
        piece = word[at : at + 8]
        block = int.from_bytes(piece, "little") | ((len(word) & 255) << 56 if len(piece) < 8 else 0)
        v3 ^= block
        mix()
        v0 ^= block
    v2 ^= 255
    for _ in range(3):
        mix()
    return v0 ^ v1 ^ v2 ^ v3


def _rotate(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & _ALL64


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view of an array.

    For numba, read-only and writable arrays are different types. Passing only read-only views to a kernel therefore
    compiles it once instead of twice.
    """
    view = array.view()
    view.flags.writeable = False
    return view


class HashTable(NamedTuple):
    """The arrays of a hash table, in the form that `vecload.kernels.hash_table` takes.

    Parameters
    ----------
    slots
        uint64; their number is a power of two, and at most two thirds of them are taken.
    key
        Secret key of the hash: uint64, shape (2,); None for the fixed hash of the native file format.
    """

    slots: npt.NDArray[np.uint64]
    key: npt.NDArray[np.uint64] | None = None


def probe(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], table: HashTable, word: bytes) -> int:
    """Return the row of a word, `ABSENT` if it is missing, or ``ABSENT - 1`` if the search gave up.

    A search gives up after `MAX_PROBES` slots. Neither the table nor the offsets are trusted, because they may come
    from a file that was never checked.
    """
    slots, key = table
    hashed = hash_word(word, key)
    mask = len(slots) - 1
    slot = hashed & mask
    for _ in range(MAX_PROBES):
        entry = int(slots[slot])
        if entry == 0:
            return ABSENT
        if (entry ^ hashed) >> 32 == 0:
            row = (entry & 0xFFFFFFFF) - 1
            if 0 <= row < len(offsets) - 1 and data[offsets[row] : offsets[row + 1]].tobytes() == word:
                return row
        slot = (slot + 1) & mask
    return ABSENT - 1


def longest_run(slots: npt.NDArray[np.uint64]) -> int:
    """Return the length of the longest run of taken slots; a run may wrap around the end of the table."""
    # The distance between two free slots is the length of the run between them, plus one.
    longest, first, last = 0, -1, -1
    for begin in range(0, len(slots), BLOCK):
        free = np.flatnonzero(slots[begin : begin + BLOCK] == 0) + begin
        if len(free):
            first = int(free[0]) if first < 0 else first
            inner = int(np.diff(free, prepend=last).max()) - 1 if last >= 0 else int(np.diff(free).max(initial=1)) - 1
            longest, last = max(longest, inner), int(free[-1])
    return max(longest, first + len(slots) - last - 1) if first >= 0 else len(slots)


def slot_count(count: int) -> int:
    """Return the number of slots for a table of `count` words: at most two thirds of the slots are then taken."""
    return 1 << (3 * count // 2).bit_length()


def build_hash_table(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> tuple[HashTable, npt.NDArray[np.bool_]]:
    """Build the hash table of packed words; return it, and which words repeat an earlier one (bool, shape (n,))."""
    count = len(offsets) - 1
    if count <= FEW or (count <= SOME and not numba_loaded()):
        built = _build_plainly(data, offsets)
        if built is not None:
            return built
    from vecload.kernels import hash_table

    slots = np.zeros(slot_count(count), dtype=np.uint64)
    repeated = np.zeros(count, dtype=np.bool_)
    packed = read_only(data), read_only(offsets)
    found = HashTable(slots)

    def build() -> bool:
        return bool(hash_table.build_table(*packed, slots, found.key, repeated) >= 0)

    # The fixed hash is tried first. It fails only if too many words collide under it. A random key fails only with
    # negligible probability, so this loop ends.
    while not (interruptible(build) if count > MANY_WORDS else build()):
        found = HashTable(slots, new_key())
        slots[:] = 0
        repeated[:] = False
    return found, repeated


def _build_plainly(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> tuple[HashTable, npt.NDArray[np.bool_]] | None:
    """Build the same table in plain Python; return None if too many words collide under the fixed hash."""
    slots = [0] * slot_count(len(offsets) - 1)
    repeated = np.zeros(len(offsets) - 1, dtype=np.bool_)
    seen: set[bytes] = set()
    mask = len(slots) - 1
    text, ends = data.tobytes(), offsets.tolist()
    for row, (start, stop) in enumerate(itertools.pairwise(ends)):
        raw = text[start:stop]
        if raw in seen:
            repeated[row] = True
            continue
        seen.add(raw)
        hashed = hash_word(raw, None)
        slot = first = hashed & mask
        while slots[slot]:
            slot = (slot + 1) & mask
            # Words that collide this often get a table with a key, which a kernel builds.
            if (slot - first) & mask > FEW:
                return None
        slots[slot] = (hashed >> 32 << 32) | (row + 1)
    return HashTable(np.array(slots, dtype=np.uint64)), repeated


def new_key() -> npt.NDArray[np.uint64]:
    """Return a random secret key, for words that collide under the fixed hash."""
    return np.frombuffer(secrets.token_bytes(16), dtype=np.uint64)
