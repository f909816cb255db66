"""Arrow's tables of words and vectors: what Parquet and Arrow IPC files have in common.

::

    word      string or binary
    vector    list of float16, float32 or float64; of a fixed size (as written), or all of one length

The columns may have other names when there is one of strings and one of lists of floats and no more. Rows are read and
written a record batch at a time. Words that are not UTF-8 make the column ``large_binary``.

Source: the Arrow columnar format, https://arrow.apache.org/docs/format/Columnar.html.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import narrowed, type_of
from vecload.errors import FormatError, require
from vecload.formats.contract import BaseReader, Batch
from vecload.saved import MAX_DIM
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest, RowStream

WORD: Final = "word"
VECTOR: Final = "vector"
TOGETHER: Final = 8192
"""Rows in a record batch that is asked for."""


def arrow() -> Any:
    """The module `pyarrow`.

    Raises
    ------
    MissingDependencyError
        When it is not installed.
    """
    return require("pyarrow", "arrow")


class Columns:
    """Which columns of a schema are the words and the vectors.

    Raises
    ------
    FormatError
        When that cannot be told.
    """

    def __init__(self, schema: Any, name: str) -> None:
        types = arrow().types
        try:
            fields = [(field.name, field.type) for field in schema]
        except ValueError as error:  # a name that is no text
            raise FormatError(f"a schema that cannot be read ({error})", file=name) from error
        kinds = {name: kind for name, kind in fields if schema.get_field_index(name) >= 0}  # -1: a name of two columns
        words = [column for column, kind in kinds.items() if _is_text(kind)]
        lists = [column for column, kind in kinds.items() if _is_list(kind) and types.is_floating(kind.value_type)]
        word = WORD if WORD in words else words[0] if len(words) == 1 else None
        vector = VECTOR if VECTOR in lists else lists[0] if len(lists) == 1 else None
        if word is None or vector is None:
            expected = f"columns {WORD!r} of strings and {VECTOR!r} of lists of floats"
            found = ", ".join(f"{column}: {kind}" for column, kind in fields)[:300]
            raise FormatError("not a table of word vectors", file=name, found=found, expected=expected)
        self.word, self.vector = word, vector
        self.dtype = np.dtype(kinds[vector].value_type.to_pandas_dtype())
        self.dim = kinds[vector].list_size if types.is_fixed_size_list(kinds[vector]) else None


def _is_text(kind: Any) -> bool:
    types = arrow().types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )


def _is_list(kind: Any) -> bool:
    types = arrow().types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


class Reader(BaseReader):
    """Reads the record batches that `batches` gives."""

    ngrams = None

    def __init__(
        self,
        name: str,
        columns: Columns,
        batches: Callable[[], Iterator[Any]],
        request: ReadRequest,
        *,
        form: str,
        rows: int | None,
        most: int,
    ) -> None:
        self._name = name
        self._columns = columns
        self._request = request
        self._form = form
        self.declared = rows
        self.dtype = columns.dtype if request.dtype is None else type_of(request.dtype)
        self.skipped: Counter[str] = Counter()
        self._batches = self._guarded(batches)
        self._first: Any = None
        self.dim = self._length() if columns.dim is None else columns.dim
        if not 0 < self.dim <= MAX_DIM:
            raise FormatError("vectors of a length that cannot be", file=name, found=str(self.dim))
        room = most // (self.dim * columns.dtype.itemsize) + 1
        self.expected = room if rows is None else min(max(rows, 0), room)
        self._row = 0  # of the next batch in the file

    @property
    def meta(self) -> dict[str, Any]:
        """What is known of the file."""
        meta: dict[str, Any] = {"format": self._form}
        return {**meta, "skipped": dict(self.skipped)} if self.skipped else meta

    def _length(self) -> int:
        """The length of the first vector, where the type does not say it."""
        self._first = next(self._batches, None)
        column = None if self._first is None else self._first.column(self._columns.vector)
        lengths = [] if column is None else column.value_lengths().drop_null().to_pylist()
        return lengths[0] if lengths else 1

    def _guarded(self, batches: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """The batches, none of them empty, each found to be what it says."""
        pa = arrow()
        try:
            for batch in batches():
                batch.validate(full=True)  # offsets of a file are not to be believed
                if batch.num_rows:
                    yield batch
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FormatError(f"the table cannot be read ({error})", file=self._name) from error

    def __iter__(self) -> Iterator[Batch]:
        if self._first is not None:
            yield from self._taken(self._first)
        for batch in self._batches:
            if self._request.limit is not None and self._row >= self._request.limit:
                return
            yield from self._taken(batch)

    def _taken(self, batch: Any) -> Iterator[Batch]:
        """What is wanted of a record batch, if anything is."""
        limit = self._request.limit
        if limit is not None:
            batch = batch.slice(0, max(0, limit - self._row))
        begin, self._row = self._row, self._row + batch.num_rows
        texts, vectors = (batch.column(name) for name in (self._columns.word, self._columns.vector))
        present = ~texts.is_null().to_numpy(zero_copy_only=False)
        words = _packed(texts)
        at = np.arange(len(words))
        if self._request.only is not None:
            at = at[(self._request.only.lookup(words) >= 0) & present]
        at = self._kept(at, present[at], "a row without a word", begin)
        at, rows = self._values(at, vectors, begin)
        with np.errstate(over="ignore", invalid="ignore"):
            rows = narrowed(rows, self.dtype)
        if not self._request.allow_nonfinite:
            fine = np.isfinite(rows).all(axis=1)
            at, rows = self._kept(at, fine, f"a value that is not finite in {self.dtype}", begin), rows[fine]
        if len(at):
            some = words.take(at)
            yield Batch(some.data, some.offsets, rows)

    def _values(self, at: npt.NDArray[np.int64], vectors: Any, begin: int) -> tuple[npt.NDArray[np.int64], Any]:
        """The rows whose vectors are whole, and their values."""
        lengths = vectors.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        at = self._kept(at, lengths[at] == self.dim, f"a vector that is not of {self.dim} values", begin)
        taken = vectors if len(at) == len(vectors) else vectors.take(arrow().array(at))
        values = taken.flatten()
        absent = values.is_null().to_numpy(zero_copy_only=False).reshape(len(at), self.dim).any(axis=1)
        rows = np.asarray(values.to_numpy(zero_copy_only=False), dtype=self._columns.dtype).reshape(len(at), self.dim)
        return self._kept(at, ~absent, "a value that is missing", begin), rows[~absent]

    def _kept(
        self, at: npt.NDArray[np.int64], fine: npt.NDArray[np.bool_], cause: str, begin: int
    ) -> npt.NDArray[np.int64]:
        """The rows that are fine; the others are refused or counted."""
        bad = at[~fine]
        if len(bad) and self._request.errors != "skip":
            hint = "errors='skip' (--errors skip) leaves such rows out."
            raise FormatError(cause, file=self._name, found=f"in row {begin + int(bad[0]) + 1:,}", hint=hint)
        if len(bad):
            self.skipped[cause] += len(bad)
        return at[fine]


def _packed(texts: Any) -> Words:
    """A column of strings as packed words; a null is an empty word."""
    pa = arrow()
    if pa.types.is_dictionary(texts.type):
        values = texts.dictionary.cast(pa.large_binary())
        texts = pa.DictionaryArray.from_arrays(texts.indices, values).dictionary_decode()
    texts = texts.cast(pa.large_binary()).fill_null(b"")
    _, offsets, data = texts.buffers()
    # The buffer may be longer than its offsets, by any number of bytes.
    ends = np.frombuffer(offsets, dtype=np.int64, count=texts.offset + len(texts) + 1)[texts.offset :]
    raw = np.empty(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
    return Words(raw[ends[0] : ends[-1]], ends - ends[0])


class Writer:
    """Writes a table a batch at a time to the sink that `open_sink` makes of a path and a schema.

    Columns are of strings until the first word that is not UTF-8 comes; then what has been written is copied into a
    file whose words are bytes.
    """

    def __init__(
        self,
        path: Path,
        table: RowStream,
        open_sink: Callable[[Path, Any], Any],
        open_batches: Callable[[Path], Iterator[Any]],
    ) -> None:
        self._path = path
        self._table = table
        self._open_sink = open_sink
        self._open_batches = open_batches
        self._dtype = np.dtype(np.float32) if table.dtype.name == "bfloat16" else table.dtype

    def write(self) -> None:
        """Write all batches."""
        pa = arrow()
        schema = self._schema(pa.large_string())
        sink = self._open_sink(self._path, schema)
        try:
            for batch in self._table.batches():
                text = schema.field(WORD).type
                words = _column(batch, text)
                if words is None:
                    sink.close()
                    schema = self._schema(pa.large_binary())
                    sink = self._reopened(schema)
                    words = _column(batch, pa.large_binary())
                values = pa.array(np.ascontiguousarray(batch.rows, dtype=self._dtype).reshape(-1))
                rows = pa.FixedSizeListArray.from_arrays(values, self._table.dim)
                sink.write_batch(pa.record_batch([words, rows], schema=schema))
        finally:
            sink.close()

    def _schema(self, text: Any) -> Any:
        pa = arrow()
        value = pa.from_numpy_dtype(self._dtype)
        return pa.schema([pa.field(WORD, text), pa.field(VECTOR, pa.list_(value, self._table.dim))])

    def _reopened(self, schema: Any) -> Any:
        """A sink of the new schema that holds what has been written."""
        before = self._path.with_name(self._path.name + ".text")
        self._path.rename(before)
        sink = self._open_sink(self._path, schema)
        for batch in self._open_batches(before):
            words = batch.column(WORD).cast(schema.field(WORD).type)
            sink.write_batch(arrow().record_batch([words, batch.column(VECTOR)], schema=schema))
        before.unlink()
        return sink


def _column(batch: Batch, text: Any) -> Any:
    """The words of a batch as a column, not copied; None if they are not all text and should be."""
    pa = arrow()
    if pa.types.is_large_string(text):
        try:
            batch.data.tobytes().decode()
        except UnicodeDecodeError:
            return None
    buffers = [None, pa.py_buffer(np.ascontiguousarray(batch.offsets)), pa.py_buffer(np.ascontiguousarray(batch.data))]
    column = pa.Array.from_buffers(text, len(batch.rows), buffers)
    try:
        column.validate(full=True)  # a character may have been cut between two words
    except pa.ArrowInvalid:
        return None
    return column
