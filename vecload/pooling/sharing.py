"""Rows of `Vectors` as a torch layer that keeps them where they lie."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    import numpy.typing as npt


def layer_of(matrix: npt.NDArray[Any], *, trainable: bool) -> torch.nn.Embedding:
    """Rows as a layer: a copy to train, or a view of the very bytes, which a native file's readers share."""
    if matrix.dtype.name == "bfloat16":  # ml_dtypes' type, of the same bits
        weight = _shared(matrix.view(np.int16)).view(torch.bfloat16)
    else:
        weight = _shared(np.ascontiguousarray(matrix, dtype=matrix.dtype.newbyteorder("=")))
    weight = weight.clone() if trainable else weight
    return torch.nn.Embedding.from_pretrained(weight, freeze=not trainable)  # type: ignore[no-untyped-call, no-any-return]


def _shared(array: npt.NDArray[Any]) -> torch.Tensor:
    with warnings.catch_warnings():  # that it cannot be written; `SentencePooler` copies before it writes
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array)
