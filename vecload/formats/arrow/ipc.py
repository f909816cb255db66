"""Arrow IPC files and streams, including Feather. `vecload.formats.arrow.columns` describes the columns.

Source: https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from vecload.errors import FormatError, require
from vecload.formats.arrow.columns import Columns, Reader, Writer, arrow
from vecload.formats.format import Format

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.sources import Source

NAME: Final = "Arrow"

_FILE: Final = b"ARROW1\0\0"
# A stream begins with a message: this marker, the length of its metadata as an int32, and the metadata, a schema.
_STREAM: Final = b"\xff\xff\xff\xff"
_LONGEST_SCHEMA: Final = 1 << 20


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 95 for the magic number of a file, or 91 for the marker of a stream and a plausible length."""
    if head.startswith(_FILE):
        return 95
    length = int.from_bytes(head[4:8], "little")
    return 91 if head.startswith(_STREAM) and length % 8 == 0 and 64 <= length <= _LONGEST_SCHEMA else 0


def read(source: Source, request: ReadRequest) -> Reader:
    """Read an Arrow IPC file or stream batch by batch.

    Raises
    ------
    FormatError
        If the file is damaged, or does not have columns of words and vectors.
    MissingDependencyError
        If pyarrow is not installed.
    """
    pa = arrow()
    data = source.mapped()
    whole = data[: len(_FILE)].tobytes() == _FILE
    try:
        buffer = pa.BufferReader(pa.py_buffer(data))
        file = _ipc().open_file(buffer) if whole else _ipc().open_stream(buffer)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FormatError(f"invalid or incomplete Arrow file ({error})", file=source.name) from error
    columns = Columns(file.schema, source.name)

    def batches() -> Iterator[Any]:
        given = map(file.get_batch, range(file.num_record_batches)) if whole else file
        for batch in given:
            yield columns.joined(batch.select(columns.names))
            source.position = min(len(data), source.position + batch.nbytes)

    return Reader(source.name, columns, batches, request, form=NAME, rows=None, most=len(data))


def _ipc() -> Any:
    return require("pyarrow.ipc", "arrow")


def check_options(options: WriteOptions) -> None:  # noqa: ARG001 - all formats share this signature
    """Raise MissingDependencyError if pyarrow is not installed."""
    _ipc()


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:  # noqa: ARG001 - this format has no options
    """Write an Arrow IPC file (Feather version 2). bfloat16, which Arrow does not have, becomes float32.

    Raises
    ------
    MissingDependencyError
        If pyarrow is not installed.
    """

    def open_sink(path: Path, schema: Any) -> Any:
        return _ipc().new_file(path, schema)

    def open_batches(path: Path) -> Iterator[Any]:
        with arrow().OSFile(str(path)) as file:
            reader = _ipc().open_file(file)
            yield from map(reader.get_batch, range(reader.num_record_batches))

    Writer(path, table, open_sink, open_batches).write()
    return Counter()


FORMAT: Final = Format(
    name=NAME,
    aliases=("Feather",),
    detect=detect,
    read=read,
    write=write,
    check_options=check_options,
    suffixes=(".arrow", ".feather", ".ipc"),
)
