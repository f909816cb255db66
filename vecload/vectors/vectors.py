"""`Vectors`: words and their vectors, the argument of nearly all functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt

from vecload import conversion
from vecload.arrays import narrowed, row_norms
from vecload.errors import OptionError
from vecload.lazy import LazyModule
from vecload.notebook import HEAD, Bar, table
from vecload.search import Method, Metric
from vecload.vectors import queries
from vecload.vectors.exports import ExportedRows
from vecload.vectors.queries import Answers

if TYPE_CHECKING:
    from vecload.formats.arrow import exchange
    from vecload.formats.gensim import keyed_vectors
else:
    exchange = LazyModule("vecload.formats.arrow.exchange")
    keyed_vectors = LazyModule("vecload.formats.gensim.keyed_vectors")

Errors = Literal["raise", "skip"]

_VALUES = 4  # shown in notebooks


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Vectors(ExportedRows):
    """Immutable table of words and their vectors.

    ``numpy.asarray(vectors)`` is the matrix, and so are ``numpy.from_dlpack(vectors)`` and
    ``torch.from_dlpack(vectors)``. pyarrow, polars, pandas and DuckDB read it as a table of words and vectors.

    Parameters
    ----------
    words
        Any iterable of strings, each once.
    matrix
        Anything ``numpy.asarray`` takes: numbers, shape (number of words, dim). It is not copied if it is a C-ordered
        array of the machine's byte order.
    meta
        Description of the source: ``format``, ``license``, ``source`` (the web address that a file states, else its
        name), and the rows that were skipped on reading.
    ngrams
        Character n-grams that compose vectors of other words (fastText models, floret tables).
    history
        Training arguments, labels and word counts of fastText models, and transforms.
    row_ids
        For words that share rows: the row of each word in `matrix`, which may then have fewer rows than there are
        words; whole numbers, shape (number of words,).

    Raises
    ------
    OptionError
        For a matrix of another shape, or not of numbers.
    VocabularyError
        If a word occurs twice or is not a string.

    Examples
    --------
    >>> import numpy as np
    >>> vectors = Vectors(["cat", "dog"], np.eye(2, 3, dtype="float32"))
    >>> vectors["dog"], "cow" in vectors, vectors[["dog", "cat"]].shape
    (array([0., 1., 0.], dtype=float32), False, (2, 3))
    >>> np.asarray(vectors)
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    >>> shared = Vectors(["cat", "cats", "dog"], np.eye(2), row_ids=[0, 0, 1])
    >>> shared, shared.unique_rows.shape, shared.matrix.shape
    (<Vectors: 3 words × 2 float64, 2 rows>, (2, 2), (3, 2))
    """

    save = conversion.save  # written once: its first parameter is `self` here

    @classmethod
    def from_dict(
        cls,
        vectors: Mapping[str, npt.ArrayLike],
        *,
        dtype: npt.DTypeLike | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Vectors:
        """Return the words and vectors of a dictionary, in its order.

        Parameters
        ----------
        vectors
            Vector of each word, shape (dim,): arrays, lists of numbers or tensors on the CPU.
        dtype
            Type of the values. None keeps the type of arrays, and stores lists of numbers as float32.
        meta
            Description of the source, as in `Vectors`.

        Raises
        ------
        OptionError
            If the dictionary is empty, or its values are not vectors of one dimension.

        Examples
        --------
        >>> Vectors.from_dict({"cat": [0.1, 0.2], "dog": [0.3, 0.4]})
        <Vectors: 2 words × 2 float32>
        """
        if not vectors:
            raise OptionError("an empty dictionary has no dimension; use Vectors([], numpy.empty((0, dim)))")
        rows = [np.asarray(row) for row in vectors.values()]
        for word, row in zip(vectors, rows, strict=True):
            if row.shape != rows[0].shape or row.ndim != 1:
                raise OptionError(
                    f"all vectors of a dictionary must have the same dimension: found shape {row.shape} for {word!r}, "
                    f"expected ({rows[0].size},)"
                )
        plain = not any(hasattr(row, "dtype") for row in vectors.values())
        matrix = np.stack(rows)
        if dtype is not None or (plain and matrix.dtype.kind in "iuf"):
            matrix = narrowed(matrix, np.dtype(np.float32 if dtype is None else dtype))
        return cls(vectors, matrix, meta)

    @overload
    def neighbors(  # type: ignore[overload-overlap]
        self, query: str, k: int = ..., *, metric: Metric = ..., limit: int | None = ..., progress: bool | None = ...
    ) -> Answers: ...
    @overload
    def neighbors(
        self,
        query: Iterable[str],
        k: int = ...,
        *,
        metric: Metric = ...,
        limit: int | None = ...,
        progress: bool | None = ...,
    ) -> list[Answers]: ...
    @overload
    def neighbors(
        self,
        query: npt.ArrayLike,
        k: int = ...,
        *,
        metric: Metric = ...,
        limit: int | None = ...,
        progress: bool | None = ...,
    ) -> Answers | list[Answers]: ...
    def neighbors(
        self,
        query: str | Iterable[str] | npt.ArrayLike,
        k: int = 10,
        *,
        metric: Metric = "cosine",
        limit: int | None = None,
        progress: bool | None = None,
    ) -> Answers | list[Answers]:
        """Return the words nearest to a word, a vector, or each of several.

        Parameters
        ----------
        query
            A word; words; a vector, shape (dim,); or vectors, shape (q, dim). A word without a row is composed from its
            n-grams if there is a table of them. One call with many queries is much faster than many calls.
        k
            Number of neighbors of each query.
        metric
            "cosine", "dot" (the greatest product first) or "euclidean" (the least distance first).
        limit
            Search only the first rows: in most files, the most frequent words.
        progress
            Whether to show a bar; None shows it if standard error is a terminal.

        Returns
        -------
        list of (word, score), nearest first
            One such list for each of several words or vectors. A query word is not its own neighbor, as in gensim's
            ``most_similar``. Equal scores are in the order of their rows.

        Raises
        ------
        MissingWordError
            If a word is missing and cannot be composed.
        OptionError
            For a vector of another dimension or with NaN.

        Examples
        --------
        >>> vectors = Vectors(["cat", "dog", "cow"], np.array([[3, 4], [4, 3], [0, -2]], dtype="float32"))
        >>> vectors.neighbors("cat", 1)
        [('dog', 0.96)]
        """
        return queries.neighbors(self, query, k, metric=metric, limit=limit, progress=progress)

    @overload
    def analogy(  # type: ignore[overload-overlap]
        self,
        a: str,
        b: str,
        c: str,
        k: int = ...,
        *,
        method: Method = ...,
        limit: int | None = ...,
        progress: bool | None = ...,
    ) -> Answers: ...
    @overload
    def analogy(
        self,
        a: Iterable[str],
        b: Iterable[str],
        c: Iterable[str],
        k: int = ...,
        *,
        method: Method = ...,
        limit: int | None = ...,
        progress: bool | None = ...,
    ) -> list[Answers]: ...
    def analogy(
        self,
        a: str | Iterable[str],
        b: str | Iterable[str],
        c: str | Iterable[str],
        k: int = 10,
        *,
        method: Method = "3cosadd",
        limit: int | None = None,
        progress: bool | None = None,
    ) -> Answers | list[Answers]:
        """Return the words that are to `c` as `b` is to `a`, as in "man is to king as woman is to queen".

        Parameters
        ----------
        a, b, c
            Words, or lists of words of one length.
        k
            Number of answers.
        method
            "3cosadd": the nearest to b - a + c of unit vectors, as gensim's ``most_similar(positive=[b, c],
            negative=[a])``. "3cosmul": the greatest cos(b) cos(c) / cos(a), as gensim's ``most_similar_cosmul``.
        limit
            Search only the first rows.
        progress
            Whether to show a bar; None shows it if standard error is a terminal.

        Returns
        -------
        list of (word, score), best first
            Without a, b and c. One such list for each of several analogies.

        Raises
        ------
        MissingWordError
            If a word is missing and cannot be composed from n-grams.

        Examples
        --------
        >>> rows = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1]], dtype="float32")
        >>> Vectors(["man", "king", "woman", "queen"], rows).analogy("man", "king", "woman", 1)[0][0]
        'queen'
        """
        return queries.analogy(self, a, b, c, k, method=method, limit=limit, progress=progress)

    @classmethod
    def from_gensim(cls, model: object) -> Vectors:
        """Return the vectors of gensim's ``KeyedVectors``, or of a model that has some, sharing the matrix.

        Parameters
        ----------
        model
            A ``KeyedVectors``, ``FastTextKeyedVectors``, ``Word2Vec``, ``FastText``, ``Doc2Vec`` or ``PoincareModel``.

        Raises
        ------
        FormatError
            If the model has no word vectors.

        Examples
        --------
        >>> from gensim.models import KeyedVectors
        >>> kept = KeyedVectors(2)
        >>> kept.add_vectors(["cat", "dog"], np.eye(2, dtype="float32"))
        >>> Vectors.from_gensim(kept)
        <Vectors: 2 words × 2 float32, gensim KeyedVectors>
        """
        table = keyed_vectors.from_gensim(model)
        rows, ids = table.stored
        return cls(table.words, rows, table.meta, table.ngrams, table.history, row_ids=ids)

    @classmethod
    def from_arrow(
        cls, data: Any, *, words: str | None = None, vectors: str | None = None, errors: Errors = "raise"
    ) -> Vectors:
        """Return the words and vectors of a table of pyarrow, polars, pandas or DuckDB.

        Parameters
        ----------
        data
            Anything with the method ``__arrow_c_stream__``: a ``pyarrow.Table`` or ``RecordBatchReader``, a
            ``polars.DataFrame``, a ``pandas.DataFrame`` (2.2 or later), a DuckDB relation. A stream is read to its end.
        words
            Name of the column of strings. None takes the column "word", or the only one of strings.
        vectors
            Name of the column of lists of floats, all of one length. None takes the column "vector", or the only one
            of such lists; without one, all other columns must be floats, one for each value.
        errors
            Policy for missing words and values, and vectors of another length: "raise" an error, or "skip" their rows
            and count them in ``meta["skipped"]``.

        Returns
        -------
        Vectors
            If a word occurs more than once, the first row wins; ``meta["duplicates"]`` counts the others. The matrix
            shares the memory of a table of one batch.

        Raises
        ------
        FormatError
            If columns are missing or ambiguous, or a row is invalid; the error names the row.
        OptionError
            If `data` is not such an object, or a named column does not exist.
        MissingDependencyError
            If pyarrow is not installed.

        Examples
        --------
        >>> import pyarrow
        >>> table = pyarrow.table({"word": ["cat", "dog"], "vector": [[0.1, 0.2], [0.3, 0.4]]})
        >>> Vectors.from_arrow(table)
        <Vectors: 2 words × 2 float64, Arrow>
        """
        table = exchange.from_arrow(data, words=words, vectors=vectors, errors=errors)
        rows, ids = table.stored
        return cls(table.words, rows, table.meta, row_ids=ids)

    def __reduce__(self) -> tuple[Any, ...]:
        # `row_ids` is a keyword of the constructor, which only a partial function can pass.
        make = partial(Vectors, row_ids=self.row_ids)
        return make, (self.words, self.unique_rows, dict(self.meta), self.ngrams, self.history)

    def _repr_html_(self) -> str:
        caption = repr(self).strip("<>")
        first = self.rows_at(slice(HEAD)).astype(np.float64)
        norms = row_norms(first)
        longest = norms.max(initial=0.0) or 1.0
        rows = [
            [word, Bar(norm / longest, f"{norm:.3g}"), " ".join(f"{value:.3g}" for value in values[:_VALUES])]
            for word, norm, values in zip(self.words[:HEAD], norms, first, strict=True)
        ]
        return table(caption, ["word", "norm", f"first {min(_VALUES, self.dim)} values"], rows)

    def __repr__(self) -> str:
        origin = "".join(f", {self.meta[key]}" for key in ("format", "source") if key in self.meta)
        stored = "" if self.row_ids is None else f", {len(self.unique_rows):,} rows"
        return f"<Vectors: {len(self):,} words × {self.dim} {self.dtype}{stored}{origin}>"
