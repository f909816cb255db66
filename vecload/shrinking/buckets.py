"""Fewer n-gram buckets: a smaller table that the same hashes select from, or only the buckets that words use most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import row_blocks
from vecload.errors import OptionError

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.ngrams import NgramTable

    Singles = npt.NDArray[np.float32]

_ROWS: Final = 1 << 15  # rows that are added at a time
# Weight of a bucket that no word uses, relative to one use: unseen words may use it.
_UNUSED: Final = 1e-3


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


def merge_buckets(table: NgramTable, count: int, uses: npt.NDArray[np.int64]) -> Singles:
    """Return the rows of a smaller table, shape (count, dim): means of the old rows, weighted by their uses.

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
    sums = np.zeros((count, table.dim), dtype=np.float32)
    totals = np.zeros(count, dtype=np.float64)
    for begin in range(0, table.bucket, count):
        weights = np.maximum(uses[begin : begin + count], _UNUSED)
        totals += weights
        for some in row_blocks(count, _ROWS):
            rows = table.rows[begin + some.start : begin + some.stop].take(
                np.arange(some.stop - some.start), sparse=False
            )
            sums[some] += weights[some, None].astype(np.float32) * rows
    for some in row_blocks(count, _ROWS):
        sums[some] /= totals[some, None].astype(np.float32)
    return sums


def most_used(table: NgramTable, count: int, uses: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], Singles]:
    """Return the buckets that words use most, as `NgramTable.kept`, int32, shape (count, 2), and their rows."""
    old = np.arange(table.bucket) if table.kept is None else table.kept[:, 0].astype(np.int64)
    places = old if table.kept is None else table.kept[:, 1].astype(np.int64)
    order = np.sort(np.argsort(-uses[places], kind="stable")[:count])
    kept: Any = np.stack([old[order], np.arange(len(order))], axis=1).astype(np.int32)
    return kept, table.rows.take(places[order], sparse=False)
