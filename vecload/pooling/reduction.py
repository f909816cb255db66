"""Bags of tokens → one vector each, in torch operations that autograd, torch.compile and ONNX know.

A bag's tokens are found by the number of its bag, so ragged and padded input take the same way, and nothing depends on
the data's size at run time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.autograd.forward_ad import unpack_dual

from vecload.errors import OptionError

if TYPE_CHECKING:
    from vecload.pooling.modes import Mode

Tensor = torch.Tensor


class Bags(NamedTuple):
    """Tokens in a row, and where their bags begin.

    `tokens` int64 (n,), `offsets` int64 (bags,), `size` the number of bags, `weights` float (n,) or None, `keep` bool
    (n,) or None for all.
    """

    tokens: Tensor
    offsets: Tensor
    size: int
    weights: Tensor | None
    keep: Tensor | None

    def numbers(self) -> Tensor:
        """Number of the bag of each token, int64 (n,)."""
        marks = torch.zeros(self.tokens.shape[0] + 1, dtype=torch.int64, device=self.tokens.device)
        marks = marks.scatter_add(0, self.offsets, torch.ones_like(self.offsets))
        return marks.cumsum(0)[:-1] - 1


def bags_of(tokens: Tensor, offsets: Tensor | None, weights: Tensor | None, mask: Tensor | None) -> Bags:
    """Flatten what `SentencePooler.forward` takes: 1-D with offsets, 2-D, or nested.

    Raises
    ------
    OptionError
        When shapes do not go together.
    """
    tracing = torch.compiler.is_compiling() or transformed()
    if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
        raise OptionError(f"input is {tokens.dtype}: pass row numbers (int32 or int64)")
    if offsets is not None and (offsets.dim() != 1 or offsets.dtype not in (torch.int32, torch.int64)):
        found = f"{offsets.dtype} of shape {tuple(offsets.shape)}"
        raise OptionError(f"offsets must be 1-D, int32 or int64: where each bag begins; got {found}")
    if weights is not None and weights.is_complex():
        raise OptionError(f"per_sample_weights must be real numbers, got {weights.dtype}")
    if tokens.is_nested:
        if offsets is not None or mask is not None:
            raise OptionError("a nested tensor says itself where its bags begin: pass no offsets and no mask")
        parts = tokens.unbind()
        lengths = torch.tensor([0, *(len(part) for part in parts[:-1])], device=tokens.device)
        offsets = lengths.cumsum(0)[: len(parts)]
        tokens = torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)
        weights = torch.cat(weights.unbind()) if weights is not None and weights.is_nested else weights
    elif tokens.dim() == 2:
        if offsets is not None:
            raise OptionError("offsets go with 1-D input; each row of 2-D input is a bag")
        count, width = tokens.shape
        offsets = torch.arange(count, device=tokens.device) * width
        for name, given in (("mask", mask), ("per_sample_weights", weights)):
            if given is not None and given.shape != tokens.shape:
                raise OptionError(f"{name} has shape {tuple(given.shape)}, the input {tuple(tokens.shape)}")
        tokens = tokens.reshape(-1)
        mask = None if mask is None else mask.reshape(-1)
        weights = None if weights is None else weights.reshape(-1)
    elif tokens.dim() != 1:
        raise OptionError(f"input has {tokens.dim()} dimensions: pass 1-D with offsets, 2-D or a nested tensor")
    elif offsets is None:
        raise OptionError("1-D input needs offsets: where each bag begins")
    elif not tracing and len(offsets):
        steps = offsets[1:] - offsets[:-1]
        if int(offsets[0]) != 0 or int(offsets[-1]) > len(tokens) or bool((steps < 0).any()):
            raise OptionError("offsets begin at 0, never fall and end within the input")
    elif not tracing and len(tokens):
        raise OptionError("there are tokens and no offsets: the first bag begins at 0")
    for name, given in (("mask", mask), ("per_sample_weights", weights)):
        if given is not None and given.shape != tokens.shape:
            raise OptionError(f"{name} has shape {tuple(given.shape)}, the input {tuple(tokens.shape)}")
    keep = None if mask is None else mask.bool()
    return Bags(tokens.long(), offsets.long(), offsets.shape[0], weights, keep)  # len() would fix it in a trace


def transformed() -> bool:
    """Return whether a transform of torch.func (vmap, grad, jvp) is at work, so that values cannot be looked at."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def has_tangent(*tensors: Tensor | None) -> bool:
    """Return whether tensors take part in forward-mode differentiation, which kernels and torch's own bag lack."""
    given = (tensor for tensor in tensors if tensor is not None)
    return any(unpack_dual(tensor).tangent is not None for tensor in given)  # type: ignore[no-untyped-call]


def sums(values: Tensor, numbers: Tensor, count: int) -> Tensor:
    """Sums of rows by bag: (n, d) → (count, d), or (n,) → (count,)."""
    index = numbers if values.dim() == 1 else numbers[:, None].expand_as(values)
    return values.new_zeros(count, *values.shape[1:]).scatter_add(0, index, values)


def largest(values: Tensor, numbers: Tensor, count: int, keep: Tensor) -> Tensor:
    """Largest values by bag, zero where nothing is kept: (n, d) → (count, d), or (n,) → (count,)."""
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
    """One vector a bag, and how many tokens it is made of.

    Parameters
    ----------
    mode
        The way.
    values
        The tokens' vectors, float (n, d), zero where not kept.
    numbers, count
        The tokens' bags, int64 (n,), and how many bags there are.
    keep
        Which tokens count, bool (n,).
    weights
        How often each token counts, (n,), or None for once.
    table
        The weight of each token's word, (n,); None where the mode has none.
    query
        Of "attention", (d,).
    """
    once = keep.to(values.dtype)
    by_weight = mode.name in ("tfidf", "fasttext")
    if mode.name == "fasttext" and table is None:  # no supervised model: unit vectors, of those that can be
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
    size = torch.where(mean == 0, 1, mean.abs()) ** (1 / power)  # the root's slope at zero is infinite
    return mean.sign() * size
