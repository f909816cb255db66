"""`reshape_embedding`: drop, reorder and merge the tokens of a model."""

from __future__ import annotations

from typing import Any, Literal

from vecload.layers.transfer.transferring import Transfer, transfer_embedding


def reshape_embedding(
    model: Any,
    old_tokenizer: Any,
    new_tokenizer: Any,
    *,
    seed: int = 0,
    train: Literal["all", "new"] = "all",
    pad_to_multiple_of: int = 1,
    progress: bool | None = None,
) -> Transfer:
    """Give a model the rows of an edited tokenizer: with tokens dropped, reordered or merged.

    Rows of tokens that are spelled the same in both tokenizers are kept bit for bit, in the embedding, the head and its
    bias. A token that was merged from others gets the mean of the rows of its pieces.

    Parameters
    ----------
    model
        A ``torch.nn.Embedding``, which is left unchanged and copied, or a Hugging Face model, which is changed.
    old_tokenizer, new_tokenizer
        The tokenizer that the model was trained with, and the edited one: as for `transfer_embedding`.
    seed, train, pad_to_multiple_of, progress
        As for `transfer_embedding`.

    Returns
    -------
    Transfer

    Raises
    ------
    OptionError
        As for `transfer_embedding`.

    Examples
    --------
    >>> import torch
    >>> from tokenizers import Tokenizer, models
    >>> old, new = (Tokenizer(models.WordLevel(vocab)) for vocab in ({"a": 0, "b": 1, "c": 2}, {"c": 0, "a": 1}))
    >>> reshape_embedding(torch.nn.Embedding.from_pretrained(torch.eye(3)), old, new).layer.weight.tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return transfer_embedding(
        model,
        old_tokenizer,
        new_tokenizer,
        "subwords",
        overlap="spelling",
        seed=seed,
        train=train,
        pad_to_multiple_of=pad_to_multiple_of,
        progress=progress,
    )
