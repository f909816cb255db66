"""Vectors as a writer gets them, in batches of a few rows; and comparison of vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecload import Vectors, Words
from vecload.arrays import IndexedRows
from vecload.formats import History
from vecload.formats.table import Batch


@dataclass
class TableOf:
    """`vecload.formats.contract.RowStream` over vectors, with or without a known number of rows."""

    vectors: Vectors
    step: int = 3
    counted: bool = True

    @property
    def rows(self) -> int | None:
        return len(self.vectors) if self.counted else None

    @property
    def expected(self) -> int:
        return len(self.vectors) if self.counted else 7

    @property
    def words(self) -> Words:
        return self.vectors.words

    @property
    def history(self) -> History:
        return self.vectors.history

    @property
    def dim(self) -> int:
        return self.vectors.dim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.vectors.dtype

    @property
    def meta(self) -> dict[str, Any]:
        return dict(self.vectors.meta)

    @property
    def ngrams(self) -> Any:
        return self.vectors.ngrams

    @property
    def shared(self) -> IndexedRows | None:
        ids = self.vectors.row_ids
        return None if ids is None else IndexedRows(self.vectors.unique_rows, ids)

    def batches(self) -> Iterator[Batch]:
        for begin in range(0, len(self.vectors), self.step):
            words = self.vectors.words[begin : begin + self.step]
            yield Batch(words.data, words.offsets, self.vectors.matrix[begin : begin + self.step])


def same(one: Vectors, other: Vectors) -> bool:
    """Return whether words are equal byte for byte, and values bit for bit."""
    return one.words == other.words and one.matrix.tobytes() == other.matrix.tobytes()
