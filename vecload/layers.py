"""Aligned rows → ``torch.nn.Embedding``."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Literal

import torch

from vecload.errors import OptionError

if TYPE_CHECKING:
    from vecload.alignment import Aligned


def embedding(
    aligned: Aligned,
    *,
    mode: Literal["freeze", "finetune"] = "finetune",
    padding_idx: int | Literal["vocab"] | None = "vocab",
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> torch.nn.Embedding:
    """A plain ``torch.nn.Embedding`` that starts from aligned rows.

    Parameters
    ----------
    aligned
        The rows.
    mode
        "finetune" trains the weight; "freeze" does not.
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
        Weight of shape (num_embeddings, embedding_dim), a copy. Unlike ``nn.Embedding.from_pretrained``, which keeps
        whatever the given row holds, the padding row is zero, and it stays so in training.

    Raises
    ------
    OptionError
        For options that cannot be combined.

    Examples
    --------
    >>> import numpy as np, vecload
    >>> vectors = vecload.Vectors(vecload.Words.from_strings(["cat"]), np.ones((1, 3), dtype="float32"))
    >>> layer = embedding(vecload.align(vectors, vecload.Vocab.from_words(["cat"], pad="<pad>")), mode="freeze")
    >>> layer, layer.weight.requires_grad
    (Embedding(2, 3, padding_idx=0), False)
    """
    if mode not in ("freeze", "finetune"):
        raise OptionError(f"mode={mode!r} is not one of 'freeze', 'finetune'")
    if mode == "freeze" and max_norm is not None:
        raise OptionError(
            "max_norm cannot go with mode='freeze': torch shortens rows of the weight in place whenever they are "
            "looked up, so frozen rows would change"
        )
    if padding_idx == "vocab":
        padding_idx = aligned.vocab.pad_idx
    elif padding_idx is not None:
        padding_idx = _row(padding_idx, len(aligned.matrix))
    if dtype is not None and not dtype.is_floating_point:
        raise OptionError(f"dtype={dtype} is no type of real numbers")
    weight = torch.tensor(aligned.matrix, dtype=dtype, device=device)
    if padding_idx is not None:
        weight[padding_idx] = 0
    layer: torch.nn.Embedding = torch.nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
        weight,
        freeze=mode == "freeze",
        padding_idx=padding_idx,
        max_norm=max_norm,
        norm_type=norm_type,
        scale_grad_by_freq=scale_grad_by_freq,
        sparse=sparse,
    )
    return layer


def _row(padding_idx: int, rows: int) -> int:
    try:
        row = operator.index(padding_idx)
    except TypeError:
        row = rows
    if isinstance(padding_idx, bool) or not -rows <= row < rows:
        raise OptionError(f"padding_idx={padding_idx!r} is not one of the {rows:,} rows")
    return row
