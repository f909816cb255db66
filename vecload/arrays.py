"""Types of arrays, and arrays as tensors."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

INFINITE_FROM: Final = {
    "float16": 65520.0,
    "bfloat16": 3.3961775292304957e38,
    "float32": 3.4028235677973366e38,
    "float64": np.inf,
}
"""The least number that rounds to infinity in a type."""


def as_tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    """Return a tensor on an array's memory, read-only memory too; a copy only where torch does not know the layout.

    The caller sees to it that nothing writes to read-only memory through the tensor.

    Examples
    --------
    >>> as_tensor(np.ones((1, 2), dtype=">f4"))
    tensor([[1., 1.]])
    """
    import torch  # so that everything that reads and aligns vectors works without loading torch

    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    # torch knows the bits of ml_dtypes' bfloat16, not the NumPy type.
    brain = native.dtype.name == "bfloat16"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writ", UserWarning)
        tensor = torch.from_numpy(native.view(np.int16) if brain else native)
    return tensor.view(torch.bfloat16) if brain else tensor


def type_of(name: str) -> np.dtype[Any]:
    """The dtype of a name; "bfloat16" is that of `ml_dtypes`.

    Examples
    --------
    >>> type_of("float16"), type_of("bfloat16").itemsize
    (dtype('float16'), 2)
    """
    if name == "bfloat16":
        import ml_dtypes  # registers the name with numpy

        name = ml_dtypes.bfloat16
    return np.dtype(name)


def narrowed(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Values in another type, each rounded once, to the nearest; the array itself where it has the type already.

    `ml_dtypes` takes doubles to bfloat16 by way of float32, which rounds twice. Rounding to odd on the way (Boldo and
    Melquiond 2008) keeps what the second rounding has to know.

    Examples
    --------
    >>> narrowed(np.array([1 + 2**-8 + 2**-30]), type_of("bfloat16")).astype(float)
    array([1.0078125])
    """
    if dtype.name == "bfloat16" and values.dtype == np.float64:
        single = values.astype(np.float32)
        bits = single.view(np.uint32)
        bits -= np.abs(single) > np.abs(values)  # towards zero ...
        bits |= single != values  # ... and odd where not exact
        values = single
    with np.errstate(over="ignore", invalid="ignore"):  # who asked for the type judges infinity
        return values.astype(dtype, copy=False)


def as_array(matrix: npt.NDArray[Any], dtype: npt.DTypeLike | None, *, copy: bool | None) -> npt.NDArray[Any]:
    """Return a matrix as the ``__array__`` of an object that holds it has to, by the rules of NumPy 2.

    Raises
    ------
    ValueError
        If another type is asked for without a copy.
    """
    wanted = matrix.dtype if dtype is None else np.dtype(dtype)
    if copy is False and wanted != matrix.dtype:
        raise ValueError(f"cannot convert {matrix.dtype} vectors to {wanted} without a copy")
    converted = narrowed(matrix, wanted)
    return converted.copy() if copy and converted is matrix else converted
