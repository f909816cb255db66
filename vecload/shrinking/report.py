"""`Shrunk`: how much smaller a model is, and how much it lost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import paired_cosines
from vecload.errors import VocabularyError
from vecload.evaluation import read_pairs, similarity
from vecload.loading import load
from vecload.search.overlap import count_common_neighbors
from vecload.shrinking.parts import compose
from vecload.vectors import Vectors
from vecload.words import Words, pack

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.formats.fasttext.layout import Model

    Ids = npt.NDArray[np.int64]

_SAMPLE: Final = 1000
_COMPARED: Final = 20_000  # most frequent words among which neighbors are searched
_NEIGHBORS: Final = 10
_DATASETS: Final = ("wordsim353", "simlex999")


@dataclass(frozen=True)
class Shrunk:
    """Result of `vecload.shrink`; ``str()`` is a small table.

    Parameters
    ----------
    words, buckets, dim
        Number of words, of rows of n-grams, and of values in a vector, in the new model.
    bytes_before, bytes_after
        Sizes of the files.
    cosine
        Mean cosine of the new with the original vectors of the words "frequent", "rare" and "unseen". Unseen words are
        those that were dropped, which are composed from n-grams now.
    neighbors
        Share of the ten nearest neighbors that stayed the same, for 1,000 of the most frequent words; None without a
        report.
    similarity
        Spearman correlation with human judgments before and after, by data set of gensim.
    """

    words: int
    buckets: int
    dim: int
    bytes_before: int
    bytes_after: int
    cosine: Mapping[str, float] = field(default_factory=dict)
    neighbors: float | None = None
    similarity: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        share = self.bytes_after / max(self.bytes_before, 1)
        lines = [
            f"{self.words:,} words, {self.buckets:,} n-gram rows, {self.dim} values",
            f"{self.bytes_before / 1e6:,.1f} MB before, {self.bytes_after / 1e6:,.1f} MB after ({share:.1%})",
        ]
        lines += [f"cosine with the original, {name} words: {value:.3f}" for name, value in self.cosine.items()]
        if self.neighbors is not None:
            lines.append(f"nearest neighbors that are the same: {self.neighbors:.1%}")
        lines += [
            f"{name}: {before:.3f} before, {after:.3f} after" for name, (before, after) in self.similarity.items()
        ]
        return "\n".join(lines)


def measure(
    model: Model,
    rows: Ids,
    target: str | os.PathLike[str],
    format: str,  # noqa: A002 - the field's word
    axes: npt.NDArray[np.float64] | None,
    seed: int,
) -> dict[str, Any]:
    """Compare a new model with the original one; return the last fields of `Shrunk`.

    Parameters
    ----------
    model, rows
        The original model, and the words that were kept.
    target, format
        The new model.
    axes
        Axes that it was projected onto; None if its dimension is that of the original.
    seed
        Seed of the sample of dropped words.
    """
    after = load(target, format=format)
    rng = np.random.default_rng(seed)
    dropped = np.setdiff1d(np.arange(len(model.counts)), rows)
    dropped = np.sort(rng.choice(dropped, min(_SAMPLE, len(dropped)), replace=False))
    samples = {"frequent": rows[:_SAMPLE], "rare": rows[-_SAMPLE:], "unseen": dropped}
    cosines = {
        name: float(paired_cosines(_original(model, some), _lifted(_new(model, some, after), axes)).mean())
        for name, some in samples.items()
        if len(some)
    }
    common = rows[:_COMPARED]
    before = Vectors(_words(model, common), _original(model, common))
    queries = np.arange(min(_SAMPLE, len(common)))
    k = min(_NEIGHBORS, len(common) - 1)
    shared = None
    if k > 0:
        now = _new(model, common, after)
        shared = float(count_common_neighbors(before.matrix, now, queries, k).sum() / (k * len(queries)))
    return {"cosine": cosines, "neighbors": shared, "similarity": _judged(model, after)}


def _judged(model: Model, after: Vectors) -> dict[str, tuple[float, float]]:
    """Return the correlations with human judgments before and after; unknown words are composed in both."""
    if find_spec("gensim") is None:
        return {}
    found = {}
    for name in _DATASETS:
        pairs = read_pairs(name)
        at = Words(model.data, model.offsets).lookup(sorted({*pairs.left, *pairs.right}))
        some = np.sort(at[at >= 0])
        before = Vectors(_words(model, some), _original(model, some), ngrams=model.ngrams)
        try:
            found[name] = (similarity(before, pairs).spearman, similarity(after, pairs).spearman)
        except VocabularyError:  # none of the pairs is in the model, as in other languages
            continue
    return {name: pair for name, pair in found.items() if np.isfinite(pair).all()}


def _words(model: Model, rows: Ids) -> Words:
    return Words(*pack(model.data, model.offsets[rows], model.offsets[rows + 1]))


def _original(model: Model, rows: Ids) -> npt.NDArray[np.float32]:
    return np.concatenate(
        [np.empty((0, model.arguments.dim), dtype=np.float32)] + [one.vectors for one in compose(model, rows)]
    )


def _new(model: Model, rows: Ids, after: Vectors) -> npt.NDArray[np.float32]:
    """Return the new vectors of words, composed if they were dropped."""
    words = _words(model, rows)
    at = after.words.lookup(words)
    made = np.zeros((len(rows), after.dim), dtype=np.float32)
    made[at >= 0] = after.rows_at(at[at >= 0])
    absent = np.flatnonzero(at < 0)
    if len(absent) and after.ngrams is not None:
        made[absent] = after.ngrams.vectors([words[row] for row in absent.tolist()])
    return made


def _lifted(rows: npt.NDArray[np.float32], axes: npt.NDArray[np.float64] | None) -> npt.NDArray[Any]:
    """Return projected rows in the original space."""
    return rows if axes is None else rows @ axes.T
