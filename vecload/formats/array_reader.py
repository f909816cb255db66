"""`ArrayReader`: the reader of formats that store all words and the matrix as whole arrays, mapped or in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from vecload.arrays import narrowed, type_of
from vecload.formats.contract import BaseReader, Batch, ReadRequest, Table, skip_nonfinite
from vecload.formats.history import History
from vecload.ngrams import NgramTable
from vecload.words import Words

_VALUES: Final = 1 << 18  # in the rows of a batch: a megabyte of float32


class Rows(Protocol):
    """A matrix from which rows can be taken: an array, mapped or in memory, or an object that makes rows on demand."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, and number of values per row."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""

    def __getitem__(self, at: npt.NDArray[np.int64], /) -> npt.NDArray[Any]: ...


class PickedRows:
    """Rows of a matrix in a given order, copied only when they are requested."""

    def __init__(self, matrix: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> None:
        self._matrix = matrix
        self._rows = rows
        self.shape = len(rows), matrix.shape[1]
        self.dtype = matrix.dtype

    def __getitem__(self, at: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return self._matrix[self._rows[at]]


class ArrayReader(BaseReader):
    """Reader of words and a matrix that are arrays already.

    Parameters
    ----------
    name
        Name of the file, for error messages.
    words
        The words, one per row.
    rows
        The vectors. A mapped array can be returned by `mapped` as it is.
    request
        Rows to read, and their type.
    meta
        Description of the file.
    ngrams
        N-gram table of the file.
    skipped
        Number of rows that were skipped before, by cause.
    history
        Training and transforms of the vectors.
    """

    def __init__(
        self,
        name: str,
        words: Words,
        rows: Rows,
        request: ReadRequest,
        *,
        meta: dict[str, Any],
        ngrams: NgramTable | None = None,
        skipped: Counter[str] | None = None,
        history: History | None = None,
    ) -> None:
        self._name = name
        self._words = words
        self._rows = rows
        self._request = request
        self._meta = meta
        self._history = History() if history is None else history
        self.ngrams = ngrams
        self.skipped = Counter[str]() if skipped is None else skipped
        self.declared = len(words)
        self.expected = len(words)
        self.dim = int(rows.shape[1])
        self._step = max(1, _VALUES // max(1, self.dim))
        self.dtype = rows.dtype.newbyteorder("=") if request.dtype is None else type_of(request.dtype)

    def with_meta(self, meta: dict[str, Any]) -> ArrayReader:
        """Replace the description of the file, and return the reader."""
        self._meta = meta
        return self

    @property
    def meta(self) -> dict[str, Any]:
        """Description of the file, and the number of skipped rows by cause."""
        return {**self._meta, **({"skipped": dict(self.skipped)} if self.skipped else {})}

    @property
    def history(self) -> History:
        """Training and transforms of the vectors."""
        return self._history

    def first_words(self) -> Words:
        """Return all words of the file, regardless of the request."""
        return self._words

    def __iter__(self) -> Iterator[Batch]:
        count = len(self._words) if self._request.limit is None else min(self._request.limit, len(self._words))
        for begin in range(0, count, self._step):
            at = np.arange(begin, min(begin + self._step, count))
            if self._request.only is not None:
                at = at[self._request.only.lookup(self._words.take(at)) >= 0]
            # Values out of range become infinite, and are refused below.
            with np.errstate(over="ignore", invalid="ignore"):
                rows = narrowed(np.ascontiguousarray(self._rows[at]), self.dtype)
            fine = np.isfinite(rows).all(axis=1)
            if not self._request.allow_nonfinite and not fine.all():
                bad = at[~fine]
                word = self._words.bytes(int(bad[0]))
                skip_nonfinite(self._request, self.skipped, self.dtype, word=word, count=len(bad), file=self._name)
                at, rows = at[fine], rows[fine]
            if len(at):
                words = self._words.take(at)
                yield Batch(words.data, words.offsets, rows)

    def mapped(self) -> Table | None:
        """Return the arrays without a copy; None unless all rows are requested as they are and all words differ."""
        request, rows = self._request, self._rows
        if request.only is not None or request.limit is not None or rows.dtype != self.dtype or not rows.dtype.isnative:
            return None
        if not isinstance(rows, np.ndarray) or not rows.flags.c_contiguous or not rows.flags.aligned:
            return None
        # Reading every row once for NaN and infinity takes less time than copying them.
        blocks = () if request.allow_nonfinite else range(0, len(rows), self._step)
        if not all(np.isfinite(rows[begin : begin + self._step]).all() for begin in blocks):
            return None  # the batches will report or skip the row
        if not self._words.distinct:
            return None
        return Table(self._words, rows, {**self.meta, "source": self._name}, self.ngrams, self.history)
