"""`Batch` and `Request`: what readers yield, and what they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from vecload.words import Words, pack


class Batch(NamedTuple):
    """Some rows on their way from a file: at most a chunk's worth.

    `data` uint8 (bytes,) and `offsets` int64 (n + 1,) are the packed words, `rows` the values, shape (n, dim).
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[Any]

    def take(self, at: npt.NDArray[np.int64]) -> Batch:
        """Some of the rows."""
        return Batch(*pack(self.data, self.offsets[at], self.offsets[at + 1]), self.rows[at])


def strip_prefix(batch: Batch, prefix: bytes) -> Batch:
    """The rows whose words begin with `prefix`, without it.

    Examples
    --------
    >>> data = np.frombuffer(b"/c/en/cat/c/de/Katze", dtype=np.uint8)
    >>> batch = Batch(data, np.array([0, 9, 20]), np.eye(2))
    >>> strip_prefix(batch, b"/c/en/").data.tobytes(), strip_prefix(batch, b"/c/en/").rows
    (b'cat', array([[1., 0.]]))
    """
    data, offsets, rows = batch
    starts = offsets[:-1]
    wanted = np.flatnonzero(offsets[1:] - starts >= len(prefix))
    for at, byte in enumerate(prefix):
        wanted = wanted[data[starts[wanted] + at] == byte]
    return Batch(*pack(data, starts[wanted] + len(prefix), offsets[1:][wanted]), rows[wanted])


@dataclass(frozen=True)
class Request:
    """What a caller wants of a file.

    Parameters
    ----------
    only
        Only the rows of these words; None for all.
    limit
        Only so many rows from the start of the file.
    dtype
        "float16", "bfloat16", "float32" or "float64"; None for the type the file stores (text: float32).
    errors
        "raise" an error for malformed rows, or "skip" and count them.
    strict
        Whether to raise an error for wrong counts, repeated and doubtful words, too.
    allow_nonfinite
        Whether NaN and infinity may stay.
    """

    only: Words | None = None
    limit: int | None = None
    dtype: str | None = None
    errors: str = "raise"
    strict: bool = False
    allow_nonfinite: bool = False


NONFINITE_HINT: Final = "errors='skip' (--errors skip) leaves its row out; allow_nonfinite=True keeps it."
"""Policies for values that are not finite in the requested type."""
