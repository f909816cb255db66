"""Slow sentence vectors, written from the papers: words are strings, sums are loops in double precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Vectors = Mapping[str, npt.NDArray[np.float32]]


def sif(sentences: Sequence[Sequence[str]], vectors: Vectors, a: float, components: int) -> Array:
    """Run algorithm 1 of Arora, Liang and Ma (2017)."""
    counts = Counter(word for sentence in sentences for word in sentence)
    total = sum(counts.values())
    weighted = _means(sentences, vectors, {word: a / (a + count / total) for word, count in counts.items()})
    for component in np.linalg.svd(weighted, full_matrices=False)[2][:components]:
        weighted = weighted - np.outer(weighted @ component, component)
    return weighted


def usif(sentences: Sequence[Sequence[str]], vectors: Vectors, components: int) -> Array:
    """Run algorithm 1 of Ethayarajh (2018), with the mean length of the sentences as the expected length."""
    counts = Counter(word for sentence in sentences for word in sentence)
    total = sum(counts.values())
    size = sum(word in vectors for word in counts)
    length = total / len(sentences)
    threshold = 1 - (1 - 1 / size) ** length
    alpha = sum(word in vectors and count / total > threshold for word, count in counts.items()) / size
    a = (1 - alpha) / (alpha * 0.5 * size)
    weighted = _means(sentences, vectors, {word: a / (0.5 * a + count / total) for word, count in counts.items()})
    _, singular, directions = np.linalg.svd(weighted, full_matrices=False)
    result = weighted.copy()
    for at in range(components):
        share = singular[at] ** 2 / (singular[:components] ** 2).sum()
        result -= share * np.outer(weighted @ directions[at], directions[at])
    return result


def _means(sentences: Sequence[Sequence[str]], vectors: Vectors, weights: Mapping[str, float]) -> Array:
    dim = len(next(iter(vectors.values())))
    rows = []
    for sentence in sentences:
        known = [word for word in sentence if word in vectors]
        row = np.zeros(dim)
        for word in known:
            row += weights[word] * vectors[word].astype(np.float64) / len(known)
        rows.append(row)
    return np.array(rows)
