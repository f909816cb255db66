"""The `weight` of a partly trained layer: one tensor of all rows that writes in-place changes back to the layer."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.utils._pytree import tree_map

from vecload.errors import OptionError
from vecload.layers.tracing import refuse_script
from vecload.layers.written_arguments import flat, written

if TYPE_CHECKING:
    from collections.abc import Callable


class Assembled(Protocol):
    """Layer whose rows are in several tensors."""

    def _assemble(self) -> torch.Tensor:
        """Return a new tensor of all rows."""

    def _store(self, rows: torch.Tensor) -> None:
        """Write all rows to the tensors that contain them."""

    def _stand_in(self) -> torch.Tensor:
        """Return a tensor with the shape, dtype and device of all rows, with any strides and values."""

    def _own(self) -> tuple[torch.nn.Parameter, ...]:
        """Return the parameters among the tensors with the rows."""

    def _gradient(self) -> torch.Tensor | None:
        """Return the gradient of all rows, zero for frozen ones."""

    def _store_gradient(self, gradient: torch.Tensor) -> None:
        """Write the gradient of all rows to those of the parameters; frozen rows have none."""


class WeightProperty(torch.nn.Module):
    """Module whose `weight` is a property: the base of all layers with rows in several tensors."""

    def __setattr__(self, name: str, value: Any) -> None:
        # nn.Module.__setattr__ would register a parameter of that name, which the property would hide.
        if name == "weight":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def __prepare_scriptable__(self) -> None:
        refuse_script(self)


# mypy takes torch's properties for tensors.
_TENSOR: Any = torch.Tensor

# Answered from the stand-in. Assembling a table of a gigabyte for `weight.dtype`, which Gemma's forward asks for each
# time, would be slower than the lookup itself.
_METADATA: frozenset[Any] = frozenset(
    [
        _TENSOR.dim,
        _TENSOR.element_size,
        _TENSOR.is_floating_point,
        _TENSOR.numel,
        _TENSOR.size,
        _TENSOR.__len__,
        *(
            getattr(_TENSOR, name).__get__
            for name in "device dtype is_cpu is_cuda is_meta is_sparse itemsize layout nbytes ndim shape".split()
        ),
    ]
)


class _Gradient:
    """Gradient of a layer's weight that also writes through, so that clipping and masking take effect."""

    def __init__(self, layer: Assembled) -> None:
        self._of = layer
        self._store = layer._store_gradient

    def _assemble(self) -> torch.Tensor:
        gradient = self._of._gradient()
        return self._of._stand_in().new_zeros(self._of._stand_in().shape) if gradient is None else gradient


class AssembledWeight(torch.Tensor):
    """All rows of a layer as one tensor that writes through.

    A layer whose rows are in several tensors has no single tensor to return as its `weight`. This class stands for
    one: it is assembled when its values are needed, and in-place changes of it or of a view of it are stored in the
    layer at once. Everything computed from it is an ordinary tensor.

    A copy would not do: ``nn.init.normal_(layer.weight)``, ``layer.weight[3] = row`` and ``weight.requires_grad_()``
    are ordinary code, and would silently do nothing. So this is a tensor subclass. torch passes every call with such a
    tensor to ``__torch_function__`` ("Extending torch with a Tensor-like type" in torch's notes), which replaces it
    with the rows and stores them after functions that write.

    There are two states. ``layer.weight`` returns a *lazy* instance, whose own memory is a stand-in for the shape and
    dtype; its rows, connected to the parameters of the layer, are in ``_rows`` once they are needed. Views of those
    rows, detached rows, and the tensors of a state dict are *real* instances: their own memory holds the values, and
    ``_rows`` is the whole table that they are a view of.
    """

    _layer: Callable[[], Any]
    _rows: torch.Tensor | None
    _lazy: bool

    @staticmethod
    def lazy(layer: Assembled) -> AssembledWeight:
        """Return the weight of a layer, to be assembled when its values are needed."""
        return _make(layer._stand_in(), lambda: layer, rows=None, lazy=True)

    @staticmethod
    def of(layer: Assembled, rows: torch.Tensor) -> AssembledWeight:
        """Return assembled rows that write through for as long as the layer exists."""
        return _make(rows, weakref.ref(layer), rows=rows, lazy=False)

    def belongs_to(self, layer: object) -> bool:
        """Return whether writes change this layer."""
        return self._layer() is layer

    @property
    def _is_param(self) -> bool:
        return False

    @_is_param.setter
    def _is_param(self, _: bool) -> None:
        # `nn.Parameter(tensor)` detaches a tensor of another class and then sets this attribute. The new parameter
        # belongs to another layer and must not write to this one, so make it an ordinary parameter.
        self.__class__ = torch.nn.Parameter  # type: ignore[assignment]

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            if func in _METADATA:
                return func(*args, **kwargs)
            special = _SPECIAL.get(func)
            if special is not None and args and isinstance(args[0], AssembledWeight):
                return special(*args, **kwargs)
            return _call(func, args, kwargs)


def _make(tensor: torch.Tensor, layer: Callable[[], Any], *, rows: torch.Tensor | None, lazy: bool) -> AssembledWeight:
    weight = tensor.as_subclass(AssembledWeight)
    weight._layer, weight._rows, weight._lazy = layer, rows, lazy
    return weight


def _call(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a torch function on the rows, store its writes, and keep views of the rows connected to the layer."""
    given = [one for one in flat((args, kwargs)) if isinstance(one, AssembledWeight)]
    targets = [one for one in written(func, args, kwargs) if isinstance(one, AssembledWeight)]
    plain = {id(one): _plain(one) for one in given}
    # torch refuses in-place changes of a leaf that requires grad, and so does _refresh(). The functions of
    # torch.nn.init switch gradients off by themselves, but only after this call.
    unsafe = torch.is_grad_enabled() and getattr(func, "__module__", "") != "torch.nn.init"
    for one in targets:
        _refresh(one, plain[id(one)], unsafe=unsafe)
    real_args, real_kwargs = tree_map(lambda one: plain.get(id(one), one), (args, kwargs))
    result = func(*real_args, **real_kwargs)
    for one in targets:
        _commit(one)
    # Tensors of torch.func transforms are wrappers without memory that views could be recognized by.
    if torch._C._are_functorch_transforms_active():
        return result
    # If the result is the rows themselves, the original argument is returned, as in-place methods do. Any other result
    # on the memory of the rows is a view of them, and has to write through as well.
    back = {id(plain[id(one)]): one for one in given}
    whole = {_storage(one._rows): one for one in given if one._rows is not None}

    def connect(out: Any) -> Any:
        if id(out) in back:
            return back[id(out)]
        if type(out) is not torch.Tensor or out.layout != torch.strided:
            return out
        source = whole.get(_storage(out))
        return out if source is None else _make(out, source._layer, rows=source._rows, lazy=False)

    return tree_map(connect, result)


def _plain(weight: AssembledWeight) -> torch.Tensor:
    if not weight._lazy:
        return weight.as_subclass(torch.Tensor)
    if weight._rows is None:
        layer = weight._layer()
        assert layer is not None  # a lazy weight keeps its layer
        weight._rows = layer._assemble()
    return weight._rows


def _refresh(weight: AssembledWeight, rows: torch.Tensor, *, unsafe: bool) -> None:
    """Update the rows before a write to some of them, because all of them are stored afterwards."""
    if unsafe and rows.requires_grad:
        raise RuntimeError(
            "weight has rows that require grad, so it cannot be written to in place: write under torch.no_grad()"
        )
    layer = weight._layer()
    if layer is not None and weight._rows is not None:
        weight._rows.data.copy_(layer._assemble().detach())


def _commit(weight: AssembledWeight) -> None:
    layer = weight._layer()
    if layer is not None and weight._rows is not None:
        layer._store(weight._rows.detach())


def _storage(tensor: torch.Tensor) -> int:
    """Return a number that is the same for all views of the same memory."""
    return int(tensor.untyped_storage()._cdata)


def _native(func: Any) -> Callable[..., Any]:
    """Return a function that uses the tensor's own memory: the gradients of real instances are there."""

    def call(weight: AssembledWeight, *rest: Any, **options: Any) -> Any:
        return func(weight, *rest, **options)

    return call


def _of_parameters(func: Any, for_lazy: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls `for_lazy` with the layer of a lazy instance, and `func` for a real one."""
    native = _native(func)

    def call(weight: AssembledWeight, *rest: Any, **options: Any) -> Any:
        layer = weight._layer() if weight._lazy else None
        return native(weight, *rest, **options) if layer is None else for_lazy(weight, layer, *rest, **options)

    return call


def _set_data(weight: AssembledWeight, values: torch.Tensor) -> None:
    if values.shape != weight.shape:
        raise RuntimeError(
            f"weight has the shape {tuple(weight.shape)}, which a partly trained layer keeps, not "
            f"{tuple(values.shape)}: replace it with a plain layer first (Extension.finish(model), layer.merged())"
        )
    rows = _plain(weight)
    rows.data.copy_(values)
    _commit(weight)


def _requires_grad(_: AssembledWeight, layer: Assembled) -> bool:
    return any(one.requires_grad for one in layer._own())


def _set_requires_grad(weight: AssembledWeight, layer: Assembled, flag: bool = True) -> AssembledWeight:  # noqa: FBT001, FBT002 - torch's
    for one in layer._own():
        one.requires_grad_(flag)
    weight._rows = None
    return weight


def _get_grad(_: AssembledWeight, layer: Assembled) -> torch.Tensor | None:
    gradient = layer._gradient()
    if gradient is None:
        return None
    whole = _Gradient(layer)
    return _make(gradient, lambda: whole, rows=gradient, lazy=False)


def _set_grad(_: AssembledWeight, layer: Assembled, value: torch.Tensor | None = None) -> None:
    if value is not None:
        raise OptionError("weight.grad can only be set to None: set the gradients of layer.trained")
    for one in layer._own():
        one.grad = None


def _refuse_hook(*_: Any, **__: Any) -> None:
    raise OptionError(
        "layer.weight is assembled at each access, so a hook on it would never run: register hooks on the parameters "
        "in layer.trained"
    )


def _read_only(func: Any) -> Callable[..., Any]:
    # Writes through NumPy cannot be seen, so the array refuses them.
    def call(weight: AssembledWeight, *rest: Any, **options: Any) -> Any:
        array = func(_plain(weight), *rest, **options)
        array.flags.writeable = False
        return array

    return call


def _deepcopy(weight: AssembledWeight, memo: dict[int, Any]) -> torch.Tensor:
    if id(weight) not in memo:
        memo[id(weight)] = _plain(weight).detach().clone()
    copied: torch.Tensor = memo[id(weight)]
    return copied


def _reduce(weight: AssembledWeight, protocol: int) -> Any:
    rows: Any = _plain(weight).detach()
    return rows.__reduce_ex__(protocol)


_SPECIAL: dict[Any, Callable[..., Any]] = {
    _TENSOR.data.__set__: _set_data,
    _TENSOR.requires_grad.__get__: _of_parameters(_TENSOR.requires_grad.__get__, _requires_grad),
    _TENSOR.requires_grad.__set__: _of_parameters(_TENSOR.requires_grad.__set__, _set_requires_grad),
    _TENSOR.requires_grad_: _of_parameters(_TENSOR.requires_grad_, _set_requires_grad),
    _TENSOR.grad.__get__: _of_parameters(_TENSOR.grad.__get__, _get_grad),
    _TENSOR.grad.__set__: _of_parameters(_TENSOR.grad.__set__, _set_grad),
    _TENSOR.grad.__delete__: _of_parameters(_TENSOR.grad.__delete__, lambda w, layer: _set_grad(w, layer, None)),
    _TENSOR.register_hook: _of_parameters(_TENSOR.register_hook, _refuse_hook),
    _TENSOR.register_post_accumulate_grad_hook: _of_parameters(
        _TENSOR.register_post_accumulate_grad_hook, _refuse_hook
    ),
    _TENSOR.numpy: _read_only(_TENSOR.numpy),
    _TENSOR.__array__: _read_only(_TENSOR.__array__),
    _TENSOR.__deepcopy__: _deepcopy,
    _TENSOR.__reduce_ex__: _reduce,
}
