"""`PartialEmbedding`: frozen rows in a buffer, trained ones in small parameters, behind one lookup."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import embedding, linear, pad

from vecload.errors import OptionError
from vecload.layers.stored import StoredEmbedding, padding_row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt


class PartialEmbedding(torch.nn.Module):
    """An embedding of which only some rows are trained.

    Frozen rows lie in a buffer, each band of trained rows in a parameter of its own. What an optimiser does to its
    parameters (weight decay, momentum, sparse updates), cannot touch the buffer, and costs time and memory for the
    trained rows alone.

    Parameters
    ----------
    weight
        Where all rows start, shape (num_embeddings, embedding_dim); copied. A `StoredEmbedding` is kept as it is, for
        the frozen rows.
    rows
        Which rows are trained, shape (num_embeddings,): bool; or integers, 0 for frozen and 1, 2, … for bands, each a
        parameter that may have its own learning rate and begin to train when it will.
    padding_idx
        A row that is zero and frozen, whatever `weight` and `rows` say.
    scale_grad_by_freq, sparse
        As in ``torch.nn.Embedding``.

    Attributes
    ----------
    frozen
        The frozen rows, a buffer, or the `StoredEmbedding`.
    trained
        The parameters, one a band, shape (rows of the band, embedding_dim).
    place
        Where each row is, int64, shape (num_embeddings,): a row of `frozen`, or ``~k`` for row k of all bands.

    Notes
    -----
    ``max_norm`` is no option: torch shortens rows of the weight in place whenever they are looked up, frozen ones too.

    ``state_dict()`` holds what that of a ``torch.nn.Embedding`` holds, one ``weight``, and such a one is loaded, so
    checkpoints go both ways. With ``keep_vars=True`` (as ``torch.export`` asks) it holds the tensors behind it. Over a
    `StoredEmbedding` it holds the parameters only: the other rows are in the file.

    Compiled, exported and on the meta device, rows are chosen by ``torch.where``, which needs no data-dependent shapes;
    in eager mode the trained ones are written over the frozen. The values are the same bit for bit.

    Examples
    --------
    >>> layer = PartialEmbedding(torch.eye(3), torch.tensor([False, False, True]), padding_idx=0)
    >>> layer(torch.tensor([0, 1, 2])).tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    >>> [tuple(parameter.shape) for parameter in layer.parameters()], list(layer.state_dict())
    ([(1, 3)], ['weight'])
    """

    place: torch.Tensor
    frozen: torch.Tensor | StoredEmbedding

    def __init__(
        self,
        weight: torch.Tensor | StoredEmbedding,
        rows: npt.NDArray[Any] | torch.Tensor,
        *,
        padding_idx: int | None = None,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(weight, StoredEmbedding):
            self.num_embeddings, self.embedding_dim = weight.num_embeddings, weight.embedding_dim
            if padding_idx is not None and padding_row(padding_idx, self.num_embeddings) != weight.padding_idx:
                raise OptionError("padding_idx is for the StoredEmbedding, which has that row")
            padding_idx = weight.padding_idx
        elif weight.ndim == 2 and weight.dtype.is_floating_point:
            self.num_embeddings, self.embedding_dim = weight.shape
        else:
            raise OptionError(f"weight is a matrix of floats, not {tuple(weight.shape)} {weight.dtype}")
        check_gradients(scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)
        self.padding_idx = padding_row(padding_idx, self.num_embeddings)
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        bands = _bands(rows, self.num_embeddings, self.padding_idx)
        self._kept = np.flatnonzero(bands == 0)
        self._order = np.argsort(bands, kind="stable")[len(self._kept) :]  # trained rows, one band behind the other
        sizes = np.bincount(bands)[1:].tolist()
        if not all(sizes):
            raise OptionError(f"band {sizes.index(0) + 1} of {len(sizes)} has no rows")
        self._begins = tuple(np.cumsum([0, *sizes]).tolist())
        if isinstance(weight, StoredEmbedding):
            self.frozen = weight
            start = weight(torch.from_numpy(self._order))
        else:
            self.register_buffer("frozen", _take(weight, self._kept))
            if self.padding_idx is not None:
                self.frozen[np.searchsorted(self._kept, self.padding_idx)] = 0  # type: ignore[operator]
            start = _take(weight, self._order)
        self.register_buffer("place", self._places().to(start.device), persistent=False)
        for band, values in enumerate(start.split(sizes)):
            self.register_parameter(f"trained{band}", torch.nn.Parameter(values.clone()))

    @property
    def trained(self) -> tuple[torch.nn.Parameter, ...]:
        """The parameters, one a band."""
        return tuple(getattr(self, f"trained{band}") for band in range(len(self._begins) - 1))

    @property
    def weight(self) -> torch.Tensor:
        """All rows: a new tensor each time, shape (num_embeddings, embedding_dim), through which gradients flow."""
        return self._at(self.place)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - as torch.nn.Embedding calls it
        """Rows of ids: any shape, int32 or int64, to that shape and embedding_dim."""
        place = self.place.index_select(0, input.reshape(-1))
        return self._at(place).view(*input.shape, self.embedding_dim)

    def attend(self, query: torch.Tensor) -> torch.Tensor:
        """Scores of all rows, ``query @ weight.T``: an output head with the weights of the input (Press and Wolf 2017).

        Shape (…, embedding_dim) to (…, num_embeddings). No gradient of the frozen rows' size is made on the way.
        """
        if isinstance(self.frozen, StoredEmbedding):
            return linear(query, self.weight)
        scores = torch.cat([linear(query, part) for part in (self.frozen, *self.trained)], dim=-1)
        return scores.index_select(-1, torch.where(self.place < 0, len(self.frozen) + ~self.place, self.place))

    def merged(self) -> torch.nn.Embedding:
        """A plain ``torch.nn.Embedding`` with a copy of all rows, all of them to be trained."""
        layer: torch.nn.Embedding = torch.nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
            self.weight.detach(),
            freeze=False,
            padding_idx=self.padding_idx,
            scale_grad_by_freq=self.scale_grad_by_freq,
            sparse=self.sparse,
        )
        return layer

    def _places(self) -> torch.Tensor:
        place = np.arange(self.num_embeddings)
        if not isinstance(self.frozen, StoredEmbedding):
            place[self._kept] = np.arange(len(self._kept))
        place[self._order] = ~np.arange(len(self._order))
        return torch.from_numpy(place)

    def _at(self, place: torch.Tensor) -> torch.Tensor:
        """The rows at places, shape (k,) to (k, embedding_dim)."""
        chosen = self._frozen_at(place.clamp(min=0))
        traced = torch.compiler.is_compiling() or place.is_meta
        for rows, begin, end in zip(self.trained, self._begins, self._begins[1:], strict=False):
            here = (place <= ~begin) & (place > ~end)
            if traced:
                slot = torch.where(here, ~place - begin, 0)
                chosen = torch.where(here.unsqueeze(1), self._trained_at(slot, rows, here), chosen)
            else:
                at = here.nonzero().squeeze(1)
                chosen.index_put_((at,), self._trained_at(~place[at] - begin, rows))
        return chosen

    def _frozen_at(self, place: torch.Tensor) -> torch.Tensor:
        if isinstance(self.frozen, StoredEmbedding):
            found: torch.Tensor = self.frozen(place)
            return found
        if not len(self.frozen):
            return self.frozen.new_empty((len(place), self.embedding_dim))
        return embedding(place, self.frozen)

    def _trained_at(
        self, slot: torch.Tensor, rows: torch.nn.Parameter, here: torch.Tensor | None = None
    ) -> torch.Tensor:
        if here is None or not self.scale_grad_by_freq:
            return embedding(slot, rows, scale_grad_by_freq=self.scale_grad_by_freq, sparse=self.sparse)
        spare = len(rows)  # one more row for the frozen ones, so that they do not count as look-ups of row 0
        table = pad(rows, (0, 0, 0, 1))
        return embedding(torch.where(here, slot, spare), table, padding_idx=spare, scale_grad_by_freq=True)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:  # noqa: FBT001 - torch's
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not keep_vars and not isinstance(self.frozen, StoredEmbedding):
            for name in ("frozen", *(f"trained{band}" for band in range(len(self.trained)))):
                del destination[prefix + name]
            destination[f"{prefix}weight"] = self.weight.detach()

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        state, errors = dict(state_dict), rest[-1]
        weight = None if isinstance(self.frozen, StoredEmbedding) else state.pop(f"{prefix}weight", None)
        if weight is not None and weight.shape != (self.num_embeddings, self.embedding_dim):
            shape = [self.num_embeddings, self.embedding_dim]
            errors.append(f"size mismatch for {prefix}weight: {list(weight.shape)} in the checkpoint, {shape} here")
            return
        if weight is not None:
            state[f"{prefix}frozen"] = _take(weight, self._kept)
            for band, (begin, end) in enumerate(pairwise(self._begins)):
                state[f"{prefix}trained{band}"] = _take(weight, self._order[begin:end])
        super()._load_from_state_dict(state, prefix, *rest)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> PartialEmbedding:  # noqa: FBT001, FBT002 - torch's
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.place = self._places().to(self.place.device)  # to_empty() would leave it without its values
        return self

    def extra_repr(self) -> str:
        """What print shows."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}, trained={self._begins[-1]}"


def check_gradients(*, scale_grad_by_freq: bool, sparse: bool) -> None:
    """Refuse what torch would refuse only when gradients are computed.

    Raises
    ------
    OptionError
        For both.
    """
    if scale_grad_by_freq and sparse:
        raise OptionError("scale_grad_by_freq cannot go with sparse: torch does not scale sparse gradients")


def _bands(rows: npt.NDArray[Any] | torch.Tensor, count: int, padding_idx: int | None) -> npt.NDArray[np.int64]:
    """The band of each row, 0 for frozen ones."""
    given = rows.detach().cpu().numpy() if isinstance(rows, torch.Tensor) else np.asarray(rows)
    if given.shape != (count,) or given.dtype.kind not in "biu" or (given < 0).any():
        raise OptionError(
            f"rows says of each of the {count:,} rows whether it is trained: bool, or the number of its band, "
            f"0 for frozen; not {given.dtype} of shape {given.shape}"
        )
    bands = given.astype(np.int64)
    if padding_idx is not None:
        bands[padding_idx] = 0
    return bands


def _take(weight: torch.Tensor, rows: npt.NDArray[np.int64]) -> torch.Tensor:
    return weight.detach().index_select(0, torch.from_numpy(rows).to(weight.device))
