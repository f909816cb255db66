"""Arrays: dtypes and rounding, arrays as tensors, blocks of rows, and rows of unit length."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

# Rows that are converted to float64 at a time: few enough to be read from the CPU's cache by the next operation.
_ROWS: Final = 1 << 13
# The same for operations in float32 that pass over a block several times.
_FEW_ROWS: Final = 1 << 10
# Between these norms, no square of a float32 underflows or overflows.
_SMALLEST: Final = 1e-15
_LARGEST: Final = 1e18

INFINITE_FROM: Final = {
    "float16": 65520.0,
    "bfloat16": 3.3961775292304957e38,
    "float32": 3.4028235677973366e38,
    "float64": np.inf,
}
"""Smallest number that rounds to infinity, by type."""


def as_tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    """Return a tensor that shares an array's memory; it is copied only if torch does not support the layout.

    Read-only memory is shared, too: callers must not write to the tensor.

    Examples
    --------
    >>> as_tensor(np.ones((1, 2), dtype=">f4"))
    tensor([[1., 1.]])
    """
    # Imported here, so that reading and aligning vectors works without loading torch.
    import torch

    native = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
    # torch knows the bits of ml_dtypes' bfloat16, not the NumPy type.
    brain = native.dtype.name == "bfloat16"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writ", UserWarning)
        tensor = torch.from_numpy(native.view(np.int16) if brain else native)
    return tensor.view(torch.bfloat16) if brain else tensor


def as_numpy(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """Return a tensor's values as a read-only array, on its memory if that is the CPU's.

    bfloat16 becomes the NumPy type of `ml_dtypes`. Instances of tensor subclasses are read as plain tensors.

    Examples
    --------
    >>> import torch
    >>> as_numpy(torch.ones(2, dtype=torch.bfloat16)).dtype
    dtype(bfloat16)
    """
    import torch

    with torch._C.DisableTorchFunctionSubclass():
        plain = tensor.detach().cpu().contiguous()
        brain = plain.dtype == torch.bfloat16
        # Tensor.numpy() would forbid resizing the storage, which is how FSDP2 frees rows that it has collected.
        array: npt.NDArray[Any] = np.from_dlpack(plain.view(torch.int16) if brain else plain)
    array = array.view(type_of("bfloat16")) if brain else array
    array.flags.writeable = False
    return array


def type_of(name: str) -> np.dtype[Any]:
    """Return the dtype with a name; "bfloat16" is the type of `ml_dtypes`.

    Examples
    --------
    >>> type_of("float16"), type_of("bfloat16").itemsize
    (dtype('float16'), 2)
    """
    if name == "bfloat16":
        import ml_dtypes  # registers the name with numpy

        name = ml_dtypes.bfloat16
    return np.dtype(name)


def numpy_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a dtype for libraries that know only those of NumPy: float32 for bfloat16, which it can represent exactly.

    Examples
    --------
    >>> numpy_dtype(type_of("bfloat16")), numpy_dtype(np.dtype("float16"))
    (dtype('float32'), dtype('float16'))
    """
    return np.dtype(np.float32) if dtype.name == "bfloat16" else dtype


def narrowed(values: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return values in another type, each rounded once to the nearest, or the array itself if it has the type.

    `ml_dtypes` converts float64 to bfloat16 through float32 and so rounds twice, which can give the wrong neighbor.
    Here the first step rounds to odd: towards zero, with the last bit set if the value is inexact. The second rounding
    to nearest is then correct (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).

    Examples
    --------
    >>> narrowed(np.array([1 + 2**-8 + 2**-30]), type_of("bfloat16")).astype(float)
    array([1.0078125])
    """
    if dtype.name == "bfloat16" and values.dtype == np.float64:
        single = values.astype(np.float32)
        bits = single.view(np.uint32)
        # The bit patterns of floats of one sign are in the order of their magnitudes, so subtracting 1 from the bits
        # steps towards zero. The comparison of the second line is exact, because float32 converts to float64 exactly.
        bits -= np.abs(single) > np.abs(values)
        bits |= single != values
        values = single
    with np.errstate(over="ignore", invalid="ignore"):  # callers check for infinity
        return values.astype(dtype, copy=False)


def as_array(matrix: npt.NDArray[Any], dtype: npt.DTypeLike | None, *, copy: bool | None) -> npt.NDArray[Any]:
    """Return a matrix as the method ``__array__`` of its owner has to by the rules of NumPy 2.

    Raises
    ------
    ValueError
        If another type is requested without a copy.
    """
    wanted = matrix.dtype if dtype is None else np.dtype(dtype)
    if copy is False and wanted != matrix.dtype:
        raise ValueError(f"cannot convert {matrix.dtype} vectors to {wanted} without a copy")
    converted = narrowed(matrix, wanted)
    return converted.copy() if copy and converted is matrix else converted


def export_dlpack(matrix: npt.NDArray[Any], max_version: tuple[int, int] | None, *, copy: bool | None) -> Any:
    """Return a read-only matrix as the method ``__dlpack__`` of its owner has to, without device and stream.

    Raises
    ------
    BufferError
        If it cannot be exported without a copy.
    """
    brain = matrix.dtype.name == "bfloat16"
    if brain and copy is False:
        raise BufferError("a bfloat16 matrix cannot be exported without a copy; use to_torch() for a tensor")
    if brain:
        # NumPy exports only its own types. torch cannot mark memory as read-only, so it gets its own.
        return as_tensor(matrix).clone().__dlpack__()
    rows = matrix.copy() if copy else matrix
    if max_version is not None and max_version[0] >= 1 and np.lib.NumpyVersion(np.__version__) >= "2.1.0":
        return rows.__dlpack__(max_version=max_version)
    if not copy:
        raise BufferError(
            "read-only memory needs DLPack 1.0, in NumPy 2.1 or later and in the library that imports it; "
            "use numpy.array(vectors) or to_torch() for a copy"
        )
    return rows.__dlpack__()


class IndexedRows:
    """Rows of a matrix by an index, gathered only when they are requested; several entries may name the same row.

    Parameters
    ----------
    matrix
        The distinct rows, shape (m, dim).
    ids
        Row number of each entry, int64, shape (n,).

    Examples
    --------
    >>> rows = IndexedRows(np.eye(2), np.array([1, 0, 1]))
    >>> rows.shape, rows[np.array([2, 1])].tolist()
    ((3, 2), [[0.0, 1.0], [1.0, 0.0]])
    """

    def __init__(self, matrix: npt.NDArray[Any], ids: npt.NDArray[np.int64]) -> None:
        self.matrix = matrix
        self.ids = ids
        self.shape = len(ids), matrix.shape[1]
        self.dtype = matrix.dtype

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, at: Any) -> npt.NDArray[Any]:
        rows: npt.NDArray[Any] = self.matrix[self.ids[at]]
        return rows


def row_blocks(count: int, size: int = _ROWS) -> Iterator[slice]:
    """Yield the slices that divide `count` rows into blocks, so that temporary arrays are small.

    Examples
    --------
    >>> list(row_blocks(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    for begin in range(0, count, size):
        yield slice(begin, min(begin + size, count))


def row_norms(matrix: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the Euclidean norm of each row, computed in double precision: float32, shape (n,).

    Examples
    --------
    >>> row_norms(np.array([[3, 4], [0, 0]])).tolist()
    [5.0, 0.0]
    """
    norms = np.empty(len(matrix), dtype=np.float32)
    for block in row_blocks(len(matrix)):
        norms[block] = np.linalg.norm(matrix[block].astype(np.float64), axis=1)
    return norms


def unit_rows(rows: npt.NDArray[Any], norms: npt.NDArray[Any] | None = None) -> npt.NDArray[np.float64]:
    """Return rows divided by their Euclidean norms, in double precision; rows of zeros are kept.

    Parameters
    ----------
    rows
        Vectors along the last axis, shape (..., dim).
    norms
        Their norms, if they are known, shape (...).

    Examples
    --------
    >>> unit_rows(np.array([[3, 4], [0, 0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    wide = rows.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=-1) if norms is None else norms.astype(np.float64)
    wide /= np.where(lengths > 0, lengths, 1)[..., None]
    return wide


def scale_to_unit(rows: npt.NDArray[np.float32]) -> None:
    """Divide float32 rows by their Euclidean norms, in place; rows of zeros are kept.

    Norms are sums of float32 squares, which is accurate enough for directions and twice as fast as `unit_rows`. Only
    where squares could underflow or overflow are they computed in double precision.

    Examples
    --------
    >>> rows = np.array([[3, 4], [0, 0]], dtype="float32")
    >>> scale_to_unit(rows)
    >>> rows
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """
    for at in row_blocks(len(rows), _FEW_ROWS):
        block = rows[at]
        norms = np.sqrt(np.einsum("ij,ij->i", block, block))
        extreme = ~((norms > _SMALLEST) & (norms < _LARGEST))
        if extreme.any():
            norms[extreme] = np.linalg.norm(block[extreme].astype(np.float64), axis=1)
        norms[norms == 0] = 1
        block /= norms[:, None]


def paired_cosines(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the cosine of each row with the row of the same number: float64, shape (n,); 0 for rows of zeros.

    Examples
    --------
    >>> paired_cosines(np.array([[1, 0], [3, 4]]), np.array([[2, 0], [4, 3]])).tolist()
    [1.0, 0.96]
    """
    cosines = np.empty(len(left))
    for at in row_blocks(len(left)):
        cosines[at] = np.einsum("nd,nd->n", unit_rows(left[at]), unit_rows(right[at]))
    return cosines
