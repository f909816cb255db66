"""`UniqueWords`: the distinct words of a file that is read in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.words.hashing import HashTable, new_key, read_only, slot_count
from vecload.words.packed import Words

if TYPE_CHECKING:
    import numpy.typing as npt

_MAX_EXPECTED = 1 << 22  # an estimate may be wrong, so it reserves no more memory than this many words need
_WORD_LENGTH = 8  # typical number of bytes of a word
# Smallest allocation in bytes. Pages that are never written cost nothing, and large ranges get huge pages, which make
# random access faster.
_MIN_CAPACITY = 1 << 22


class UniqueWords:
    """Collection of distinct words that grows by batches of packed words.

    Parameters
    ----------
    expected
        Estimated number of words.

    Examples
    --------
    >>> unique = UniqueWords()
    >>> for text in (["cat", "dog"], ["dog", "cow"]):
    ...     more = Words.from_strings(text)
    ...     print(unique.add(more.data, more.offsets))
    [ True  True]
    [False  True]
    >>> list(unique.words)
    ['cat', 'dog', 'cow']
    """

    def __init__(self, expected: int = 0) -> None:
        expected = min(expected, _MAX_EXPECTED)
        self._data = np.empty(max(_MIN_CAPACITY, _WORD_LENGTH * expected), dtype=np.uint8)
        self._offsets = np.empty(max(_MIN_CAPACITY // 8, expected + 1), dtype=np.int64)
        self._offsets[0] = 0
        self._table = HashTable(np.zeros(slot_count(expected), dtype=np.uint64))
        self._count = 0

    def add(self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Add packed words whose first offset is 0; return which of them are new (bool, shape (n,))."""
        from vecload.kernels import hash_table

        total = self._count + len(offsets) - 1
        begin, end = int(self._offsets[self._count]), int(self._offsets[self._count]) + len(data)
        if slot_count(total) > len(self._table.slots):
            self._enter_all(slot_count(total), self._table.key)
        # All words are appended first. The kernel then closes the gaps that known words leave.
        self._data = _with_capacity(self._data, end)
        self._data[begin:end] = data
        self._offsets = _with_capacity(self._offsets, total + 1)
        np.add(offsets[1:], begin, out=self._offsets[self._count + 1 : total + 1])
        fresh = np.empty(len(offsets) - 1, dtype=np.bool_)
        first = begun = self._count
        while first < total:
            slots, key = self._table
            counts = self._count, first, total
            part = fresh[first - begun :]
            self._count, first = hash_table.add_words(self._data, self._offsets, slots, key, *counts, part)
            if first < total:  # too many words collide: continue with a table under a secret key
                self._enter_all(len(slots), new_key())
        return fresh

    @property
    def words(self) -> Words:
        """All words so far, as a view that is valid until more are added."""
        # A table that grew for expected words may be larger than the words need; a native file stores the smallest.
        if slot_count(self._count) < len(self._table.slots):
            self._enter_all(slot_count(self._count), self._table.key)
        offsets = self._offsets[: self._count + 1]
        return Words(self._data[: offsets[-1]], offsets, slots=self._table)

    def _enter_all(self, size: int, key: npt.NDArray[np.uint64] | None) -> None:
        """Build the table again with a different number of slots or key."""
        from vecload.kernels import hash_table

        packed = read_only(self._data), read_only(self._offsets[: self._count + 1])
        while True:
            self._table = HashTable(np.zeros(size, dtype=np.uint64), key)
            repeated = np.empty(self._count, dtype=np.bool_)
            if hash_table.build_table(*packed, self._table.slots, key, repeated) >= 0:
                return
            key = new_key()


def _with_capacity(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return the array, or a copy of at least twice its length if it is shorter than `size`.

    Doubling keeps the total cost of copying linear in the final length.
    """
    if size <= len(array):
        return array
    larger = np.empty(max(size, 2 * len(array)), dtype=array.dtype)
    larger[: len(array)] = array
    return larger
