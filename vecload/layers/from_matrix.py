"""Make a ``torch.nn.Embedding`` or a `PartialEmbedding` from the rows of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vecload.errors import OptionError
from vecload.layers.partial_embedding import PartialEmbedding, check_gradients
from vecload.layers.stored_embedding import float_tensor, padding_row


def embedding_from_matrix(
    matrix: npt.NDArray[Any],
    mode: str,
    *,
    new_rows: npt.NDArray[np.bool_],
    rows: npt.NDArray[Any] | torch.Tensor | None,
    padding_idx: int | None,
    max_norm: float | None,
    norm_type: float,
    scale_grad_by_freq: bool,
    sparse: bool,
    device: torch.device | str | None,
    dtype: torch.dtype | None,
) -> torch.nn.Embedding:
    """Make a layer with a copy of the rows: see `vecload.Aligned.embedding`, whose keywords these are.

    Parameters
    ----------
    matrix
        Floating-point rows, shape (n, dim).
    mode
        "finetune" trains all rows, "freeze" none, and "new-rows" those of `new_rows`.
    new_rows
        Rows that "new-rows" trains, bool, shape (n,).
    rows, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, device, dtype
        As in `vecload.Aligned.embedding`, with `padding_idx` as a row number.

    Raises
    ------
    OptionError
        For options that cannot be combined.

    Examples
    --------
    >>> options = dict(rows=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False)
    >>> options |= dict(padding_idx=0, device=None, dtype=None, new_rows=np.array([False, True]))
    >>> embedding_from_matrix(np.ones((2, 3), dtype="float32"), "new-rows", **options)
    PartialEmbedding(2, 3, padding_idx=0, trained=1)
    """
    if mode not in ("freeze", "finetune", "new-rows"):
        raise OptionError(f"unknown mode {mode!r}; choose from: freeze, finetune, new-rows")
    if rows is not None and mode != "finetune":
        raise OptionError(f"rows cannot be combined with mode={mode!r}, which already says which rows are trained")
    if max_norm is not None and (mode != "finetune" or rows is not None):
        frozen = f"mode={mode!r}" if rows is None else "rows"
        raise OptionError(
            f"max_norm cannot be combined with {frozen}: torch shortens rows of the weight in place whenever they are "
            "looked up, so frozen rows would change"
        )
    check_gradients(scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)
    padding = padding_row(padding_idx, len(matrix))
    if dtype is not None and not dtype.is_floating_point:
        raise OptionError(f"dtype must be a floating-point type, not {dtype}")
    weight = float_tensor(matrix)
    half = weight.dtype in (torch.float16, torch.bfloat16)
    # Adam's eps of 1e-8 is zero in float16, so its first step would divide zero by zero in rows without gradients.
    if dtype is None and not (half and mode == "freeze"):
        dtype = torch.float32
    weight = weight.to(dtype=dtype, device=device, copy=True)
    trained = new_rows if mode == "new-rows" else rows
    if trained is not None:
        return PartialEmbedding(
            weight, trained, padding_idx=padding, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse
        )
    if padding is not None:
        weight[padding] = 0
    layer: torch.nn.Embedding = torch.nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
        weight,
        freeze=mode == "freeze",
        padding_idx=padding,
        max_norm=max_norm,
        norm_type=norm_type,
        scale_grad_by_freq=scale_grad_by_freq,
        sparse=sparse,
    )
    return layer
