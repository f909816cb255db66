"""Fewer n-gram buckets: a smaller table that the same hashes select from, or only the buckets that words use most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from vecload.arrays import row_blocks
from vecload.errors import FormatError, OptionError
from vecload.ngrams import NgramTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Ids = npt.NDArray[np.int64]
    Singles = npt.NDArray[np.float32]

_ROWS: Final = 1 << 12  # rows that are computed at a time
# Weight of a bucket that no word uses, relative to one use: unseen words may use it.
_UNUSED: Final = 1e-3


class NgramRows(Protocol):
    """N-gram rows of the new model in the old dimensions, computed from the old rows when they are needed."""

    kept: npt.NDArray[np.int32] | None
    """Bucket and number of each row, as in `NgramTable`; None if bucket i has row i."""

    def __len__(self) -> int: ...

    def take(self, at: Ids) -> Singles:
        """Return the rows with these numbers."""


class SelectedRows:
    """Rows of the buckets that words use most.

    Parameters
    ----------
    table
        The old table.
    count
        Number of rows; None for all.
    uses
        How often words use each old row, int64; not needed for all rows.
    """

    def __init__(self, table: NgramTable, count: int | None = None, uses: Ids | None = None) -> None:
        self._table = table
        self._places: Ids | None = None
        self.kept = table.kept
        self._count = count_rows(table)
        if count is not None and uses is not None and count < self._count:
            old = np.arange(table.bucket) if table.kept is None else table.kept[:, 0].astype(np.int64)
            places = old if table.kept is None else table.kept[:, 1].astype(np.int64)
            order = np.sort(np.argsort(-uses[places], kind="stable")[:count])
            self._count = len(order)
            self._places = places[order]
            self.kept = np.stack([old[order], np.arange(len(order))], axis=1).astype(np.int32)

    def __len__(self) -> int:
        return self._count

    def take(self, at: Ids) -> Singles:
        """Return the rows with these numbers."""
        return self._table.rows.take(at if self._places is None else self._places[at], sparse=True)

    @property
    def table(self) -> NgramTable:
        """The old table with the new choice of buckets."""
        if self._places is None or self.kept is None:
            return self._table
        kept = np.stack([self.kept[:, 0], self._places], axis=1).astype(np.int32)
        return NgramTable(self._table.rows, kept=kept, **self._table.settings)


class MergedRows:
    """Rows of a smaller table: means of the old rows, weighted by their uses.

    A hash modulo the new number of buckets is the old bucket modulo it, because it divides the old number.

    Parameters
    ----------
    table
        The old table, which is not pruned.
    count
        New number of buckets, a divisor of the old one.
    uses
        How often words use each old bucket, int64, shape (old buckets,).
    """

    kept: npt.NDArray[np.int32] | None = None

    def __init__(self, table: NgramTable, count: int, uses: Ids) -> None:
        self._table, self._count = table, count
        self._weights: Any = np.maximum(uses[: table.bucket], _UNUSED, dtype=np.float32).reshape(-1, count)
        self._totals: Any = self._weights.sum(axis=0, dtype=np.float64)

    def __len__(self) -> int:
        return self._count

    def take(self, at: Ids) -> Singles:
        """Return the rows with these numbers."""
        sums = np.zeros((len(at), self._table.dim), dtype=np.float32)
        for number, weights in enumerate(self._weights):
            shares = (weights[at] / self._totals[at]).astype(np.float32)
            sums += shares[:, None] * self._table.rows.take(number * self._count + at, sparse=True)
        return sums


def ngram_blocks(rows: NgramRows) -> Iterator[tuple[slice, Singles]]:
    """Yield all rows in blocks, each with its place.

    Raises
    ------
    FormatError
        If a row has NaN or infinity.
    """
    for at in row_blocks(len(rows), _ROWS):
        block = rows.take(np.arange(at.start, at.stop))
        if not np.isfinite(block).all():
            raise FormatError("the model has n-grams with NaN or infinity", hint="Train or download it again.")
        yield at, block


def count_rows(table: NgramTable) -> int:
    """Return the number of rows that n-grams can select."""
    return table.bucket if table.kept is None else table.rows.shape[0]


def check_buckets(count: int, old: int, *, exact: bool) -> None:
    """Raise OptionError for a number of buckets that a smaller table cannot have.

    Parameters
    ----------
    count, old
        New and old number of buckets.
    exact
        Whether all hashes must select a bucket, so that the new number has to divide the old one.
    """
    if not 1 <= count <= old:
        raise OptionError(f"buckets must be 1 to {old:,}, the number in the model, got {count:,}")
    if exact and old % count:
        divisors = [old // size for size in range(1, min(old, 1000) + 1) if old % size == 0]
        near = sorted(divisors, key=lambda size: abs(size - count))[:2]
        raise OptionError(
            f"a .bin file needs buckets that divide the {old:,} of the model, so that hashes stay exact, got {count:,}"
            f"; use {' or '.join(f'{size:,}' for size in sorted(near))}, or write a .ftz or .safetensors file"
        )
