"""The parts of a fastText model of word vectors that are kept, in new form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vecload.arrays import row_blocks
from vecload.errors import FormatError, OptionError
from vecload.formats.fasttext.layout import MODELS, Model
from vecload.words import Words, pack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy.typing as npt

    from vecload.ngrams import Rows

    Ids = npt.NDArray[np.int64]
    Singles = npt.NDArray[np.float32]

# Words that are composed at a time, and up to this many, rows are read one by one: see `vecload.ngrams.DenseRows`.
BATCH = 1 << 14
_FEW = 2048


class Block(NamedTuple):
    """Packed words, their place among the kept ones, and their vectors, float32, shape (n, dim)."""

    at: slice
    data: npt.NDArray[np.uint8]
    offsets: Ids
    vectors: Singles


def check_model(model: Model, name: str) -> None:
    """Raise FormatError for a model that has labels: without its output matrix, it would be of no use."""
    kind = MODELS[model.arguments.model]
    if kind == "supervised":
        hint = "Only models of word vectors can be made smaller; fastText's own tool quantizes classifiers."
        raise FormatError("the model predicts labels", file=name, found=kind, expected="skipgram or cbow", hint=hint)


def choose_words(model: Model, words: int | None, vocab: Collection[str] | None) -> Ids:
    """Return the rows of the words to keep, in the order of the file, the most frequent first.

    Raises
    ------
    OptionError
        If no word is left.
    """
    rows = np.arange(len(model.counts))
    if vocab is not None:
        wanted = Words.from_strings(vocab)
        rows = rows[wanted.lookup(Words(model.data, model.offsets)) >= 0]
    rows = rows[:words]
    if not len(rows):
        raise OptionError("no word is kept; pass words= of 1 or more, or a vocab= with words of the model")
    return rows


def compose(model: Model, rows: Ids) -> Iterator[Block]:
    """Yield the vectors of words in batches, as fastText composes them."""
    for at in row_blocks(len(rows), BATCH):
        some = rows[at]
        data, offsets = pack(model.data, model.offsets[some], model.offsets[some + 1])
        vectors = model.rows.take(some, sparse=len(rows) <= _FEW)
        model.ngrams.compose(data, offsets, vectors, own=1)
        yield Block(at, data, offsets, vectors)


def count_uses(model: Model, rows: Ids) -> Ids:
    """Return how many of the words use each row of the n-grams: int64, shape (n-gram rows,)."""
    uses = np.zeros(model.ngrams.rows.shape[0], dtype=np.int64)
    for at in row_blocks(len(rows), BATCH):
        some = rows[at]
        data, offsets = pack(model.data, model.offsets[some], model.offsets[some + 1])
        uses += np.bincount(model.ngrams.find_rows(data, offsets)[0], minlength=len(uses))
    return uses


def principal_axes(model: Model, rows: Ids, table: Rows, dim: int) -> npt.NDArray[np.float64]:
    """Return the axes with the largest second moments, float64, shape (old dim, dim).

    Words and n-grams are projected onto the same axes, so that means of projected rows are projections of means.
    Nothing is centered, because a constant would distort the cosines. Words and n-grams have equal weight.
    """
    words = np.zeros((model.arguments.dim,) * 2)
    for block in compose(model, rows):
        wide = block.vectors.astype(np.float64)
        words += wide.T @ wide
    ngrams = np.zeros_like(words)
    for at in row_blocks(table.shape[0]):
        wide = table.take(np.arange(at.start, at.stop), sparse=False).astype(np.float64)
        ngrams += wide.T @ wide
    moments = words / max(np.trace(words), 1e-300) + ngrams / max(np.trace(ngrams), 1e-300)
    axes: npt.NDArray[np.float64] = np.linalg.eigh(moments)[1][:, ::-1][:, :dim]
    # The sign of an axis is arbitrary; its largest component is made positive.
    signs: Any = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return axes * np.where(signs == 0, 1, signs)
