"""`Engine`: what the kernels compute for lines, with the arrays of one model."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import row_blocks
from vecload.classification.plain import PlainEngine
from vecload.classification.tree import label_tree
from vecload.formats.fasttext.layout import LOSSES
from vecload.ngrams import DenseRows, QuantizedRows
from vecload.threads import Pool
from vecload.words import read_only

if TYPE_CHECKING:
    from vecload.classification.lines import Lines
    from vecload.classification.plain import Best, Ids, Outputs, Singles, Tree
    from vecload.formats.fasttext.layout import Model
    from vecload.ngrams import Rows


_WORDS: Final = 1 << 12  # words that a thread sums at a time
# The sums of the rows of frequent words are kept for batches of this size, in this number of bytes. Only as many words
# as the texts may need are summed.
_MANY: Final = 1 << 12
_CACHED: Final = 1 << 26
_WORDS_PER_LINE: Final = 4
_SIGMOID: Final = 512  # values in fastText's table of the logistic function, from -8 to 8


class Engine:
    """Hidden vectors, probabilities and best labels of lines.

    Parameters
    ----------
    model
        Parts of a supervised model, with an output matrix.
    prefix
        Beginning of labels in texts.
    """

    def __init__(self, model: Model, prefix: str) -> None:
        assert model.output is not None
        self.dim = model.arguments.dim
        self.labels = len(model.labels)
        self.loss = LOSSES[model.arguments.loss]
        self._model = model
        self._prefix = prefix
        self._plain = PlainEngine(model, prefix)
        # Row of each label, decoded if the matrix is quantized, and the factor of each row. As in fastText, sums are
        # multiplied by it, not rows, because rounding decides which value of the logistic function's table is taken.
        self._rows, self._scales = _without_norms(model.output)
        self._known = read_only(np.empty((0, self.dim), dtype=np.float32)), read_only(np.empty(0, dtype=np.int32))

    @property
    def output(self) -> Singles:
        """Row of each label, decoded if the matrix is quantized."""
        return self._rows * self._scales[:, None]

    def prepare(self, lines: int) -> None:
        """Compute the sums of the rows of the most frequent words, if there are lines enough to make up for it."""
        from vecload.kernels import workers

        count = min(len(self._model.counts), _CACHED // (4 * self.dim), _WORDS_PER_LINE * lines)
        # Their sums are rounded in another order. With a table of the logistic function, that can change a probability
        # by 1%, so these losses do without.
        if self.loss in ("ns", "ova") or self._model.ngrams.maxn <= 0 or lines < _MANY or count <= len(self._known[0]):
            return
        sums, counts = np.zeros((count, self.dim), dtype=np.float32), np.zeros(count, dtype=np.int32)
        given = self._dictionary, self._grams, self._matrix, self._known
        with Pool(workers()) as pool:
            blocks = row_blocks(count, _WORDS)
            pool.run(self._lines.word_sums, [(*given, at.start, at.stop, sums[at], counts[at]) for at in blocks])
        self._known = read_only(sums), read_only(counts)

    def hidden(self, lines: Lines | bytes) -> tuple[Singles, Ids]:
        """Return the mean row of each line, shape (n, dim), and the number of rows, shape (n,).

        One line may be given as bytes, which takes less time.
        """
        model = self._dictionary, self._grams, self._matrix, self._known
        if isinstance(lines, bytes):
            hidden, counts = np.zeros((1, self.dim), dtype=np.float32), np.empty(1, dtype=np.int64)
            self._lines.hidden_vector(lines, *model, hidden, counts)
            return hidden, counts
        hidden, counts = (
            np.zeros((len(lines.starts), self.dim), dtype=np.float32),
            np.empty(len(lines.starts), np.int64),
        )
        self._lines.hidden_vectors(*lines, *model, hidden, counts)
        return hidden, counts

    def probabilities(self, lines: Lines) -> Singles:
        """Return the probability of every label for each line, shape (n, labels)."""
        hidden, counts = self.hidden(lines)
        shares = np.zeros((len(hidden), self.labels), dtype=np.float32)
        if self.loss == "hs":
            self._labels.leaf_probabilities(hidden, counts, self._rows, self._scales, *self._tree, shares)
        else:
            self._labels.outputs(hidden, counts, *self._outputs, shares)
        return shares

    def best(self, lines: Lines | bytes, k: int, threshold: np.float32) -> Best:
        """Return the k best labels of each line, their probabilities, their number, and the number of rows."""
        if isinstance(lines, bytes) and self._plain.suits(lines):
            best = (
                self._plain.best_leaves(lines, self._rows, self._scales, self._tree, k, threshold)
                if self.loss == "hs"
                else self._plain.best_labels(lines, self._outputs, k, threshold)
            )
            if best is not None:
                return best
        hidden, counts = self.hidden(lines)
        count = len(counts)
        labels, scores = np.zeros((count, k + 1), dtype=np.int64), np.zeros((count, k + 1), dtype=np.float32)
        found = np.empty(count, dtype=np.int64)
        if self.loss == "hs":
            given = (hidden, counts, self._rows, self._scales, *self._tree)
            self._labels.best_leaves(*given, k, threshold, labels, scores, found)
        else:
            self._labels.best_labels(hidden, counts, *self._outputs, k, threshold, labels, scores, found)
        return labels, scores, found, counts

    # An import statement in a function takes 0.2 µs, which counts for a single text.
    @cached_property
    def _lines(self) -> Any:
        from vecload.kernels import text_lines

        return text_lines

    @cached_property
    def _labels(self) -> Any:
        from vecload.kernels import label_probabilities

        return label_probabilities

    @cached_property
    def _tree(self) -> Tree:
        return label_tree(self._model.label_counts)

    @cached_property
    def _outputs(self) -> Outputs:
        """Output matrix, transposed; factors of its rows; logistic function; and whether the loss is softmax."""
        # ``Loss::Loss`` in loss.cc computes the points in float32, and the values in double precision.
        points = (np.arange(_SIGMOID + 1) * 16).astype(np.float32) / np.float32(_SIGMOID) - np.float32(8)
        values: Singles = (1.0 / (1.0 + np.exp(-points).astype(np.float64))).astype(np.float32)
        return np.ascontiguousarray(self._rows.T), self._scales, values[:_SIGMOID], self.loss == "softmax"

    # The arguments of the kernels: see `vecload.kernels.text_lines`.
    @cached_property
    def _dictionary(self) -> tuple[Any, ...]:
        from vecload.kernels import text_tables

        model = self._model
        labels = [label.encode("utf-8", "surrogateescape") for label in model.labels]
        ends = model.offsets[-1] + np.cumsum([len(label) for label in labels])
        data = read_only(np.concatenate([model.data, np.frombuffer(b"".join(labels), dtype=np.uint8)]))
        offsets = read_only(np.concatenate([model.offsets, ends]))
        # Fewer than half of the slots are used, so that few entries collide.
        slots = np.full(1 << max(4, (2 * len(offsets)).bit_length()), -1, dtype=np.int32)
        text_tables.fill_slots(data, offsets, slots)
        marked = np.frombuffer(self._prefix.encode(), dtype=np.uint8)
        return read_only(slots), read_only(marked), model.longest_phrase, data, offsets, len(model.counts)

    @cached_property
    def _grams(self) -> tuple[Any, ...]:
        from vecload.kernels import text_tables

        ngrams = self._model.ngrams
        keys, rows = (np.empty((0, 2), dtype=np.int32) if ngrams.kept is None else ngrams.kept).T
        size = 1 << max(4, (2 * len(keys)).bit_length())
        kept, filled = np.full(size, -1, dtype=np.int64), np.zeros(size, dtype=np.uint8)
        given = read_only(np.ascontiguousarray(keys)), read_only(np.ascontiguousarray(rows))
        text_tables.fill_kept(*given, kept, filled)
        some, pruned = ngrams.maxn > 0 and ngrams.bucket > 0, ngrams.kept is not None
        bucket = max(ngrams.bucket, 1)  # kernels divide by it
        return ngrams.minn, ngrams.maxn, ngrams.eos_ngrams, bucket, some, read_only(kept), read_only(filled), pruned

    @cached_property
    def _matrix(self) -> tuple[Any, ...]:
        return _matrix_parts(self._model.matrix, self.dim)


def _without_norms(rows: Rows) -> tuple[Singles, Singles]:
    """Return decoded rows before they are multiplied by their norms, and the norms, which default to 1."""
    scales = np.ones(rows.shape[0], dtype=np.float32)
    if isinstance(rows, QuantizedRows) and rows.norm_codes.size:
        scales = rows.norm_centroids[rows.norm_codes]
        rows = replace(rows, norm_codes=rows.norm_codes[:0], norm_centroids=rows.norm_centroids[:0])
    return rows.take(np.arange(rows.shape[0]), sparse=False), scales


def _matrix_parts(rows: Any, dim: int) -> tuple[Any, ...]:
    """Return a dense matrix, and the arrays of a quantized one, one of which is empty."""
    no_bytes, no_floats = np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.float32)
    if isinstance(rows, QuantizedRows) and 4 * rows.shape[0] * dim <= _CACHED:
        # Adding a decoded row takes a fraction of the time.
        rows = DenseRows(rows.take(np.arange(rows.shape[0]), sparse=False))
    if isinstance(rows, QuantizedRows):
        dense = np.empty((0, dim), dtype=np.float32)
        parts = rows.codes, rows.centroids, rows.width, rows.norm_codes, rows.norm_centroids
    else:
        dense = rows.matrix
        parts = np.empty((0, 1), dtype=np.uint8), no_floats, 1, no_bytes, no_floats
    return tuple(read_only(part) if isinstance(part, np.ndarray) else part for part in (dense, *parts))
