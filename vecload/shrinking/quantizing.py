"""Quantize rows as fastText's ``.ftz`` files store them: a byte for each group of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.arrays import row_blocks
from vecload.ngrams import QuantizedRows
from vecload.ngrams.rows import CENTROIDS
from vecload.threads import Pool
from vecload.words import read_only

if TYPE_CHECKING:
    import numpy.typing as npt

    Ids = npt.NDArray[np.int64]
    Singles = npt.NDArray[np.float32]
    Bytes = npt.NDArray[np.uint8]

SAMPLE: Final = 1 << 15
"""Number of rows that the centroids are learned from."""

_ROUNDS: Final = 15
_ROWS: Final = 1 << 10  # rows that a thread quantizes at a time


@dataclass(frozen=True, eq=False)
class Quantizer:
    """Centroids of groups of columns.

    Parameters
    ----------
    lines
        Values of the 256 centroids in each column, float32, shape (dim, 256).
    width
        Number of columns in a group; the last one may be smaller.
    norms
        Centroids of the norms, float32, shape (256,); None if rows are quantized with their norms.
    """

    lines: Singles
    width: int
    norms: Singles | None

    def empty(self, count: int) -> QuantizedRows:
        """Return this number of rows without values, for `encode`."""
        dim = len(self.lines)
        groups = [self.lines[begin : begin + self.width] for begin in range(0, dim, self.width)]
        nothing = np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.float32)
        return QuantizedRows(
            np.empty((count, len(groups)), dtype=np.uint8),
            np.concatenate([group.T.reshape(-1) for group in groups]),
            self.width,
            *(nothing if self.norms is None else (np.empty(count, dtype=np.uint8), self.norms)),
        )

    def encode(self, rows: Singles, out: QuantizedRows) -> None:
        """Quantize rows, and write their codes to as many rows of `empty`."""
        if self.norms is not None:
            lengths = np.linalg.norm(rows, axis=1).astype(np.float32)
            _encode(lengths[:, None], self.norms[None], 1, out.norm_codes[:, None])
            rows = rows / _divisors(lengths)
        _encode(rows, self.lines, self.width, out.codes)


def learn_quantizer(sample: Singles, width: int, *, norms: bool, uniform: bool, seed: int) -> Quantizer:
    """Learn centroids for groups of `width` columns.

    Parameters
    ----------
    sample
        Rows to learn from, shape (n, dim).
    width
        Number of columns in a group; the last one may be smaller.
    norms
        Whether to quantize norms separately.
    uniform
        Whether the centroids are equally spaced from the smallest to the largest value, for groups of one column.
        Values outside of the range of the sample are cut.
    seed
        Seed of the start of k-means.

    Notes
    -----
    k-means on each group: Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", PAMI 33, 2011.
    """
    rng = np.random.default_rng(seed)
    centers = None
    if norms:
        lengths = np.linalg.norm(sample, axis=1).astype(np.float32)
        sample = sample / _divisors(lengths)
        centers = _k_means(lengths[:, None], 1, rng)[0]
    return Quantizer(_grid(sample) if uniform else _k_means(sample, width, rng), width, centers)


def _divisors(lengths: Singles) -> Singles:
    divisors: Singles = np.where(lengths > 0, lengths, np.float32(1))[:, None]
    return divisors


def _grid(rows: Singles) -> Singles:
    return np.linspace(rows.min(axis=0), rows.max(axis=0), CENTROIDS, dtype=np.float32, axis=1)


def _k_means(rows: Singles, width: int, rng: np.random.Generator) -> Singles:
    """Return centroids of each group of columns, as lines, by Lloyd's algorithm, which starts from random rows.

    Centroids without rows are replaced by copies of the rows that are worst represented. A group of 256 or fewer
    distinct rows has all of them as its centroids.
    """
    groups = [slice(begin, min(begin + width, rows.shape[1])) for begin in range(0, rows.shape[1], width)]
    lines = np.empty((rows.shape[1], CENTROIDS), dtype=np.float32)
    moving = []
    for number, group in enumerate(groups):
        distinct = rows[:, group][_distinct(rows[:, group])]
        some = np.arange(CENTROIDS) % len(distinct)
        if len(distinct) > CENTROIDS:
            moving.append(number)
            some = rng.choice(len(distinct), CENTROIDS, replace=False)
        lines[group] = distinct[some].T
    codes = np.empty((len(rows), len(groups)), dtype=np.uint8)
    for _ in range(_ROUNDS if moving else 0):
        _encode(rows, lines, width, codes)
        for number in moving:
            group, code = groups[number], codes[:, number]
            counts = np.bincount(code, minlength=CENTROIDS)
            sums = np.stack([np.bincount(code, column, CENTROIDS) for column in rows[:, group].T])
            lines[group] = np.where(counts > 0, sums / np.maximum(counts, 1), lines[group])
            empty = np.flatnonzero(counts == 0)
            if len(empty):
                errors = np.square(rows[:, group] - lines[group].T[code]).sum(axis=1)
                lines[group, empty] = rows[np.argsort(-errors, kind="stable")[: len(empty)], group].T
    return lines


def _distinct(rows: Singles) -> Ids:
    """Return the number of one of each different row, in the order of their bytes."""
    # Sorting pairs of floats as integers is many times faster than sorting rows.
    rows = np.ascontiguousarray(rows)
    kinds = {1: np.uint32, 2: np.uint64}
    keys = rows.view(kinds[rows.shape[1]])[:, 0]
    first: Ids = np.unique(keys, return_index=True)[1]
    return first


def _encode(rows: Singles, lines: Singles, width: int, codes: Bytes) -> None:
    """Write the number of the nearest centroid of each group of each row, computed on threads."""
    from vecload.kernels import centroids, workers

    rows = read_only(np.ascontiguousarray(rows, dtype=np.float32))
    given = read_only(np.ascontiguousarray(lines)), width
    with Pool(workers()) as pool:
        pool.run(centroids.encode_rows, [(rows[at], *given, codes[at]) for at in row_blocks(len(rows), _ROWS)])
