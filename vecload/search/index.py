"""Approximate search of millions of rows by an index of usearch.

HNSW graphs: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical navigable
small world graphs" (PAMI 2018). The file is usearch's own, so its bindings for other languages read it too. It holds
row numbers; words and rows are kept with the vectors.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vecload.arrays import row_blocks
from vecload.errors import FormatError, OptionError, require
from vecload.search.exact import Metric, check_queries, nearest_words, search_table
from vecload.search.ranking import Nearest, check_count
from vecload.search.shared_rows import expand, stored_rows
from vecload.sources import atomic_write

# Names of a metric in usearch, as an option and in its enumeration.
_METRICS: dict[Metric, tuple[str, str]] = {"cosine": ("cos", "Cos"), "dot": ("ip", "IP"), "euclidean": ("l2sq", "L2sq")}
_DTYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "int8": "i8"}


@dataclass(frozen=True, eq=False, repr=False)
class Index:
    """Approximate index of the rows of a matrix; made by `build_index` and `open_index`.

    Parameters
    ----------
    matrix
        The rows that were indexed, shape (n, dim).
    metric
        "cosine", "dot" or "euclidean".
    graph
        The ``usearch.index.Index``; its keys are row numbers.
    row_ids
        Row of each word, if words share rows: int64, shape (number of words,). Answers are then numbers of words.
    """

    matrix: npt.NDArray[Any]
    metric: Metric
    graph: Any
    row_ids: npt.NDArray[np.int64] | None = None

    def nearest(self, queries: npt.NDArray[Any], k: int = 10) -> Nearest:
        """Return the k rows nearest to each query, shape (q, dim), as `vecload.search.nearest` does; it misses some.

        Raises
        ------
        OptionError
            For queries of another dimension or with NaN or infinity, and for k below 1.
        """
        check_count(k)
        asked = np.ascontiguousarray(check_queries(queries, self.matrix.shape[1]), dtype=np.float32)
        rows = np.full((len(asked), k), -1, dtype=np.int64)
        scores = np.full((len(asked), k), np.nan, dtype=np.float32)
        if len(asked) and len(self.graph):
            matches = self.graph.search(asked, k)
            # usearch returns a batch for several queries, and the matches themselves for one.
            for at, match in enumerate(matches if len(asked) > 1 else [matches]):
                rows[at, : len(match.keys)] = match.keys
                scores[at, : len(match.keys)] = match.distances
        # usearch returns squared distances, and 1 minus cosines or products.
        found = Nearest(rows, np.sqrt(scores) if self.metric == "euclidean" else 1 - scores)
        if self.row_ids is None:
            return found
        return expand(found, self.row_ids, k)

    def recall(self, k: int = 10, *, sample: int = 1000, seed: int = 0) -> float:
        """Return the share of the exact k nearest rows that the index finds.

        Parameters
        ----------
        k
            Number of rows for each query.
        sample
            Number of rows that are drawn as queries.
        seed
            Random seed of the draw.
        """
        count = len(self.matrix)
        drawn = np.random.default_rng(seed).choice(count, min(sample, count), replace=False)
        queries = self.matrix[drawn]
        exact = nearest_words(search_table(self.matrix, self.row_ids), queries, k, metric=self.metric).rows
        found = self.nearest(queries, k).rows
        right = (found[:, :, None] == exact[:, None, :]) & (exact[:, None, :] >= 0)
        return float(right.any(axis=1).sum() / (exact >= 0).sum())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index in usearch's format, completely or not at all."""
        with atomic_write(path) as temporary:
            self.graph.save(os.fspath(temporary))

    def __repr__(self) -> str:
        return f"<Index: {len(self.graph):,} rows × {self.matrix.shape[1]}, {self.metric}>"


def build_index(
    matrix: npt.ArrayLike,
    *,
    metric: Metric = "cosine",
    dtype: Literal["float32", "float16", "bfloat16", "int8"] = "float32",
    connectivity: int = 16,
) -> Index:
    """Build an approximate index of all rows.

    Parameters
    ----------
    matrix
        Rows to index, shape (n, dim): an array, or `Vectors`.
    metric
        "cosine", "dot" or "euclidean".
    dtype
        Type of the values in the index. "int8" keeps only directions, so it needs the metric "cosine".
    connectivity
        Edges of a node. More edges find more of the nearest rows and need more memory.

    Raises
    ------
    MissingDependencyError
        If usearch is not installed.
    OptionError
        For an unknown metric or type.

    Examples
    --------
    >>> index = build_index(np.eye(2, dtype="float32"))
    >>> index, index.nearest(np.array([[0.0, 2.0]]), 1).rows.tolist()
    (<Index: 2 rows × 2, cosine>, [[1]])
    """
    rows, ids = stored_rows(matrix)
    graph = _empty_graph(rows.shape[1], metric, dtype, connectivity)
    for at in row_blocks(len(rows)):
        block = np.ascontiguousarray(rows[at], dtype=np.float32)
        graph.add(np.arange(at.start, at.stop, dtype=np.uint64), block)
    return Index(rows, metric, graph, ids)


def open_index(path: str | os.PathLike[str], matrix: npt.ArrayLike) -> Index:
    """Map an index that `Index.save` wrote, for the rows that it was built from.

    Parameters
    ----------
    path
        The file.
    matrix
        The rows that were indexed, shape (n, dim): an array, or `Vectors`.

    Raises
    ------
    MissingDependencyError
        If usearch is not installed.
    FormatError
        If the file is not an index, or the index of other rows.
    FileNotFoundError
        If the file does not exist.
    """
    usearch = require("usearch.index", "index")
    (rows, ids), name = stored_rows(matrix), os.fspath(path)
    # usearch does not report that a file is missing.
    os.stat(name)  # noqa: PTH116
    try:
        graph = usearch.Index.restore(name, view=True)
    except (ValueError, RuntimeError) as error:
        raise FormatError("not a usearch index", file=name, found=str(error)) from error
    metrics: dict[Any, Metric] = {getattr(usearch.MetricKind, kind): metric for metric, (_, kind) in _METRICS.items()}
    if graph.metric_kind not in metrics:
        raise FormatError(
            "the index has another metric", file=name, found=graph.metric_kind, expected=" or ".join(_METRICS)
        )
    # A file records its size, but not its rows, so an index of another matrix of the same size is not noticed.
    if (len(graph), graph.ndim) != rows.shape:
        shape = " × ".join(f"{size:,}" for size in rows.shape)
        raise FormatError(
            "the index was built from other vectors",
            file=name,
            found=f"{len(graph):,} × {graph.ndim}",
            expected=shape,
        )
    return Index(rows, metrics[graph.metric_kind], graph, ids)


def _empty_graph(dim: int, metric: Metric, dtype: str, connectivity: int) -> Any:
    for name, value, known in (("metric", metric, tuple(_METRICS)), ("dtype", dtype, tuple(_DTYPES))):
        if value not in known:
            raise OptionError(f"{name}={value!r} is not one of {', '.join(map(repr, known))}")
    # usearch scales each row to fill the eight bits and does not keep the factor.
    if dtype == "int8" and metric != "cosine":
        raise OptionError(f"dtype='int8' keeps only the direction of a row; use metric='cosine', not {metric!r}")
    usearch = require("usearch.index", "index")
    return usearch.Index(
        ndim=dim, metric=_METRICS[metric][0], dtype=_DTYPES[dtype], connectivity=connectivity, enable_key_lookups=False
    )
