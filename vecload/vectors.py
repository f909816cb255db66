"""`Vectors`, `Batch` and `Request`: the values that every other room speaks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast, overload

import numpy as np

from vecload.errors import MissingWordError, OptionError, VocabularyError, refuse_string, require
from vecload.saved import MAX_DIM
from vecload.words import Words, pack, read_only

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt

    from vecload.ngrams import NgramTable
    from vecload.search import Method, Metric

T = TypeVar("T")

_ROWS = 4096  # rows worked on together


class Batch(NamedTuple):
    """Some rows on their way from a file: at most a chunk's worth.

    `data` uint8 (bytes,) and `offsets` int64 (n + 1,) are the packed words, `rows` the values, shape (n, dim).
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[Any]

    def take(self, at: npt.NDArray[np.int64]) -> Batch:
        """Some of the rows."""
        return Batch(*pack(self.data, self.offsets[at], self.offsets[at + 1]), self.rows[at])


def strip_prefix(batch: Batch, prefix: bytes) -> Batch:
    """The rows whose words begin with `prefix`, without it.

    Examples
    --------
    >>> data = np.frombuffer(b"/c/en/cat/c/de/Katze", dtype=np.uint8)
    >>> batch = Batch(data, np.array([0, 9, 20]), np.eye(2))
    >>> strip_prefix(batch, b"/c/en/").data.tobytes(), strip_prefix(batch, b"/c/en/").rows
    (b'cat', array([[1., 0.]]))
    """
    data, offsets, rows = batch
    starts = offsets[:-1]
    wanted = np.flatnonzero(offsets[1:] - starts >= len(prefix))
    for at, byte in enumerate(prefix):
        wanted = wanted[data[starts[wanted] + at] == byte]
    return Batch(*pack(data, starts[wanted] + len(prefix), offsets[1:][wanted]), rows[wanted])


@dataclass(frozen=True)
class Request:
    """What a caller wants of a file.

    Parameters
    ----------
    only
        Only the rows of these words; None for all.
    limit
        Only so many rows from the start of the file.
    dtype
        "float16", "bfloat16", "float32" or "float64"; None for the type the file stores (text: float32).
    errors
        "raise" an error for malformed rows, or "skip" and count them.
    strict
        Whether to raise an error for wrong counts, repeated and doubtful words, too.
    allow_nonfinite
        Whether NaN and infinity may stay.
    """

    only: Words | None = None
    limit: int | None = None
    dtype: str | None = None
    errors: str = "raise"
    strict: bool = False
    allow_nonfinite: bool = False


NONFINITE_HINT: Final = "errors='skip' (--errors skip) leaves its row out; allow_nonfinite=True keeps it."
"""What can be done about a value that is not finite in the type asked for."""


def type_of(name: str) -> np.dtype[Any]:
    """The dtype of a name; "bfloat16" is that of `ml_dtypes`.

    Examples
    --------
    >>> type_of("float16"), type_of("bfloat16").itemsize
    (dtype('float16'), 2)
    """
    if name == "bfloat16":
        import ml_dtypes  # registers the name with numpy

        name = ml_dtypes.bfloat16
    return np.dtype(name)


def narrowed(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Values in another type, each rounded once, to the nearest; the array itself where it has the type already.

    `ml_dtypes` takes doubles to bfloat16 by way of float32, which rounds twice. Rounding to odd on the way (Boldo and
    Melquiond 2008) keeps what the second rounding has to know.

    Examples
    --------
    >>> narrowed(np.array([1 + 2**-8 + 2**-30]), type_of("bfloat16")).astype(float)
    array([1.0078125])
    """
    if dtype.name == "bfloat16" and values.dtype == np.float64:
        single = values.astype(np.float32)
        bits = single.view(np.uint32)
        bits -= np.abs(single) > np.abs(values)  # towards zero ...
        bits |= single != values  # ... and odd where not exact
        values = single
    with np.errstate(over="ignore", invalid="ignore"):  # who asked for the type judges infinity
        return values.astype(dtype, copy=False)


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Vectors:
    """Immutable table of words and their vectors.

    ``numpy.asarray(vectors)`` is the matrix.

    Parameters
    ----------
    words
        Any iterable of strings, each once.
    matrix
        Anything ``numpy.asarray`` takes: numbers, shape (number of words, dim). It is not copied if it is a C-ordered
        array of the machine's byte order.
    meta
        Description of the source: ``format``, ``source``, and the rows that were skipped on reading.
    ngrams
        Character n-grams that compose vectors of other words (fastText models, floret tables).

    Raises
    ------
    OptionError
        For a matrix of another shape, or not of numbers.
    VocabularyError
        When a word occurs twice or is not a string.

    Examples
    --------
    >>> import numpy as np
    >>> vectors = Vectors(["cat", "dog"], np.eye(2, 3, dtype="float32"))
    >>> vectors["dog"], "cow" in vectors, vectors[["dog", "cat"]].shape
    (array([0., 1., 0.], dtype=float32), False, (2, 3))
    >>> np.asarray(vectors)
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """

    words: Words
    matrix: npt.NDArray[Any]
    meta: Mapping[str, Any]
    ngrams: NgramTable | None

    def __init__(
        self,
        words: Iterable[str],
        matrix: npt.ArrayLike,
        meta: Mapping[str, Any] | None = None,
        ngrams: NgramTable | None = None,
    ) -> None:
        packed, rows = Words.from_strings(words), _as_matrix(matrix)
        if len(rows) != len(packed):
            raise OptionError(f"{len(packed):,} words need a matrix of {len(packed):,} rows, got shape {rows.shape}")
        if not packed.distinct:
            word = packed[int(np.flatnonzero(packed.lookup(packed) != np.arange(len(packed)))[0])]
            raise VocabularyError(f"{word!r} occurs twice among the words; keep one row of each word")
        object.__setattr__(self, "words", packed)
        object.__setattr__(self, "matrix", read_only(rows))
        object.__setattr__(self, "meta", MappingProxyType(dict(meta or {})))
        object.__setattr__(self, "ngrams", ngrams)

    @property
    def dim(self) -> int:
        """Number of values in a vector."""
        return int(self.matrix.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""
        return self.matrix.dtype

    @cached_property
    def norms(self) -> npt.NDArray[np.float32]:
        """Euclidean norm of each row: float32, shape (n,), read-only. Worked out at the first use, and kept."""
        norms = np.empty(len(self), dtype=np.float32)
        for begin in range(0, len(self), _ROWS):
            norms[begin : begin + _ROWS] = np.linalg.norm(self.matrix[begin : begin + _ROWS].astype(np.float64), axis=1)
        norms.flags.writeable = False
        return norms

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: FBT001
        """Return the matrix, so that ``numpy.asarray(vectors)`` does not collect the words."""
        wanted = self.dtype if dtype is None else np.dtype(dtype)
        if copy is False and wanted != self.dtype:
            raise ValueError(f"cannot convert {self.dtype} vectors to {wanted} without a copy")
        converted = narrowed(self.matrix, wanted)
        return converted.copy() if copy and converted is self.matrix else converted

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.words

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __getitem__(self, word: str | Iterable[str]) -> npt.NDArray[Any]:
        """Return the vector of a word, shape (dim,), or of several words, shape (k, dim).

        Raises
        ------
        MissingWordError
            For an unknown word: a ``KeyError``, as a dict raises it.
        OptionError
            For anything but strings.
        """
        if isinstance(word, str):
            row = self.words.get(word)
            if row < 0:
                raise MissingWordError(
                    f"{word!r} is not among the {len(self):,} words; use get() for a default", [word]
                )
            vector: npt.NDArray[Any] = self.matrix[row]
            return vector
        return self.matrix[self._rows(word)]

    @overload
    def get(self, word: str) -> npt.NDArray[Any] | None: ...
    @overload
    def get(self, word: str, default: T) -> npt.NDArray[Any] | T: ...
    def get(self, word: str, default: T | None = None) -> npt.NDArray[Any] | T | None:
        """The vector of a word, shape (dim,), or `default`."""
        row = self.words.get(word)
        return default if row < 0 else self.matrix[row]

    def select(self, words: Iterable[str]) -> Vectors:
        """Return only these words, in this order.

        Raises
        ------
        MissingWordError
            For an unknown word.
        VocabularyError
            When a word is given twice.
        """
        rows = self._rows(words)
        meta = {key: value[rows] if key == "counts" else value for key, value in self.meta.items()}  # one a word
        return Vectors(self.words.take(rows), self.matrix[rows], meta, self.ngrams)

    def neighbors(
        self,
        query: str | Iterable[str] | npt.ArrayLike,
        k: int = 10,
        *,
        metric: Metric = "cosine",
        limit: int | None = None,
    ) -> list[Any]:
        """The words nearest to a word, a vector, or each of several: see `vecload.search.neighbors`."""
        from vecload import search

        return search.neighbors(self, query, k, metric=metric, limit=limit)

    def analogy(
        self,
        a: str | Iterable[str],
        b: str | Iterable[str],
        c: str | Iterable[str],
        k: int = 10,
        *,
        method: Method = "3cosadd",
        limit: int | None = None,
    ) -> list[Any]:
        """What is to `c` as `b` is to `a`: see `vecload.search.analogy`."""
        from vecload import search

        return search.analogy(self, a, b, c, k, method=method, limit=limit)

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
        from vecload.conversion import from_gensim

        return from_gensim(model)

    def to_gensim(self) -> Any:
        """As gensim's ``KeyedVectors``, sharing the matrix (bfloat16, which gensim does not know, becomes float32).

        The matrix stays read-only; `ngrams` stay behind.

        Raises
        ------
        MissingDependencyError
            When gensim is not installed.

        Examples
        --------
        >>> vectors = Vectors(["cat", "dog"], np.eye(2, dtype="float32"))
        >>> kept = vectors.to_gensim()
        >>> kept.index_to_key, np.shares_memory(kept.vectors, vectors.matrix)
        (['cat', 'dog'], True)
        """
        keyedvectors = require("gensim.models.keyedvectors", "gensim")
        matrix = self.matrix.astype(np.float32) if self.dtype.name == "bfloat16" else self.matrix
        kept = keyedvectors.KeyedVectors(self.dim, dtype=matrix.dtype)
        kept.index_to_key = list(self)
        kept.key_to_index = {word: row for row, word in enumerate(kept.index_to_key)}
        kept.vectors = matrix
        return kept

    def _rows(self, words: Iterable[str]) -> npt.NDArray[np.int64]:
        if isinstance(words, (int, np.integer, slice)):
            raise OptionError(f"vectors are looked up by word, got {words!r}; use matrix[...] for rows by number")
        refuse_string("words", words)
        wanted = list(words)
        for word in wanted:
            if not isinstance(word, str):
                raise OptionError(f"vectors are looked up by word, got {type(word).__name__} among the words")
        rows = self.words.lookup(wanted)
        absent = [wanted[at] for at in np.flatnonzero(rows < 0)]
        if absent:
            some = ", ".join(map(repr, absent[:5])) + (", …" if len(absent) > 5 else "")
            raise MissingWordError(f"{len(absent):,} of {len(wanted):,} words are missing: {some}", absent)
        return rows

    def save(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002 - the field's word
        *,
        precision: int | None = None,
        unencodable: str = "raise",
    ) -> None:
        """Write the vectors to a file or folder: `vecload.conversion.save`."""
        from vecload.conversion import save

        save(self, path, format, precision=precision, unencodable=unencodable)

    def __reduce__(self) -> tuple[Any, ...]:
        return Vectors, (self.words, self.matrix, dict(self.meta), self.ngrams)

    def __repr__(self) -> str:
        origin = "".join(f", {self.meta[key]}" for key in ("format", "source") if key in self.meta)
        return f"<Vectors: {len(self):,} words × {self.dim} {self.dtype}{origin}>"


def _as_matrix(given: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return `given` as a C-ordered array of numbers in two dimensions, copied only where that is necessary."""
    try:
        # Arrays stay what they are, so that a mapped file can still be recognized as one.
        array: npt.NDArray[Any] = cast("Any", given) if type(given) in (np.ndarray, np.memmap) else np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OptionError(f"the matrix cannot be converted to a NumPy array: {error}") from error
    if array.ndim != 2:
        raise OptionError(f"the matrix must have two dimensions (words, values), got shape {array.shape}")
    if not 0 < array.shape[1] <= MAX_DIM:
        raise OptionError(f"vectors need 1 to {MAX_DIM:,} values, got shape {array.shape}")
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise OptionError(f"the matrix must hold numbers, got {array.dtype}")
    if array.flags.c_contiguous and array.dtype.isnative:
        return array
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
