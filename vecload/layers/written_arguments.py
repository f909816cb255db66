"""Find the tensors that a torch function writes to, for tensor subclasses that have to intercept writes.

torch generates its functions from native_functions.yaml (aten/src/ATen/native/README.md), where an
in-place function ends in one underscore and writes to its first argument, and any other function only to ``out``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPERATORS = {f"__{name}__" for name in "iadd isub imul itruediv ifloordiv imod ipow iand ior ixor setitem".split()}


def written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Return the arguments that a torch function writes to, by torch's rules for names.

    Examples
    --------
    >>> import torch
    >>> a, b = torch.zeros(2), torch.ones(2)
    >>> [one is a for one in written(torch.Tensor.copy_, (a, b), {})], written(torch.add, (a, b), {})
    ([True], [])
    """
    name = getattr(func, "__name__", "")
    if (name.endswith("_") and not name.endswith("__")) or name in _OPERATORS:
        return list(flat(args[0] if args else next(iter(kwargs.values()))))
    return list(flat(kwargs.get("out", ())))


def flat(value: Any) -> Iterator[Any]:
    """Yield the elements of nested tuples, lists and dictionaries.

    Examples
    --------
    >>> list(flat([1, (2, {"three": 3})]))
    [1, 2, 3]
    """
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        for one in value:
            yield from flat(one)
    else:
        yield value
