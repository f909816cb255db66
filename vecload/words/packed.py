"""`Words`, and how words are packed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from vecload.errors import FormatError, VocabularyError, list_of_strings
from vecload.words.hashing import (
    ABSENT,
    BLOCK,
    FEW,
    MAX_PROBES,
    HashTable,
    build_hash_table,
    longest_run,
    probe,
    read_only,
)

if TYPE_CHECKING:
    import builtins


def encode(word: str) -> bytes | None:
    """The word's bytes; None for a string that no file can hold (a surrogate that escapes no byte)."""
    try:
        return word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None


class Words(Sequence[str]):
    """An immutable sequence of words with fast look-up.

    Parameters
    ----------
    data
        The words' bytes, one behind the other: uint8, shape (bytes,).
    offsets
        Where each word begins, and the end of the last: int64, shape (n + 1,).
    slots
        Their hash table, or the array `slots` of one without a key. Built at the first look-up if not given.
    checked
        False for arrays that come from a file as they are. Then they are checked once, before compiled code follows
        them; looking up single words does without.

    Notes
    -----
    A word that occurs twice keeps both places in the sequence; look-ups give the first.

    Examples
    --------
    >>> words = Words.from_strings(["cat", "dog", "北海道"])
    >>> words[2], words.index("dog"), "cow" in words
    ('北海道', 1, False)
    >>> words.lookup(["dog", "cow"])
    array([ 1, -1])
    """

    __slots__ = ("_checked", "_data", "_distinct", "_offsets", "_table")

    def __init__(
        self,
        data: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        *,
        slots: HashTable | npt.NDArray[np.uint64] | None = None,
        checked: bool = True,
    ) -> None:
        self._checked = checked
        self._distinct: bool | None = None
        self._data = read_only(data)
        self._offsets = read_only(offsets)
        # Replaced as a whole by a table with another key, so that no thread sees slots and key of two tables.
        self._table: HashTable | None = None
        if slots is not None:
            table = slots if isinstance(slots, HashTable) else HashTable(slots)
            self._table = table._replace(slots=read_only(table.slots))
        if not checked and len(self) and self._find(self.bytes(0)) != 0:
            self._table = None  # the table in the file is empty, see `slots`, or damaged

    @classmethod
    def from_strings(cls, strings: Iterable[str]) -> Words:
        """Pack strings.

        Raises
        ------
        VocabularyError
            For a lone surrogate that stands for no byte: no file can store it.
        OptionError
            For one string instead of several, and for anything but strings.

        Examples
        --------
        >>> Words.from_strings("to be or not to be".split())
        <Words: 6 words, 'to' … 'be'>
        """
        if isinstance(strings, Words):
            return strings
        packed = []
        for string in list_of_strings("words", strings):
            raw = encode(string)
            if raw is None:
                raise VocabularyError(f"{string!a} holds a lone surrogate, which is no character of any text")
            packed.append(raw)
        return cls.from_bytes(packed)

    @classmethod
    def from_bytes(cls, packed: Sequence[bytes]) -> Words:
        """Pack words that are bytes already."""
        data = np.frombuffer(b"".join(packed), dtype=np.uint8)
        ends = accumulate((len(raw) for raw in packed), initial=0)
        return cls(data, np.fromiter(ends, dtype=np.int64, count=len(packed) + 1))

    @property
    def data(self) -> npt.NDArray[np.uint8]:
        """The words' bytes, uint8, shape (bytes,), read-only."""
        self._check()
        return self._data

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Where each word begins and the last one ends, int64, shape (n + 1,), read-only."""
        self._check()
        return self._offsets

    @property
    def slots(self) -> npt.NDArray[np.uint64]:
        """The hash table as native files store it, uint64, read-only.

        All zeros if too many words collide under the hash without a key. A reader that finds such a table builds one
        of its own.
        """
        table = self.table
        return table.slots if table.key is None else np.zeros_like(table.slots)

    @property
    def table(self) -> HashTable:
        """The hash table as `vecload.kernels.hash_table` takes it, read-only."""
        self._check()
        return self._built()

    def _built(self) -> HashTable:
        table = self._table
        if table is None:
            self._check()
            built, _ = build_hash_table(self._data, self._offsets)
            self._table = table = built._replace(slots=read_only(built.slots))
        return table

    def _check(self) -> None:
        """Raise unless every offset and every row in the table is in range; drop a table with too long runs.

        A look-up ends after `MAX_PROBES` slots, so no run of taken slots may be as long. vecload writes no table with
        such a run.
        """
        if self._checked:
            return
        offsets, table = self._offsets, self._table
        fits = offsets[0] == 0 and offsets[-1] <= len(self._data) and bool((offsets[1:] >= offsets[:-1]).all())
        if fits and table is not None:
            free = 0
            crowded = False
            for begin in range(0, len(table.slots), BLOCK):
                block = table.slots[begin : begin + BLOCK]
                empty = block == 0
                free += int(np.count_nonzero(empty))
                rows = block.astype(np.uint32)  # the lower half
                fits &= bool(rows.max() <= len(self)) and np.count_nonzero(rows) == np.count_nonzero(block)
                # A run of MAX_PROBES slots covers one of these pieces whole.
                crowded |= len(block) >= MAX_PROBES and not empty.reshape(-1, MAX_PROBES // 2).any(axis=1).all()
            fits &= free > 0
            if crowded and longest_run(table.slots) >= MAX_PROBES:
                self._table = None
        if not fits:
            hint = "The file is damaged: write or fetch it again."
            raise FormatError("corrupt word index: offsets or hash slots out of range", hint=hint)
        self._checked = True

    @property
    def distinct(self) -> bool:
        """Whether no word occurs twice.

        Words mapped from a file count as distinct until they are checked, because looking would read all of them.
        """
        if not self._checked:
            return True
        if self._distinct is None:
            # The table has one entry for each different word.
            self._distinct = int(np.count_nonzero(self._built().slots)) == len(self)
        return self._distinct

    @property
    def nbytes(self) -> int:
        """Bytes taken by the arrays of the words and their table."""
        return self._data.nbytes + self._offsets.nbytes + self._built().slots.nbytes

    def bytes(self, row: int) -> bytes:
        """The bytes of one word."""
        return self._data[self._offsets[row] : self._offsets[row + 1]].tobytes()

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> Words: ...
    def __getitem__(self, row: int | slice) -> str | Words:
        if isinstance(row, slice):
            return self.take(np.arange(len(self))[row])
        at = range(len(self))[row]  # as a list does: negative rows, IndexError
        return self.bytes(at).decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        begin = 0
        raw = self.data.tobytes()
        for end in self._offsets[1:].tolist():
            yield raw[begin:end].decode("utf-8", "surrogateescape")
            begin = end

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self.get(word) >= 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Words):
            return NotImplemented
        return np.array_equal(self.offsets, other.offsets) and np.array_equal(self.data, other.data)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if not len(self):
            return "<Words: none>"
        return f"<Words: {len(self):,} words, {self[0]!r} … {self[-1]!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        table = self.table
        return _unpickle, (
            self.data,
            self._offsets,
            table.slots if table.key is None else None,
        )  # a key is not passed on

    def get(self, word: str, default: int = -1) -> int:
        """Row number of one word, or `default`. Needs no compiled code."""
        raw = encode(word)
        if raw is None:
            return default
        row = self._find(raw)
        if row < ABSENT:  # a table from a file may have longer runs than vecload's own: checking drops it
            self._check()
            row = self._find(raw)
        return row if row >= 0 else default

    def _find(self, raw: builtins.bytes) -> int:
        return probe(self._data, self._offsets, self._built(), raw)

    def index(self, word: str, start: int = 0, stop: int | None = None) -> int:
        """Row number of one word, as ``list.index``.

        Raises
        ------
        ValueError
            When the word is not there.
        """
        row = self.get(word)
        if row not in range(len(self))[start:stop]:
            raise ValueError(f"{word!r} is not among the {len(self):,} words")
        return row

    def lookup(self, words: Iterable[str]) -> npt.NDArray[np.int64]:
        """Row numbers of many words: int64, shape (k,), -1 where a word is absent.

        Examples
        --------
        >>> Words.from_strings(["a", "b"]).lookup(["b", "b", "c"])
        array([ 1,  1, -1])
        """
        if not isinstance(words, Words):
            words = list_of_strings("words", words)
            if len(words) <= FEW:
                return np.array([self.get(word) for word in words], dtype=np.int64)
            raws = [encode(word) for word in words]
            absent = [at for at, raw in enumerate(raws) if raw is None]
            data = np.frombuffer(b"".join(raw or b"" for raw in raws), dtype=np.uint8)
            ends = accumulate((len(raw or b"") for raw in raws), initial=0)
            offsets = np.fromiter(ends, dtype=np.int64, count=len(raws) + 1)
        else:
            data, offsets, absent = words.data, words.offsets, []
        rows = np.empty(len(offsets) - 1, dtype=np.int64)
        from vecload.kernels import hash_table  # not needed to open a file and look at a few words

        queries = read_only(data), read_only(offsets[:-1]), read_only(offsets[1:])
        hash_table.lookup(*queries, self.data, self._offsets, *self.table, rows)
        rows[absent] = -1
        return rows

    def take(self, rows: npt.ArrayLike) -> Words:
        """The words at some rows, in that order; negative rows count from the end.

        Examples
        --------
        >>> list(Words.from_strings(["a", "b", "c"]).take([2, 0]))
        ['c', 'a']
        """
        at = np.asarray(rows, dtype=np.int64)
        at = np.where(at < 0, at + len(self), at)
        self._check()
        return Words(*pack(self._data, self._offsets[at], self._offsets[at + 1]))


def pack(
    text: npt.NDArray[np.uint8], starts: npt.NDArray[Any], stops: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Copy the words ``text[starts[i]:stops[i]]`` into a buffer of their own: its bytes and int64 offsets."""
    starts, stops = starts.astype(np.int64, copy=False), stops.astype(np.int64, copy=False)
    offsets = np.zeros(len(starts) + 1, dtype=np.int64)
    np.cumsum(stops - starts, out=offsets[1:])
    hint = "Another process may have changed the file while it was read."
    if offsets[-1] < 0:
        raise FormatError("corrupt word index: offsets out of range", hint=hint)
    data = np.empty(offsets[-1], dtype=np.uint8)
    if len(starts) > FEW:
        from vecload.kernels import hash_table  # not needed for a handful of words

        if not hash_table.copy_words(read_only(text), read_only(starts), data, read_only(offsets)):
            raise FormatError("corrupt word index: offsets out of range", hint=hint)
        return data, offsets
    for at, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        data[offsets[at] : offsets[at + 1]] = text[start:stop]
    return data, offsets


def _unpickle(data: Any, offsets: Any, slots: Any) -> Words:
    return Words(data, offsets, slots=slots)
