"""Word similarity and analogies, figure by figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vecload.errors import VocabularyError
from vecload.evaluation.correlation import pearson, spearman
from vecload.evaluation.datasets import Analogies, Pairs
from vecload.evaluation.protocols import Lookup, Protocol, protocol_of
from vecload.message_text import sample
from vecload.progress import progress_bar
from vecload.search import Method, solve_analogies
from vecload.vectors import Vectors

_BATCH = 1024  # analogies answered together
_ANSWERS = 5  # so many are looked at for one that is none of the three words, as gensim does


@dataclass(frozen=True)
class Similarity:
    """How well cosines follow judgements."""

    dataset: str
    protocol: str
    spearman: float
    pearson: float
    used: int
    """Pairs that count."""
    total: int
    missing: int
    """Pairs with a word that has no row."""


@dataclass(frozen=True)
class Section:
    """Analogies of one kind."""

    name: str
    correct: int
    used: int
    total: int

    @property
    def accuracy(self) -> float:
        """Share of those used that were answered as expected; 0 when there are none, as gensim has it."""
        return self.correct / self.used if self.used else 0.0


@dataclass(frozen=True)
class AnalogyScore:
    """How many analogies are answered."""

    dataset: str
    protocol: str
    method: str
    sections: tuple[Section, ...]
    missing: int
    """Analogies with a word that has no row."""

    @property
    def total(self) -> Section:
        """All sections as one."""
        counts = ((section.correct, section.used, section.total) for section in self.sections)
        return Section("total", *map(sum, zip(*counts, strict=True)))

    @property
    def accuracy(self) -> float:
        """Share of all analogies used that were answered as expected."""
        return self.total.accuracy


def similarity(vectors: Vectors, pairs: Pairs, *, protocol: str | Protocol = "gensim") -> Similarity:
    """Correlate cosines of word pairs with judgements.

    Parameters
    ----------
    vectors
        What to evaluate.
    pairs
        Pairs and judgements: `vecload.evaluation.read_pairs`.
    protocol
        By name, or a `Protocol`.

    Raises
    ------
    VocabularyError
        When no pair can be used.

    Notes
    -----
    Correlations are NaN where only one pair is left or one side does not vary. A vector of zeros has cosine 0.

    Examples
    --------
    >>> from vecload import Vectors, Words
    >>> from vecload.evaluation import Pairs
    >>> rows = np.array([[1, 0], [1, 1], [0, 1]], dtype="float32")
    >>> vectors = Vectors(Words.from_strings(["cat", "dog", "car"]), rows)
    >>> judged = Pairs("three", ("cat", "cat", "cat"), ("dog", "car", "cow"), np.array([9.0, 1.0, 5.0]))
    >>> similarity(vectors, judged).spearman, similarity(vectors, judged).missing
    (1.0, 1)
    """
    chosen = protocol_of(protocol)
    lookup = Lookup(vectors, chosen)
    left, left_rows, left_usable = lookup.unit(pairs.left)
    right, right_rows, right_usable = lookup.unit(pairs.right)
    use = left_usable & right_usable
    if not use.any():
        sides = (
            f"the pairs begin with {sample(pairs.left)}; the words of the vectors begin with {sample(vectors.words)}"
        )
        raise VocabularyError(
            f"{pairs.name}: no pair has both words among the {lookup.count:,} of the vectors: {sides}"
        )
    cosines = np.einsum("nd,nd->n", left[use], right[use])
    return Similarity(
        dataset=pairs.name,
        protocol=chosen.name,
        spearman=spearman(pairs.gold[use], cosines),
        pearson=pearson(pairs.gold[use], cosines),
        used=int(use.sum()),
        total=len(use),
        missing=int(((left_rows < 0) | (right_rows < 0)).sum()),
    )


def analogies(
    vectors: Vectors,
    questions: Analogies,
    *,
    protocol: str | Protocol = "gensim",
    method: Method = "3cosadd",
    progress: bool | None = None,
) -> AnalogyScore:
    """Answer analogies, many at once, and count the right answers.

    Parameters
    ----------
    vectors
        What to evaluate.
    questions
        Quadruples in sections: `vecload.evaluation.read_analogies`.
    protocol
        By name, or a `Protocol`. The three words asked with are no answers, nor are other cases of them under "fold".
    method
        "3cosadd" or "3cosmul".
    progress
        Whether to show a bar; None when standard error is a terminal.

    Raises
    ------
    VocabularyError
        When no analogy can be used.
    """
    chosen = protocol_of(protocol)
    lookup = Lookup(vectors, chosen)
    quadruples = [quadruple for _, some in questions.sections for quadruple in some]
    words = sorted({word for quadruple in quadruples for word in quadruple})
    number = {word: at for at, word in enumerate(words)}
    at = np.array([[number[word] for word in quadruple] for quadruple in quadruples], dtype=np.int64)
    values, word_rows, word_usable = lookup.unit(words)
    rows, usable = word_rows[at], word_usable[at].all(axis=1)
    if not usable.any():
        sides = f"the questions have {sample(words)}; the words of the vectors begin with {sample(vectors.words)}"
        raise VocabularyError(
            f"{questions.name}: no analogy has all four words among the {lookup.count:,} of the vectors: {sides}"
        )
    asked = np.flatnonzero(usable & (rows[:, 3] >= 0))  # what has no row cannot be found
    if chosen.missing == "zero":
        asked = asked[(rows[asked] >= 0).all(axis=1)]
    correct = np.zeros(len(rows), dtype=np.bool_)
    first = np.append(lookup.first, -1)  # of -1: -1
    with progress_bar(len(asked), unit="analogies", name=questions.name, shown=progress) as bar:
        for begin in range(0, len(asked), _BATCH):
            some = asked[begin : begin + _BATCH]
            queries, exclude = values[at[some, :3]], rows[some, :3]
            found = solve_analogies(
                vectors.matrix,
                queries,
                _ANSWERS,
                method=method,
                limit=lookup.count,
                exclude=exclude,
                norms=vectors.norms,
                progress=False,
            ).rows
            same = first[found]
            banned = (same[:, :, None] == exclude[:, None, :]).any(axis=2)
            place = np.where(banned.all(axis=1), _ANSWERS - 1, banned.argmin(axis=1))
            correct[some] = np.take_along_axis(same, place[:, None], 1)[:, 0] == rows[some, 3]
            bar.advance(len(some))
    ends = np.cumsum([len(some) for _, some in questions.sections])
    parts: Any = zip(questions.sections, np.split(correct, ends[:-1]), np.split(usable, ends[:-1]), strict=True)
    return AnalogyScore(
        dataset=questions.name,
        protocol=chosen.name,
        method=method,
        sections=tuple(Section(name, int(right.sum()), int(used.sum()), len(used)) for (name, _), right, used in parts),
        missing=int((rows < 0).any(axis=1).sum()),
    )
