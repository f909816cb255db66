"""`NgramTable`: the vector of a word is the mean of the rows of its character n-grams.

The rules are those of fastText (``Dictionary::computeSubwords`` in ``dictionary.cc``: FNV-1a, one row per n-gram), of
floret (its own ``dictionary.cc``: MurmurHash3, one to four rows per n-gram, and rows for the whole word) and of
finalfusion (``FinalfusionHashIndexer``: FNV-1a of code points; ``ExplicitIndexer``: a list of n-grams).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from vecload.errors import OptionError, list_of_strings
from vecload.message_text import shorten
from vecload.ngrams.encoding import UTF8, encode_packed, encode_word
from vecload.ngrams.rows import DenseRows, Rows
from vecload.saved import LONGEST_MARK, LONGEST_NGRAM
from vecload.threads import Pool
from vecload.words import Words, encode, read_only

if TYPE_CHECKING:
    from collections.abc import Iterator


Kind = Literal["fasttext", "floret", "finalfusion", "explicit"]

MURMUR_SEED: Final = 2166136261
"""Default seed of MurmurHash3 in floret (``Dictionary::MURMURHASH_SEED``)."""

_END_OF_LINE = b"</s>"
# Row numbers of a block of n-grams are computed before any row is added. Blocks bound the memory for these numbers and
# are the pieces of work for threads.
_BLOCK = 1 << 17
# Up to this many words, rows are read from the file one by one instead of mapped (`DenseRows`). The rows of a block are
# then copied, so blocks are smaller.
_FEW = 2048
_SMALL_BLOCK = 1 << 13
_CHARACTER = re.compile(rb"[^\x80-\xbf][\x80-\xbf]*")


class NgramTable:
    """Vectors of character n-grams, and the rule that selects rows for a word.

    Parameters
    ----------
    rows
        A float matrix, shape (rows, dim), or `DenseRows` or `QuantizedRows`.
    minn, maxn
        Number of characters in the shortest and longest n-gram, including the boundary marks; maxn = 0 for none.
    bucket
        Number of hash buckets: the bucket of an n-gram is its hash modulo this number. Defaults to the number of rows;
        0 means no n-grams.
    kept
        For a pruned table: the buckets that were kept and the row of each, int32, shape (k, 2). None: bucket i has row
        i.
    kind
        "fasttext", "floret" or "finalfusion"; "explicit" for the n-grams in `listed`.
    hash_count, seed, bow, eow
        For floret: number of rows per n-gram, 1 to 4; seed of the hash; marks for the beginning and end of a word.
    eos_ngrams
        Whether ``</s>``, the end of a line, has n-grams like any other word, as in fastText models from before May 2017
        and in gensim. Only for ``kind="fasttext"``; floret always gives it n-grams.
    listed
        For ``kind="explicit"``: the n-grams that have a row, and the row of each, int64. Others have none.
    encoding
        Encoding of the bytes that are hashed. Words that it cannot represent have no n-grams.

    Raises
    ------
    OptionError
        If an option is out of range, or an n-gram could select a row that does not exist.

    Notes
    -----
    Sums are computed in float32, in the order of fastText and floret. A table is immutable and can be pickled. Many
    words are processed on several threads.

    Examples
    --------
    >>> table = NgramTable(np.eye(10, 3, dtype="float32"), minn=3, maxn=6)
    >>> table.ngrams("cat")
    ['<ca', '<cat', '<cat>', 'cat', 'cat>', 'at>']
    >>> table.vectors(["cat", "dog"]).shape, table.counts(["cat", ""])
    ((2, 3), array([6, 0]))
    """

    def __init__(
        self,
        rows: npt.NDArray[Any] | Rows,
        *,
        minn: int,
        maxn: int,
        bucket: int | None = None,
        kept: npt.NDArray[np.int32] | None = None,
        kind: Kind = "fasttext",
        hash_count: int = 1,
        seed: int = MURMUR_SEED,
        bow: str = "<",
        eow: str = ">",
        eos_ngrams: bool = False,
        listed: tuple[Words, npt.NDArray[np.int64]] | None = None,
        encoding: str = UTF8,
    ) -> None:
        self.rows: Rows = DenseRows(rows) if isinstance(rows, np.ndarray) else rows
        count, self.dim = self.rows.shape
        self.minn, self.maxn = minn, maxn
        self.bucket = count if bucket is None else bucket
        self.kind: Kind = kind
        self.hash_count, self.seed = hash_count, seed
        self.bow, self.eow = bow, eow
        self.eos_ngrams = eos_ngrams
        self.listed = listed
        self.encoding = encoding
        # Sorted by bucket, for the binary search of the kernels.
        self.kept = None if kept is None else _sorted(np.asarray(kept, dtype=np.int32).reshape(-1, 2))
        if kind not in get_args(Kind):
            raise OptionError(f"kind={kind!r} is not one of {', '.join(map(repr, get_args(Kind)))}")
        numbers = {"minn": minn, "maxn": maxn, "bucket": self.bucket, "hash_count": hash_count, "seed": seed}
        for name, number in numbers.items():
            if not isinstance(number, (int, np.integer)) or isinstance(number, bool):
                raise OptionError(f"{name} must be an integer, got {shorten(number)}")
        if not isinstance(eos_ngrams, bool):
            raise OptionError(f"eos_ngrams must be True or False, got {shorten(eos_ngrams)}")
        for mark in (bow, eow):
            if not isinstance(mark, str) or len(mark) > LONGEST_MARK or encode(mark) is None:
                raise OptionError(
                    f"a boundary mark must be text of up to {LONGEST_MARK} characters, got {shorten(mark)}"
                )
        if not (0 <= minn <= LONGEST_NGRAM and 0 <= maxn <= LONGEST_NGRAM):
            raise OptionError(f"minn and maxn must be 0 to {LONGEST_NGRAM}, got {minn} and {maxn}")
        if not (1 <= hash_count <= 4 and 0 <= seed < 1 << 32):
            raise OptionError(f"hash_count must be 1 to 4 and seed 0 to 4294967295, got {hash_count} and {seed}")
        if kind != "fasttext" and self.kept is not None:
            raise OptionError(f"{kind} tables are never pruned")
        if (kind == "explicit") != (listed is not None):
            raise OptionError("listed= belongs to kind='explicit'")
        if listed is not None and (len(listed[0]) != len(listed[1]) or not _within(listed[1], count)):
            raise OptionError(f"listed= needs a row, 0 to {count - 1:,}, for each of {len(listed[0]):,} n-grams")
        if not 0 <= self.bucket < 1 << 31:
            raise OptionError(f"bucket must be 0 to 2147483647, got {self.bucket}")
        # Kernels add rows without bounds checks: this is the check that every bucket has a row of the table.
        if self.bucket > count if self.kept is None else not _within(self.kept[:, 1], count):
            raise OptionError(f"n-grams can select rows that do not exist: the table has {count:,} rows")

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (self.rows, self.kept, self.settings, self.listed)

    def __repr__(self) -> str:
        count = self.rows.shape[0]
        return f"<NgramTable: {count:,} rows × {self.dim}, {self.kind}, {self.minn} to {self.maxn} characters>"

    @property
    def settings(self) -> dict[str, Any]:
        """Keyword arguments of the table without its arrays; all are JSON values."""
        names = ("minn", "maxn", "bucket", "kind", "hash_count", "seed", "bow", "eow")
        settings = {name: getattr(self, name) for name in names}
        more = {"eos_ngrams": True} if self.eos_ngrams else {}
        return {**settings, **more, **({} if self.encoding == UTF8 else {"encoding": self.encoding})}

    def with_encoding(self, encoding: str) -> NgramTable:
        """Return the same table for words in another encoding, such as that of the text it was learned from."""
        return _revive(self.rows, self.kept, {**self.settings, "encoding": encoding}, self.listed)

    def ngrams(self, word: str) -> list[str]:
        """Return the n-grams of a word in order, including pruned ones and ones with the same row.

        Examples
        --------
        >>> NgramTable(np.zeros((1, 1)), minn=2, maxn=2).ngrams("日本")
        ['<日', '日本', '本>']
        """
        given = encode(word)
        raw = None if given is None else encode_word(given, self.encoding)
        if raw is None or (raw == _END_OF_LINE and self.kind == "fasttext" and not self.eos_ngrams):
            return []
        bow, eow = self._marks
        marked = bow + raw + eow
        # A character is a byte and the continuation bytes after it, in any bytes. A boundary mark alone is not an
        # n-gram.
        starts = [match.start() for match in _CHARACTER.finditer(marked)]
        stops = [*starts[1:], len(marked)]
        found = [marked] if self.kind == "floret" and raw else []
        finalfusion = self.kind in ("finalfusion", "explicit")
        for first in range(len(starts)):
            lasts = range(first + max(self.minn, 1) - 1, min(first + self.maxn, len(starts)))
            for last in reversed(lasts) if finalfusion else lasts:
                start, stop = starts[first], stops[last]
                if finalfusion or first < last or not (start == 0 or stop == len(marked)):
                    found.append(marked[start:stop])
        return [ngram.decode(self.encoding, "surrogateescape") for ngram in found]

    def vectors(self, words: Iterable[str]) -> npt.NDArray[np.float32]:
        """Compose the vectors of words from their n-grams: float32, shape (k, dim).

        Each vector is the mean of the rows of the word's n-grams, or zeros if it has none (`counts`).

        Examples
        --------
        >>> NgramTable(np.full((9, 2), 0.5), minn=3, maxn=3).vectors(["cat", "a", ""]).tolist()
        [[0.5, 0.5], [0.5, 0.5], [0.0, 0.0]]
        """
        data, offsets, invalid = _packed(words)
        means = np.zeros((len(offsets) - 1, self.dim), dtype=np.float32)
        self.compose(data, offsets, means)
        means[invalid] = 0
        return means

    def __getitem__(self, word: str) -> npt.NDArray[np.float32]:
        """Compose the vector of one word, shape (dim,); zeros if it has no n-grams."""
        vector: npt.NDArray[np.float32] = self.vectors([word])[0]
        return vector

    def counts(self, words: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the number of rows in the mean of each word: int64, shape (k,)."""
        data, offsets, invalid = _packed(words)
        counts = np.zeros(len(offsets) - 1, dtype=np.int64)
        for begin, end in self._blocks(offsets, _BLOCK):
            counts[begin:end] = np.diff(self.find_rows(data, offsets[begin : end + 1])[1], prepend=0)
        counts[invalid] = 0
        return counts

    def compose(
        self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], sums: npt.NDArray[np.float32], own: int = 0
    ) -> None:
        """Add the rows of packed words to `sums`, in place, and divide each sum by its number of rows.

        `own` is the number of rows that each sum contains already, such as the word's own row.
        """
        from vecload.kernels import ngrams

        ngrams.divide(sums, read_only(self.add(data, offsets, sums) + own))

    def add(
        self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], sums: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.int64]:
        """Add the rows of packed words to `sums`, in place.

        Parameters
        ----------
        data, offsets
            The words, packed as in `Words`.
        sums
            float32, shape (k, dim).

        Returns
        -------
        int64, shape (k,)
            Number of rows added to each sum.
        """
        # Words of a block are independent and added in order, so results do not depend on the number of threads.
        counts = np.zeros(len(sums), dtype=np.int64)
        sparse = len(sums) <= _FEW

        def work(block: tuple[int, int]) -> None:
            begin, end = block
            rows, ends = self.find_rows(data, offsets[begin : end + 1])
            self.rows.add(rows, ends, sums[begin:end], sparse=sparse)
            counts[begin:end] = np.diff(ends, prepend=0)

        blocks = list(self._blocks(offsets, _SMALL_BLOCK if sparse else _BLOCK))
        if len(blocks) <= 1:
            for block in blocks:
                work(block)
            return counts
        from vecload.kernels import workers

        with Pool(workers()) as pool:
            for _ in pool.map(work, blocks):
                pass
        return counts

    def sum_word_ngrams(self, words: Iterable[str], length: int) -> tuple[npt.NDArray[np.float32], int]:
        """Sum the rows of the n-grams of 2 to `length` *words* of one line: the sum, shape (dim,), and number of rows.

        Supervised fastText models trained with ``wordNgrams`` add them to the rows of the words
        (``Dictionary::addWordNgrams``). They use the same buckets as character n-grams.
        """
        from vecload.kernels import ngrams

        data, offsets, _ = encode_packed(*_packed(words)[:2], self.encoding)
        count = len(offsets) - 1
        # A model file states the length; limiting it to the length of the line bounds the memory for row numbers.
        rows = np.empty(count * max(min(length, count) - 1, 0), dtype=np.int64)
        total = np.zeros((1, self.dim), dtype=np.float32)
        count = ngrams.phrase_rows(read_only(data), read_only(offsets), length, self.bucket, *self._pruning, rows)
        self.rows.add(rows[:count], np.array([count]), total, sparse=True)
        return total[0], int(count)

    @property
    def _marks(self) -> tuple[bytes, bytes]:
        return self.bow.encode("utf-8", "surrogateescape"), self.eow.encode("utf-8", "surrogateescape")

    @property
    def _pruning(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], bool]:
        """Kept buckets in ascending order, their rows, and whether the table is pruned at all."""
        kept = np.empty((0, 2), dtype=np.int32) if self.kept is None else self.kept
        keys, places = np.ascontiguousarray(kept.T)
        return read_only(keys), read_only(places), self.kept is not None

    def most_ngrams(self, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return an upper bound for the number of rows of each packed word: int64, shape (k,)."""
        # A character has at least one byte, so a word has at most as many n-grams per size as it has bytes.
        length = np.diff(offsets) + len(b"".join(self._marks))
        sizes = np.minimum(self.maxn, length) - max(self.minn, 1) + 1
        most: npt.NDArray[np.int64] = (length * np.maximum(sizes, 0) + (self.kind == "floret")) * self.hash_count
        return most

    def _blocks(self, offsets: npt.NDArray[np.int64], size: int) -> Iterator[tuple[int, int]]:
        """Split words into ranges (begin, end) of at most about `size` n-grams, to be processed together."""
        total = np.cumsum(self.most_ngrams(offsets))
        cuts = np.searchsorted(total, np.arange(size, total[-1] if len(total) else 0, size)) + 1
        edges = np.unique([0, *cuts, len(total)])
        return itertools.pairwise(edges.tolist())

    def find_rows(
        self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the row numbers of packed words, one word after the other, and the end of each word's row numbers."""
        data, offsets, lost = encode_packed(data, offsets, self.encoding)
        if self.listed is not None:
            return self._listed_rows(Words(data, offsets, checked=False), self.listed)
        from vecload.kernels import ngrams

        # All arrays have their largest possible size, so the kernel writes without growing them.
        count = len(offsets) - 1
        rows = np.empty(int(self.most_ngrams(offsets).sum()), dtype=np.int64)
        ends = np.empty(count, dtype=np.int64)
        bow, eow = (read_only(np.frombuffer(mark, dtype=np.uint8)) for mark in self._marks)
        marked = np.empty(int(np.diff(offsets).max(initial=0)) + len(bow) + len(eow), dtype=np.uint8)
        given = (read_only(data), read_only(offsets), 0, count, bow, eow, self.minn, self.maxn, self.bucket)
        if self.kind == "floret":
            count = ngrams.floret_rows(*given, self.hash_count, self.seed, marked, rows, ends)
        elif self.kind == "finalfusion":
            count = ngrams.finalfusion_rows(*given, marked, rows, ends)
        else:
            count = ngrams.fasttext_rows(*given, *self._pruning, self.eos_ngrams, marked, rows, ends)
        if not lost:
            return rows[:count], ends
        counts = np.diff(ends, prepend=0)
        kept = np.ones(len(counts), dtype=np.bool_)
        kept[lost] = False
        return rows[:count][np.repeat(kept, counts)], np.cumsum(np.where(kept, counts, 0))

    def _listed_rows(
        self, words: Words, listed: tuple[Words, npt.NDArray[np.int64]]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the rows of listed n-grams as `find_rows` does."""
        found = [listed[0].lookup(self.ngrams(word)) for word in words]
        rows = [listed[1][at[at >= 0]] for at in found]
        ends = np.cumsum([len(some) for some in rows], dtype=np.int64)
        return np.concatenate([np.empty(0, dtype=np.int64), *rows]), ends


def _packed(words: Iterable[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], list[int]]:
    """Pack words; also return the positions of strings that cannot be encoded as UTF-8, which are packed as empty."""
    if isinstance(words, Words):
        return words.data, words.offsets, []
    words = list_of_strings("words", words)
    # The common case: all words are encoded by one call, and have as many bytes as characters.
    text = "".join(words)
    if text.isascii():
        lengths = [0, *map(len, words)]
        return np.frombuffer(text.encode(), dtype=np.uint8), np.cumsum(lengths, dtype=np.int64), []
    raws = [encode(word) for word in words]
    lengths = [0, *(len(raw or b"") for raw in raws)]
    data = np.frombuffer(b"".join(raw or b"" for raw in raws), dtype=np.uint8)
    return data, np.cumsum(lengths, dtype=np.int64), [at for at, raw in enumerate(raws) if raw is None]


def _sorted(kept: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Sort by bucket; if a bucket occurs twice, the last entry wins, as when fastText fills its map."""
    _, last = np.unique(kept[::-1, 0], return_index=True)
    return read_only(kept[::-1][last])


def _within(rows: npt.NDArray[np.int32] | npt.NDArray[np.int64], count: int) -> bool:
    return bool(len(rows) == 0 or (rows.min() >= 0 and rows.max() < count))


def _revive(
    rows: Rows,
    kept: npt.NDArray[np.int32] | None,
    settings: dict[str, Any],
    listed: tuple[Words, npt.NDArray[np.int64]] | None = None,
) -> NgramTable:
    return NgramTable(rows, kept=kept, listed=listed, **settings)
