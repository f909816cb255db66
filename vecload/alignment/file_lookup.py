"""`FileLookup`: the rows of words in one file or several, under the first spelling that is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.oov.normalizers import find_spellings
from vecload.oov.steps import BLOCK, Spelling

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from vecload.vectors import Vectors

ABSENT = 1 << 20
"""The step that found what was not found: later than any."""


@dataclass(frozen=True, eq=False)
class FileLookup:
    """Files of one dimension, asked together.

    Parameters
    ----------
    sources
        The files, the first to be asked in front.
    spellings
        Steps to try after the word as it is; each is tried in all files before the next.
    average
        Whether a row is the mean over the files that have the word, each under its own first spelling; or that of the
        first.
    """

    sources: tuple[Vectors, ...]
    spellings: tuple[Spelling, ...]
    average: bool

    @property
    def dim(self) -> int:
        """Values in a row."""
        return self.sources[0].dim

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type that holds the rows of all files, in this machine's byte order."""
        return np.result_type(*(source.dtype for source in self.sources)).newbyteorder("=")

    def find(
        self, words: Sequence[str], literal: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows of words in each file, -1 where absent, and the steps that found them.

        Parameters
        ----------
        words
            What to look up.
        literal
            Words that are not respelled, shape (k,).

        Returns
        -------
        rows, steps
            int64, shape (files, k). Step 0 is the word as it is, then one for each spelling; `ABSENT`. Unless files
            are averaged, only the file that counts has a row.
        """
        rows = np.stack([source.words.lookup(words) for source in self.sources])
        steps = np.where(rows >= 0, 0, ABSENT)
        for number, source in enumerate(self.sources):
            missing = rows[number] < 0 if self.average else (rows < 0).all(axis=0)
            asked = np.flatnonzero(missing & ~literal) if self.spellings else np.empty(0, dtype=np.int64)
            hits = find_spellings(source.words, [words[at] for at in asked.tolist()], self.spellings)
            for at, (row, step) in zip(asked.tolist(), hits, strict=True):
                if row >= 0:
                    rows[number, at], steps[number, at] = row, 1 + step
        if not self.average:
            others = np.arange(len(self.sources))[:, None] != steps.argmin(axis=0)
            rows[others], steps[others] = -1, ABSENT
        return rows, steps

    def gather(self, rows: npt.NDArray[np.int64], out: npt.NDArray[Any]) -> None:
        """Put the rows that `find` found into `out`, shape (k, dim), and leave those of absent words."""
        hits = (rows >= 0).sum(axis=0)
        for number, source in enumerate(self.sources):
            at = np.flatnonzero((rows[number] >= 0) & (hits == 1))
            out[at] = source.matrix[rows[number, at]]
        several = np.flatnonzero(hits > 1)
        for begin in range(0, len(several), BLOCK):
            at = several[begin : begin + BLOCK]
            total = np.zeros((len(at), self.dim))
            for number, source in enumerate(self.sources):
                here = rows[number, at] >= 0
                total[here] += source.matrix[rows[number, at[here]]].astype(np.float64)
            out[at] = total / hits[at, None]

    def rows(self, words: Sequence[str]) -> npt.NDArray[np.float64]:
        """Rows of words, float64, shape (k, dim), NaN where absent: what a composing step asks for."""
        out = np.full((len(words), self.dim), np.nan)
        self.gather(self.find(words, np.zeros(len(words), dtype=np.bool_))[0], out)
        return out

    def ngrams(self, words: Sequence[str]) -> npt.NDArray[np.float64]:
        """Rows the files' n-gram tables give, float64, shape (k, dim), NaN where there are none."""
        total, count = np.zeros((len(words), self.dim)), np.zeros(len(words), dtype=np.int64)
        for table in (source.ngrams for source in self.sources if source.ngrams is not None):
            asked = np.flatnonzero((count == 0) | self.average)
            some = [words[at] for at in asked.tolist()]
            known = table.counts(some) > 0
            total[asked[known]] += table.vectors([word for word, there in zip(some, known, strict=True) if there])
            count[asked[known]] += 1
        with np.errstate(invalid="ignore"):
            return total / np.where(count > 0, count, np.nan)[:, None]
