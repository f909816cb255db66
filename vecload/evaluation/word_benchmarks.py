"""Word similarity and analogies: comparison of vectors with human judgments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vecload.arrays import row_blocks
from vecload.errors import VocabularyError
from vecload.evaluation.correlation import pearson, spearman
from vecload.evaluation.datasets import Analogies, Pairs
from vecload.evaluation.protocols import Protocol, WordLookup, as_protocol
from vecload.message_text import sample
from vecload.progress import progress_bar
from vecload.search import Method, solve_analogies
from vecload.vectors import Vectors

# Analogies that are solved at a time.
_BATCH = 1024
# gensim searches this many answers for the first one that is not one of the three words, ignoring case.
_ANSWERS = 5


@dataclass(frozen=True)
class Similarity:
    """Correlation of the cosines of word pairs with human judgments; made by `similarity`."""

    dataset: str
    """Name of the data set."""
    protocol: str
    """Name of the protocol."""
    spearman: float
    """Spearman's rho; NaN for fewer than two pairs, or if one side does not vary."""
    pearson: float
    """Pearson's r; NaN likewise."""
    used: int
    """Number of pairs that count."""
    total: int
    """Number of pairs in the data set."""
    missing: int
    """Number of pairs with a word that has no row."""


@dataclass(frozen=True)
class Section:
    """Result for one section of analogies."""

    name: str
    """Name of the section."""
    correct: int
    """Number of analogies that were answered correctly."""
    used: int
    """Number of analogies that count."""
    total: int
    """Number of analogies in the section."""

    @property
    def accuracy(self) -> float:
        """Share of the used analogies that were answered correctly; 0 if none was used, as in gensim."""
        return self.correct / self.used if self.used else 0.0


@dataclass(frozen=True)
class AnalogyScore:
    """Accuracy of analogies; made by `analogies`."""

    dataset: str
    """Name of the data set."""
    protocol: str
    """Name of the protocol."""
    method: str
    """Method by which analogies were solved."""
    sections: tuple[Section, ...]
    """Result for each section."""
    missing: int
    """Number of analogies with a word that has no row."""

    @property
    def total(self) -> Section:
        """Sum of all sections."""
        counts = ((section.correct, section.used, section.total) for section in self.sections)
        return Section("total", *map(sum, zip(*counts, strict=True)))

    @property
    def accuracy(self) -> float:
        """Share of all used analogies that were answered correctly."""
        return self.total.accuracy


def similarity(vectors: Vectors, pairs: Pairs, *, protocol: str | Protocol = "gensim") -> Similarity:
    """Correlate the cosines of word pairs with human judgments.

    Parameters
    ----------
    vectors
        The vectors.
    pairs
        Pairs and judgments: see `vecload.evaluation.read_pairs`.
    protocol
        Name of a protocol, or a `Protocol`.

    Raises
    ------
    VocabularyError
        If no pair can be used.

    Notes
    -----
    Correlations are NaN if only one pair can be used, or one side does not vary. A vector of zeros has cosine 0.

    Examples
    --------
    >>> from vecload.evaluation import Pairs
    >>> rows = np.array([[1, 0], [1, 1], [0, 1]], dtype="float32")
    >>> vectors = Vectors(["cat", "dog", "car"], rows)
    >>> judged = Pairs("three", ("cat", "cat", "cat"), ("dog", "car", "cow"), np.array([9.0, 1.0, 5.0]))
    >>> similarity(vectors, judged).spearman, similarity(vectors, judged).missing
    (1.0, 1)
    """
    chosen = as_protocol(protocol)
    lookup = WordLookup(vectors, chosen)
    left, left_rows, left_usable = lookup.unit_vectors(pairs.left)
    right, right_rows, right_usable = lookup.unit_vectors(pairs.right)
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
    """Solve analogies and count the correct answers.

    Parameters
    ----------
    vectors
        The vectors.
    questions
        Quadruples of words in sections: see `vecload.evaluation.read_analogies`.
    protocol
        Name of a protocol, or a `Protocol`. The three given words are not accepted as answers, nor are, under
        ``case="fold"``, the same words with other capital letters.
    method
        "3cosadd" or "3cosmul".
    progress
        Whether to show a bar; None shows it if standard error is a terminal.

    Raises
    ------
    VocabularyError
        If no analogy can be used.
    """
    chosen = as_protocol(protocol)
    lookup = WordLookup(vectors, chosen)
    quadruples = [quadruple for _, some in questions.sections for quadruple in some]
    # Each word is looked up once, although it is in many analogies.
    words = sorted({word for quadruple in quadruples for word in quadruple})
    number = {word: at for at, word in enumerate(words)}
    at = np.array([[number[word] for word in quadruple] for quadruple in quadruples], dtype=np.int64)
    values, word_rows, word_usable = lookup.unit_vectors(words)
    rows, usable = word_rows[at], word_usable[at].all(axis=1)
    if not usable.any():
        sides = f"the questions have {sample(words)}; the words of the vectors begin with {sample(vectors.words)}"
        raise VocabularyError(
            f"{questions.name}: no analogy has all four words among the {lookup.count:,} of the vectors: {sides}"
        )
    # A fourth word without a row cannot be found, so such an analogy is wrong without being solved.
    asked = np.flatnonzero(usable & (rows[:, 3] >= 0))
    if chosen.missing == "zero":
        asked = asked[(rows[asked] >= 0).all(axis=1)]
    correct = np.zeros(len(rows), dtype=np.bool_)
    # The last entry makes row -1 (no answer) stand for itself.
    first = np.append(lookup.first, -1)
    with progress_bar(len(asked), unit="analogies", name=questions.name, shown=progress) as bar:
        for block in row_blocks(len(asked), _BATCH):
            some = asked[block]
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
            # The first answer that is not one of the three words counts; the last one if all are.
            answers = first[found]
            refused = (answers[:, :, None] == exclude[:, None, :]).any(axis=2)
            place = np.where(refused.all(axis=1), _ANSWERS - 1, refused.argmin(axis=1))
            correct[some] = np.take_along_axis(answers, place[:, None], 1)[:, 0] == rows[some, 3]
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
