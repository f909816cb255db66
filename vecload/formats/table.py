"""`Batch`: consecutive words and rows of a file. `Table`: words and their rows as a whole, mapped or in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from vecload.arrays import IndexedRows
from vecload.formats.history import History
from vecload.ngrams import NgramTable
from vecload.words import Words, pack

_BATCH: Final = 1 << 20  # bytes of the rows of a batch


class Batch(NamedTuple):
    """Consecutive words and rows of a file, about a megabyte.

    Examples
    --------
    >>> words = Words.from_strings(["cat", "dog"])
    >>> batch = Batch(words.data, words.offsets, np.eye(2))
    >>> list(batch.words), batch.take(np.array([1])).rows
    (['cat', 'dog'], array([[0., 1.]]))
    """

    data: npt.NDArray[np.uint8]
    """Bytes of the words, concatenated."""
    offsets: npt.NDArray[np.int64]
    """Offset of each word in `data`, and the end of the last one, shape (n + 1,)."""
    rows: npt.NDArray[Any]
    """Values, shape (n, dim)."""

    @property
    def words(self) -> Words:
        """The words, which may occur more than once."""
        return Words(self.data, self.offsets)

    def take(self, at: npt.NDArray[np.int64]) -> Batch:
        """Return the rows with these numbers."""
        return Batch(*pack(self.data, self.offsets[at], self.offsets[at + 1]), self.rows[at])


@dataclass(frozen=True)
class Table:
    """Words and their rows as a whole, as a reader maps a file; it can be written as a `RowStream`.

    Parameters
    ----------
    words
        The words, each once.
    matrix
        Their rows, shape (number of words, dim); `IndexedRows` if several words share a row.
    meta
        Description of the source, for ``Vectors.meta``.
    ngrams
        Character n-grams that compose vectors of other words.
    history
        Training and transforms of the vectors, for ``Vectors.history``.

    Examples
    --------
    >>> table = Table(Words.from_strings(["cat", "dog"]), np.eye(2, dtype="float32"))
    >>> table.rows, table.dim, [batch.rows.shape for batch in table.batches()]
    (2, 2, [(2, 2)])
    """

    words: Words
    matrix: npt.NDArray[Any] | IndexedRows
    meta: Mapping[str, Any] = field(default_factory=dict)
    ngrams: NgramTable | None = None
    history: History = field(default_factory=History)

    @property
    def stored(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64] | None]:
        """Rows as they are stored, and the row number of each word; None if word i has row i."""
        if isinstance(self.matrix, IndexedRows):
            return self.matrix.matrix, self.matrix.ids
        return self.matrix, None

    @property
    def shared(self) -> IndexedRows | None:
        """Distinct rows and the row of each word, or None if each word has a row of its own."""
        return self.matrix if isinstance(self.matrix, IndexedRows) else None

    @property
    def rows(self) -> int:
        """Number of words, each with its row."""
        return len(self.words)

    @property
    def expected(self) -> int:
        """The same number as `rows`."""
        return len(self.words)

    @property
    def dim(self) -> int:
        """Number of values in a row."""
        return int(self.matrix.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.matrix.dtype

    def batches(self) -> Iterator[Batch]:
        """Yield a row for each word, in order; those of a mapped file are copied, a batch at a time."""
        step = max(1, _BATCH // max(1, self.dim * self.dtype.itemsize))
        for begin in range(0, self.rows, step):
            # Packed again, not sliced: writers pass the words to kernels, and those of a mapped file can change.
            some = self.words.take(np.arange(begin, min(begin + step, self.rows)))
            yield Batch(some.data, some.offsets, np.ascontiguousarray(self.matrix[begin : begin + step]))
