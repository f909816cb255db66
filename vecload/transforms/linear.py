"""One space made into another: Vectors to Vectors, statistics in double, rows in blocks, float32 kept.

Every linear step is ``y = (x - mean) @ matrix``, and stays in ``meta["transforms"]`` so that `undo` can turn it round.
A table of n-grams belongs to the space before the step, so what comes out has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.errors import OptionError
from vecload.vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Doubles = npt.NDArray[np.float64]

_ROWS = 1 << 13  # rows worked on together
_TINY = 1e-10  # variance of a direction, over the greatest, below which there is none


def unit(vectors: Vectors) -> Vectors:
    """Rows at Euclidean norm 1; rows of zeros stay. Norms are lost, so this cannot be undone.

    Examples
    --------
    >>> from vecload import Words
    >>> unit(Vectors(Words.from_strings(["a", "b"]), np.array([[3, 4], [0, 0]], dtype="float32"))).matrix.tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    _check_finite(vectors)
    norms = np.where(vectors.norms > 0, vectors.norms.astype(np.float64), 1)
    return _made(vectors, vectors.dim, lambda block, at: block / norms[at, None], {"step": "unit"})


def center(vectors: Vectors) -> Vectors:
    """Rows less their mean."""
    mean, _ = _moments(vectors)
    return _shifted(vectors, mean, None, {"step": "center"})


def abtt(vectors: Vectors, k: int | None = None) -> Vectors:
    """All but the top: the mean and the k first principal components taken out of every row.

    Parameters
    ----------
    vectors
        The space.
    k
        How many components; None for dim / 100, at least 1, as the paper has it.

    Notes
    -----
    Mu and Viswanath, "All-but-the-top", ICLR 2018. `undo` brings the mean back; the components are gone.
    """
    k = max(1, vectors.dim // 100) if k is None else k
    if not 0 <= k < vectors.dim:
        raise OptionError(f"abtt: take out 0 to {vectors.dim - 1} of {vectors.dim} components, not {k}")
    mean, axes, _ = _principal(vectors)
    top = axes[:, :k]
    return _shifted(vectors, mean, np.eye(vectors.dim) - top @ top.T, {"step": f"abtt:{k}"})


def pca(vectors: Vectors, k: int) -> Vectors:
    """The k first principal components: fewer dimensions, the most variance. `undo` gives what they hold of a row."""
    if not 1 <= k <= vectors.dim:
        raise OptionError(f"pca: keep 1 to {vectors.dim} of {vectors.dim} dimensions, not {k}")
    mean, axes, _ = _principal(vectors)
    return _shifted(vectors, mean, axes[:, :k], {"step": f"pca:{k}"})


def raunak(vectors: Vectors, k: int, *, remove: int = 7) -> Vectors:
    """All but the top, PCA to k dimensions, and all but the top again.

    Notes
    -----
    Raunak, Gupta and Metze, "Effective dimensionality reduction for word embeddings", RepL4NLP 2019, algorithm 2; they
    take out 7 components.
    """
    return abtt(pca(abtt(vectors, min(remove, vectors.dim - 1)), k), min(remove, k - 1))


def whiten(vectors: Vectors) -> Vectors:
    """Uncorrelated columns of variance 1, near the old ones (ZCA); directions without variance become 0."""
    mean, axes, variances = _principal(vectors)
    there = variances > _TINY * max(variances[0], np.finfo(np.float64).tiny)
    scale = np.where(there, 1 / np.sqrt(np.where(there, variances, 1)), 0)
    return _shifted(vectors, mean, (axes * scale) @ axes.T, {"step": "whiten"})


def weight(vectors: Vectors, a: float = 1e-3, *, counts: Mapping[str, int] | None = None) -> Vectors:
    """Rows times a / (a + p), p the word's share of a text: frequent words become short.

    Parameters
    ----------
    vectors
        The space.
    a
        Smaller values shorten more words.
    counts
        How often words came in a text; a word that is not there has share 0. None for Zipf's law over the rows.

    Notes
    -----
    Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence embeddings", ICLR 2017.
    """
    if not a > 0:
        raise OptionError(f"weight: a={a} is not above 0")
    _check_finite(vectors)
    if counts is None:
        shares = _zipf(len(vectors))
    else:
        shares = np.array([counts.get(word, 0) for word in vectors.words], dtype=np.float64)
        shares /= max(shares.sum(), 1)
    factors = a / (a + shares)
    kept = {"step": f"weight:{a}", "rows": len(vectors), "factors": None if counts is None else factors.tolist()}
    return _made(vectors, vectors.dim, lambda block, at: block * factors[at, None], kept)


def undo(vectors: Vectors) -> Vectors:
    """The space before the last transform that is kept in ``meta["transforms"]``.

    Raises
    ------
    OptionError
        When there is none, or it lost what it would take.

    Notes
    -----
    What `abtt` and `pca` dropped stays dropped: the rows that come back are the nearest that can be known.

    Examples
    --------
    >>> from vecload import Words
    >>> vectors = Vectors(Words.from_strings(["a", "b"]), np.array([[3, 4], [1, 0]], dtype="float32"))
    >>> undo(center(vectors)).matrix.tolist()
    [[3.0, 4.0], [1.0, 0.0]]
    """
    steps = list(vectors.meta.get("transforms", []))
    if not steps:
        raise OptionError("no transform is kept in meta, so there is nothing to undo")
    last = steps.pop()
    try:
        rows = _undone(vectors, last)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
        if isinstance(error, OptionError):
            raise
        # A file may hold anything under "transforms".
        raise OptionError(f"the transform kept in meta is damaged, so it cannot be undone: {error}") from error
    return Vectors(vectors.words, rows, {**vectors.meta, "transforms": steps})


def _undone(vectors: Vectors, last: dict[str, Any]) -> npt.NDArray[np.float32]:
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
        back = np.linalg.pinv(matrix)
        return _blockwise(vectors, len(mean), lambda block, _at: block @ back + mean)
    if name == "weight":
        if last["rows"] != len(vectors):
            raise OptionError("weight: rows came or went since, so it cannot be undone")
        a = float(last["step"].partition(":")[2])
        factors = a / (a + _zipf(len(vectors))) if last["factors"] is None else np.array(last["factors"])
        if factors.shape != (len(vectors),):
            raise ValueError(f"factors of shape {factors.shape}")
        return _blockwise(vectors, vectors.dim, lambda block, at: block / factors[at, None])
    raise OptionError(f"{last['step']} cannot be undone: what it dropped is kept nowhere")


def _zipf(count: int) -> Doubles:
    """Shares of words in the order of their frequency, by Zipf's law."""
    ranks = 1 / np.arange(1, count + 1)
    shares: Doubles = ranks / ranks.sum()
    return shares


def _check_finite(vectors: Vectors) -> None:
    bad = np.flatnonzero(~np.isfinite(vectors.norms))
    if len(bad):
        word = vectors.words[int(bad[0])]
        raise OptionError(f"{len(bad):,} rows have NaN or infinity, the first that of {word!r}: leave them out before")
    if not len(vectors):
        raise OptionError("there are no rows to transform")


def _blocks(vectors: Vectors) -> Iterator[tuple[slice, Doubles]]:
    for begin in range(0, len(vectors), _ROWS):
        at = slice(begin, begin + _ROWS)
        yield at, vectors.matrix[at].astype(np.float64)


def _moments(vectors: Vectors) -> tuple[Doubles, Doubles]:
    """Mean (dim,) and covariance (dim, dim)."""
    _check_finite(vectors)
    mean = sum((block.sum(axis=0) for _, block in _blocks(vectors)), np.zeros(vectors.dim)) / len(vectors)
    second = np.zeros((vectors.dim, vectors.dim))
    for _, block in _blocks(vectors):
        off = block - mean
        second += off.T @ off
    return mean, second / len(vectors)


def _principal(vectors: Vectors) -> tuple[Doubles, Doubles, Doubles]:
    """Mean, principal axes as columns, most variance first, and variances; an axis's largest value is positive."""
    mean, covariance = _moments(vectors)
    variances, axes = np.linalg.eigh(covariance)
    axes, variances = axes[:, ::-1], variances[::-1].clip(min=0)
    largest = np.abs(axes).argmax(axis=0)
    return mean, axes * np.sign(axes[largest, np.arange(len(largest))]), variances


def _shifted(vectors: Vectors, mean: Doubles, matrix: Doubles | None, kept: dict[str, Any]) -> Vectors:
    kept = {**kept, "mean": mean.tolist()}
    if matrix is None:
        return _made(vectors, vectors.dim, lambda block, _at: block - mean, kept)
    kept["matrix"] = matrix.tolist()
    return _made(vectors, matrix.shape[1], lambda block, _at: (block - mean) @ matrix, kept)


def _made(vectors: Vectors, dim: int, step: Callable[[Doubles, slice], Doubles], kept: dict[str, Any]) -> Vectors:
    meta = {**vectors.meta, "transforms": [*vectors.meta.get("transforms", []), kept]}
    return Vectors(vectors.words, _blockwise(vectors, dim, step), meta)


def _blockwise(vectors: Vectors, dim: int, step: Callable[[Doubles, slice], Doubles]) -> npt.NDArray[Any]:
    """Rows of a step, in float32, or in float64 where the vectors have it."""
    rows = np.empty((len(vectors), dim), dtype=np.float64 if vectors.dtype == np.float64 else np.float32)
    for at, block in _blocks(vectors):
        rows[at] = step(block, at)
    return rows
