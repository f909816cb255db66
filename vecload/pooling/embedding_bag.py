"""Row numbers → pooled vectors outside of a trace, the quickest way there is for a layer, a mode and its gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from vecload.errors import OptionError
from vecload.pooling import kernel_pooling, reduction
from vecload.pooling.kernel_pooling import Extra

if TYPE_CHECKING:
    from vecload.pooling.row_pooler import RowPooler

Tensor = torch.Tensor

_BAG_MODES = ("mean", "sum", "max")  # those of nn.EmbeddingBag


def fastest(pooler: RowPooler, bags: reduction.Bags) -> Tensor:
    """Pool outside of a trace: through torch's own bag, through the kernels, or through plain operations.

    Torch's sums and means of rows that are all there are as fast as they get; its maxima are slow, so they are the
    kernels' where no gradient is asked for.
    """
    if reduction.transformed():
        return pooler.reduce(bags)[0]
    plan = pooler.plan() if bags.weights is None and bags.tokens.device.type == "cpu" else None
    mode = pooler.mode.name
    means = mode in ("sif", "usif") and plan is not None and pooler.padding_idx is None
    if bags.keep is None and (means or ((plan is None or mode != "max") and _has_bag(pooler, bags))):
        try:
            if means:
                return _weighted_means(pooler, bags)
            return _bag(pooler, bags.tokens, bags.offsets, bags.weights, padding_idx=pooler.padding_idx)
        except (RuntimeError, IndexError):  # a row that is not there, which may be -1
            pass
    low, high = (int(end) for end in bags.tokens.aminmax()) if len(bags.tokens) else (0, -1)
    if high >= pooler.num_embeddings:
        raise OptionError(f"row {high} is not one of the {pooler.num_embeddings:,} rows")
    padding = pooler.padding_idx is not None and bool((bags.tokens == pooler.padding_idx).any())
    drops = padding or bags.keep is not None or low < 0
    keep = pooler.kept(bags) if drops else None
    if plan is not None:
        rows = bags.tokens if keep is None else torch.where(keep, bags.tokens, -1)
        ends = torch.cat([bags.offsets, torch.tensor([len(rows)])])
        out = np.empty((bags.size, pooler.embedding_dim), dtype=np.float32)
        counts = np.empty(bags.size, dtype=np.int64)
        extra = Extra(np.empty((0, pooler.embedding_dim), dtype=np.float32))
        kernel_pooling.pool_in_threads(plan, rows.contiguous().numpy(), ends.numpy(), extra, out, counts)
        return torch.from_numpy(out)
    if not _has_bag(pooler, bags):
        return pooler.reduce(bags)[0]
    tokens, offsets, weights = bags.tokens, bags.offsets, bags.weights
    if keep is not None:
        kept = reduction.sums(keep.long(), bags.numbers(), bags.size)
        tokens, offsets = tokens[keep], kept.cumsum(0) - kept
        weights = None if weights is None else weights[keep]
    return _bag(pooler, tokens, offsets, weights)


def _has_bag(pooler: RowPooler, bags: reduction.Bags) -> bool:
    layer, mode = pooler.embedding, pooler.mode.name
    own = mode in _BAG_MODES and (bags.weights is None or mode == "sum")
    return own and kernel_pooling.has_plain_rows(layer) and not reduction.has_tangent(layer.weight, bags.weights)


def _weighted_means(pooler: RowPooler, bags: reduction.Bags) -> Tensor:
    weights = pooler.token_weights.index_select(0, bags.tokens)
    ends = torch.cat([bags.offsets, torch.tensor([len(bags.tokens)])])
    pooled = functional.embedding_bag(
        bags.tokens, pooler.embedding.weight, bags.offsets, mode="sum", per_sample_weights=weights
    )
    return pooled.div_(ends.diff().clamp(min=1)[:, None])


def _bag(
    pooler: RowPooler, tokens: Tensor, offsets: Tensor, weights: Tensor | None, *, padding_idx: int | None = None
) -> Tensor:
    layer = pooler.embedding
    return functional.embedding_bag(
        tokens,
        layer.weight,
        offsets,
        scale_grad_by_freq=layer.scale_grad_by_freq,
        mode=pooler.mode.name,
        sparse=layer.sparse,
        per_sample_weights=None if weights is None else weights.to(layer.weight.dtype),
        padding_idx=padding_idx,
    )
