"""`map_spaces`: learn the map from one space of vectors onto another."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vecload.errors import OptionError
from vecload.keywords import explain_keywords
from vecload.mapping import induction, solvers
from vecload.mapping.dictionaries import SEEDS, Pair, Pairing, find_pairs, read_dictionary
from vecload.mapping.normalization import ITERATIVE, check_steps, normalization
from vecload.mapping.spacemap import SpaceMap
from vecload.progress import progress_bar
from vecload.vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]
    Matrix = npt.NDArray[np.float64]

Method = Literal["least-squares", "procrustes", "refine", "self-learning", "vecmap", "rcsls"]

_NORMALIZE: Mapping[str, tuple[str, ...]] = {
    "least-squares": (),
    "procrustes": ("unit", "center", "unit"),
    "refine": ("unit", "center", "unit"),
    "self-learning": ("unit", "center", "unit"),
    "vecmap": ("unit", "center", "unit"),
    "rcsls": ("unit", "center", "unit"),
}
_NOT_FINITE = "{!r} has no rows or holds NaN or infinity: load it without allow_nonfinite"
_COSINES = ("refine", "self-learning", "rcsls")  # compare words by cosine, so need rows of unit length


@explain_keywords
def map_spaces(
    source: Vectors,
    target: Vectors,
    *,
    pairs: Iterable[Pair] | str | os.PathLike[str] = "identical",
    method: Method = "procrustes",
    normalize: Sequence[str] | str | None = None,
    limit: int = 20_000,
    seed: int = 0,
    progress: bool | None = None,
) -> SpaceMap:
    """Learn the linear map that brings one space of vectors onto another.

    Parameters
    ----------
    source, target
        The two spaces, words in order of frequency.
    pairs
        What is known to mean the same: (source, target) pairs of words; a dictionary file or its name in the catalogue
        (`read_dictionary`); "identical" for words written alike; "numerals" for those of them that are numbers;
        "unsupervised" for nothing.
    method
        "least-squares" (Mikolov et al. 2013); "procrustes", an orthogonal map (Smith et al. 2017); "refine", Procrustes
        again on mutual neighbours (MUSE: Conneau et al. 2018); "self-learning" from few, doubtful or no pairs, then
        "vecmap" (Artetxe et al., ACL 2018); "vecmap", whitening and re-weighting of both sides (Artetxe et al., AAAI
        2018); "rcsls", a map learned for retrieval (Joulin et al. 2018).
    normalize
        Steps applied to both spaces first: "unit" and "center" in any order; "iterative" for five rounds of both, then
        "unit" (Zhang et al. 2019: far languages such as English and Japanese need it). None for unit, center, unit,
        and for no step with "least-squares".
    limit
        So many of the most frequent words take part where words are compared with all others.
    seed
        Of self-learning.
    progress
        Whether to show a bar in self-learning; None when standard error is a terminal.

    Returns
    -------
    SpaceMap

    Raises
    ------
    OptionError
        When no pair is in both spaces, when pairs are too few for the method, or when values are not finite.

    Examples
    --------
    >>> from vecload import Vectors, Words
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.normal(size=(100, 8)).astype("float32")
    >>> rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0].astype("float32")
    >>> words = Words.from_strings(map(str, range(100)))
    >>> space, turned = Vectors(words, rows), Vectors(words, rows @ rotation)
    >>> found = map_spaces(space, turned, pairs="identical")
    >>> bool(np.allclose(found.apply(space).matrix, found.apply_target(turned).matrix, atol=1e-5))
    True
    """
    steps = steps_of(method, normalize)
    check_options(method, pairs, limit)
    pairs = _read(pairs)
    if method != "least-squares" and source.dim != target.dim:
        raise OptionError(
            f"method={method!r} maps spaces of one dimension, not {source.dim} to {target.dim}: use 'least-squares'"
        )
    for vectors in (source, target):
        if not len(vectors) or not np.isfinite(vectors.matrix[:limit]).all():
            raise OptionError(_NOT_FINITE.format(vectors))
    source_side, x = normalization(source.matrix, steps)
    target_side, y = normalization(target.matrix, steps)
    if pairs == "unsupervised":
        found = induction.unsupervised_start(x[:limit], y[:limit])
        given = Pairing(found.source, found.target, 0)
    else:
        given = find_pairs(source, target, pairs)
    for vectors, side, made, rows in ((source, source_side, x, given.source), (target, target_side, y, given.target)):
        if not (np.isfinite(side.means).all() and np.isfinite(made[rows]).all()):  # a row beyond `limit`
            raise OptionError(_NOT_FINITE.format(vectors))
    info: dict[str, Any] = {"pairs": len(given.source), "absent": given.absent}
    matrix, target_matrix = _solve(method, x, y, given, limit, seed=seed, progress=progress, info=info)
    return SpaceMap(source_side, target_side, matrix, target_matrix, method, info)


def _read(pairs: Iterable[Pair] | str | os.PathLike[str]) -> Iterable[Pair] | str:
    """Pairs, or the word that stands for some, of what may be the path of a file."""
    if isinstance(pairs, (str, os.PathLike)):
        return str(pairs) if pairs in SEEDS else read_dictionary(pairs)
    return pairs


def steps_of(method: str, normalize: Sequence[str] | str | None) -> tuple[str, ...]:
    """The steps that `normalize` stands for with a method; a string may also name steps with commas between.

    Raises
    ------
    OptionError
        For an unknown method or step, and for steps that the method cannot work with.

    Examples
    --------
    >>> steps_of("procrustes", None), steps_of("procrustes", "center,unit"), steps_of("least-squares", None)
    (('unit', 'center', 'unit'), ('center', 'unit'), ())
    """
    if method not in _NORMALIZE:
        raise OptionError(f"method={method!r} is not one of {', '.join(map(repr, _NORMALIZE))}")
    if normalize is None:
        steps = _NORMALIZE[method]
    elif isinstance(normalize, str):
        steps = ITERATIVE if normalize == "iterative" else tuple(step.strip() for step in normalize.split(","))
    else:
        steps = tuple(normalize)
    check_steps(steps)
    if method in _COSINES and steps[-1:] != ("unit",):
        raise OptionError(f"method={method!r} compares words by cosine: the last step of normalize must be 'unit'")
    return steps


def check_options(method: str, pairs: object, limit: int) -> None:
    """Check what can be known about the options of `map_spaces` before any vectors are read.

    Raises
    ------
    OptionError
        If `limit` leaves no words, or the method cannot start without pairs.
    """
    if limit < 1:
        raise OptionError(f"limit={limit} leaves no words")
    if pairs == "unsupervised" and method not in ("refine", "self-learning"):
        raise OptionError(f"pairs='unsupervised' needs method 'self-learning' or 'refine', found {method!r}")


def looks_at_pairs_only(method: str, steps: Sequence[str]) -> bool:
    """Whether a map by this method is learned from the words of the pairs alone."""
    return method in ("least-squares", "procrustes", "vecmap") and "center" not in steps


def _solve(
    method: str,
    x: Rows,
    y: Rows,
    given: Pairing,
    limit: int,
    *,
    seed: int,
    progress: bool | None,
    info: dict[str, Any],
) -> tuple[Matrix, Matrix | None]:
    """The matrices of both sides."""
    left, right = x[given.source], y[given.target]
    near_x, near_y = x[:limit], y[:limit]
    if method == "least-squares":
        return solvers.least_squares(left, right), None
    if method == "procrustes":
        return solvers.procrustes(left, right), None
    if method == "rcsls":
        return solvers.rcsls(left, right, near_x, near_y), None
    if method == "refine":
        return induction.refine(near_x, near_y, solvers.procrustes(left, right)), None
    if method == "self-learning":
        with progress_bar(None, unit="rounds", name="self-learning", shown=progress) as bar:

            def tell(number: int, objective: float) -> None:
                bar.note(f"mean cosine {objective:.4f}")
                bar.reach(number + 1)

            first = solvers.procrustes(left, right)
            found = induction.self_learn(near_x, near_y, first, seed=seed, tell=tell)
        info["objective"] = found.objective
        left, right = near_x[found.source], near_y[found.target]
    return solvers.vecmap(left, right)
