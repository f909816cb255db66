"""Values as bytes: rounding to float32, and arrays as one-dimensional bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.errors import FormatError
from vecload.message_text import quote

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.formats.table import Batch


def to_float32(batch: Batch, form: str) -> npt.NDArray[np.float32]:
    """Return the rows as little-endian float32 in C order.

    Raises
    ------
    FormatError
        If a finite float64 is too large for float32. The error names its word and the format.
    """
    with np.errstate(over="ignore"):
        rows: npt.NDArray[np.float32] = np.ascontiguousarray(batch.rows, dtype="<f4")
    if batch.rows.dtype.itemsize > rows.itemsize:
        lost = (np.isinf(rows) & np.isfinite(batch.rows)).any(axis=1)
        if lost.any():
            found = f"one in the row of {quote(batch.words.bytes(int(np.argmax(lost))))}"
            hint = "Choose a format that holds float64, such as native."
            raise FormatError(f"a value too large for {form}, which holds float32", found=found, hint=hint)
    return rows


def as_bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the bytes of an array in C order, as a one-dimensional array."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
