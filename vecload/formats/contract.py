"""The values and protocols between formats and the rest of vecload.

A `Reader` answers a `ReadRequest` with `Batch` values or one mapped `Table`; a writer takes a `RowStream` and
`WriteOptions`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from vecload.arrays import IndexedRows
from vecload.errors import FormatError
from vecload.formats.history import History
from vecload.formats.table import Batch, Table
from vecload.message_text import quote
from vecload.ngrams import NgramTable
from vecload.words import Words


@dataclass(frozen=True)
class ReadRequest:
    """Request for some rows of a file, and options for reading them.

    Parameters
    ----------
    only
        Words whose rows are read; None for all.
    limit
        Number of rows to read, from the start of the file; None for all.
    dtype
        "float16", "bfloat16", "float32" or "float64"; None for the type the file stores (text: float32).
    errors
        "raise" an error for malformed rows, or "skip" and count them.
    strict
        Whether to raise an error for wrong counts, duplicate words and doubtful words, too.
    allow_nonfinite
        Whether to keep NaN and infinity.
    alias
        The alias by which the caller named the format, as `Format.aliases` spells it; "" if there was none.
    word_list
        Words of the rows in order, for formats that store a matrix without words; None to find them with the file.
    tensor
        Name of the matrix in a file of several; None to choose it.
    encoding
        Encoding of the words in the file; None for UTF-8.
    tokens
        Spelling of tokens: "raw" as in the tokenizer, or "surface" for the text that they stand for.

    Examples
    --------
    >>> ReadRequest(only=Words.from_strings(["cat"]), dtype="float16").errors
    'raise'
    """

    only: Words | None = None
    limit: int | None = None
    dtype: str | None = None
    errors: str = "raise"
    strict: bool = False
    allow_nonfinite: bool = False
    alias: str = ""
    word_list: Words | None = None
    tensor: str | None = None
    encoding: str | None = None
    tokens: str = "raw"


NONFINITE_HINT: Final = "errors='skip' (--errors skip) leaves its row out; allow_nonfinite=True keeps it."
"""Hint for values that are not finite in the requested type."""


def skip_nonfinite(
    request: ReadRequest,
    skipped: Counter[str],
    dtype: np.dtype[Any],
    *,
    word: bytes,
    count: int,
    file: str,
    byte: int | None = None,
) -> None:
    """Count rows with values that are not finite as skipped, or raise an error for the first of them.

    Parameters
    ----------
    request
        Its `errors` decides.
    skipped
        Number of skipped rows by cause, to be increased.
    dtype
        The requested type.
    word
        Word of the first such row.
    count
        Number of such rows.
    file, byte
        Name of the file, and offset of the first such row if it is known.

    Raises
    ------
    FormatError
        Unless ``request.errors`` is "skip".
    """
    cause = f"a value that is not finite in {dtype.name}"
    if request.errors != "skip":
        raise FormatError(cause, file=file, byte=byte, found=f"in the row of {quote(word)}", hint=NONFINITE_HINT)
    skipped[cause] += count


class RowBuffer:
    """Slices of a matrix for readers that parse rows in place, until it is full.

    Once a request does not fit, all later ones return None: the matrix then grows, which may move its memory, so no
    slice may be in use any more.

    Examples
    --------
    >>> buffer = RowBuffer(np.zeros((3, 2)))
    >>> buffer.next_rows(2).shape, buffer.next_rows(2), buffer.next_rows(1)
    ((2, 2), None, None)
    """

    def __init__(self, matrix: npt.NDArray[Any]) -> None:
        self._matrix = matrix
        self._used = 0

    def next_rows(self, count: int) -> npt.NDArray[Any] | None:
        """Return the memory for the next `count` rows of the file, or None if the reader has to allocate it."""
        # The count increases even if the rows do not fit, so that no later request can.
        begin, self._used = self._used, self._used + count
        return self._matrix[begin : self._used] if self._used <= len(self._matrix) else None


class Reader(Protocol):
    """The rows of an opened file as batches, in file order and bounded memory. It can be iterated once.

    All attributes are known before the first batch, except `skipped`, `meta`, `history` and `doubt`, which
    are complete after the last.
    """

    @property
    def dim(self) -> int:
        """Number of values in a row."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows: that of the request, else that of the file."""

    @property
    def declared(self) -> int | None:
        """Number of rows according to the file; None where it gives no number."""

    @property
    def expected(self) -> int:
        """Number of rows to allocate: an estimate that may improve, and never more than the file's bytes can hold."""

    @property
    def skipped(self) -> Counter[str]:
        """Number of skipped rows, by cause."""

    @property
    def meta(self) -> dict[str, Any]:
        """Description of the file for ``Vectors.meta``: at least ``format``."""

    @property
    def ngrams(self) -> NgramTable | None:
        """Character n-grams that compose vectors of other words, where the file has them."""

    @property
    def history(self) -> History:
        """Training and transforms of the vectors, complete after the last batch."""

    @property
    def doubt(self) -> str | None:
        """Doubts of the reader about the file, complete after the last batch; None without any."""

    def __iter__(self) -> Iterator[Batch]: ...

    def read_into(self, buffer: RowBuffer) -> Iterator[Batch]:
        """Return the batches. Their rows are slices of `buffer` where the reader can parse in place."""

    @property
    def unique_rows(self) -> int | None:
        """Number of rows that the file stores, if several words share a row; else None."""

    def mapped(self) -> Table | None:
        """Return all requested words and their rows as the file stores them; None if rows must be read or copied."""

    def first_words(self) -> Words | None:
        """Return the first words of the file, whatever the request is; None if they are not known."""


class BaseReader(ABC):
    """Base class of readers, with defaults for the optional parts of a `Reader`."""

    @property
    def history(self) -> History:
        """An empty history: the format stores none."""
        return History()

    @property
    def doubt(self) -> str | None:
        """None: the reader has no doubts."""
        return None

    @property
    def unique_rows(self) -> int | None:
        """None: each word has a row of its own."""
        return None

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]: ...

    def read_into(self, buffer: RowBuffer) -> Iterator[Batch]:  # noqa: ARG002 - for readers that parse in place
        """Return the batches; their rows are not in `buffer`."""
        return iter(self)

    def mapped(self) -> Table | None:
        """Return None: the rows have to be read."""
        return None

    def first_words(self) -> Words | None:
        """Return None: words are known only as they are read."""
        return None


class RowStream(Protocol):
    """Rows to write: each word once, in order, in bounded memory. `batches` can be called once.

    Memory for the words is not counted: all are kept to find duplicates, and `words` returns them.
    """

    @property
    def rows(self) -> int | None:
        """Number of rows; None if it is known only after the last batch."""

    @property
    def expected(self) -> int:
        """`rows`, or an estimate of it."""

    @property
    def dim(self) -> int:
        """Number of values in a row."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """Description of the source, as ``Vectors.meta``."""

    @property
    def ngrams(self) -> NgramTable | None:
        """Character n-grams of the vectors, or None."""

    @property
    def history(self) -> History:
        """Training and transforms of the vectors, as ``Vectors.history``."""

    @property
    def words(self) -> Words:
        """Words of all batches so far, with their hash table; all words if rows are `shared`."""

    @property
    def shared(self) -> IndexedRows | None:
        """Distinct rows and the row of each word, for formats that store such rows once; None if no rows are shared."""

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in order."""


class Sample(NamedTuple):
    """The first rows of a file."""

    words: list[str]
    vectors: npt.NDArray[np.float64]
    """Their vectors, shape (number of words, dim)."""
    total: int | None
    """Number of rows in the file, including skipped ones, if the sample is the whole file; else None."""
    skipped: Mapping[str, int] = MappingProxyType({})
    """Number of malformed rows among the first rows, by cause."""


@dataclass(frozen=True)
class Preview:
    """Facts for `vecload.info` that a format knows without reading the whole file.

    Parameters
    ----------
    rows
        Exact number of rows; None if only the reader can find it.
    values
        Form of the values in the file, and the type that holds them; None for the type of the reader.
    sample
        The first rows, where finding them is quicker without the reader.
    """

    rows: int | None = None
    values: str | None = None
    sample: Sample | None = None


@dataclass(frozen=True)
class WriteOptions:
    """Options of `vecload.convert` and `Vectors.save` for a writer.

    Parameters
    ----------
    precision
        Digits after the decimal point; None for the fewest that read back to the same value.
    unencodable
        Policy for words that the format cannot represent: "raise", "skip" or "escape".
    alias
        The alias by which the caller named the format, as `Format.aliases` spells it; "" if there was none.
    """

    precision: int | None = None
    unencodable: str = "raise"
    alias: str = ""
