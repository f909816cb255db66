"""Cross-domain similarity local scaling: neighbours between two spaces, without hubs.

Conneau, Lample, Ranzato, Denoyer and Jégou, "Word translation without parallel data", ICLR 2018, section 2.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vecload.search.exact import Nearest, Objective, best, checked, inverse, nearest, unit
from vecload.vectors import Vectors


def csls(
    source: Vectors,
    target: Vectors,
    queries: npt.NDArray[np.int64] | None = None,
    k: int = 10,
    *,
    neighborhood: int = 10,
) -> Nearest:
    """The k rows of `target` nearest to rows of `source`, in one space, by CSLS.

    Parameters
    ----------
    source, target
        Vectors of one space, of the same dimension.
    queries
        Which rows of `source`, int64, shape (q,); None for all.
    k
        How many rows of `target` for each.
    neighborhood
        How many neighbours make the mean similarity of a word to the other space.

    Returns
    -------
    Nearest
        Scores are ``2 cos(x, y) - r_T(x) - r_S(y)``, where r_T(x) is the mean cosine of x with its nearest of `target`,
        r_S(y) that of y with its nearest of `source`: of all of `source`, not only of the queries.

    Notes
    -----
    Products are taken in blocks, so memory is that of the results: a few hundred MB for 200 000 × 200 000 words.

    Examples
    --------
    >>> from vecload import Vectors, Words
    >>> rows = np.eye(3, dtype="float32")
    >>> one = Vectors(Words.from_strings(["a", "b", "c"]), rows)
    >>> other = Vectors(Words.from_strings(["x", "y", "z"]), rows[[1, 0, 2]])
    >>> csls(one, other, k=1, neighborhood=2).rows.tolist()
    [[1], [0], [2]]
    """
    rows = source.matrix if queries is None else source.matrix[queries]
    there = checked(target, rows)
    near_target = mean_similarity(there, target, neighborhood)
    near_source = mean_similarity(target.matrix, source, neighborhood)

    def exact(q: npt.NDArray[Any], x: npt.NDArray[Any], at: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        scores: npt.NDArray[np.float64] = 2 * np.einsum("qpd,qkd->qk", unit(q), unit(x)) - near_source[at]
        return scores

    sought = Objective(2 * inverse(target.norms), -near_source, exact)
    found = best(target, there[:, None], k, sought)
    return found._replace(scores=found.scores - near_target[:, None])


def mean_similarity(rows: npt.NDArray[Any], space: Vectors, neighborhood: int = 10) -> npt.NDArray[np.float32]:
    """Mean cosine of each row with its nearest of a space: float32, shape (n,); CSLS calls it r."""
    scores = nearest(space, rows, min(neighborhood, len(space))).scores
    return np.asarray(np.nanmean(scores, axis=1, dtype=np.float64), dtype=np.float32)
