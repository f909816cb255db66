"""Tables with a column of words and a column of vectors, shared by Parquet and Arrow IPC.

::

    word      string or binary
    vector    list of float16, float32 or float64: of fixed size (as written), or of equal lengths

Other column names are accepted if only one column has strings and only one has lists of floats. Instead of the lists
there may be one column of floats for each value (`vecload.formats.arrow.wide`). Rows are read and
written one record batch at a time. If a word is not UTF-8, the column is written as ``large_binary``.

Source: the Arrow columnar format, https://arrow.apache.org/docs/format/Columnar.html.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import narrowed, numpy_dtype, type_of
from vecload.attribution import LICENSE, SOURCE, attribution
from vecload.errors import FormatError, OptionError, require
from vecload.formats.arrow.wide import find_values, float_dtype, join_values
from vecload.formats.contract import BaseReader
from vecload.formats.table import Batch
from vecload.saved import MAX_DIM
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest, RowStream

WORD: Final = "word"
VECTOR: Final = "vector"
BATCH_ROWS: Final = 8192
"""Number of rows per record batch when reading Parquet."""


def arrow() -> Any:
    """Import pyarrow.

    Raises
    ------
    MissingDependencyError
        If it is not installed.
    """
    return require("pyarrow", "arrow")


class Columns:
    """Names and types of the columns of words and vectors in an Arrow schema.

    Parameters
    ----------
    schema
        Schema of the table.
    name
        Name of the file, for error messages.
    word, vector
        Names of the columns; None to find them.

    Raises
    ------
    FormatError
        If the schema is invalid, or the columns are missing or ambiguous.
    OptionError
        If a named column does not exist or is of another type.
    """

    def __init__(self, schema: Any, name: str, *, word: str | None = None, vector: str | None = None) -> None:
        types = arrow().types
        try:
            fields = [(field.name, field.type) for field in schema]
        except ValueError as error:  # the name of a column is not UTF-8
            raise FormatError(f"invalid Arrow schema ({error})", file=name) from error
        kept = schema.metadata or {}
        texts = {key: kept.get(key.encode(), b"").decode("utf-8", "replace") for key in (LICENSE, SOURCE)}
        self.stated = attribution(texts)
        # A name that two columns share has index -1 and could mean either, so both are ignored.
        kinds = {name: kind for name, kind in fields if schema.get_field_index(name) >= 0}
        kinds = _named(kinds, word, vector)
        # pandas stores the index of a table under such a name. It has the words if there is no other text.
        other = {name: kind for name, kind in kinds.items() if not name.startswith("__index_level_")}
        kinds = other if any(map(_is_text, other.values())) else kinds
        words = [column for column, kind in kinds.items() if _is_text(kind)]
        lists = [column for column, kind in kinds.items() if _is_list_of_floats(kind)]
        numbers = [column for column, kind in kinds.items() if types.is_integer(kind)]
        # Items of a shop or a knowledge base may have numbers instead of names.
        named = words or numbers
        word = WORD if WORD in named else named[0] if len(named) == 1 else None
        vector = VECTOR if VECTOR in lists else lists[0] if len(lists) == 1 else None
        wide = find_values(kinds, word) if not lists and VECTOR not in kinds else None
        self._values: list[str] = []
        if wide is not None and word is not None:
            self.word, self.vector = word, VECTOR if word != VECTOR else WORD
            self._values, self.dtype = wide
            self.dim: int | None = len(self._values)
            return
        word = word if words else None
        if word is None or vector is None:
            expected = f"columns {WORD!r} of strings and {VECTOR!r} of lists of floats, or a column for each value"
            found = ", ".join(f"{column}: {kind}" for column, kind in fields)[:300]
            raise FormatError("not a table of word vectors", file=name, found=found, expected=expected)
        self.word, self.vector = word, vector
        self.dtype = float_dtype(kinds[vector].value_type)
        self.dim = kinds[vector].list_size if types.is_fixed_size_list(kinds[vector]) else None

    @property
    def names(self) -> list[str]:
        """Columns to read."""
        return [self.word, *(self._values or [self.vector])]

    @property
    def wide(self) -> bool:
        """Whether each value has its own column."""
        return bool(self._values)

    def joined(self, batch: Any) -> Any:
        """Return a record batch with one column of vectors, given one with the columns `names`."""
        if not self._values:
            return batch
        return join_values(batch, self.word, self._values, self.vector, self.dtype)


def _named(kinds: dict[str, Any], word: str | None, vector: str | None) -> dict[str, Any]:
    """Return the types of columns without those that cannot be meant if the user named columns."""
    for column, fits, expected in ((word, _is_text, "strings"), (vector, _is_list_of_floats, "lists of floats")):
        if column is None:
            continue
        if column not in kinds:
            raise OptionError(f"no single column is named {column!r}; choose from: {', '.join(kinds)[:300]}")
        if not fits(kinds[column]):
            raise OptionError(f"column {column!r} has the type {kinds[column]}, expected {expected}")
        kinds = {name: kind for name, kind in kinds.items() if name == column or not fits(kind)}
    return kinds


def _is_text(kind: Any) -> bool:
    types = arrow().types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or str(kind) in ("string_view", "binary_view")  # pyarrow 15 has no functions for them
    )


def _is_list_of_floats(kind: Any) -> bool:
    return _is_list(kind) and bool(arrow().types.is_floating(kind.value_type))


def _is_list(kind: Any) -> bool:
    types = arrow().types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


class Reader(BaseReader):
    """Reader of record batches.

    Parameters
    ----------
    name
        Name of the file, for error messages.
    columns
        Columns of the words and vectors.
    batches
        Function that opens the file and yields its record batches.
    request
        Rows to read, and their type.
    form
        Name of the format.
    rows
        Number of rows according to the file, or None.
    most
        Number of bytes of the file, which bounds the number of rows to allocate.
    """

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
            raise FormatError("invalid dimension of the vectors", file=name, found=str(self.dim))
        # Columns may be compressed, so this is an estimate: the matrix grows if there are more rows.
        fitting = most // (self.dim * columns.dtype.itemsize) + 1
        self.expected = fitting if rows is None else min(max(rows, 0), fitting)
        self._row = 0  # number of the first row of the next record batch

    @property
    def meta(self) -> dict[str, Any]:
        """Description of the file, and the number of skipped rows by cause."""
        meta: dict[str, Any] = {"format": self._form, **self._columns.stated}
        return {**meta, "skipped": dict(self.skipped)} if self.skipped else meta

    def _length(self) -> int:
        """Return the length of the first vector, for lists without a fixed size."""
        self._first = next(self._batches, None)
        column = None if self._first is None else self._first.column(self._columns.vector)
        lengths = [] if column is None else column.value_lengths().drop_null().to_pylist()
        return lengths[0] if lengths else 1

    def _guarded(self, batches: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """Yield the record batches that are not empty, after validating them."""
        pa = arrow()
        try:
            for batch in batches():
                # pyarrow does not check offsets when it reads; a wrong one would be used as an index without bounds.
                batch.validate(full=True)
                if batch.num_rows:
                    yield batch
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FormatError(f"cannot read the table ({error})", file=self._name) from error

    def __iter__(self) -> Iterator[Batch]:
        if self._first is not None:
            yield from self._requested(self._first)
        for batch in self._batches:
            if self._request.limit is not None and self._row >= self._request.limit:
                return
            yield from self._requested(batch)

    def _requested(self, batch: Any) -> Iterator[Batch]:
        """Yield the requested rows of a record batch as one `Batch`, if there are any."""
        limit = self._request.limit
        if limit is not None:
            batch = batch.slice(0, max(0, limit - self._row))
        begin, self._row = self._row, self._row + batch.num_rows
        texts, vectors = (batch.column(name) for name in (self._columns.word, self._columns.vector))
        # Rows are dropped step by step, so that only the values of requested rows are converted.
        present = ~texts.is_null().to_numpy(zero_copy_only=False)
        words = pack_column(texts)
        at = np.arange(len(words))
        if self._request.only is not None:
            at = at[(self._request.only.lookup(words) >= 0) & present]
        at = self._keep_valid(at, present[at], "a row without a word", begin)
        at, rows = self._values(at, vectors, begin)
        with np.errstate(over="ignore", invalid="ignore"):
            rows = narrowed(rows, self.dtype)
        if not self._request.allow_nonfinite:
            fine = np.isfinite(rows).all(axis=1)
            at, rows = self._keep_valid(at, fine, f"a value that is not finite in {self.dtype}", begin), rows[fine]
        if len(at):
            some = words.take(at)
            yield Batch(some.data, some.offsets, rows)

    def _values(self, at: npt.NDArray[np.int64], vectors: Any, begin: int) -> tuple[npt.NDArray[np.int64], Any]:
        """Return the rows with complete vectors, and their values."""
        lengths = vectors.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        at = self._keep_valid(at, lengths[at] == self.dim, f"a vector that does not have {self.dim} values", begin)
        taken = vectors if len(at) == len(vectors) else vectors.take(arrow().array(at))
        values = taken.flatten()
        absent = values.is_null().to_numpy(zero_copy_only=False).reshape(len(at), self.dim).any(axis=1)
        rows = np.asarray(values.to_numpy(zero_copy_only=False), dtype=self._columns.dtype).reshape(len(at), self.dim)
        if not absent.any():
            return at, rows  # a view of the column
        return self._keep_valid(at, ~absent, "a missing value", begin), rows[~absent]

    def _keep_valid(
        self, at: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_], cause: str, begin: int
    ) -> npt.NDArray[np.int64]:
        """Return the rows that are `valid`; raise an error for the others, or count them as skipped."""
        bad = at[~valid]
        if len(bad) and self._request.errors != "skip":
            hint = "errors='skip' (--errors skip) skips such rows."
            raise FormatError(cause, file=self._name, found=f"in row {begin + int(bad[0]) + 1:,}", hint=hint)
        if len(bad):
            self.skipped[cause] += len(bad)
        return at[valid]


def pack_column(texts: Any) -> Words:
    """Pack the words of a column of strings or bytes; a null becomes the empty word."""
    pa = arrow()
    if pa.types.is_dictionary(texts.type):
        values = texts.dictionary.cast(pa.large_binary())
        texts = pa.DictionaryArray.from_arrays(texts.indices, values).dictionary_decode()
    texts = texts.cast(pa.large_binary()).fill_null(b"")
    _, offsets, data = texts.buffers()
    # A column may be a slice of longer buffers, and its data may be followed by any number of bytes.
    ends = np.frombuffer(offsets, dtype=np.int64, count=texts.offset + len(texts) + 1)[texts.offset :]
    raw = np.empty(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
    return Words(raw[ends[0] : ends[-1]], ends - ends[0])


class Writer:
    """Writer of record batches, to the file that `open_sink` opens for a path and a schema.

    Words are written as strings, which other programs expect. At the first word that is not UTF-8, the batches written
    so far are copied to a new file with a column of bytes.
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
        self._dtype = numpy_dtype(table.dtype)

    def write(self) -> None:
        """Write all batches."""
        pa = arrow()
        schema = make_schema(pa.large_string(), self._dtype, self._table.dim, self._table.meta)
        sink = self._open_sink(self._path, schema)
        try:
            for batch in self._table.batches():
                text = schema.field(WORD).type
                words = word_column(batch, text)
                if words is None:
                    sink.close()
                    schema = make_schema(pa.large_binary(), self._dtype, self._table.dim, self._table.meta)
                    sink = self._reopened(schema)
                    words = word_column(batch, pa.large_binary())
                values = pa.array(np.ascontiguousarray(batch.rows, dtype=self._dtype).reshape(-1))
                rows = pa.FixedSizeListArray.from_arrays(values, self._table.dim)
                sink.write_batch(pa.record_batch([words, rows], schema=schema))
        finally:
            sink.close()

    def _reopened(self, schema: Any) -> Any:
        """Open a sink with a new schema and copy the batches written so far to it."""
        before = self._path.with_name(self._path.name + ".text")
        self._path.rename(before)
        sink = self._open_sink(self._path, schema)
        for batch in self._open_batches(before):
            words = batch.column(WORD).cast(schema.field(WORD).type)
            sink.write_batch(arrow().record_batch([words, batch.column(VECTOR)], schema=schema))
        before.unlink()
        return sink


def make_schema(text: Any, dtype: np.dtype[Any], dim: int, meta: Mapping[str, Any]) -> Any:
    """Return the schema of words of type `text` and lists of `dim` values, with the license and source in `meta`."""
    pa = arrow()
    return pa.schema(
        [pa.field(WORD, text), pa.field(VECTOR, pa.list_(pa.from_numpy_dtype(dtype), dim))], attribution(meta) or None
    )


def word_column(batch: Batch, text: Any) -> Any:
    """Return the words of a batch as a column, not copied; None if `text` is a string type and a word is not UTF-8."""
    pa = arrow()
    if pa.types.is_large_string(text):
        try:
            batch.data.tobytes().decode()
        except UnicodeDecodeError:
            return None
    # Packed words have the layout of Arrow's large strings, so the column shares their memory.
    buffers = [None, pa.py_buffer(np.ascontiguousarray(batch.offsets)), pa.py_buffer(np.ascontiguousarray(batch.data))]
    column = pa.Array.from_buffers(text, len(batch.rows), buffers)
    try:
        # The bytes of all words together are UTF-8, but a character may be split between two words.
        column.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return column
