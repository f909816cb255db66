"""Similarity of sentences: correlation of cosines with human judgments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecload.arrays import paired_cosines
from vecload.errors import OptionError
from vecload.evaluation.correlation import pearson, spearman
from vecload.evaluation.datasets import Pairs


@dataclass(frozen=True)
class SentenceSimilarity:
    """Correlation of the cosines of sentence pairs with human judgments.

    Parameters
    ----------
    dataset
        Name of the data set.
    spearman, pearson
        Correlations; NaN if there is one pair only, or one side does not vary.
    used
        Number of pairs.
    """

    dataset: str
    spearman: float
    pearson: float
    used: int


def sentence_similarity(encode: Callable[[list[str]], Any], pairs: Pairs) -> SentenceSimilarity:
    """Correlate the cosines of sentence pairs with human judgments.

    Parameters
    ----------
    encode
        Function from texts to their vectors, shape (k, dim), as an array or a tensor, such as the ``encode`` of a
        `SentencePooler` or of any other sentence encoder.
    pairs
        Sentences and judgments: see `vecload.evaluation.read_sentences`.

    Raises
    ------
    OptionError
        If `encode` returns another shape, NaN or infinity.

    Examples
    --------
    >>> from vecload.evaluation import Pairs
    >>> def encode(texts):
    ...     return np.array([[text.count("a"), text.count("b")] for text in texts])
    >>> judged = Pairs("three", ("ab", "a", "a"), ("ab", "b", "ab"), np.array([5.0, 0.0, 3.0]))
    >>> sentence_similarity(encode, judged).spearman
    1.0
    """
    sides = []
    for texts in (pairs.left, pairs.right):
        encoded = encode(list(texts))
        # Tensors that need gradients, or are not on the CPU, cannot be converted to arrays.
        encoded = encoded.detach().cpu() if hasattr(encoded, "detach") else encoded
        rows = np.asarray(encoded, dtype=np.float64)
        if rows.ndim != 2 or len(rows) != len(texts):
            raise OptionError(
                f"encode returned an array of shape {rows.shape} for {len(texts):,} texts, expected one row for each"
            )
        if not np.isfinite(rows).all():
            text = texts[int(np.isfinite(rows).all(axis=1).argmin())]
            raise OptionError(f"encode returned NaN or infinity for {text!r}")
        sides.append(rows)
    cosines = paired_cosines(*sides)
    return SentenceSimilarity(
        dataset=pairs.name,
        spearman=spearman(pairs.gold, cosines),
        pearson=pearson(pairs.gold, cosines),
        used=len(cosines),
    )
