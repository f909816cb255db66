"""`WordPolicy`: how a writer treats words that its format cannot represent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.errors import FormatError, OptionError
from vecload.formats.table import Batch
from vecload.message_text import quote
from vecload.words import Words

if TYPE_CHECKING:
    import numpy.typing as npt

POLICIES: Final = ("raise", "skip", "escape")
"""Values of ``unencodable=``."""
DROPPED: Final = "a word the format cannot represent"
"""Cause under which dropped rows are counted."""


class WordPolicy:
    """Policy for words that the target format cannot represent.

    Parameters
    ----------
    form
        Name of the format, for error messages.
    bad
        Bytes that words may not contain.
    policy
        "raise" raises an error; "skip" drops the row; "escape" writes every byte of `bad`, and every ``%``, as ``%``
        and two hexadecimal digits, so that `urllib.parse.unquote_to_bytes` restores all words.
    empty
        Whether the format can represent the empty word, which cannot be escaped.
    utf8
        Whether words must be valid UTF-8; others cannot be escaped.

    Examples
    --------
    >>> policy = WordPolicy("example", b" ", "escape")
    >>> words = Words.from_strings(["New York", "100%"])
    >>> batch = policy.apply(Batch(words.data, words.offsets, np.zeros((2, 1))))
    >>> list(batch.words)
    ['New%20York', '100%25']
    """

    def __init__(self, form: str, bad: bytes, policy: str, *, empty: bool = False, utf8: bool = False) -> None:
        check_policy(policy)
        self._form = form
        self._policy = policy
        self._empty = empty
        self._utf8 = utf8
        # The escape character itself is escaped too: otherwise "100%25" and "100%" would give the same text.
        self._marked = np.zeros(256, dtype=np.bool_)
        self._marked[list(bad + b"%" * (policy == "escape"))] = True
        self.dropped: Counter[str] = Counter()
        """Number of dropped rows, by cause."""

    def apply(self, batch: Batch) -> Batch:
        """Return the batch with words that the format can represent.

        Raises
        ------
        FormatError
            If there is a word that it cannot represent, which is neither escaped nor skipped. The error shows it.
        """
        data, offsets, rows = batch
        # Bytes are looked up in a table and then assigned to words, so that the usual batch costs one pass over them.
        places = np.flatnonzero(self._marked[data])
        marked = np.zeros(len(rows), dtype=np.bool_)
        marked[np.searchsorted(offsets, places, side="right") - 1] = True
        invalid = offsets[1:] == offsets[:-1] if not self._empty else np.zeros_like(marked)
        if self._utf8:
            invalid = invalid | _not_utf8(data, offsets)
        inescapable = invalid
        if self._policy != "escape":
            invalid, marked = invalid | marked, np.zeros_like(marked)
        if not (marked.any() or invalid.any()):
            return batch
        words = Words(data, offsets)
        if invalid.any() and self._policy != "skip":
            row = int(np.argmax(invalid))
            raise self._error(words.bytes(row), escapable=not inescapable[row])
        kept = np.flatnonzero(~invalid)
        self.dropped[DROPPED] += len(words) - len(kept)
        # Strings are made only in the rare batch that has such words.
        raws = [self._escape(words.bytes(row)) if marked[row] else words.bytes(row) for row in kept.tolist()]
        packed = Words.from_bytes(raws)
        return Batch(packed.data, packed.offsets, rows[kept])

    def _escape(self, raw: bytes) -> bytes:
        return b"".join(b"%%%02X" % byte if self._marked[byte] else bytes((byte,)) for byte in raw)

    def _error(self, raw: bytes, *, escapable: bool) -> FormatError:
        ways = "unencodable='skip' (--unencodable skip) leaves such words out"
        if escapable:
            ways += ", 'escape' writes them percent-encoded"
        hint = f"{ways}; or choose a format that can represent any word, such as native."
        return FormatError(f"a word that {self._form} cannot represent", found=quote(raw), hint=hint)


def check_policy(policy: str) -> None:
    """Raise OptionError for an unknown policy."""
    if policy not in POLICIES:
        raise OptionError(f"unencodable={policy!r} is not one of {', '.join(map(repr, POLICIES))}")


def _not_utf8(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return whether each word is invalid UTF-8: bool, shape (n,). Only words with bytes beyond ASCII are decoded."""
    broken = np.zeros(len(offsets) - 1, dtype=np.bool_)
    raw = data.tobytes()
    suspects = np.unique(np.searchsorted(offsets, np.flatnonzero(data >= 0x80), side="right") - 1)
    for word in suspects.tolist():
        try:
            raw[offsets[word] : offsets[word + 1]].decode()
        except UnicodeDecodeError:
            broken[word] = True
    return broken
