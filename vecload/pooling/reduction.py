"""Reduce bags of word vectors to one vector each, in torch operations.

This is the general implementation: autograd, torch.compile, torch.export and ONNX know all of its operations, and it
works on any layer and device. Where nothing is traced or differentiated, `vecload.pooling.kernel_pooling` and torch's
own ``embedding_bag`` compute the same faster.

Every token carries the number of its bag, and bags are summed by ``scatter_add``. So ragged and padded input are
handled alike, and no shape depends on the values of the input, which a trace could not express.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from vecload.errors import OptionError

if TYPE_CHECKING:
    from vecload.pooling.modes import Mode

Tensor = torch.Tensor


class Bags(NamedTuple):
    """Row numbers of tokens, one bag after the other.

    Parameters
    ----------
    tokens
        Row numbers, int64, shape (n,).
    offsets
        Offset of each bag, int64, shape (bags,).
    size
        Number of bags.
    weights
        How often each token counts, float, shape (n,), or None for once.
    keep
        Which tokens count, bool, shape (n,), or None for all.
    """

    tokens: Tensor
    offsets: Tensor
    size: int
    weights: Tensor | None
    keep: Tensor | None

    def numbers(self) -> Tensor:
        """Return the number of the bag of each token, int64, shape (n,)."""
        # Count the bags that begin at each token, and take the running total. Empty bags begin where the next one does,
        # so several may begin at one token; the extra element at the end takes those that begin after the last token.
        marks = torch.zeros(self.tokens.shape[0] + 1, dtype=torch.int64, device=self.tokens.device)
        marks = marks.scatter_add(0, self.offsets, torch.ones_like(self.offsets))
        return marks.cumsum(0)[:-1] - 1


def bags_of(tokens: Tensor, offsets: Tensor | None, weights: Tensor | None, mask: Tensor | None) -> Bags:
    """Check and flatten the input of `SentencePooler.forward`: 1-D with offsets, 2-D, or nested.

    Raises
    ------
    OptionError
        For shapes or types that do not match.
    """
    tracing = torch.compiler.is_compiling() or transformed()
    if not isinstance(tokens, Tensor):
        found = type(tokens).__name__
        raise OptionError(f"input must be a tensor of row numbers, got {found}; to pool texts, use encode(texts)")
    if offsets is not None and not isinstance(offsets, Tensor):
        raise OptionError(f"offsets must be a tensor, got {type(offsets).__name__}: torch.tensor(offsets)")
    if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
        raise OptionError(f"input must be row numbers (int32 or int64), got {tokens.dtype}")
    if offsets is not None and (offsets.dim() != 1 or offsets.dtype not in (torch.int32, torch.int64)):
        found = f"{offsets.dtype} of shape {tuple(offsets.shape)}"
        raise OptionError(f"offsets must be 1-D, int32 or int64: where each bag begins; got {found}")
    if weights is not None and weights.is_complex():
        raise OptionError(f"per_sample_weights must be real numbers, got {weights.dtype}")
    if tokens.is_nested:
        if offsets is not None or mask is not None:
            raise OptionError("offsets and mask cannot be combined with a nested tensor, which has its own bags")
        parts = tokens.unbind()
        lengths = torch.tensor([0, *(len(part) for part in parts[:-1])], device=tokens.device)
        offsets = lengths.cumsum(0)[: len(parts)]
        tokens = torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)
        weights = torch.cat(weights.unbind()) if weights is not None and weights.is_nested else weights
    elif tokens.dim() == 2:
        if offsets is not None:
            raise OptionError("offsets need 1-D input; each row of 2-D input is a bag")
        count, width = tokens.shape
        offsets = torch.arange(count, device=tokens.device) * width
        _check_shapes(tokens, mask, weights)
        tokens = tokens.reshape(-1)
        mask = None if mask is None else mask.reshape(-1)
        weights = None if weights is None else weights.reshape(-1)
    elif tokens.dim() != 1:
        raise OptionError(f"input must be 1-D with offsets, 2-D or a nested tensor, got {tokens.dim()} dimensions")
    elif offsets is None:
        raise OptionError("1-D input needs offsets: where each bag begins")
    elif not tracing and len(offsets):
        steps = offsets[1:] - offsets[:-1]
        if int(offsets[0]) != 0 or int(offsets[-1]) > len(tokens) or bool((steps < 0).any()):
            raise OptionError("offsets must begin at 0, never decrease and end within the input")
    elif not tracing and len(tokens):
        raise OptionError("input has tokens but offsets is empty: the first bag begins at 0")
    _check_shapes(tokens, mask, weights)
    keep = None if mask is None else mask.bool()
    # len(offsets) would be a constant in a trace; shape[0] stays symbolic.
    return Bags(tokens.long(), offsets.long(), offsets.shape[0], weights, keep)


def _check_shapes(tokens: Tensor, mask: Tensor | None, weights: Tensor | None) -> None:
    for name, given in (("mask", mask), ("per_sample_weights", weights)):
        if given is not None and given.shape != tokens.shape:
            raise OptionError(f"{name} has shape {tuple(given.shape)}, the input {tuple(tokens.shape)}")


def transformed() -> bool:
    """Return whether a transform of torch.func (vmap, grad, jvp) is active, so that values cannot be inspected."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def sums(values: Tensor, numbers: Tensor, count: int) -> Tensor:
    """Return the sum of each bag: (n, d) → (count, d), or (n,) → (count,)."""
    index = numbers if values.dim() == 1 else numbers[:, None].expand_as(values)
    return values.new_zeros(count, *values.shape[1:]).scatter_add(0, index, values)


def largest(values: Tensor, numbers: Tensor, count: int, keep: Tensor) -> Tensor:
    """Return the largest values of each bag, zero where no token is kept: (n, d) → (count, d), or (n,) → (count,)."""
    wide = keep if values.dim() == 1 else keep[:, None]
    index = numbers if values.dim() == 1 else numbers[:, None].expand_as(values)
    low = values.new_full((count, *values.shape[1:]), -math.inf)
    top = low.scatter_reduce(0, index, values.masked_fill(~wide, -math.inf), "amax", include_self=True)
    return torch.where(top == -math.inf, 0, top)


def pool(
    mode: Mode,
    values: Tensor,
    numbers: Tensor,
    count: int,
    keep: Tensor,
    *,
    weights: Tensor | None,
    table: Tensor | None,
    query: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return one vector per bag, and the number of tokens that it was made from.

    Parameters
    ----------
    mode
        Pooling mode.
    values
        Vectors of the tokens, float, shape (n, d), zero where not kept.
    numbers, count
        Bag of each token, int64, shape (n,), and the number of bags.
    keep
        Which tokens count, bool, shape (n,).
    weights
        How often each token counts, shape (n,), or None for once.
    table
        Weight of each token's word, shape (n,), or None if the mode has no word weights.
    query
        For "attention", shape (d,).
    """
    once = keep.to(values.dtype)
    by_weight = mode.name in ("tfidf", "fasttext")
    # Without the word weights of a supervised model, "fasttext" is the mean of unit vectors. As in fastText
    # (FastText::getSentenceVector), vectors of length zero are not counted.
    if mode.name == "fasttext" and table is None:
        by_weight = False
        lengths = values.norm(dim=1)
        keep = keep & (lengths > 0)
        once = keep.to(values.dtype)
        table = once / torch.where(keep, lengths, 1)
    tokens = sums(once, numbers, count)
    if mode.name == "max":
        return largest(values, numbers, count, keep), tokens
    if mode.name == "pmeans":
        return torch.cat([_power_mean(p, values, numbers, count, keep, tokens) for p in mode.powers], 1), tokens
    if mode.name == "attention":
        assert query is not None
        # Softmax within each bag. Subtracting the largest score of the bag keeps exp() from overflowing; it cancels
        # out of the result, so it needs no gradient.
        scores = values @ query.to(values.dtype)
        top = largest(scores.detach(), numbers, count, keep)
        shares = torch.where(keep, (scores - top[numbers]).clamp(max=0), 0).exp() * once
        total = sums(shares, numbers, count)
        shares = shares / torch.where(total > 0, total, 1)[numbers]
        return sums(shares[:, None] * values, numbers, count), tokens
    times = once if weights is None else once * weights.to(values.dtype)
    factors = times if table is None else times * table.to(values.dtype)
    plain = weights is None and table is None
    pooled = sums(values if plain else factors[:, None] * values, numbers, count)
    if mode.name == "sum":
        return pooled, tokens
    if mode.name == "sqrt-n":
        divisor = sums(times * times, numbers, count).clamp(min=torch.finfo(values.dtype).tiny).sqrt()
        return pooled / torch.where(tokens > 0, divisor, 1)[:, None], tokens
    divisor = sums(factors if by_weight else times, numbers, count)
    return pooled / torch.where(divisor != 0, divisor, 1)[:, None], tokens


def _power_mean(power: float, values: Tensor, numbers: Tensor, count: int, keep: Tensor, tokens: Tensor) -> Tensor:
    if math.isinf(power):
        sign = math.copysign(1, power)
        return sign * largest(sign * values, numbers, count, keep)
    mean = sums(values ** int(power), numbers, count) / tokens.clamp(min=1)[:, None]
    if power == 1:
        return mean
    # The slope of a root at zero is infinite, and zero times infinity would make gradients NaN.
    size = torch.where(mean == 0, 1, mean.abs()) ** (1 / power)
    return mean.sign() * size
