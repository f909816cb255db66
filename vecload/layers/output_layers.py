"""Layers that share the rows of a partly trained layer, and output heads with partly trained rows of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import torch

from vecload.layers.assembled_weight import WeightProperty
from vecload.layers.partial_embedding import PartialEmbedding, bands_of
from vecload.layers.partial_rows import PartialRows
from vecload.layers.sharding import fsdp_module_above
from vecload.layers.state_dicts import saved_weight

if TYPE_CHECKING:
    from collections.abc import Mapping


class SharedRows(WeightProperty):
    """Module whose `weight` is that of a partly trained layer: a mixin to list before the class of the module.

    The layer belongs to the model already, so it is not a submodule here: its parameters have one name and are counted
    once. State dicts still have a `weight`, which shares the memory of the layer's weight, as for tied layers in torch.
    """

    _shared: tuple[PartialRows]

    def _share(self, layer: PartialRows) -> None:
        # torch registers modules among attributes, but not those in a tuple.
        self._shared = (layer,)

    def _rows_on(self, device: torch.device | None) -> PartialRows:
        """Return the layer, or in a replica that DataParallel has made, the layer's replica on a device."""
        (layer,) = self._shared
        if not getattr(self, "_is_replica", False):
            return layer
        if device is None:
            # While a replica runs, DataParallel makes its device the current one.
            cuda = layer.place.is_cuda
            device = torch.device("cuda", torch.cuda.current_device()) if cuda else layer.place.device
        return layer._replica_on(device)

    @property
    def weight(self) -> torch.Tensor:
        """Weight of the layer."""
        return self._rows_on(None).weight

    @weight.setter
    def weight(self, value: torch.Tensor) -> None:
        self._shared[0].weight = value

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:  # noqa: FBT001 - torch's
        super()._save_to_state_dict(destination, prefix, keep_vars)
        layer = self._shared[0]
        if not keep_vars and layer._saves_one_weight() and fsdp_module_above() is None:
            destination[f"{prefix}weight"] = saved_weight(layer, destination)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        state = dict(state_dict)
        weight = state.pop(f"{prefix}weight", None)
        _, strict, missing, _, errors = rest
        layer = self._shared[0]
        if weight is not None and tuple(weight.shape) == layer._shape:
            layer._store(weight.to(layer.place.device))
        elif weight is not None:
            shape = list(layer._shape)
            errors.append(f"size mismatch for {prefix}weight: {list(weight.shape)} in the checkpoint, {shape} here")
        elif strict and layer._saves_one_weight():
            missing.append(f"{prefix}weight")
        super()._load_from_state_dict(state, prefix, *rest)


class TiedEmbedding(SharedRows, torch.nn.Embedding):
    """Embedding layer that shares the rows of another one, as encoders and decoders do.

    Parameters
    ----------
    layer
        The layer whose rows are looked up.

    Examples
    --------
    >>> layer = PartialEmbedding(torch.eye(2), torch.tensor([False, True]))
    >>> tied = TiedEmbedding(layer)
    >>> tied(torch.tensor([1])).tolist(), list(tied.parameters())
    ([[0.0, 1.0]], [])
    """

    def __init__(self, layer: PartialEmbedding) -> None:
        torch.nn.Module.__init__(self)
        self._share(layer)
        self.num_embeddings, self.embedding_dim = layer.num_embeddings, layer.embedding_dim
        self.padding_idx, self.max_norm, self.norm_type = layer.padding_idx, None, 2.0
        self.scale_grad_by_freq, self.sparse = layer.scale_grad_by_freq, layer.sparse

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - as torch.nn.Embedding calls it
        """Return the rows of ids (int32 or int64, any shape), shape (…, embedding_dim)."""
        return self._rows_on(input.device)._look_up(input)


class TiedHead(SharedRows, torch.nn.Linear):
    """Output head that shares the rows of an input layer, like a tied ``torch.nn.Linear``.

    Parameters
    ----------
    layer
        The layer whose rows score the hidden states.
    bias
        Added to the scores, shape (num_embeddings,).

    Examples
    --------
    >>> layer = PartialEmbedding(torch.eye(2), torch.tensor([False, True]))
    >>> TiedHead(layer)(torch.tensor([2.0, 3.0])).tolist()
    [2.0, 3.0]
    """

    def __init__(self, layer: PartialRows, bias: torch.nn.Parameter | None = None) -> None:
        torch.nn.Module.__init__(self)
        self._share(layer)
        self.out_features, self.in_features = layer._shape
        self.bias = bias  # type: ignore[assignment]

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - as torch.nn.Linear calls it
        """Return scores, shape (…, embedding_dim) to (…, num_embeddings)."""
        return self._rows_on(input.device).attend(input, self.bias)


class PartialHead(PartialRows, torch.nn.Linear):
    """Output head with its own rows, only some of which are trained.

    Parameters
    ----------
    weight, rows
        As for `PartialEmbedding`.
    bias
        Added to the scores, shape (num_embeddings,).

    Examples
    --------
    >>> head = PartialHead(torch.eye(2), torch.tensor([False, True]), torch.nn.Parameter(torch.ones(2)))
    >>> head(torch.tensor([2.0, 3.0])).tolist(), list(head.state_dict())
    ([3.0, 4.0], ['bias', 'weight'])
    """

    def __init__(
        self,
        weight: torch.Tensor,
        rows: npt.NDArray[Any] | torch.Tensor,
        bias: torch.nn.Parameter | None = None,
    ) -> None:
        torch.nn.Module.__init__(self)
        self.out_features, self.in_features = weight.shape
        self._hold(weight, bands_of(rows, len(weight), None))
        self.bias = bias  # type: ignore[assignment]

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - as torch.nn.Linear calls it
        """Return scores, shape (…, embedding_dim) to (…, num_embeddings)."""
        return self.attend(input, self.bias)
