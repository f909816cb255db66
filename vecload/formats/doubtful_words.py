"""Detect words that no writer of word2vec binary files would write, a sign that the file is damaged.

In a word2vec binary file nothing marks the beginning of a row. If bytes are missing or were added (by a transfer in
text mode, a phrase with a space, or a short row), every later word begins in the middle of a value, or every value in
the middle of a word. A reader that only counts bytes would not notice, but the words that it reads show the damage.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.message_text import quote
from vecload.words.doubts import is_utf8

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.words import Words

_CONTROL: Final = "control characters"
_NO_LINE_FEED: Final = "no preceding line feed, unlike the others"
_INVALID: Final = "bytes that are not UTF-8"
# Number of words that make a finding; 1 for the other kinds. A single word may just be in another encoding.
_LEAST: Final = {_INVALID: 2}
# word2vec.c cuts words to fewer than 100 bytes (MAX_STRING), possibly inside a character. Words of at least this length
# may therefore end with an incomplete character.
_CUT: Final = 90
_SPACE: Final = 32
_DELETE: Final = 127


class DoubtfulWords:
    r"""Counts of doubtful words among the words read so far.

    Examples
    --------
    >>> from vecload.words import Words
    >>> doubtful = DoubtfulWords()
    >>> doubtful.add(Words.from_bytes([b"cat", b"\x9d\ndog", b"mat"]), np.array([0, 1, 1]))
    >>> doubtful.text
    "1 of 3 words has control characters, such as '\\udc9d\\ndog': the file may be damaged"
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, bytes] = {}
        self._doubtful = 0
        self._rows = 0
        self._with_line_feed = 0

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
        found: dict[str, npt.NDArray[np.int64]] = {}
        controls = (data < _SPACE) | (data == _DELETE)
        if controls.any():
            found[_CONTROL] = np.searchsorted(offsets, np.flatnonzero(controls), side="right") - 1
        first = 1 if self._rows == 0 else 0  # the first word of a file follows the header
        without = np.flatnonzero(feeds[first:] == 0) + first
        self._with_line_feed += len(feeds) - len(without) - first
        # word2vec.c writes a line feed after each row, gensim does not. In files without them, a word may still begin
        # with a line feed of its own, so a missing one is doubtful only if most words have one.
        if len(without) and self._with_line_feed > (self._rows + len(feeds)) // 2:
            found[_NO_LINE_FEED] = without
        if data.max(initial=0) > 127 and not is_utf8(data.tobytes()):
            suspects = np.unique(np.searchsorted(offsets, np.flatnonzero(data > 127), side="right") - 1)
            invalid = [row for row in suspects.tolist() if not _possible_word(words.bytes(row))]
            if invalid:
                found[_INVALID] = np.array(invalid)
        self._rows += len(words)
        for kind, rows in found.items():
            self._counts[kind] += len(np.unique(rows))
            self._first.setdefault(kind, words.bytes(int(rows[0])))
        self._doubtful += len(np.unique(np.concatenate([*found.values(), np.empty(0, dtype=np.int64)])))

    def __bool__(self) -> bool:
        return any(count >= _LEAST.get(kind, 1) for kind, count in self._counts.items())

    @property
    def mostly(self) -> bool:
        """Whether at least half of all words are doubtful, and more than one."""
        return self._doubtful > 1 and 2 * self._doubtful >= self._rows

    @property
    def text(self) -> str | None:
        """Description of the finding, for ``meta["doubt"]`` and error messages; None without a finding."""
        parts = [
            f"{count:,} of {self._rows:,} words {'has' if count == 1 else 'have'} {kind}, such as {quote(first)}"
            for (kind, count), first in zip(self._counts.items(), self._first.values(), strict=True)
            if count >= _LEAST.get(kind, 1)
        ]
        return f"{'; '.join(parts)}: the file may be damaged" if parts else None


def _possible_word(raw: bytes) -> bool:
    """Return whether bytes are UTF-8, apart from a last character that word2vec.c may have cut."""
    return is_utf8(raw) or (len(raw) >= _CUT and is_utf8(raw.decode("utf-8", "ignore").encode()))
