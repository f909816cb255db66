"""The verbs that join sources and formats: `load` and `info`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vecload import catalog, formats
from vecload.errors import FormatError, OptionError
from vecload.formats import guarding
from vecload.sources import open_source
from vecload.vectors import Batch, Request, Vectors, strip_prefix
from vecload.words import Words, build_slots, encode

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    from vecload.formats import Reader
    from vecload.sources import Source

DType = Literal["float16", "bfloat16", "float32", "float64"]
Errors = Literal["raise", "skip", "strict"]
Progress = bool | Callable[[int, int | None], object] | None

_STEP = 1 << 24  # bytes of matrix added when an estimate was too low
_ROWS = 4096  # rows moved together
_LONG = 1 << 26  # bytes that take about a tenth of a second plain, a second compressed
_SAMPLE = 1000
_SHOWN = 8


def load(
    source: str | os.PathLike[str] | IO[bytes],
    *,
    vocab: Collection[str] | None = None,
    limit: int | None = None,
    dtype: DType | None = None,
    errors: Errors = "raise",
    progress: Progress = None,
    format: str | None = None,  # noqa: A002 - the field's word
    allow_nonfinite: bool = False,
    prefix: str = "",
) -> Vectors:
    r"""Read a file of word vectors.

    Parameters
    ----------
    source
        A path of a file or of a model's folder, ``-`` for standard input, a member of an archive as
        ``archive.zip/member`` or ``archive.tar.gz/member``, a URL of any file system that fsspec knows (extra
        "remote"), a name of the catalogue of public files as ``glove.6B.50d``, or a file opened in binary mode. gzip,
        bzip2, xz, zstd, zip and tar are unpacked on the way. What a file is, is told from its bytes, not from its name;
        ``vecload formats`` lists what is read.
    vocab
        Read only these words: the rows of others are passed over without parsing them.
    limit
        Read only so many rows from the start of the file.
    dtype
        Type of the values: "float16", "bfloat16", "float32" or "float64"; None for the type the file stores. Values
        written as text are Python's ``float`` of it, rounded to this type or float32.
    errors
        What to do about a line that is no row: "raise"; "skip" leaves it out and counts it in ``meta["skipped"]``;
        "strict" raises for words that come twice and for a wrong count in the header too.
    progress
        None for a bar when standard error is a terminal and there is much to read; True or False; or a function that
        is told the bytes done and their total (None when unknown).
    format
        A format's name, where the bytes leave doubt: "glove" (text without a header), "word2vec" (with one), or any
        that ``vecload formats`` lists.
    allow_nonfinite
        Whether NaN and infinity may stay in the matrix.
    prefix
        Only words that begin so, without it: "/c/en/" for the English rows of ConceptNet Numberbatch, "ENTITY/" for the
        entities of wikipedia2vec. The words of `vocab` are without it too.

    Returns
    -------
    Vectors
        In file order. Of a word that comes twice the first row stays; ``meta["duplicates"]`` counts the others.

    Raises
    ------
    FormatError
        When the file, or a line of it, is not what it should be: says where.
    FileNotFoundError
        When there is no such file.
    DownloadError
        When a file of the catalogue cannot be fetched.

    Notes
    -----
    Files are read on as many threads as there are processors, at most 8; the result does not depend on their number.
    Peak memory is the result's, plus a few MB.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO(b"2 3\ncat 0.1 0.2 0.3\nNew York 1 2 3\n")
    >>> vectors = load(file)
    >>> vectors
    <Vectors: 2 words × 3 float32, word2vec text, <stream>>
    >>> vectors["New York"]
    array([1., 2., 3.], dtype=float32)
    """
    request = asked(vocab, limit, dtype, errors, prefix=prefix, allow_nonfinite=allow_nonfinite)
    with catalog.located(source, few=vocab is not None) as place, open_source(place, folders=True) as opened:
        form, options = (formats.recognise(opened), {}) if format is None else formats.named(format)
        if not hasattr(form, "read"):
            raise OptionError(f"{form.NAME} is written, not read; `vecload formats` lists what is")
        reader = guarding.read(form, opened, request, **options)
        vectors = None if prefix else reader.mapped()
        if vectors is not None:
            return vectors
        with bar(opened, progress) as advance:
            matrix, data, offsets = _collect(opened, reader, prefix, request, advance)
    return _unique(reader, opened.name, matrix, data, offsets, strict=errors == "strict")


def _check(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        shown = ", ".join(repr(choice) for choice in choices)
        raise OptionError(f"{name}={value!r} is not one of {shown}")


def asked(
    vocab: Collection[str] | None,
    limit: int | None,
    dtype: str | None,
    errors: str,
    *,
    prefix: str,
    allow_nonfinite: bool,
) -> Request:
    """The request that arguments of `load` make.

    Raises
    ------
    OptionError
        When one cannot be used.
    """
    if dtype is not None:
        _check("dtype", dtype, get_args(DType))
    _check("errors", errors, get_args(Errors))
    if limit is not None and limit < 0:
        raise OptionError(f"limit {limit} is negative")
    if isinstance(vocab, str):
        raise OptionError(f"vocab is a collection of words, not one string: [{vocab!r}]")
    only = None if vocab is None else _wanted(vocab, prefix)
    return Request(only, limit, dtype, errors, allow_nonfinite)


def _wanted(vocab: Collection[str], prefix: str) -> Words:
    """The words to read, packed; a string that no file can hold is in none."""
    words = getattr(vocab, "words", vocab)  # a Vocab or Vectors holds them packed already
    if isinstance(words, Words) and not prefix:
        return words
    return Words.from_bytes([raw for word in words if (raw := encode(prefix + word)) is not None])


def batches_of(reader: Reader, prefix: str, place: formats.Place | None = None) -> Iterator[Batch]:
    """The batches of a reader, of words with a prefix, without it; rows where `place` says, if the reader can."""
    raw = prefix.encode("utf-8", "surrogateescape")
    batches = reader.into(place) if place is not None and isinstance(reader, formats.Placing) else iter(reader)
    return (strip_prefix(batch, raw) for batch in batches) if raw else batches


def expected_of(reader: Reader, request: Request) -> int:
    """Rows to make room for: what the reader expects, and no more than are asked for."""
    only = None if request.only is None else len(request.only)
    return min(bound for bound in (reader.expected, request.limit, only) if bound is not None)


def _collect(
    source: Source,
    reader: Reader,
    prefix: str,
    request: Request,
    advance: Callable[[int, int | None], object],
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """All batches as one matrix, with the packed words."""
    row_bytes = max(1, reader.dim * reader.dtype.itemsize)
    rows = expected_of(reader, request)
    if source.size is None:  # nothing to check the guess against; room costs no memory until it is written to
        rows = min(rows, _STEP // row_bytes + 1)
    try:
        matrix = np.empty((rows, reader.dim), dtype=reader.dtype)
    except (MemoryError, ValueError):  # an archive may say anything of a member's size: room is made as rows come
        matrix = np.empty((0, reader.dim), dtype=reader.dtype)
    datas: list[npt.NDArray[np.uint8]] = []
    lengths: list[npt.NDArray[np.int64]] = []
    count = 0
    for batch in batches_of(reader, prefix, _Matrix(matrix)):
        end = count + len(batch.rows)
        if end > len(matrix):  # in place: large blocks are moved by the page table, not copied
            matrix.resize((end + _STEP // row_bytes, reader.dim), refcheck=False)
        matrix[count:end] = batch.rows
        datas.append(batch.data)
        lengths.append(np.diff(batch.offsets))
        count = end
        advance(*source.progress())
    matrix.resize((count, reader.dim), refcheck=False)
    offsets = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.concatenate([*lengths, offsets[:0]]), out=offsets[1:])
    return matrix, np.concatenate([*datas, np.empty(0, dtype=np.uint8)]), offsets


class _Matrix:
    """Gives a reader the next rows of a matrix to parse into; none from when it runs short, for ever: it moves."""

    def __init__(self, matrix: npt.NDArray[Any]) -> None:
        self._matrix = matrix
        self._room = len(matrix)
        self._taken = 0

    def take(self, count: int) -> npt.NDArray[Any] | None:
        begin, self._taken = self._taken, self._taken + count
        return self._matrix[begin : self._taken] if self._taken <= self._room else None

    def filled(self, rows: npt.NDArray[Any]) -> None:
        """They lie where they belong."""


def _unique(
    reader: Reader,
    name: str,
    matrix: npt.NDArray[Any],
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    *,
    strict: bool,
) -> Vectors:
    """The first row of each word."""
    meta = {**reader.meta, "source": name}
    if not len(matrix) and reader.skipped:
        causes = ", ".join(f"{cause} ({count:,})" for cause, count in reader.skipped.items())
        raise FormatError("no line could be read", file=name, found=causes)
    slots, repeated = build_slots(data, offsets)
    words = Words(data, offsets, slots=slots)
    if repeated.any():
        count = int(np.count_nonzero(repeated))
        if strict:
            word = words[int(np.argmax(repeated))]
            raise FormatError("words that come twice", file=name, found=f"{count:,} of them, the first {word!r}")
        meta["duplicates"] = count
        words = words.take(np.flatnonzero(~repeated))
        _compact(matrix, ~repeated)
        matrix.resize((len(words), matrix.shape[1]), refcheck=False)
    return Vectors(words, matrix, meta, reader.ngrams)


def _compact(matrix: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> None:
    """Move the rows to keep to the front, in place, block by block."""
    count = 0
    for begin in range(0, len(matrix), _ROWS):
        rows = matrix[begin : begin + _ROWS][keep[begin : begin + _ROWS]]
        matrix[count : count + len(rows)] = rows
        count += len(rows)


@contextlib.contextmanager
def bar(source: Source, progress: Progress) -> Iterator[Callable[[int, int | None], object]]:
    """What to call with the bytes done and their total."""
    if callable(progress):
        yield progress
        return
    if progress is None:
        progress = sys.stderr.isatty() and (source.size or _LONG) >= _LONG
    if not progress:
        yield lambda _done, _total: None
        return
    from tqdm import tqdm

    total = source.progress()[1]
    with tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1024, desc=Path(source.name).name) as bar:
        yield lambda done, _total: bar.update(done - bar.n)


@dataclass(frozen=True)
class Info:
    """What `info` tells of a file; ``str()`` is a small table."""

    source: str
    """Name of the file."""
    size: int | None
    """Bytes, decompressed; None where only reading all would tell."""
    format: str
    """What it is."""
    compression: str | None
    """What it is packed with."""
    header: str | None
    """Its header line."""
    rows: int
    """Number of rows."""
    exact: bool
    """Whether `rows` was counted, not estimated or taken from the header."""
    dim: int
    """Values in a row."""
    values: str
    """How values are written, and the type that holds them."""
    words: tuple[str, ...]
    """The first words."""
    norms: tuple[float, float, float]
    """Least, mean and greatest Euclidean norm of the sampled rows."""
    sampled: int
    """Number of rows sampled, from the start of the file."""

    def __str__(self) -> str:
        size = "unknown size" if self.size is None else f"{self.size:,} bytes"
        packed = f", {self.compression}" if self.compression else ""
        how = "" if self.exact else " (from the header)" if self.header else " (estimated)"
        lines = {
            "file": f"{self.source} ({size}{packed})",
            "format": self.format,
            "header": self.header or "none",
            "rows": f"{self.rows:,}{how}",
            "dimension": str(self.dim),
            "values": self.values,
            "first words": " ".join(repr(word) for word in self.words),
            "norms": f"{self.norms[0]:.4g} to {self.norms[2]:.4g}, mean {self.norms[1]:.4g}"
            + f" (first {self.sampled:,} rows)",
        }
        return "\n".join(f"{name:<12} {value}" for name, value in lines.items())


def info(source: str | os.PathLike[str] | IO[bytes]) -> Info:
    r"""Look at a file of word vectors without reading all of it.

    Parameters
    ----------
    source
        As for `load`.

    Returns
    -------
    Info
        Rows are counted in files of up to 4 GB that are not compressed; else they are the header's, or estimated.

    Raises
    ------
    FormatError
        When it is not a file of word vectors, or its first rows are not.

    Examples
    --------
    >>> import io
    >>> look = info(io.BytesIO(b"cat 0 3\ndog 3 4\n"))
    >>> look.rows, look.dim, look.words, look.norms
    (2, 2, ('cat', 'dog'), (3.0, 4.0, 5.0))
    """
    with catalog.located(source, few=True) as place, open_source(place, folders=True) as opened:
        form = formats.recognise(opened)
        told = guarding.preview(form, opened)
        reader = guarding.read(form, opened, Request(limit=_SAMPLE, errors="skip", allow_nonfinite=True))
        sample = told.pop("sample", None)
        words, rows, count = sample if sample and sample[0] else _first_rows(reader)
        if not words and reader.ngrams is not None:  # floret: nothing but rows of n-grams
            some = np.arange(min(_SAMPLE, reader.ngrams.rows.shape[0]))
            rows = reader.ngrams.rows.take(some, sparse=True).astype(np.float64)
        elif not words:
            causes = ", ".join(reader.skipped)
            raise FormatError("no line of the first could be read", file=opened.name, found=causes)
        if not len(rows):
            raise FormatError("the file has no rows", file=opened.name)
        norms = np.linalg.norm(rows, axis=1)
        sampled = {
            "rows": reader.declared or reader.expected if count is None else count,
            "exact": count is not None,
            "values": str(reader.dtype),
        }
        return Info(
            source=opened.name,
            size=opened.size,
            format=str(reader.meta["format"]),
            compression=opened.compression,
            header=reader.meta.get("header"),
            dim=reader.dim,
            words=tuple(words[:_SHOWN]),
            norms=(float(norms.min()), float(norms.mean()), float(norms.max())),
            sampled=len(rows),
            **{**sampled, **told},
        )


def _first_rows(reader: Reader) -> tuple[list[str], npt.NDArray[np.float64], int | None]:
    """Words and values of the first rows; and the number of rows, those left out included, if these are all."""
    batches = list(reader)
    words = [word for batch in batches for word in Words(batch.data, batch.offsets)]
    rows = [batch.rows.astype(np.float64) for batch in batches]
    read = len(words) + reader.skipped.total()
    return words, np.concatenate([*rows, np.empty((0, reader.dim))]), read if read < _SAMPLE else None
