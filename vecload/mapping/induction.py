"""Dictionaries found by the spaces themselves: mutual neighbours, refinement, self-learning, and a start from nothing.

Everything here works on the rows of the most frequent words, float32 of unit length, so that a product is a cosine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vecload.arrays import row_blocks
from vecload.mapping.normalization import normalization
from vecload.mapping.solvers import NEIGHBORHOOD, procrustes
from vecload.search.csls import mean_similarity
from vecload.search.products import QUERIES
from vecload.words import read_only

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Rows = npt.NDArray[np.float32]
    Ids = npt.NDArray[np.int64]
    Matrix = npt.NDArray[np.float64]

_REFINEMENTS = 5
_START = 4000  # words that the unsupervised start compares
_FIRST_KEEP, _GROWTH = 0.1, 2.0  # of stochastic dictionary induction
_PATIENCE = 10
_PROGRESS = 1e-6
_MOST_ROUNDS = 1000
_ALL64 = (1 << 64) - 1


class Dictionary(NamedTuple):
    """Rows of source and target that belong together, and how near the words of both spaces are in the mean."""

    source: Ids
    target: Ids
    objective: float


def mutual_neighbors(x: Rows, y: Rows) -> Dictionary:
    """Rows that are each other's nearest by CSLS, and the mean CSLS of all (Conneau et al. 2018, section 2.3)."""
    here, there = mean_similarity(x, y, NEIGHBORHOOD), mean_similarity(y, x, NEIGHBORHOOD)
    ahead, cosines = _nearest(x, y, there)
    behind, _ = _nearest(y, x, here)
    rows = np.arange(len(x))
    mutual = behind[ahead] == rows
    return Dictionary(rows[mutual], ahead[mutual], float((2 * cosines - here - there[ahead]).mean()))


def refine(x: Rows, y: Rows, matrix: Matrix) -> Matrix:
    """Procrustes on mutual neighbours, five times over (Conneau et al. 2018); the best round's matrix.

    The best is the one whose words have the nearest neighbours by CSLS on the average, which needs no dictionary.
    """
    best, best_score = matrix, -np.inf
    for _ in range(_REFINEMENTS + 1):
        found = mutual_neighbors(_mapped(x, matrix), y)
        if found.objective > best_score:
            best, best_score = matrix, found.objective
        if not len(found.source):
            break
        matrix = procrustes(x[found.source], y[found.target])
    return best


def self_learn(x: Rows, y: Rows, matrix: Matrix, *, seed: int, tell: Callable[[int, float], object]) -> Dictionary:
    """A dictionary grown from a first, perhaps doubtful map (Artetxe, Labaka and Agirre, ACL 2018, section 3.3).

    Map by the dictionary, find each word's neighbour in the other space, both ways, and begin again, until that brings
    nothing more. Similarities are kept with probability p only, which grows from 0.1 to 1 whenever ten rounds brought
    nothing, so that a bad start is left behind.

    Parameters
    ----------
    x, y
        Normalised rows of both spaces.
    matrix
        The first map.
    seed
        Of the similarities left out.
    tell
        Called with the round and its objective.
    """
    draws = np.random.default_rng(seed % _ALL64)
    keep, best, since = _FIRST_KEEP, -np.inf, 0
    for number in range(_MOST_ROUNDS):
        found = induce(_mapped(x, matrix), y, keep=keep, seed=int(draws.integers(1 << 62)))
        matrix = procrustes(x[found.source], y[found.target])
        tell(number, found.objective)
        if found.objective > best + _PROGRESS:
            best, since = found.objective, 0
            continue
        since += 1
        if since >= _PATIENCE:
            if keep >= 1:
                break
            keep, since = min(1.0, keep * _GROWTH), 0
    return found


def induce(x: Rows, y: Rows, *, keep: float = 1.0, seed: int = 0) -> Dictionary:
    """Each row's nearest in the other space by CSLS, both ways, when a similarity counts with probability `keep`."""
    ahead, near = _nearest(x, y, mean_similarity(y, x, NEIGHBORHOOD), keep, 2 * seed)
    behind, far = _nearest(y, x, mean_similarity(x, y, NEIGHBORHOOD), keep, 2 * seed + 1)
    source = np.concatenate([np.arange(len(x)), behind])
    target = np.concatenate([ahead, np.arange(len(y))])
    return Dictionary(source, target, float(near.mean() + far.mean()) / 2)


def _nearest(queries: Rows, rows: Rows, hubs: Rows, keep: float = 1.0, seed: int = 0) -> tuple[Ids, Rows]:
    """The row nearest to each query by CSLS, and its cosine; `hubs` are the rows' mean similarities."""
    from vecload.kernels import stochastic_nearest

    nearest = np.empty(len(queries), dtype=np.int64)
    cosines = np.empty(len(queries), dtype=np.float32)
    shift, limit = read_only(hubs / 2), np.uint64(min(int(keep * _ALL64), _ALL64))
    for some in row_blocks(len(queries), QUERIES):
        products = queries[some] @ rows.T
        stochastic_nearest.nearest_with_dropout(
            products, shift, np.uint64(seed), limit, some.start, nearest[some], cosines[some]
        )
    return nearest, cosines


def unsupervised_start(x: Rows, y: Rows) -> Dictionary:
    """A first dictionary from the shapes of the spaces alone (Artetxe, Labaka and Agirre, ACL 2018, section 3.2).

    A word's similarities to all others, sorted, are a signature that needs no common axes. The square root of the
    similarity matrix is used, which the paper found to give better signatures.
    """
    count = min(len(x), len(y), _START)
    return induce(_signature(x[:count]), _signature(y[:count]))


def _signature(rows: Rows) -> Rows:
    u, scales, _ = np.linalg.svd(rows, full_matrices=False)
    similar: Rows = (u * scales) @ u.T
    similar.sort(axis=1)
    return normalization(similar, ("unit", "center", "unit"))[1]


def _mapped(x: Rows, matrix: Matrix) -> Rows:
    """Mapped rows; an orthogonal matrix keeps them at unit length."""
    mapped: Rows = x @ matrix.astype(np.float32)
    return mapped
