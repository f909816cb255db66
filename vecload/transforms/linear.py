"""Linear transforms of one space: statistics in double precision, rows in blocks, results in float32.

Every step but `unit` and `weight` is ``y = (x - mean) @ matrix``. Its mean and matrix are kept in
``Vectors.history``, so that `undo` can reverse it. An n-gram table belongs to the space before a step, so it is
dropped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.arrays import row_blocks, unit_rows
from vecload.errors import OptionError
from vecload.vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Doubles = npt.NDArray[np.float64]

# Below this variance, relative to the largest, a direction holds only rounding errors.
_NO_VARIANCE = 1e-10


def unit(vectors: Vectors) -> Vectors:
    """Scale rows to unit length; rows of zeros are kept. This cannot be undone, because norms are lost.

    Raises
    ------
    OptionError
        For rows with NaN or infinity, and if there are no rows.

    Examples
    --------
    >>> unit(Vectors(["a", "b"], np.array([[3, 4], [0, 0]], dtype="float32"))).matrix.tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    _check_finite(vectors)
    return _transformed(vectors, vectors.dim, lambda block, at: unit_rows(block, vectors.norms[at]), {"step": "unit"})


def center(vectors: Vectors) -> Vectors:
    """Subtract the mean of all rows from each.

    Raises
    ------
    OptionError
        For rows with NaN or infinity, and if there are no rows.
    """
    mean, _ = _moments(vectors)
    return _shifted(vectors, mean, None, {"step": "center"})


def all_but_the_top(vectors: Vectors, k: int | None = None) -> Vectors:
    """Remove the mean and the k first principal components from every row.

    Parameters
    ----------
    vectors
        The space.
    k
        Number of components; None for dim / 100, at least 1, as in the paper.

    Raises
    ------
    OptionError
        For a k out of range, rows with NaN or infinity, and if there are no rows.

    Notes
    -----
    Mu and Viswanath, "All-but-the-top: simple and effective postprocessing for word representations" (ICLR 2018).
    `undo` restores the mean, but not the components.
    """
    k = max(1, vectors.dim // 100) if k is None else k
    if not 0 <= k < vectors.dim:
        raise OptionError(f"all_but_the_top: k={k} is not between 0 and {vectors.dim - 1} of {vectors.dim} components")
    mean, axes, _ = _principal_axes(vectors)
    # I - A Aᵀ removes the components along the columns of A.
    top = axes[:, :k]
    return _shifted(vectors, mean, np.eye(vectors.dim) - top @ top.T, {"step": f"all_but_the_top:{k}"})


def pca(vectors: Vectors, k: int) -> Vectors:
    """Project rows on their k first principal components: the fewer dimensions that keep the most variance.

    `undo` returns the projection of each row in the old dimensions.

    Raises
    ------
    OptionError
        For a k out of range, rows with NaN or infinity, and if there are no rows.
    """
    if not 1 <= k <= vectors.dim:
        raise OptionError(f"pca: k={k} is not between 1 and {vectors.dim}, the number of dimensions")
    mean, axes, _ = _principal_axes(vectors)
    return _shifted(vectors, mean, axes[:, :k], {"step": f"pca:{k}"})


def ppa_pca(vectors: Vectors, k: int, *, remove: int = 7) -> Vectors:
    """Apply `all_but_the_top`, PCA to k dimensions, and `all_but_the_top` again.

    Parameters
    ----------
    vectors
        The space.
    k
        Number of dimensions to keep.
    remove
        Number of components that `all_but_the_top` removes, 7 in the paper.

    Notes
    -----
    Raunak, Gupta and Metze, "Effective dimensionality reduction for word embeddings" (RepL4NLP 2019), algorithm 2. They
    call `all_but_the_top` the post-processing algorithm (PPA).
    """
    return all_but_the_top(pca(all_but_the_top(vectors, min(remove, vectors.dim - 1)), k), min(remove, k - 1))


def whiten(vectors: Vectors) -> Vectors:
    """Make columns uncorrelated with variance 1, as near to the old ones as possible (ZCA).

    Directions without variance become 0.

    Raises
    ------
    OptionError
        For rows with NaN or infinity, and if there are no rows.
    """
    mean, axes, variances = _principal_axes(vectors)
    varied = variances > _NO_VARIANCE * max(variances[0], np.finfo(np.float64).tiny)
    scale = np.where(varied, 1 / np.sqrt(np.where(varied, variances, 1)), 0)
    return _shifted(vectors, mean, (axes * scale) @ axes.T, {"step": "whiten"})


def weight(vectors: Vectors, a: float = 1e-3, *, counts: Mapping[str, int] | None = None) -> Vectors:
    """Multiply rows by a / (a + p), where p is the relative frequency of the word, so frequent words become shorter.

    Parameters
    ----------
    vectors
        The space.
    a
        Smaller values shorten more words.
    counts
        Frequency of each word in a text; words that are missing have p = 0. None for Zipf's law over the rows.

    Raises
    ------
    OptionError
        If `a` is not above 0, for rows with NaN or infinity, and if there are no rows.

    Notes
    -----
    Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence embeddings" (ICLR 2017).
    """
    if not a > 0:
        raise OptionError(f"weight: a={a} is not above 0")
    _check_finite(vectors)
    if counts is None:
        shares = _zipf(len(vectors))
    else:
        shares = np.array([counts.get(word, 0) for word in vectors.words], dtype=np.float64)
        shares /= max(shares.sum(), 1)
    # Factors by Zipf's law follow from the number of rows, so only those from counts need to be kept for `undo`.
    factors = a / (a + shares)
    kept = {"step": f"weight:{a}", "rows": len(vectors), "factors": None if counts is None else factors.tolist()}
    return _transformed(vectors, vectors.dim, lambda block, at: block * factors[at, None], kept)


def undo(vectors: Vectors) -> Vectors:
    """Reverse the last transform that is kept in ``Vectors.history``.

    Raises
    ------
    OptionError
        If no transform is kept, or the last one cannot be undone.

    Notes
    -----
    The components that `all_but_the_top` and `pca` removed cannot be restored: rows are returned without them.

    Examples
    --------
    >>> vectors = Vectors(["a", "b"], np.array([[3, 4], [1, 0]], dtype="float32"))
    >>> undo(center(vectors)).matrix.tolist()
    [[3.0, 4.0], [1.0, 0.0]]
    """
    if not vectors.history.transforms:
        raise OptionError("the history of the vectors holds no transform, so there is nothing to undo")
    *earlier, last = vectors.history.transforms
    try:
        rows = _undone(vectors, last)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
        if isinstance(error, OptionError):
            raise
        # A file may hold anything under "transforms".
        raise OptionError(f"the kept transform is damaged, so it cannot be undone: {error}") from error
    history = dataclasses.replace(vectors.history, transforms=tuple(earlier))
    return Vectors(vectors.words, rows, vectors.meta, history=history)


def _undone(vectors: Vectors, last: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    """Return the rows before a transform."""
    name = last["step"].partition(":")[0]
    if "mean" in last:
        mean = np.array(last["mean"], dtype=np.float64)
        if "matrix" not in last:
            if mean.shape != (vectors.dim,):
                raise ValueError(f"a mean of shape {mean.shape} for {vectors.dim} values")
            return _blockwise(vectors, len(mean), lambda block, _at: block + mean)
        matrix = np.array(last["matrix"], dtype=np.float64)
        if mean.ndim != 1 or matrix.shape != (len(mean), vectors.dim):
            raise ValueError(f"a mean of shape {mean.shape} and a matrix of shape {matrix.shape}")
        # The inverse where there is one; otherwise it restores as much as a linear map can.
        back = np.linalg.pinv(matrix)
        return _blockwise(vectors, len(mean), lambda block, _at: block @ back + mean)
    if name == "weight":
        if last["rows"] != len(vectors):
            raise OptionError("weight cannot be undone, because rows were added or removed since")
        a = float(last["step"].partition(":")[2])
        factors = a / (a + _zipf(len(vectors))) if last["factors"] is None else np.array(last["factors"])
        if factors.shape != (len(vectors),):
            raise ValueError(f"factors of shape {factors.shape}")
        return _blockwise(vectors, vectors.dim, lambda block, at: block / factors[at, None])
    raise OptionError(f"{last['step']} cannot be undone: the removed information was not kept")


def _zipf(count: int) -> Doubles:
    """Return the relative frequencies of words in order of frequency, by Zipf's law."""
    ranks = 1 / np.arange(1, count + 1)
    shares: Doubles = ranks / ranks.sum()
    return shares


def _check_finite(vectors: Vectors) -> None:
    bad = np.flatnonzero(~np.isfinite(vectors.norms))
    if len(bad):
        noun, word = "row has" if len(bad) == 1 else "rows have", vectors.words[int(bad[0])]
        raise OptionError(f"{len(bad):,} {noun} NaN or infinity, first that of {word!r}; remove them first")
    if not len(vectors):
        raise OptionError("the vectors have no rows to transform")


def _blocks(vectors: Vectors) -> Iterator[tuple[slice, Doubles]]:
    for at in row_blocks(len(vectors)):
        yield at, vectors.rows_at(at).astype(np.float64)


def _moments(vectors: Vectors) -> tuple[Doubles, Doubles]:
    """Return the mean, shape (dim,), and the covariance, shape (dim, dim), of the rows.

    Two passes: covariances of large values around a distant mean lose all digits in one.
    """
    _check_finite(vectors)
    mean = sum((block.sum(axis=0) for _, block in _blocks(vectors)), np.zeros(vectors.dim)) / len(vectors)
    second = np.zeros((vectors.dim, vectors.dim))
    for _, block in _blocks(vectors):
        centered = block - mean
        second += centered.T @ centered
    return mean, second / len(vectors)


def _principal_axes(vectors: Vectors) -> tuple[Doubles, Doubles, Doubles]:
    """Return the mean, the principal axes as columns and their variances, the largest first.

    The sign of an axis is arbitrary. Its largest value is made positive, so results do not depend on the LAPACK in use.
    """
    mean, covariance = _moments(vectors)
    variances, axes = np.linalg.eigh(covariance)
    axes, variances = axes[:, ::-1], variances[::-1].clip(min=0)
    largest = np.abs(axes).argmax(axis=0)
    return mean, axes * np.sign(axes[largest, np.arange(len(largest))]), variances


def _shifted(vectors: Vectors, mean: Doubles, matrix: Doubles | None, kept: dict[str, Any]) -> Vectors:
    kept = {**kept, "mean": mean.tolist()}
    if matrix is None:
        return _transformed(vectors, vectors.dim, lambda block, _at: block - mean, kept)
    kept["matrix"] = matrix.tolist()
    return _transformed(vectors, matrix.shape[1], lambda block, _at: (block - mean) @ matrix, kept)


def _transformed(
    vectors: Vectors, dim: int, step: Callable[[Doubles, slice], Doubles], kept: dict[str, Any]
) -> Vectors:
    history = dataclasses.replace(vectors.history, transforms=(*vectors.history.transforms, kept))
    return Vectors(vectors.words, _blockwise(vectors, dim, step), vectors.meta, history=history)


def _blockwise(vectors: Vectors, dim: int, step: Callable[[Doubles, slice], Doubles]) -> npt.NDArray[Any]:
    """Return the rows of a step, in float32, or in float64 if the vectors are."""
    rows = np.empty((len(vectors), dim), dtype=np.float64 if vectors.dtype == np.float64 else np.float32)
    for at, block in _blocks(vectors):
        rows[at] = step(block, at)
    return rows
