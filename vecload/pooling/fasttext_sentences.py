"""Lines of supervised fastText models: the rows that ``get_sentence_vector`` adds to or drops from a line.

A supervised model averages *rows* of its matrix, not vectors of words. The rows of a line are each word's own row and
the rows of its character n-grams, the row of the end of the line, and the rows of the n-grams of words
(``Dictionary::getLine``, ``addSubwords`` and ``addWordNgrams`` in fastText's dictionary.cc). The vector of a word is
the mean of its rows, so a mean of word vectors weighted by their numbers of rows is the same. Other fastText models
average unit vectors, which the mode "fasttext" does without this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.pooling.kernel_pooling import ComposedRows

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from vecload.ngrams import NgramTable
    from vecload.vectors import Vectors
    from vecload.words import Words

_END = "</s>"
_LABEL = b"__label__"  # fastText's default; a model file does not say whether another one was used


@dataclass(frozen=True)
class SupervisedModel:
    """Training arguments of a supervised fastText model, by which `load` also recognizes one."""

    arguments: dict[str, Any]

    @staticmethod
    def of(vectors: Vectors) -> SupervisedModel | None:
        """Return the arguments if the vectors are from a supervised model."""
        return SupervisedModel(dict(vectors.history.arguments)) if vectors.history.supervised else None

    @property
    def word_ngrams(self) -> int:
        """Largest number of words in an n-gram of words."""
        return int(self.arguments.get("wordNgrams", 1))  # fastText's default


def row_counts(vectors: Vectors) -> npt.NDArray[np.float32]:
    """Return the number of rows of the model whose mean is the vector of each word, float32, shape (words,)."""
    counts = np.ones(len(vectors), dtype=np.float32)
    if vectors.ngrams is not None:
        counts += vectors.ngrams.counts(vectors.words)
    return counts


def end_lines(
    model: SupervisedModel,
    words: Words,
    ngrams: NgramTable | None,
    rows: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    composed: ComposedRows | None,
    token: Callable[[int], bytes],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], ComposedRows | None]:
    """Drop labels and the text after a literal ``</s>``; then add the end of each line and its n-grams of words.

    Parameters
    ----------
    model, words, ngrams
        The model.
    rows, offsets, composed
        Row numbers of the tokens, where each line begins, and vectors of tokens without a row.
    token
        Function from the number of a token to its bytes.

    Returns
    -------
    rows, offsets, composed
        The same with one more token per line, or two if the model has n-grams of words.
    """
    end = words.get(_END)
    rows = rows.copy()
    # Labels are not among the words of a model, so only tokens without a row can be labels.
    for at in np.flatnonzero(rows < 0).tolist():
        if token(at).startswith(_LABEL):
            rows[at] = -1
    for line in np.unique(np.searchsorted(offsets, np.flatnonzero(rows == end), side="right") - 1) if end >= 0 else ():
        begin, stop = int(offsets[line]), int(offsets[line + 1])
        first = begin + int(np.argmax(rows[begin:stop] == end))
        # The end itself is dropped as well, because every line gets one below.
        rows[first:stop] = -1
    # Each line gets the row of the end of the line, and one composed row for all of its n-grams of words.
    width = 1 if model.word_ngrams < 2 else 2
    added = np.full((len(offsets) - 1, width), end, dtype=np.int64)
    if width == 2:
        assert ngrams is not None
        assert composed is not None
        assert composed.weights is not None
        phrases, counts = _phrases(model.word_ngrams, ngrams, offsets, token)
        added[:, 1] = np.where(counts > 0, -2 - len(composed.matrix) - np.arange(len(added)), -1)
        composed = ComposedRows(np.concatenate([composed.matrix, phrases]), np.concatenate([composed.weights, counts]))
    return (
        np.insert(rows, np.repeat(offsets[1:], width), added.reshape(-1)),
        offsets + width * np.arange(len(offsets)),
        composed,
    )


def _phrases(
    length: int, ngrams: NgramTable, offsets: npt.NDArray[np.int64], token: Callable[[int], bytes]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the mean row of the n-grams of words of each line, shape (lines, dim), and their number."""
    made = np.zeros((len(offsets) - 1, ngrams.dim), dtype=np.float32)
    counts = np.zeros(len(made), dtype=np.float32)
    for line in range(len(made)):
        tokens = [token(at) for at in range(offsets[line], offsets[line + 1])]
        tokens = tokens[: tokens.index(_END.encode())] if _END.encode() in tokens else tokens
        words = [raw.decode("utf-8", "surrogateescape") for raw in tokens if not raw.startswith(_LABEL)]
        total, count = ngrams.sum_word_ngrams([*words, _END], length)
        counts[line] = count
        made[line] = total / max(1, count)
    return made, counts
