"""`WordRows`: rows of a matrix that are looked up by word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt

from vecload.arrays import as_array, row_norms
from vecload.errors import OptionError, VocabularyError, refuse_string
from vecload.formats.history import History
from vecload.ngrams import NgramTable
from vecload.saved import MAX_DIM
from vecload.words import Words, list_missing, missing_word, read_only

T = TypeVar("T")


@dataclass(frozen=True, eq=False, repr=False, init=False)
class WordRows:
    """Base class of `Vectors`, which documents it: rows that are looked up by word, without search and files."""

    words: Words
    unique_rows: npt.NDArray[Any]
    """Rows as they are stored, shape (m, dim): with `row_ids`, several words may have the same row."""
    row_ids: npt.NDArray[np.int64] | None
    """Number of each word's row in `unique_rows`, int64, shape (n,); None if word i has row i."""
    meta: Mapping[str, Any]
    ngrams: NgramTable | None
    history: History

    def __init__(
        self,
        words: Iterable[str],
        matrix: npt.ArrayLike,
        meta: Mapping[str, Any] | None = None,
        ngrams: NgramTable | None = None,
        history: History | None = None,
        *,
        row_ids: npt.ArrayLike | None = None,
    ) -> None:
        # `Words` and C-ordered arrays are taken as they are, so a mapped file is neither read nor copied here.
        packed, rows = Words.from_strings(words), _as_matrix(matrix)
        ids = None if row_ids is None else _as_ids(row_ids, len(packed), len(rows))
        if ids is None and len(rows) != len(packed):
            raise OptionError(f"{len(packed):,} words need a matrix of {len(packed):,} rows, got shape {rows.shape}")
        if not packed.distinct:
            word = packed[int(np.flatnonzero(packed.lookup(packed) != np.arange(len(packed)))[0])]
            raise VocabularyError(f"{word!r} occurs twice among the words; keep one row for each word")
        object.__setattr__(self, "words", packed)
        object.__setattr__(self, "unique_rows", read_only(rows))
        object.__setattr__(self, "row_ids", ids)
        object.__setattr__(self, "meta", MappingProxyType(dict(meta or {})))
        object.__setattr__(self, "ngrams", ngrams)
        object.__setattr__(self, "history", _checked_history(history or History(), len(packed)))

    @property
    def matrix(self) -> npt.NDArray[Any]:
        """Row of each word, shape (n, dim), read-only. If words share rows, they are gathered at the first access."""
        return self.unique_rows if self.row_ids is None else self._gathered

    @cached_property
    def _gathered(self) -> npt.NDArray[Any]:
        return read_only(self.unique_rows[self.row_ids])

    def rows_at(self, numbers: npt.NDArray[np.int64] | slice) -> npt.NDArray[Any]:
        """Return rows by number, shape (k, dim), without gathering those of other words.

        Examples
        --------
        >>> from vecload import Vectors
        >>> Vectors(["cat", "Cat", "dog"], np.eye(2), row_ids=[0, 0, 1]).rows_at(np.array([2, 1]))
        array([[0., 1.],
               [1., 0.]])
        """
        rows: npt.NDArray[Any] = self.unique_rows[numbers if self.row_ids is None else self.row_ids[numbers]]
        return rows

    @property
    def shape(self) -> tuple[int, int]:
        """Number of words, and number of values in a vector."""
        return len(self), self.dim

    @property
    def dim(self) -> int:
        """Number of values in a vector."""
        return int(self.unique_rows.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""
        return self.unique_rows.dtype

    @cached_property
    def norms(self) -> npt.NDArray[np.float32]:
        """Euclidean norm of each row: float32, shape (n,), read-only. Computed at the first access."""
        norms = row_norms(self.unique_rows)
        norms = norms if self.row_ids is None else norms[self.row_ids]
        norms.flags.writeable = False
        return norms

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: FBT001
        """Return the matrix, so that ``numpy.asarray(vectors)`` does not collect the words."""
        return as_array(self.matrix, dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.words

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    @overload
    def __getitem__(self, word: slice) -> Self: ...
    @overload
    def __getitem__(self, word: str | Iterable[str]) -> npt.NDArray[Any]: ...
    def __getitem__(self, word: str | Iterable[str] | slice) -> npt.NDArray[Any] | Self:
        """Return the vector of a word, shape (dim,), of several words, shape (k, dim), or a slice of the rows.

        A row number raises an error, because words can be numbers, too: use ``vectors.matrix[7]``.

        Raises
        ------
        MissingWordError
            For an unknown word; it is a ``KeyError``, as for a dict.
        OptionError
            For anything but strings and slices.

        Examples
        --------
        >>> from vecload import Vectors
        >>> vectors = Vectors(["cat", "dog", "cow"], np.eye(3, dtype="float32"))
        >>> vectors["dog"], vectors[["cow", "cat"]].shape, vectors[:2]
        (array([0., 1., 0.], dtype=float32), (2, 3), <Vectors: 2 words × 3 float32>)
        """
        if isinstance(word, slice):
            return self._slice(word)
        if isinstance(word, str):
            return self._row(self.index(word))
        return self.rows_at(self._rows(word))

    def _row(self, number: int) -> npt.NDArray[Any]:
        row: npt.NDArray[Any] = self.unique_rows[number if self.row_ids is None else self.row_ids[number]]
        return row

    def index(self, word: str) -> int:
        """Return the row number of a word.

        Raises
        ------
        MissingWordError
            For an unknown word.

        Examples
        --------
        >>> from vecload import Vectors
        >>> Vectors(["cat", "dog"], np.eye(2)).index("dog")
        1
        """
        row = self.words.get(word)
        if row < 0:
            raise missing_word(
                self.words, [word], f"{word!r} is not among the {len(self):,} words; use get() for a default"
            )
        return row

    def head(self, n: int = 5) -> Self:
        """Return the first rows, in most files those of the most frequent words, without copying the matrix.

        Examples
        --------
        >>> from vecload import Vectors
        >>> list(Vectors(["the", "of", "zyzzyx"], np.eye(3)).head(2))
        ['the', 'of']
        """
        if n < 0:
            raise OptionError(f"n={n} is negative; use vectors[-k:] for the last k rows")
        return self._slice(slice(n))

    def _slice(self, rows: slice) -> Self:
        try:
            at = np.arange(len(self))[rows]
        except TypeError as error:
            raise OptionError(f"slices take row numbers, got {rows!r}; use select() for words") from error
        words, history = self.words.take(at), self.history.take(at)
        # Slicing the matrix itself, and not by row numbers, shares its memory.
        stored, ids = (self.unique_rows[rows], None) if self.row_ids is None else (self.unique_rows, self.row_ids[rows])
        return type(self)(words, stored, self.meta, self.ngrams, history, row_ids=ids)

    @overload
    def get(self, word: str) -> npt.NDArray[Any] | None: ...
    @overload
    def get(self, word: str, default: T) -> npt.NDArray[Any] | T: ...
    def get(self, word: str, default: T | None = None) -> npt.NDArray[Any] | T | None:
        """Return the vector of a word, shape (dim,), or `default`."""
        row = self.words.get(word)
        return default if row < 0 else self._row(row)

    def select(self, words: Iterable[str]) -> Self:
        """Return only these words, in this order.

        Raises
        ------
        MissingWordError
            For an unknown word.
        VocabularyError
            If a word occurs twice.
        """
        return self.take(self._rows(words))

    def take(self, numbers: npt.NDArray[np.int64]) -> Self:
        """Return the words with these row numbers, in this order.

        Examples
        --------
        >>> from vecload import Vectors
        >>> list(Vectors(["cat", "dog", "cow"], np.eye(3)).take(np.array([2, 0])))
        ['cow', 'cat']
        """
        words, history = self.words.take(numbers), self.history.take(numbers)
        if self.row_ids is None:
            return type(self)(words, self.unique_rows[numbers], self.meta, self.ngrams, history)
        used, ids = np.unique(self.row_ids[numbers], return_inverse=True)
        return type(self)(words, self.unique_rows[used], self.meta, self.ngrams, history, row_ids=ids)

    def _rows(self, words: Iterable[str]) -> npt.NDArray[np.int64]:
        if isinstance(words, (int, np.integer)):
            raise OptionError(f"vectors are looked up by word, got {words!r}; use matrix[{words}] for a row by number")
        refuse_string("words", words)
        wanted = list(words)
        for word in wanted:
            if not isinstance(word, str):
                raise OptionError(f"vectors are looked up by word, got {type(word).__name__} among the words")
        rows = self.words.lookup(wanted)
        absent = [wanted[at] for at in np.flatnonzero(rows < 0)]
        if absent:
            raise missing_word(self.words, absent, list_missing(absent, len(wanted)))
        return rows


def _checked_history(history: History, count: int) -> History:
    if history.counts is not None and history.counts.shape != (count,):
        raise OptionError(f"{count:,} words need the same number of counts, got shape {history.counts.shape}")
    return history


def _as_ids(given: npt.ArrayLike, count: int, rows: int) -> npt.NDArray[np.int64]:
    """Return `given` as row numbers, one for each of `count` words."""
    array = np.asarray(given)
    if array.shape != (count,) or (array.dtype.kind not in "iu" and count):
        raise OptionError(f"row_ids must be {count:,} whole numbers, got {array.dtype} of shape {array.shape}")
    ids = read_only(array.astype(np.int64, copy=False))
    if count and not 0 <= ids.min() <= ids.max() < rows:
        raise OptionError(f"row_ids must be numbers of the {rows:,} rows, got {ids.min()} to {ids.max()}")
    return ids


def _as_matrix(given: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return `given` as a C-ordered array of numbers in two dimensions, copied only where that is necessary."""
    try:
        # Arrays are not converted, so that a mapped file can still be recognized as one.
        array: npt.NDArray[Any] = cast("Any", given) if type(given) in (np.ndarray, np.memmap) else np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OptionError(f"the matrix cannot be converted to a NumPy array: {error}") from error
    if array.ndim != 2:
        raise OptionError(f"the matrix must have two dimensions (words, values), got shape {array.shape}")
    if not 0 < array.shape[1] <= MAX_DIM:
        raise OptionError(f"vectors need 1 to {MAX_DIM:,} values, got shape {array.shape}")
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise OptionError(f"the matrix must hold numbers, got {array.dtype}")
    if array.flags.c_contiguous and array.dtype.isnative:
        return array
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
