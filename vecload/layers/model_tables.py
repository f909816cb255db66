"""The input layer and the output head of a model: check them, resize them, and train some of their rows."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vecload.errors import OptionError
from vecload.layers.class_changes import become_partial, become_shared, sharing
from vecload.layers.output_layers import TiedEmbedding
from vecload.layers.partial_embedding import PartialEmbedding


def is_whole_model(model: Any) -> bool:
    """Return whether an argument is a Hugging Face model, and not an embedding layer."""
    return hasattr(model, "resize_token_embeddings")


def tables_of(model: Any) -> tuple[Any, Any]:
    """Return the input layer, and the output head if it has a weight of its own."""
    if not is_whole_model(model):
        return model, None
    layer, head = model.get_input_embeddings(), model.get_output_embeddings()
    return layer, None if head is None or head.weight is layer.weight else head


def check_tables(model: Any, train: str) -> None:
    """Check that the layers of a model can get other rows.

    Parameters
    ----------
    model
        An embedding layer or a Hugging Face model.
    train
        "all" or "new", the rows to train.

    Raises
    ------
    OptionError
        For an unknown `train`, layers of other kinds, and layers that are partly trained already.
    """
    if train not in ("all", "new"):
        raise OptionError(f"unknown train {train!r}; choose from: all, new")
    whole = is_whole_model(model)
    layer = model.get_input_embeddings() if whole else model
    head = model.get_output_embeddings() if whole else None
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


def with_weight(layer: torch.nn.Embedding, weight: torch.Tensor) -> torch.nn.Embedding:
    """Return a copy of an embedding layer with another weight, including its hooks and class."""
    # The memo keeps deepcopy() from copying the old weight.
    made = copy.deepcopy(layer, {id(layer.weight): layer.weight})
    made.weight = torch.nn.Parameter(weight, requires_grad=layer.weight.requires_grad)
    made.num_embeddings = len(weight)
    return made


def resize(model: Any, size: int) -> None:
    """Resize the input layer and the head of a Hugging Face model by its own method, and keep both modules.

    ``resize_token_embeddings`` keeps the input layer but replaces the head by a new module, without its hooks. The old
    head is put back, with the new one's parameters.
    """
    head = model.get_output_embeddings()
    # mean_resizing would fit a normal distribution to all rows and draw the new ones from it, only to be overwritten.
    model.resize_token_embeddings(size, mean_resizing=False)
    new = model.get_output_embeddings()
    if head is None or new is head:
        return
    for name, parameter in new.named_parameters(recurse=False):
        head.register_parameter(name, parameter)
    head.out_features = new.out_features
    model.set_output_embeddings(head)


def train_rows(model: torch.nn.Module, layer: Any, ids: npt.NDArray[np.int64]) -> None:
    """Make a layer and every module of a model that shares its weight partly trained."""
    # Find the tied modules first: afterwards the layer no longer has the parameter that they share.
    weight = layer.weight
    others = [module for module in sharing(model, weight) if module is not layer]
    bands = np.isin(np.arange(len(weight)), ids).astype(np.int64)
    padding = getattr(layer, "padding_idx", None)
    if padding is not None:
        bands[padding] = 0
    become_partial(layer, bands)
    for module in others:
        become_shared(module, layer)
