"""Several spaces of the same words, as of one language at several times: brought onto one, and compared."""

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
from vecload.search import nearest
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
    """Maps of several spaces onto one of them by orthogonal Procrustes on the words they share.

    Hamilton, Leskovec and Jurafsky, "Diachronic word embeddings reveal statistical laws of semantic change" (ACL 2016).

    Parameters
    ----------
    spaces
        The spaces, as from one decade to the next.
    reference
        Which of them the others are mapped onto.
    anchors
        Words whose meaning is taken to have stayed; None for all that two spaces share.
    normalize
        As for `map_spaces`.

    Returns
    -------
    list of SpaceMap
        One a space, the reference's own included.

    Examples
    --------
    >>> from vecload import Words
    >>> rows = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
    >>> space = Vectors(Words.from_strings(map(str, range(50))), rows)
    >>> turned = Vectors(space.words, rows[:, ::-1].copy())
    >>> maps = map_series([turned, space], normalize=())
    >>> bool(np.allclose(maps[0].apply(turned).matrix, rows, atol=1e-5))
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
    """How much words stayed where they were between two spaces.

    Parameters
    ----------
    words
        The words both spaces have (or those asked for), in the first one's order.
    overlap
        Share of each word's nearest words that are the same in both spaces, float32 (n,).
    cosine
        Of each word's two vectors after the first space was mapped onto the second, float32 (n,).
    """

    words: Words
    overlap: npt.NDArray[np.float32]
    cosine: npt.NDArray[np.float32]


def stability(a: Vectors, b: Vectors, *, words: Collection[str] | None = None, k: int = 10) -> Stability:
    """How much each word stayed where it was between two spaces.

    The overlap of neighbourhoods needs no map (Wendlandt, Kummerfeld and Mihalcea, "Factors influencing the surprising
    instability of word embeddings", NAACL 2018); the cosine is that after `map_series` (Hamilton et al. 2016).

    Parameters
    ----------
    a, b
        The spaces.
    words
        Which words to look at; None for all both have. Neighbours are always sought among all of those.
    k
        Size of a neighbourhood.

    Examples
    --------
    >>> from vecload import Words
    >>> rows = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
    >>> space = Vectors(Words.from_strings(map(str, range(50))), rows)
    >>> moved = stability(space, space, words=["7", "8"], k=5)
    >>> list(moved.words), moved.overlap.tolist(), moved.cosine.round(4).tolist()
    (['7', '8'], [1.0, 1.0], [1.0, 1.0])
    """
    common = find_pairs(a, b, "identical")
    if not 0 < k < len(common.source):
        raise OptionError(f"k={k} is not between 1 and the {len(common.source):,} words in common, less one")
    shared = a.words.take(common.source)
    refuse_string("words", words)
    at = np.arange(len(shared)) if words is None else shared.lookup(words)
    if (at < 0).any():
        asked = list(words or ())
        missing = [asked[row] for row in np.flatnonzero(at < 0)]
        raise OptionError(f"{len(missing):,} words are not in both spaces: {', '.join(map(repr, missing[:5]))}")
    first, second = Vectors(shared, a.matrix[common.source]), Vectors(shared, b.matrix[common.target])
    found = map_spaces(first, second, pairs="identical", normalize=("unit", "center"))
    sides = found.apply(first).matrix[at], found.apply_target(second).matrix[at]
    cosine = paired_cosines(*sides).astype(np.float32)
    near, far = (
        nearest(vectors.matrix, vectors.matrix[at], k, exclude=at[:, None]).rows.tolist() for vectors in (first, second)
    )
    overlap = [len(set(one) & set(other)) / k for one, other in zip(near, far, strict=True)]
    return Stability(shared.take(at), np.array(overlap, dtype=np.float32), cosine)
