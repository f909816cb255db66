"""What writers share: words and values that a format cannot represent, and the bytes of arrays."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.errors import FormatError, OptionError, quote
from vecload.formats.contract import Batch
from vecload.words import Words

if TYPE_CHECKING:
    import numpy.typing as npt

POLICIES: Final = ("raise", "skip", "escape")
"""What can be done about a word that a format cannot hold."""
DROPPED: Final = "a word the format cannot hold"
"""The cause under which dropped rows are counted."""


class Filter:
    """Sees to it that a format can hold every word.

    Parameters
    ----------
    form
        The format's name, for the message.
    bad
        Bytes that may be in no word.
    policy
        "raise" raises an error; "skip" omits the row; "escape" writes every byte of `bad`, and every ``%``, as ``%``
        and two hexadecimal digits, so that `urllib.parse.unquote_to_bytes` gives all words back.
    empty
        Whether the format can hold the empty word; it cannot be escaped.
    utf8
        Whether words must be UTF-8; what is not cannot be escaped.

    Examples
    --------
    >>> filter = Filter("example", b" ", "escape")
    >>> words = Words.from_strings(["New York", "100%"])
    >>> batch = filter(Batch(words.data, words.offsets, np.zeros((2, 1))))
    >>> list(Words(batch.data, batch.offsets))
    ['New%20York', '100%25']
    """

    def __init__(self, form: str, bad: bytes, policy: str, *, empty: bool = False, utf8: bool = False) -> None:
        if policy not in POLICIES:
            raise OptionError(f"unencodable={policy!r} is not one of {', '.join(map(repr, POLICIES))}")
        self._form = form
        self._bad = bad
        self._policy = policy
        self._empty = empty
        self._utf8 = utf8
        self._marked = np.zeros(256, dtype=np.bool_)
        self._marked[list(bad + b"%" * (policy == "escape"))] = True
        self.dropped: Counter[str] = Counter()

    def __call__(self, batch: Batch) -> Batch:
        """The batch with words the format can hold.

        Raises
        ------
        FormatError
            Names the word that it cannot.
        """
        data, offsets, rows = batch
        places = np.flatnonzero(self._marked[data])
        marked = np.zeros(len(rows), dtype=np.bool_)
        marked[np.searchsorted(offsets, places, side="right") - 1] = True
        unholdable = offsets[1:] == offsets[:-1] if not self._empty else np.zeros_like(marked)
        if self._utf8:
            unholdable = unholdable | _not_utf8(data, offsets)
        hopeless = unholdable
        if self._policy != "escape":
            unholdable, marked = unholdable | marked, np.zeros_like(marked)
        if not (marked.any() or unholdable.any()):
            return batch
        words = Words(data, offsets)
        if unholdable.any() and self._policy != "skip":
            row = int(np.argmax(unholdable))
            raise self._refusal(words.bytes(row), escapable=not hopeless[row])
        kept = np.flatnonzero(~unholdable)
        self.dropped[DROPPED] += len(words) - len(kept)
        raws = [self._escaped(words.bytes(row)) if marked[row] else words.bytes(row) for row in kept.tolist()]
        packed = Words.from_bytes(raws)
        return Batch(packed.data, packed.offsets, rows[kept])

    def _escaped(self, raw: bytes) -> bytes:
        return b"".join(b"%%%02X" % byte if self._marked[byte] else bytes((byte,)) for byte in raw)

    def _refusal(self, raw: bytes, *, escapable: bool) -> FormatError:
        ways = "unencodable='skip' (--unencodable skip) leaves such words out"
        if escapable:
            ways += ", 'escape' writes them percent-encoded"
        hint = f"{ways}; or choose a format that holds any word, such as native."
        return FormatError(f"a word that {self._form} cannot hold", found=quote(raw), hint=hint)


def _not_utf8(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which words are no valid UTF-8: bool, shape (n,)."""
    broken = np.zeros(len(offsets) - 1, dtype=np.bool_)
    raw = data.tobytes()
    suspects = np.unique(np.searchsorted(offsets, np.flatnonzero(data >= 0x80), side="right") - 1)
    for word in suspects.tolist():
        try:
            raw[offsets[word] : offsets[word + 1]].decode()
        except UnicodeDecodeError:
            broken[word] = True
    return broken


def single(batch: Batch, form: str) -> npt.NDArray[np.float32]:
    """The rows in single precision: little-endian float32 in C order.

    Raises
    ------
    FormatError
        When a double is finite and too large for it: names its word and the format.
    """
    with np.errstate(over="ignore"):
        rows: npt.NDArray[np.float32] = np.ascontiguousarray(batch.rows, dtype="<f4")
    if batch.rows.dtype.itemsize > rows.itemsize:
        lost = (np.isinf(rows) & np.isfinite(batch.rows)).any(axis=1)
        if lost.any():
            found = f"one in the row of {quote(Words(batch.data, batch.offsets).bytes(int(np.argmax(lost))))}"
            hint = "Choose a format that holds float64, such as native."
            raise FormatError(f"a value too large for {form}, which holds float32", found=found, hint=hint)
    return rows


def as_bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The bytes of an array in C order, one dimension."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
