"""Open the reader of a format, such that it raises only the errors that `load`, `info` and `convert` document.

No other module calls the functions of a format for reading. `open_reader` and `preview_source` call them inside
`vecload.errors.as_format_errors`. A reader works while it is iterated, and the code that iterates it (a writer, a
progress callback) must keep its own errors, so each step of the iteration is guarded by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vecload.errors import as_format_errors
from vecload.formats.contract import Preview

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import numpy as np

    from vecload.formats.contract import Reader, ReadRequest, RowBuffer
    from vecload.formats.format import Format
    from vecload.formats.history import History
    from vecload.formats.table import Batch, Table
    from vecload.ngrams import NgramTable
    from vecload.sources import Source
    from vecload.words import Words


def open_reader(form: Format, source: Source, request: ReadRequest) -> Reader:
    """Return a format's reader of a source, guarded.

    Raises
    ------
    FormatError
        For any error of the reader except those of vecload, of the operating system and of memory.
    OptionError
        If the format is only written.
    """
    read = form.require_read()
    with as_format_errors(source.name, source.size):
        return _Guarded(read(source, request), source)


def preview_source(form: Format, source: Source) -> Preview:
    """Return a format's preview of a source, or an empty one if the format has none."""
    if form.preview is None:
        return Preview()
    with as_format_errors(source.name, source.size):
        return form.preview(source)


class _Guarded:
    """A `Reader` that turns unexpected errors of another reader into `FormatError`.

    Readers parse damaged and hostile files, so any line of them may raise ValueError, IndexError or an error of a
    library. Callers can rely on `FormatError` with the file's name.
    """

    def __init__(self, reader: Reader, source: Source) -> None:
        self._reader = reader
        self._source = source

    def _errors(self) -> AbstractContextManager[None]:
        return as_format_errors(self._source.name, self._source.size)

    @property
    def dim(self) -> int:
        with self._errors():
            return self._reader.dim

    @property
    def dtype(self) -> np.dtype[Any]:
        with self._errors():
            return self._reader.dtype

    @property
    def declared(self) -> int | None:
        with self._errors():
            return self._reader.declared

    @property
    def expected(self) -> int:
        with self._errors():
            return self._reader.expected

    @property
    def skipped(self) -> Counter[str]:
        with self._errors():
            return self._reader.skipped

    @property
    def meta(self) -> dict[str, Any]:
        with self._errors():
            return self._reader.meta

    @property
    def ngrams(self) -> NgramTable | None:
        with self._errors():
            return self._reader.ngrams

    @property
    def history(self) -> History:
        with self._errors():
            return self._reader.history

    @property
    def doubt(self) -> str | None:
        with self._errors():
            return self._reader.doubt

    @property
    def unique_rows(self) -> int | None:
        with self._errors():
            return self._reader.unique_rows

    def mapped(self) -> Table | None:
        with self._errors():
            return self._reader.mapped()

    def first_words(self) -> Words | None:
        with self._errors():
            return self._reader.first_words()

    def __iter__(self) -> Iterator[Batch]:
        return self._guarded(iter(self._reader))

    def read_into(self, buffer: RowBuffer) -> Iterator[Batch]:
        return self._guarded(self._reader.read_into(buffer))

    def _guarded(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Guard each step by itself, so that errors of the caller between two batches keep their type."""
        while True:
            with self._errors():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch
