"""`ArrayReader`: the reader of formats that store all words and the matrix as whole arrays, mapped or in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from vecload.arrays import IndexedRows, narrowed, type_of
from vecload.attribution import described
from vecload.formats.contract import BaseReader, ReadRequest, skip_nonfinite
from vecload.formats.history import History
from vecload.formats.table import Batch, Table
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


class ArrayReader(BaseReader):
    """Reader of words and a matrix that are arrays already.

    Parameters
    ----------
    name
        Name of the file, for error messages.
    words
        The words, one per row.
    rows
        The vectors. A mapped array can be returned by `mapped` as it is, and so can rows that words share.
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

    @property
    def unique_rows(self) -> int | None:
        """Number of rows that the file stores, if several words share a row; else None."""
        if not isinstance(self._rows, IndexedRows) or len(self._rows.matrix) >= len(self._words):
            return None
        return len(self._rows.matrix)

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
        """Return the arrays without a copy; None unless all rows are requested as they are and all words differ.

        Rows that words share are returned once, also those of some words or of another type.
        """
        if self.unique_rows is not None:
            return self._shared()
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
        return Table(self._words, rows, described(self.meta, self._name), self.ngrams, self.history)

    def _shared(self) -> Table | None:
        """Return the requested words and the rows that they share; None if a row must be reported or skipped."""
        assert isinstance(self._rows, IndexedRows)
        if not self._words.distinct:
            return None
        words, rows = select_shared(self._words, self._rows, self._request)
        matrix = narrowed(rows.matrix, self.dtype)
        blocks = () if self._request.allow_nonfinite else range(0, len(matrix), self._step)
        if not all(np.isfinite(matrix[begin : begin + self._step]).all() for begin in blocks):
            return None
        meta = described(self.meta, self._name)
        return Table(words, IndexedRows(matrix, rows.ids), meta, self.ngrams, self.history)


def select_shared(words: Words, rows: IndexedRows, request: ReadRequest) -> tuple[Words, IndexedRows]:
    """Return the requested words and the rows that they share, in the byte order of this machine."""
    if request.only is not None or request.limit is not None:
        at = np.arange(len(words))[: request.limit]
        at = at if request.only is None else at[request.only.lookup(words.take(at)) >= 0]
        used, ids = np.unique(rows.ids[at], return_inverse=True)
        words, rows = words.take(at), IndexedRows(rows.matrix[used], ids)
    native = rows.dtype.newbyteorder("=")
    return words, IndexedRows(np.ascontiguousarray(rows.matrix, dtype=native), rows.ids)
