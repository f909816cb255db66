"""The one place where readers are called: what they raise is what `load`, `info` and `convert` promise.

`read` and `preview` call a format's functions inside `vecload.errors.as_format_errors`. A reader works while it is
iterated, and the code that iterates it (a writer, a progress callback) must keep its own errors, so each step of the
iteration is guarded by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vecload.errors import as_format_errors
from vecload.words import Words

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from types import ModuleType

    import numpy as np

    from vecload.formats.contract import Batch, Place, Reader, ReadRequest, Table
    from vecload.ngrams import NgramTable
    from vecload.sources import Source


def read(form: ModuleType, source: Source, request: ReadRequest, **options: Any) -> Reader:
    """Call a format's ``read``, and guard the reader it returns.

    Parameters
    ----------
    form
        The format.
    source, request
        As ``read`` takes them.
    **options
        Keyword options that an alias of the format settles.

    Raises
    ------
    FormatError
        For any error of the reader but those of vecload, of the operating system and of memory.
    """
    with as_format_errors(source.name, source.size):
        return _Guarded(form.read(source, request, **options), source)


def preview(form: ModuleType, source: Source) -> dict[str, Any]:
    """Call a format's ``survey``; return an empty dict for a format without one."""
    with as_format_errors(source.name, source.size):
        found: dict[str, Any] = form.survey(source) if hasattr(form, "survey") else {}
    return found


class _Guarded:
    """A `Reader` whose every call is guarded."""

    def __init__(self, reader: Reader, source: Source) -> None:
        self._reader = reader
        self._source = source

    def _ask(self, name: str) -> Any:
        with as_format_errors(self._source.name, self._source.size):
            return getattr(self._reader, name)

    @property
    def dim(self) -> int:
        return int(self._ask("dim"))

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self._ask("dtype")
        return dtype

    @property
    def declared(self) -> int | None:
        declared: int | None = self._ask("declared")
        return declared

    @property
    def expected(self) -> int:
        return int(self._ask("expected"))

    @property
    def skipped(self) -> Counter[str]:
        skipped: Counter[str] = self._ask("skipped")
        return skipped

    @property
    def meta(self) -> dict[str, Any]:
        meta: dict[str, Any] = self._ask("meta")
        return meta

    @property
    def ngrams(self) -> NgramTable | None:
        ngrams: NgramTable | None = self._ask("ngrams")
        return ngrams

    def mapped(self) -> Table | None:
        with as_format_errors(self._source.name, self._source.size):
            return self._reader.mapped()

    def first_words(self) -> Words:
        """Return the first words of the file, or no words where the reader does not know them."""
        first = getattr(self._reader, "first_words", None)
        with as_format_errors(self._source.name, self._source.size):
            return Words.from_bytes([]) if first is None else first()

    def __iter__(self) -> Iterator[Batch]:
        return self._guarded(iter(self._reader))

    def into(self, place: Place) -> Iterator[Batch]:
        """Parse into `place` where the reader can; else iterate as usual."""
        into = getattr(self._reader, "into", None)
        return iter(self) if into is None else self._guarded(into(place))

    def _guarded(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        while True:
            with as_format_errors(self._source.name, self._source.size):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch
