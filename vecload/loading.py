"""`load` and `info`: the only module that builds `Vectors` from a file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from vecload.attribution import attribution, described
from vecload.errors import FormatError, allocating
from vecload.formats.contract import ReadRequest, RowBuffer
from vecload.formats.members import open_vectors
from vecload.formats.opening import preview_source
from vecload.formats.registry import reader_by_name
from vecload.formats.table import Table
from vecload.inspection import Info, details_of, doubt_of, first_rows
from vecload.keywords import explain_keywords
from vecload.reading import (
    DType,
    Errors,
    Progress,
    Tokens,
    WordCheck,
    WordsOfRows,
    choose_format,
    estimate_rows,
    first_words,
    iterate_batches,
    make_request,
    open_checked,
    open_encoded,
    reading_progress,
    warn_few_found,
)
from vecload.resolving import resolve_source, stated_by_catalog
from vecload.vectors import Vectors
from vecload.words import Words, build_hash_table

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from vecload.formats.contract import Reader
    from vecload.sources import Source

_STEP = 1 << 24  # bytes added to the matrix if the estimated number of rows is too low
_ROWS = 4096  # rows moved together
_SAMPLE = 1000  # rows that `info` reads
_SHOWN = 8  # words that `info` and messages show


@explain_keywords
def load(
    source: str | os.PathLike[str] | IO[bytes],
    *,
    vocab: Collection[str] | None = None,
    limit: int | None = None,
    dtype: DType | None = None,
    errors: Errors = "raise",
    strict: bool = False,
    progress: Progress = None,
    format: str | None = None,  # noqa: A002 - the field's word
    allow_nonfinite: bool = False,
    prefix: str = "",
    words: WordsOfRows = None,
    tensor: str | None = None,
    encoding: str | None = None,
    tokens: Tokens = "raw",
) -> Vectors:
    r"""Read a file of word vectors.

    Parameters
    ----------
    source
        A path of a file or of a model's folder, ``-`` for standard input, a member of an archive as
        ``archive.zip/member`` or ``archive.tar.gz/member``, a URL of any file system that fsspec knows (extra
        "remote"), an address of the Hugging Face Hub as ``hf://org/name@revision/path`` (extra "hub"; revision and path
        are optional), a name of the catalog of public files such as ``glove.6B.50d``, or a file opened in binary mode.
        gzip, bzip2, xz, lzma, lz4, zstd, zip and tar are decompressed; in an archive, the only member with vectors is
        found. The format is detected from the content, not from the name; ``vecload formats`` lists all formats.
    vocab
        Read only the rows of these words; other rows are skipped without parsing them.
    limit
        Read only this number of rows from the start of the file.
    dtype
        Type of the values: "float16", "bfloat16", "float32" or "float64"; None for the type of the file. A value in
        text is parsed as Python's ``float`` does, and rounded to this type, or to float32.
    errors
        Policy for malformed rows: "raise" an error, or "skip" them and count them in ``meta["skipped"]``.
    strict
        Whether to raise an error also for repeated words, a wrong count in the header, bytes after the last row, and
        words that are doubtful as a whole.
    progress
        None shows a bar if standard error is a terminal and reading takes long; True or False; or a function that is
        called with the number of bytes read and their total (None if it is unknown).
    format
        Name of the format, if the content is ambiguous: "glove" (text without a header), "word2vec" (with a header),
        or any name in ``vecload formats``.
    allow_nonfinite
        Whether to keep NaN and infinity.
    prefix
        Keep only words with this prefix, and strip it: "/c/en/" for the English rows of ConceptNet Numberbatch,
        "ENTITY/" for the entities of wikipedia2vec. The words of `vocab` do not have the prefix.
    words
        Words of the rows, in order, for a matrix without words: strings, or the path of a text file, a ``.npy`` array,
        a JSON list or object ``{word: row}``, a table with a header, a Parquet column or a ``tokenizer.json``. For
        ``.npy``, ``.npz``, ``.safetensors`` and ``.tsv``.
    tensor
        Name of the matrix in a file of several: ``.npz``, ``.safetensors`` and folders of Hugging Face models.
    encoding
        Encoding of text files, and of the words of word2vec and fastText models, such as "cp1252"; None for UTF-8.
        UTF-16 and UTF-32 are recognized.
    tokens
        Spelling of the tokens of a Hugging Face or model2vec folder: "raw" as in the tokenizer ("Ġcat", "##s"), or
        "surface", the text that they stand for, with a space where a word begins (" cat", "s").

    Returns
    -------
    Vectors
        The words in file order. If a word occurs more than once, the first row wins; ``meta["duplicates"]`` counts the
        others. ``meta["doubt"]`` describes doubts about the file, such as words that all end in a comma.

    Warns
    -----
    VecloadWarning
        If there is a doubt, or none of the words of `vocab` is found.

    Raises
    ------
    FormatError
        If the file is damaged or in no known format. The error names the position.
    FileNotFoundError
        If the file does not exist.
    DownloadError
        If a file of the catalog cannot be downloaded.

    Notes
    -----
    Files are read by as many threads as there are processors, at most 8; the result does not depend on their number.
    Peak memory is the size of the result and a few MB.

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
    request = make_request(
        vocab,
        limit,
        dtype,
        errors,
        strict=strict,
        prefix=prefix,
        allow_nonfinite=allow_nonfinite,
        words=words,
        tensor=tensor,
        encoding=encoding,
        tokens=tokens,
    )
    vectors, doubt = _read(source, request, prefix=prefix, progress=progress, format=format)
    if vocab is not None and len(vocab) and not len(vectors) and vectors.ngrams is None and doubt is None:
        warn_few_found(vocab, vectors.meta["source"], first_words(source, _SHOWN).words, requested=len(vocab))
    return vectors


def load_rows(
    source: str | os.PathLike[str] | IO[bytes],
    request: ReadRequest,
    *,
    prefix: str = "",
    progress: Progress = None,
    format: str | None = None,  # noqa: A002 - the field's word
) -> Vectors:
    """Read vectors as `load` does, without a warning if none of the requested words is found."""
    return _read(source, request, prefix=prefix, progress=progress, format=format)[0]


def _read(
    source: str | os.PathLike[str] | IO[bytes],
    request: ReadRequest,
    *,
    prefix: str,
    progress: Progress,
    format: str | None,  # noqa: A002 - the field's word
) -> tuple[Vectors, str | None]:
    """Return the vectors, and the doubts about their words."""
    # The name is checked before the file is opened, or even downloaded, so that a typo is reported at once.
    given, alias = (None, "") if format is None else reader_by_name(format)
    request = dataclasses.replace(request, alias=alias)
    with (
        resolve_source(source, few_words=request.only is not None) as place,
        open_vectors(place) as opened,
    ):
        reader, check = open_checked(opened, request, prefix, given)
        stated = stated_by_catalog(source, place, attribution(reader.meta))
        table = None if prefix else reader.mapped()
        if table is None or check.shares_spaces(table.words):
            with reading_progress(opened, progress) as advance:
                matrix, data, offsets = _collect(opened, reader, prefix, request, check, advance)
            table = _unique(reader, opened.name, matrix, data, offsets, strict=request.strict)
    doubt = check.doubt(table.words, opened.name)
    meta = {**table.meta, **stated, **({} if doubt is None else {"doubt": doubt})}
    rows, ids = table.stored
    return Vectors(table.words, rows, meta, table.ngrams, table.history, row_ids=ids), doubt


def _collect(
    source: Source,
    reader: Reader,
    prefix: str,
    request: ReadRequest,
    check: WordCheck,
    advance: Callable[[int, int | None], object],
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return all batches as one matrix and the packed words.

    The reader parses into slices of the matrix (`RowBuffer`) as long as the estimated number of rows lasts.
    """
    row_bytes = max(1, reader.dim * reader.dtype.itemsize)
    rows = estimate_rows(reader, request)
    # Without the size of the source, nothing bounds the estimate. Allocated memory is not used until it is written.
    if source.size is None:
        rows = min(rows, _STEP // row_bytes + 1)
    try:
        matrix = np.empty((rows, reader.dim), dtype=reader.dtype)
    except (MemoryError, ValueError):
        # An archive may claim any size for a member. The matrix then grows as rows are read.
        matrix = np.empty((0, reader.dim), dtype=reader.dtype)
    datas: list[npt.NDArray[np.uint8]] = []
    lengths: list[npt.NDArray[np.int64]] = []
    count = 0
    for batch in iterate_batches(reader, prefix, check, RowBuffer(matrix)):
        end = count + len(batch.rows)
        if end > len(matrix):
            # `resize` calls realloc, which moves large blocks by remapping their pages instead of copying them.
            shape = end + _STEP // row_bytes, reader.dim
            with allocating(shape, reader.dtype):
                matrix.resize(shape, refcheck=False)
        # For rows that were parsed in place, this assigns a slice to itself.
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
) -> Table:
    """Return the first row of each word."""
    meta = described(reader.meta, name)
    if not len(matrix) and reader.skipped:
        causes = ", ".join(f"{cause} ({count:,})" for cause, count in reader.skipped.items())
        raise FormatError("no line could be read", file=name, found=causes)
    slots, repeated = build_hash_table(data, offsets)
    words = Words(data, offsets, slots=slots)
    if repeated.any():
        count = int(np.count_nonzero(repeated))
        if strict:
            word = words[int(np.argmax(repeated))]
            raise FormatError("repeated words", file=name, found=f"{count:,} repeated, first {word!r}")
        meta["duplicates"] = count
        words = words.take(np.flatnonzero(~repeated))
        _compact(matrix, ~repeated)
        matrix.resize((len(words), matrix.shape[1]), refcheck=False)
    return Table(words, matrix, meta, reader.ngrams, reader.history)


def _compact(matrix: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> None:
    """Move the rows to keep to the start of the matrix, in place, block by block."""
    count = 0
    for begin in range(0, len(matrix), _ROWS):
        rows = matrix[begin : begin + _ROWS][keep[begin : begin + _ROWS]]
        matrix[count : count + len(rows)] = rows
        count += len(rows)


@explain_keywords
def info(
    source: str | os.PathLike[str] | IO[bytes],
    *,
    words: WordsOfRows = None,
    tensor: str | None = None,
    encoding: str | None = None,
    tokens: Tokens = "raw",
) -> Info:
    r"""Look at a file of word vectors without reading all of it.

    Parameters
    ----------
    source, words, tensor, encoding, tokens
        As for `load`.

    Returns
    -------
    Info
        Rows are exact for formats that store arrays, and counted in uncompressed text files of up to 4 GB. Otherwise
        they are taken from the header, or estimated; for a stream of unknown length, they are the rows that were read
        (`Info.at_least`).

    Raises
    ------
    FormatError
        If the file is not in a known format, or none of its first rows is valid.

    Examples
    --------
    >>> import io
    >>> look = info(io.BytesIO(b"cat 0 3\ndog 3 4\n"))
    >>> look.rows, look.dim, look.words, look.norms
    (2, 2, ('cat', 'dog'), (3.0, 4.0, 5.0))
    """
    request = make_request(
        None,
        _SAMPLE,
        None,
        "skip",
        strict=False,
        prefix="",
        allow_nonfinite=True,
        words=words,
        tensor=tensor,
        encoding=encoding,
        tokens=tokens,
    )
    with resolve_source(source, few_words=True) as place, open_vectors(place) as opened:
        form, text = choose_format(opened, request)
        preview = preview_source(form, text)
        reader = open_encoded(form, text, request)
        sample = preview.sample
        first, rows, count, skipped = first_rows(reader, _SAMPLE) if sample is None or not sample.words else sample
        if not first and reader.ngrams is not None:  # a floret table has rows of n-grams only
            some = np.arange(min(_SAMPLE, reader.ngrams.rows.shape[0]))
            rows = reader.ngrams.rows.take(some, sparse=True).astype(np.float64)
        elif not first:
            causes = ", ".join(reader.skipped)
            raise FormatError("none of the first lines could be read", file=opened.name, found=causes)
        if not len(rows):
            raise FormatError("the file has no rows", file=opened.name)
        norms = np.linalg.norm(rows, axis=1)
        # The size of a file, compressed or not, makes an estimate possible; the length of a pipe is unknown.
        count = count if preview.rows is None else preview.rows
        if count is None and not reader.meta.get("header"):
            # Only a header of text or word2vec binary can be wrong. Other formats hold arrays of known sizes.
            count = reader.declared
        at_least = count is None and reader.declared is None and opened.progress()[1] is None
        unique = reader.unique_rows
        shared = None if unique is None or reader.declared is None else (reader.declared, unique)
        estimate = len(rows) if at_least else reader.declared or reader.expected
        return Info(
            source=opened.name,
            size=opened.size,
            stored=opened.progress()[1] if opened.archive_size is None else opened.archive_size,
            format=str(reader.meta["format"]),
            compression=opened.compression,
            header=reader.meta.get("header"),
            dim=reader.dim,
            words=tuple(first[:_SHOWN]),
            norms=(float(norms.min()), float(norms.mean()), float(norms.max())),
            sampled=len(rows),
            details=details_of(reader.history, first, rows, skipped, shared),
            doubt=doubt_of(reader, first, known=form.records_doubts or tokens == "surface"),
            rows=estimate if count is None else count,
            exact=count is not None,
            at_least=at_least,
            values=preview.values or str(reader.dtype),
            attribution=attribution({**reader.meta, **stated_by_catalog(source, place, attribution(reader.meta))}),
        )
