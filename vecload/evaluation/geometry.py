"""Geometry of a space: norms, isotropy, and the difference between two spaces of the same words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vecload.arrays import paired_cosines, row_blocks
from vecload.errors import OptionError, VocabularyError
from vecload.notebook import Bar, table
from vecload.search.overlap import count_common_neighbors
from vecload.vectors import Vectors

if TYPE_CHECKING:
    import numpy.typing as npt

# Rows that are converted at a time. Sums depend on it in their last digit.
_ROWS = 4096
# Random pairs of rows.
_PAIRS = 100_000
# Largest exponent of the partition function; exp(700) is just below the largest float64.
_EXPONENT = 700
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class Geometry:
    """Norms and isotropy of a space, over its finite rows; made by `geometry`."""

    rows: int
    """Number of rows."""
    dim: int
    """Number of values per vector."""
    zeros: int
    """Number of rows of zeros."""
    nonfinite: int
    """Number of rows with NaN or infinity, which are excluded from all other figures."""
    constant: int
    """Number of columns with a single value."""
    norms: tuple[float, float, float, float]
    """Smallest, mean and largest norm, and their standard deviation."""
    cosine: float
    """Mean cosine of random pairs of rows: 0 if all directions are equally frequent."""
    isotropy: float
    """Ratio of the smallest to the largest value of the partition function Z(c) = Σ exp(c·x) over the principal
    directions c, for rows scaled to mean norm 1: 1 if all directions are equally frequent (Mu and Viswanath 2018,
    section 2.2)."""
    dominance: float
    """Share of the variance in the first three principal directions."""


def geometry(vectors: Vectors, *, seed: int = 0) -> Geometry:
    """Measure norms and isotropy.

    Parameters
    ----------
    vectors
        The space.
    seed
        Random seed of the pairs.

    Raises
    ------
    OptionError
        If no row is finite.

    Examples
    --------
    >>> rows = np.array([[2, 0], [-2, 0], [0, 2], [0, -2]], dtype="float32")
    >>> shape = geometry(Vectors(list("abcd"), rows))
    >>> shape.norms, round(shape.isotropy, 6)
    ((2.0, 2.0, 2.0, 0.0), 1.0)
    """
    matrix, norms = vectors.matrix, vectors.norms.astype(np.float64)
    finite = np.isfinite(norms)
    count = int(finite.sum())
    if not count:
        raise OptionError("the vectors have no finite rows to measure")
    total, second = np.zeros(vectors.dim), np.zeros((vectors.dim, vectors.dim))
    smallest, largest = np.full(vectors.dim, math.inf), np.full(vectors.dim, -math.inf)
    for at in row_blocks(len(matrix), _ROWS):
        block = matrix[at][finite[at]].astype(np.float64)
        if len(block):
            total += block.sum(axis=0)
            second += block.T @ block
            smallest, largest = np.minimum(smallest, block.min(axis=0)), np.maximum(largest, block.max(axis=0))
    mean = total / count
    # Rounding can make the smallest variances negative.
    variances = np.linalg.eigvalsh(second / count - np.outer(mean, mean))[::-1].clip(min=0)
    kept = norms[finite]
    return Geometry(
        rows=len(vectors),
        dim=vectors.dim,
        zeros=int((norms == 0).sum()),
        nonfinite=len(vectors) - count,
        constant=int((smallest == largest).sum()),
        norms=(float(kept.min()), float(kept.mean()), float(kept.max()), float(kept.std())),
        cosine=_mean_cosine(matrix, np.flatnonzero(finite), seed),
        isotropy=_isotropy(matrix, finite, second, float(kept.mean())),
        dominance=float(variances[:3].sum() / variances.sum()) if variances.sum() > 0 else 0.0,
    )


def _mean_cosine(matrix: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], seed: int) -> float:
    pairs = np.random.default_rng(seed).integers(0, len(rows), (2, min(_PAIRS, len(rows) ** 2)))
    cosines = [paired_cosines(*matrix[rows[pairs[:, at]]]) for at in row_blocks(pairs.shape[1])]
    return float(np.concatenate(cosines).mean())


def _isotropy(
    matrix: npt.NDArray[np.float32], finite: npt.NDArray[np.bool_], second: npt.NDArray[np.float64], norm: float
) -> float:
    """Return the isotropy of rows with the second moments `second` and the mean norm `norm`."""
    if norm == 0:
        return 1.0
    directions = np.linalg.eigh(second)[1] / norm
    # The sign of an eigenvector is arbitrary, so both signs count.
    z = np.zeros((2, len(second)))
    for at in row_blocks(len(matrix), _ROWS):
        along = (matrix[at][finite[at]].astype(np.float64) @ directions).clip(-_EXPONENT, _EXPONENT)
        z += np.exp(along).sum(axis=0), np.exp(-along).sum(axis=0)
    return float(z.min() / z.max())


@dataclass(frozen=True)
class Comparison:
    """Difference between two spaces, over the words that both have; made by `compare`."""

    words: tuple[int, int, int]
    """Number of words of the first space, of the second, and of both."""
    cosines: dict[float, float] | None
    """Quantiles of the cosine between the two vectors of a word; None if the dimensions differ."""
    mean_cosine: float | None
    """Mean of these cosines."""
    overlap: float
    """Mean share of the k nearest words of a word that are the same in both spaces."""
    k: int
    """Number of neighbors."""
    sampled: int
    """Number of words whose neighbors were compared."""

    def __str__(self) -> str:
        lines = ["words                {:,} and {:,}, {:,} in common".format(*self.words)]
        if self.cosines is not None:
            spread = ", ".join(f"{100 * level:g}%: {value:.4f}" for level, value in self.cosines.items())
            lines += [f"cosine of a word     mean {self.mean_cosine:.4f}", f"    quantiles        {spread}"]
        else:
            lines.append("cosine of a word     none: the dimensions differ")
        lines.append(f"neighbors in common  {100 * self.overlap:.2f}% of {self.k} ({self.sampled:,} words)")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        first, second, both = self.words
        rows: list[list[object]] = [["words in common", Bar(both / max(min(first, second), 1), f"{both:,}")]]
        if self.mean_cosine is not None and self.cosines is not None:
            rows.append(["mean cosine of a word", Bar(self.mean_cosine, f"{self.mean_cosine:.4f}")])
            rows += [[f"quantile {level:.0%}", Bar(value, f"{value:.4f}")] for level, value in self.cosines.items()]
        rows.append([f"overlap of {self.k} neighbors", Bar(self.overlap, f"{self.overlap:.1%}")])
        return table(f"Comparison: {first:,} and {second:,} words", [], rows)


def compare(a: Vectors, b: Vectors, *, k: int = 10, sample: int = 1000, seed: int = 0) -> Comparison:
    """Compare two spaces without human judgments: words in common, cosines, and neighbors.

    Parameters
    ----------
    a, b
        The spaces, of any dimensions.
    k
        Number of neighbors of a word.
    sample
        Number of words whose neighbors are compared, drawn from the words in common.
    seed
        Random seed of the draw.

    Raises
    ------
    VocabularyError
        If fewer than two words have finite rows in both. Words without are excluded from cosines and overlap.

    Notes
    -----
    Cosines are meaningful only within one space (before and after a transform, or after mapping). The overlap of
    neighbors is meaningful for any two spaces.

    Examples
    --------
    >>> words = ["cat", "dog", "cow"]
    >>> rows = np.array([[3, 4], [4, 3], [0, -2]], dtype="float32")
    >>> found = compare(Vectors(words, rows), Vectors(words, 2 * rows), k=1)
    >>> found.words, found.mean_cosine, found.overlap
    ((3, 3, 3), 1.0, 1.0)
    """
    at = b.words.lookup(a.words)
    common = np.flatnonzero(at >= 0)
    rows = common[np.isfinite(a.norms[common]) & np.isfinite(b.norms[at[common]])]
    if len(rows) < 2:
        raise VocabularyError(
            f"{len(a):,} and {len(b):,} words have {len(rows)} finite rows in common; a comparison needs 2 or more"
        )
    one, other = a.matrix[rows], b.matrix[at[rows]]
    cosines = None
    if a.dim == b.dim:
        cosines = paired_cosines(one, other)
    k = min(k, len(rows) - 1)
    drawn = np.random.default_rng(seed).permutation(len(rows))[:sample]
    overlap = count_common_neighbors(one, other, drawn, k).sum() / (len(drawn) * k)
    return Comparison(
        words=(len(a), len(b), len(common)),
        cosines=None if cosines is None else {level: float(np.quantile(cosines, level)) for level in _QUANTILES},
        mean_cosine=None if cosines is None else float(cosines.mean()),
        overlap=float(overlap),
        k=k,
        sampled=len(drawn),
    )
