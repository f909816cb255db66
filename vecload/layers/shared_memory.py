"""Share the memory of `Vectors` with a layer's parameter, without any way to write to the `Vectors`.

`Vectors` never change, and a table may be larger than half of the memory, so frozen rows are neither copied nor
exposed to writes: init functions, ``load_state_dict``, DDP and optimizers write to every parameter that they find. The
module sees an ordinary parameter. Two classes protect the memory below it:

- `MappedRows`, for rows in a file: the file is mapped again, copy-on-write, so the kernel copies the pages written to.
- `BorrowedRows`, for rows in memory: any call except lookups copies the rows first and turns the object into a plain
  parameter, as torch's ``UninitializedParameter`` does when it gets its shape.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vecload.arrays import row_blocks
from vecload.errors import OptionError
from vecload.layers.stored_embedding import float_tensor
from vecload.sources import MappedRange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

_ALIASES = ("data", "T", "mT", "H", "mH", "real", "imag")
"""Properties that return a view of the same memory, through which a caller could write."""

_READS = frozenset(
    {
        torch.nn.functional.embedding,
        torch.nn.functional.embedding_bag,
        torch.embedding,
        torch.embedding_bag,
        torch._has_compatible_shallow_copy_type,
        torch.Tensor.__format__,
        torch.Tensor.__hash__,
        torch.Tensor.__len__,
        torch.Tensor.__repr__,
        torch.Tensor.data_ptr,
        torch.Tensor.dim,
        torch.Tensor.element_size,
        torch.Tensor.get_device,
        torch.Tensor.is_complex,
        torch.Tensor.is_contiguous,
        torch.Tensor.is_floating_point,
        torch.Tensor.is_inference,
        torch.Tensor.index_select,
        torch.Tensor.nelement,
        torch.Tensor.numel,
        torch.Tensor.size,
        torch.Tensor.storage_offset,
        torch.Tensor.stride,
        # These return the parameter itself or a new tensor, never a view.
        torch.Tensor.bfloat16,
        torch.Tensor.clone,
        torch.Tensor.contiguous,
        torch.Tensor.cpu,
        torch.Tensor.cuda,
        torch.Tensor.double,
        torch.Tensor.float,
        torch.Tensor.half,
        torch.Tensor.to,
        torch.Tensor.type,
    }
)
"""Functions that neither write to their argument nor return a view of it."""


class BorrowedRows(torch.nn.Parameter):
    """Frozen parameter on the memory of another object, copied before anything could write to it."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if torch.compiler.is_compiling():
            given = []  # a graph only reads its inputs; changes are written after it has run, outside of the trace
        elif _attribute(func, "__set__") == "data" and args[0] is not args[1]:
            # The rows are replaced, so they need no copy. Module.to() assigns the same object if it has no effect.
            given = _borrowed(args[1:])
            args[0].__class__ = torch.nn.Parameter
        else:
            given = [] if _reads(func, args, kwargs) else _borrowed([*args, *kwargs.values()])
        for rows in given:
            rows.copy_rows()
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs)

    def copy_rows(self) -> None:
        """Become a plain parameter with a copy of the rows."""
        # The object stays the same, so modules, optimizers and tied layers that refer to it have the copy.
        with torch._C.DisableTorchFunctionSubclass():
            self.data = self.data.clone()
        self.__class__ = torch.nn.Parameter  # type: ignore[assignment]

    def __repr__(self) -> str:  # type: ignore[override]
        with torch._C.DisableTorchFunctionSubclass():
            return f"Parameter containing:\n{self.data!r}"

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        with torch._C.DisableTorchFunctionSubclass():
            memo[id(self)] = copied = BorrowedRows(self.data, requires_grad=False)
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            return _reduced(torch.nn.Parameter(self.data, requires_grad=False), protocol)


def _reads(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Return whether a call neither writes to the rows nor returns a view of them."""
    if func in _READS:
        return kwargs.get("max_norm") is None  # with max_norm, a lookup rescales rows in place
    if (name := _attribute(func, "__get__")) is not None:
        return name not in _ALIASES
    if (name := _attribute(func, "__set__")) is not None:
        return name in ("data", "grad") or (name == "requires_grad" and not args[1])
    if func is torch.Tensor.requires_grad_:
        return not (args[1] if len(args) > 1 else kwargs.get("requires_grad", True))
    return False


def _attribute(func: Callable[..., Any], access: str) -> str | None:
    """Return the tensor attribute that a call gets (``__get__``) or sets (``__set__``), None for other calls."""
    return getattr(func.__self__, "__name__", "") if getattr(func, "__name__", "") == access else None  # type: ignore[attr-defined]


def _borrowed(values: Sequence[Any]) -> list[BorrowedRows]:
    """Return the borrowed parameters among the arguments of a call, including those in lists."""
    found = []
    for value in values:
        if isinstance(value, BorrowedRows):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += _borrowed(value)
    return found


class MappedRows(torch.nn.Parameter):
    """Frozen parameter on a copy-on-write map of a file; copies and pickles map the file again.

    Parameters
    ----------
    place
        The rows in their file.

    Raises
    ------
    FormatError
        If the file has changed.
    OSError
        If the system does not have the address space for another map.
    """

    place: MappedRange
    mapped: npt.NDArray[Any]

    def __new__(cls, place: MappedRange) -> MappedRows:
        """Map the rows."""
        mapped = place.open()
        rows = super().__new__(cls, float_tensor(mapped), requires_grad=False)
        rows.place, rows.mapped = place, mapped
        return rows

    def unchanged(self) -> bool:
        """Return whether the rows still equal those of the file, which is read in blocks."""
        # Writes through `.data` leave no trace in torch's version counter, so compare the values.
        if self.requires_grad or self.data_ptr() != self.mapped.ctypes.data or self.shape != self.mapped.shape:
            return False
        with contextlib.suppress(ValueError, OSError):
            file, mine = self.place.open(), self.mapped
            return all(np.array_equal(_bits(mine[at]), _bits(file[at])) for at in row_blocks(len(mine)))
        return False

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        copied = MappedRows(self.place) if self.unchanged() else self._plain(self.detach().clone())
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.unchanged():
            return MappedRows, (self.place,)
        return _reduced(self._plain(self.detach()), protocol)

    def _plain(self, rows: torch.Tensor) -> torch.nn.Parameter:
        return torch.nn.Parameter(rows, requires_grad=self.requires_grad)


def _reduced(parameter: torch.nn.Parameter, protocol: Any) -> Any:
    return parameter.__reduce_ex__(protocol)  # type: ignore[no-untyped-call]


def _bits(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return rows.view(f"u{rows.itemsize}")  # NaN equals itself


def shared_rows(matrix: npt.NDArray[Any]) -> torch.nn.Parameter:
    """Return the rows as a frozen parameter that shares their memory or their file.

    Parameters
    ----------
    matrix
        Rows, shape (n, dim), read-only or not. Only a layout that torch does not know is copied.

    Examples
    --------
    >>> rows = np.zeros((2, 2), dtype=np.float32)
    >>> shared = shared_rows(rows)
    >>> torch.nn.init.ones_(shared).sum().item(), rows.sum().item()
    (4.0, 0.0)
    """
    place = MappedRange.of(matrix)
    if place is not None and matrix.dtype.isnative:
        with contextlib.suppress(OSError):
            return MappedRows(place)
    return BorrowedRows(float_tensor(matrix), requires_grad=False)


def table_of(matrix: npt.NDArray[Any], *, trainable: bool, dtype: torch.dtype | None = None) -> torch.nn.Embedding:
    """Return rows as a layer: a copy to train, or frozen rows that share the memory or the file of `matrix`.

    Parameters
    ----------
    matrix
        Rows, shape (n, dim).
    trainable
        Whether the rows are trained.
    dtype
        Type of the layer. None means float32 for rows that are trained, in which narrower types lose small updates,
        and for float64; other frozen rows keep their type.

    Raises
    ------
    OptionError
        If `dtype` is not a floating-point type.
    """
    if dtype is not None and not dtype.is_floating_point:
        raise OptionError(f"dtype must be a floating-point type, got {dtype}")
    rows = float_tensor(matrix)
    if dtype is None:
        dtype = torch.float32 if trainable or rows.dtype == torch.float64 else rows.dtype
    if trainable or rows.dtype != dtype:
        weight = torch.nn.Parameter(rows.to(dtype, copy=True), requires_grad=trainable)
    else:
        weight = shared_rows(matrix)
    # The constructor would allocate and initialize a table; with `_weight` it only wraps one, which is then replaced
    # by the parameter of the class above.
    layer = torch.nn.Embedding(len(matrix), matrix.shape[1], _weight=rows, _freeze=True)
    layer.weight = weight
    return layer
