"""The kinds of steps a chain has, and what each may look at."""

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
"""A step of the caller's own: rows for words, shape (k, dim); a row of NaN leaves a word to the next step."""

BLOCK = 1024  # rows worked on together: a fill of a million rows needs little more memory than the rows


@dataclass(frozen=True)
class Spelling:
    """Looks the word up under other spellings, in their order."""

    name: str
    respell: Callable[[str], Sequence[str]]


class Lookup(Protocol):
    """What a composing step may ask: float64 rows, shape (k, dim), of NaN for words that have none."""

    def rows(self, words: Sequence[str]) -> npt.NDArray[np.float64]:
        """Those of the file, under the first spelling of the chain that it has."""

    def ngrams(self, words: Sequence[str]) -> npt.NDArray[np.float64]:
        """Those the file's character n-grams give."""


def _no_parts(_word: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Composition:
    """Makes a word's row from what the file has: ``compose(words, lookup)`` gives rows as a `Lookup` does.

    `parts` names the words that `compose` will look up for a word: of a file, only what is asked for is read.
    """

    name: str
    compose: Callable[[list[str], Lookup], npt.NDArray[np.float64]]
    parts: Callable[[str], Sequence[str]] = _no_parts


@dataclass(frozen=True, eq=False)
class Found:
    """What a filling step may look at.

    `rows` are those the file had, shape (n, dim); `num_embeddings` and `dim` the shape of the whole matrix. Rows with
    NaN or infinity, which a caller may have allowed, count for nothing.
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
        """Mean row, shape (dim,); zeros when there are none."""
        total, count = np.zeros(self.dim), 0
        for block in self._finite():
            total += block.sum(axis=0)
            count += len(block)
        return total / max(count, 1)

    @cached_property
    def spread(self) -> tuple[float, float]:
        """Mean and standard deviation of all values found; 0 and 1/sqrt(dim) when there are none."""
        middle = float(self.mean.mean())
        squares, count = 0.0, 0
        for block in self._finite():
            squares += float(np.square(block - middle).sum())
            count += block.size
        return (middle, math.sqrt(squares / count)) if count else (0.0, self.dim**-0.5)

    @cached_property
    def deviation(self) -> npt.NDArray[np.float64]:
        """Standard deviation in each dimension, shape (dim,); 1/sqrt(dim) when there are no rows."""
        squares, count = np.zeros(self.dim), 0
        for block in self._finite():
            squares += np.square(block - self.mean).sum(axis=0)
            count += len(block)
        return np.sqrt(squares / count) if count else np.full(self.dim, self.dim**-0.5)

    @cached_property
    def median_norm(self) -> float:
        """Median length of a row; 1 when there are none."""
        norms = np.concatenate([np.linalg.norm(block, axis=1) for block in self._finite()] or [np.ones(1)])
        return float(np.median(norms)) if len(norms) else 1.0


@dataclass(frozen=True)
class Filling:
    """Makes a row for every word: ``fill(words, found, seed)`` gives float64 rows, shape (len(words), dim)."""

    name: str
    fill: Callable[[list[str], Found, int], npt.NDArray[np.float64]]
