"""Approximate search for millions of rows: a usearch index (HNSW, Malkov and Yashunin 2018) of row numbers.

The file is usearch's own, so its bindings in other languages open it too; words and rows stay in the vectors.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vecload.errors import FormatError, OptionError, require
from vecload.search.exact import Metric, Nearest, checked, nearest
from vecload.sources import atomic_write
from vecload.vectors import Vectors

_KINDS: dict[Metric, tuple[str, str]] = {"cosine": ("cos", "Cos"), "dot": ("ip", "IP"), "euclidean": ("l2sq", "L2sq")}
"""usearch's name of a metric, as an option and in its enumeration."""
_DTYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "int8": "i8"}
_ROWS = 1 << 14  # added together


@dataclass(frozen=True, eq=False, repr=False)
class Index:
    """An approximate index beside the vectors it was made of."""

    vectors: Vectors
    metric: Metric
    graph: Any
    """The ``usearch.index.Index``; its keys are row numbers."""

    def nearest(self, queries: npt.NDArray[Any], k: int = 10) -> Nearest:
        """The k rows nearest to each query, shape (q, dim): `vecload.search.nearest` but for a few it misses."""
        if k < 1:
            raise OptionError(f"k={k}: ask for one neighbour or more")
        wide = np.ascontiguousarray(checked(self.vectors, queries), dtype=np.float32)
        rows = np.full((len(wide), k), -1, dtype=np.int64)
        scores = np.full((len(wide), k), np.nan, dtype=np.float32)
        if len(wide) and len(self.graph):
            matches = self.graph.search(wide, k)
            found = matches if len(wide) > 1 else [matches]  # one query gives no batch
            for at, match in enumerate(found):
                rows[at, : len(match.keys)] = match.keys
                scores[at, : len(match.keys)] = match.distances
        scores = np.sqrt(scores) if self.metric == "euclidean" else 1 - scores
        return Nearest(rows, scores)

    def recall(self, k: int = 10, *, sample: int = 1000, seed: int = 0) -> float:
        """Share of the exact k nearest rows that the index finds, for random rows as queries."""
        count = len(self.vectors)
        rows = np.random.default_rng(seed).choice(count, min(sample, count), replace=False)
        queries = self.vectors.matrix[rows]
        exact = nearest(self.vectors, queries, k, metric=self.metric).rows
        found = self.nearest(queries, k).rows
        right = (found[:, :, None] == exact[:, None, :]) & (exact[:, None, :] >= 0)
        return float(right.any(axis=1).sum() / (exact >= 0).sum())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write usearch's file; whole, or not at all."""
        with atomic_write(path) as temporary:
            self.graph.save(os.fspath(temporary))

    def __repr__(self) -> str:
        return f"<Index: {len(self.graph):,} rows × {self.vectors.dim}, {self.metric}>"


def build_index(
    vectors: Vectors,
    *,
    metric: Metric = "cosine",
    dtype: Literal["float32", "float16", "bfloat16", "int8"] = "float32",
    connectivity: int = 16,
) -> Index:
    """Build an index of all rows.

    Parameters
    ----------
    vectors
        What to index.
    metric
        "cosine", "dot" or "euclidean".
    dtype
        How the index keeps its values; "int8" keeps directions only, so goes with "cosine".
    connectivity
        Edges of a node: more find more, in more memory.

    Raises
    ------
    MissingDependencyError
        When usearch is not installed.
    OptionError
        For a metric or a type that is none.

    Examples
    --------
    >>> from vecload import Vectors, Words
    >>> vectors = Vectors(Words.from_strings(["a", "b"]), np.eye(2, dtype="float32"))
    >>> index = build_index(vectors)
    >>> index, index.nearest(np.array([[0.0, 2.0]]), 1).rows.tolist()
    (<Index: 2 rows × 2, cosine>, [[1]])
    """
    graph = _empty(vectors, metric, dtype, connectivity)
    for begin in range(0, len(vectors), _ROWS):
        rows = np.ascontiguousarray(vectors.matrix[begin : begin + _ROWS], dtype=np.float32)
        graph.add(np.arange(begin, begin + len(rows), dtype=np.uint64), rows)
    return Index(vectors, metric, graph)


def open_index(path: str | os.PathLike[str], vectors: Vectors) -> Index:
    """Open an index that `Index.save` wrote, mapped from its file, beside the vectors it was made of.

    Raises
    ------
    MissingDependencyError
        When usearch is not installed.
    FormatError
        When it is no index, or not one of these vectors.
    FileNotFoundError
        When there is no such file.
    """
    usearch = require("usearch.index", "index")
    name = os.fspath(path)
    os.stat(name)  # noqa: PTH116 - usearch says nothing of a file that is not there
    try:
        graph = usearch.Index.restore(name, view=True)
    except (ValueError, RuntimeError) as error:
        raise FormatError("no usearch index", file=name, found=str(error)) from error
    kinds: dict[Any, Metric] = {getattr(usearch.MetricKind, kind): metric for metric, (_, kind) in _KINDS.items()}
    if graph.metric_kind not in kinds:
        raise FormatError(
            "an index of another metric", file=name, found=graph.metric_kind, expected=" or ".join(_KINDS)
        )
    if (len(graph), graph.ndim) != (len(vectors), vectors.dim):
        raise FormatError(
            "an index of other vectors",
            file=name,
            found=f"{len(graph):,} × {graph.ndim}",
            expected=f"{len(vectors):,} × {vectors.dim}",
        )
    return Index(vectors, kinds[graph.metric_kind], graph)


def _empty(vectors: Vectors, metric: Metric, dtype: str, connectivity: int) -> Any:
    for name, value, known in (("metric", metric, tuple(_KINDS)), ("dtype", dtype, tuple(_DTYPES))):
        if value not in known:
            raise OptionError(f"{name}={value!r} is not one of {', '.join(map(repr, known))}")
    if dtype == "int8" and metric != "cosine":  # usearch scales each row to fill the eight bits, and forgets by what
        raise OptionError(f"dtype='int8' keeps the direction of a row only: use metric='cosine', not {metric!r}")
    usearch = require("usearch.index", "index")
    return usearch.Index(
        ndim=vectors.dim,
        metric=_KINDS[metric][0],
        dtype=_DTYPES[dtype],
        connectivity=connectivity,
        enable_key_lookups=False,
    )
