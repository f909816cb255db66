"""fastText models: ``.bin`` of every version, and quantized ``.ftz``.

The file is mapped, and only the requested rows of its matrices are read. The vector of a word is that of fastText's
``getWordVector``: the mean of the word's own row and the rows of its n-grams. Labels of supervised models are not
words; they are in ``history``, with the training arguments and the count of each word.

Source: fastText's ``fasttext.cc``. `vecload.formats.fasttext.layout` describes the layout of the file.
"""

from __future__ import annotations

import logging
import os
import shutil
import struct
import tempfile
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import narrowed, type_of
from vecload.errors import FormatError, OptionError
from vecload.formats.contract import BaseReader, Preview, skip_nonfinite
from vecload.formats.fasttext.entries import write_entries
from vecload.formats.fasttext.layout import (
    ARGUMENTS,
    LOSSES,
    MAGIC,
    MODELS,
    SIZES,
    VERSIONS,
    Arguments,
    Sizes,
    looks_old,
    parse,
)
from vecload.formats.format import Format
from vecload.formats.history import History
from vecload.formats.table import Batch
from vecload.formats.writing.values import to_float32
from vecload.formats.writing.word_policy import WordPolicy
from vecload.ngrams import NgramTable
from vecload.words import Words, build_hash_table, pack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.formats.fasttext.layout import Model
    from vecload.sources import Source

NAME: Final = "fastText"

_BATCH = 1 << 14  # words per batch
_FEW = 2048  # up to this many words, rows are read one by one: see `vecload.ngrams.DenseRows`
_PIECE = 1 << 20
_MATRIX = struct.Struct("<Bqq")
_DEFAULTS = {"ws": 5, "epoch": 5, "minCount": 1, "neg": 5, "wordNgrams": 1, "lrUpdateRate": 100, "t": 1e-4}
"""fastText's default training arguments (``args.cc``), for vectors that were not trained with fastText."""
_NO_NGRAMS: Final = {"minn": 0, "maxn": 0, "bucket": 0}
_log = logging.getLogger("vecload")


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 95 for the magic number, or for the arguments and sizes that models from before May 2017 begin with."""
    return 95 if head.startswith(MAGIC) or looks_old(head) else 0


def preview(source: Source) -> Preview:
    """Return the number of words, and how they are stored."""
    model = parse_source(source)
    kind = "product-quantized" if model.quantized else "float32"
    return Preview(rows=len(model.counts), values=f"{kind}, mean of the rows of a word and its n-grams")


def parse_source(source: Source) -> Model:
    """Find the parts of a model in an open file.

    Raises
    ------
    FormatError
        As `vecload.formats.fasttext.layout.parse` does.
    """
    data = source.mapped()
    if source.path is None:
        return parse(data, source.name)
    file = os.open(source.path, os.O_RDONLY)
    try:
        return parse(data, source.name, file=file)
    finally:
        os.close(file)


class Reader(BaseReader):
    """Reader that composes the vectors of a fastText model in batches, in file order."""

    def __init__(self, source: Source, request: ReadRequest) -> None:
        self._source = source
        self._request = request
        self._model = parse_source(source)
        self._check_end(source.size)
        self.declared = len(self._model.counts)
        self.dim = self._model.arguments.dim
        self.dtype = type_of(request.dtype or "float32")
        self.ngrams: NgramTable = self._model.ngrams
        self.skipped: Counter[str] = Counter()
        self._wanted = np.arange(self.declared if request.limit is None else min(request.limit, self.declared))
        if request.only is not None:
            # These words are looked up in the table of the requested words, so they need no hash table of their own.
            no_table = np.zeros(1, dtype=np.uint64)
            words = Words(*self._words(self._wanted), slots=no_table)
            self._wanted = self._wanted[request.only.lookup(words) >= 0]
        self._rows_read: list[npt.NDArray[np.int64]] = []
        self.expected = len(self._wanted)

    def _check_end(self, size: int | None) -> None:
        model, name = self._model, self._source.name
        if model.output is None:
            _log.warning("%s: no output matrix in the file; vectors are complete, but training cannot continue", name)
        if size is not None and size > model.end:
            if self._request.strict:
                raise FormatError("bytes after the model", file=name, byte=model.end, found=f"{size - model.end:,}")
            _log.warning("%s: ignored %s bytes after the model", name, size - model.end)

    @property
    def meta(self) -> dict[str, Any]:
        """Version of the file, and the number of skipped rows by cause."""
        meta: dict[str, Any] = {"format": NAME, "version": self._model.version, "quantized": self._model.quantized}
        return {**meta, "skipped": dict(self.skipped)} if self.skipped else meta

    @property
    def history(self) -> History:
        """Training arguments and labels of the model, and the counts of the words read so far."""
        model = self._model
        rows = np.concatenate([*self._rows_read, self._wanted[:0]])
        # If a word occurs more than once, the first row wins, as it does in `load`; counts must match the rows.
        first = ~build_hash_table(*self._words(rows))[1]
        arguments = {
            **model.arguments._asdict(),
            "model": MODELS[model.arguments.model],
            "loss": LOSSES[model.arguments.loss],
            "ntokens": model.tokens,
        }
        return History(arguments, tuple(model.labels), model.counts[rows[first]])

    def __iter__(self) -> Iterator[Batch]:
        model = self._model
        size = self._source.size or 0
        for begin in range(0, len(self._wanted), _BATCH):
            rows = self._wanted[begin : begin + _BATCH]
            data, offsets = self._words(rows)
            values = model.rows.take(rows, sparse=len(self._wanted) <= _FEW)
            model.ngrams.compose(data, offsets, values, own=1)
            values = narrowed(values, self.dtype)
            if not self._request.allow_nonfinite and not np.isfinite(values).all():
                rows, values = self._without_nonfinite(rows, values)
                data, offsets = self._words(rows)
            self._rows_read.append(rows)  # `history` has the counts of these rows
            self._source.position = size * (begin + len(rows)) // len(self._wanted)
            yield Batch(data, offsets, values)

    def _words(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        return pack(self._model.data, self._model.offsets[rows], self._model.offsets[rows + 1])

    def _without_nonfinite(
        self, rows: npt.NDArray[np.int64], values: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
        """Return the rows whose vectors are finite, or raise the error for the others."""
        fine = np.isfinite(values).all(axis=1)
        first = int(rows[np.argmin(fine)])
        start, stop = self._model.offsets[first : first + 2]
        skip_nonfinite(
            self._request,
            self.skipped,
            self.dtype,
            word=self._model.data[start:stop].tobytes(),
            count=int(np.count_nonzero(~fine)),
            file=self._source.name,
        )
        return rows[fine], values[fine]


def read(source: Source, request: ReadRequest) -> Reader:
    """Read a fastText model.

    Parameters
    ----------
    source
        The opened file, which is mapped if it is a plain file.
    request
        Words to compose. No other rows are read.

    Raises
    ------
    FormatError
        If the file is not a fastText model, is cut short, or contains invalid sizes.
    """
    return Reader(source, request)


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:
    """Write a fastText ``.bin`` of version 12, which fastText and gensim open.

    Parameters
    ----------
    path
        The file.
    table
        Words and vectors. With an n-gram table, the row of each word is chosen so that its mean with the rows of the
        word's n-grams is the vector of the word, as exactly as float32 allows. Without one, the model has no n-grams
        (maxn and bucket are 0).
    options
        `unencodable` applies to words with a NUL byte.

    Returns
    -------
    Counter
        Number of dropped rows, by cause.

    Raises
    ------
    OptionError
        If the n-gram table is pruned, or not of fastText's kind; a model that is not quantized cannot store these.

    Notes
    -----
    The output matrix, which only training uses, is written as zeros, which take no disk space on most file systems.
    """
    ngrams: NgramTable | None = table.ngrams
    if ngrams is not None and ngrams.encoding != "utf-8":
        hint = "Vectors(vectors.words, vectors.matrix) drops them"
        raise OptionError(f"a fastText .bin cannot store n-grams of words in {ngrams.encoding}; {hint}")
    if ngrams is not None and (ngrams.kind != "fasttext" or ngrams.kept is not None):
        owner = "finalfusion" if ngrams.kind == "explicit" else ngrams.kind
        what = "a pruned n-gram table" if ngrams.kind == "fasttext" else f"{owner}'s n-gram table"
        hint = "Vectors(vectors.words, vectors.matrix) drops it"
        raise OptionError(f"a fastText .bin cannot store {what}; {hint}")
    # In version 12, </s> has no n-grams, so its own row has to be its vector.
    if ngrams is not None and ngrams.eos_ngrams:
        ngrams = NgramTable(ngrams.rows, **{**ngrams.settings, "eos_ngrams": False})
    policy = WordPolicy(NAME, b"\0", options.unencodable, empty=True)
    # The dictionary precedes the matrix, so rows are kept in a temporary file until all words are known.
    packed: list[Batch] = []
    with path.open("wb") as file, tempfile.TemporaryFile(dir=path.parent) as rows:
        for batch in map(policy.apply, table.batches()):
            rows.write(own_rows(batch.data, batch.offsets, to_float32(batch, NAME), ngrams).data)
            packed.append(batch._replace(rows=batch.rows[:0]))
        count = sum(len(batch.offsets) - 1 for batch in packed)
        counts = table.history.counts
        if counts is None or len(counts) != count:  # unknown, or including dropped rows
            counts = np.ones(count, dtype=np.int64)
        settings = _NO_NGRAMS if ngrams is None else ngrams.settings
        file.write(head_bytes(table.dim, table.history.arguments, settings, counts))
        done = 0
        for batch in packed:
            begin, done = done, done + len(batch.offsets) - 1
            file.write(write_entries(batch.data, batch.offsets, counts[begin:done]).data)
        bucket = 0 if ngrams is None else ngrams.bucket
        file.write(_MATRIX.pack(0, count + bucket, table.dim))
        rows.seek(0)
        shutil.copyfileobj(rows, file, _PIECE)
        for begin in range(0, bucket, _BATCH):
            assert ngrams is not None
            block = ngrams.rows.take(np.arange(begin, min(begin + _BATCH, bucket)), sparse=False)
            file.write(np.ascontiguousarray(block, dtype="<f4").data)
        file.write(_MATRIX.pack(0, count, table.dim))
        file.truncate(file.tell() + 4 * count * table.dim)
    return policy.dropped


def own_rows(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    values: npt.NDArray[np.float32],
    ngrams: NgramTable | None,
) -> npt.NDArray[np.float32]:
    """Return the own rows of packed words, whose means with the rows of their n-grams are the given vectors."""
    if ngrams is None:
        return values
    # vector = (own + sum of n-gram rows) / number, solved for `own`. Composing the result and correcting it by the
    # error removes most of the rounding error of float32.
    sums = np.zeros_like(values)
    number = (1.0 + ngrams.add(data, offsets, sums))[:, None]
    own: npt.NDArray[np.float32] = (values * number - sums).astype("<f4")
    composed = own.copy()
    ngrams.compose(data, offsets, composed, own=1)
    own += (values - composed) * number
    return own


def head_bytes(
    dim: int,
    given: Mapping[str, Any],
    ngrams: Mapping[str, Any],
    counts: npt.NDArray[np.int64],
    *,
    pruned: int = -1,
) -> bytes:
    """Return the bytes before the entries of the dictionary.

    Parameters
    ----------
    dim
        Number of values in a vector.
    given
        Training arguments, as far as they are known.
    ngrams
        "minn", "maxn" and "bucket".
    counts
        Frequency of each word.
    pruned
        Number of kept buckets; -1 for a table that is not pruned.
    """
    settings = {name: given.get(name, default) for name, default in _DEFAULTS.items()}
    minn, maxn, bucket = (ngrams[name] for name in ("minn", "maxn", "bucket"))
    loss, model = 2, 2  # negative sampling and skipgram; vectors do not depend on them
    arguments = Arguments(dim=dim, loss=loss, model=model, minn=minn, maxn=maxn, bucket=bucket, **settings)
    sizes = Sizes(entries=len(counts), words=len(counts), labels=0, tokens=given.get("ntokens", int(counts.sum())))
    start = MAGIC + struct.pack("<i", max(VERSIONS))
    return start + ARGUMENTS.pack(*arguments) + SIZES.pack(*sizes) + struct.pack("<q", pruned)


FORMAT: Final = Format(
    name=NAME,
    detect=detect,
    read=read,
    preview=preview,
    write=write,
    shared_suffixes=(".bin",),  # without format=, a .bin is written as word2vec, which used the suffix first
    ngram_kinds=("fasttext",),
    options=("unencodable",),
    read_options=("encoding",),
)
