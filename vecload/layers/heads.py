"""Output heads over partly trained rows: scores of all rows for hidden states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from vecload.layers.partial import PartialEmbedding

if TYPE_CHECKING:
    import numpy.typing as npt


class TiedHead(torch.nn.Module):
    """A head that has the rows of an input layer, as a tied ``torch.nn.Linear`` has.

    The layer is the model's already, so it is no submodule here: its parameters have one name and are counted once.

    Parameters
    ----------
    layer
        Whose rows these are.
    bias
        Added to the scores, shape (num_embeddings,).
    """

    def __init__(self, layer: PartialEmbedding, bias: torch.nn.Parameter | None = None) -> None:
        super().__init__()
        self._layer = (layer,)  # in a tuple, where torch does not look for modules
        self.bias = bias

    @property
    def weight(self) -> torch.Tensor:
        """That of the layer."""
        return self._layer[0].weight

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - as torch.nn.Linear calls it
        """Scores, shape (…, embedding_dim) to (…, num_embeddings)."""
        scores = self._layer[0].attend(input)
        return scores if self.bias is None else scores + self.bias


class PartialHead(PartialEmbedding):
    """A head with rows of its own, of which only some are trained.

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
        super().__init__(weight, rows)
        self.bias = bias

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - as torch.nn.Linear calls it
        """Scores, shape (…, embedding_dim) to (…, num_embeddings)."""
        scores = self.attend(input)
        return scores if self.bias is None else scores + self.bias
