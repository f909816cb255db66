"""File formats: the ones vecload reads and writes, and how to add more.

A format is a `Format`: a name, a function that recognizes its files, one that reads them and one that writes them. To
add one, pass it to `register`, or declare it in the metadata of a package as an entry point of the group
"vecload.formats". ``docs/adding-a-format.md`` shows a complete one.

A reader gets the opened `vecload.sources.Source`, whose bytes can be read once: as a stream (``read``, ``readinto``)
or as one mapped array (``mapped``, which spools compressed files and streams). A reader that maps sets
``source.position`` to the number of bytes done, for the progress bar. ``Source.path`` is the path of a plain file or
folder, else None; files that belong to it are looked for in the same folder.
"""

from vecload.arrays import IndexedRows
from vecload.formats.array_reader import ArrayReader
from vecload.formats.contract import (
    BaseReader,
    Preview,
    Reader,
    ReadRequest,
    RowBuffer,
    RowStream,
    Sample,
    WriteOptions,
)
from vecload.formats.format import SURE, Format
from vecload.formats.history import History
from vecload.formats.registry import all_formats, detect_format, format_by_name, register, unregister
from vecload.formats.table import Batch, Table
from vecload.keywords import explain_public

__all__ = [
    "SURE",
    "ArrayReader",
    "BaseReader",
    "Batch",
    "Format",
    "History",
    "IndexedRows",
    "Preview",
    "ReadRequest",
    "Reader",
    "RowBuffer",
    "RowStream",
    "Sample",
    "Table",
    "WriteOptions",
    "all_formats",
    "detect_format",
    "format_by_name",
    "register",
    "unregister",
]

explain_public(__name__)
