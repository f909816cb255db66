"""`PartialRows`: a table with frozen and trained rows, the base of partly trained embeddings and output heads."""

from __future__ import annotations

import weakref
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import embedding, linear, pad

from vecload.errors import OptionError
from vecload.layers.assembled_weight import AssembledWeight
from vecload.layers.frozen_rows import FrozenRows
from vecload.layers.sharding import like_parameter, whole_rows, write_rows
from vecload.layers.state_dicts import SavedRows, take
from vecload.layers.stored_embedding import StoredEmbedding
from vecload.layers.tracing import out_of_range

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class PartialRows(SavedRows):
    """Table with frozen and trained rows: a mixin to list before the class that has the table as its `weight`.

    Frozen rows are in a buffer, and each band of trained rows is a separate parameter. An optimizer cannot change the
    buffer by weight decay, momentum or sparse updates, and spends time and memory on the trained rows only. The buffer,
    rather than a plain attribute, is moved by ``.to()``, and sent to other processes by DDP and FSDP.

    `place` says where each row is. A number from 0 is a row of the buffer; ``~k``, a negative number, is row k of all
    bands together. So one lookup in a small integer table finds the place of each id, without a mask of all rows.

    A subclass calls `_hold` once. Modules that exist already become partly trained by a change of their class, so this
    class has no constructor, and `STATE` lists the attributes that it adds to a module besides parameters and buffer.
    """

    frozen: torch.Tensor | StoredEmbedding
    place: torch.Tensor
    padding_idx: int | None = None
    scale_grad_by_freq: bool = False
    sparse: bool = False
    _given: torch.Tensor | None = None
    _last: weakref.ref[AssembledWeight] | None = None
    _was_trained: bool = True
    _replicas: tuple[weakref.ref[PartialRows], ...] = ()
    STATE = ("place", "_shape", "_kept", "_order", "_begins", "_table", "_given", "_last", "_was_trained", "_replicas")

    def _hold(self, weight: torch.Tensor | StoredEmbedding, bands: npt.NDArray[np.int64]) -> None:
        """Store all rows. `bands` is the band of each row, 0 for frozen ones."""
        self._shape = (len(bands), weight.embedding_dim if isinstance(weight, StoredEmbedding) else weight.shape[1])
        self._kept = np.flatnonzero(bands == 0)
        # Trained rows, sorted by band, and by row within a band.
        self._order = np.argsort(bands, kind="stable")[len(self._kept) :]
        sizes = np.bincount(bands)[1:].tolist()
        if not all(sizes):
            raise OptionError(f"band {sizes.index(0) + 1} of {len(sizes)} has no rows")
        self._begins = tuple(np.cumsum([0, *sizes]).tolist())
        if isinstance(weight, StoredEmbedding):
            self.frozen = weight
            start = weight(torch.from_numpy(self._order))
        else:
            self.register_buffer("frozen", take(weight, self._kept))
            start = take(weight, self._order)
        self.place = self._places().to(start.device)
        for band, values in enumerate(start.split(sizes)):
            self.register_parameter(f"trained{band}", torch.nn.Parameter(values.clone()))
        self._settle()

    @property
    def trained(self) -> tuple[torch.nn.Parameter, ...]:
        """Parameters, one per band, of shape (rows in the band, embedding_dim)."""
        return tuple(getattr(self, f"trained{band}") for band in range(len(self._begins) - 1))

    @property
    def rows(self) -> torch.Tensor:
        """Numbers of the trained rows in the order of the bands, int64, as in state dicts without one `weight`."""
        return torch.from_numpy(self._order.copy())

    @rows.setter
    def rows(self, value: torch.Tensor) -> None:
        # torch.func.functional_call assigns each entry of a state dict, and afterwards the previous value.
        if error := self._describe_other_rows(value):
            raise OptionError(error)

    @property
    def weight(self) -> torch.Tensor:
        """All rows, shape (num_embeddings, embedding_dim).

        Gradients flow through it to the trained rows, and writing to it in place, under ``torch.no_grad()``, writes to
        the layer. The values are assembled at each access.
        """
        if self._given is not None:
            return self._given
        if torch.compiler.is_compiling():
            return self._assemble()
        # Reuse the last one if it is still referenced and was not assembled. Then the weights of tied layers are the
        # same tensor, which PEFT checks, by their memory, before it treats layers as not tied.
        last = None if self._last is None else self._last()
        if last is None or last._rows is not None:
            last = AssembledWeight.lazy(self)
            self._last = weakref.ref(last)
        return last

    @weight.setter
    def weight(self, value: torch.Tensor) -> None:
        if isinstance(value, AssembledWeight) and value.belongs_to(self):
            # torch.func.functional_call restores the weight that it replaced.
            if self._given is None and value._lazy and value._rows is not None:
                self._store(value._rows)
            self._given = None
            return
        if not isinstance(value, torch.Tensor) or isinstance(value, torch.nn.Parameter):
            raise TypeError(
                f"cannot assign a {type(value).__name__} as the weight of a partly trained layer, which has no single "
                "parameter: copy values with `with torch.no_grad(): layer.weight.copy_(values)`; to share rows with an "
                "output head, use layer.attend(hidden) or TiedHead(layer)"
            )
        if value.shape != self._shape:
            raise TypeError(f"weight has the shape {self._shape}, not {tuple(value.shape)}")
        traced = torch.compiler.is_compiling() or torch._C._functorch.is_functorch_wrapped_tensor(value)
        if value.requires_grad or traced:
            # functional_call with a tensor that requires grad: look rows up in that tensor until it is restored, so
            # that gradients reach it.
            self._given = value
            return
        last = None if self._last is None else self._last()
        if last is not None and last._rows is None:
            last._rows = self._assemble().detach()
        self._store(value)

    def attend(self, query: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """Return scores of all rows, ``query @ weight.T + bias``, as an output head with the rows of the input does.

        Shape (…, embedding_dim) to (…, num_embeddings) (Press and Wolf 2017). No gradient of the frozen rows' size is
        made.
        """
        if self._given is not None or isinstance(self.frozen, StoredEmbedding):
            return linear(query, self._assemble(), bias)
        parts = (self._table_rows(), *self.trained)
        self._move_places(parts[0].device)
        at = torch.where(self.place < 0, len(parts[0]) + ~self.place, self.place)
        if bias is None:
            scores = torch.cat([linear(query, part) for part in parts], dim=-1)
        else:
            # Adding the bias within linear(), as a plain head does, gives the same scores bit for bit.
            moved = bias.new_empty(len(bias)).index_copy(0, at, bias)
            biases = torch.split(moved, [len(part) for part in parts])
            scores = torch.cat([linear(query, part, one) for part, one in zip(parts, biases, strict=True)], dim=-1)
        return scores.index_select(-1, at)

    def _places(self) -> torch.Tensor:
        """Return the place of each row: its number among the frozen ones, or ``~k`` for row k of all bands."""
        place = np.arange(self._shape[0])
        if not isinstance(self.frozen, StoredEmbedding):
            place[self._kept] = np.arange(len(self._kept))
        place[self._order] = ~np.arange(len(self._order))
        return torch.from_numpy(place)

    def _move_places(self, device: torch.device) -> None:
        # FSDP and DataParallel move parameters and buffers to a device, but not this attribute.
        if self.place.device != device and not torch.compiler.is_compiling():
            self.place = self._places().to(device)

    def _bands(self) -> list[tuple[torch.nn.Parameter, int, int]]:
        """Return each band's parameter, and where it begins and ends in `_order`."""
        return [(rows, begin, end) for rows, (begin, end) in zip(self.trained, pairwise(self._begins), strict=True)]

    def _look_up(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the rows of ids of any shape."""
        if self._given is not None:
            return embedding(ids, self._given)
        if _traced(ids):
            # Compiled code checks the ids of embedding(), but not those of index_select().
            return self._choose(embedding(ids, self.place.unsqueeze(1)).squeeze(-1))
        self._move_places(ids.device)
        flat = ids.reshape(-1)
        try:
            place = self.place.index_select(0, flat)
        except IndexError as error:
            raise out_of_range(flat, self._shape[0]) from error
        # The result is not a view of a flat tensor: FSDP2 warns about modules that return views.
        return self._at(place.view(ids.shape)) if ids.ndim else self._at(place)[0]

    def _assemble(self) -> torch.Tensor:
        """Return a new tensor of all rows, through which gradients flow."""
        if self._given is not None:
            return self._given
        if isinstance(self.frozen, torch.Tensor):
            self._move_places(self._table_rows().device)
        return self._choose(self.place) if _traced(self.place) else self._at(self.place)

    def _at(self, place: torch.Tensor) -> torch.Tensor:
        """Return the rows at places, of one or more dimensions, by writing the trained ones over the frozen ones."""
        chosen = self._frozen_at(place)
        for rows, begin, end in self._bands():
            at = ((place <= ~begin) & (place > ~end)).nonzero(as_tuple=True)
            chosen.index_put_(at, self._trained_at(~place[at] - begin, whole_rows(rows, end - begin)))
        return chosen

    def _choose(self, place: torch.Tensor) -> torch.Tensor:
        """Return the rows at places of any shape, by ``torch.where``: the shapes do not depend on the data."""
        chosen = None if self._empty() else self._frozen_at(place)
        for rows, begin, end in self._bands():
            here = (place <= ~begin) & (place > ~end)
            slot = torch.where(here, ~place - begin, 0)
            found = self._trained_at(slot, rows, here)
            chosen = found if chosen is None else torch.where(here.unsqueeze(-1), found, chosen)
        return self._frozen_at(place) if chosen is None else chosen

    def _empty(self) -> bool:
        return not len(self._kept) and not isinstance(self.frozen, StoredEmbedding)

    def _table_rows(self) -> torch.Tensor:
        frozen = self.frozen
        if not isinstance(frozen, FrozenRows):
            assert isinstance(frozen, torch.Tensor)
            return frozen
        # A compiler cannot trace as_subclass(), so the plain tensor is kept in an attribute.
        return self._table if torch.compiler.is_compiling() else frozen.plain()

    def _frozen_at(self, place: torch.Tensor) -> torch.Tensor:
        place = place.clamp(min=0)
        if isinstance(self.frozen, StoredEmbedding):
            found: torch.Tensor = self.frozen(place)
            return found
        table = self._table_rows()
        return table.new_empty((*place.shape, self._shape[1])) if self._empty() else embedding(place, table)

    def _trained_at(self, slot: torch.Tensor, rows: torch.Tensor, here: torch.Tensor | None = None) -> torch.Tensor:
        if here is None or not self.scale_grad_by_freq:
            return embedding(slot, rows, scale_grad_by_freq=self.scale_grad_by_freq, sparse=self.sparse)
        # torch counts how often each row is looked up. Frozen ids look up one more row, which is added for that, so
        # that they do not count as lookups of row 0.
        spare = len(rows)
        table = pad(rows, (0, 0, 0, 1))
        return embedding(torch.where(here, slot, spare), table, padding_idx=spare, scale_grad_by_freq=True)

    def _store(self, rows: torch.Tensor) -> None:
        """Write all rows to the tensors that contain them."""
        with torch.no_grad():
            if not isinstance(self.frozen, StoredEmbedding):
                self._table_rows().copy_(take(rows, self._kept))
            elif not torch.equal(take(rows, self._kept), self.frozen(torch.from_numpy(self._kept)).to(rows.device)):
                raise OptionError(
                    "frozen rows are in a StoredEmbedding, whose table is never written to: write to the trained rows, "
                    "or to layer.merged()"
                )
            for parameter, begin, end in self._bands():
                write_rows(parameter, take(rows, self._order[begin:end]))

    def _stand_in(self) -> torch.Tensor:
        if self._begins[-1]:
            like: torch.Tensor = self.trained[0]
        else:
            stored = isinstance(self.frozen, StoredEmbedding)
            like = self._frozen_at(self.place[:1]) if stored else self._table_rows()
        return torch.empty((), dtype=like.dtype, device=like.device).expand(self._shape)

    def _own(self) -> tuple[torch.nn.Parameter, ...]:
        return self.trained

    def _gradient(self) -> torch.Tensor | None:
        if all(rows.grad is None for rows in self.trained):
            return None
        whole = self.trained[0].new_zeros(self._shape)
        for rows, begin, end in self._bands():
            if rows.grad is not None:
                at = torch.from_numpy(self._order[begin:end]).to(whole.device)
                whole[at] = whole_rows(rows.grad.to_dense(), end - begin).to(whole)
        return whole

    def _store_gradient(self, gradient: torch.Tensor) -> None:
        """Write the gradient of all rows to those of the parameters; frozen rows have none."""
        for rows, begin, end in self._bands():
            own = take(gradient, self._order[begin:end])
            if rows.grad is None:
                # None and zeros differ: with a gradient of zeros, an optimizer applies weight decay.
                rows.grad = like_parameter(own.to(rows), rows) if own.any() else None
            elif rows.grad.is_sparse:
                rows.grad = own.to_sparse(1)
            else:
                write_rows(rows.grad, own)

    def _settle(self) -> None:
        """Update the attributes that depend on the buffer, after torch has replaced it."""
        frozen = self._buffers.get("frozen")
        if frozen is None:
            return
        if type(frozen) is torch.Tensor:
            self._buffers["frozen"] = frozen = FrozenRows.of(frozen)
        self._table = frozen.plain() if isinstance(frozen, FrozenRows) else frozen
        self.place = self._places().to(frozen.device)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        frozen = self._buffers.get("frozen")
        if isinstance(frozen, FrozenRows):
            # A checkpoint is loaded exactly, not by FrozenRows' rules for averaging.
            self._buffers["frozen"] = frozen.plain()
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._settle()

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> PartialRows:  # noqa: FBT001, FBT002 - torch's
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # Places are recomputed, because to_empty() would leave them without values.
        self.place = self._places().to(fn(torch.empty(0, device=self.place.device)).device)
        self._settle()
        return self

    def _replicate_for_data_parallel(self) -> PartialRows:
        replica: PartialRows = super()._replicate_for_data_parallel()  # type: ignore[no-untyped-call]
        replica._last, replica._replicas = None, ()
        alive = (one for one in self._replicas if one() is not None)
        self._replicas = (*alive, weakref.ref(replica))
        return replica

    def _replica_on(self, device: torch.device) -> PartialRows:
        """Return the newest of DataParallel's replicas whose rows are on a device."""
        for one in reversed(self._replicas):
            replica = one()
            if replica is not None and replica._stand_in().device == device:
                return replica
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_table", "_last", "_replicas")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._settle()


def _traced(ids: torch.Tensor) -> bool:
    """Return whether shapes must not depend on data: compiled, exported, traced, on the meta device, or under vmap."""
    return (
        torch.compiler.is_compiling()
        or type(ids) is not torch.Tensor
        or ids.is_meta
        or torch._C._are_functorch_transforms_active()
        or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    )
