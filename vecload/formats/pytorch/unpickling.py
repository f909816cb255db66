"""The names of PyTorch's pickles: tensors become descriptions of their place in the file, and nothing is run.

Source: PyTorch's ``torch/_utils.py`` (``_rebuild_tensor_v2``) and ``torch/serialization.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import type_of
from vecload.formats.pickles.pickled_types import (
    KeyValuePairs,
    PickledFunction,
    PickledObject,
    Refused,
    describe_value,
)
from vecload.formats.pickles.restricted_unpickler import RestrictedUnpickler

if TYPE_CHECKING:
    import numpy.typing as npt

_DTYPES: Final = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip
"""Type of the values of each class of storage."""
_MOST_DIMENSIONS: Final = 8
_LARGEST: Final = 1 << 48


class StorageName:
    """A class of storages, as an argument of a reference; never instantiated."""

    __slots__ = ()
    dtype: str


@dataclass(frozen=True)
class Storage:
    """A reference to the values of tensors outside the pickle."""

    dtype: np.dtype[Any]
    key: str
    count: int
    """Number of values."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of a pickle: where its values are in a storage. Sizes and strides are checked against the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, raw: npt.NDArray[np.uint8], *, swapped: bool) -> npt.NDArray[Any]:
        """Return the tensor, given the bytes of its storage; `swapped` bytes are big-endian."""
        dtype = self.storage.dtype
        values = raw[: self.storage.count * dtype.itemsize]
        flat = values.copy().view(dtype) if values.ctypes.data % dtype.itemsize else values.view(dtype)
        if swapped:
            flat = flat.byteswap()
        count = math.prod(self.shape)
        if self.strides == _contiguous(self.shape):
            return flat[self.offset : self.offset + count].reshape(self.shape)
        steps = tuple(step * dtype.itemsize for step in self.strides)
        view: npt.NDArray[Any] = np.lib.stride_tricks.as_strided(
            flat[self.offset :], self.shape, steps, writeable=False
        )
        return view


class PairsObject(KeyValuePairs):
    """An OrderedDict: its items as pairs, so that no key is hashed."""

    __slots__ = ()

    def __init__(self, *arguments: object) -> None:
        if arguments:
            raise Refused("an OrderedDict made of arguments")
        super().__init__()

    def __setstate__(self, _: object) -> None:
        """Ignore attributes, such as the versions of a state dict."""


class TorchUnpickler(RestrictedUnpickler):
    """Unpickler for files of PyTorch."""

    def _replacement(self, module: str, name: str) -> object:
        if module in ("torch", "torch.storage") and name in _DTYPES:
            return type(name, (StorageName,), {"__slots__": (), "dtype": _DTYPES[name]})
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return PickledFunction(_rebuild_tensor)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return PickledFunction(_rebuild_parameter)
        if (module, name) == ("collections", "OrderedDict"):
            return type(name, (PairsObject,), {"__slots__": ()})
        # MUSE pickles the dictionary of its vocabulary as an object of its own class.
        if (module, name) == ("src.dictionary", "Dictionary"):
            return type(name, (PickledObject,), {"__slots__": (), "kind": f"{module}.{name}"})
        return super()._replacement(module, name)

    def persistent_load(self, reference: object) -> Storage:  # type: ignore[override]
        """Return the storage that a reference ``("storage", class, key, device, count, ...)`` denotes."""
        if not isinstance(reference, tuple) or len(reference) not in (5, 6) or reference[0] != "storage":
            raise Refused("a reference to an unknown object outside the pickle")
        _, kind, key, _, count, *views = reference
        if not (isinstance(kind, type) and issubclass(kind, StorageName)):
            raise Refused("a storage of an unknown class")
        if not isinstance(key, str) or type(count) is not int or not 0 <= count < _LARGEST or views not in ([], [None]):
            raise Refused("an invalid storage")
        return Storage(type_of(kind.dtype), key, count)


def _rebuild_tensor(storage: object, offset: object, shape: object, strides: object, *_: object) -> Tensor:
    """Replace ``torch._utils._rebuild_tensor_v2``."""
    if not isinstance(storage, Storage):
        raise Refused(f"a tensor made of {describe_value(storage)}")
    sizes = _numbers(shape)
    steps = _numbers(strides)
    if sizes is None or steps is None or len(sizes) != len(steps) or type(offset) is not int or offset < 0:
        raise Refused("a tensor with an invalid shape")
    if math.prod(sizes):
        last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
        # Repeated rows could otherwise claim any amount of memory when they are copied.
        if last >= storage.count or math.prod(sizes) > storage.count:
            raise Refused("a tensor that is larger than its storage")
    elif max(sizes) > storage.count:
        raise Refused("a tensor that is larger than its storage")
    return Tensor(storage, min(offset, storage.count), sizes, steps)


def _rebuild_parameter(tensor: object, *_: object) -> Tensor:
    """Replace ``torch._utils._rebuild_parameter``."""
    if not isinstance(tensor, Tensor):
        raise Refused(f"a parameter made of {describe_value(tensor)}")
    return tensor


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a tensor in C order."""
    return tuple(math.prod(shape[at + 1 :]) for at in range(len(shape)))


def _numbers(values: object) -> tuple[int, ...] | None:
    if not isinstance(values, tuple) or len(values) > _MOST_DIMENSIONS:
        return None
    fine = all(type(number) is int and 0 <= number < _LARGEST for number in values)
    return values if fine else None
