"""Builders of small values for tests: vectors, rows and n-gram tables. The same arguments give the same values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vecload import NgramTable, Vectors, Words

ODD_WORDS = [
    "the",
    "cat",
    "北海道",
    "a\u00a0b",
    "New York",
    "x" * 300,
    "\udcff\udc80",
    "é",
    "🙂",
    "e\u0301",
    "0",
    "\u3000",
]
"""Words that readers easily get wrong: spaces inside, invalid UTF-8, combining characters, one very long word."""


def random_rows(
    count: int, dim: int, *, seed: int = 0, dtype: npt.DTypeLike = np.float32
) -> np.ndarray[Any, np.dtype[Any]]:
    """Return normally distributed rows, shape (count, dim)."""
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(dtype)


def small_vectors(
    words: int | Iterable[str] = ODD_WORDS,
    dim: int = 5,
    dtype: npt.DTypeLike = np.float32,
    seed: int = 0,
    *,
    meta: Mapping[str, Any] | None = None,
    ngrams: NgramTable | None = None,
) -> Vectors:
    """Return vectors with random rows.

    Parameters
    ----------
    words
        Words in order, or a number: 3 stands for "w0", "w1", "w2".
    """
    listed = [f"w{at}" for at in range(words)] if isinstance(words, int) else list(words)
    rows = random_rows(len(listed), dim, seed=seed, dtype=dtype)
    return Vectors(Words.from_strings(listed), rows, meta, ngrams)


def vectors_of(rows: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> Vectors:
    """Return vectors with the given rows and the words "w0", "w1", ..."""
    matrix = np.asarray(rows, dtype=dtype)
    return Vectors([f"w{at}" for at in range(len(matrix))], matrix)
