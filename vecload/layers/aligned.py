"""Aligned rows → ``torch.nn.Embedding`` or `PartialEmbedding`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch

from vecload.errors import OptionError
from vecload.layers.partial import PartialEmbedding, check_gradients
from vecload.layers.stored import as_tensor, padding_row

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.alignment import Aligned


def embedding(
    aligned: Aligned,
    *,
    mode: Literal["freeze", "finetune", "new-rows"] = "finetune",
    rows: npt.NDArray[Any] | torch.Tensor | None = None,
    padding_idx: int | Literal["vocab"] | None = "vocab",
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> torch.nn.Embedding | PartialEmbedding:
    """A layer that starts from aligned rows.

    Parameters
    ----------
    aligned
        The rows.
    mode
        "finetune" trains all rows; "freeze" none; "new-rows" those the file did not have under any spelling, and
        specials, but never the padding row.
    rows
        With "finetune": which rows to train, as in `PartialEmbedding`, instead of all.
    padding_idx
        The row that is zero and gets no gradient: "vocab" for that of the vocabulary's padding word, if it has one; a
        number, negative from the end; None for no such row.
    max_norm, norm_type, scale_grad_by_freq, sparse
        As in torch.
    device, dtype
        Of the weight; None for the CPU and the type of the rows.

    Returns
    -------
    torch.nn.Embedding
        When all rows are trained, or none; else `PartialEmbedding`. Its rows are a copy. Unlike
        ``nn.Embedding.from_pretrained``, which keeps whatever the given row holds, the padding row is zero, and it
        stays so in training.

    Raises
    ------
    OptionError
        For options that cannot be combined.

    Examples
    --------
    >>> import numpy as np, vecload
    >>> vectors = vecload.Vectors(vecload.Words.from_strings(["cat"]), np.ones((1, 3), dtype="float32"))
    >>> aligned = vecload.align(vectors, vecload.Vocab.from_words(["cat", "cow"], pad="<pad>"))
    >>> embedding(aligned, mode="freeze")
    Embedding(3, 3, padding_idx=0)
    >>> embedding(aligned, mode="new-rows")
    PartialEmbedding(3, 3, padding_idx=0, trained=1)
    """
    if mode not in ("freeze", "finetune", "new-rows"):
        raise OptionError(f"mode={mode!r} is not one of 'freeze', 'finetune', 'new-rows'")
    if rows is not None and mode != "finetune":
        raise OptionError(f"rows cannot go with mode={mode!r}, which says already what is trained")
    if max_norm is not None and (mode != "finetune" or rows is not None):
        frozen = f"mode={mode!r}" if rows is None else "rows"
        raise OptionError(
            f"max_norm cannot go with {frozen}: torch shortens rows of the weight in place whenever they are "
            "looked up, so frozen rows would change"
        )
    check_gradients(scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)
    padding = aligned.vocab.pad_idx if padding_idx == "vocab" else padding_row(padding_idx, len(aligned.matrix))
    if dtype is not None and not dtype.is_floating_point:
        raise OptionError(f"dtype={dtype} is no type of real numbers")
    weight = as_tensor(aligned.matrix).to(dtype=dtype, device=device, copy=True)
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
