"""Tables of words and vectors in memory, exchanged through the Arrow PyCapsule interface.

pyarrow, polars, pandas and DuckDB import and export streams by this interface, without copying where both sides store
values alike. `vecload.formats.arrow.columns` describes the columns.

Source: https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import narrowed, numpy_dtype
from vecload.errors import FormatError, OptionError
from vecload.formats.arrow.columns import Columns, Reader, arrow, make_schema, word_column
from vecload.formats.contract import ReadRequest
from vecload.formats.table import Batch, Table
from vecload.words import Words, build_hash_table

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME: Final = "Arrow"

_DATA: Final = "<Arrow data>"  # in place of a file's name in errors


def to_arrow(table: Table) -> Any:
    """Return a ``pyarrow.Table`` of words and vectors, which shares their memory.

    bfloat16, which Arrow does not have, is copied to float32. Rows that several words share are gathered.

    Raises
    ------
    MissingDependencyError
        If pyarrow is not installed.
    """
    pa = arrow()
    dtype = numpy_dtype(table.dtype)
    matrix = np.ascontiguousarray(narrowed(table.matrix[:], dtype))
    batch = Batch(table.words.data, table.words.offsets, matrix)
    words = word_column(batch, pa.large_string())
    if words is None:  # a word is not UTF-8
        words = word_column(batch, pa.large_binary())
    rows = pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), table.dim)
    return pa.table([words, rows], schema=make_schema(words.type, dtype, table.dim, table.meta))


def from_arrow(data: Any, *, words: str | None, vectors: str | None, errors: str) -> Table:
    """Return the words and vectors of a table in memory, as `vecload.Vectors.from_arrow` documents it."""
    pa = arrow()
    if not hasattr(data, "__arrow_c_stream__"):
        hint = "pass a table of pyarrow, polars, pandas (2.2 or later) or DuckDB"
        raise OptionError(f"{type(data).__name__} has no method __arrow_c_stream__; {hint}")
    if errors not in ("raise", "skip"):
        raise OptionError(f"errors must be 'raise' or 'skip', got {errors!r}")
    try:
        stream = pa.RecordBatchReader.from_stream(data)
    except (pa.ArrowException, ValueError) as error:
        raise FormatError(f"cannot read the table ({error})", file=_DATA) from error
    columns = Columns(stream.schema, _DATA, word=words, vector=vectors)

    def batches() -> Iterator[Any]:
        for batch in stream:
            yield columns.joined(batch.select(columns.names))

    # As for `Vectors(words, matrix)`, NaN and infinity are values.
    request = ReadRequest(errors=errors, allow_nonfinite=True)
    reader = Reader(_DATA, columns, batches, request, form=NAME, rows=None, most=0)
    found = list(reader)
    matrix = np.empty((0, reader.dim), dtype=reader.dtype)
    if found:  # the rows of a single batch are used where they are
        matrix = found[0].rows if len(found) == 1 else np.concatenate([batch.rows for batch in found])
    lengths = [np.diff(batch.offsets) for batch in found]
    offsets = np.cumsum(np.concatenate([np.zeros(1, dtype=np.int64), *lengths]))
    packed = np.concatenate([np.empty(0, dtype=np.uint8), *(batch.data for batch in found)])
    slots, repeated = build_hash_table(packed, offsets)
    meta = reader.meta
    if not repeated.any():
        return Table(Words(packed, offsets, slots=slots), matrix, meta)
    meta["duplicates"] = int(np.count_nonzero(repeated))
    first = np.flatnonzero(~repeated)
    return Table(Words(packed, offsets).take(first), matrix[first], meta)
