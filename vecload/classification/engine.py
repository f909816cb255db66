"""`Engine`: what the kernels compute for lines, with the arrays of one model."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from vecload.arrays import row_blocks
from vecload.classification.tree import label_tree
from vecload.formats.fasttext.layout import LOSSES
from vecload.ngrams import DenseRows, QuantizedRows
from vecload.threads import Pool
from vecload.words import read_only

if TYPE_CHECKING:
    from vecload.classification.lines import Lines
    from vecload.formats.fasttext.layout import Model

    Singles = npt.NDArray[np.float32]
    Ids = npt.NDArray[np.int64]

_EOS: Final = b"</s>"
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
        # Row of each label, decoded if the matrix is quantized.
        self.output: Singles = model.output.take(np.arange(self.labels), sparse=False)
        self._lookup, self._fixed = self._arguments(prefix)
        self._sums = read_only(np.empty((0, self.dim), dtype=np.float32)), read_only(np.empty(0, dtype=np.int32))

    def prepare(self, lines: int) -> None:
        """Compute the sums of the rows of the most frequent words, if there are lines enough to make up for it."""
        from vecload.kernels import text_lines, workers

        count = min(len(self._model.counts), _CACHED // (4 * self.dim), _WORDS_PER_LINE * lines)
        if self._model.ngrams.maxn <= 0 or lines < _MANY or count <= len(self._sums[0]):
            return
        sums, counts = np.zeros((count, self.dim), dtype=np.float32), np.zeros(count, dtype=np.int32)
        with Pool(workers()) as pool:
            jobs = [
                pool.submit(text_lines.word_sums, *self._fixed, at.start, at.stop, sums[at], counts[at])
                for at in row_blocks(count, _WORDS)
            ]
            for job in jobs:
                job.result()
        self._sums = read_only(sums), read_only(counts)

    def hidden(self, lines: Lines) -> tuple[Singles, Ids]:
        """Return the mean row of each line, shape (n, dim), and the number of rows, shape (n,)."""
        from vecload.kernels import text_lines

        hidden = np.zeros((len(lines.starts), self.dim), dtype=np.float32)
        counts = np.empty(len(hidden), dtype=np.int64)
        compute: Any = text_lines.hidden_vectors
        compute(*lines, *self._lookup, *self._fixed, *self._sums, hidden, counts)
        return hidden, counts

    def probabilities(self, lines: Lines) -> Singles:
        """Return the probability of every label for each line, shape (n, labels)."""
        from vecload.kernels import label_probabilities

        hidden, counts = self.hidden(lines)
        if self.loss != "hs":
            return self._outputs(hidden, counts)
        shares = np.zeros((len(hidden), self.labels), dtype=np.float32)
        label_probabilities.leaf_probabilities(hidden, counts, self.output, *self._tree, shares)
        return shares

    def best(self, lines: Lines, k: int, threshold: np.float32) -> tuple[Ids, Singles, Ids]:
        """Return the k best labels, the logarithms of their probabilities, and the number of labels of each line."""
        from vecload.kernels import label_probabilities

        count = len(lines.starts)
        labels, scores = np.zeros((count, k + 1), dtype=np.int64), np.zeros((count, k + 1), dtype=np.float32)
        found = np.empty(count, dtype=np.int64)
        hidden, counts = self.hidden(lines)
        if self.loss == "hs":
            given = (hidden, counts, self.output, *self._tree)
            label_probabilities.best_leaves(*given, k, threshold, labels, scores, found)
        else:
            shares = self._outputs(hidden, counts)
            label_probabilities.best_labels(shares, counts, k, threshold, labels, scores, found)
        return labels, scores, found

    def _outputs(self, hidden: Singles, counts: Ids) -> Singles:
        """Return the probability of every label, except for the loss "hs"."""
        from vecload.kernels import label_probabilities

        shares = np.zeros((len(hidden), self.labels), dtype=np.float32)
        softmax = self.loss == "softmax"
        label_probabilities.outputs(hidden, counts, self._columns, self._sigmoid, softmax, shares)
        return shares

    @cached_property
    def _tree(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        return label_tree(self._model.label_counts)

    @cached_property
    def _columns(self) -> Singles:
        return np.ascontiguousarray(self.output.T)

    @cached_property
    def _sigmoid(self) -> Singles:
        # ``Loss::Loss`` in loss.cc computes the points in float32, and the values in double precision.
        points = (np.arange(_SIGMOID + 1) * 16).astype(np.float32) / np.float32(_SIGMOID) - np.float32(8)
        values: Singles = (1.0 / (1.0 + np.exp(-points).astype(np.float64))).astype(np.float32)
        return values[:_SIGMOID]

    def _arguments(self, prefix: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the arguments of the kernels that do not depend on the lines: to find words, and to sum their rows."""
        from vecload.kernels import text_lines

        model, ngrams = self._model, self._model.ngrams
        labels = [label.encode("utf-8", "surrogateescape") for label in model.labels]
        ends = model.offsets[-1] + np.cumsum([len(label) for label in labels])
        data = read_only(np.concatenate([model.data, np.frombuffer(b"".join(labels), dtype=np.uint8)]))
        offsets = read_only(np.concatenate([model.offsets, ends]))
        # Fewer than half of the slots are used, so that few entries collide.
        slots = np.full(1 << max(4, (2 * len(offsets)).bit_length()), -1, dtype=np.int32)
        text_lines.fill_slots(data, offsets, slots)
        keys, rows = (np.empty((0, 2), dtype=np.int32) if ngrams.kept is None else ngrams.kept).T
        kept = np.full(1 << max(4, (2 * len(keys)).bit_length()), -1, dtype=np.int64)
        text_lines.fill_kept(read_only(np.ascontiguousarray(keys)), read_only(np.ascontiguousarray(rows)), kept)
        marked = read_only(np.frombuffer(prefix.encode(), dtype=np.uint8))
        fixed = (
            data, offsets, len(model.counts), np.frombuffer(_EOS, dtype=np.uint8), ngrams.minn, ngrams.maxn,
            ngrams.eos_ngrams, ngrams.bucket, kept, ngrams.kept is not None, *_matrix(model.matrix, self.dim),
        )  # fmt: skip
        return (slots, marked, max(model.arguments.wordNgrams, 1)), fixed


def _matrix(rows: Any, dim: int) -> tuple[Any, ...]:
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
