"""`Entries`: sparse weights of new rows over old ones, and the methods that compute them from vectors.

Every method returns the entries of the rows that it can make; other rows have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vecload.arrays import row_blocks
from vecload.progress import progress_bar
from vecload.search.exact import nearest
from vecload.search.products import largest_products, search_pool
from vecload.words import read_only

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Ids = npt.NDArray[np.int64]
    Singles = npt.NDArray[np.float32]

# Candidates that usually contain the whole support of sparsemax, and the factor by which they grow where they do not.
_CANDIDATES = 256
_GROWTH = 8
# Queries at a time, and candidates of all of them.
_QUERIES = 2048
_PAIRS = 1 << 22
# Vectors that matching pursuit approximates at a time. Their bases are the largest arrays: 64 × dim doubles each.
_VECTORS = 128
# Residuals of this relative size are rounding of float32 donor rows.
_TOLERANCE = 1e-7


class Entries(NamedTuple):
    """Entries of a sparse matrix: `rows` and `columns` int32 and `values` float32, shape (n,)."""

    rows: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int32]
    values: Singles

    @classmethod
    def of_lists(cls, columns: Sequence[Sequence[int] | Ids], values: Sequence[Any]) -> Entries:
        """Return the entries of rows 0, 1, ... from the columns and values of each."""
        rows = np.repeat(np.arange(len(columns)), [len(some) for some in columns])
        joined = np.concatenate([np.empty(0, dtype=np.int32), *(np.asarray(some, dtype=np.int32) for some in columns)])
        return cls.of(rows, joined, np.concatenate([np.empty(0, dtype=np.float32), *values]))

    @classmethod
    def of(cls, rows: npt.ArrayLike, columns: npt.ArrayLike, values: npt.ArrayLike) -> Entries:
        """Return entries of arrays of any type."""
        return cls(
            np.asarray(rows, dtype=np.int32), np.asarray(columns, dtype=np.int32), np.asarray(values, dtype=np.float32)
        )

    def renamed(self, rows: Ids, columns: Ids | None = None) -> Entries:
        """Return the entries with the given numbers in place of rows 0, 1, ... and of columns 0, 1, ..."""
        return Entries.of(rows[self.rows], self.columns if columns is None else columns[self.columns], self.values)

    def __or__(self, other: Entries) -> Entries:
        """Return the entries of both."""
        pairs: Any = zip(self, other, strict=True)
        return Entries(*(np.concatenate(pair) for pair in pairs))

    def csr(self, shape: tuple[int, int]) -> Any:
        """Return a ``scipy.sparse.csr_array``."""
        from scipy.sparse import csr_array

        made = csr_array((self.values, (self.rows, self.columns)), shape=shape)
        made.sort_indices()
        return made


def without_unused(weights: Any) -> tuple[Any, Ids]:
    """Return a CSR matrix without its empty columns, and the numbers of the others."""
    from scipy.sparse import csr_array

    used, columns = np.unique(weights.indices, return_inverse=True)
    return csr_array((weights.data, columns, weights.indptr), shape=(weights.shape[0], len(used))), used


def mean_entries(parts: Sequence[Sequence[int]]) -> Entries:
    """Return equal weights over the parts of each row."""
    return Entries.of_lists(parts, [np.full(len(some), 1 / max(len(some), 1)) for some in parts])


def sparsemax_entries(
    queries: Singles, matrix: Singles, k: int | None = None, *, progress: bool | None = None
) -> Entries:
    """Return sparsemax of the cosines of each query with the rows of a matrix.

    Parameters
    ----------
    queries, matrix
        Rows of unit length, shape (q, dim) and (n, dim).
    k
        Number of nearest rows to compute it over; None for all.
    progress
        Whether to show a bar; None shows it if standard error is a terminal.

    Notes
    -----
    FOCUS: Dobler and de Melo, "FOCUS: Effective Embedding Initialization for Monolingual Specialization of Multilingual
    Models", EMNLP 2023, arXiv 2305.14481.

    Examples
    --------
    >>> sparsemax_entries(np.float32([[1, 0]]), np.float32([[1, 0], [0.6, 0.8], [0, 1]])).values.round(3)
    array([0.7, 0.3], dtype=float32)
    """
    columns: list[Any] = []
    values: list[Singles] = []
    most = len(matrix) if k is None else min(k, len(matrix))
    with progress_bar(len(queries), unit="tokens", name="sparsemax", shown=progress) as bar:
        for some in row_blocks(len(queries), _QUERIES):
            _add_sparsemax(queries[some], matrix, min(_CANDIDATES, most), most, columns, values)
            bar.advance(some.stop - some.start)
    return Entries.of_lists(columns, values)


def _add_sparsemax(queries: Singles, matrix: Singles, k: int, most: int, columns: list[Any], values: list[Any]) -> None:
    """Append the support and the weights of each query, from k candidates, or more if they do not suffice."""
    from vecload.kernels import sparse_weights, workers

    for some in row_blocks(len(queries), max(1, _PAIRS // k)):
        asked = read_only(queries[some])
        rows, rough = largest_products(asked, matrix, k)
        weights = np.zeros(rows.shape)
        counts = np.zeros(len(rows), dtype=np.int64)
        whole, share = k == most, -(-len(rows) // workers())
        with search_pool() as pool:
            jobs = [
                (asked[at], read_only(matrix), rows[at], rough[at], whole, weights[at], counts[at])
                for at in row_blocks(len(rows), share)
            ]
            pool.run(sparse_weights.sparsemax, jobs)
        for at, count in enumerate(counts.tolist()):
            if count < 0:
                _add_sparsemax(asked[at : at + 1], matrix, min(_GROWTH * k, most), most, columns, values)
            else:
                # Copies, because views would keep all candidates in memory.
                columns.append(rows[at, :count].astype(np.int32))
                values.append(weights[at, :count].astype(np.float32))


def softmax_entries(
    queries: Singles, matrix: Singles, k: int, temperature: float, *, progress: bool | None = None
) -> Entries:
    """Return softmax of the cosines of each query with its k nearest rows, divided by a temperature.

    Notes
    -----
    WECHSEL: Minixhofer, Paischer and Rekabsaz, "WECHSEL: Effective initialization of subword embeddings for
    cross-lingual transfer of monolingual language models", NAACL 2022, arXiv 2112.06598.

    Examples
    --------
    >>> softmax_entries(np.float32([[1, 0]]), np.float32([[1, 0], [0, 1], [0, 2]]), 2, 1.0).values.round(3)
    array([0.731, 0.269], dtype=float32)
    """
    found = nearest(matrix, queries, min(k, len(matrix)), progress=progress)
    scores = found.scores.astype(np.float64) / temperature
    weights = np.exp(scores - scores.max(axis=1, initial=-np.inf, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(queries)), found.rows.shape[1])
    return Entries.of(rows, found.rows.reshape(-1), weights.reshape(-1))


def pursuit_entries(vectors: Singles, atoms: Singles, k: int, *, progress: bool | None = None) -> Entries:
    """Approximate each vector by at most k atoms: orthogonal matching pursuit.

    Atoms are chosen one by one, by the largest absolute inner product with the residual, and coefficients are least
    squares over all that were chosen. Atoms are used as they are, not at unit length.

    Parameters
    ----------
    vectors, atoms
        Rows, shape (q, dim) and (n, dim).
    k
        Largest number of atoms.
    progress
        Whether to show a bar; None shows it if standard error is a terminal.

    Notes
    -----
    Goddard and Fernandes Neto, "Training-Free Tokenizer Transplantation via Orthogonal Matching Pursuit", 2025, arXiv
    2506.06607.

    Examples
    --------
    >>> entries = pursuit_entries(np.float32([[3, 1]]), np.float32([[2, 0], [0, 1], [1, 1]]), 2)
    >>> entries.columns.tolist(), entries.values.round(3).tolist()
    ([0, 1], [1.5, 1.0])
    """
    columns: list[Ids] = []
    values: list[npt.NDArray[np.float32]] = []
    k = min(k, *atoms.shape)
    atoms = read_only(atoms)
    with progress_bar(len(vectors), unit="tokens", name="matching pursuit", shown=progress) as bar:
        for some in row_blocks(len(vectors), _VECTORS):
            support, coefficients, sizes = _pursue(vectors[some], atoms, k)
            columns += [row[:size] for row, size in zip(support, sizes, strict=True)]
            values += [row[:size].astype(np.float32) for row, size in zip(coefficients, sizes, strict=True)]
            bar.advance(len(sizes))
    return Entries.of_lists(columns, values)


def _pursue(vectors: Singles, atoms: Singles, k: int) -> tuple[Ids, npt.NDArray[np.float64], Ids]:
    """Return the chosen atoms of each vector, their coefficients, shape (b, k), and the number of them."""
    from vecload.kernels import sparse_weights, workers

    count, dim = vectors.shape
    residuals = vectors.astype(np.float64)
    tolerance = _TOLERANCE * np.linalg.norm(residuals, axis=1)
    basis, triangle = np.zeros((count, k, dim)), np.zeros((count, k, k))
    inner, coefficients = np.zeros((count, k)), np.zeros((count, k))
    support, sizes = np.full((count, k), -1), np.zeros(count, dtype=np.int64)
    active = np.ones(count, dtype=np.bool_)
    shares = list(row_blocks(count, -(-count // workers())))
    with search_pool() as pool:
        while active.any():
            products = residuals.astype(np.float32) @ atoms.T
            jobs = [
                (
                    products[at], atoms, tolerance[at], residuals[at], basis[at],
                    triangle[at], inner[at], support[at], sizes[at], active[at],
                )
                for at in shares
            ]  # fmt: skip
            pool.run(sparse_weights.add_atoms, jobs)
    sparse_weights.solve_triangles(triangle, inner, sizes, coefficients)
    return support, coefficients, sizes
