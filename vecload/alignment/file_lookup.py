"""`FileLookup`: rows of words in one or several sources, under the first known spelling."""

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
"""Step of words that were not found; larger than the number of any real step."""


@dataclass(frozen=True, eq=False)
class FileLookup:
    """Sources of one dimension, searched together.

    Parameters
    ----------
    sources
        The sources, in the order in which they are searched.
    spellings
        Steps to try after the exact word; each is tried in all sources before the next.
    average
        Whether to take the mean over all sources that have the word, each under its own first spelling. Otherwise, the
        row of the first such source is taken.
    """

    sources: tuple[Vectors, ...]
    spellings: tuple[Spelling, ...]
    average: bool

    @property
    def dim(self) -> int:
        """Number of values in a row."""
        return self.sources[0].dim

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type that can hold the rows of all sources, in native byte order."""
        return np.result_type(*(source.dtype for source in self.sources)).newbyteorder("=")

    def find(
        self, words: Sequence[str], literal: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the row of each word in each source, and the step that found it.

        Parameters
        ----------
        words
            Words to look up.
        literal
            Words for which no other spelling is tried, shape (k,).

        Returns
        -------
        rows, steps
            int64, shape (sources, k). A row is -1 where the word is missing. Step 0 is the exact word, and step n the
            n-th spelling; `ABSENT` if the word is missing. Unless sources are averaged, only the winning source of a
            word has a row.
        """
        # Exact words are looked up all at once. The slower search for spellings is left for the words that remain.
        rows = np.stack([source.words.lookup(words) for source in self.sources])
        spelled = list(words) if self.spellings else []
        steps = np.where(rows >= 0, 0, ABSENT)
        for number, source in enumerate(self.sources):
            # An exact word in any source wins over all spellings, but "average" needs the spelling in each source.
            missing = rows[number] < 0 if self.average else (rows < 0).all(axis=0)
            sought = np.flatnonzero(missing & ~literal) if self.spellings else np.empty(0, dtype=np.int64)
            hits = find_spellings(source.words, [spelled[at] for at in sought.tolist()], self.spellings)
            for at, (row, step) in zip(sought.tolist(), hits, strict=True):
                if row >= 0:
                    rows[number, at], steps[number, at] = row, 1 + step
        if not self.average:
            # The smallest step wins. `argmin` returns the first source among equal steps.
            others = np.arange(len(self.sources))[:, None] != steps.argmin(axis=0)
            rows[others], steps[others] = -1, ABSENT
        return rows, steps

    def gather(self, rows: npt.NDArray[np.int64], out: npt.NDArray[Any]) -> None:
        """Copy the rows that `find` found to `out`, shape (k, dim); rows of missing words are not changed."""
        # Words with one row are copied without arithmetic, so that their values do not change.
        hits = (rows >= 0).sum(axis=0)
        for number, source in enumerate(self.sources):
            at = np.flatnonzero((rows[number] >= 0) & (hits == 1))
            out[at] = source.rows_at(rows[number, at])
        several = np.flatnonzero(hits > 1)
        for begin in range(0, len(several), BLOCK):
            at = several[begin : begin + BLOCK]
            # Means are computed in double precision, a block of rows at a time, which bounds the memory for them.
            total = np.zeros((len(at), self.dim))
            for number, source in enumerate(self.sources):
                here = rows[number, at] >= 0
                total[here] += source.rows_at(rows[number, at[here]]).astype(np.float64)
            out[at] = total / hits[at, None]

    def rows(self, words: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return rows of words for composing steps: float64, shape (k, dim), NaN for missing words."""
        out = np.full((len(words), self.dim), np.nan)
        self.gather(self.find(words, np.zeros(len(words), dtype=np.bool_))[0], out)
        return out

    def ngrams(self, words: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return rows composed from n-grams: float64, shape (k, dim), NaN for words without known n-grams."""
        total, count = np.zeros((len(words), self.dim)), np.zeros(len(words), dtype=np.int64)
        for table in (source.ngrams for source in self.sources if source.ngrams is not None):
            sought = np.flatnonzero((count == 0) | self.average)
            some = [words[at] for at in sought.tolist()]
            known = table.counts(some) > 0
            total[sought[known]] += table.vectors([word for word, there in zip(some, known, strict=True) if there])
            count[sought[known]] += 1
        with np.errstate(invalid="ignore"):
            return total / count[:, None]
