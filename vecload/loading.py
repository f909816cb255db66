"""The verbs that join sources and formats: `load` and `info`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vecload import formats
from vecload.errors import FormatError, OptionError
from vecload.sources import open_source
from vecload.vectors import Vectors
from vecload.words import Words, build_slots, encode

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.formats.text import Reader
    from vecload.sources import Source

DType = Literal["float16", "float32", "float64"]
Errors = Literal["raise", "skip", "strict"]
Progress = bool | Callable[[int, int | None], object] | None

_STEP = 1 << 24  # bytes of matrix added when an estimate was too low
_BLOCK = 1 << 20  # bytes read together where lines are only counted
_ROWS = 4096  # rows moved together
_LONG = 1 << 26  # bytes that take about a tenth of a second plain, a second compressed
_COUNTED = 1 << 32
_SAMPLE = 1000
_SHOWN = 8
_SINGLE = 9  # significant digits beyond which two decimals can be one float32
_FORMS = {None: None, "glove": False, "word2vec": True}  # whether there is a header


def load(
    source: str | os.PathLike[str] | IO[bytes],
    *,
    vocab: Collection[str] | None = None,
    limit: int | None = None,
    dtype: DType = "float32",
    errors: Errors = "raise",
    progress: Progress = None,
    format: Literal["glove", "word2vec"] | None = None,  # noqa: A002 - the field's word
    allow_nonfinite: bool = False,
) -> Vectors:
    r"""Read a file of word vectors.

    Parameters
    ----------
    source
        A path, ``-`` for standard input, ``archive.zip/member``, or a file opened in binary mode. gzip, bzip2, xz,
        zstd and zip are unpacked on the way. What a file is, is told from its bytes, not from its name.
    vocab
        Read only these words: the lines of others are passed over without parsing them.
    limit
        Read only so many rows from the start of the file.
    dtype
        Type of the values: each is Python's ``float`` of its text, rounded to this type.
    errors
        What to do about a line that is no row: "raise"; "skip" leaves it out and counts it in ``meta["skipped"]``;
        "strict" raises for words that come twice and for a wrong count in the header too.
    progress
        None for a bar when standard error is a terminal and there is much to read; True or False; or a function that
        is told the bytes done and their total (None when unknown).
    format
        "glove" (no header) or "word2vec" (a header), where the first line leaves doubt.
    allow_nonfinite
        Whether NaN and infinity may stay in the matrix.

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
    _check("dtype", dtype, get_args(DType))
    _check("errors", errors, get_args(Errors))
    _check("format", format, tuple(_FORMS))
    if limit is not None and limit < 0:
        raise OptionError(f"limit {limit} is negative")
    if isinstance(vocab, str):
        raise OptionError(f"vocab is a collection of words, not one string: [{vocab!r}]")
    only = None if vocab is None else _wanted(vocab)
    with open_source(source) as opened:
        form = formats.recognise(opened.head(formats.HEAD), opened.name)
        reader: Reader = form.read(
            opened,
            only=only,
            limit=limit,
            dtype=dtype,
            errors=errors,
            allow_nonfinite=allow_nonfinite,
            header=_FORMS[format],
        )
        with _bar(opened, progress) as advance:
            matrix, data, offsets = _collect(opened, reader, only, limit, dtype, advance)
    return _unique(reader, opened.name, matrix, data, offsets, strict=errors == "strict")


def _check(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        shown = ", ".join(repr(choice) for choice in choices)
        raise OptionError(f"{name}={value!r} is not one of {shown}")


def _wanted(vocab: Collection[str]) -> Words:
    """The words to read, packed; a string that no file can hold is in none."""
    words = getattr(vocab, "words", vocab)  # a Vocab or Vectors holds them packed already
    if isinstance(words, Words):
        return words
    return Words.from_bytes([raw for word in words if (raw := encode(word)) is not None])


def _capacity(source: Source, reader: Reader, only: Words | None, limit: int | None, row_bytes: int) -> int:
    """Rows to make room for at first.

    Room costs no memory until it is written to, but a header is not to be believed: no file has more rows than its
    bytes can hold.
    """
    if source.size is not None:
        estimate = int(source.size / reader.average * 1.01) + 1
        rows = min(reader.declared or estimate, source.size // (2 * reader.dim) + 1)
    else:
        rows = min(reader.declared or _STEP, _STEP // row_bytes + 1)
    return min(bound for bound in (rows, limit, None if only is None else len(only)) if bound is not None)


def _collect(
    source: Source,
    reader: Reader,
    only: Words | None,
    limit: int | None,
    dtype: str,
    advance: Callable[[int, int | None], object],
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """All batches as one matrix, with the packed words."""
    row_bytes = reader.dim * np.dtype(dtype).itemsize
    matrix = np.empty((_capacity(source, reader, only, limit, row_bytes), reader.dim), dtype=dtype)
    datas: list[npt.NDArray[np.uint8]] = []
    lengths: list[npt.NDArray[np.int64]] = []
    count = 0
    for batch in reader:
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
    return Vectors(words, matrix, meta)


def _compact(matrix: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> None:
    """Move the rows to keep to the front, in place, block by block."""
    count = 0
    for begin in range(0, len(matrix), _ROWS):
        rows = matrix[begin : begin + _ROWS][keep[begin : begin + _ROWS]]
        matrix[count : count + len(rows)] = rows
        count += len(rows)


@contextlib.contextmanager
def _bar(source: Source, progress: Progress) -> Iterator[Callable[[int, int | None], object]]:
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
    >>> look = info(io.BytesIO(b"cat 0.6 0.8\ndog 3 4\n"))
    >>> look.rows, look.dim, look.words, look.norms
    (2, 2, ('cat', 'dog'), (1.0, 3.0, 5.0))
    """
    with open_source(source) as opened:
        form = formats.recognise(opened.head(formats.HEAD), opened.name)
        reader: Reader = form.read(opened, limit=_SAMPLE, dtype="float64", errors="skip", allow_nonfinite=True)
        digits = form.digits(opened.head(formats.HEAD)[reader.layout.begin :], reader.dim)
        batches = list(reader)
        whole = reader.row_lines < _SAMPLE
        words = [word for batch in batches for word in Words(batch.data, batch.offsets)]
        if not words:
            causes = ", ".join(reader.skipped)
            raise FormatError("no line of the first could be read", file=opened.name, found=causes)
        norms = np.linalg.norm(np.concatenate([batch.rows for batch in batches]), axis=1)
        done, total = opened.progress()
        rows = reader.row_lines
        if not whole:
            rows = reader.declared or int(opened.position * (total or done) / max(done, 1) / reader.average)
        size, kind = opened.size, opened.compression
    countable = isinstance(source, (str, os.PathLike)) and source != "-" and kind is None and size is not None
    if countable and not whole and size is not None and size <= _COUNTED:
        rows = _count_lines(source) - (reader.declared is not None)
        whole = True
    return Info(
        source=opened.name,
        size=size,
        format=str(reader.meta["format"]),
        compression=kind,
        header=reader.layout.header,
        rows=rows,
        exact=whole,
        dim=reader.dim,
        values=f"decimal text of up to {digits} digits: float{32 if digits <= _SINGLE else 64}",
        words=tuple(words[:_SHOWN]),
        norms=(float(norms.min()), float(norms.mean()), float(norms.max())),
        sampled=len(words),
    )


def _count_lines(source: str | os.PathLike[str] | IO[bytes]) -> int:
    """Lines of a file, without empty ones at its end."""
    block = bytearray(_BLOCK)
    lines = feeds = 0  # feeds: line feeds behind the last byte that is not white
    with open_source(source) as opened:
        while count := opened.readinto(memoryview(block)):
            text = len(block[:count].rstrip(b"\r\n\t "))
            if text:
                lines += feeds + block.count(b"\n", 0, text)
                feeds = 0
            feeds += block.count(b"\n", text, count)
    return lines + 1
