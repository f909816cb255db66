"""From any format that is read to any that is written: `convert` streams a file, `save` writes vectors in memory."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from vecload.arrays import narrowed, type_of
from vecload.catalog.resolving import input_files, resolve_source
from vecload.errors import FormatError, OptionError
from vecload.formats import guarding
from vecload.formats.contract import Batch, Table
from vecload.formats.gensim.keyed_vectors import from_gensim as from_gensim
from vecload.formats.outputs import ARCHIVES, output_of
from vecload.formats.registry import all_formats, detect_format, reader_by_name, writer_by_name
from vecload.keywords import explain_keywords
from vecload.ngrams import NgramTable
from vecload.reading import DType, Errors, Progress, WordCheck, asked, bar, batches_of, expected_of, none_found
from vecload.sources import COMPRESSORS, OutputStream, check_inputs, open_source, open_target
from vecload.words import UniqueWords, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vecload.formats.contract import Reader, ReadRequest, RowStream
    from vecload.formats.outputs import Output
    from vecload.sources import Source

_log = logging.getLogger("vecload")
_PACKED = (*COMPRESSORS, *ARCHIVES)


@dataclass(frozen=True)
class Conversion:
    """What `convert` did; ``str()`` is one line."""

    source: str
    """Name of the file read."""
    target: str
    """Name of the file or folder written."""
    format: str
    """Its format."""
    rows: int
    """Rows that were asked for and found in the source, bad ones included."""
    written: int
    """Rows in the target."""
    dropped: Mapping[str, int]
    """Rows left out, by cause."""
    size: int
    """Bytes of the target."""
    seconds: float
    """Time it took."""

    def __str__(self) -> str:
        dropped = "".join(f", {count:,} dropped: {cause}" for cause, count in self.dropped.items() if count)
        return (
            f"{self.target} ({self.format}): {self.written:,} of {self.rows:,} rows{dropped}; "
            f"{self.size:,} bytes in {self.seconds:.1f} s"
        )


@explain_keywords
def convert(
    src: str | os.PathLike[str] | IO[bytes],
    dst: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the field's word
    source_format: str | None = None,
    vocab: Collection[str] | None = None,
    limit: int | None = None,
    dtype: DType | None = None,
    normalize: bool = False,
    precision: int | None = None,
    unencodable: str = "raise",
    prefix: str = "",
    errors: Errors = "raise",
    strict: bool = False,
    allow_nonfinite: bool = False,
    progress: Progress = None,
) -> Conversion:
    r"""Write a file of word vectors in another format, a batch of rows at a time.

    Parameters
    ----------
    src
        As for `load`.
    dst
        The file or folder to write, which may not be an input. It appears whole or not at all. A file is compressed if
        its name ends in ``.gz``, ``.bz2``, ``.xz`` or ``.zst``. Text and word2vec binary can be written to a pipe or
        ``/dev/stdout``, too.
    format
        Name of the format to write; None to choose it by the suffix of `dst`, where ``.bin`` means word2vec binary.
    source_format
        Name of the format to read, if the content leaves doubt.
    vocab, limit, prefix, errors, strict, allow_nonfinite, progress
        As for `load`.
    dtype
        Type of the values, where the format has several; None for that of the source.
    normalize
        Whether to divide each row by its Euclidean norm; rows of zeros are kept.
    precision
        For text: digits after the decimal point; None for the fewest that read back to the same float32.
    unencodable
        What to do about words that the format cannot represent: "raise" an error, "skip" the row, or "escape": write
        the word percent-encoded.

    Returns
    -------
    Conversion
        What was read, written and left out.

    Raises
    ------
    FormatError
        If the source is damaged or not word vectors, or a word cannot be written.
    OptionError
        If the format to write cannot be inferred, an option is invalid, or `dst` is an input or cannot be replaced.
        All options and paths are checked before anything is read.
    FileNotFoundError
        If `src` or the folder of `dst` does not exist.

    Notes
    -----
    Memory holds the words (to recognize duplicates, of which the first row is kept) and a few batches of rows, whatever
    the size of the file.

    Examples
    --------
    >>> import io, tempfile
    >>> target = Path(tempfile.mkdtemp()) / "vectors.bin"
    >>> done = convert(io.BytesIO(b"cat 3 4\ndog 0 2\ncat 1 1\n"), target, format="word2vec binary", normalize=True)
    >>> done.rows, done.written, done.dropped
    (3, 2, {'duplicates': 1})
    >>> from vecload import load
    >>> load(target)["cat"]
    array([0.6, 0.8], dtype=float32)
    """
    begin = time.perf_counter()
    output = output_of(dst, format, precision=precision, unencodable=unencodable)
    given, alias = (None, "") if source_format is None else reader_by_name(source_format)
    request = asked(vocab, limit, dtype, errors, strict=strict, prefix=prefix, allow_nonfinite=allow_nonfinite)
    # Values are rounded once, after the last step.
    request = dataclasses.replace(request, alias=alias, dtype=None if normalize else dtype)
    check_inputs(input_files(src))
    output.check(input_files(src))
    with resolve_source(src, few_words=vocab is not None) as place, open_source(place, folders=True) as opened:
        output.check([place])  # where a name of the catalog was brought to
        form = detect_format(opened) if given is None else given
        reader = guarding.open_reader(form, opened, request)
        check = WordCheck(reader, request, prefix, forced=given is not None, known=form.records_doubts)
        with bar(opened, progress) as advance:
            table = _Stream(opened, reader, request, prefix, check, advance, dtype=dtype, normalize=normalize)
            try:
                dropped, size = _write(output, table)
            except _NoneFoundError:
                raise none_found(vocab or (), place, opened.name) from None
    left = {"duplicates": table.duplicates, **reader.skipped, **dropped}
    return Conversion(
        source=opened.name,
        target=os.fspath(dst),
        format=output.form.name,
        rows=table.read + reader.skipped.total(),
        written=table.read - table.duplicates - dropped.total(),
        dropped={cause: count for cause, count in left.items() if count},
        size=size,
        seconds=time.perf_counter() - begin,
    )


@explain_keywords
def save(
    vectors: Saveable,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002 - the field's word
    *,
    precision: int | None = None,
    unencodable: str = "raise",
) -> None:
    """Write the vectors to a file or folder, which appears whole or not at all.

    Parameters
    ----------
    vectors
        Vectors to write.
    path
        Target: a file, or a folder for formats that consist of several files. The suffix selects the format and the
        compression.
    format
        Name of the format, if the suffix does not select it; ``vecload formats`` lists the names.
    precision
        Digits after the decimal point in text formats; None writes the fewest that read back to the same value.
    unencodable
        What to do about words that the format cannot represent: "raise" an error, "skip" the row, or "escape": write
        the word percent-encoded.

    Raises
    ------
    FormatError
        If the format cannot represent a word.
    OptionError
        If the format cannot be inferred, an option is invalid, or `path` cannot be replaced.

    Examples
    --------
    >>> import tempfile
    >>> from vecload import Vectors, load
    >>> target = Path(tempfile.mkdtemp()) / "vectors.txt"
    >>> Vectors(["cat", "dog"], [[0.5, 1], [2, 3]]).save(target)
    >>> print(target.read_text(), end="")
    2 2
    cat 0.5 1.0
    dog 2.0 3.0
    """
    _write(
        output_of(path, format, precision=precision, unencodable=unencodable),
        Table(vectors.words, vectors.matrix, vectors.meta, vectors.ngrams),
    )


def targets_in(folder: Path, sources: Sequence[str], name: str | None) -> list[tuple[str, Path]]:
    """Return each source with the file in `folder` that it is converted to. Nothing is created.

    Raises
    ------
    OptionError
        If no format is named, or two sources would be converted to the same file.

    Examples
    --------
    >>> [(_, target)] = targets_in(Path("out"), ["data/glove.zip/glove.6B.50d.txt"], "word2vec binary")
    >>> target.name
    'glove.6B.50d.bin'
    """
    if name is None:
        raise OptionError("several files are written to a folder; name their format with format= (--format)")
    form, _ = writer_by_name(name)
    own = f".{name.casefold()}"  # "vec" is a name of text, and one of its suffixes
    suffix = own if own in form.suffixes else next(iter(form.suffixes), "")
    pairs = [(source, folder / (_stem(source) + suffix)) for source in sources]
    for target, count in Counter(target for _, target in pairs).items():
        if count > 1:
            raise OptionError(f"{count} of the files would become {target}; convert them one by one")
    return pairs


def check_conversions(
    pairs: Sequence[tuple[str, str | os.PathLike[str]]],
    *,
    folder: Path | None = None,
    others: Sequence[str | os.PathLike[str]] = (),
    format: str | None = None,  # noqa: A002 - the field's word
    precision: int | None = None,
    unencodable: str = "raise",
    overwrite: bool = True,
) -> None:
    """Check every source and every target of several conversions before the first begins.

    Parameters
    ----------
    pairs
        Sources and targets. No target may be the source of any pair.
    folder
        Folder of the targets, which is created once sources and options are checked.
    others
        More files that are read, such as a vocabulary.
    format, precision, unencodable
        As for `convert`.
    overwrite
        Whether existing files may be replaced.

    Raises
    ------
    OptionError, OSError
        As `convert` does.
    """
    outputs = [output_of(target, format, precision=precision, unencodable=unencodable) for _, target in pairs]
    inputs = input_files(*(source for source, _ in pairs), *others)
    check_inputs(inputs)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for output in outputs:
        output.check(inputs, overwrite=overwrite)


class Saveable(Protocol):
    """Words and their rows in memory, as `vecload.Vectors` has them."""

    @property
    def words(self) -> Words:
        """The words, each once."""

    @property
    def matrix(self) -> npt.NDArray[Any]:
        """Their rows, shape (number of words, dim)."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """Description of the source."""

    @property
    def ngrams(self) -> NgramTable | None:
        """Character n-grams that compose vectors of other words."""


class _NoneFoundError(Exception):
    """None of the requested words is in the source."""


def _stem(source: str) -> str:
    """A file's name without what says how it is packed and what is in it."""
    known = {suffix for form in all_formats() for suffix in form.suffixes}
    name = Path(source).name
    for suffixes in (_PACKED, known):
        ends = [suffix for suffix in suffixes if name.casefold().endswith(suffix) and len(name) > len(suffix)]
        name = name[: len(name) - len(max(ends, key=len, default=""))]
    return name


def _write(output: Output, table: RowStream) -> tuple[Counter[str], int]:
    """Write the whole table or nothing; return the rows left out, by cause, and the bytes written."""
    form = output.form
    if table.ngrams is not None and table.ngrams.kind not in form.ngram_kinds:
        if not table.expected:
            raise OptionError(f"{form.name} cannot store n-grams, and there are no words to write")
        _log.warning("%s: %s cannot store n-grams; they were dropped", output.path, form.name)
    folder, streams, compression = output.folder, output.streams, output.compression
    with open_target(output.path, folder=folder, streams=streams, compression=compression) as to:
        if isinstance(to, OutputStream):
            assert form.write_stream is not None  # `output_of` refused other formats
            dropped = form.write_stream(to, table, output.options)
        else:
            assert form.write is not None  # likewise
            dropped = form.write(to, table, output.options)
    return dropped, to.written if isinstance(to, OutputStream) else _size(Path(output.path))


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())


class _Stream:
    """The rows of a reader, as a writer wants them: each word once, values normalised and rounded."""

    rows = None

    def __init__(
        self,
        source: Source,
        reader: Reader,
        request: ReadRequest,
        prefix: str,
        check: WordCheck,
        advance: Callable[[int, int | None], object],
        *,
        dtype: str | None,
        normalize: bool,
    ) -> None:
        self._source = source
        self._reader = reader
        self._request = request
        self._prefix = prefix
        self._check = check
        self._doubt: str | None = None
        self._advance = advance
        self._normalize = normalize
        self._known = UniqueWords(self.expected)
        self.dim = reader.dim
        self.dtype = reader.dtype if dtype is None else type_of(dtype)
        self.ngrams: NgramTable | None = reader.ngrams
        self.read = 0
        """Rows read so far, bad ones not included."""
        self.duplicates = 0
        """Rows left out because their word had been there before."""

    @property
    def expected(self) -> int:
        return expected_of(self._reader, self._request)

    @property
    def meta(self) -> Mapping[str, Any]:
        doubt = {} if self._doubt is None else {"doubt": self._doubt}
        return {**self._reader.meta, "source": self._source.name, **doubt}

    @property
    def words(self) -> Words:
        return self._known.words

    def batches(self) -> Iterator[Batch]:
        for data, offsets, rows in batches_of(self._reader, self._prefix, self._check):
            self.read += len(rows)
            fresh = self._known.add(data, offsets)
            batch = Batch(data, offsets, rows)
            if not fresh.all():
                batch = batch.take(np.flatnonzero(fresh))
                self.duplicates += len(rows) - len(batch.rows)
            values = _normalised(batch.rows) if self._normalize else batch.rows
            if len(values):
                yield batch._replace(rows=narrowed(values, self.dtype))
            self._advance(*self._source.progress())
        only_ngrams = self.ngrams is not None and self._reader.declared == 0  # a floret table is whole without words
        if not (self.read or self._reader.skipped) and self._request.only is not None:
            raise _NoneFoundError
        if self.read == self.duplicates and not only_ngrams:
            causes = ", ".join(f"{cause} ({count:,})" for cause, count in self._reader.skipped.items())
            raise FormatError("no row of it is wanted or could be read", file=self._source.name, found=causes or None)
        self._doubt = self._check.doubt(self._known.words, self._source.name)


def _normalised(rows: Any) -> Any:
    """Rows of Euclidean norm 1, as float64; rows of zeros stay."""
    values = rows.astype(np.float64)
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, norms, out=values, where=norms > 0)
