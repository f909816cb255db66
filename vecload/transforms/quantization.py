"""Quantization: half precision, int8 with a scale per row, and product quantization; and the loss of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from vecload.arrays import narrowed, row_blocks, type_of
from vecload.errors import OptionError
from vecload.formats.history import History
from vecload.vectors import Vectors
from vecload.words import Words

HalfDType = Literal["float16", "bfloat16"]

# Rows that k-means looks at.
_SAMPLE = 1 << 15
_ROUNDS = 15
# Positive values of an int8, which are as many as the negative ones without -128.
_LEVELS = 127


@dataclass(frozen=True)
class Loss:
    """Difference between rows before and after quantization."""

    relative: float
    """Sum of the squared errors over the sum of the squared values."""
    cosine: float
    """Mean cosine of each row before and after, without rows of zeros."""
    bytes: int
    """Size of the quantized rows in bytes."""
    ratio: float
    """That size over the size of the rows in float32."""


@dataclass(frozen=True, eq=False, repr=False)
class Quantized:
    """Rows as small integers, and how to decode them; made by `int8` and `product_quantize`.

    Parameters
    ----------
    words
        The words.
    codes
        For int8: int8, shape (n, dim). For product quantization: uint8, shape (n, parts).
    loss
        Difference from the original rows.
    meta
        Description of the source, as in `Vectors`.
    scales
        For int8: factor of each row, float32, shape (n,).
    centroids
        For product quantization: values of the codes of each part, float32, shape (parts, up to 256, dim / parts).
    history
        Training and transforms of the vectors, as in `Vectors`.
    """

    words: Words
    codes: npt.NDArray[Any]
    loss: Loss
    meta: Mapping[str, Any]
    scales: npt.NDArray[np.float32] | None = None
    centroids: npt.NDArray[np.float32] | None = None
    history: History = field(default_factory=History)

    @cached_property
    def vectors(self) -> Vectors:
        """Decoded rows, in float32."""
        rows = _decoded(self.codes, self.scales, self.centroids)
        return Vectors(self.words, rows, {**self.meta, "loss": vars(self.loss)}, history=self.history)

    def __reduce__(self) -> tuple[Any, ...]:
        # `meta` may be the mapping proxy of the vectors, which cannot be pickled.
        return Quantized, (
            self.words,
            self.codes,
            self.loss,
            dict(self.meta),
            self.scales,
            self.centroids,
            self.history,
        )

    def __repr__(self) -> str:
        return f"<Quantized: {len(self.words):,} words, {self.codes.dtype} {self.codes.shape}, {self.loss}>"


def to_half(vectors: Vectors, dtype: HalfDType) -> Vectors:
    """Round values to half precision; ``meta["loss"]`` reports the rounding errors.

    Parameters
    ----------
    vectors
        The space.
    dtype
        "float16" or "bfloat16".

    Raises
    ------
    OptionError
        For another type, and if a value is too large for float16.

    Examples
    --------
    >>> half = to_half(Vectors(["cat"], np.array([[1.0, 0.1]], dtype="float32")), "float16")
    >>> half.matrix.tolist(), half.meta["loss"]["ratio"]
    ([[1.0, 0.0999755859375]], 0.5)
    """
    if dtype not in get_args(HalfDType):
        raise OptionError(f"dtype={dtype!r} is not one of {', '.join(map(repr, get_args(HalfDType)))}")
    # Overflow is reported below, with the largest value.
    with np.errstate(over="ignore"):
        matrix = narrowed(vectors.matrix, type_of(dtype))
    rounded = Vectors(vectors.words, matrix, dict(vectors.meta))
    if not np.isfinite(rounded.norms).all() and np.isfinite(vectors.norms).all():
        raise OptionError(f"{dtype} cannot hold the value {np.abs(vectors.matrix).max():g}; bfloat16 can")
    loss = _loss(vectors, lambda at: matrix[at], matrix.nbytes)
    return Vectors(vectors.words, matrix, {**vectors.meta, "loss": vars(loss)}, history=vectors.history)


def int8(vectors: Vectors) -> Quantized:
    """Quantize rows to int8 with one float32 scale each, so that the largest value of a row becomes ±127.

    Raises
    ------
    OptionError
        For rows with NaN or infinity, and if there are no rows.

    Examples
    --------
    >>> small = int8(Vectors(["a", "b"], np.array([[127, -64], [0, 0]], dtype="float32")))
    >>> small.codes.tolist(), small.scales.tolist(), small.loss.relative
    ([[127, -64], [0, 0]], [1.0, 0.0], 0.0)
    """
    _check_finite(vectors)
    codes = np.empty(vectors.matrix.shape, dtype=np.int8)
    scales = np.empty(len(vectors), dtype=np.float32)
    for at in row_blocks(len(vectors)):
        block = vectors.rows_at(at).astype(np.float64)
        scales[at] = np.abs(block).max(axis=1, initial=0) / _LEVELS
        # The scale as it is stored, so that codes are rounded for the value that decodes them.
        step = scales[at, None].astype(np.float64)
        codes[at] = np.rint(np.divide(block, step, out=np.zeros_like(block), where=step > 0)).clip(-_LEVELS, _LEVELS)
    loss = _loss(vectors, lambda at: _decoded(codes[at], scales[at], None), codes.nbytes + scales.nbytes)
    return Quantized(vectors.words, codes, loss, vectors.meta, scales=scales, history=vectors.history)


def product_quantize(vectors: Vectors, parts: int, *, centroids: int = 256, seed: int = 0) -> Quantized:
    """Quantize rows to one byte per part: the columns are cut into parts, and k-means finds centroids for each.

    Parameters
    ----------
    vectors
        The space.
    parts
        Number of parts; it must divide the dimension.
    centroids
        Number of centroids for each part, at most 256.
    seed
        Random seed of the rows that k-means looks at and starts from.

    Raises
    ------
    OptionError
        For options out of range, rows with NaN or infinity, and if there are no rows.

    Notes
    -----
    Jégou, Douze and Schmid, "Product quantization for nearest neighbor search" (PAMI 2011).
    """
    _check_finite(vectors)
    if parts < 1 or vectors.dim % parts:
        raise OptionError(f"product_quantize: {vectors.dim} columns cannot be cut into {parts} equal parts")
    if not 1 <= centroids <= 256:
        raise OptionError(f"product_quantize: centroids={centroids} is not between 1 and 256")
    rng = np.random.default_rng(seed)
    # In row order, so that rows of a mapped file are read in one pass.
    sample = np.sort(rng.permutation(len(vectors))[:_SAMPLE])
    width = vectors.dim // parts
    books = np.empty((parts, min(centroids, len(sample)), width), dtype=np.float32)
    codes = np.empty((len(vectors), parts), dtype=np.uint8)
    for part in range(parts):
        columns = vectors.matrix[:, part * width : (part + 1) * width]
        books[part] = _k_means(columns[sample].astype(np.float32), books.shape[1], rng)
        for at in row_blocks(len(vectors)):
            codes[at, part] = _nearest_centroids(columns[at].astype(np.float32), books[part])
    loss = _loss(vectors, lambda at: _decoded(codes[at], None, books), codes.nbytes + books.nbytes)
    return Quantized(vectors.words, codes, loss, vectors.meta, centroids=books, history=vectors.history)


def _check_finite(vectors: Vectors) -> None:
    if not len(vectors) or not np.isfinite(vectors.norms).all():
        raise OptionError("vectors without rows, or with NaN or infinity, cannot be quantized")


def _nearest_centroids(rows: npt.NDArray[np.float32], book: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the number of the centroid c nearest to each row x: the one with the largest x @ c - |c|² / 2."""
    near: npt.NDArray[np.int64] = (rows @ book.T - np.square(book).sum(axis=1) / 2).argmax(axis=1)
    return near


def _k_means(rows: npt.NDArray[np.float32], count: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return centroids by Lloyd's algorithm, which starts from random rows.

    A centroid to which no row is nearest is replaced by a random row.
    """
    book = rows[rng.permutation(len(rows))[:count]].copy()
    for _ in range(_ROUNDS):
        near = _nearest_centroids(rows, book)
        sizes = np.bincount(near, minlength=count)
        # A weighted bincount per column adds in double precision and needs no sorting by centroid.
        sums = np.stack([np.bincount(near, rows[:, at], minlength=count) for at in range(rows.shape[1])], axis=1)
        full = sizes > 0
        book[full] = sums[full] / sizes[full, None]
        book[~full] = rows[rng.integers(0, len(rows), int((~full).sum()))]
    return book


def _decoded(codes: Any, scales: Any, centroids: Any) -> npt.NDArray[np.float32]:
    if centroids is None:
        scaled: npt.NDArray[np.float32] = codes * scales[:, None]
        return scaled
    rows: npt.NDArray[np.float32] = centroids[np.arange(codes.shape[1]), codes].reshape(len(codes), -1)
    return rows


def _loss(vectors: Vectors, decode: Callable[[slice], npt.NDArray[Any]], size: int) -> Loss:
    """Compare rows with what `decode` returns for each block of them."""
    error = total = cosines = 0.0
    count = 0
    for at in row_blocks(len(vectors)):
        before, after = vectors.rows_at(at).astype(np.float64), decode(at).astype(np.float64)
        error += float(np.square(before - after).sum())
        total += float(np.square(before).sum())
        norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
        cosines += float((np.einsum("nd,nd->n", before, after)[norms > 0] / norms[norms > 0]).sum())
        count += int((norms > 0).sum())
    return Loss(
        relative=error / total if total > 0 else 0.0,
        cosine=cosines / count if count else 1.0,
        bytes=size,
        ratio=size / max(1, 4 * vectors.matrix.size),
    )
