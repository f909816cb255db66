"""`GrowingWords`: what has been there before, while a file goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.words.packed import Words, read_only, slots_for

if TYPE_CHECKING:
    import numpy.typing as npt

_MOST_EXPECTED = 1 << 22  # a guess is not to be believed further


class GrowingWords:
    """Words that more are added to, each kept once.

    Parameters
    ----------
    expected
        How many there will be, as a guess.

    Examples
    --------
    >>> growing = GrowingWords()
    >>> for text in (["cat", "dog"], ["dog", "cow"]):
    ...     more = Words.from_strings(text)
    ...     print(growing.add(more.data, more.offsets))
    [ True  True]
    [False  True]
    >>> list(growing.words)
    ['cat', 'dog', 'cow']
    """

    def __init__(self, expected: int = 0) -> None:
        self._data = np.empty(1 << 16, dtype=np.uint8)
        self._offsets = np.zeros(1 << 12, dtype=np.int64)
        self._slots = np.zeros(slots_for(min(expected, _MOST_EXPECTED)), dtype=np.uint64)
        self._count = 0

    def add(self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Add packed words; says which are new (bool, shape (n,))."""
        from vecload.kernels import table

        count = self._count + len(offsets) - 1
        self._data = _with_room(self._data, int(self._offsets[self._count]) + len(data))
        self._offsets = _with_room(self._offsets, count + 1)
        if slots_for(count) > len(self._slots):
            self._slots = np.zeros(slots_for(count), dtype=np.uint64)
            packed = read_only(self._data), read_only(self._offsets[: self._count + 1])
            table.build_table(*packed, self._slots, np.empty(self._count, dtype=np.bool_))
        fresh = np.empty(len(offsets) - 1, dtype=np.bool_)
        own = self._data, self._offsets, self._slots
        self._count = table.add_words(read_only(data), read_only(offsets), *own, self._count, fresh)
        return fresh

    @property
    def words(self) -> Words:
        """All so far; a view, which holds until more are added."""
        offsets = self._offsets[: self._count + 1]
        return Words(self._data[: offsets[-1]], offsets, slots=self._slots)


def _with_room(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """The array, or a copy of twice its length or more if it is shorter than `size`."""
    if size <= len(array):
        return array
    larger = np.empty(max(size, 2 * len(array)), dtype=array.dtype)
    larger[: len(array)] = array
    return larger
