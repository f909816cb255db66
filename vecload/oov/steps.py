"""The kinds of steps that an OOV chain can have, and the data that each kind can use."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator


Custom = Callable[[list[str], int, np.random.Generator], Any]
"""Function ``(words, dim, rng) -> rows`` as a step: rows have shape (k, dim); NaN leaves a word to the next step."""

# Rows made together. Filling a million rows then needs little more memory than the rows.
BLOCK = 1024


@dataclass(frozen=True)
class Spelling:
    """Step that looks for other spellings of a word: ``respell(word)`` returns them in the order to try."""

    name: str
    respell: Callable[[str], Sequence[str]]


class Lookup(Protocol):
    """Rows of other words for composing steps: float64, shape (k, dim), NaN for words without a row."""

    def rows(self, words: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the rows of the vectors, each under the first known spelling of the chain."""

    def ngrams(self, words: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the rows that are composed from character n-grams."""


def _no_parts(_word: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Composition:
    """Step that composes rows from other rows: ``compose(words, lookup)`` returns rows as a `Lookup` does.

    `parts` returns the words that `compose` looks up for a word, so that only their rows are read from a file.
    """

    name: str
    compose: Callable[[list[str], Lookup], npt.NDArray[np.float64]]
    parts: Callable[[str], Sequence[str]] = _no_parts


@dataclass(frozen=True, eq=False)
class Found:
    """Rows that were found in the vectors, for initializers that match their distribution.

    `rows` has shape (n, dim); `num_embeddings` and `dim` are the shape of the whole matrix. Rows with NaN or infinity
    are ignored.
    """

    rows: npt.NDArray[Any]
    num_embeddings: int
    dim: int

    def _finite(self) -> Iterator[npt.NDArray[np.float64]]:
        for begin in range(0, len(self.rows), BLOCK):
            block = self.rows[begin : begin + BLOCK].astype(np.float64)
            yield block[np.isfinite(block).all(axis=1)]

    @cached_property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean row, shape (dim,); zeros without rows."""
        total, count = np.zeros(self.dim), 0
        for block in self._finite():
            total += block.sum(axis=0)
            count += len(block)
        return total / max(count, 1)

    @cached_property
    def spread(self) -> tuple[float, float]:
        """Mean and standard deviation of all values; 0 and 1/sqrt(dim) without rows."""
        middle = float(self.mean.mean())
        squares, count = 0.0, 0
        for block in self._finite():
            squares += float(np.square(block - middle).sum())
            count += block.size
        return (middle, math.sqrt(squares / count)) if count else (0.0, self.dim**-0.5)

    @cached_property
    def deviation(self) -> npt.NDArray[np.float64]:
        """Standard deviation in each dimension, shape (dim,); 1/sqrt(dim) without rows."""
        squares, count = np.zeros(self.dim), 0
        for block in self._finite():
            squares += np.square(block - self.mean).sum(axis=0)
            count += len(block)
        return np.sqrt(squares / count) if count else np.full(self.dim, self.dim**-0.5)

    @cached_property
    def median_norm(self) -> float:
        """Median norm of the rows; 1 without rows."""
        norms = np.concatenate([np.linalg.norm(block, axis=1) for block in self._finite()] or [np.ones(1)])
        return float(np.median(norms)) if len(norms) else 1.0


@dataclass(frozen=True)
class Filling:
    """Step that makes a row for every word: ``fill(words, found, seed)`` returns float64, shape (len(words), dim)."""

    name: str
    fill: Callable[[list[str], Found, int], npt.NDArray[np.float64]]
