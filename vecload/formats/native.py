"""vecload's own files: a matrix, its words with their hash table, perhaps an n-gram table, in one safetensors file.

Opening maps the file: nothing is parsed or copied, and processes that open it share its pages. Anything that reads
safetensors reads it. ``docs/native-format.md`` describes the layout, safetensors' ``README.md`` the container::

    uint64 N | N bytes of JSON, padded with spaces | the tensors, one behind the other

The JSON is not believed: tensors must lie without holes in the bytes that exist, and fit each other. The words'
offsets and hash table are checked when compiled code is first to follow them (`Words`).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.errors import FormatError, OptionError
from vecload.formats.sink import RowFile, as_bytes
from vecload.ngrams import DenseRows, NgramTable, QuantisedRows
from vecload.vectors import NONFINITE_HINT, Batch, Vectors, narrowed, type_of
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from vecload.formats import Table
    from vecload.sources import Source
    from vecload.vectors import Request

NAME: Final = "native"
ALIASES: Final[dict[str, dict[str, Any]]] = {"vecload": {}, "safetensors": {}}
SUFFIXES: Final = (".safetensors",)
NGRAMS: Final = ("fasttext", "floret")

_MARK: Final = "vecload vectors"
_VERSION: Final = "1"
_LONGEST_HEADER: Final = 100_000_000  # as safetensors has it
_PAGE: Final = 4096
_ALIGNED: Final = 64
_BATCH: Final = 1 << 20  # bytes of rows together
_PIECE: Final = 1 << 22
_CODES: Final = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "U64": "uint64", "I64": "int64", "I32": "int32", "U8": "uint8",
}  # fmt: skip
_FLOATS: Final = {"F64", "F32", "F16", "BF16"}


def sniff(head: bytes, name: str) -> int:  # noqa: ARG001 - every format is asked the same way
    """100 for safetensors with vecload's mark."""
    return 100 if head[8:9] == b"{" and f'"{_MARK}"'.encode() in head[:_PAGE] else 0


class Reader:
    """A native file; made by `read`."""

    def __init__(self, source: Source, request: Request) -> None:
        self._source = source
        self._request = request
        self.skipped: Counter[str] = Counter()
        raw = source.mapped()
        entries, metadata, begin = _header(raw, source.name)
        arrays = {name: _array(raw, entry, begin) for name, entry in entries.items()}
        self._matrix, self._words = _table(arrays, source.name)
        self.dim = self._matrix.shape[1]
        self.dtype = self._matrix.dtype if request.dtype is None else type_of(request.dtype)
        self.declared = len(self._matrix)
        self.expected = self.declared
        try:
            self.meta: dict[str, Any] = {**json.loads(metadata.get("meta", "{}")), "format": NAME}
            self.ngrams = _ngrams(arrays, entries, metadata, begin, source.path)
        except (ValueError, KeyError, TypeError) as error:
            problem = f"the metadata or the n-gram table cannot be ({error})"
            raise FormatError(problem, file=source.name) from error
        if self.ngrams is not None and self.ngrams.dim != self.dim:
            raise FormatError("n-gram rows of another dimension", file=source.name, found=self.ngrams.dim)

    def mapped(self) -> Vectors | None:
        """The file as it lies, where all of it is wanted as it is."""
        request = self._request
        if request.only is not None or request.limit is not None or self.dtype != self._matrix.dtype:
            return None
        return Vectors(self._words, self._matrix, {**self.meta, "source": self._source.name}, self.ngrams)

    def __iter__(self) -> Iterator[Batch]:
        only, limit = self._request.only, self._request.limit
        rows = np.arange(self.declared) if only is None else np.unique(self._words.lookup(only))
        rows = rows[(rows >= 0) & (rows < (self.declared if limit is None else limit))]
        row_bytes = self.dim * self._matrix.itemsize
        step = max(1, _BATCH // max(1, row_bytes))
        whole = Batch(self._words.data, self._words.offsets, self._matrix)
        for first in range(0, len(rows), step):
            batch = whole.take(rows[first : first + step])
            values = narrowed(batch.rows, self.dtype)
            lost = (np.isinf(values) & np.isfinite(batch.rows)).any(axis=1)
            if lost.any() and not self._request.allow_nonfinite:
                batch, values = self._without(lost, batch), values[~lost]
            yield batch._replace(rows=values)
            self._source.position = int(rows[first]) * row_bytes

    def _without(self, lost: npt.NDArray[np.bool_], batch: Batch) -> Batch:
        """The batch without rows that the type asked for cannot hold."""
        cause = f"a value that is not finite in {self.dtype}"
        if self._request.errors != "skip":
            found = f"one in the row of {Words(batch.data, batch.offsets)[int(np.argmax(lost))]!r}"
            raise FormatError(cause, file=self._source.name, found=found, hint=NONFINITE_HINT)
        self.skipped[cause] += int(np.count_nonzero(lost))
        self.meta["skipped"] = dict(self.skipped)
        return batch.take(np.flatnonzero(~lost))


def read(source: Source, request: Request) -> Reader:
    """Open a native file. A stream is spooled first.

    Raises
    ------
    FormatError
        When the header, or what it says of the bytes that follow, cannot be.
    """
    return Reader(source, request)


def _header(raw: npt.NDArray[np.uint8], name: str) -> tuple[dict[str, dict[str, Any]], dict[str, str], int]:
    """The tensors by name, the metadata, and where the tensors begin."""

    def refuse(problem: str, found: object = None) -> FormatError:
        hint = "Download or copy the file again."
        return FormatError(f"the safetensors header: {problem}", file=name, byte=0, found=found, hint=hint)

    length = int.from_bytes(raw[:8].tobytes(), "little")
    begin = 8 + length
    if len(raw) < 8 or length > _LONGEST_HEADER or begin > len(raw):
        raise refuse("longer than the file", f"{length:,} bytes of header in {len(raw):,}")
    try:
        header = json.loads(raw[8:begin].tobytes(), object_pairs_hook=_once)
        metadata = header.pop("__metadata__", {})
        if metadata.get("format") != _MARK:
            raise refuse("not vecload's", metadata.get("format"))
        if metadata.get("version") != _VERSION:
            raise refuse("of a version that this vecload does not know", metadata.get("version"))
        spans = []
        for tensor, entry in header.items():
            if set(entry) != {"dtype", "shape", "data_offsets"} or entry["dtype"] not in _CODES:
                raise refuse(f"tensor {tensor!r} cannot be", entry)
            first, last = map(_whole, entry["data_offsets"])
            size = math.prod(map(_whole, entry["shape"])) * type_of(_CODES[entry["dtype"]]).itemsize
            if last - first != size:
                raise refuse(f"tensor {tensor!r} has another size than its shape", entry)
            spans.append((first, last))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, FormatError):
            raise
        raise refuse(f"not the JSON it should be ({error})") from error
    at = 0
    for first, last in sorted(spans):
        if first != at:
            raise refuse("tensors overlap or leave holes", f"one from byte {first}, the one before it to {at}")
        at = last
    if begin + at != len(raw):
        raise refuse("the file has another size", f"{len(raw):,} bytes, not {begin + at:,}")
    return header, metadata, begin


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name that comes twice")
    return found


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 60:
        raise ValueError(f"{value!r} is no size")
    return value


def _array(raw: npt.NDArray[np.uint8], entry: dict[str, Any], begin: int) -> npt.NDArray[Any]:
    first, last = entry["data_offsets"]
    piece = raw[begin + first : begin + last].view(type_of(_CODES[entry["dtype"]]))
    piece = piece if piece.flags.aligned else piece.copy()  # another writer's; kernels are compiled for aligned arrays
    return piece.reshape(entry["shape"])


def _table(arrays: dict[str, npt.NDArray[Any]], name: str) -> tuple[npt.NDArray[Any], Words]:
    """The matrix and its words; the arrays are made to fit each other, what they hold is not looked at."""
    names = ("matrix", "words.data", "words.offsets", "words.slots")
    shapes = {tensor: f"{arrays[tensor].dtype}{arrays[tensor].shape}" for tensor in names if tensor in arrays}
    if len(shapes) < len(names):
        raise FormatError("a tensor is missing", file=name, found=", ".join(shapes), expected=", ".join(names))
    matrix, data, offsets, slots = (arrays[tensor] for tensor in names)
    fits = (
        matrix.ndim == 2
        and (matrix.dtype.kind == "f" or matrix.dtype.name == "bfloat16")
        and (str(data.dtype), data.ndim) == ("uint8", 1)
        and (str(offsets.dtype), offsets.shape) == ("int64", (len(matrix) + 1,))
        and (str(slots.dtype), slots.ndim) == ("uint64", 1)
        and len(slots) > len(matrix)
        and len(slots).bit_count() == 1
    )
    if not fits:
        found = ", ".join(f"{tensor} {shape}" for tensor, shape in shapes.items())
        raise FormatError("the tensors of matrix and words do not fit each other", file=name, found=found)
    end = max(0, min(int(offsets[-1]), len(data)))
    return matrix, Words(data[:end], offsets, slots=slots, checked=False)


def _ngrams(
    arrays: dict[str, npt.NDArray[Any]],
    entries: dict[str, dict[str, Any]],
    metadata: dict[str, str],
    begin: int,
    path: Path | None,
) -> NgramTable | None:
    if "ngrams" not in metadata:
        return None
    settings = json.loads(metadata["ngrams"])
    kept = arrays.get("ngrams.kept")
    if "ngrams.codes" in arrays:
        names = ("codes", "centroids", "norm_codes", "norm_centroids")
        codes, centroids, norm_codes, norm_centroids = (arrays[f"ngrams.{name}"] for name in names)
        rows = QuantisedRows(codes, centroids, settings.pop("width"), norm_codes, norm_centroids)
        return NgramTable(rows, kept=kept, **settings)
    matrix = arrays["ngrams.rows"]
    if path is None:
        return NgramTable(DenseRows(matrix), kept=kept, **settings)
    with path.open("rb") as file:
        offset = begin + entries["ngrams.rows"]["data_offsets"][0]
        return NgramTable(DenseRows(matrix, file=file.fileno(), offset=offset), kept=kept, **settings)


def write(path: Path, table: Table) -> None:
    """Write a native file in one pass: the matrix as it comes, then the words, then the header into its room.

    Parameters
    ----------
    path
        The file.
    table
        Its rows: float16, bfloat16, float32 or float64.
    """
    codes = {name: code for code, name in _CODES.items()}
    if codes.get(table.dtype.name) not in _FLOATS:
        raise OptionError(f"a native file holds float16, bfloat16, float32 or float64, not {table.dtype}")
    settings: dict[str, Any] | None = None
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {}

    def header(rows: int) -> bytes:
        shapes["matrix"] = codes[table.dtype.name], (rows, table.dim)
        metadata = {"format": _MARK, "version": _VERSION, "meta": _json(_kept(table.meta))}
        entries: dict[str, Any] = {"__metadata__": metadata}
        if settings is not None:
            metadata["ngrams"] = _json(settings)
        at = 0
        for name, (code, shape) in shapes.items():
            end = at + math.prod(shape) * type_of(_CODES[code]).itemsize
            entries[name] = {"dtype": code, "shape": list(shape), "data_offsets": [at, end]}
            at = end
        text = _json(entries).encode()
        text += b" " * (-(8 + len(text)) % _PAGE)  # the matrix begins at a page
        return len(text).to_bytes(8, "little") + text

    with RowFile(path, table.expected, header, table.dim, table.dtype) as file:
        for batch in table.batches(file):
            file.append(batch.rows)
        words = table.words
        size = len(words) * table.dim * table.dtype.itemsize
        padding = -(size + len(words.data)) % _ALIGNED  # so that what follows is aligned; the last offset tells the end
        shapes["words.data"] = codes["uint8"], (len(words.data) + padding,)
        file.write(words.data, 0)
        file.write(bytes(padding), 0)
        behind = [("words.offsets", words.offsets), ("words.slots", words.slots)]
        if table.ngrams is not None:
            arrays, settings = _parts(table.ngrams)
            behind += arrays
        for name, array in behind:
            shapes[name] = codes[array.dtype.name], array.shape
            step = max(1, _PIECE // max(1, array[:1].nbytes))
            for first in range(0, len(array), step):
                file.write(as_bytes(array[first : first + step]), 0)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def _kept(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What remains true of the rows in another file; where they came from becomes ``origin``."""
    gone = ("format", "source", "header", "counts")  # counts would make the header as long as the words
    kept = {key: value for key, value in meta.items() if key not in gone}
    name = Path(str(meta.get("source", ""))).name
    return {"origin": ", ".join(filter(None, (str(meta.get("format", "")), name))), **kept}


def _parts(ngrams: NgramTable) -> tuple[list[tuple[str, npt.NDArray[Any]]], dict[str, Any]]:
    """The arrays of an n-gram table, widest values first, and its settings."""
    rows, settings = ngrams.rows, ngrams.settings
    kept = [] if ngrams.kept is None else [("ngrams.kept", ngrams.kept)]
    if isinstance(rows, DenseRows):
        return [("ngrams.rows", rows.matrix), *kept], settings
    assert isinstance(rows, QuantisedRows)
    floats = [("ngrams.centroids", rows.centroids), ("ngrams.norm_centroids", rows.norm_centroids)]
    codes = [("ngrams.codes", rows.codes), ("ngrams.norm_codes", rows.norm_codes)]
    return [*floats, *kept, *codes], {**settings, "width": rows.width}
