"""`PlainEngine`: labels of a few short texts, without compiled kernels.

Loading numba and the kernels takes half a second, in which this module classifies hundreds of short texts. Its sums are
in the order of the kernels, so its results have the same bits: see `vecload.kernels.text_lines` and
`vecload.kernels.label_probabilities`.
"""

from __future__ import annotations

import itertools
import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.classification.dictionary import bucket_hash
from vecload.lazy import numba_loaded

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.formats.fasttext.layout import Model

    Singles = npt.NDArray[np.float32]
    Ids = npt.NDArray[np.int64]
    Tree = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
    Outputs = tuple[Singles, Singles, Singles, bool]
    Best = tuple[Ids, Singles, Ids, Ids]

FEW_TEXTS: Final = 20  # texts, after which a process probably has many more
_LONGEST: Final = 1000  # bytes of a text
_ENTRIES: Final = 1 << 15  # words and labels
_VALUES: Final = 1 << 20  # values of the output matrix
_TOKEN: Final = re.compile(rb"[^\0\t-\r ]+")
_END: Final = b"</s>"
_WORD_PRIME: Final = 116049371
_MASK: Final = (1 << 64) - 1
_ADDED: Final = 1e-5  # fastText adds it to a probability before it takes the logarithm


class PlainEngine:
    """Best labels of single texts.

    Parameters
    ----------
    model
        Parts of a supervised model.
    prefix
        Beginning of labels in texts.
    """

    def __init__(self, model: Model, prefix: str) -> None:
        self._model = model
        self._prefix = prefix.encode()
        self._texts = 0
        entries, values = len(model.counts) + len(model.labels), len(model.labels) * model.arguments.dim
        self._small = entries <= _ENTRIES and values <= _VALUES

    def suits(self, line: bytes) -> bool:
        """Return whether to classify a text here: it is short, one of the first, and nothing has loaded numba."""
        if not self._small or len(line) > _LONGEST or self._texts == FEW_TEXTS or numba_loaded():
            return False
        self._texts += 1
        return True

    def hidden(self, line: bytes) -> tuple[Singles, int]:
        """Return the mean row of a line that ends in ``</s>``, shape (dim,), and the number of rows."""
        rows = self._rows(line)
        mean: Singles = np.zeros(self._model.arguments.dim, dtype=np.float32)
        if rows:
            mean = _sum(self._model.matrix.take(np.array(rows, dtype=np.int64), sparse=True))
            mean *= np.float32(1 / len(rows))
        return mean, len(rows)

    def _rows(self, line: bytes) -> list[int]:
        model = self._model
        words, ngrams = len(model.counts), model.ngrams
        rows: list[int] = []
        hashes: list[int] = []
        for match in _TOKEN.finditer(line):
            token = match.group()
            entry = self._entries.get(token, -1)
            if entry < words and not (entry < 0 and token.startswith(self._prefix)):  # not a label
                hashes.append(bucket_hash(token))
                if entry >= 0:
                    rows.append(entry)
                if ngrams.maxn > 0 and ngrams.bucket > 0 and not (token == _END and entry < 0):
                    parts = ngrams.ngrams(token.decode("utf-8", "surrogateescape"))
                    rows += [self._bucket_row(bucket_hash(part.encode("utf-8", "surrogateescape"))) for part in parts]
            if token == _END:
                break
        # C++ stores hashes as int32, so they are sign-extended here.
        wide = [value - ((value >> 31) << 32) for value in hashes]
        for first, word in enumerate(wide):
            state = word
            for other in wide[first + 1 : first + model.longest_phrase]:
                state = (state * _WORD_PRIME + other) & _MASK
                rows.append(self._bucket_row(state))
        return [row for row in rows if 0 <= row < model.matrix.shape[0]]

    @cached_property
    def _entries(self) -> dict[bytes, int]:
        data, offsets = self._model.data.tobytes(), self._model.offsets.tolist()
        words = [data[start:stop] for start, stop in itertools.pairwise(offsets)]
        labels = [label.encode("utf-8", "surrogateescape") for label in self._model.labels]
        return {entry: number for number, entry in enumerate([*words, *labels])}

    @cached_property
    def _kept(self) -> dict[int, int] | None:
        kept = self._model.ngrams.kept
        return None if kept is None else dict(kept.tolist())

    def _bucket_row(self, state: int) -> int:
        bucket = state % self._model.ngrams.bucket
        if self._kept is not None:
            bucket = self._kept.get(bucket, -len(self._model.counts) - 1)
        return len(self._model.counts) + bucket

    def best_labels(self, line: bytes, outputs: Outputs, k: int, threshold: np.float32) -> Best | None:
        """Return what `Engine.best` returns; None if equal probabilities make the order depend on the kernel's heap."""
        weights, scales, sigmoid, softmax = outputs
        hidden, count = self.hidden(line)
        if count == 0:
            return _packed([], k, count)
        values = _sum(weights * hidden[:, None]) * scales
        if softmax:
            values = np.exp((values - values.max()).astype(np.float64)).astype(np.float32)
            values /= _sum(values[:, None])[0]
        else:
            index = ((values + np.float32(8)) * np.float32(512) / np.float32(8) / np.float32(2)).astype(np.int64)
            inside = sigmoid[np.clip(index, 0, len(sigmoid) - 1)]
            values = np.where(values < -8, np.float32(0), np.where(values > 8, np.float32(1), inside))
        scores = np.log(values.astype(np.float64) + _ADDED).astype(np.float32)
        return _packed([(scores[at], at) for at in np.flatnonzero(values >= threshold).tolist()], k, count)

    def best_leaves(
        self, line: bytes, weights: Singles, scales: Singles, tree: Tree, k: int, threshold: np.float32
    ) -> Best | None:
        """Return what `best_labels` returns, for hierarchical softmax."""
        left, right = (child.tolist() for child in tree)
        hidden, count = self.hidden(line)
        values = _sum(weights[: len(left) // 2].T * hidden[:, None]) * scales[: len(left) // 2]
        shares = (1 / (1 + np.exp(-values.astype(np.float64)).astype(np.float32).astype(np.float64))).astype(np.float32)
        to_right, to_left = (
            np.log(part.astype(np.float64) + _ADDED).astype(np.float32)
            for part in (shares, (1 - shares.astype(np.float64)).astype(np.float32))
        )
        least = np.float32(np.log(np.float64(threshold) + _ADDED))
        found: list[tuple[np.float32, int]] = []
        nodes = [(np.float32(0), len(left) - 1)] if count else []
        while nodes:
            score, node = nodes.pop()
            if score < least or (len(found) == k and score < found[-1][0]):
                continue
            if left[node] < 0:
                if any(score == other for other, _ in found):
                    return None
                found = sorted([*found, (score, node)], reverse=True)[:k]
                continue
            inner = node - (len(left) + 1) // 2
            nodes += [(score + to_right[inner], right[node]), (score + to_left[inner], left[node])]
        return _packed(found, k, count)


def _sum(rows: Singles) -> Singles:
    """Return the sum of rows, added one after the other."""
    # `sum` adds pairs first if there is one column.
    total: Singles = np.add.accumulate(rows, axis=0)[-1]
    return total


def _packed(found: list[tuple[np.float32, int]], k: int, count: int) -> Best | None:
    """Return the k best of scores and labels as `Engine.best` does; None if two of them are equal, or one is NaN."""
    ordered = sorted(found, key=lambda pair: -pair[0])[: k + 1]
    scores = [score for score, _ in ordered]
    if any(not first > second for first, second in itertools.pairwise(scores)):
        return None
    labels, shares = np.zeros((1, k + 1), dtype=np.int64), np.zeros((1, k + 1), dtype=np.float32)
    size = min(k, len(ordered))
    labels[0, :size] = [label for _, label in ordered[:size]]
    shares[0, :size] = np.exp(np.array(scores[:size], dtype=np.float64))
    return labels, shares, np.array([size]), np.array([count])
