"""Read CSV and TSV."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from vecload.formats.delimited.layout import HEAD, Layout, require_layout, split_list
from vecload.formats.records import Places, RecordReader
from vecload.formats.text.grammar import MalformedLine
from vecload.message_text import number_of, quote

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest
    from vecload.formats.records.chunks import Bounds
    from vecload.sources import Source


def read(source: Source, request: ReadRequest) -> RecordReader:
    r"""Return a reader of CSV.

    Raises
    ------
    FormatError
        If the first rows are not words and values.

    Examples
    --------
    >>> import io
    >>> from vecload.formats.contract import ReadRequest
    >>> from vecload.sources import open_source
    >>> reader = read(open_source(io.BytesIO(b'word,d0,d1\n"a,b",1,2\n')), ReadRequest())
    >>> [(list(batch.words), batch.rows.tolist()) for batch in reader]
    [(['a,b'], [[1.0, 2.0]])]
    """
    size = HEAD
    head = source.head(size)
    # A header of many names may be longer than the first bytes.
    while len(head) == size and head.count(b"\n") < 3 and size < 1 << 23:
        size *= 2
        head = source.head(size)
    whole = len(head) < size
    return RecordReader(source, request, DelimitedRows(require_layout(head, source.name, whole=whole)))


class DelimitedRows:
    """Rows of CSV, as a `Grammar`."""

    blank_records = True

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.form = "TSV" if layout.delimiter == "\t" else "CSV"
        self.dim = layout.dim
        self.begin = layout.begin
        self.record_bytes = max(1.0, layout.record_bytes)
        self._delimiter = ord(layout.delimiter)

    def split(self, buffer: npt.NDArray[np.uint8], stop: int, bounds: Bounds, *, ended: bool) -> tuple[int, int]:
        """Find rows, which may contain quoted line feeds."""
        from vecload.kernels import delimited

        count, cut = delimited.split_delimited(buffer, stop, self._delimiter, ended, *bounds)
        return int(count), int(cut)

    def locate(self, buffer: npt.NDArray[np.uint8], bounds: Bounds, places: Places) -> None:
        """Find words and values."""
        from vecload.kernels import delimited

        layout = self._layout
        fields = self._delimiter, layout.skip, layout.listed
        delimited.locate_delimited(buffer, bounds.starts, bounds.stops, *fields, *places)

    def decode(self, record: bytes) -> tuple[bytes, list[Any]]:
        """Return the word and the spelled values of a row."""
        layout = self._layout
        if b"\0" in record:
            raise MalformedLine("a NUL byte", at=record.index(b"\0"), hint="The file is damaged, or is not text.")
        text = record.removesuffix(b"\r").decode("utf-8", "surrogateescape")
        try:
            rows = list(csv.reader([text], delimiter=layout.delimiter, strict=True))
        except csv.Error as error:
            hint = "A field that begins with a quote must end with one, before a delimiter; quotes inside are doubled."
            raise MalformedLine("invalid quotes", found=f"{quote(record[:60])} ({error})", hint=hint) from None
        fields = rows[0] if rows else []
        if len(fields) <= layout.skip + 1:
            found = number_of(len(fields), "field")
            raise MalformedLine("too few values", found=found, expected=str(layout.skip + 1 + layout.dim))
        word = fields[layout.skip].encode("utf-8", "surrogateescape")
        cells = fields[layout.skip + 1 :]
        if layout.listed:
            cell = cells[0].strip()
            if len(cells) != 1 or not (cell.startswith("[") and cell.endswith("]")):
                raise MalformedLine("a vector that is not a list", found=quote(cells[0][:40].encode(errors="replace")))
            cells = split_list(cell)
        return word, [cell.strip().encode("utf-8", "surrogateescape") for cell in cells]

    def unfinished(self) -> str | None:
        """Return None: a file may end after any row."""
        return None
