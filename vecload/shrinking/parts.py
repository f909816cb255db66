"""The parts of a fastText model of word vectors that are kept, read in blocks from the mapped file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vecload.arrays import row_blocks
from vecload.errors import FormatError, OptionError
from vecload.formats.fasttext.layout import MODELS, Model
from vecload.words import Words, build_hash_table, pack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy.typing as npt

    from vecload.shrinking.buckets import NgramRows

    Ids = npt.NDArray[np.int64]
    Singles = npt.NDArray[np.float32]

BATCH: Final = 1 << 11
"""Words that are composed at a time. With more of them, `NgramTable` would map the file instead of reading few rows."""

_PACKED: Final = 1 << 14  # words whose n-grams are hashed at a time
# Words and rows that the axes are computed from. More of them do not change the axes visibly.
_SAMPLE: Final = 1 << 17


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

    If a word occurs more than once, the first row wins.

    Raises
    ------
    OptionError
        If no word is left.
    """
    rows = np.arange(len(model.counts) if words is None or vocab is not None else min(words, len(model.counts)))
    if vocab is not None:
        rows = np.flatnonzero(Words.from_strings(vocab).lookup(Words(model.data, model.offsets)) >= 0)[:words].copy()
    if not len(rows):
        raise OptionError("no word is kept; pass words= of 1 or more, or a vocab= with words of the model")
    repeated = build_hash_table(*packed(model, rows))[1]
    return rows[~repeated] if repeated.any() else rows


def packed(model: Model, rows: Ids) -> tuple[npt.NDArray[np.uint8], Ids]:
    """Return the packed words of some rows."""
    return pack(model.data, model.offsets[rows], model.offsets[rows + 1])


def compose(model: Model, rows: Ids) -> Iterator[Block]:
    """Yield the vectors of words in blocks, as fastText composes them.

    Raises
    ------
    FormatError
        If a vector has NaN or infinity.
    """
    for at in row_blocks(len(rows), BATCH):
        some = rows[at]
        data, offsets = packed(model, some)
        vectors = model.rows.take(some, sparse=True)
        model.ngrams.compose(data, offsets, vectors, own=1)
        if not np.isfinite(vectors).all():
            raise FormatError("the model has vectors with NaN or infinity", hint="Train or download it again.")
        yield Block(at, data, offsets, vectors)


def compose_all(model: Model, rows: Ids) -> Singles:
    """Return the vectors of words, shape (n, dim)."""
    vectors = np.empty((len(rows), model.arguments.dim), dtype=np.float32)
    for block in compose(model, rows):
        vectors[block.at] = block.vectors
    return vectors


def count_uses(model: Model, rows: Ids) -> Ids:
    """Return how many of the words use each row of the n-grams: int64, shape (n-gram rows,)."""
    uses = np.zeros(model.ngrams.rows.shape[0], dtype=np.int64)
    for at in row_blocks(len(rows), _PACKED):
        uses += np.bincount(model.ngrams.find_rows(*packed(model, rows[at]))[0], minlength=len(uses))
    return uses


def spread(count: int, most: int) -> Ids:
    """Return up to `most` numbers below `count`, at equal distances."""
    return np.arange(count) if count <= most else np.arange(most) * count // most


def principal_axes(model: Model, rows: Ids, ngrams: NgramRows, dim: int) -> npt.NDArray[np.float32]:
    """Return the axes with the largest second moments, float32, shape (old dim, dim).

    Words and n-grams are projected onto the same axes, so that means of projected rows are projections of means.
    Nothing is centered, because a constant would distort the cosines. Words and n-grams have equal weight.
    """
    moments = np.zeros((model.arguments.dim,) * 2)
    words = (block.vectors for block in compose(model, rows[spread(len(rows), _SAMPLE)]))
    places = spread(len(ngrams), _SAMPLE)
    others = (ngrams.take(places[at]) for at in row_blocks(len(places), BATCH))
    for blocks in (words, others):
        squares = np.zeros_like(moments)
        for block in blocks:
            wide = block.astype(np.float64)
            squares += wide.T @ wide
        moments += squares / max(np.trace(squares), 1e-300)
    if not np.isfinite(moments).all():
        raise FormatError("the model has n-grams with NaN or infinity", hint="Train or download it again.")
    axes: npt.NDArray[np.float64] = np.linalg.eigh(moments)[1][:, ::-1][:, :dim]
    # The sign of an axis is arbitrary; its largest component is made positive.
    signs: Any = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return (axes * np.where(signs == 0, 1, signs)).astype(np.float32)


def project(rows: Singles, axes: npt.NDArray[np.float32] | None) -> Singles:
    """Return rows in the new dimensions."""
    return rows if axes is None else rows @ axes
