"""Row numbers → pooled vectors through the kernels: for frozen tables of float32, where no gradient is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vecload.layers.shared_memory import array_of
from vecload.pooling.reduction import has_tangent
from vecload.threads import Pool
from vecload.words import read_only

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.pooling.modes import Mode
    from vecload.pooling.row_pooler import RowPooler

_DIVISORS = {"sum": 0, "mean": 1, "sif": 1, "usif": 1, "fasttext": 1, "tfidf": 2, "sqrt-n": 3}
"""Mode → the divisor of `vecload.kernels.pooling` (UNDIVIDED, BY_TOKENS, BY_WEIGHTS, BY_ROOT)."""

_WORTH = 50_000
"""Tokens that are worth a thread of their own."""


def handles(mode: Mode) -> bool:
    """Whether there is a kernel for a mode."""
    return mode.name in _DIVISORS or mode.name == "max"


@dataclass(frozen=True)
class Plan:
    """Everything the kernels need to pool, as arrays that no batch changes.

    `matrix` float32 (rows, dim); `weights` float32 (rows,), or none for ones; `unknown` the weight of a word without a
    row; `by_weight` whether sums are divided by the weights instead of the mode's own divisor. With `unit`, a row's
    weight is 1 / its length, and `weights` holds those of the rows seen so far, NaN elsewhere.
    """

    mode: Mode
    matrix: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    unknown: float
    by_weight: bool
    unit: bool = False

    def pool(
        self,
        rows: npt.NDArray[np.int64],
        bags: npt.NDArray[np.int64],
        extra: Extra,
        out: npt.NDArray[np.float32],
        counts: npt.NDArray[np.int64],
    ) -> None:
        """Pool the bags ``rows[bags[k]:bags[k + 1]]`` into `out` (float32, (bags, dim)); `counts` gets their tokens."""
        from vecload.kernels import pooling as kernels

        if self.unit:
            self._measure(rows)
        tokens = read_only(rows), read_only(bags)
        if self.mode.name == "max":
            kernels.max_bags(*tokens, self.matrix, read_only(extra.matrix), out, counts)
            return
        weights = extra.weights
        if not len(self.weights):
            weights = _NONE
        elif weights is None:
            weights = np.full(len(extra.matrix), self.unknown, dtype=np.float32)
            if self.unit:
                weights = inverse_norms(extra.matrix)
        divisor = kernels.BY_WEIGHTS if self.by_weight else _DIVISORS[self.mode.name]
        more = read_only(extra.matrix), read_only(weights)
        kernels.sum_bags(*tokens, self.matrix, read_only(self.weights), *more, divisor, out, counts)

    def _measure(self, rows: npt.NDArray[np.int64]) -> None:
        """Fill in the weights of the rows that are new to this plan. Threads that meet a row together agree on it."""
        seen = rows[rows >= 0]
        new = np.unique(seen[np.isnan(self.weights[seen])])
        self.weights[new] = inverse_norms(self.matrix[new])


def plan_of(pooler: RowPooler) -> Plan | None:
    """The plan of a pooler; None where the kernels cannot serve: other layers, modes, types, devices; gradients."""
    layer, mode = pooler.embedding, pooler.mode
    if not has_plain_rows(layer) or not handles(mode):
        return None
    weight = layer.weight
    if (torch.is_grad_enabled() and weight.requires_grad) or has_tangent(weight):
        return None
    if weight.dtype != torch.float32 or weight.device.type != "cpu" or not weight.is_contiguous():
        return None
    matrix = array_of(weight)
    if len(pooler.token_weights):
        weights = pooler.token_weights.float().cpu().numpy()
        return Plan(mode, matrix, weights, float(pooler.unknown_weight), mode.name in ("tfidf", "fasttext"))
    # Lengths are not kept from one plan to the next: rows may be written to in ways that leave no trace (`.data`).
    unit = mode.name == "fasttext"
    weights = np.full(len(matrix), np.nan, dtype=np.float32) if unit else _NONE
    return Plan(mode, matrix, weights, float(pooler.unknown_weight), by_weight=False, unit=unit)


def has_plain_rows(layer: Any) -> bool:
    """Return whether a layer gives its rows as they are, so that they can be read without calling it.

    Hooks may change the rows on the way (``torch.nn.utils.prune`` makes them in one), and so may subclasses.
    """
    hooks = (layer._forward_pre_hooks, layer._forward_hooks, layer._backward_pre_hooks, layer._backward_hooks)
    return type(layer) is torch.nn.Embedding and layer.max_norm is None and not any(hooks)


@dataclass(frozen=True)
class Extra:
    """Vectors made for one batch, float32 (k, dim), and their weights (None: those of unknown words)."""

    matrix: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32] | None = None


_NONE = np.empty(0, dtype=np.float32)


def inverse_norms(matrix: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """1 / ‖row‖ of each row, 0 where that is nothing, float32 (rows,)."""
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    inverse = np.zeros(len(norms), dtype=np.float32)
    np.divide(1, norms, out=inverse, where=norms > 0, casting="same_kind")
    return inverse


def pool_in_threads(
    plan: Plan,
    rows: npt.NDArray[np.int64],
    bags: npt.NDArray[np.int64],
    extra: Extra,
    out: npt.NDArray[np.float32],
    counts: npt.NDArray[np.int64],
) -> None:
    """`Plan.pool`, on as many threads as there are processors where that pays."""
    from vecload.kernels import workers

    pieces = min(workers(), len(rows) // _WORTH)
    if pieces < 2:
        plan.pool(rows, bags, extra, out, counts)
        return
    cuts = np.searchsorted(bags, np.linspace(0, len(rows), pieces + 1)[1:-1])
    edges = np.unique([0, *cuts.tolist(), len(bags) - 1]).tolist()

    def work(first: int, last: int) -> None:
        plan.pool(rows, bags[first : last + 1], extra, out[first:last], counts[first:last])

    with Pool(pieces) as pool:
        for _ in pool.map(work, edges[:-1], edges[1:]):
            pass
