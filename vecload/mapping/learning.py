"""Learn the map from one space of vectors onto another (`map_spaces`)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np

from vecload.arrays import IndexedRows
from vecload.errors import OptionError
from vecload.mapping import induction, solvers
from vecload.mapping.dictionaries import SEEDS, Pair, Pairing, find_pairs, read_dictionary
from vecload.mapping.normalization import ITERATIVE, Normalization, check_steps, fit_normalization
from vecload.mapping.spacemap import SpaceMap
from vecload.progress import progress_bar
from vecload.vectors import Vectors

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]
    Matrix = npt.NDArray[np.float64]

Method = Literal["least-squares", "procrustes", "refine", "self-learning", "vecmap", "rcsls"]

# For least squares, the paper has no normalization, which finds fewer words: see benchmarks/RESULTS.md.
_NORMALIZE: Final = ("unit", "center", "unit")
_NOT_FINITE = "{!r} has no rows, or contains NaN or infinity; load it without allow_nonfinite"
# Methods that compare words by products of rows, which are cosines only for rows of unit length.
_COSINES = ("refine", "self-learning", "rcsls")


def map_spaces(
    source: Vectors,
    target: Vectors,
    *,
    pairs: Iterable[Pair] | str | os.PathLike[str] = "identical",
    method: Method = "procrustes",
    normalize: Sequence[str] | str | None = None,
    limit: int = 20_000,
    ridge: float = 0.0,
    seed: int = 0,
    progress: bool | None = None,
) -> SpaceMap:
    """Learn the linear map that brings one space of vectors onto another.

    Parameters
    ----------
    source, target
        The two spaces, words in order of frequency.
    pairs
        Words that are known to correspond: (source, target) pairs of words; a dictionary file, or its name in the
        catalog (`read_dictionary`); "identical" for all words that both spaces have; "numerals" for the numbers among
        these words; "unsupervised" for no pairs.
    method
        - "least-squares" (Mikolov et al. 2013).
        - "procrustes": an orthogonal map (Smith et al. 2017).
        - "refine": "procrustes", repeated on mutual neighbors (MUSE: Conneau et al. 2018).
        - "self-learning": from few, unreliable or no pairs, and "vecmap" at the end (Artetxe et al., ACL 2018).
        - "vecmap": whitening and re-weighting of both sides (Artetxe et al., AAAI 2018).
        - "rcsls": a map that is optimized for retrieval (Joulin et al. 2018).

        The dimensions of the spaces may differ for the first two; an orthogonal map then has orthonormal rows or
        columns.
    normalize
        Steps applied to both spaces first: "unit" and "center" in any order; "iterative" for five rounds of both, then
        "unit", which distant languages such as English and Japanese need (Zhang et al. 2019). None for "unit",
        "center", "unit"; () for no step.
    limit
        Number of most frequent words that are compared with all others, for methods that do so.
    ridge
        For "least-squares": factor of the squared norm of the matrix, which is added to the squared error. It helps
        if there are few pairs.
    seed
        Random seed of self-learning.
    progress
        Whether to show a bar for methods that compare all words; None shows it if standard error is a terminal.

    Returns
    -------
    SpaceMap
        The map, which is applied to both spaces and can be saved.

    Raises
    ------
    OptionError
        If no pair is in both spaces, there are too few pairs for the method, or values are not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.normal(size=(100, 8)).astype("float32")
    >>> rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0].astype("float32")
    >>> words = [str(number) for number in range(100)]
    >>> space, rotated = Vectors(words, rows), Vectors(words, rows @ rotation)
    >>> found = map_spaces(space, rotated, pairs="identical")
    >>> bool(np.allclose(found.apply(space).matrix, found.apply_target(rotated).matrix, atol=1e-5))
    True
    """
    steps = normalization_steps(method, normalize)
    check_options(method, pairs, limit, ridge)
    pairs = _read(pairs)
    # Other methods compare mapped rows with those of the other space, and expect that the map keeps their length.
    if method not in ("least-squares", "procrustes") and source.dim != target.dim:
        raise OptionError(
            f"method={method!r} needs spaces of equal dimension, got {source.dim} and {target.dim}; "
            "use method='procrustes' or 'least-squares'"
        )
    for vectors in (source, target):
        if not len(vectors) or not np.isfinite(vectors.rows_at(slice(limit))).all():
            raise OptionError(_NOT_FINITE.format(vectors))
    source_side, x = _normalized(source, steps)
    target_side, y = _normalized(target, steps)
    if pairs == "unsupervised":
        found = induction.unsupervised_start(x[:limit], y[:limit])
        given = Pairing(found.source, found.target, 0)
    else:
        given = find_pairs(source, target, pairs)
    # Rows beyond `limit` were not checked, but they are in the means and may be in pairs.
    for vectors, side, normalized, rows in (
        (source, source_side, x, given.source),
        (target, target_side, y, given.target),
    ):
        if not (np.isfinite(side.means).all() and np.isfinite(normalized[rows]).all()):
            raise OptionError(_NOT_FINITE.format(vectors))
    info: dict[str, Any] = {"pairs": len(given.source), "absent": given.absent}
    matrix, target_matrix = _solve(method, x, y, given, limit, ridge=ridge, seed=seed, progress=progress, info=info)
    return SpaceMap(source_side, target_side, matrix, target_matrix, method, info)


def _normalized(vectors: Vectors, steps: Sequence[str]) -> tuple[Normalization, Rows | IndexedRows]:
    """Fit the steps to all words, and return the normalized row of each."""
    if vectors.row_ids is None:
        return fit_normalization(vectors.unique_rows, steps)
    used, ids, counts = np.unique(vectors.row_ids, return_inverse=True, return_counts=True)
    fitted, rows = fit_normalization(vectors.unique_rows[used], steps, counts)
    return fitted, IndexedRows(rows, ids)


def _read(pairs: Iterable[Pair] | str | os.PathLike[str]) -> Iterable[Pair] | str:
    """Return pairs, or the name that stands for them, after reading them if they are a file."""
    if isinstance(pairs, (str, os.PathLike)):
        return str(pairs) if pairs in SEEDS else read_dictionary(pairs)
    return pairs


def normalization_steps(method: str, normalize: Sequence[str] | str | None) -> tuple[str, ...]:
    """Return the steps that `normalize` stands for with a method; a string may name several, separated by commas.

    Raises
    ------
    OptionError
        For an unknown method or step, and for steps that the method does not support.

    Examples
    --------
    >>> normalization_steps("procrustes", None), normalization_steps("procrustes", "center,unit")
    (('unit', 'center', 'unit'), ('center', 'unit'))
    """
    if method not in get_args(Method):
        raise OptionError(f"method={method!r} is not one of {', '.join(map(repr, get_args(Method)))}")
    if normalize is None:
        steps: tuple[str, ...] = _NORMALIZE
    elif isinstance(normalize, str):
        steps = ITERATIVE if normalize == "iterative" else tuple(step.strip() for step in normalize.split(","))
    else:
        steps = tuple(normalize)
    check_steps(steps)
    if method in _COSINES and steps[-1:] != ("unit",):
        raise OptionError(f"method={method!r} compares words by cosine; the last step of normalize= must be 'unit'")
    return steps


def check_options(method: str, pairs: object, limit: int, ridge: float = 0.0) -> None:
    """Check the options of `map_spaces`, as far as possible before any vectors are read.

    Raises
    ------
    OptionError
        If `limit` leaves no words, the method cannot start without pairs, or `ridge` is invalid or does not apply.
    """
    if not (math.isfinite(ridge) and ridge >= 0):
        raise OptionError(f"ridge={ridge} is not a number from 0")
    if ridge and method != "least-squares":
        raise OptionError(f"ridge= applies to method='least-squares', not to {method!r}")
    if limit < 1:
        raise OptionError(f"limit={limit} leaves no words; pass 1 or more")
    if pairs == "unsupervised" and method not in ("refine", "self-learning"):
        raise OptionError(f"pairs='unsupervised' needs method 'self-learning' or 'refine', found {method!r}")


def needs_only_pairs(method: str, steps: Sequence[str]) -> bool:
    """Return whether a map by this method is learned from the words of the pairs alone."""
    return method in ("least-squares", "procrustes", "vecmap") and "center" not in steps


def _solve(
    method: str,
    x: Rows | IndexedRows,
    y: Rows | IndexedRows,
    given: Pairing,
    limit: int,
    *,
    ridge: float,
    seed: int,
    progress: bool | None,
    info: dict[str, Any],
) -> tuple[Matrix, Matrix | None]:
    """Return the matrices of both sides; None for a target that is not multiplied."""
    left, right = x[given.source], y[given.target]
    near_x, near_y = x[:limit], y[:limit]
    if method == "least-squares":
        return solvers.least_squares(left, right, ridge), None
    if method == "procrustes":
        return solvers.procrustes(left, right), None
    if method == "vecmap":
        return solvers.vecmap(left, right)
    rounds = {"refine": induction.REFINEMENTS + 1, "rcsls": solvers.EPOCHS}.get(method)
    with progress_bar(rounds, unit="rounds", name=method, shown=progress) as bar:

        def on_round(number: int, objective: float | None = None) -> None:
            if objective is not None:
                bar.note(f"{'mean CSLS' if method == 'refine' else 'mean cosine'} {objective:.4f}")
            bar.reach(number + 1)

        if method == "rcsls":
            return solvers.rcsls(left, right, near_x, near_y, on_round), None
        first = solvers.procrustes(left, right)
        if method == "refine":
            return induction.refine(near_x, near_y, first, on_round), None
        found = induction.self_learn(near_x, near_y, first, seed=seed, on_round=on_round)
    # As in VecMap, the final map is learned from the induced dictionary by whitening and re-weighting.
    info["objective"] = found.objective
    return solvers.vecmap(near_x[found.source], near_y[found.target])
