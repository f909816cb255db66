"""Fewer rows, and several sources in one: pruning, sharing of equal rows, meta-embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from vecload.arrays import scale_to_unit
from vecload.errors import OptionError, VocabularyError, refuse_string
from vecload.search import nearest
from vecload.vectors import Vectors
from vecload.words import Words

Combine = Literal["first", "average", "concatenate", "svd"]


@dataclass(frozen=True, eq=False)
class Shared:
    """Words, several of which may share a row.

    `vectors` has the rows that are kept, under their first words; `rows` int64, shape (n,), is the row of each of
    `words`, `scores` float32 the cosine of a word's own vector with that row.
    """

    words: Words
    vectors: Vectors
    rows: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def expanded(self) -> Vectors:
        """A row for every word again."""
        return Vectors(self.words, self.vectors.matrix[self.rows], self.vectors.meta)


def prune(vectors: Vectors, keep: int | Iterable[str]) -> Shared:
    """Keep some rows, and let every other word share the nearest of them.

    Parameters
    ----------
    vectors
        The space.
    keep
        How many rows from the start, or which words; words that are not there are passed over.

    Raises
    ------
    OptionError
        When nothing would be kept.

    Examples
    --------
    >>> rows = np.array([[1, 0], [0, 1], [3, 1]], dtype="float32")
    >>> made = prune(Vectors(Words.from_strings(["a", "b", "c"]), rows), 2)
    >>> made.rows.tolist(), list(made.vectors.words)
    ([0, 1, 0], ['a', 'b'])
    """
    if isinstance(keep, int):
        kept = np.arange(min(max(keep, 0), len(vectors)))
    else:
        refuse_string("keep", keep)
        found = vectors.words.lookup(keep)
        kept = np.unique(found[found >= 0])  # in file order
    if not len(kept):
        raise OptionError("prune: nothing would be kept")
    small = Vectors(vectors.words.take(kept), vectors.matrix[kept], vectors.meta)
    others = np.setdiff1d(np.arange(len(vectors)), kept, assume_unique=True)
    rows = np.empty(len(vectors), dtype=np.int64)
    scores = np.ones(len(vectors), dtype=np.float32)
    rows[kept] = np.arange(len(kept))
    near = nearest(small.matrix, vectors.matrix[others], 1)
    rows[others], scores[others] = near.rows[:, 0].clip(min=0), near.scores[:, 0]
    return Shared(vectors.words, small, rows, scores)


def share(vectors: Vectors) -> Shared:
    """Store rows that are equal, bit for bit, once."""
    raw = np.ascontiguousarray(vectors.matrix).view(np.dtype((np.void, vectors.matrix.itemsize * vectors.dim))).ravel()
    _, first, place = np.unique(raw, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")  # rows in file order again
    kept = first[order]
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    small = Vectors(vectors.words.take(kept), vectors.matrix[kept], vectors.meta)
    return Shared(vectors.words, small, rank[place], np.ones(len(vectors), dtype=np.float32))


def merge(
    sources: Sequence[Vectors],
    combine: Combine = "concatenate",
    *,
    dim: int | None = None,
    words: Literal["common", "all"] = "common",
) -> Vectors:
    """Merge several spaces into one. Rows are divided by their norms first.

    Parameters
    ----------
    sources
        Two or more spaces.
    combine
        - "concatenate": put the rows of a word side by side.
        - "first": take the row of the first source that has the word. Useful with ``words="all"``, for sources in one
          space.
        - "average" (Coates and Bollegala 2018): the mean over the sources that have the word, with shorter rows padded
          with zeros.
        - "svd" (Yin and Schütze 2016): the first `dim` singular directions of the concatenation.
    dim
        For "svd"; None for the greatest of the sources.
    words
        "common": those of all sources, in the order of the first. "all": those of any, in the order they come; zeros
        where a source lacks a word.

    Raises
    ------
    OptionError
        For fewer than two sources, rows with NaN or infinity, invalid options, and sources of different dimensions with
        "first".
    VocabularyError
        If the sources have no word in common.

    Examples
    --------
    >>> one = Vectors(["cat", "dog"], np.array([[1, 0], [0, 2]], dtype="float32"))
    >>> two = Vectors(["dog", "cow"], np.array([[1, 0], [3, 0]], dtype="float32"))
    >>> merge([one, two], "first", words="all").matrix.tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    if len(sources) < 2:
        raise OptionError(f"merge two sources or more, not {len(sources)}")
    for name, value, known in (("combine", combine, get_args(Combine)), ("words", words, ("common", "all"))):
        if value not in known:
            raise OptionError(f"{name}={value!r} is not one of {', '.join(map(repr, known))}")
    dims = [source.dim for source in sources]
    if combine == "first" and len(set(dims)) > 1:
        raise OptionError(f"combine='first' needs sources of the same dimension, got {dims}")
    if not all(np.isfinite(source.norms).all() for source in sources):
        raise OptionError("rows with NaN or infinity cannot be merged: leave them out before")
    if words == "all":
        listed = Words.from_strings(dict.fromkeys(word for source in sources for word in source.words))
    else:
        there = np.all([source.words.lookup(sources[0].words) >= 0 for source in sources], axis=0)
        listed = sources[0].words.take(np.flatnonzero(there))
    if not len(listed):
        raise VocabularyError(f"{len(sources)} sources have no word in common")
    width = max(dims)
    overlaid = combine in ("first", "average")  # all sources are added to the same columns
    made = np.zeros((len(listed), width if overlaid else sum(dims)), dtype=np.float32)
    count = np.zeros(len(listed), dtype=np.float32)
    begin = 0
    for source in sources:
        rows = source.words.lookup(listed)
        part = source.matrix[rows].astype(np.float32)
        part[(rows < 0) | (count > 0) if combine == "first" else rows < 0] = 0
        scale_to_unit(part)
        made[:, begin : begin + source.dim] += part
        count += rows >= 0
        begin += 0 if overlaid else source.dim
    if combine == "average":
        made /= count[:, None]
    if combine == "svd":
        made = _singular(made, width if dim is None else dim)
    elif dim is not None:
        raise OptionError(f"dim is for combine='svd', not for {combine!r}")
    return Vectors(
        listed, made, {"merged": [str(source.meta.get("source", "")) for source in sources], "combine": combine}
    )


def _singular(rows: npt.NDArray[np.float32], dim: int) -> npt.NDArray[Any]:
    if not 1 <= dim <= rows.shape[1]:
        raise OptionError(f"dim={dim}: keep 1 to {rows.shape[1]} directions")
    _, axes = np.linalg.eigh((rows.T @ rows).astype(np.float64))
    axes = axes[:, ::-1][:, :dim]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(dim)])
    made: npt.NDArray[Any] = rows @ axes.astype(np.float32)
    return made
