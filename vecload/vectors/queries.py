"""Neighbors and analogies of words, by the conventions of gensim: words are turned into rows, and rows into words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.errors import OptionError
from vecload.search import Method, Metric, Nearest, nearest, solve_analogies
from vecload.words import list_missing, missing_word

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.vectors.rows import WordRows

Answers = list[tuple[str, float]]
"""Words with their scores, best first."""


def neighbors(
    vectors: WordRows,
    query: str | Iterable[str] | npt.ArrayLike,
    k: int,
    *,
    metric: Metric,
    limit: int | None,
    progress: bool | None,
) -> Answers | list[Answers]:
    """Return the words nearest to a query, as `Vectors.neighbors` documents it."""
    given: Any = query if isinstance(query, (str, np.ndarray)) else list(query)  # type: ignore[arg-type]
    words = [given] if isinstance(given, str) else given
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        queries, exclude = _rows_of(vectors, words)
        single = words is not given
    else:
        array = np.asarray(given)
        queries, exclude, single = np.atleast_2d(array), None, array.ndim < 2
    found = nearest(
        vectors, queries, k, metric=metric, limit=limit, exclude=exclude, norms=vectors.norms, progress=progress
    )
    answers = _spelled(vectors, found)
    return answers[0] if single else answers


def analogy(
    vectors: WordRows,
    a: str | Iterable[str],
    b: str | Iterable[str],
    c: str | Iterable[str],
    k: int,
    *,
    method: Method,
    limit: int | None,
    progress: bool | None,
) -> Answers | list[Answers]:
    """Return the words that complete an analogy, as `Vectors.analogy` documents it."""
    lists = [[words] if isinstance(words, str) else list(words) for words in (a, b, c)]
    if len({len(words) for words in lists}) != 1:
        counts = ", ".join(str(len(words)) for words in lists)
        raise OptionError(f"a, b and c must have the same length; got {counts} words")
    looked_up = [_rows_of(vectors, words) for words in lists]
    queries = np.stack([rows for rows, _ in looked_up], axis=1)
    exclude = np.concatenate([rows for _, rows in looked_up], axis=1)
    found = solve_analogies(
        vectors, queries, k, method=method, limit=limit, exclude=exclude, norms=vectors.norms, progress=progress
    )
    answers = _spelled(vectors, found)
    return answers[0] if isinstance(a, str) else answers


def _rows_of(vectors: WordRows, words: list[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the vectors of words, float64, shape (q, dim), and their row numbers, int64, shape (q, 1).

    Words without a row are composed from their n-grams, and have row number -1.

    Raises
    ------
    MissingWordError
        If a word can neither be found nor composed.
    """
    rows = vectors.words.lookup(words)
    queries: npt.NDArray[np.float64] = np.zeros((len(words), vectors.dim))
    queries[rows >= 0] = vectors.rows_at(rows[rows >= 0])
    absent = [words[at] for at in np.flatnonzero(rows < 0)]
    if absent and vectors.ngrams is not None:
        queries[rows < 0] = vectors.ngrams.vectors(absent)
        absent = [word for word, count in zip(absent, vectors.ngrams.counts(absent), strict=True) if not count]
    if absent:
        hint = "no n-gram table to compose from" if vectors.ngrams is None else "no n-grams in the table"
        raise missing_word(vectors.words, absent, f"{list_missing(absent, len(words))}; {hint}")
    return queries, rows[:, None]


def _spelled(vectors: WordRows, found: Nearest) -> list[Answers]:
    """Return words for rows, and scores as Python floats that print with no more digits than their float32 has."""
    return [
        [(vectors.words[row], float(str(score))) for row, score in zip(rows.tolist(), scores, strict=True) if row >= 0]
        for rows, scores in zip(found.rows, found.scores, strict=True)
    ]
