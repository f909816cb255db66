"""Make a ``torch.nn.Embedding`` or `PartialEmbedding` from aligned rows."""

from __future__ import annotations

from typing import Any, Literal

import numpy.typing as npt
import torch

from vecload.alignment import Aligned
from vecload.errors import OptionError
from vecload.keywords import explain_keywords
from vecload.layers.partial import PartialEmbedding, check_gradients
from vecload.layers.stored import as_tensor, padding_row


@explain_keywords
def embedding(
    aligned: Aligned,
    mode: Literal["freeze", "finetune", "new-rows"] = "finetune",
    *,
    rows: npt.NDArray[Any] | torch.Tensor | None = None,
    padding_idx: int | Literal["vocab"] | None = "vocab",
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> torch.nn.Embedding:
    """Make a layer from aligned rows.

    Parameters
    ----------
    aligned
        Aligned rows.
    mode
        "finetune" trains all rows, "freeze" none, and "new-rows" the rows of special tokens and of words that the file
        did not have under any spelling, but never the padding row.
    rows
        With "finetune": which rows to train, as in `PartialEmbedding`, instead of all.
    padding_idx
        The row that is zero and gets no gradient: "vocab" for the row of the vocabulary's padding token, if there is
        one; a row number, negative from the end; None for no padding row.
    max_norm, norm_type, scale_grad_by_freq, sparse
        As in torch.
    device
        Device of the weight; None for the CPU.
    dtype
        Type of the weight. None keeps float32, and float16 and bfloat16 if no row is trained; otherwise it is float32.
        Adam's ``eps`` is zero in float16, so its first step would turn rows without gradients into NaN.

    Returns
    -------
    torch.nn.Embedding
        A plain one if all rows are trained, or none; otherwise a `PartialEmbedding`. Its rows are a copy, and the
        padding row is zero, unlike that of ``nn.Embedding.from_pretrained``.

    Raises
    ------
    OptionError
        For options that cannot be combined.

    Examples
    --------
    >>> import numpy as np, vecload
    >>> vectors = vecload.Vectors(vecload.Words.from_strings(["cat"]), np.ones((1, 3), dtype="float32"))
    >>> aligned = vecload.align(vectors, vecload.Vocab.from_words(["cat", "cow"], pad_token="<pad>"))
    >>> embedding(aligned, mode="freeze")
    Embedding(3, 3, padding_idx=0)
    >>> embedding(aligned, mode="new-rows")
    PartialEmbedding(3, 3, padding_idx=0, trained=1)
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
    padding = aligned.vocab.padding_idx if padding_idx == "vocab" else padding_row(padding_idx, len(aligned.matrix))
    if dtype is not None and not dtype.is_floating_point:
        raise OptionError(f"dtype must be a floating-point type, not {dtype}")
    weight = as_tensor(aligned.matrix)
    half = weight.dtype in (torch.float16, torch.bfloat16)
    if dtype is None and not (half and mode == "freeze"):
        dtype = torch.float32
    weight = weight.to(dtype=dtype, device=device, copy=True)
    trained = aligned.new if mode == "new-rows" else rows
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
