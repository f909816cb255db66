"""fastText models: ``.bin`` of any age, and quantised ``.ftz``.

The file is mapped and of its matrices only the rows asked for are read. A word's vector is what fastText's
``getWordVector`` gives: the mean of the word's own row and its n-grams' rows. Labels of supervised models are no words;
they are in ``meta``, with what the model was trained with and how often each word came.

Source: fastText ``fasttext.cc``. Where what lies is told in `vecload.formats.fasttext.layout`.
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
from vecload.formats.contract import NONFINITE_HINT, BaseReader, Batch, Preview
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
from vecload.formats.writing.values import to_float32
from vecload.formats.writing.word_policy import WordPolicy
from vecload.message_text import quote
from vecload.ngrams import NgramTable
from vecload.words import Words, build_hash_table, pack, read_only

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.formats.fasttext.layout import Model
    from vecload.sources import Source

NAME: Final = "fastText"
# Without format=, a .bin is written as word2vec, whose suffix it was first.

_BATCH = 1 << 14  # words composed together
_FEW = 2048  # words whose rows are read one by one: see `vecload.ngrams.DenseRows`
_PIECE = 1 << 20
_MATRIX = struct.Struct("<Bqq")
_DEFAULTS = {"ws": 5, "epoch": 5, "minCount": 1, "neg": 5, "wordNgrams": 1, "lrUpdateRate": 100, "t": 1e-4}
"""What fastText takes where nothing is said."""
_log = logging.getLogger("vecload")


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - every format is asked the same way
    """95 for the magic number, or for the numbers that models from before May 2017 begin with."""
    return 95 if head.startswith(MAGIC) or looks_old(head) else 0


def preview(source: Source) -> Preview:
    """Return the number of words, and how they are stored."""
    model = _parse(source)
    kind = "product-quantised" if model.quantised else "float32"
    return Preview(rows=len(model.counts), values=f"{kind}, a word's and its n-grams' rows averaged")


def _parse(source: Source) -> Model:
    data = source.mapped()
    if source.path is None:
        return parse(data, source.name)
    file = os.open(source.path, os.O_RDONLY)
    try:
        return parse(data, source.name, file=file)
    finally:
        os.close(file)


class Reader(BaseReader):
    """Composes the words of a fastText model in batches, in file order; made by `read`."""

    def __init__(self, source: Source, request: ReadRequest) -> None:
        self._source = source
        self._request = request
        self._model = _parse(source)
        self._check_end(source.size)
        self.declared = len(self._model.counts)
        self.dim = self._model.arguments.dim
        self.dtype = type_of(request.dtype or "float32")
        self.ngrams: NgramTable = self._model.ngrams
        self.skipped: Counter[str] = Counter()
        self._wanted = np.arange(self.declared if request.limit is None else min(request.limit, self.declared))
        if request.only is not None:
            none = np.zeros(1, dtype=np.uint64)  # these words are looked up, nothing is among them: no table
            words = Words(*self._words(self._wanted), slots=none)
            self._wanted = self._wanted[request.only.lookup(words) >= 0]
        self._given: list[npt.NDArray[np.int64]] = []
        self.expected = len(self._wanted)

    def _check_end(self, size: int | None) -> None:
        model, name = self._model, self._source.name
        if not model.output:
            _log.warning(
                "%s: the file ends behind the input matrix: vectors are whole, the output matrix is not there", name
            )
        if size is not None and size > model.end:
            if self._request.strict:
                raise FormatError("bytes behind the model", file=name, byte=model.end, found=f"{size - model.end:,}")
            _log.warning("%s: there are %s bytes behind the model", name, size - model.end)

    @property
    def meta(self) -> dict[str, Any]:
        """What the model was trained with, and the counts of the words that were read."""
        model = self._model
        rows = np.concatenate([*self._given, self._wanted[:0]])
        first = ~build_hash_table(*self._words(rows))[1]  # of a word that comes twice the first row stays
        arguments = model.arguments._asdict()
        meta: dict[str, Any] = {
            "format": NAME,
            "version": model.version,
            "quantised": model.quantised,
            "args": {
                **arguments,
                "model": MODELS[model.arguments.model],
                "loss": LOSSES[model.arguments.loss],
                "ntokens": model.tokens,
            },
            "labels": model.labels,
            "counts": model.counts[rows[first]],
        }
        return {**meta, "skipped": dict(self.skipped)} if self.skipped else meta

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
            self._given.append(rows)
            self._source.position = size * (begin + len(rows)) // len(self._wanted)
            yield Batch(data, offsets, values)

    def _words(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        return pack(self._model.data, self._model.offsets[rows], self._model.offsets[rows + 1])

    def _without_nonfinite(
        self, rows: npt.NDArray[np.int64], values: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
        cause = f"a value that is not finite in {self.dtype}"
        fine = np.isfinite(values).all(axis=1)
        if self._request.errors != "skip":
            first = int(rows[np.argmin(fine)])
            start, stop = self._model.offsets[first : first + 2]
            found = f"one in the vector of {quote(self._model.data[start:stop].tobytes())}"
            raise FormatError(cause, file=self._source.name, found=found, hint=NONFINITE_HINT)
        self.skipped[cause] += int(np.count_nonzero(~fine))
        return rows[fine], values[fine]


def read(source: Source, request: ReadRequest) -> Reader:
    """Read a fastText model.

    Parameters
    ----------
    source
        The opened file; mapped if it is a plain one.
    request
        Only the words it asks for are composed, and no other rows read.

    Raises
    ------
    FormatError
        When the file is no model, is cut short, or says of itself what cannot be.
    """
    return Reader(source, request)


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:
    """Write a fastText ``.bin`` of version 12, which fastText and gensim open.

    Parameters
    ----------
    path
        The file.
    table
        Its rows. Where it has an n-gram table, a word's own row is made such that the mean of it and its n-grams' rows
        is the word's vector, as nearly as float32 allows; else the model has no n-grams (maxn and bucket are 0).
    options
        `unencodable` applies to words with a NUL byte.

    Returns
    -------
    Counter
        Rows left out.

    Raises
    ------
    OptionError
        When the n-gram table is pruned or floret's: a model that is not quantised has no place for either.

    Notes
    -----
    The output matrix, of use only in training, is written as zeros, which take no room on most file systems.
    """
    ngrams: NgramTable | None = table.ngrams
    if ngrams is not None and (ngrams.kind != "fasttext" or ngrams.kept is not None):
        what = "floret's n-gram table" if ngrams.kind == "floret" else "a pruned n-gram table"
        raise OptionError(f"a fastText .bin cannot hold {what}; Vectors(vectors.words, vectors.matrix) are without it")
    if ngrams is not None and ngrams.eos_ngrams:  # version 12 gives </s> none, so its own row has to be its vector
        ngrams = NgramTable(ngrams.rows, **{**ngrams.settings, "eos_ngrams": False})
    policy = WordPolicy(NAME, b"\0", options.unencodable, empty=True)
    packed: list[Batch] = []
    with path.open("wb") as file, tempfile.TemporaryFile(dir=path.parent) as rows:
        for batch in map(policy.apply, table.batches()):
            rows.write(_own_rows(batch, ngrams).data)
            packed.append(batch._replace(rows=batch.rows[:0]))
        count = sum(len(batch.offsets) - 1 for batch in packed)
        counts = table.meta.get("counts")
        if counts is None or len(counts) != count:  # not known, or of rows that were left out too
            counts = np.ones(count, dtype=np.int64)
        file.write(_head(table, ngrams, counts))
        done = 0
        for batch in packed:
            begin, done = done, done + len(batch.offsets) - 1
            file.write(_entries(batch, counts[begin:done]).data)
        behind = 0 if ngrams is None else ngrams.bucket
        file.write(_MATRIX.pack(0, count + behind, table.dim))
        rows.seek(0)
        shutil.copyfileobj(rows, file, _PIECE)
        for begin in range(0, behind, _BATCH):
            assert ngrams is not None
            block = ngrams.rows.take(np.arange(begin, min(begin + _BATCH, behind)), sparse=False)
            file.write(np.ascontiguousarray(block, dtype="<f4").data)
        file.write(_MATRIX.pack(0, count, table.dim))
        file.truncate(file.tell() + 4 * count * table.dim)
    return policy.dropped


def _own_rows(batch: Batch, ngrams: NgramTable | None) -> npt.NDArray[np.float32]:
    """The rows that, averaged with those of the n-grams, are the batch's."""
    values = to_float32(batch, NAME)
    if ngrams is None:
        return values
    sums = np.zeros_like(values)
    number = (1.0 + ngrams.add(batch.data, batch.offsets, sums))[:, None]
    own: npt.NDArray[np.float32] = (values * number - sums).astype("<f4")
    composed = own.copy()
    ngrams.compose(batch.data, batch.offsets, composed, own=1)
    own += (values - composed) * number  # what rounding took
    return own


def _head(table: RowStream, ngrams: NgramTable | None, counts: npt.NDArray[np.int64]) -> bytes:
    """All that lies in front of the dictionary's entries."""
    given = table.meta.get("args", {})
    settings = {name: given.get(name, default) for name, default in _DEFAULTS.items()}
    minn, maxn, bucket = (0, 0, 0) if ngrams is None else (ngrams.minn, ngrams.maxn, ngrams.bucket)
    loss, model = 2, 2  # negative sampling, skipgram: neither matters for vectors
    arguments = Arguments(dim=table.dim, loss=loss, model=model, minn=minn, maxn=maxn, bucket=bucket, **settings)
    sizes = Sizes(entries=len(counts), words=len(counts), labels=0, tokens=given.get("ntokens", int(counts.sum())))
    start = MAGIC + struct.pack("<i", max(VERSIONS))
    return start + ARGUMENTS.pack(*arguments) + SIZES.pack(*sizes) + struct.pack("<q", -1)


def _entries(batch: Batch, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    from vecload.kernels import fasttext_entries

    entries = np.empty(len(batch.data) + fasttext_entries.ENTRY_OVERHEAD * len(counts), dtype=np.uint8)
    fasttext_entries.write_entries(read_only(batch.data), read_only(batch.offsets), read_only(counts), entries)
    return entries


FORMAT: Final = Format(
    name=NAME,
    detect=detect,
    read=read,
    preview=preview,
    write=write,
    shared_suffixes=(".bin",),
    ngram_kinds=("fasttext",),
    options=("unencodable",),
)
