"""`Dictionary`: words, subwords and rows of a fastText model of any kind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import cached_property
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from vecload.errors import FormatError, as_format_errors
from vecload.formats.fasttext import binary, layout
from vecload.resolving import resolve_source
from vecload.sources import Source, open_source
from vecload.words import Words

Singles = npt.NDArray[np.float32]


@contextlib.contextmanager
def open_model(source: str | os.PathLike[str] | IO[bytes]) -> Iterator[tuple[layout.Model, Source]]:
    """Yield the parts of a fastText model, and its opened file.

    Errors about invalid content, also those of the caller, become `FormatError`.

    Raises
    ------
    FormatError
        If the file is damaged, or is not a fastText model.
    """
    with resolve_source(source) as place, open_source(place) as opened:
        head = opened.head(1 << 16)
        if not binary.detect(head, opened.name):
            raise FormatError(
                "not a fastText model", file=opened.name, found=f"bytes {head[:8]!r}", hint="Pass a .bin or .ftz file."
            )
        with as_format_errors(opened.name, opened.size):
            yield binary.parse_source(opened), opened


def bucket_hash(part: bytes) -> int:
    """Return fastText's hash, 32-bit FNV-1a of signed bytes: see `vecload.kernels.ngrams`.

    Examples
    --------
    >>> bucket_hash(b"cat") % 2_000_000
    289031
    """
    state = 2166136261
    for byte in part:
        state = ((state ^ (byte | 0xFFFFFF00 if byte > 127 else byte)) * 16777619) & 0xFFFFFFFF
    return state


class Dictionary:
    """Words and subwords of a fastText model, and the rows that it has for them.

    Parameters
    ----------
    model
        Parts of the file.
    """

    def __init__(self, model: layout.Model) -> None:
        self._model = model

    @property
    def dim(self) -> int:
        """Number of values in a hidden vector."""
        return self._model.arguments.dim

    @property
    def arguments(self) -> dict[str, Any]:
        """Training arguments, with fastText's names."""
        return self._model.arguments._asdict()

    @cached_property
    def words(self) -> Words:
        """Words of the dictionary, the most frequent first."""
        return Words(self._model.data, self._model.offsets)

    def word_id(self, word: str) -> int:
        """Return the row of a word in the input matrix, or -1 for an unknown word."""
        return self.words.get(word)

    def subwords(self, word: str) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Return the parts of a word that have rows, and their rows in the input matrix: itself, and its n-grams."""
        own = self.word_id(word)
        found = [(word, own), *((part, self.subword_id(part)) for part in self._model.ngrams.ngrams(word))]
        kept = [(part, row) for part, row in found if row >= 0]
        return [part for part, _ in kept], np.array([row for _, row in kept], dtype=np.int64)

    def subword_id(self, part: str) -> int:
        """Return the row of an n-gram in the input matrix, or -1 if it was dropped."""
        ngrams = self._model.ngrams
        if ngrams.bucket == 0:
            return -1
        bucket = bucket_hash(part.encode("utf-8", "surrogateescape")) % ngrams.bucket
        if ngrams.kept is None:
            return len(self.words) + bucket
        rows = ngrams.kept[ngrams.kept[:, 0] == bucket, 1]
        return len(self.words) + int(rows[0]) if len(rows) else -1

    def input_rows(self, rows: npt.ArrayLike) -> Singles:
        """Return rows of the input matrix by number, decoded if it is quantized: float32, shape (k, dim)."""
        return self._model.matrix.take(np.atleast_1d(np.asarray(rows, dtype=np.int64)), sparse=True)

    @property
    def input_shape(self) -> tuple[int, int]:
        """Shape of the input matrix: a row for each word, and then for each n-gram bucket."""
        return self._model.matrix.shape

    @property
    def word_counts(self) -> npt.NDArray[np.int64]:
        """Frequency of each word in the training text, shape (words,)."""
        return self._model.counts

    @property
    def quantized(self) -> bool:
        """Whether the input matrix is product-quantized."""
        return self._model.quantized
