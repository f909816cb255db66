"""Several spaces of the same words, such as one language in several decades: mapped onto one, and compared."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vecload.arrays import paired_cosines
from vecload.errors import OptionError, refuse_string
from vecload.mapping.dictionaries import find_pairs
from vecload.mapping.learning import map_spaces
from vecload.mapping.spacemap import SpaceMap
from vecload.search.overlap import count_common_neighbors
from vecload.vectors import Vectors
from vecload.words import Words

if TYPE_CHECKING:
    from vecload.mapping.dictionaries import Pair


def map_series(
    spaces: Sequence[Vectors],
    *,
    reference: int = -1,
    anchors: Collection[str] | None = None,
    normalize: Sequence[str] = ("unit", "center"),
) -> list[SpaceMap]:
    """Map several spaces onto one of them, by orthogonal Procrustes on the words they share.

    Hamilton, Leskovec and Jurafsky, "Diachronic word embeddings reveal statistical laws of semantic change" (ACL 2016).

    Parameters
    ----------
    spaces
        The spaces, for example one for each decade.
    reference
        Number of the space that the others are mapped onto; -1 is the last.
    anchors
        Words that are assumed to keep their meaning; None for all words that two spaces share.
    normalize
        As for `map_spaces`.

    Returns
    -------
    list of SpaceMap
        One for each space, including the reference.

    Raises
    ------
    OptionError
        If there is no such space, or two spaces share no words.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
    >>> space = Vectors([str(number) for number in range(50)], rows)
    >>> reversed_space = Vectors(space.words, rows[:, ::-1].copy())
    >>> maps = map_series([reversed_space, space], normalize=())
    >>> bool(np.allclose(maps[0].apply(reversed_space).matrix, rows, atol=1e-5))
    True
    """
    if not -len(spaces) <= reference < len(spaces):
        raise OptionError(f"reference={reference} is not one of {len(spaces)} spaces")
    target = spaces[reference]
    refuse_string("anchors", anchors)
    pairs: list[Pair] | str = "identical" if anchors is None else [(word, word) for word in anchors]
    return [map_spaces(space, target, pairs=pairs, normalize=normalize) for space in spaces]


@dataclass(frozen=True, eq=False)
class Stability:
    """Stability of words between two spaces; made by `stability`.

    Parameters
    ----------
    words
        The words that were compared.
    overlap
        Share of the nearest words of each word that are the same in both spaces, float32, shape (n,).
    cosine
        Cosine of the two vectors of each word, after mapping the first space onto the second, float32, shape (n,).
    """

    words: Words
    overlap: npt.NDArray[np.float32]
    cosine: npt.NDArray[np.float32]


def stability(a: Vectors, b: Vectors, *, words: Collection[str] | None = None, k: int = 10) -> Stability:
    """Measure how stable each word is between two spaces.

    The overlap of neighborhoods needs no map (Wendlandt, Kummerfeld and Mihalcea, "Factors influencing the surprising
    instability of word embeddings", NAACL 2018). The cosine is the one after `map_series` (Hamilton et al. 2016).

    Parameters
    ----------
    a, b
        The spaces.
    words
        Words to compare; None for all words that both spaces have, in the order of the first. Neighbors are always
        searched among all of these.
    k
        Number of neighbors.

    Raises
    ------
    OptionError
        For words that are not in both spaces, and for a k out of range.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
    >>> space = Vectors([str(number) for number in range(50)], rows)
    >>> moved = stability(space, space, words=["7", "8"], k=5)
    >>> list(moved.words), moved.overlap.tolist(), moved.cosine.round(4).tolist()
    (['7', '8'], [1.0, 1.0], [1.0, 1.0])
    """
    common = find_pairs(a, b, "identical")
    if not 0 < k < len(common.source):
        raise OptionError(f"k={k} is not between 1 and {len(common.source) - 1:,}, the other words in both spaces")
    shared = a.words.take(common.source)
    refuse_string("words", words)
    at = np.arange(len(shared)) if words is None else shared.lookup(words)
    if (at < 0).any():
        asked = list(words or ())
        missing = [asked[row] for row in np.flatnonzero(at < 0)]
        raise OptionError(f"{len(missing):,} words are not in both spaces: {', '.join(map(repr, missing[:5]))}")
    # Both spaces in one order of words, so that rows of one number correspond.
    first, second = Vectors(shared, a.rows_at(common.source)), Vectors(shared, b.rows_at(common.target))
    found = map_spaces(first, second, pairs="identical", normalize=("unit", "center"))
    sides = found.apply(first).matrix[at], found.apply_target(second).matrix[at]
    cosine = paired_cosines(*sides).astype(np.float32)
    overlap = count_common_neighbors(first.matrix, second.matrix, at, k) / k
    return Stability(shared.take(at), overlap.astype(np.float32), cosine)
