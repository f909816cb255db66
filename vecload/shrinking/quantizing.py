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
    from collections.abc import Iterable

    import numpy.typing as npt

    Singles = npt.NDArray[np.float32]
    Bytes = npt.NDArray[np.uint8]

SAMPLE: Final = 1 << 15
"""Number of rows that the centroids are learned from."""

_ROUNDS: Final = 15
_ROWS: Final = 1 << 14  # rows that a thread quantizes at a time


@dataclass(frozen=True, eq=False)
class Quantizer:
    """Centroids of groups of columns.

    Parameters
    ----------
    parts
        Centroids of each group, float32, shape (256, size of the group).
    norms
        Centroids of the norms, float32, shape (256,); None if rows are quantized with their norms.
    """

    parts: list[Singles]
    norms: Singles | None

    def encode(self, blocks: Iterable[Singles]) -> QuantizedRows:
        """Quantize rows, given in blocks."""
        codes: list[Bytes] = []
        norm_codes: list[Bytes] = []
        for rows in blocks:
            if self.norms is not None:
                lengths = np.linalg.norm(rows, axis=1).astype(np.float32)
                norm_codes.append(_nearest(lengths[:, None], self.norms[:, None]))
                rows = rows / _divisors(lengths)  # noqa: PLW2901 - the rows to encode
            begin = 0
            made = np.empty((len(rows), len(self.parts)), dtype=np.uint8)
            for at, part in enumerate(self.parts):
                made[:, at] = _nearest(rows[:, begin : begin + part.shape[1]], part)
                begin += part.shape[1]
            codes.append(made)
        return QuantizedRows(
            np.concatenate(codes),
            np.concatenate([part.reshape(-1) for part in self.parts]),
            self.parts[0].shape[1],
            np.concatenate([np.empty(0, dtype=np.uint8), *norm_codes]),
            np.empty(0, dtype=np.float32) if self.norms is None else self.norms,
        )


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
    lengths = np.linalg.norm(sample, axis=1).astype(np.float32)
    centers = None
    if norms:
        sample = sample / _divisors(lengths)
        centers = _k_means(lengths[:, None], rng)[:, 0]
    groups = [sample[:, begin : begin + width] for begin in range(0, sample.shape[1], width)]
    learned = [_grid(group) if uniform else _k_means(group, rng) for group in groups]
    return Quantizer([read_only(np.ascontiguousarray(part)) for part in learned], centers)


def _divisors(lengths: Singles) -> Singles:
    divisors: Singles = np.where(lengths > 0, lengths, np.float32(1))[:, None]
    return divisors


def _grid(values: Singles) -> Singles:
    return np.linspace(values.min(), values.max(), CENTROIDS, dtype=np.float32)[:, None]


def _k_means(rows: Singles, rng: np.random.Generator) -> Singles:
    """Return 256 centroids, shape (256, size); those without rows are copies of the rows that are worst represented."""
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    distinct = np.unique(rows, axis=0)
    if len(distinct) <= CENTROIDS:
        repeated: Singles = np.resize(distinct, (CENTROIDS, rows.shape[1]))
        return repeated
    centers = distinct[rng.choice(len(distinct), CENTROIDS, replace=False)]
    for _ in range(_ROUNDS):
        codes = _nearest(rows, centers)
        counts = np.bincount(codes, minlength=CENTROIDS)
        sums = np.stack([np.bincount(codes, column, CENTROIDS) for column in rows.T.astype(np.float64)], axis=1)
        centers = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centers).astype(np.float32)
        empty = np.flatnonzero(counts == 0)
        if len(empty):
            errors = np.square(rows - centers[codes]).sum(axis=1)
            centers[empty] = rows[np.argsort(-errors)[: len(empty)]]
    return centers


def _nearest(rows: Singles, centers: Singles) -> Bytes:
    """Return the number of the nearest centroid of each row, computed on threads."""
    from vecload.kernels import centroids, workers

    rows = read_only(np.ascontiguousarray(rows, dtype=np.float32))
    columns = read_only(np.ascontiguousarray(centers.T, dtype=np.float32))
    codes = np.empty(len(rows), dtype=np.uint8)
    with Pool(workers()) as pool:
        jobs = [
            pool.submit(centroids.nearest_centroids, rows[at], columns, codes[at])
            for at in row_blocks(len(rows), _ROWS)
        ]
        for job in jobs:
            job.result()
    return codes
