"""Scale rows of a matrix to unit length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

# A block of this many rows fits the CPU's caches.
_ROWS = 1 << 10
# Between these norms, no square of a float32 underflows or overflows.
_LEAST, _MOST = 1e-15, 1e18


def scale_to_unit(rows: npt.NDArray[np.float32]) -> None:
    """Divide rows by their Euclidean norm, in place; rows of zeros are kept."""
    for begin in range(0, len(rows), _ROWS):
        block = rows[begin : begin + _ROWS]
        norms = np.sqrt(np.einsum("ij,ij->i", block, block))
        odd = ~((norms > _LEAST) & (norms < _MOST))
        if odd.any():
            norms[odd] = np.linalg.norm(block[odd].astype(np.float64), axis=1)
        norms[norms == 0] = 1
        block /= norms[:, None]
