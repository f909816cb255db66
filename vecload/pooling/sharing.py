"""Rows of `Vectors` as a torch layer that leaves them where they lie, until something would write to them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from vecload.errors import OptionError

if TYPE_CHECKING:
    import numpy.typing as npt


class Borrower(torch.nn.Module):
    """A module whose `embedding` may lie in memory of others: it is copied before anything writes to it."""

    embedding: Any
    borrowed: bool

    def __init__(self) -> None:
        super().__init__()
        self.borrowed = False

    def _own(self) -> None:
        """Copy rows that belong to `Vectors` or lie in a mapped file, before something writes to them."""
        if self.borrowed:
            self.embedding.weight = torch.nn.Parameter(self.embedding.weight.detach().clone(), requires_grad=False)
            self.borrowed = False

    def check_owned(self) -> None:
        """Raise `OptionError` when an optimiser would write to rows of others, which in a mapped file ends the process.

        A parent's ``requires_grad_()`` goes to the parameters, past the one below.
        """
        if self.borrowed and self.embedding.weight.requires_grad:
            raise OptionError("these rows are shared with their Vectors: trainable=True makes the pooler its own")

    def requires_grad_(self, requires_grad: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's signature
        """As in torch; rows that were shared become the module's own."""
        if requires_grad:
            self._own()
        return super().requires_grad_(requires_grad)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self._own()
        super()._load_from_state_dict(*arguments)


def layer_of(matrix: npt.NDArray[Any], *, trainable: bool) -> torch.nn.Embedding:
    """Rows as a layer: a copy to train, or a view of the very bytes, which a native file's readers share."""
    if matrix.dtype.name == "bfloat16":  # ml_dtypes' type, of the same bits
        weight = _shared(matrix.view(np.int16)).view(torch.bfloat16)
    else:
        weight = _shared(np.ascontiguousarray(matrix, dtype=matrix.dtype.newbyteorder("=")))
    weight = weight.clone() if trainable else weight
    return torch.nn.Embedding.from_pretrained(weight, freeze=not trainable)  # type: ignore[no-untyped-call, no-any-return]


def _shared(array: npt.NDArray[Any]) -> torch.Tensor:
    with warnings.catch_warnings():  # that it cannot be written; `Borrower` copies before it writes
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array)
