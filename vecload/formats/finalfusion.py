"""finalfusion files (``.fifu``): chunks of words, rows and norms, which may be quantized, with or without n-grams.

All numbers are little-endian::

    header          "FiFu", uint32 version (0), uint32 number of chunks, their kinds as uint32
    chunk           uint32 kind, uint64 number of bytes, and as many bytes:
      metadata      TOML, which is not used
      words         uint64 number; for kinds with n-grams: (explicit: uint64 number of n-grams,) uint32 shortest and
                    longest n-gram (buckets: exponent of their number; fastText: their number); then each word as uint32
                    length and bytes; n-grams, too, and after each the uint64 number of its row
      rows          uint64 rows, uint32 columns, uint32 type, padding, float32 values: first the rows of the words, then
                    those of the n-grams
      quantized     uint32 whether projected, uint32 whether there are norms, uint32 number of codes, uint32 columns,
                    uint32 centroids, uint64 rows, 2 × uint32 type, padding, projection, centroids, norms, codes
      norms         uint64 number, uint32 type, padding, float32 values

Rows of words have unit length if there is a chunk of norms, and get their norms back. N-grams compose vectors as their
mean; finalfusion scales this mean to unit length.

Source: finalfusion-rust's ``FORMAT.md`` and ``chunks``, and finalfusion-python's ``storage`` and ``vocab``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vecload.errors import FormatError, OptionError
from vecload.formats.array_reader import ArrayReader
from vecload.formats.format import Format
from vecload.ngrams import DenseRows, NgramTable
from vecload.ngrams.projected import ProjectedRows
from vecload.saved import LONGEST_NGRAM, MAX_DIM
from vecload.words import Words, pack, read_only

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest
    from vecload.ngrams import Rows
    from vecload.sources import Source

NAME: Final = "finalfusion"

_MAGIC: Final = b"FiFu"
_HEADER: Final = struct.Struct("<4s2I")
_CHUNK: Final = struct.Struct("<IQ")
_COUNT: Final = struct.Struct("<Q")
_WORDS_HEADERS: Final = {1: "<Q", 3: "<Q3I", 7: "<Q3I", 8: "<2Q2I"}
_PLAIN, _MATRIX, _BUCKETS, _QUANTIZED, _NORMS, _FASTTEXT, _EXPLICIT, _FLORET = 1, 2, 3, 4, 6, 7, 8, 9
_MATRIX_HEADER: Final = struct.Struct("<Q2I")
_QUANTIZED_HEADER: Final = struct.Struct("<5IQ2I")
_NORMS_HEADER: Final = struct.Struct("<QI")
_FLOAT32: Final = 10
_UINT8: Final = 1
_MOST_CHUNKS: Final = 100
_LONGEST_WORD: Final = 1 << 16
_MOST_BUCKETS: Final = 30
"""Largest exponent of the number of buckets."""


class _Vocabulary(NamedTuple):
    words: Words
    table: Callable[[Rows], NgramTable] | None
    """Function that makes the n-gram table of its rows; None without n-grams."""


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 95 for the magic number."""
    return 95 if head.startswith(_MAGIC) else 0


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read the words, their rows and the n-grams.

    Raises
    ------
    FormatError
        If a chunk is missing or invalid, or the file is cut short.
    """
    file = _File(source.mapped(), source.name)
    chunks = file.chunks()
    vocabulary = file.vocabulary(chunks)
    rows: Rows
    if _QUANTIZED in chunks:
        rows = file.quantized(chunks[_QUANTIZED])
    elif _MATRIX in chunks:
        rows = DenseRows(file.matrix(chunks[_MATRIX]))
    else:
        raise FormatError("no rows in the file", file=source.name, found=f"chunks of kind {sorted(chunks)}")
    words = vocabulary.words
    count = len(words)
    if rows.shape[0] < count or (vocabulary.table is None and rows.shape[0] != count):
        found = f"{rows.shape[0]:,} rows"
        raise FormatError("not one row for each word", file=source.name, found=found, expected=f"{count:,}")
    norms = file.norms(chunks[_NORMS]) if _NORMS in chunks else None
    if norms is not None and len(norms) != count:
        raise FormatError(
            "not one norm for each word", file=source.name, found=f"{len(norms):,}", expected=f"{count:,}"
        )
    source.position += len(file.data)
    try:
        ngrams = None if vocabulary.table is None else vocabulary.table(rows[count:])
    except OptionError as error:
        raise FormatError(f"invalid n-grams ({error})", file=source.name) from error
    dense = isinstance(rows, DenseRows) and norms is None
    values = rows.matrix[:count] if dense and isinstance(rows, DenseRows) else _Restored(rows[:count], norms)
    meta: dict[str, Any] = {"format": NAME}
    if _QUANTIZED in chunks:
        meta["quantized"] = True
    return ArrayReader(source.name, words, values, request, meta=meta, ngrams=ngrams)


class _Restored:
    """Rows multiplied by their norms, made on demand."""

    def __init__(self, rows: Rows, norms: npt.NDArray[np.float32] | None) -> None:
        self._rows = rows
        self._norms = norms
        self.shape = rows.shape
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, at: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        rows = self._rows.take(at, sparse=False)
        return rows if self._norms is None else rows * self._norms[at, None]


class _File:
    """Mapped bytes of a file, and the checks of its chunks."""

    def __init__(self, data: npt.NDArray[np.uint8], name: str) -> None:
        self.data = data
        self._name = name

    def _unpack(self, form: struct.Struct, at: int, end: int) -> tuple[Any, ...]:
        if at + form.size > end:
            raise FormatError("the file is cut short", file=self._name, byte=at, expected=f"{form.size} bytes")
        return form.unpack(self.data[at : at + form.size].tobytes())

    def _array(self, at: int, end: int, count: int, dtype: str, what: str) -> tuple[npt.NDArray[Any], int]:
        """Return an array and the offset after it."""
        stop = at + count * np.dtype(dtype).itemsize
        if stop > end:
            found = f"{end - at:,} bytes"
            raise FormatError(f"the file is shorter than its {what}", file=self._name, byte=at, found=found)
        return np.frombuffer(self.data[at:stop], dtype=dtype), stop

    def _floats(self, at: int, end: int, count: int, what: str) -> tuple[npt.NDArray[np.float32], int]:
        return self._array(at, end, count, "<f4", what)

    def chunks(self) -> dict[int, tuple[int, int]]:
        """Return the beginning and end of each chunk, by kind."""
        size = len(self.data)
        _, version, count = self._unpack(_HEADER, 0, size)
        if version or count > _MOST_CHUNKS:
            found = f"version {version}, {count} chunks"
            raise FormatError("an unknown version of finalfusion's format", file=self._name, found=found)
        at, found_chunks = _HEADER.size + 4 * count, {}
        for _ in range(count):
            kind, length = self._unpack(_CHUNK, at, size)
            at += _CHUNK.size
            if length > size - at:
                raise FormatError("the file is cut short", file=self._name, byte=at, expected=f"{length:,} bytes")
            # finalfusion-python leaves the row numbers of explicit n-grams out of the length.
            end = self._explicit_end(at) if kind == _EXPLICIT else at + length
            found_chunks[kind] = at, end
            at = end
        return found_chunks

    def _explicit_end(self, at: int) -> int:
        """Return the end of a chunk of words and explicit n-grams."""
        size, form = len(self.data), struct.Struct(_WORDS_HEADERS[_EXPLICIT])
        words, ngrams, _, _ = self._unpack(form, at, size)
        _, at = self._strings(at + form.size, size, words, 0)
        return self._strings(at, size, ngrams, _COUNT.size)[1]

    def vocabulary(self, chunks: dict[int, tuple[int, int]]) -> _Vocabulary:
        """Return the words and the rule of their n-grams."""
        kind = next((kind for kind in _WORDS_HEADERS if kind in chunks), None)
        if kind is None:
            found = "the n-grams of floret" if _FLORET in chunks else f"chunks of kind {sorted(chunks)}"
            raise FormatError("no words in the file", file=self._name, found=found)
        begin, end = chunks[kind]
        form = struct.Struct(_WORDS_HEADERS[kind])
        count, *settings = self._unpack(form, begin, end)
        words, at = self._strings(begin + form.size, end, count, 0)
        if kind == _PLAIN:
            return _Vocabulary(words, None)
        minn, maxn = settings[1:] if kind == _EXPLICIT else settings[:2]
        if not 0 < minn <= maxn <= LONGEST_NGRAM:
            found = f"n-grams of {minn} to {maxn} characters"
            raise FormatError("invalid n-grams", file=self._name, byte=begin, found=found)
        if kind == _EXPLICIT:
            ngrams, _ = self._strings(at, end, settings[0], _COUNT.size)
            ends = ngrams.offsets[1:] + at + (4 + _COUNT.size) * np.arange(1, len(ngrams) + 1) - _COUNT.size
            places = self.data[ends[:, None] + np.arange(_COUNT.size)].view("<u8").ravel()
            listed = ngrams, np.minimum(places, np.uint64(1 << 62)).astype(np.int64)
            return _Vocabulary(
                words, lambda rows: NgramTable(rows, minn=minn, maxn=maxn, kind="explicit", listed=listed)
            )
        buckets = settings[2]
        if kind == _BUCKETS and not 0 < buckets <= _MOST_BUCKETS:
            raise FormatError("invalid n-grams", file=self._name, byte=begin, found=f"2 ** {buckets} buckets")
        if kind == _BUCKETS:
            return _Vocabulary(
                words, lambda rows: NgramTable(rows, minn=minn, maxn=maxn, bucket=1 << buckets, kind="finalfusion")
            )
        return _Vocabulary(words, lambda rows: NgramTable(rows, minn=minn, maxn=maxn, bucket=buckets, eos_ngrams=True))

    def _strings(self, at: int, end: int, count: int, extra: int) -> tuple[Words, int]:
        """Return strings that follow each other, with `extra` bytes after each, and the offset after the last."""
        from vecload.kernels import prefixed

        if count > (end - at) // (prefixed.PREFIX + extra):
            raise FormatError("the file is shorter than its words", file=self._name, byte=at, found=f"{count:,} words")
        starts, stops = np.empty((2, count), dtype=np.int64)
        data = read_only(self.data[:end])
        found, after = prefixed.find_strings(data, at, extra, _LONGEST_WORD, starts, stops)
        if found < count:
            raise FormatError(
                "the words are cut short", file=self._name, byte=int(after), found=f"{found:,}", expected=f"{count:,}"
            )
        return Words(*pack(self.data, starts, stops)), int(after)

    def matrix(self, chunk: tuple[int, int]) -> npt.NDArray[np.float32]:
        """Return the rows."""
        begin, end = chunk
        rows, dim, kind = self._unpack(_MATRIX_HEADER, begin, end)
        self._check(kind == _FLOAT32 and 0 < dim <= MAX_DIM, begin, f"{rows:,} rows of {dim:,} values of type {kind}")
        values, _ = self._floats(_padded(begin + _MATRIX_HEADER.size), end, rows * dim, "rows")
        return values.reshape(rows, dim)

    def quantized(self, chunk: tuple[int, int]) -> ProjectedRows:
        """Return the rows of a quantized matrix."""
        begin, end = chunk
        header = self._unpack(_QUANTIZED_HEADER, begin, end)
        projected, normed, parts, dim, count, rows, codes_kind, kind = header
        fits = (codes_kind, kind) == (_UINT8, _FLOAT32) and 0 < parts <= dim <= MAX_DIM
        self._check(fits and dim % parts == 0, begin, f"{dim:,} values in {parts:,} parts")
        at = _padded(begin + _QUANTIZED_HEADER.size)
        projection = norms = None
        if projected:
            projection, at = self._floats(at, end, dim * dim, "projection")
            projection = projection.reshape(dim, dim)
        centroids, at = self._floats(at, end, count * dim, "centroids")
        if normed:
            norms, at = self._floats(at, end, rows, "norms")
        codes, _ = self._array(at, end, rows * parts, "u1", "codes")
        shape = parts, count, dim // parts
        try:
            return ProjectedRows(codes.reshape(rows, parts), centroids.reshape(shape), projection, norms)
        except OptionError as error:
            raise FormatError(f"invalid codes ({error})", file=self._name, byte=begin) from error

    def norms(self, chunk: tuple[int, int]) -> npt.NDArray[np.float32]:
        """Return the norms of the words."""
        begin, end = chunk
        count, kind = self._unpack(_NORMS_HEADER, begin, end)
        self._check(kind == _FLOAT32, begin, f"norms of type {kind}")
        return self._floats(_padded(begin + _NORMS_HEADER.size), end, count, "norms")[0]

    def _check(self, valid: bool, byte: int, found: str) -> None:  # noqa: FBT001 - a condition
        if not valid:
            raise FormatError("an invalid chunk", file=self._name, byte=byte, found=found)


def _padded(at: int) -> int:
    """Return the offset of float32 values after a header: one to four bytes of padding, so that they are aligned."""
    return at + 4 - at % 4


FORMAT: Final = Format(name=NAME, aliases=("fifu",), detect=detect, read=read)
