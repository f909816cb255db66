"""`Shrunk`: how much smaller a model is, and how much it lost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import paired_cosines, row_blocks
from vecload.errors import VocabularyError
from vecload.evaluation import read_pairs, similarity
from vecload.loading import load
from vecload.search.overlap import count_common_neighbors
from vecload.shrinking.parts import compose_all, packed
from vecload.vectors import Vectors
from vecload.words import Words, encode

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.formats.fasttext.layout import Model

    Ids = npt.NDArray[np.int64]

_SAMPLE: Final = 1000
_COMPARED: Final = 10_000  # most frequent words among which neighbors are searched
_NEIGHBORS: Final = 10
_QUERIES: Final = 100  # whose neighbors are searched at a time
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
        Mean cosine of the new with the original vectors of the 1,000 most "frequent" and most "rare" words that were
        kept, of 1,000 of the words that were "dropped" and are composed from n-grams now, and of 1,000 "unseen" words
        that both models compose from n-grams. Unseen words are made of halves of the model's words.
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
    axes: npt.NDArray[np.float32] | None,
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
    rng = np.random.default_rng(seed)
    dropped = np.ones(len(model.counts), dtype=np.bool_)
    dropped[rows] = False
    gone = np.flatnonzero(dropped)
    some = np.sort(rng.choice(gone, min(_SAMPLE, len(gone)), replace=False))
    common = rows[:_COMPARED]
    judged = {name: read_pairs(name) for name in (_DATASETS if find_spec("gensim") is not None else ())}
    known = _judged_rows(model, judged)
    # Only the words that are compared are read.
    read = np.unique(np.concatenate([common, rows[-_SAMPLE:], np.intersect1d(known, rows)]))
    after = load(target, format=format, vocab=_words(model, read), progress=False)
    samples = {"frequent": rows[:_SAMPLE], "rare": rows[-_SAMPLE:], "dropped": some}
    cosines = {
        name: _cosine(compose_all(model, one), _new(model, one, after), axes)
        for name, one in samples.items()
        if len(one)
    }
    invented = _invented(model, rng)
    if invented and after.ngrams is not None:
        cosines["unseen"] = _cosine(model.ngrams.vectors(invented), after.ngrams.vectors(invented), axes)
    k = min(_NEIGHBORS, len(common) - 1)
    shared = None
    if k > 0:
        queries = np.arange(min(_SAMPLE, len(common)))
        before, now = compose_all(model, common), _new(model, common, after)
        # A few queries at a time need less memory.
        counts = [
            count_common_neighbors(before, now, queries[at], k).sum() for at in row_blocks(len(queries), _QUERIES)
        ]
        shared = float(sum(counts) / (k * len(queries)))
    return {"cosine": cosines, "neighbors": shared, "similarity": _judged(model, known, after, judged)}


def _cosine(before: npt.NDArray[Any], after: npt.NDArray[Any], axes: npt.NDArray[np.float32] | None) -> float:
    """Return the mean cosine of rows and of new rows, which are lifted to the original space."""
    return float(paired_cosines(before, after if axes is None else after @ axes.T).mean())


def _invented(model: Model, rng: np.random.Generator) -> list[str]:
    """Return words that look like those of the model but are not among them: halves of two words, joined.

    Only words with n-grams count, because others have no vector.
    """
    some = np.sort(rng.choice(len(model.counts), min(_SAMPLE, len(model.counts)), replace=False))
    words = list(_words(model, some))
    ends = [words[at] for at in rng.permutation(len(words))]
    made = [one[: (len(one) + 1) // 2] + other[len(other) // 2 :] for one, other in zip(words, ends, strict=True)]
    # Halves of one word, or of words that have the same beginning or end, can make a known word.
    made = sorted({word for word in made if encode(word) is not None})
    known = Words.from_strings(made).lookup(Words(model.data, model.offsets))
    unknown = set(made).difference(made[at] for at in np.unique(known[known >= 0]))
    made = sorted(unknown)
    return [word for word, count in zip(made, model.ngrams.counts(made), strict=True) if count]


def _judged_rows(model: Model, judged: Mapping[str, Any]) -> Ids:
    """Return the rows of the words that have human judgments."""
    words = {word for pairs in judged.values() for word in (*pairs.left, *pairs.right)}
    return np.flatnonzero(Words.from_strings(sorted(words)).lookup(Words(model.data, model.offsets)) >= 0)


def _judged(model: Model, known: Ids, after: Vectors, judged: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the correlations with human judgments before and after; unknown words are composed in both."""
    before = Vectors(_words(model, known), compose_all(model, known), ngrams=model.ngrams)
    found = {}
    for name, pairs in judged.items():
        try:
            found[name] = (similarity(before, pairs).spearman, similarity(after, pairs).spearman)
        except VocabularyError:  # none of the pairs is in the model, as in other languages
            continue
    return {name: pair for name, pair in found.items() if np.isfinite(pair).all()}


def _words(model: Model, rows: Ids) -> Words:
    return Words(*packed(model, rows))


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
