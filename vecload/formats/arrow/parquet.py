"""Parquet files of words and vectors. `vecload.formats.arrow.columns` describes the columns.

Files are written without compression, which takes time and hardly makes vectors smaller. pandas, polars, DuckDB and
Spark can read them.

Source: https://parquet.apache.org/docs/file-format/, through pyarrow.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from vecload.errors import FormatError, require
from vecload.formats.arrow.columns import BATCH_ROWS, Columns, Reader, Writer, arrow
from vecload.formats.format import Format

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.sources import Source

NAME: Final = "Parquet"

_MAGIC: Final = b"PAR1"
_VALUES: Final = 1 << 22  # in a batch of a wide table


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 95 for the magic number."""
    return 95 if head.startswith(_MAGIC) else 0


def read(source: Source, request: ReadRequest) -> Reader:
    """Read a Parquet file batch by batch.

    Raises
    ------
    FormatError
        If the file is damaged, or does not have columns of words and vectors.
    MissingDependencyError
        If pyarrow is not installed.
    """
    pa = arrow()
    data = source.mapped()
    try:
        file = _parquet().ParquetFile(pa.BufferReader(pa.py_buffer(data)))
        schema, rows = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FormatError(f"invalid or incomplete Parquet file ({error})", file=source.name) from error
    columns = Columns(schema, source.name)
    # A batch has a piece of each of hundreds of columns, and short pieces take long.
    count = max(BATCH_ROWS, _VALUES // len(schema)) if columns.wide else BATCH_ROWS

    def batches() -> Iterator[Any]:
        for group in range(file.num_row_groups):
            given = file.iter_batches(count, row_groups=[group], columns=columns.names, use_threads=columns.wide)
            yield from map(columns.joined, given)
            source.position = len(data) * (group + 1) // file.num_row_groups

    return Reader(source.name, columns, batches, request, form=NAME, rows=rows, most=len(data))


def _parquet() -> Any:
    return require("pyarrow.parquet", "arrow")


def check_options(options: WriteOptions) -> None:  # noqa: ARG001 - all formats share this signature
    """Raise MissingDependencyError if pyarrow is not installed."""
    _parquet()


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:  # noqa: ARG001 - this format has no options
    """Write a Parquet file. bfloat16, which Parquet does not have, becomes float32.

    Raises
    ------
    MissingDependencyError
        If pyarrow is not installed.
    """

    def open_sink(path: Path, schema: Any) -> Any:
        # Dictionaries and statistics (minima and maxima) do not help with vectors, whose values hardly repeat.
        plain = {"compression": "NONE", "use_dictionary": False, "write_statistics": False}
        return _parquet().ParquetWriter(path, schema, **plain)

    def open_batches(path: Path) -> Iterator[Any]:
        with _parquet().ParquetFile(path) as file:
            yield from file.iter_batches(BATCH_ROWS)

    Writer(path, table, open_sink, open_batches).write()
    return Counter()


FORMAT: Final = Format(
    name=NAME, detect=detect, read=read, write=write, check_options=check_options, suffixes=(".parquet", ".pq")
)
