"""`PartialEmbedding`: an ``nn.Embedding`` that trains only some of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vecload.errors import OptionError
from vecload.layers.partial_rows import PartialRows
from vecload.layers.stored_embedding import StoredEmbedding, padding_row


class PartialEmbedding(PartialRows, torch.nn.Embedding):
    """Embedding layer that trains only some of its rows.

    Frozen rows are in a buffer, and each band of trained rows is a separate parameter. An optimizer cannot change the
    buffer by weight decay, momentum or sparse updates, and spends time and memory on the trained rows only.

    Parameters
    ----------
    weight
        Initial values of all rows, shape (num_embeddings, embedding_dim); copied. A `StoredEmbedding` is kept as it is
        and provides the frozen rows.
    rows
        Which rows are trained, shape (num_embeddings,). Either bool, or integers: 0 for frozen rows and 1, 2, … for
        bands. Each band is a parameter, so bands can have their own learning rates and start at different steps.
    padding_idx
        A row that is zero and frozen, whatever `weight` and `rows` say.
    scale_grad_by_freq, sparse
        As in ``torch.nn.Embedding``.

    Attributes
    ----------
    frozen
        Frozen rows: a buffer, or the `StoredEmbedding`.
    trained
        Parameters, one per band, of shape (rows in the band, embedding_dim).
    place
        Place of each row, int64, shape (num_embeddings,): its number among the frozen rows, or ``~k`` for row k of all
        bands together.

    Raises
    ------
    OptionError
        For a weight or rows of the wrong shape or type, an invalid `padding_idx`, a band without rows, and
        `scale_grad_by_freq` together with `sparse`.

    Notes
    -----
    ``max_norm`` is not supported: torch would shorten rows of the weight in place at each lookup, frozen ones too.

    ``state_dict()`` has one ``weight``, as that of a ``torch.nn.Embedding``, so checkpoints can be exchanged. Over a
    `StoredEmbedding` it has the trained rows and their row numbers; loading refuses other row numbers.

    When compiled, exported, traced, under ``torch.func`` transforms and on the meta device, rows are chosen by
    ``torch.where``, because shapes must not depend on the data. The values are the same bit for bit.

    Examples
    --------
    >>> layer = PartialEmbedding(torch.eye(3), torch.tensor([False, False, True]), padding_idx=0)
    >>> layer(torch.tensor([0, 1, 2])).tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    >>> [tuple(parameter.shape) for parameter in layer.parameters()], list(layer.state_dict())
    ([(1, 3)], ['weight'])
    >>> with torch.no_grad():
    ...     layer.weight[1] = 5
    >>> layer(torch.tensor([1])).tolist()
    [[5.0, 5.0, 5.0]]
    """

    def __init__(
        self,
        weight: torch.Tensor | StoredEmbedding,
        rows: npt.NDArray[Any] | torch.Tensor,
        *,
        padding_idx: int | None = None,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> None:
        # nn.Embedding's constructor would make a parameter of all rows.
        torch.nn.Module.__init__(self)
        if isinstance(weight, StoredEmbedding):
            self.num_embeddings, self.embedding_dim = weight.num_embeddings, weight.embedding_dim
            if padding_idx is not None and padding_row(padding_idx, self.num_embeddings) != weight.padding_idx:
                raise OptionError("padding_idx cannot be set here: the StoredEmbedding has its own")
            padding_idx = weight.padding_idx
        elif weight.ndim == 2 and weight.dtype.is_floating_point:
            self.num_embeddings, self.embedding_dim = weight.shape
        else:
            raise OptionError(f"weight must be a matrix of floats, not {weight.dtype} of shape {tuple(weight.shape)}")
        check_gradients(scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)
        self.padding_idx = padding_row(padding_idx, self.num_embeddings)
        self.max_norm, self.norm_type = None, 2.0
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        self._hold(weight, bands_of(rows, self.num_embeddings, self.padding_idx))
        # The padding row is zero like that of a new nn.Embedding, and unlike that of from_pretrained(), which would
        # leave any vector there. It is frozen, so it stays zero.
        if self.padding_idx is not None and not isinstance(weight, StoredEmbedding):
            with torch.no_grad():
                self._table_rows()[np.searchsorted(self._kept, self.padding_idx)] = 0

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - as torch.nn.Embedding calls it
        """Return the rows of ids (int32 or int64, any shape), shape (…, embedding_dim).

        Raises
        ------
        IndexError
            For an id without a row.
        """
        return self._look_up(input)

    def merged(self) -> torch.nn.Embedding:
        """Return a plain ``torch.nn.Embedding`` with a copy of all rows, all of them trained."""
        layer: torch.nn.Embedding = torch.nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
            self._assemble().detach(),
            freeze=False,
            padding_idx=self.padding_idx,
            scale_grad_by_freq=self.scale_grad_by_freq,
            sparse=self.sparse,
        )
        return layer

    def extra_repr(self) -> str:
        """Return the text that ``print`` shows."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}, trained={self._begins[-1]}"


def check_gradients(*, scale_grad_by_freq: bool, sparse: bool) -> None:
    """Refuse a combination that torch would refuse only when gradients are computed.

    Raises
    ------
    OptionError
        If both are set.
    """
    if scale_grad_by_freq and sparse:
        raise OptionError("scale_grad_by_freq cannot be combined with sparse: torch does not scale sparse gradients")


def bands_of(rows: npt.NDArray[Any] | torch.Tensor, count: int, padding_idx: int | None) -> npt.NDArray[np.int64]:
    """Return the band of each row, 0 for frozen ones."""
    given = rows.detach().cpu().numpy() if isinstance(rows, torch.Tensor) else np.asarray(rows)
    if given.shape != (count,) or given.dtype.kind not in "biu" or (given < 0).any():
        raise OptionError(
            f"rows must say for each of the {count:,} rows whether it is trained: bool, or the number of its band, "
            f"0 for frozen; not {given.dtype} of shape {given.shape}"
        )
    bands = given.astype(np.int64)
    if padding_idx is not None:
        bands[padding_idx] = 0
    return bands
