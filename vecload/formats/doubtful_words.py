"""Words of a binary file that no writer would write: the sign that words and values are out of step.

In a word2vec binary file nothing marks where a row begins. If bytes are missing or were added (a transfer in text mode,
a phrase with a space, a short row), a word begins in the middle of a value, or a value in the middle of a word, and
reading goes on as if nothing had happened. The words show it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.errors import quote
from vecload.words.doubts import is_utf8

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.words import Words

_CONTROL: Final = "control characters"
_UNFED: Final = "no preceding line feed, unlike the others"
_BROKEN: Final = "bytes that are not UTF-8"
_LEAST: Final = {_BROKEN: 2}  # of the other kinds, one word is a finding
_CUT: Final = 90  # word2vec.c cuts words at 98 bytes, perhaps inside a character
_SPACE: Final = 32
_DELETE: Final = 127


class DoubtfulWords:
    r"""Counts of odd words among the words read so far.

    Examples
    --------
    >>> from vecload.words import Words
    >>> odd = DoubtfulWords()
    >>> odd.add(Words.from_bytes([b"cat", b"\x9d\ndog", b"mat"]), np.array([0, 1, 1]))
    >>> odd.text
    "1 of 3 words has control characters, such as '\\udc9d\\ndog': the file may be damaged"
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, bytes] = {}
        self._odd = 0
        self._rows = 0
        self._fed = 0

    def add(self, words: Words, feeds: npt.NDArray[np.int64]) -> None:
        """Count the next words of a file.

        Parameters
        ----------
        words
            The words.
        feeds
            Number of line feeds before each word: int64, shape (n,).
        """
        data, offsets = words.data, words.offsets
        marks: dict[str, npt.NDArray[np.int64]] = {}
        controls = (data < _SPACE) | (data == _DELETE)
        if controls.any():
            marks[_CONTROL] = np.searchsorted(offsets, np.flatnonzero(controls), side="right") - 1
        first = 1 if self._rows == 0 else 0  # the first word of a file follows the header
        unfed = np.flatnonzero(feeds[first:] == 0) + first
        self._fed += len(feeds) - len(unfed) - first
        # Most files have line feeds everywhere or nowhere; a word may begin with one of its own in the latter.
        if len(unfed) and self._fed > (self._rows + len(feeds)) // 2:
            marks[_UNFED] = unfed
        if data.max(initial=0) > 127 and not is_utf8(data.tobytes()):
            suspects = np.unique(np.searchsorted(offsets, np.flatnonzero(data > 127), side="right") - 1)
            broken = [row for row in suspects.tolist() if not _may_be_whole(words.bytes(row))]
            if broken:
                marks[_BROKEN] = np.array(broken)
        self._rows += len(words)
        for kind, rows in marks.items():
            self._counts[kind] += len(np.unique(rows))
            self._first.setdefault(kind, words.bytes(int(rows[0])))
        self._odd += len(np.unique(np.concatenate([*marks.values(), np.empty(0, dtype=np.int64)])))

    def __bool__(self) -> bool:
        return any(count >= _LEAST.get(kind, 1) for kind, count in self._counts.items())

    @property
    def mostly(self) -> bool:
        """Whether half of all words are odd, and more than one."""
        return self._odd > 1 and 2 * self._odd >= self._rows

    @property
    def text(self) -> str | None:
        """The finding as a sentence, for ``meta["doubt"]`` and error messages; None without one."""
        parts = [
            f"{count:,} of {self._rows:,} words {'has' if count == 1 else 'have'} {kind}, such as {quote(first)}"
            for (kind, count), first in zip(self._counts.items(), self._first.values(), strict=True)
            if count >= _LEAST.get(kind, 1)
        ]
        return f"{'; '.join(parts)}: the file may be damaged" if parts else None


def _may_be_whole(raw: bytes) -> bool:
    return is_utf8(raw) or (len(raw) >= _CUT and is_utf8(raw.decode("utf-8", "ignore").encode()))
