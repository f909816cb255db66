"""`Words`: an immutable sequence of packed words with fast lookup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np
import numpy.typing as npt

from vecload.errors import FormatError, VocabularyError, list_of_strings
from vecload.lazy import numba_loaded
from vecload.words.hashing import (
    ABSENT,
    BLOCK,
    FEW,
    MAX_PROBES,
    SOME,
    HashTable,
    build_hash_table,
    longest_run,
    probe,
    read_only,
)

_BLOCK: Final = 1 << 16  # strings that are encoded at a time
_SMALL: Final = 1 << 20  # bytes that NumPy copies in less time than numba takes to load

if TYPE_CHECKING:
    import builtins


def encode(word: str) -> bytes | None:
    """Return the bytes of a word, or None if it has a lone surrogate that does not stand for a byte."""
    try:
        return word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None


class Words(Sequence[str]):
    """Immutable sequence of words with fast lookup.

    Parameters
    ----------
    data
        Concatenated bytes of the words: uint8, shape (bytes,).
    offsets
        Offset of each word, and the end of the last one: int64, shape (n + 1,).
    slots
        Hash table of the words, or the slots of a table without a key. Built at the first lookup by default.
    checked
        False for arrays from a file that were not checked yet. They are checked once, before compiled code uses them.
        Looking up single words needs no check, because it trusts neither the table nor the offsets.

    Notes
    -----
    A word that occurs more than once keeps all its rows. Lookups return the first one.

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
        # Slots and key are replaced together, in one assignment, so that no thread combines those of two tables.
        self._table: HashTable | None = None
        if slots is not None:
            table = slots if isinstance(slots, HashTable) else HashTable(slots)
            self._table = table._replace(slots=read_only(table.slots))
        if not checked and len(self) and self._find(self.bytes(0)) != 0:
            # The table does not find the first word: it is empty (see `slots`) or damaged. A new one is built later.
            self._table = None

    @classmethod
    def from_strings(cls, strings: Iterable[str]) -> Words:
        """Return the packed form of strings.

        Raises
        ------
        VocabularyError
            If a string has a lone surrogate that does not stand for a byte, so it cannot be encoded.
        OptionError
            If one string is passed instead of several, or an item is not a string.

        Examples
        --------
        >>> Words.from_strings("to be or not to be".split())
        <Words: 6 words, 'to' … 'be'>
        """
        if isinstance(strings, Words):
            return strings
        given = list_of_strings("words", strings)
        # Bytes objects take several times the memory of their bytes, so only some exist at a time.
        blocks, lengths = [np.empty(0, dtype=np.uint8)], [np.zeros(1, dtype=np.int64)]
        for begin in range(0, len(given), _BLOCK):
            packed = []
            for string in given[begin : begin + _BLOCK]:
                raw = encode(string)
                if raw is None:
                    raise VocabularyError(f"{string!a} contains a lone surrogate, which cannot be encoded as UTF-8")
                packed.append(raw)
            blocks.append(np.frombuffer(b"".join(packed), dtype=np.uint8))
            lengths.append(np.fromiter(map(len, packed), dtype=np.int64, count=len(packed)))
        return cls(np.concatenate(blocks), np.cumsum(np.concatenate(lengths)))

    @classmethod
    def from_bytes(cls, packed: Sequence[bytes]) -> Words:
        """Return the packed form of words that are already encoded."""
        data = np.frombuffer(b"".join(packed), dtype=np.uint8)
        ends = accumulate((len(raw) for raw in packed), initial=0)
        return cls(data, np.fromiter(ends, dtype=np.int64, count=len(packed) + 1))

    @property
    def data(self) -> npt.NDArray[np.uint8]:
        """Concatenated bytes of the words: uint8, shape (bytes,), read-only."""
        self._check()
        return self._data

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Offset of each word, and the end of the last one: int64, shape (n + 1,), read-only."""
        self._check()
        return self._offsets

    @property
    def slots(self) -> npt.NDArray[np.uint64]:
        """Slots of the hash table as native files store them: uint64, read-only.

        All zeros if too many words collide under the hash without a key, because a key is never stored. A reader that
        finds such a table builds its own.
        """
        table = self.table
        return table.slots if table.key is None else np.zeros_like(table.slots)

    @property
    def table(self) -> HashTable:
        """Hash table in the form that `vecload.kernels.hash_table` takes, read-only."""
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
        """Raise unless all offsets, and all rows in the table, are in range; drop a table with runs that are too long.

        A lookup ends after `MAX_PROBES` slots, so it would miss words in a longer run of taken slots. vecload never
        writes such a table.
        """
        if self._checked:
            return
        # Kernels do not check bounds, so this is where an untrusted file is made safe for them. The table is checked in
        # blocks, without a temporary array of its size.
        offsets, table = self._offsets, self._table
        fits = offsets[0] == 0 and offsets[-1] <= len(self._data) and bool((offsets[1:] >= offsets[:-1]).all())
        if fits and table is not None:
            free = 0
            crowded = False
            for begin in range(0, len(table.slots), BLOCK):
                block = table.slots[begin : begin + BLOCK]
                empty = block == 0
                free += int(np.count_nonzero(empty))
                rows = block.astype(np.uint32)  # drops the tag, which is in the upper half
                fits &= bool(rows.max() <= len(self)) and np.count_nonzero(rows) == np.count_nonzero(block)
                # A run of MAX_PROBES slots fills at least one aligned piece of half that length, so a block with a
                # free slot in every piece has no such run. The exact search runs only if this quick test fails.
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
        """Whether no word occurs more than once.

        Words mapped from a file are assumed to be distinct until they are checked, because finding out would read all
        of them.
        """
        if not self._checked:
            return True
        if self._distinct is None:
            # The table has one entry for each distinct word.
            self._distinct = int(np.count_nonzero(self._built().slots)) == len(self)
        return self._distinct

    @property
    def nbytes(self) -> int:
        """Number of bytes of the arrays of the words and their table."""
        return self._data.nbytes + self._offsets.nbytes + self._built().slots.nbytes

    def bytes(self, row: int) -> bytes:
        """Return the bytes of one word."""
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
        at = range(len(self))[row]  # handles negative rows and raises IndexError, as a list does
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
        # A key must stay secret, so a keyed table is not pickled but built again.
        return _unpickle, (self.data, self._offsets, table.slots if table.key is None else None)

    def get(self, word: str, default: int = -1) -> int:
        """Return the row number of one word, or `default` if it is missing. Needs no compiled code."""
        raw = encode(word)
        if raw is None:
            return default
        row = self._find(raw)
        if row < ABSENT:
            # The search gave up after MAX_PROBES slots, so vecload did not build this table: checking drops it.
            self._check()
            row = self._find(raw)
        return row if row >= 0 else default

    def _find(self, raw: builtins.bytes) -> int:
        return probe(self._data, self._offsets, self._built(), raw)

    def index(self, word: str, start: int = 0, stop: int | None = None) -> int:
        """Return the row number of one word, as ``list.index`` does.

        Raises
        ------
        ValueError
            If the word is missing.
        """
        row = self.get(word)
        if row not in range(len(self))[start:stop]:
            raise ValueError(f"{word!r} is not among the {len(self):,} words")
        return row

    def lookup(self, words: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the row numbers of many words: int64, shape (k,), -1 where a word is missing.

        Examples
        --------
        >>> Words.from_strings(["a", "b"]).lookup(["b", "b", "c"])
        array([ 1,  1, -1])
        """
        if not isinstance(words, Words):
            words = list_of_strings("words", words)
            if len(words) <= FEW or (len(words) <= SOME and not numba_loaded()):
                return np.array([self.get(word) for word in words], dtype=np.int64)
            raws = [encode(word) for word in words]
            absent = [at for at, raw in enumerate(raws) if raw is None]
            data = np.frombuffer(b"".join(raw or b"" for raw in raws), dtype=np.uint8)
            ends = accumulate((len(raw or b"") for raw in raws), initial=0)
            offsets = np.fromiter(ends, dtype=np.int64, count=len(raws) + 1)
        else:
            data, offsets, absent = words.data, words.offsets, []
        rows = np.empty(len(offsets) - 1, dtype=np.int64)
        from vecload.kernels import hash_table

        queries = read_only(data), read_only(offsets[:-1]), read_only(offsets[1:])
        hash_table.lookup(*queries, self.data, self._offsets, *self.table, rows)
        rows[absent] = -1
        return rows

    def take(self, rows: npt.ArrayLike) -> Words:
        """Return the words at some rows, in that order; negative rows count from the end.

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
    """Copy the words ``text[starts[i]:stops[i]]`` to a new buffer; return its bytes and int64 offsets."""
    starts, stops = starts.astype(np.int64, copy=False), stops.astype(np.int64, copy=False)
    offsets = np.zeros(len(starts) + 1, dtype=np.int64)
    np.cumsum(stops - starts, out=offsets[1:])
    hint = "Another process may have changed the file while it was read."
    if offsets[-1] < 0:
        raise FormatError("corrupt word index: offsets out of range", hint=hint)
    if len(starts) <= FEW or (offsets[-1] <= _SMALL and not numba_loaded()):
        sizes = stops - starts
        if len(starts) and (sizes.min() < 0 or starts.min() < 0 or stops.max() > len(text)):
            raise FormatError("corrupt word index: offsets out of range", hint=hint)
        return text[np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes)], offsets
    from vecload.kernels import hash_table

    data = np.empty(offsets[-1], dtype=np.uint8)
    if not hash_table.copy_words(read_only(text), read_only(starts), data, read_only(offsets)):
        raise FormatError("corrupt word index: offsets out of range", hint=hint)
    return data, offsets


def _unpickle(data: Any, offsets: Any, slots: Any) -> Words:
    return Words(data, offsets, slots=slots)
