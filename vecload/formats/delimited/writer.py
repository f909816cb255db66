"""Write CSV and TSV."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from vecload.formats.records import write_records
from vecload.formats.text.writer import check_options

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from vecload.formats.contract import RowStream, WriteOptions
    from vecload.sources import OutputStream

__all__ = ["check_options", "write"]

_QUOTED: Final = re.compile(rb'[\x00-\x1f",;\'\t]|^[ \xef]|[ ]$')


def write(output: Path | OutputStream, table: RowStream, options: WriteOptions) -> Counter[str]:
    """Write CSV: the header ``word,d0,d1,…``, then a row for each word.

    Words are quoted as in RFC 4180 where necessary. Lines end in line feeds, as those of pandas and polars.
    ``pandas.read_csv(path, keep_default_na=False)`` reads it; without that option, pandas takes the word "null" for a
    missing value.

    Parameters
    ----------
    output
        Path of the file, or a stream.
    table
        The rows to write.
    options
        The alias "TSV" puts tabs between fields. `precision` is that of text.
    """
    mark = b"\t" if options.alias == "TSV" else b","
    header = mark.join([b"word", *(b"d%d" % column for column in range(table.dim))]) + b"\n"

    def line(word: bytes, values: bytes) -> bytes:
        field = b'"' + word.replace(b'"', b'""') + b'"' if not word or _QUOTED.search(word) else word
        return field + mark + values + b"\n"

    return write_records(output, table, options, mark=mark, first=header, record=line)
