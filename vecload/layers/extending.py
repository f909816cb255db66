"""`extend_embedding`: add rows for new tokens to a trained layer or a Hugging Face model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from vecload.errors import OptionError
from vecload.layers.class_changes import become_partial, become_plain, become_shared, sharing
from vecload.layers.new_rows import NewRows
from vecload.layers.new_tokens import place_tokens
from vecload.layers.output_layers import TiedEmbedding
from vecload.layers.partial_embedding import PartialEmbedding
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
    """

    layer: torch.nn.Embedding
    ids: npt.NDArray[np.int64]
    mapped: tuple[str, ...]
    averaged: tuple[str, ...]
    shared: int
    skipped: tuple[str, ...] = ()

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
        were added by ``tokenizer.add_tokens(new_tokens)``. Required with `vectors`.
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
    for name, value, choices in (("train", train, ("all", "new")), ("known", known, ("raise", "skip"))):
        if value not in choices:
            raise OptionError(f"unknown {name} {value!r}; choose from: {', '.join(choices)}")
    whole = hasattr(model, "resize_token_embeddings")
    layer = model.get_input_embeddings() if whole else model
    _check(model, layer, train)
    placed = place_tokens(list(new_tokens), vocab, layer.num_embeddings, known)
    if vectors is not None and not placed.words:
        raise OptionError("vectors need vocab, the tokens of the old rows, to learn the map on")
    rows = NewRows(placed.tokens, placed.ids, vectors, placed.words, noise, seed)
    extended = _extend_model(model, rows, train) if whole else _extend_layer(layer, rows, train)
    found = [token for token, row in zip(placed.tokens, rows.found, strict=True) if row >= 0]
    mean = [token for token, row in zip(placed.tokens, rows.found, strict=True) if row < 0]
    return Extension(extended, placed.ids, tuple(found), tuple(mean), len(rows.shared), placed.skipped)


def _extend_layer(layer: torch.nn.Embedding, rows: NewRows, train: str) -> torch.nn.Embedding:
    """Return a copy of a layer with the new rows, including its hooks and class."""
    weight = torch.cat([layer.weight.detach(), rows.rows_for(layer)])
    # The memo keeps deepcopy() from copying the old table, which is already part of `weight`.
    extended = copy.deepcopy(layer, {id(layer.weight): layer.weight})
    extended.weight = torch.nn.Parameter(weight, requires_grad=layer.weight.requires_grad)
    extended.num_embeddings = len(weight)
    if train == "new":
        become_partial(extended, _bands(extended, rows.ids))
    return extended


def _extend_model(model: Any, rows: NewRows, train: str) -> torch.nn.Embedding:
    """Resize a Hugging Face model, and set the new rows of its input layer and its head."""
    layer, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = head is not None and head.weight is layer.weight
    # An untied head has another geometry than the input layer, so the map is learned for each of them. All rows are
    # computed before the model is changed, so an error leaves it as it was.
    new_rows = rows.rows_for(layer)
    new_scores = None if head is None or tied else rows.rows_for(head)
    size = max(int(rows.ids.max(initial=-1)) + 1, layer.num_embeddings)
    # mean_resizing would fit a normal distribution to all rows and draw the new ones from it, only to be overwritten.
    model.resize_token_embeddings(size, mean_resizing=False)
    _keep_head(model, head)
    at = torch.from_numpy(rows.ids).to(layer.weight.device)
    with torch.no_grad():
        layer.weight[at] = new_rows
        if new_scores is not None:
            head.weight[at.to(head.weight.device)] = new_scores
    if train == "new":
        _train_new_rows(model, layer, rows.ids)
        if new_scores is not None:
            _train_new_rows(model, head, rows.ids)
    return layer  # type: ignore[no-any-return]


def _keep_head(model: Any, head: Any) -> None:
    """Put the old output head back, with the new one's parameters.

    ``resize_token_embeddings`` keeps the input layer but replaces the head by a new module, without its hooks.
    """
    new = model.get_output_embeddings()
    if head is None or new is head:
        return
    for name, parameter in new.named_parameters(recurse=False):
        head.register_parameter(name, parameter)
    head.out_features = new.out_features
    model.set_output_embeddings(head)


def _train_new_rows(model: torch.nn.Module, layer: Any, ids: npt.NDArray[np.int64]) -> None:
    """Make a layer and every module that shares its weight partly trained."""
    # Find the tied modules first: afterwards the layer no longer has the parameter that they share.
    weight = layer.weight
    others = [module for module in sharing(model, weight) if module is not layer]
    become_partial(layer, _bands(layer, ids))
    for module in others:
        become_shared(module, layer)


def _bands(layer: torch.nn.Module, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    bands = np.isin(np.arange(len(layer.weight)), ids).astype(np.int64)  # type: ignore[arg-type]
    padding = getattr(layer, "padding_idx", None)
    if padding is not None:
        bands[padding] = 0
    return bands


def _check(model: Any, layer: Any, train: str) -> None:
    """Raise `OptionError` for layers that cannot be extended, before anything is changed."""
    head = model.get_output_embeddings() if hasattr(model, "resize_token_embeddings") else None
    if isinstance(layer, (PartialEmbedding, TiedEmbedding)):
        raise OptionError(
            f"this {type(layer).__name__} is already partly trained: put plain layers back first, with "
            f"Extension.finish(model){', or pass layer.merged()' if model is layer else ''}"
        )
    for one, kind in ((layer, torch.nn.Embedding), (head, torch.nn.Linear)):
        if one is None and one is not layer:
            continue
        if not isinstance(one, kind) or not isinstance(one._parameters.get("weight"), torch.nn.Parameter):
            raise OptionError(
                f"a {type(one).__name__} cannot be extended: it must be an nn.{kind.__name__} with a weight"
            )
    if train == "new" and layer.max_norm is not None:
        raise OptionError("train='new' cannot be combined with max_norm: torch would shorten frozen rows in place")
    if train == "new" and isinstance(model, torch.nn.Module):
        for module in sharing(model, layer.weight):
            if not isinstance(module, (torch.nn.Embedding, torch.nn.Linear)):
                raise OptionError(
                    f"train='new' cannot be used: a {type(module).__name__} shares the weight of the input layer, and "
                    "only nn.Embedding and nn.Linear can share partly trained rows; use train='all'"
                )
