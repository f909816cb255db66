"""vecload's own format: a matrix, its words with their hash table, and any n-gram table, in one safetensors file.

Opening a file maps it: nothing is parsed or copied, and processes that open it share its pages. Any program that reads
safetensors can read it. ``docs/native-format.md`` describes the layout, `vecload.saved.safetensors` the container.

Opening checks names, types, shapes and settings (`vecload.saved.schemas.NATIVE`) without reading the matrix. The
offsets of the words and their hash table are checked before compiled code first follows them (`Words`).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import IndexedRows, narrowed, type_of
from vecload.attribution import attribution, described
from vecload.errors import FormatError, OptionError
from vecload.formats.array_reader import select_shared
from vecload.formats.contract import BaseReader, skip_nonfinite
from vecload.formats.format import Format
from vecload.formats.history import History
from vecload.formats.table import Batch, Table
from vecload.formats.writing.counted import CountedFile
from vecload.formats.writing.stored_rows import stored_form
from vecload.formats.writing.values import as_bytes
from vecload.ngrams import DenseRows, NgramTable, QuantizedRows
from vecload.ngrams.projected import ProjectedRows
from vecload.saved import (
    check_rules,
    check_settings,
    check_tensors,
    parse_json,
    parse_safetensors,
    safetensors_header,
    to_json,
)
from vecload.saved.files import check_version
from vecload.saved.schemas import DENSE_NGRAMS, META, META_ARGS, NATIVE, QUANTIZED_NGRAMS
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.saved import Safetensors
    from vecload.sources import Source

NAME: Final = "native"

_NGRAMS: Final = "ngrams."
_NGRAM_KINDS: Final = ("fasttext", "floret", "finalfusion")
_PAGE: Final = 4096
_ALIGNED: Final = 64
_BATCH_BYTES: Final = 1 << 20
_WRITE_BYTES: Final = 1 << 22
_FLOATS: Final = ("float16", "bfloat16", "float32", "float64")


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 100 for a safetensors file that vecload marked."""
    return 100 if head[8:9] == b"{" and f'"{NATIVE.mark}"'.encode() in head[:_PAGE] else 0


class Reader(BaseReader):
    """Reader of a native file; `read` makes it."""

    def __init__(self, source: Source, request: ReadRequest) -> None:
        self._source = source
        self._request = request
        self.skipped: Counter[str] = Counter()
        raw = source.mapped()
        container = parse_safetensors(raw, source.name)
        metadata = container.metadata
        if metadata.get("format") != NATIVE.mark:
            found, expected = repr(str(metadata.get("format"))[:40]), repr(NATIVE.mark)
            raise FormatError("not a native file", file=source.name, found=found, expected=expected)
        check_version(metadata.get("version"), NATIVE, source.name)
        self._matrix, self._words, ids = _table(container, source.name)
        self._rows = self._matrix if ids is None else IndexedRows(self._matrix, ids)
        self.dim = self._matrix.shape[1]
        self.dtype = self._matrix.dtype if request.dtype is None else type_of(request.dtype)
        self.declared = len(self._words)
        self.expected = self.declared
        meta = check_settings(META, _metadata(container, "meta", source.name, len(raw)), source.name, closed=False)
        check_settings(META_ARGS, meta.get("args", {}), f"{source.name} (args)", closed=False)
        self._history = _take_history(meta)
        others = {key: value for key, value in meta.items() if key not in ("license", "source")}
        self.meta: dict[str, Any] = {**others, **attribution(meta), "format": NAME}
        self.ngrams = _ngrams(container, source.name, len(raw), self.dim, source.path)

    @property
    def history(self) -> History:
        """Entries of the stored ``meta`` that change results."""
        return self._history

    @property
    def doubt(self) -> str | None:
        """Doubts that were found when the file was made."""
        doubt: str | None = self.meta.get("doubt")
        return doubt

    @property
    def unique_rows(self) -> int | None:
        """Number of rows that the file stores, if words share rows; else None."""
        return len(self._matrix) if isinstance(self._rows, IndexedRows) else None

    def mapped(self) -> Table | None:
        """Return the mapped file if all rows are requested in their own type, or words that share rows."""
        request = self._request
        if isinstance(self._rows, IndexedRows):
            return self._shared(self._rows)
        if request.only is not None or request.limit is not None or self.dtype != self._matrix.dtype:
            return None
        return Table(self._words, self._rows, described(self.meta, self._source.name), self.ngrams, self._history)

    def _shared(self, stored: IndexedRows) -> Table | None:
        """Return the requested words and the rows that they share; None if a value is too large for the type."""
        words, rows = select_shared(self._words, stored, self._request)
        matrix = narrowed(rows.matrix, self.dtype)
        lost = matrix is not rows.matrix and bool((np.isinf(matrix) & np.isfinite(rows.matrix)).any())
        if lost and not self._request.allow_nonfinite:
            return None
        meta = described(self.meta, self._source.name)
        return Table(words, IndexedRows(matrix, rows.ids), meta, self.ngrams, self._history)

    def __iter__(self) -> Iterator[Batch]:
        only, limit = self._request.only, self._request.limit
        rows = np.arange(self.declared) if only is None else np.unique(self._words.lookup(only))
        rows = rows[(rows >= 0) & (rows < (self.declared if limit is None else limit))]
        row_bytes = self.dim * self._matrix.itemsize
        step = max(1, _BATCH_BYTES // row_bytes)
        for first in range(0, len(rows), step):
            words = self._words.take(rows[first : first + step])
            batch = Batch(words.data, words.offsets, self._rows[rows[first : first + step]])
            values = narrowed(batch.rows, self.dtype)
            # NaN and infinity in the file are kept, because the mapped file keeps them too. Only values that become
            # infinite in the requested type are refused.
            lost = (np.isinf(values) & np.isfinite(batch.rows)).any(axis=1)
            if lost.any() and not self._request.allow_nonfinite:
                batch, values = self._without(lost, batch), values[~lost]
            yield batch._replace(rows=values)
            self._source.position = int(rows[first]) * row_bytes

    def _without(self, lost: npt.NDArray[np.bool_], batch: Batch) -> Batch:
        """Return the batch without rows that have values too large for the requested type, or raise the error."""
        word = batch.words.bytes(int(np.argmax(lost)))
        count = int(np.count_nonzero(lost))
        skip_nonfinite(self._request, self.skipped, self.dtype, word=word, count=count, file=self._source.name)
        self.meta["skipped"] = dict(self.skipped)
        return batch.take(np.flatnonzero(~lost))


def read(source: Source, request: ReadRequest) -> Reader:
    """Return a reader of a native file. A stream is first copied to a temporary file.

    Raises
    ------
    FormatError
        If the header is invalid, or does not match the bytes that follow.
    """
    return Reader(source, request)


def _table(container: Safetensors, name: str) -> tuple[npt.NDArray[Any], Words, npt.NDArray[np.int64] | None]:
    """Return the matrix, the words and the row of each word; None if word i has row i.

    Types and shapes are checked, and row numbers. Neither the matrix nor the words are read.
    """
    arrays = {tensor: array for tensor, array in container.arrays.items() if not tensor.startswith(_NGRAMS)}
    check_tensors(NATIVE, arrays, name)
    check_rules(NATIVE, arrays, {}, name)
    matrix, data, offsets = arrays["matrix"], arrays["words.data"], arrays["words.offsets"]
    # The bytes of the words are followed by padding. The last offset is clamped and not trusted; `Words` checks all
    # offsets and hash slots before a kernel follows them, at the first lookup (``checked=False``).
    end = max(0, min(int(offsets[-1]), len(data)))
    return matrix, Words(data[:end], offsets, slots=arrays["words.slots"], checked=False), arrays.get("row_ids")


def _metadata(container: Safetensors, key: str, name: str, size: int) -> Any:
    """Return parsed JSON of the metadata; an empty dict if the key is missing."""
    try:
        return parse_json(container.metadata.get(key, "{}"), size=size)
    except ValueError as error:
        raise FormatError(f"invalid JSON in the metadata {key!r}: {error}", file=name) from error


def _ngrams(container: Safetensors, name: str, size: int, dim: int, path: Path | None) -> NgramTable | None:
    """Return the n-gram table. It is checked, because kernels follow its codes and row numbers."""
    arrays = {
        tensor.removeprefix(_NGRAMS): array for tensor, array in container.arrays.items() if tensor.startswith(_NGRAMS)
    }
    if "ngrams" not in container.metadata and not arrays:
        return None
    schema = QUANTIZED_NGRAMS if "codes" in arrays else DENSE_NGRAMS
    settings = check_settings(schema.settings, _metadata(container, "ngrams", name, size), f"{name} (n-grams)")
    check_tensors(schema, arrays, f"{name} (n-grams)", {"dim": dim})
    check_rules(schema, arrays, settings, f"{name} (n-grams)")
    kept = arrays.get("kept")
    if schema is QUANTIZED_NGRAMS:
        width = settings.pop("width")
        parts = (arrays[part] for part in ("norm_codes", "norm_centroids"))
        return NgramTable(QuantizedRows(arrays["codes"], arrays["centroids"], width, *parts), kept=kept, **settings)
    matrix = arrays["rows"]
    # If the file is on disk, `DenseRows` reads the few rows of one word by position. Through the mapping, each of them
    # would bring a page and its neighbors into memory.
    if path is None:
        return NgramTable(DenseRows(matrix), kept=kept, **settings)
    with path.open("rb") as file:
        rows = DenseRows(matrix, file=file.fileno(), offset=container.starts[f"{_NGRAMS}rows"])
        return NgramTable(rows, kept=kept, **settings)


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:  # noqa: ARG001 - this format has no options
    """Write a native file in one pass: the matrix batch by batch, then the words, and the header last.

    Parameters
    ----------
    path
        Path of the file.
    table
        The rows to write: float16, bfloat16, float32 or float64.
    """
    if table.dtype.name not in _FLOATS:
        raise OptionError(f"a native file holds float16, bfloat16, float32 or float64, not {table.dtype}")
    _meta_text(table.meta, table.history)  # raises before anything is written
    # The header lists the shapes of all arrays, and those after the matrix are known only when the last row is written.
    # `header` is called once before that, to reserve space, and once at the end.
    settings: dict[str, Any] | None = None
    layout: dict[str, tuple[np.dtype[Any] | str, tuple[int, ...]]] = {}

    def header(rows: int) -> bytes:
        layout["matrix"] = table.dtype, (rows, table.dim)
        metadata = {"format": NATIVE.mark, "version": NATIVE.version, "meta": _meta_text(table.meta, table.history)}
        if settings is not None:
            metadata["ngrams"] = to_json(settings)
        # The matrix begins at a page, so that its mapped rows are aligned for any type and any vector instruction.
        return safetensors_header(layout, metadata, page=_PAGE)

    form = stored_form(table)
    # The matrix is first, so that it can be written while words are still unknown and its length is unknown too.
    with CountedFile(path, table.expected, header) as file:
        count = 0
        for batch in (table if form is None else form.rows).batches():
            file.write(as_bytes(batch.rows), len(batch.rows))
            count += len(batch.rows)
        words = table.words
        size = count * table.dim * table.dtype.itemsize
        # The offsets, which follow, are aligned too. Readers find the end of the words in the last offset.
        padding = -(size + len(words.data)) % _ALIGNED
        layout["words.data"] = "uint8", (len(words.data) + padding,)
        file.write(words.data, 0)
        file.write(bytes(padding), 0)
        arrays: list[tuple[str, npt.NDArray[Any] | _Decoded]] = [
            ("words.offsets", words.offsets),
            ("words.slots", words.slots),
        ]
        if form is not None:
            arrays.append(("row_ids", form.ids))
        # Others are dropped, with the warning of `save`.
        if table.ngrams is not None and table.ngrams.kind in _NGRAM_KINDS:
            ngram_arrays, settings = _parts(table.ngrams)
            arrays += ngram_arrays
        for name, array in arrays:
            layout[name] = array.dtype, array.shape
            # Arrays of a mapped source are copied in pieces, so that they need not fit in memory.
            step = max(1, _WRITE_BYTES // max(1, array[:1].nbytes))
            for first in range(0, len(array), step):
                file.write(as_bytes(array[first : first + step]), 0)
    return Counter()


def _meta_text(meta: Mapping[str, Any], history: History) -> str:
    """Return a table's description and history as JSON, checked as readers check it.

    Raises
    ------
    OptionError
        If readers would refuse it.
    """
    text = to_json({**_kept(meta), **_history_entries(history)})
    try:
        kept = check_settings(META, parse_json(text), "meta", closed=False)
        check_settings(META_ARGS, kept.get("args", {}), "meta (args)", closed=False)
    except (FormatError, ValueError) as error:
        raise OptionError(f"a native file cannot store this: {error}") from error
    return text


def _kept(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a description that stay true in another file. Format and file name become ``origin``."""
    dropped = ("format", "source", "header", "license")
    kept = {key: value for key, value in meta.items() if key not in dropped}
    name = Path(str(meta.get("source", ""))).name
    return {"origin": ", ".join(filter(None, (str(meta.get("format", "")), name))), **kept, **attribution(meta)}


def _history_entries(history: History) -> dict[str, Any]:
    """Return the history as entries of the stored ``meta``.

    Counts are left out, because they would make the header as long as the words.
    """
    entries = {
        "args": dict(history.arguments),
        "attr": history.attr,
        "labels": list(history.labels),
        "transforms": list(history.transforms),
    }
    return {key: value for key, value in entries.items() if value not in ({}, [], None)}


def _take_history(meta: dict[str, Any]) -> History:
    """Remove the entries of the history from the stored ``meta``, and return them."""
    arguments, attr = meta.pop("args", {}), meta.pop("attr", None)
    return History(arguments, tuple(meta.pop("labels", ())), None, tuple(meta.pop("transforms", ())), attr)


class _Decoded:
    """Rows that are decoded when they are written, a piece at a time."""

    dtype = np.dtype(np.float32)

    def __init__(self, rows: ProjectedRows) -> None:
        self._rows = rows
        self.shape = rows.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, part: slice) -> npt.NDArray[Any]:
        return self._rows.take(np.arange(*part.indices(len(self))), sparse=False)


def _parts(ngrams: NgramTable) -> tuple[list[tuple[str, npt.NDArray[Any] | _Decoded]], dict[str, Any]]:
    """Return the arrays of an n-gram table and its settings; the widest values come first, so all are aligned."""
    rows, settings = ngrams.rows, ngrams.settings
    if isinstance(rows, ProjectedRows):
        return [("ngrams.rows", _Decoded(rows))], settings
    kept = [] if ngrams.kept is None else [("ngrams.kept", ngrams.kept)]
    if isinstance(rows, DenseRows):
        return [("ngrams.rows", rows.matrix), *kept], settings
    assert isinstance(rows, QuantizedRows)
    floats = [("ngrams.centroids", rows.centroids), ("ngrams.norm_centroids", rows.norm_centroids)]
    codes = [("ngrams.codes", rows.codes), ("ngrams.norm_codes", rows.norm_codes)]
    return [*floats, *kept, *codes], {**settings, "width": rows.width}


FORMAT: Final = Format(
    name=NAME,
    aliases=("vecload", "safetensors"),
    detect=detect,
    read=read,
    write=write,
    suffixes=(".safetensors",),
    ngram_kinds=_NGRAM_KINDS,
    records_doubts=True,
)
