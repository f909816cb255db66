"""Words in, words out: neighbors and analogies by gensim's conventions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args, overload

import numpy as np
import numpy.typing as npt

from vecload.errors import OptionError
from vecload.keywords import explain_keywords
from vecload.search.exact import Metric, Nearest, Objective, best, inverse, nearest, unit
from vecload.vectors import Vectors
from vecload.words import missing_word

Query = str | Iterable[str] | npt.ArrayLike
Method = Literal["3cosadd", "3cosmul"]
Answers = list[tuple[str, float]]

_EPSILON = 1e-6  # keeps 3CosMul's divisor from zero: Levy and Goldberg's 0.001 is gensim's 0.000001


@overload
def neighbors(  # type: ignore[overload-overlap]
    vectors: Vectors, query: str, k: int = ..., *, metric: Metric = ..., limit: int | None = ...
) -> Answers: ...
@overload
def neighbors(
    vectors: Vectors, query: Iterable[str], k: int = ..., *, metric: Metric = ..., limit: int | None = ...
) -> list[Answers]: ...
@overload
def neighbors(
    vectors: Vectors, query: Query, k: int = ..., *, metric: Metric = ..., limit: int | None = ...
) -> Answers | list[Answers]: ...
@explain_keywords
def neighbors(
    vectors: Vectors, query: Query, k: int = 10, *, metric: Metric = "cosine", limit: int | None = None
) -> Answers | list[Answers]:
    """Return the words nearest to a word, a vector, or each of several.

    Parameters
    ----------
    vectors
        Where to search.
    query
        A word; words; a vector, shape (dim,); or vectors, shape (q, dim). A word without a row is composed from its
        n-grams if there is a table of them. Many queries in one call cost far less than as many calls.
    k
        Number of neighbors of each query.
    metric
        "cosine", "dot" (the greatest product first) or "euclidean" (the least distance first).
    limit
        Search the first rows only, so many: the most frequent words, in most files.

    Returns
    -------
    list of (word, score), nearest first
        For words or vectors, one such list each. A query word is not its own neighbour, as in gensim's
        ``most_similar``. Equal scores are in the order of their rows.

    Raises
    ------
    MissingWordError
        When a word is not there and cannot be composed.
    OptionError
        For a vector of another dimension or with NaN.

    Examples
    --------
    >>> from vecload import Vectors, Words
    >>> words = Words.from_strings(["cat", "dog", "cow"])
    >>> vectors = Vectors(words, np.array([[3, 4], [4, 3], [0, -2]], dtype="float32"))
    >>> neighbors(vectors, "cat", 1)
    [('dog', 0.96)]
    >>> neighbors(vectors, ["cat", "cow"], 1, metric="euclidean")
    [[('dog', 1.4142135)], [('dog', 6.4031243)]]
    """
    given: Any = query if isinstance(query, (str, np.ndarray)) else list(query)  # type: ignore[arg-type]
    words = [given] if isinstance(given, str) else given
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        queries, exclude = _composed(vectors, words)
        single = words is not given
    else:
        array = np.asarray(given)
        queries, exclude, single = np.atleast_2d(array), None, array.ndim < 2
    found = nearest(vectors, queries, k, metric=metric, limit=limit, exclude=exclude)
    answers = _spelled(vectors, found)
    return answers[0] if single else answers


@overload
def analogy(  # type: ignore[overload-overlap]
    vectors: Vectors, a: str, b: str, c: str, k: int = ..., *, method: Method = ..., limit: int | None = ...
) -> Answers: ...
@overload
def analogy(
    vectors: Vectors,
    a: Iterable[str],
    b: Iterable[str],
    c: Iterable[str],
    k: int = ...,
    *,
    method: Method = ...,
    limit: int | None = ...,
) -> list[Answers]: ...
@explain_keywords
def analogy(
    vectors: Vectors,
    a: str | Iterable[str],
    b: str | Iterable[str],
    c: str | Iterable[str],
    k: int = 10,
    *,
    method: Method = "3cosadd",
    limit: int | None = None,
) -> Answers | list[Answers]:
    """Return the words that are to `c` as `b` is to `a`: "man" is to "king" as "woman" is to …

    Parameters
    ----------
    vectors
        Where to search.
    a, b, c
        Words, or as many words each.
    k
        Number of answers.
    method
        "3cosadd" (Mikolov, Yih and Zweig 2013): the nearest to b - a + c of unit vectors, as gensim's
        ``most_similar(positive=[b, c], negative=[a])``. "3cosmul" (Levy and Goldberg 2014): the greatest
        cos(b) cos(c) / cos(a), with cosines moved to [0, 1], as gensim's ``most_similar_cosmul``.
    limit
        Search the first rows only, so many.

    Returns
    -------
    list of (word, score), best first
        Without a, b and c. For several analogies, one such list each.

    Raises
    ------
    MissingWordError
        When a word is not there and cannot be composed from n-grams.

    Examples
    --------
    >>> from vecload import Vectors, Words
    >>> words = Words.from_strings(["man", "king", "woman", "queen", "cat"])
    >>> rows = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1], [-1, 0, 1]], dtype="float32")
    >>> analogy(Vectors(words, rows), "man", "king", "woman", 1)[0][0]
    'queen'
    """
    asked = [[words] if isinstance(words, str) else list(words) for words in (a, b, c)]
    if len({len(words) for words in asked}) != 1:
        raise OptionError(
            f"a, b and c are {', '.join(str(len(words)) for words in asked)} words, expected as many each"
        )
    looked_up = [_composed(vectors, words) for words in asked]
    queries = np.stack([rows for rows, _ in looked_up], axis=1)
    exclude = np.concatenate([rows for _, rows in looked_up], axis=1)
    answers = _spelled(vectors, solved(vectors, queries, exclude, k, method=method, limit=limit))
    return answers[0] if isinstance(a, str) else answers


def check_method(method: str) -> None:
    """Raise OptionError for an unknown method of analogies."""
    if method not in get_args(Method):
        raise OptionError(f"method={method!r} is not one of {', '.join(map(repr, get_args(Method)))}")


def solved(
    vectors: Vectors,
    queries: npt.NDArray[np.float64],
    exclude: npt.NDArray[np.int64],
    k: int,
    *,
    method: Method,
    limit: int | None,
) -> Nearest:
    """The rows that answer analogies: queries a, b, c of shape (q, 3, dim), rows not to answer with (q, 3)."""
    check_method(method)
    if method == "3cosadd":
        a, b, c = np.moveaxis(unit(queries), 1, 0)
        return nearest(vectors, b + c - a, k, limit=limit, exclude=exclude)
    scale = inverse(vectors.norms)

    def product(cosines: npt.NDArray[Any]) -> npt.NDArray[Any]:
        near = (1 + cosines) / 2
        return near[:, 1] * near[:, 2] / (near[:, 0] + near.dtype.type(_EPSILON))

    sought = Objective(
        scale,
        np.zeros_like(scale),
        lambda q, x, _at: product(np.einsum("qpd,qkd->qpk", unit(q), unit(x))),
        combine=product,
    )
    return best(vectors, queries, k, sought, limit, exclude)


def _composed(vectors: Vectors, words: list[str]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Vectors of words, float64 (q, dim), composed where they have no row; and the rows, int64 (q, 1), -1 for none."""
    rows = vectors.words.lookup(words)
    queries: npt.NDArray[np.float64] = np.zeros((len(words), vectors.dim))
    queries[rows >= 0] = vectors.matrix[rows[rows >= 0]]
    absent = [words[at] for at in np.flatnonzero(rows < 0)]
    if absent and vectors.ngrams is not None:
        queries[rows < 0] = vectors.ngrams.vectors(absent)
        absent = [word for word, count in zip(absent, vectors.ngrams.counts(absent), strict=True) if not count]
    if absent:
        some = ", ".join(map(repr, absent[:5])) + (", …" if len(absent) > 5 else "")
        hint = (
            "there is no n-gram table to compose them"
            if vectors.ngrams is None
            else "they have no n-grams in the table"
        )
        message = f"{len(absent):,} of {len(words):,} words missing: {some}; {hint}"
        raise missing_word(vectors.words, absent, message)
    return queries, rows[:, None]


def _spelled(vectors: Vectors, found: Nearest) -> list[Answers]:
    """Words for rows; scores as Python numbers that print as short as float32 does."""
    return [
        [(vectors.words[row], float(str(score))) for row, score in zip(rows.tolist(), scores, strict=True) if row >= 0]
        for rows, scores in zip(found.rows, found.scores, strict=True)
    ]
