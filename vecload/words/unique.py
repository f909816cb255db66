"""`UniqueWords`: what has been there before, while a file goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.words.hashing import HashTable, new_key, read_only, slot_count
from vecload.words.packed import Words

if TYPE_CHECKING:
    import numpy.typing as npt

_MOST_EXPECTED = 1 << 22  # a guess is not to be believed further
_LENGTH = 8  # bytes in a word, as a guess
_ROOM = 1 << 22  # bytes that cost nothing until they are written to, and then come in huge pages


class UniqueWords:
    """Words that more are added to, each kept once.

    Parameters
    ----------
    expected
        How many there will be, as a guess.

    Examples
    --------
    >>> growing = UniqueWords()
    >>> for text in (["cat", "dog"], ["dog", "cow"]):
    ...     more = Words.from_strings(text)
    ...     print(growing.add(more.data, more.offsets))
    [ True  True]
    [False  True]
    >>> list(growing.words)
    ['cat', 'dog', 'cow']
    """

    def __init__(self, expected: int = 0) -> None:
        expected = min(expected, _MOST_EXPECTED)
        self._data = np.empty(max(_ROOM, _LENGTH * expected), dtype=np.uint8)
        self._offsets = np.empty(max(_ROOM // 8, expected + 1), dtype=np.int64)
        self._offsets[0] = 0
        self._table = HashTable(np.zeros(slot_count(expected), dtype=np.uint64))
        self._count = 0

    def add(self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Add packed words, the first of which begins at 0; says which are new (bool, shape (n,))."""
        from vecload.kernels import hash_table

        total = self._count + len(offsets) - 1
        begin, end = int(self._offsets[self._count]), int(self._offsets[self._count]) + len(data)
        if slot_count(total) > len(self._table.slots):
            self._enter_all(slot_count(total), self._table.key)
        self._data = _with_room(self._data, end)
        self._data[begin:end] = data
        self._offsets = _with_room(self._offsets, total + 1)
        np.add(offsets[1:], begin, out=self._offsets[self._count + 1 : total + 1])
        fresh = np.empty(len(offsets) - 1, dtype=np.bool_)
        first = begun = self._count
        while first < total:
            slots, key = self._table
            counts = self._count, first, total
            part = fresh[first - begun :]
            self._count, first = hash_table.add_words(self._data, self._offsets, slots, key, *counts, part)
            if first < total:  # too many words collide
                self._enter_all(len(slots), new_key())
        return fresh

    @property
    def words(self) -> Words:
        """All so far, with a table of the length they need; a view, which holds until more are added."""
        if slot_count(self._count) < len(self._table.slots):
            self._enter_all(slot_count(self._count), self._table.key)
        offsets = self._offsets[: self._count + 1]
        return Words(self._data[: offsets[-1]], offsets, slots=self._table)

    def _enter_all(self, size: int, key: npt.NDArray[np.uint64] | None) -> None:
        """Build the table again, with another number of slots or another key."""
        from vecload.kernels import hash_table

        packed = read_only(self._data), read_only(self._offsets[: self._count + 1])
        while True:
            self._table = HashTable(np.zeros(size, dtype=np.uint64), key)
            repeated = np.empty(self._count, dtype=np.bool_)
            if hash_table.build_table(*packed, self._table.slots, key, repeated) >= 0:
                return
            key = new_key()


def _with_room(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """The array, or a copy of twice its length or more if it is shorter than `size`."""
    if size <= len(array):
        return array
    larger = np.empty(max(size, 2 * len(array)), dtype=array.dtype)
    larger[: len(array)] = array
    return larger
