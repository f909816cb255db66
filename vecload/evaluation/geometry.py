"""The shape of a space: norms, isotropy, and how two spaces of the same words differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vecload.arrays import paired_cosines, row_blocks
from vecload.errors import OptionError, VocabularyError
from vecload.keywords import explain_keywords
from vecload.notebook import Bar, table
from vecload.search import nearest
from vecload.vectors import Vectors

if TYPE_CHECKING:
    import numpy.typing as npt

_ROWS = 4096  # rows worked on together
_PAIRS = 100_000
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class Geometry:
    """Norms and isotropy of a space, over its finite rows."""

    rows: int
    dim: int
    zeros: int
    """Rows of nothing but zeros."""
    nonfinite: int
    """Rows with NaN or infinity: in none of the other figures."""
    constant: int
    """Columns of one value only."""
    norms: tuple[float, float, float, float]
    """Least, mean and greatest norm, and their standard deviation."""
    cosine: float
    """Mean cosine of random pairs: 0 in a space that fills all directions alike."""
    isotropy: float
    """Least over greatest of the partition function Z(c) = Σ exp(c·x) along the principal directions c, of rows
    scaled to mean norm 1: 1 when all directions are alike (Mu and Viswanath 2018, section 2.2)."""
    dominance: float
    """Share of the squared norms, after centring, that lies in the three first principal directions."""


def geometry(vectors: Vectors, *, seed: int = 0) -> Geometry:
    """Measure norms and isotropy.

    Parameters
    ----------
    vectors
        What to measure.
    seed
        Of the random pairs.

    Raises
    ------
    OptionError
        When no row is finite.

    Examples
    --------
    >>> rows = np.array([[2, 0], [-2, 0], [0, 2], [0, -2]], dtype="float32")
    >>> look = geometry(Vectors(list("abcd"), rows))
    >>> look.norms, round(look.isotropy, 6)
    ((2.0, 2.0, 2.0, 0.0), 1.0)
    """
    matrix, norms = vectors.matrix, vectors.norms.astype(np.float64)
    finite = np.isfinite(norms)
    count = int(finite.sum())
    if not count:
        raise OptionError("no row is finite, so there is no space to measure")
    total, second = np.zeros(vectors.dim), np.zeros((vectors.dim, vectors.dim))
    least, most = np.full(vectors.dim, math.inf), np.full(vectors.dim, -math.inf)
    for begin in range(0, len(matrix), _ROWS):
        block = matrix[begin : begin + _ROWS][finite[begin : begin + _ROWS]].astype(np.float64)
        if len(block):
            total += block.sum(axis=0)
            second += block.T @ block
            least, most = np.minimum(least, block.min(axis=0)), np.maximum(most, block.max(axis=0))
    mean = total / count
    spread = np.linalg.eigvalsh(second / count - np.outer(mean, mean))[::-1].clip(min=0)
    kept = norms[finite]
    return Geometry(
        rows=len(vectors),
        dim=vectors.dim,
        zeros=int((norms == 0).sum()),
        nonfinite=len(vectors) - count,
        constant=int((least == most).sum()),
        norms=(float(kept.min()), float(kept.mean()), float(kept.max()), float(kept.std())),
        cosine=_mean_cosine(matrix, np.flatnonzero(finite), seed),
        isotropy=_isotropy(matrix, finite, second, float(kept.mean())),
        dominance=float(spread[:3].sum() / spread.sum()) if spread.sum() > 0 else 0.0,
    )


def _mean_cosine(matrix: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], seed: int) -> float:
    pairs = np.random.default_rng(seed).integers(0, len(rows), (2, min(_PAIRS, len(rows) ** 2)))
    cosines = [paired_cosines(*matrix[rows[pairs[:, at]]]) for at in row_blocks(pairs.shape[1])]
    return float(np.concatenate(cosines).mean())


def _isotropy(
    matrix: npt.NDArray[np.float32], finite: npt.NDArray[np.bool_], second: npt.NDArray[np.float64], norm: float
) -> float:
    if norm == 0:
        return 1.0
    directions = np.linalg.eigh(second)[1] / norm
    z = np.zeros((2, len(second)))  # an eigenvector's sign is nobody's choice, so both count
    for begin in range(0, len(matrix), _ROWS):
        along = (matrix[begin : begin + _ROWS][finite[begin : begin + _ROWS]].astype(np.float64) @ directions).clip(
            -700, 700
        )
        z += np.exp(along).sum(axis=0), np.exp(-along).sum(axis=0)
    return float(z.min() / z.max())


@dataclass(frozen=True)
class Comparison:
    """Two spaces over the words they share."""

    words: tuple[int, int, int]
    """Words of the first, of the second, and of both."""
    cosines: dict[float, float] | None
    """Quantiles of the cosine of a word's two vectors; None when the spaces differ in dimension."""
    mean_cosine: float | None
    overlap: float
    """Mean share of a word's k nearest shared words that are the same in both spaces."""
    k: int
    sampled: int
    """Words whose neighbours were compared."""

    def __str__(self) -> str:
        lines = ["words                {:,} and {:,}, {:,} in common".format(*self.words)]
        if self.cosines is not None:
            spread = ", ".join(f"{100 * level:g}%: {value:.4f}" for level, value in self.cosines.items())
            lines += [f"cosine of a word     mean {self.mean_cosine:.4f}", f"    quantiles        {spread}"]
        else:
            lines.append("cosine of a word     none: the dimensions differ")
        lines.append(f"neighbours in common {100 * self.overlap:.2f}% of {self.k} ({self.sampled:,} words)")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        first, second, both = self.words
        rows: list[list[object]] = [["words in common", Bar(both / max(min(first, second), 1), f"{both:,}")]]
        if self.mean_cosine is not None and self.cosines is not None:
            rows.append(["mean cosine of a word", Bar(self.mean_cosine, f"{self.mean_cosine:.4f}")])
            rows += [[f"quantile {level:.0%}", Bar(value, f"{value:.4f}")] for level, value in self.cosines.items()]
        rows.append([f"overlap of {self.k} neighbors", Bar(self.overlap, f"{self.overlap:.1%}")])
        return table(f"Comparison: {first:,} and {second:,} words", [], rows)


@explain_keywords
def compare(a: Vectors, b: Vectors, *, k: int = 10, sample: int = 1000, seed: int = 0) -> Comparison:
    """Compare two spaces without any judgement: words in common, cosines, and neighbours.

    Parameters
    ----------
    a, b
        Vectors, of any dimensions.
    k
        Neighbours of a word.
    sample
        Words whose neighbours are compared, drawn at random of those in common.
    seed
        Of the draw.

    Raises
    ------
    VocabularyError
        When they have fewer than two words in common whose rows are finite; others are in no figure.

    Notes
    -----
    Cosines mean something only for vectors of one space (before and after a transform, or mapped); the overlap of
    neighbours does for any two.

    Examples
    --------
    >>> from vecload import Words
    >>> words = Words.from_strings(["cat", "dog", "cow"])
    >>> rows = np.array([[3, 4], [4, 3], [0, -2]], dtype="float32")
    >>> seen = compare(Vectors(words, rows), Vectors(words, 2 * rows), k=1)
    >>> seen.words, seen.mean_cosine, seen.overlap
    ((3, 3, 3), 1.0, 1.0)
    """
    at = b.words.lookup(a.words)
    common = np.flatnonzero(at >= 0)
    rows = common[np.isfinite(a.norms[common]) & np.isfinite(b.norms[at[common]])]
    if len(rows) < 2:
        raise VocabularyError(
            f"{len(a):,} and {len(b):,} words have {len(rows)} finite rows in common, so nothing to compare"
        )
    shared = a.words.take(rows)
    one, other = Vectors(shared, a.matrix[rows]), Vectors(shared, b.matrix[at[rows]])
    cosines = None
    if a.dim == b.dim:
        cosines = paired_cosines(one.matrix, other.matrix)
    k = min(k, len(rows) - 1)
    drawn = np.random.default_rng(seed).permutation(len(rows))[:sample]
    found = [nearest(space.matrix, space.matrix[drawn], k, exclude=drawn[:, None]).rows for space in (one, other)]
    same = (found[0][:, :, None] == found[1][:, None, :]).any(axis=2)
    return Comparison(
        words=(len(a), len(b), len(common)),
        cosines=None if cosines is None else {level: float(np.quantile(cosines, level)) for level in _QUANTILES},
        mean_cosine=None if cosines is None else float(cosines.mean()),
        overlap=float(same.mean()),
        k=k,
        sampled=len(drawn),
    )
