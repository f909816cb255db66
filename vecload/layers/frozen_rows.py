"""`FrozenRows`: the buffer of frozen rows, which averaging of models does not change if they are equal."""

from __future__ import annotations

import copy
from typing import Any

import torch

from vecload.layers.written_arguments import written

_ALIASES = (torch.Tensor.detach, torch.Tensor.data.__get__)  # type: ignore[attr-defined]


class FrozenRows(torch.Tensor):
    """Rows in a buffer that averaging cannot change by rounding.

    ``torch.optim.swa_utils.AveragedModel(use_buffers=True)`` and Lightning's ``WeightAveraging`` average buffers as
    they average parameters. In floating point, ``0.999 * x + 0.001 * x`` is not ``x``: rows that are the same in both
    models would drift apart from the model they came from. So where a write through ``detach()`` or ``data``, as
    averaging does it, changes a value by no more than a few roundings, the value is kept.

    The rows have to be a buffer nevertheless: DistributedDataParallel and FSDP copy buffers from the first process,
    perhaps the only one that loaded a checkpoint, to the others. They do so below Python, where this class has no
    effect.
    """

    _alias: bool = False

    @staticmethod
    def of(rows: torch.Tensor) -> FrozenRows:
        """Return the rows on the same memory."""
        with torch._C.DisableTorchFunctionSubclass():
            return rows.as_subclass(FrozenRows)

    def plain(self) -> torch.Tensor:
        """Return an ordinary tensor on the same memory."""
        with torch._C.DisableTorchFunctionSubclass():
            return self.as_subclass(torch.Tensor)

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            if func is torch.Tensor.__deepcopy__:
                return _deepcopy(*args)
            if func in _ALIASES:
                alias = FrozenRows.of(func(*args))
                alias._alias = True
                return alias
            targets = [one for one in written(func, args, kwargs) if isinstance(one, FrozenRows) and one._alias]
            before = [one.plain().clone() for one in targets]
            result = func(*args, **kwargs)
            for rows, old in zip(targets, before, strict=True):
                _keep(rows.plain(), old)
            return result


def _keep(rows: torch.Tensor, old: torch.Tensor) -> None:
    """Restore the old values where the new ones differ by rounding only.

    An average of two equal values takes two multiplications and an addition, which together change it by less than
    four units in the last place; for subnormal numbers these are of constant size.
    """
    limits = torch.finfo(rows.dtype)
    same = torch.isclose(rows, old, rtol=4 * limits.eps, atol=4 * limits.smallest_normal * limits.eps, equal_nan=True)
    # torch.lerp computes old + weight * (new - old), which is NaN for two infinities.
    same |= rows.isnan() & ~old.isfinite()
    rows.copy_(torch.where(same, old, rows))


def _deepcopy(rows: FrozenRows, memo: dict[int, Any]) -> FrozenRows:
    if id(rows) not in memo:
        # With the same memo, tensors that share memory still do so in the copy.
        memo[id(rows)] = FrozenRows.of(copy.deepcopy(rows.plain(), memo))
    copied: FrozenRows = memo[id(rows)]
    return copied
