"""Dictionaries that are induced from the spaces: mutual neighbors, self-learning, and a start without any pairs.

All functions take the rows of the most frequent words, float32 of unit length, so that a product of two is a cosine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vecload.arrays import row_blocks
from vecload.mapping.normalization import fit_normalization
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

REFINEMENTS = 5
# Words that the start without pairs compares (section 3.2 of Artetxe et al., ACL 2018).
_START = 4000
# Stochastic dictionary induction (section 3.3 of the same): the first probability of keeping a similarity, its growth,
# the rounds without progress after which it grows, and the least progress that counts.
_FIRST_KEEP = 0.1
_GROWTH = 2.0
_PATIENCE = 10
_PROGRESS = 1e-6
_MOST_ROUNDS = 1000
_ALL64 = (1 << 64) - 1


class Dictionary(NamedTuple):
    """Corresponding rows of source and target, and how near the words of both spaces are on average.

    `source` and `target` are int64, shape (n,). `objective` grows as the map improves, and needs no known pairs.
    """

    source: Ids
    target: Ids
    objective: float


def mutual_neighbors(x: Rows, y: Rows) -> Dictionary:
    """Return the rows that are each other's nearest by CSLS, and the mean CSLS of all nearest rows.

    Conneau et al. (ICLR 2018), section 2.3.
    """
    to_target, to_source = mean_similarity(x, y, NEIGHBORHOOD), mean_similarity(y, x, NEIGHBORHOOD)
    forward, cosines = _nearest(x, y, to_source)
    backward, _ = _nearest(y, x, to_target)
    rows = np.arange(len(x))
    mutual = backward[forward] == rows
    return Dictionary(rows[mutual], forward[mutual], float((2 * cosines - to_target - to_source[forward]).mean()))


def refine(x: Rows, y: Rows, matrix: Matrix, on_round: Callable[[int, float], object] = lambda *_: None) -> Matrix:
    """Repeat Procrustes on mutual neighbors five times, and return the matrix of the best round.

    Conneau et al. (ICLR 2018). The best round is the one with the largest mean CSLS of nearest neighbors, their
    criterion for choosing a model without known pairs.
    """
    # One round more than refinements, because each round scores the matrix that the round before computed.
    best, best_score = matrix, -np.inf
    for number in range(REFINEMENTS + 1):
        found = mutual_neighbors(_mapped(x, matrix), y)
        on_round(number, found.objective)
        if found.objective > best_score:
            best, best_score = matrix, found.objective
        if not len(found.source):
            break
        matrix = procrustes(x[found.source], y[found.target])
    return best


def self_learn(x: Rows, y: Rows, matrix: Matrix, *, seed: int, on_round: Callable[[int, float], object]) -> Dictionary:
    """Grow a dictionary from a first map that may be poor.

    Artetxe, Labaka and Agirre, "A robust self-learning method for fully unsupervised cross-lingual mappings of word
    embeddings" (ACL 2018), section 3.3. Each round finds the nearest neighbor of every word in the other space, in both
    directions, and maps again by that dictionary. Similarities are dropped at random, so that the search can leave a
    poor start. Each is kept with a probability that doubles, from 0.1 to 1, after every ten rounds without progress.

    Parameters
    ----------
    x, y
        Normalized rows of both spaces.
    matrix
        The first map.
    seed
        Random seed of the dropped similarities.
    on_round
        Called with the number and the objective of each round.
    """
    draws = np.random.default_rng(seed % _ALL64)
    keep, best, since = _FIRST_KEEP, -np.inf, 0
    for number in range(_MOST_ROUNDS):
        found = induce(_mapped(x, matrix), y, keep=keep, seed=int(draws.integers(1 << 62)))
        matrix = procrustes(x[found.source], y[found.target])
        on_round(number, found.objective)
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
    """Return the nearest row of each row by CSLS, in both directions; similarities count with probability `keep`."""
    forward, near = _nearest(x, y, mean_similarity(y, x, NEIGHBORHOOD), keep, 2 * seed)
    backward, far = _nearest(y, x, mean_similarity(x, y, NEIGHBORHOOD), keep, 2 * seed + 1)
    source = np.concatenate([np.arange(len(x)), backward])
    target = np.concatenate([forward, np.arange(len(y))])
    return Dictionary(source, target, float(near.mean() + far.mean()) / 2)


def _nearest(queries: Rows, rows: Rows, similarity: Rows, keep: float = 1.0, seed: int = 0) -> tuple[Ids, Rows]:
    """Return the row nearest to each query by CSLS, and its cosine.

    `similarity` is the mean similarity of each row to the other space. That of the queries is left out, because it is
    the same for all rows.
    """
    from vecload.kernels import stochastic_nearest

    nearest = np.empty(len(queries), dtype=np.int64)
    cosines = np.empty(len(queries), dtype=np.float32)
    # The row with the largest 2 cos - r is the one with the largest cos - r / 2.
    shift = read_only(similarity / 2)
    # A similarity is kept if its 64 random bits are at most this.
    limit = np.uint64(min(int(keep * _ALL64), _ALL64))
    for some in row_blocks(len(queries), QUERIES):
        # Random bits depend on the numbers of query and row, so results do not depend on the size of blocks.
        products = queries[some] @ rows.T
        stochastic_nearest.nearest_with_dropout(
            products, shift, np.uint64(seed), limit, some.start, nearest[some], cosines[some]
        )
    return nearest, cosines


def unsupervised_start(x: Rows, y: Rows) -> Dictionary:
    """Return a first dictionary that is found from the shapes of the spaces alone.

    Artetxe, Labaka and Agirre (ACL 2018), section 3.2. The sorted similarities of a word to all others are a signature
    that can be compared between spaces without common axes.
    """
    count = min(len(x), len(y), _START)
    return induce(_signatures(x[:count]), _signatures(y[:count]))


def _signatures(rows: Rows) -> Rows:
    """Return the sorted rows of the square root of the similarity matrix, which works better than the matrix itself."""
    u, scales, _ = np.linalg.svd(rows, full_matrices=False)
    similar: Rows = (u * scales) @ u.T
    similar.sort(axis=1)
    return fit_normalization(similar, ("unit", "center", "unit"))[1]


def _mapped(x: Rows, matrix: Matrix) -> Rows:
    """Return mapped rows, which an orthogonal matrix keeps at unit length."""
    mapped: Rows = x @ matrix.astype(np.float32)
    return mapped
