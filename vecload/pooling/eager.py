"""Row numbers → pooled vectors outside of a trace, the quickest way there is for a layer, a mode and its gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from vecload.errors import OptionError
from vecload.pooling import compiled, reduction
from vecload.pooling.compiled import Extra

if TYPE_CHECKING:
    from vecload.pooling.module import SentencePooler

Tensor = torch.Tensor

_BAG_MODES = ("mean", "sum", "max")  # those of nn.EmbeddingBag


def fastest(pooler: SentencePooler, bags: reduction.Bags) -> tuple[Tensor, Tensor]:
    """Outside of a trace: through the kernels, through torch's own bag, or through plain operations."""
    tokens = bags.tokens
    if len(tokens) and int(tokens.max()) >= pooler.num_embeddings:
        raise OptionError(f"row {int(tokens.max())} is not one of the {pooler.num_embeddings:,} rows")
    plan = pooler.plan() if bags.weights is None and tokens.device.type == "cpu" else None
    if plan is not None:
        rows = torch.where(pooler.kept(bags), tokens, -1) if _drops(pooler, bags) else tokens
        ends = torch.cat([bags.offsets, torch.tensor([len(tokens)])])
        out = np.empty((bags.size, pooler.embedding_dim), dtype=np.float32)
        found = np.empty(bags.size, dtype=np.int64)
        extra = Extra(np.empty((0, pooler.embedding_dim), dtype=np.float32))
        compiled.pool_in_threads(plan, rows.contiguous().numpy(), ends.numpy(), extra, out, found)
        return torch.from_numpy(out), torch.from_numpy(found)
    layer = pooler.embedding
    own = pooler.mode.name in _BAG_MODES and (bags.weights is None or pooler.mode.name == "sum")
    if not (own and type(layer) is torch.nn.Embedding and layer.max_norm is None):
        return pooler.reduce(bags)
    keep, offsets, weights = pooler.kept(bags), bags.offsets, bags.weights
    numbers = bags.numbers()
    counts = reduction.sums(keep.long(), numbers, bags.size)
    if _drops(pooler, bags):
        tokens, weights = tokens[keep], None if weights is None else weights[keep]
        offsets = counts.cumsum(0) - counts
    pooled = functional.embedding_bag(
        tokens,
        layer.weight,
        offsets,
        scale_grad_by_freq=layer.scale_grad_by_freq,
        mode=pooler.mode.name,
        sparse=layer.sparse,
        per_sample_weights=weights,
    )
    return pooled, counts


def _drops(pooler: SentencePooler, bags: reduction.Bags) -> bool:
    """Whether some token may have to be passed over."""
    padding = pooler.padding_idx is not None and bool((bags.tokens == pooler.padding_idx).any())
    return padding or bags.keep is not None or (len(bags.tokens) > 0 and int(bags.tokens.min()) < 0)
