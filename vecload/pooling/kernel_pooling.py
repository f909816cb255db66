"""Pool row numbers through the kernels: for frozen float32 tables on the CPU, where no gradient is needed.

torch's ``embedding_bag`` is as fast as memory for sums and means of plain rows, and is used for them
(`vecload.pooling.embedding_bag`). It has no fast maximum, no weights by row, no square root of the count as divisor,
and no rows besides those of the table. The kernels have all of these, gather and add in one pass, and release the GIL,
so that `encode` runs them on threads right after the lookup of words, while the row numbers are in the cache. They read
the memory of the table directly, so the layer must return its rows unchanged, without gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.autograd.forward_ad import unpack_dual

from vecload.arrays import as_numpy
from vecload.threads import Pool
from vecload.words import read_only

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.pooling.modes import Mode

# The divisors of `vecload.kernels.pooling`: UNDIVIDED, BY_TOKENS, BY_WEIGHTS and BY_ROOT. That module imports numba, so
# its names are not used here.
_DIVISORS = {"sum": 0, "mean": 1, "sif": 1, "usif": 1, "fasttext": 1, "tfidf": 2, "sqrt-n": 3}

_TOKENS_PER_THREAD = 50_000  # fewer are pooled faster than a thread starts

_NO_WEIGHTS = np.empty(0, dtype=np.float32)


@dataclass(frozen=True)
class ComposedRows:
    """Vectors of words that have no row, composed for one batch.

    Parameters
    ----------
    matrix
        float32, shape (k, dim). Row numbers -2, -3, … refer to its rows 0, 1, …
    weights
        float32, shape (k,); None for the weight of unknown words.
    """

    matrix: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class KernelPlan:
    """Arguments of the kernels that do not change between batches.

    Parameters
    ----------
    mode
        Pooling mode.
    matrix
        Rows, float32, shape (rows, dim).
    weights
        Weight of each row, float32, shape (rows,); empty for ones.
    unknown
        Weight of a word without a row.
    by_weight
        Whether sums are divided by the weights instead of the divisor of the mode.
    unit
        Whether the weight of a row is 1 / its length. Then `weights` holds the weights of the rows seen so far, and NaN
        elsewhere.
    """

    mode: Mode
    matrix: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    unknown: float
    by_weight: bool
    unit: bool = False

    def pool(
        self, rows: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64], composed: ComposedRows | None = None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return the pooled bags ``rows[offsets[k]:offsets[k + 1]]`` and the number of pooled tokens of each."""
        out, counts = self._results(len(offsets) - 1)
        self._pool(rows, offsets, composed, out, counts)
        return out, counts

    def pool_in_threads(
        self, rows: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Pool as `pool` does, on as many threads as the input is large enough for."""
        from vecload.kernels import workers

        pieces = min(workers(), len(rows) // _TOKENS_PER_THREAD)
        if pieces < 2:
            return self.pool(rows, offsets)
        out, counts = self._results(len(offsets) - 1)
        # Whole bags with about the same number of tokens for each thread.
        cuts = np.searchsorted(offsets, np.linspace(0, len(rows), pieces + 1)[1:-1])
        edges = np.unique([0, *cuts.tolist(), len(offsets) - 1]).tolist()

        def work(first: int, last: int) -> None:
            self._pool(rows, offsets[first : last + 1], None, out[first:last], counts[first:last])

        with Pool(pieces) as pool:
            for _ in pool.map(work, edges[:-1], edges[1:]):
                pass
        return out, counts

    def _results(self, bags: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        return np.empty((bags, self.matrix.shape[1]), dtype=np.float32), np.empty(bags, dtype=np.int64)

    def _pool(
        self,
        rows: npt.NDArray[np.int64],
        offsets: npt.NDArray[np.int64],
        composed: ComposedRows | None,
        out: npt.NDArray[np.float32],
        counts: npt.NDArray[np.int64],
    ) -> None:
        from vecload.kernels import pooling as kernels

        if self.unit:
            self._measure(rows)
        # Kernels take arrays only, so "nothing" is an array without rows.
        if composed is None:
            composed = ComposedRows(np.empty((0, self.matrix.shape[1]), dtype=np.float32))
        bags, extra = (read_only(rows), read_only(offsets)), read_only(composed.matrix)
        if self.mode.name == "max":
            kernels.max_bags(*bags, self.matrix, extra, out, counts)
            return
        weights = composed.weights
        if not len(self.weights):
            weights = _NO_WEIGHTS
        elif weights is None and self.unit:
            weights = inverse_norms(composed.matrix)
        elif weights is None:
            weights = np.full(len(composed.matrix), self.unknown, dtype=np.float32)
        divisor = kernels.BY_WEIGHTS if self.by_weight else _DIVISORS[self.mode.name]
        tables = self.matrix, read_only(self.weights), extra, read_only(weights)
        kernels.sum_bags(*bags, *tables, divisor, out, counts)

    def _measure(self, rows: npt.NDArray[np.int64]) -> None:
        """Fill in the weights of rows that were not seen before.

        Measuring the whole table first would read gigabytes for one sentence. Threads that meet the same row at the
        same time write the same number, so no lock is needed.
        """
        seen = rows[rows >= 0]
        new = np.unique(seen[np.isnan(self.weights[seen])])
        self.weights[new] = inverse_norms(self.matrix[new])


def kernel_plan(layer: Any, mode: Mode, token_weights: torch.Tensor, unknown_weight: torch.Tensor) -> KernelPlan | None:
    """Return the plan for a layer and a mode, or None if the kernels cannot pool them.

    They cannot for other modes, layers that change their rows, gradients, other dtypes than float32, and other devices
    than the CPU.
    """
    if not (mode.name in _DIVISORS or mode.name == "max") or not has_plain_rows(layer):
        return None
    # The kernels have no backward, and torch cannot see that they read the weight.
    weight = layer.weight
    if (torch.is_grad_enabled() and weight.requires_grad) or has_tangent(weight):
        return None
    if weight.dtype != torch.float32 or weight.device.type != "cpu" or not weight.is_contiguous():
        return None
    matrix = as_numpy(weight)
    unknown = float(unknown_weight)
    if len(token_weights):
        weights = token_weights.float().cpu().numpy()
        return KernelPlan(mode, matrix, weights, unknown, mode.name in ("tfidf", "fasttext"))
    # Lengths are measured again for each plan: a write through `.data` leaves no trace that would show them outdated.
    unit = mode.name == "fasttext"
    weights = np.full(len(matrix), np.nan, dtype=np.float32) if unit else _NO_WEIGHTS
    return KernelPlan(mode, matrix, weights, unknown, by_weight=False, unit=unit)


def has_plain_rows(layer: Any) -> bool:
    """Return whether a layer returns its rows unchanged, so that they can be read without calling it.

    Subclasses may change rows, and so may hooks: ``torch.nn.utils.prune`` multiplies them by a mask in one.
    """
    hooks = (layer._forward_pre_hooks, layer._forward_hooks, layer._backward_pre_hooks, layer._backward_hooks)
    return type(layer) is torch.nn.Embedding and layer.max_norm is None and not any(hooks)


def has_tangent(*tensors: torch.Tensor | None) -> bool:
    """Return whether forward-mode differentiation uses a tensor; kernels and torch's ``embedding_bag`` lack it."""
    given = (tensor for tensor in tensors if tensor is not None)
    return any(unpack_dual(tensor).tangent is not None for tensor in given)  # type: ignore[no-untyped-call]


def inverse_norms(matrix: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return 1 / ‖row‖ for each row, and 0 for rows of zeros, float32, shape (rows,)."""
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    inverse = np.zeros(len(norms), dtype=np.float32)
    np.divide(1, norms, out=inverse, where=norms > 0, casting="same_kind")
    return inverse
