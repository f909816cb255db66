"""Figures that need more than one file of vectors: translation of words, and similarity of sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from vecload.arrays import paired_cosines
from vecload.errors import OptionError, VocabularyError
from vecload.evaluation.correlation import pearson, spearman
from vecload.evaluation.datasets import Pairs
from vecload.evaluation.protocols import Lookup, Protocol, protocol_of
from vecload.message_text import sample
from vecload.search import csls, nearest
from vecload.text_input import list_of_pairs
from vecload.vectors import Vectors

Retrieval = Literal["nn", "csls"]


@dataclass(frozen=True)
class Induction:
    """How often a word's translation is among the k nearest of the other space."""

    retrieval: str
    protocol: str
    precision: dict[int, float]
    """k → share of the source words used of which a translation is among the first k."""
    used: int
    """Source words that count: with a row, and a translation with one."""
    total: int
    """Source words of the dictionary."""


def induction(
    source: Vectors,
    target: Vectors,
    dictionary: Iterable[tuple[str, str]],
    *,
    k: Sequence[int] = (1, 5, 10),
    retrieval: Retrieval = "csls",
    protocol: str | Protocol = "exact",
) -> Induction:
    """Bilingual lexicon induction: translate by neighbours, and compare with a dictionary.

    Parameters
    ----------
    source, target
        Vectors of one space: the source mapped onto the target, say.
    dictionary
        Pairs (source word, target word); a word may have several translations, of which one is enough.
    k
        How many answers may be looked at.
    retrieval
        "nn", the nearest by cosine, or "csls".
    protocol
        How words are looked up. "exact" takes all rows; published MUSE figures lower-case words and take the first
        200 000 rows: ``Protocol("muse", case="lower", limit=200_000)``.

    Raises
    ------
    VocabularyError
        When no pair has both words.
    OptionError
        For a retrieval that is none, a protocol that replaces missing words, or a k below 1.

    Examples
    --------
    >>> from vecload import Vectors, Words
    >>> rows = np.eye(3, dtype="float32")
    >>> english = Vectors(Words.from_strings(["cat", "dog", "cow"]), rows)
    >>> german = Vectors(Words.from_strings(["Hund", "Katze", "Kuh"]), rows[[1, 0, 2]])
    >>> found = induction(english, german, [("cat", "Katze"), ("dog", "Hund"), ("cow", "Kuhe")], retrieval="nn", k=[1])
    >>> found.precision, found.used, found.total
    ({1: 1.0}, 2, 3)
    """
    if retrieval not in get_args(Retrieval):
        raise OptionError(f"retrieval={retrieval!r} is not one of {', '.join(map(repr, get_args(Retrieval)))}")
    chosen = protocol_of(protocol)
    if chosen.missing != "skip":
        raise OptionError(f"protocol {chosen.name!r} replaces missing words, of which there is no translation")
    if not k or min(k) < 1:
        raise OptionError(f"k={tuple(k)}: look at one answer or more")
    pairs = list_of_pairs("dictionary", dictionary)
    sides = [Lookup(vectors, chosen) for vectors in (source, target)]
    rows = [side.rows([pair[at] for pair in pairs]) for at, side in enumerate(sides)]
    wanted: dict[int, set[int]] = {}
    for row, answer in zip(*(side.tolist() for side in rows), strict=True):
        if row >= 0 and answer >= 0:
            wanted.setdefault(row, set()).add(answer)
    if not wanted:
        given = sample(f"{word} {translation}" for word, translation in pairs)
        raise VocabularyError(
            f"none of the {len(pairs):,} pairs has both words in the vectors: the pairs begin with {given}; the source "
            f"with {sample(source.words)}, the target with {sample(target.words)}"
        )
    asked = np.fromiter(wanted, dtype=np.int64)
    spaces = [vectors.matrix[: side.count] for vectors, side in zip((source, target), sides, strict=True)]
    if retrieval == "nn":
        found = nearest(spaces[1], spaces[0][asked], max(k), norms=target.norms[: len(spaces[1])]).rows
    else:
        found = csls(spaces[0], spaces[1], asked, max(k)).rows
    first = np.append(sides[1].first, -1)
    right = np.array(
        [
            [row in wanted[word] for row in line]
            for word, line in zip(asked.tolist(), first[found].tolist(), strict=True)
        ]
    )
    return Induction(
        retrieval=retrieval,
        protocol=chosen.name,
        precision={some: float(right[:, :some].any(axis=1).mean()) for some in k},
        used=len(asked),
        total=len({word for word, _ in pairs}),
    )


@dataclass(frozen=True)
class SentenceSimilarity:
    """How well cosines of sentences follow judgements."""

    dataset: str
    spearman: float
    pearson: float
    used: int


def sentence_similarity(encode: Callable[[list[str]], Any], pairs: Pairs) -> SentenceSimilarity:
    """Correlate cosines of sentence pairs with judgements.

    Parameters
    ----------
    encode
        From texts to their vectors, shape (k, dim), as an array or a tensor: a pooler, any sentence encoder's method.
    pairs
        Sentences and judgements: `vecload.evaluation.read_sentences`.

    Raises
    ------
    OptionError
        When `encode` gives something else, or NaN.

    Examples
    --------
    >>> from vecload.evaluation import Pairs
    >>> def encode(texts):
    ...     return np.array([[text.count("a"), text.count("b")] for text in texts])
    >>> judged = Pairs("three", ("ab", "a", "a"), ("ab", "b", "ab"), np.array([5.0, 0.0, 3.0]))
    >>> sentence_similarity(encode, judged).spearman
    1.0
    """
    sides = []
    for texts in (pairs.left, pairs.right):
        given = encode(list(texts))
        given = given.detach().cpu() if hasattr(given, "detach") else given  # a tensor
        rows = np.asarray(given, dtype=np.float64)
        if rows.ndim != 2 or len(rows) != len(texts):
            raise OptionError(f"encode gave an array of shape {rows.shape} for {len(texts):,} texts")
        if not np.isfinite(rows).all():
            raise OptionError(f"encode gave NaN or infinity for {texts[int(np.isfinite(rows).all(axis=1).argmin())]!r}")
        sides.append(rows)
    cosines = paired_cosines(*sides)
    return SentenceSimilarity(
        dataset=pairs.name,
        spearman=spearman(pairs.gold, cosines),
        pearson=pearson(pairs.gold, cosines),
        used=len(cosines),
    )
