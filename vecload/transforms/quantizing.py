"""Fewer bytes a row: narrower floats, int8 with a scale a row, product quantisation; and what each loses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from vecload.arrays import narrowed, type_of
from vecload.errors import OptionError
from vecload.vectors import Vectors
from vecload.words import Words

Width = Literal["float16", "bfloat16"]

_ROWS = 1 << 13  # rows worked on together
_SAMPLE = 1 << 15  # rows that centroids are found on
_ROUNDS = 15
_LEVELS = 127


@dataclass(frozen=True)
class Loss:
    """What a quantisation loses: of the rows as they come back."""

    relative: float
    """Squared error over squared values."""
    cosine: float
    """Mean cosine of a row, not of zeros, with itself."""
    bytes: int
    """Bytes of the quantised rows."""
    ratio: float
    """Those over the bytes of the rows in float32."""


@dataclass(frozen=True, eq=False, repr=False)
class Quantized:
    """Rows as small integers: ``codes`` and what they stand for.

    For int8, `codes` is int8 (n, dim) and `scales` float32 (n,): a row is its codes times its scale. For product
    quantisation, `codes` is uint8 (n, parts) and `centroids` float32 (parts, 256 or less, dim / parts).
    """

    words: Words
    codes: npt.NDArray[Any]
    loss: Loss
    meta: Mapping[str, Any]
    scales: npt.NDArray[np.float32] | None = None
    centroids: npt.NDArray[np.float32] | None = None

    @cached_property
    def vectors(self) -> Vectors:
        """The rows as float32 again."""
        return Vectors(
            self.words, _decoded(self.codes, self.scales, self.centroids), {**self.meta, "loss": vars(self.loss)}
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # `meta` may be the mapping proxy of the vectors, which cannot be pickled.
        return Quantized, (self.words, self.codes, self.loss, dict(self.meta), self.scales, self.centroids)

    def __repr__(self) -> str:
        return f"<Quantized: {len(self.words):,} words, {self.codes.dtype} {self.codes.shape}, {self.loss}>"


def narrow(vectors: Vectors, dtype: Width) -> Vectors:
    """Values in half the bytes, each rounded to the nearest; ``meta["loss"]`` says what that loses.

    Raises
    ------
    OptionError
        For a type that is none, and when a value is too great for it.
    """
    if dtype not in get_args(Width):
        raise OptionError(f"dtype={dtype!r} is not one of {', '.join(map(repr, get_args(Width)))}")
    with np.errstate(over="ignore"):
        matrix = narrowed(vectors.matrix, type_of(dtype))
    made = Vectors(vectors.words, matrix, dict(vectors.meta))
    if not np.isfinite(made.norms).all() and np.isfinite(vectors.norms).all():
        raise OptionError(f"{dtype} holds no value as great as {np.abs(vectors.matrix).max():g}; bfloat16 does")
    loss = _loss(vectors, lambda at: matrix[at], matrix.nbytes)
    return Vectors(vectors.words, matrix, {**vectors.meta, "loss": vars(loss)})


def int8(vectors: Vectors) -> Quantized:
    """Rows as int8 with a float32 scale each: the greatest value of a row is 127 of its steps; rows of zeros stay.

    Examples
    --------
    >>> from vecload import Words
    >>> made = int8(Vectors(Words.from_strings(["a", "b"]), np.array([[127, -64], [0, 0]], dtype="float32")))
    >>> made.codes.tolist(), made.scales.tolist(), made.loss.relative
    ([[127, -64], [0, 0]], [1.0, 0.0], 0.0)
    """
    _check(vectors)
    codes = np.empty(vectors.matrix.shape, dtype=np.int8)
    scales = np.empty(len(vectors), dtype=np.float32)
    for begin in range(0, len(vectors), _ROWS):
        at = slice(begin, begin + _ROWS)
        block = vectors.matrix[at].astype(np.float64)
        scales[at] = np.abs(block).max(axis=1, initial=0) / _LEVELS
        step = scales[at, None].astype(np.float64)
        codes[at] = np.rint(np.divide(block, step, out=np.zeros_like(block), where=step > 0)).clip(-_LEVELS, _LEVELS)
    loss = _loss(vectors, lambda at: _decoded(codes[at], scales[at], None), codes.nbytes + scales.nbytes)
    return Quantized(vectors.words, codes, loss, vectors.meta, scales=scales)


def product(vectors: Vectors, parts: int, *, centroids: int = 256, seed: int = 0) -> Quantized:
    """Rows as a byte for each of `parts` runs of columns: the nearest of `centroids` found by k-means.

    Parameters
    ----------
    vectors
        The space.
    parts
        Into how many runs the columns are cut; divides the dimension.
    centroids
        At most 256.
    seed
        Of the rows that centroids are found on, and of where they begin.

    Notes
    -----
    Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", PAMI 2011.
    """
    _check(vectors)
    if parts < 1 or vectors.dim % parts:
        raise OptionError(f"product: {vectors.dim} columns cannot be cut into {parts} equal runs")
    if not 1 <= centroids <= 256:
        raise OptionError(f"product: 1 to 256 centroids have a byte, not {centroids}")
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(len(vectors))[:_SAMPLE])
    width = vectors.dim // parts
    books = np.empty((parts, min(centroids, len(sample)), width), dtype=np.float32)
    codes = np.empty((len(vectors), parts), dtype=np.uint8)
    for part in range(parts):
        columns = vectors.matrix[:, part * width : (part + 1) * width]
        books[part] = _centroids(columns[sample].astype(np.float32), books.shape[1], rng)
        for begin in range(0, len(vectors), _ROWS):
            block = columns[begin : begin + _ROWS].astype(np.float32)
            codes[begin : begin + _ROWS, part] = _assigned(block, books[part])
    loss = _loss(vectors, lambda at: _decoded(codes[at], None, books), codes.nbytes + books.nbytes)
    return Quantized(vectors.words, codes, loss, vectors.meta, centroids=books)


def _check(vectors: Vectors) -> None:
    if not len(vectors) or not np.isfinite(vectors.norms).all():
        raise OptionError("only rows can be quantised that are there and finite")


def _assigned(rows: npt.NDArray[np.float32], book: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    near: npt.NDArray[np.int64] = (rows @ book.T - np.square(book).sum(axis=1) / 2).argmax(axis=1)
    return near


def _centroids(rows: npt.NDArray[np.float32], count: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Lloyd's k-means from random rows; a centroid that loses all its rows takes a random one."""
    book = rows[rng.permutation(len(rows))[:count]].copy()
    for _ in range(_ROUNDS):
        near = _assigned(rows, book)
        sizes = np.bincount(near, minlength=count)
        sums = np.stack([np.bincount(near, rows[:, at], minlength=count) for at in range(rows.shape[1])], axis=1)
        full = sizes > 0
        book[full] = sums[full] / sizes[full, None]
        book[~full] = rows[rng.integers(0, len(rows), int((~full).sum()))]
    return book


def _decoded(codes: Any, scales: Any, centroids: Any) -> npt.NDArray[np.float32]:
    if centroids is None:
        made: npt.NDArray[np.float32] = codes * scales[:, None]
        return made
    rows: npt.NDArray[np.float32] = centroids[np.arange(codes.shape[1]), codes].reshape(len(codes), -1)
    return rows


def _loss(vectors: Vectors, decoded: Any, size: int) -> Loss:
    error = total = cosines = 0.0
    count = 0
    for begin in range(0, len(vectors), _ROWS):
        at = slice(begin, begin + _ROWS)
        one, other = vectors.matrix[at].astype(np.float64), decoded(at).astype(np.float64)
        error += float(np.square(one - other).sum())
        total += float(np.square(one).sum())
        norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        cosines += float((np.einsum("nd,nd->n", one, other)[norms > 0] / norms[norms > 0]).sum())
        count += int((norms > 0).sum())
    return Loss(
        relative=error / total if total > 0 else 0.0,
        cosine=cosines / count if count else 1.0,
        bytes=size,
        ratio=size / max(1, 4 * vectors.matrix.size),
    )
