"""Bilingual lexicon induction: translation of words by their neighbors in another space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vecload.errors import OptionError, VocabularyError
from vecload.evaluation.protocols import Protocol, WordLookup, as_protocol
from vecload.message_text import sample
from vecload.search import csls, nearest
from vecload.text_input import list_of_pairs
from vecload.vectors import Vectors

Retrieval = Literal["nn", "csls"]


@dataclass(frozen=True)
class Induction:
    """Result of `induction`: how often a translation is among the k nearest words of the other space.

    Parameters
    ----------
    retrieval
        "nn" or "csls".
    protocol
        Name of the protocol.
    precision
        For each k, the share of the used source words that have a translation among the first k answers.
    used
        Number of source words that have a row, and a translation with a row.
    total
        Number of source words in the dictionary.
    """

    retrieval: str
    protocol: str
    precision: dict[int, float]
    used: int
    total: int


def induction(
    source: Vectors,
    target: Vectors,
    dictionary: Iterable[tuple[str, str]],
    *,
    k: Sequence[int] = (1, 5, 10),
    retrieval: Retrieval = "csls",
    protocol: str | Protocol = "exact",
) -> Induction:
    """Translate words by their nearest neighbors, and compare with a dictionary (bilingual lexicon induction).

    Parameters
    ----------
    source, target
        Vectors in one space, such as a source that was mapped onto the target.
    dictionary
        Pairs (source word, target word). If a word has several translations, any of them counts.
    k
        Numbers of answers to consider: a word is correct if a translation is among the first k.
    retrieval
        "nn", the nearest by cosine, or "csls".
    protocol
        Rules for looking up words. "exact" uses all rows. Published results of MUSE lower-case words and use the first
        200,000 rows: ``Protocol("muse", case="lower", limit=200_000)``.

    Raises
    ------
    VocabularyError
        If no pair has both words.
    OptionError
        For an unknown retrieval, a protocol that replaces missing words, or a k below 1.

    Examples
    --------
    >>> rows = np.eye(3, dtype="float32")
    >>> english = Vectors(["cat", "dog", "cow"], rows)
    >>> german = Vectors(["Hund", "Katze", "Kuh"], rows[[1, 0, 2]])
    >>> found = induction(english, german, [("cat", "Katze"), ("dog", "Hund"), ("cow", "Kuhe")], retrieval="nn", k=[1])
    >>> found.precision, found.used, found.total
    ({1: 1.0}, 2, 3)
    """
    if retrieval not in get_args(Retrieval):
        raise OptionError(f"retrieval={retrieval!r} is not one of {', '.join(map(repr, get_args(Retrieval)))}")
    chosen = as_protocol(protocol)
    if chosen.missing != "skip":
        raise OptionError(
            f"protocol {chosen.name!r} replaces missing words, which have no translation; use one with missing='skip'"
        )
    if not k or min(k) < 1:
        raise OptionError(f"k={tuple(k)} needs numbers of answers, 1 or more")
    pairs = list_of_pairs("dictionary", dictionary)
    sides = [WordLookup(vectors, chosen) for vectors in (source, target)]
    rows = [side.rows([pair[at] for pair in pairs]) for at, side in enumerate(sides)]
    # All translations of each source word that has a row.
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
    # CSLS averages over rows of both spaces, so the limit of the protocol applies to both.
    spaces = [vectors.head(side.count) for vectors, side in zip((source, target), sides, strict=True)]
    if retrieval == "nn":
        found = nearest(spaces[1], source.rows_at(asked), max(k), norms=target.norms[: len(spaces[1])]).rows
    else:
        found = csls(spaces[0], spaces[1], asked, max(k)).rows
    # The last entry makes row -1 (no answer) stand for itself.
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
