"""`extend_embedding`: add rows for new tokens to a trained layer or a Hugging Face model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from vecload.errors import OptionError
from vecload.layers.class_changes import become_plain
from vecload.layers.model_tables import check_tables, is_whole_model, resize, tables_of, train_rows, with_weight
from vecload.layers.new_rows import NewRows
from vecload.layers.new_tokens import place_tokens
from vecload.layers.transfer.initializing import check_init, init_entries
from vecload.vectors import Vectors
from vecload.vocab import Vocab


@dataclass(frozen=True)
class Extension:
    """Result of `extend_embedding`.

    Parameters
    ----------
    layer
        Input layer with the new rows.
    ids
        Rows of the new tokens, int64, shape (k,).
    mapped
        New tokens whose rows were mapped from the vectors.
    averaged
        New tokens whose rows are the mean of the old ones.
    shared
        Number of tokens, known to both, from which the map was learned. It should be larger than the number of
        dimensions of the vectors.
    skipped
        Tokens that the model knew already, with ``known="skip"``.
    combined
        New tokens whose rows were combined from old ones, with `init`.
    """

    layer: torch.nn.Embedding
    ids: npt.NDArray[np.int64]
    mapped: tuple[str, ...]
    averaged: tuple[str, ...]
    shared: int
    skipped: tuple[str, ...] = ()
    combined: tuple[str, ...] = ()

    @staticmethod
    def finish(model: torch.nn.Module) -> None:
        """Put plain layers back into a model, in place, once the new rows are trained.

        Every layer gets its own class and one ``weight`` again, shared where it was shared. Needed before the model is
        extended again, before ``resize_token_embeddings``, ``tie_weights`` and PEFT's ``merge_and_unload``, and useful
        before an export. Parameters are new objects, so optimizers have to be created again.

        Parameters
        ----------
        model
            The model, in a wrapper (PEFT) or not, or the layer.

        Raises
        ------
        OptionError
            If a parametrization or pruning computes the new rows. Nothing is changed then.

        Examples
        --------
        >>> extended = extend_embedding(torch.nn.Embedding(2, 3), ["new"], train="new")
        >>> Extension.finish(extended.layer)
        >>> extended.layer
        Embedding(3, 3)
        """
        become_plain(model)


def extend_embedding(
    model: Any,
    new_tokens: Sequence[str],
    vectors: Vectors | None = None,
    *,
    vocab: Vocab | Sequence[str] | Any = None,
    init: Literal["subwords", "focus", "omp", "mean", "description"] | None = None,
    donor: Any = None,
    donor_tokenizer: Any = None,
    descriptions: Mapping[str, str] | None = None,
    noise: float = 0.0,
    train: Literal["all", "new"] = "all",
    known: Literal["raise", "skip"] = "raise",
    seed: int = 0,
) -> Extension:
    """Add rows for new tokens that match a trained model.

    Parameters
    ----------
    model
        A ``torch.nn.Embedding``, which is left unchanged and copied, or a Hugging Face model, which is changed.
    new_tokens
        New tokens.
    vectors
        Pretrained vectors for them. A linear map (least squares, with a constant) from these to the model's rows is
        learned on the tokens that both know. A token without a vector, or every token without `vectors`, gets the mean
        of the old rows.
    vocab
        Tokens of the old rows: words in row order, or the tokenizer of a Hugging Face model, to which the new tokens
        were added by ``tokenizer.add_tokens(new_tokens)``. Required with `vectors`, and a tokenizer with `init`.
    init
        How rows are made: None maps them from `vectors`. "subwords" is the mean of the rows of the token's pieces,
        "description" that of a text that describes it, "focus" combines tokens that are near in the space of `vectors`,
        "omp" those that approximate the token in a `donor`, as for `vecload.transfer_embedding`; "mean" is the mean of
        all rows, which tokens get that cannot be made otherwise.
    donor, donor_tokenizer
        For "omp": a model that knows the tokens, and its tokenizer.
    descriptions
        For "description": a text for each new token.
    noise
        Normal noise added to mean rows, in standard deviations of the old rows in each dimension, so that new tokens
        differ.
    train
        "new" leaves only the new rows of the embedding trainable, and those of the output head, tied or not. Other
        parameters of the model are not changed.
    known
        Policy for tokens that the model knows already: "raise", or "skip" them and keep their rows. ``add_tokens``
        keeps the id of a token that the tokenizer has, without a message. A token is known if its id has a row in the
        model, unless it is one of the last ids of the tokenizer: those are new tokens in a table with spare rows.
    seed
        Seed of the noise. A row depends on the seed and the token only.

    Returns
    -------
    Extension

    Raises
    ------
    OptionError
        For tokens that the model knows already, for layers that are partly trained already, or if the vectors and the
        model have no token in common. Nothing is changed then.

    Notes
    -----
    A Hugging Face model is resized by its own ``resize_token_embeddings``. Layers stay the same objects, so hooks are
    kept. With ``train="new"`` their class becomes a subclass of their own class, so embeddings that scale their rows,
    such as Gemma's, still do. The model is saved as before, and ``from_pretrained`` reads it with plain layers.
    `Extension.finish` puts plain layers back.

    Examples
    --------
    >>> import vecload
    >>> layer = torch.nn.Embedding.from_pretrained(torch.tensor([[1.0, 3.0], [3.0, 5.0]]))
    >>> known = vecload.Vectors(vecload.Words.from_strings(["a", "b", "c"]), np.array([[0.0], [1.0], [2.0]]))
    >>> extended = extend_embedding(layer, ["c", "d"], known, vocab=["a", "b"], train="new")
    >>> extended.layer.weight.detach().round(decimals=3).tolist()[2:], extended.mapped, extended.averaged
    ([[5.0, 7.0], [2.0, 4.0]], ('c',), ('d',))
    """
    if isinstance(new_tokens, str) or len(set(new_tokens)) != len(new_tokens):
        raise OptionError("new_tokens must be a list of tokens without duplicates")
    if known not in ("raise", "skip"):
        raise OptionError(f"unknown known {known!r}; choose from: raise, skip")
    check_init(init, vectors=vectors, donor=donor, donor_tokenizer=donor_tokenizer, descriptions=descriptions)
    check_tables(model, train)
    layer, _ = tables_of(model)
    placed = place_tokens(list(new_tokens), vocab, layer.num_embeddings, known)
    if init is None and vectors is not None and not placed.words:
        raise OptionError("vectors need vocab, the tokens of the old rows, to learn the map on")
    entries = None
    if init is not None and init != "mean":
        entries = init_entries(
            init,
            placed.tokens,
            placed.ids,
            layer.num_embeddings,
            vocab,
            vectors=vectors,
            donor=donor,
            donor_tokenizer=donor_tokenizer,
            descriptions=descriptions,
        )
    rows = NewRows(placed.tokens, placed.ids, vectors, placed.words, entries=entries, noise=noise, seed=seed)
    extended = _extend_model(model, rows, train) if is_whole_model(model) else _extend_layer(layer, rows, train)
    kinds: dict[str, list[str]] = {"mapped": [], "combined": [], "averaged": []}
    for token, row, combined in zip(placed.tokens, rows.found, rows.combined, strict=True):
        kinds["mapped" if row >= 0 else "combined" if combined else "averaged"].append(token)
    named = {kind: tuple(listed) for kind, listed in kinds.items()}
    return Extension(extended, placed.ids, shared=len(rows.shared), skipped=placed.skipped, **named)


def _extend_layer(layer: torch.nn.Embedding, rows: NewRows, train: str) -> torch.nn.Embedding:
    """Return a copy of a layer with the new rows."""
    extended = with_weight(layer, torch.cat([layer.weight.detach(), rows.rows_for(layer)]))
    if train == "new":
        train_rows(extended, extended, rows.ids)
    return extended


def _extend_model(model: Any, rows: NewRows, train: str) -> torch.nn.Embedding:
    """Resize a Hugging Face model, and set the new rows of its input layer and its head."""
    layer, head = tables_of(model)
    # An untied head has another geometry than the input layer, so the map is learned for each of them. All rows are
    # computed before the model is changed, so an error leaves it as it was.
    new_rows = rows.rows_for(layer)
    new_scores = None if head is None else rows.rows_for(head)
    output = model.get_output_embeddings()
    new_biases = None if getattr(output, "bias", None) is None else rows.biases_for(output)
    resize(model, max(int(rows.ids.max(initial=-1)) + 1, layer.num_embeddings))
    at = torch.from_numpy(rows.ids).to(layer.weight.device)
    with torch.no_grad():
        layer.weight[at] = new_rows
        if new_scores is not None:
            head.weight[at.to(head.weight.device)] = new_scores
        if new_biases is not None:
            output.bias[at.to(output.bias.device)] = new_biases
    if train == "new":
        train_rows(model, layer, rows.ids)
        if new_scores is not None:
            train_rows(model, head, rows.ids)
    return layer  # type: ignore[no-any-return]
