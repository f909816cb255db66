"""Pool row numbers through torch's ``embedding_bag``, where it can compute the mode.

Its sums and means of plain rows run at the speed of memory, and their gradients, sparse ones too, are torch's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import embedding_bag

from vecload.pooling.kernel_pooling import has_plain_rows, has_tangent

if TYPE_CHECKING:
    from vecload.pooling.modes import Mode
    from vecload.pooling.reduction import Bags

Tensor = torch.Tensor


def has_bag(layer: Any, mode: Mode, bags: Bags) -> bool:
    """Return whether ``embedding_bag`` has the mode, reads the layer's rows, and takes the weights of the bags."""
    # torch takes per_sample_weights for sums only, and has no forward-mode derivative.
    own = mode.name in ("mean", "max") and bags.weights is None
    if not (own or mode.name == "sum"):
        return False
    return has_plain_rows(layer) and not has_tangent(layer.weight, bags.weights)


def pool_in_torch(
    layer: Any, mode: Mode, tokens: Tensor, offsets: Tensor, weights: Tensor | None, *, padding_idx: int | None = None
) -> Tensor:
    """Return the pooled bags, shape (bags, dim).

    Raises
    ------
    RuntimeError, IndexError
        For a row number out of range. Which one depends on the version of torch.
    """
    return embedding_bag(
        tokens,
        layer.weight,
        offsets,
        scale_grad_by_freq=layer.scale_grad_by_freq,
        mode=mode.name,
        sparse=layer.sparse,
        per_sample_weights=None if weights is None else weights.to(layer.weight.dtype),
        padding_idx=padding_idx,
    )


def weighted_means(layer: Any, token_weights: Tensor, bags: Bags) -> Tensor:
    """Return the sum of each bag's rows times their weights, divided by the number of its tokens."""
    # The weights of the words are passed as per_sample_weights, which needs mode "sum", so the division follows.
    weights = token_weights.index_select(0, bags.tokens)
    ends = torch.cat([bags.offsets, torch.tensor([len(bags.tokens)])])
    pooled = embedding_bag(bags.tokens, layer.weight, bags.offsets, mode="sum", per_sample_weights=weights)
    return pooled.div_(ends.diff().clamp(min=1)[:, None])
