"""`RowLookup`: from tokens to row numbers, with vectors composed for words that have no row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from vecload.errors import OptionError
from vecload.ngrams import DenseRows, NgramTable
from vecload.pooling.fasttext_sentences import end_lines
from vecload.pooling.kernel_pooling import ComposedRows
from vecload.sources import MappedRange
from vecload.words import Words, pack, read_only

if TYPE_CHECKING:
    from vecload.pooling.fasttext_sentences import SupervisedModel

Unknown = Literal["skip", "unk", "ngrams"]


class TokenRows(NamedTuple):
    """Row numbers of the tokens of some texts.

    Parameters
    ----------
    rows
        Row numbers, int64, shape (tokens,): -1 is skipped, and -2, -3, … are rows of `composed`.
    offsets
        Offset of the tokens of each text, and the end of the last ones, int64, shape (texts + 1,).
    composed
        Vectors of words without a row.
    """

    rows: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    composed: ComposedRows | None


class _MappedNgrams(NamedTuple):
    """An n-gram table in a mapped file, as it is pickled."""

    place: MappedRange
    kept: npt.NDArray[np.int32] | None
    settings: dict[str, Any]

    def open(self) -> NgramTable:
        return NgramTable(DenseRows(self.place.open()), kept=self.kept, **self.settings)


@dataclass(frozen=True, eq=False)
class RowLookup:
    """Lookup of the rows of words, with a policy for other words. It never changes, so copies of a module share it.

    Parameters
    ----------
    words
        Words of the rows.
    unknown
        Policy for words without a row: "skip"; "unk", use the row `unk_idx`; "ngrams", compose a vector from `ngrams`.
    unk_idx
        Row of the unknown token.
    padding_idx
        Row of the padding token, which is skipped in texts as well.
    ngrams
        n-gram table of a fastText or floret model.
    supervised
        Training arguments of a supervised fastText model, whose lines are read by its rules.

    Raises
    ------
    OptionError
        If `unknown` needs a row or a table that is missing.
    """

    words: Words
    unknown: Unknown = "skip"
    unk_idx: int | None = None
    padding_idx: int | None = None
    ngrams: NgramTable | None = None
    supervised: SupervisedModel | None = None

    def __post_init__(self) -> None:
        check_unknown(self.unknown, self.unk_idx, self.ngrams)

    def find_in_text(self, text: npt.NDArray[np.uint8], begin: int, end: int, texts: int) -> TokenRows:
        """Look up the words of texts in ``text[begin:end]``, which are separated by line feeds.

        Words end at ASCII white space. The kernel reads them from the buffer, so none becomes a Python string.
        """
        from vecload.kernels import hash_table

        # Tokens are at least one byte long and separated by at least one, so this bounds their number, and the kernel
        # needs no check of the arrays' ends.
        most = (end - begin + 1) // 2
        rows, starts, stops = np.empty((3, most), dtype=np.int64)
        offsets = np.empty(texts + 1, dtype=np.int64)
        packed = self.words.data, self.words.offsets, *self.words.table
        count, _ = hash_table.lookup_tokens(text, begin, end, *packed, rows, starts, stops, offsets)
        return self._complete(
            rows[:count],
            offsets,
            lambda absent: Words(*pack(read_only(text), starts[absent], stops[absent])),
            lambda at: text[starts[at] : stops[at]].tobytes(),
        )

    def complete(self, tokens: Sequence[str], rows: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> TokenRows:
        """Handle the unknown words among tokens whose rows ``words.lookup(tokens)`` has returned; `rows` is changed."""
        return self._complete(
            rows,
            offsets,
            lambda absent: Words.from_bytes([token_bytes(tokens[at]) for at in absent.tolist()]),
            lambda at: token_bytes(tokens[at]),
        )

    def _complete(
        self,
        rows: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
        absent_words: Callable[[npt.NDArray[np.int64]], Words],
        token: Callable[[int], bytes],
    ) -> TokenRows:
        if self.unknown == "unk" and self.unk_idx is not None:
            rows[rows == -1] = self.unk_idx
        # The kernels know no padding row, so its tokens become skipped ones here.
        if self.padding_idx is not None:
            rows[rows == self.padding_idx] = -1
        # The vectors are composed after the other words were found, so each distinct word is composed once.
        composed = None
        if self.unknown == "ngrams":
            absent = np.flatnonzero(rows == -1)
            composed = self._compose(absent_words(absent), rows, absent)
        if self.supervised is not None:
            rows, offsets, composed = end_lines(
                self.supervised, self.words, self.ngrams, rows, offsets, composed, token
            )
        return TokenRows(rows, offsets, composed)

    def _compose(self, found: Words, rows: npt.NDArray[np.int64], absent: npt.NDArray[np.int64]) -> ComposedRows:
        """Compose a vector for each distinct word, and write the numbers -2, -3, … to the rows of their tokens."""
        assert self.ngrams is not None
        # Looking the words up among themselves gives equal words the same number: that of the first of them.
        first = found.lookup(found)
        distinct, numbers = np.unique(first, return_inverse=True)
        unique = found.take(distinct)
        counts = self.ngrams.counts(unique)
        # A word too short for any n-gram has no vector and is skipped.
        rows[absent] = np.where(counts[numbers] > 0, -2 - numbers, -1)
        weights = None if self.supervised is None else counts.astype(np.float32)
        return ComposedRows(self.ngrams.vectors(unique), weights)

    def __getstate__(self) -> dict[str, Any]:
        # A pickle names the file of a mapped table instead of holding its rows.
        state, ngrams = dict(self.__dict__), self.ngrams
        if ngrams is not None and isinstance(ngrams.rows, DenseRows):
            place = MappedRange.of(ngrams.rows.matrix)
            if place is not None:
                state["ngrams"] = _MappedNgrams(place, ngrams.kept, ngrams.settings)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        ngrams = state["ngrams"]
        self.__dict__.update(state, ngrams=ngrams.open() if isinstance(ngrams, _MappedNgrams) else ngrams)


def check_unknown(unknown: str, unk_idx: int | None, ngrams: NgramTable | None) -> None:
    """Raise `OptionError` for a policy for unknown words that is not known, or lacks its row or table."""
    if unknown not in ("skip", "unk", "ngrams"):
        raise OptionError(f"unknown={unknown!r} is not an option; choose from: skip, unk, ngrams")
    if unknown == "unk" and unk_idx is None:
        raise OptionError("unknown='unk' needs an unknown token: unk_token= of the Vocab, or '<unk>' among the words")
    if unknown == "ngrams" and ngrams is None:
        raise OptionError("unknown='ngrams' needs Vectors with an n-gram table, from a fastText or floret model")


def needs_words(lookup: RowLookup | None) -> RowLookup:
    """Return the lookup, or raise `OptionError` if a pooler has no words to look up."""
    if lookup is None:
        raise OptionError("this pooler has no words: pass words= to SentencePooler, or call it with row numbers")
    return lookup


def token_bytes(token: str) -> bytes:
    """Return a token as the bytes that `Words` stores.

    A surrogate that does not stand for a byte is encoded as bytes that occur in no word, so the token is not found.
    """
    try:
        return token.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return token.encode("utf-8", "surrogatepass")
