"""`UniqueRows`: the rows of a reader, each word once, as writers take them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.arrays import IndexedRows, narrowed, type_of, unit_rows
from vecload.attribution import described
from vecload.errors import FormatError
from vecload.formats.table import Batch
from vecload.reading import WordCheck, estimate_rows, iterate_batches
from vecload.words import UniqueWords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    from vecload.formats.contract import Reader, ReadRequest
    from vecload.formats.history import History
    from vecload.formats.table import Table
    from vecload.ngrams import NgramTable
    from vecload.sources import Source
    from vecload.words import Words


class NoWordFoundError(Exception):
    """None of the requested words is in the source."""


class UniqueRows:
    """Rows of a reader as a `vecload.formats.contract.RowStream`: the first row of each word, normalized and rounded.

    Parameters
    ----------
    source
        The open source, for its name and the progress.
    reader
        Reader of the source.
    request
        The request that the reader answers.
    prefix
        Prefix of the words to keep, which is stripped.
    check
        Check of all words as a whole.
    advance
        Function that shows the bytes read and their total.
    dtype
        Type of the values; None keeps the type of the reader.
    normalize
        Whether to divide each row by its Euclidean norm.
    stated
        License and source according to the catalog.
    """

    rows = None

    def __init__(
        self,
        source: Source,
        reader: Reader,
        request: ReadRequest,
        prefix: str,
        check: WordCheck,
        advance: Callable[[int, int | None], object],
        *,
        dtype: str | None,
        normalize: bool,
        stated: Mapping[str, str],
    ) -> None:
        self._stated = stated
        self._source = source
        self._reader = reader
        self._request = request
        self._prefix = prefix
        self._check = check
        self._doubt: str | None = None
        self._advance = advance
        self._normalize = normalize
        self._known = UniqueWords(self.expected)
        self._table: Table | None = None
        self.dim = reader.dim
        self.dtype = reader.dtype if dtype is None else type_of(dtype)
        self.ngrams: NgramTable | None = reader.ngrams
        self.read = 0
        """Number of rows read so far, without malformed ones."""
        self.duplicates = 0
        """Number of rows left out because an earlier row has their word."""

    @property
    def expected(self) -> int:
        """Estimated number of rows."""
        return estimate_rows(self._reader, self._request)

    @property
    def meta(self) -> Mapping[str, Any]:
        """Description of the source, complete after the last batch."""
        doubt = {} if self._doubt is None else {"doubt": self._doubt}
        return {**described(self._reader.meta, self._source.name), **self._stated, **doubt}

    @property
    def history(self) -> History:
        """Training and transforms of the vectors, complete after the last batch."""
        return self._reader.history

    @property
    def words(self) -> Words:
        """Words of all batches so far, with their hash table; all words if rows are shared."""
        return self._known.words if self._table is None else self._table.words

    @cached_property
    def shared(self) -> IndexedRows | None:
        """Distinct rows and the row of each word, for formats that store such rows once; None if no rows are shared."""
        table = None if self._prefix or self._reader.unique_rows is None else self._reader.mapped()
        if table is None or table.shared is None or not len(table.words) or self._check.shares_spaces(table.words):
            return None
        self._table = table
        self.read = len(table.words)
        self._doubt = self._check.doubt(table.words, self._source.name)
        return IndexedRows(self._finished(table.shared.matrix), table.shared.ids)

    def _finished(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return narrowed(unit_rows(rows) if self._normalize else rows, self.dtype)

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in file order.

        Raises
        ------
        NoWordFoundError
            If words were requested and none of them is in the source.
        FormatError
            If no row remains.
        """
        for data, offsets, rows in iterate_batches(self._reader, self._prefix, self._check):
            self.read += len(rows)
            fresh = self._known.add(data, offsets)
            batch = Batch(data, offsets, rows)
            if not fresh.all():
                batch = batch.take(np.flatnonzero(fresh))
                self.duplicates += len(rows) - len(batch.rows)
            if len(batch.rows):
                yield batch._replace(rows=self._finished(batch.rows))
            self._advance(*self._source.progress())
        # A floret table is complete without words.
        only_ngrams = self.ngrams is not None and self._reader.declared == 0
        if not (self.read or self._reader.skipped) and self._request.only is not None:
            raise NoWordFoundError
        if self.read == self.duplicates and not only_ngrams:
            causes = ", ".join(f"{cause} ({count:,})" for cause, count in self._reader.skipped.items())
            raise FormatError("no row was requested or could be read", file=self._source.name, found=causes or None)
        self._doubt = self._check.doubt(self._known.words, self._source.name)
