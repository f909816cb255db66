"""State dicts of partly trained layers: one `weight`, as in a plain layer's, if the layer has all rows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from vecload.layers.assembled_weight import AssembledWeight, WeightProperty
from vecload.layers.sharding import fsdp_module_above, like_parameter

if TYPE_CHECKING:
    from collections.abc import Mapping


_WRAPPERS = ("_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_orig_mod.")


class SavedRows(WeightProperty):
    """Base of `PartialRows` that saves and loads its rows.

    A state dict has one ``weight`` and can be exchanged with a plain layer's. Three kinds of layer keep their own keys:
    ``trained0`` and so on, ``rows`` with the row numbers of the trained rows, and ``frozen``. Over a `StoredEmbedding`,
    the frozen rows are in the file. Where a parametrization or pruning computes the trained rows, one ``weight`` would
    lose its parameters. And rows that FSDP1 saves in parts stay in parts.
    """

    _kept: npt.NDArray[np.int64]
    _order: npt.NDArray[np.int64]
    _begins: tuple[int, ...]
    _shape: tuple[int, int]

    if TYPE_CHECKING:  # defined by `PartialRows`; see `vecload.layers.assembled_weight.Assembled`

        def _assemble(self) -> torch.Tensor: ...

        def _store(self, rows: torch.Tensor) -> None: ...

        def _stand_in(self) -> torch.Tensor: ...

        def _own(self) -> tuple[torch.nn.Parameter, ...]: ...

        def _gradient(self) -> torch.Tensor | None: ...

        def _store_gradient(self, gradient: torch.Tensor) -> None: ...

    def _names(self) -> list[str]:
        """Return the names of the trained parameters."""
        return [f"trained{band}" for band in range(len(self._begins) - 1)]

    def _saves_one_weight(self) -> bool:
        """Return whether the module itself has all rows, as they are."""
        return "frozen" in self._buffers and all(name in self._parameters for name in self._names())

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:  # noqa: FBT001 - torch's
        super()._save_to_state_dict(destination, prefix, keep_vars)
        # With keep_vars=True the caller wants the parameters themselves, under the names that they have.
        if keep_vars:
            return
        above = fsdp_module_above()
        if above is None and self._saves_one_weight():
            for name in ("frozen", *self._names()):
                del destination[prefix + name]
            destination[f"{prefix}weight"] = saved_weight(self, destination)
            return
        # A file must not depend on vecload to be read, so its tensors are of torch's own class.
        if "frozen" in self._buffers:
            destination[f"{prefix}frozen"] = destination[f"{prefix}frozen"].as_subclass(torch.Tensor)
        destination[f"{prefix}rows"] = torch.from_numpy(self._order.copy())
        if above is not None and join_rows not in above._state_dict_hooks.values():
            above._register_state_dict_hook(join_rows)

    def _describe_other_rows(self, rows: torch.Tensor, prefix: str = "") -> str | None:
        """Return an error if a checkpoint has other trained rows than the layer.

        The shapes of the parameters may match nevertheless, and their rows would become other words.
        """
        if rows.tolist() == self._order.tolist():
            return None
        return (
            f"the trained rows of {prefix or 'the layer'} are {_some(self._order)}, those in the checkpoint are "
            f"{_some(rows)}: make the layer with the same rows ({prefix}rows in the checkpoint)"
        )

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        _, strict, missing, _, errors = rest
        # The dictionary belongs to the caller, so change a copy of it.
        state = dict(state_dict)
        rows = state.pop(f"{prefix}rows", None)
        weight = state.pop(f"{prefix}weight", None) if "frozen" in self._buffers else None
        if weight is not None:
            if error := self._split(state, prefix, weight):
                errors.append(error)
                return
        elif rows is None:
            if strict and "frozen" not in self._buffers and f"{prefix}trained0" in state:
                missing.append(f"{prefix}rows")
        elif error := self._describe_other_rows(rows, prefix):
            errors.append(error)
            return
        super()._load_from_state_dict(state, prefix, *rest)
        own = {prefix + name for name in ("frozen", *self._names())}
        if self._saves_one_weight() and own <= set(missing):
            # The checkpoint has none of the layer's keys, so report the key that checkpoints usually have.
            missing[:] = [*(key for key in missing if key not in own), f"{prefix}weight"]

    def _split(self, state: dict[str, Any], prefix: str, weight: torch.Tensor) -> str | None:
        """Put all rows into a state dict under the layer's own keys, or return why that is impossible."""
        if hasattr(weight, "full_tensor"):
            weight = weight.full_tensor()
        if tuple(weight.shape) != self._shape:
            shape = list(self._shape)
            return f"size mismatch for {prefix}weight: {list(weight.shape)} in the checkpoint, {shape} here"
        if not self._saves_one_weight():
            return (
                f"{prefix}weight cannot be loaded into trained rows that a parametrization or pruning computes: remove "
                "it first (torch.nn.utils.parametrize.remove_parametrizations, torch.nn.utils.prune.remove)"
            )
        state[f"{prefix}frozen"] = take(weight, self._kept)
        for name, (begin, end) in zip(self._names(), pairwise(self._begins), strict=True):
            state[prefix + name] = like_parameter(take(weight, self._order[begin:end]), self._parameters[name])
        return None


def saved_weight(layer: SavedRows, destination: Mapping[str, Any]) -> torch.Tensor:
    """Return the rows of a layer for a state dict: the tensor that a tied layer has added, if there is one.

    Tied layers then share one tensor in the state dict, so that safetensors and ``torch.save`` store it once.
    """
    for tensor in destination.values():
        if type(tensor) is AssembledWeight and tensor.belongs_to(layer):
            return tensor
    with torch.no_grad():
        return AssembledWeight.of(layer, layer._assemble().detach())


def take(weight: torch.Tensor, rows: npt.NDArray[np.int64]) -> torch.Tensor:
    """Return some rows of a tensor, as a new tensor without gradient."""
    return weight.detach().index_select(0, torch.from_numpy(rows).to(weight.device))


def join_rows(module: torch.nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Join the rows that FSDP1 has collected to one `weight`, after it has finished the state dict."""
    # FSDP1 removes the names of its wrappers from the keys of a state dict, but not from those of modules.
    joined: dict[int, torch.Tensor] = {}
    keys = {f"{prefix}{name}." if name else prefix: one for name, one in module.named_modules()}
    for key, layer in keys.items():
        clean = _clean(key)
        if isinstance(layer, SavedRows) and {f"{clean}rows", f"{clean}frozen"} <= state.keys():
            weight = _joined(layer, state, clean)
            if weight is not None:
                joined[id(layer)] = state[f"{clean}weight"] = weight
    # Tied layers come second, because their tensor is that of the layer.
    for key, layer in keys.items():
        (shared,) = getattr(layer, "_shared", (None,))
        if id(shared) in joined:
            state[f"{_clean(key)}weight"] = joined[id(shared)]


def _clean(key: str) -> str:
    for wrapper in _WRAPPERS:
        key = key.replace(wrapper, "")
    return key


def _joined(layer: SavedRows, state: dict[str, Any], key: str) -> torch.Tensor | None:
    names = [key + name for name in layer._names()]
    parts = [state.get(name) for name in names]
    if any(part is not None and type(part) is not torch.Tensor for part in parts):
        return None  # a sharded state dict
    frozen = state.pop(f"{key}frozen")
    for name in (f"{key}rows", *names):
        state.pop(name, None)
    if any(part is None for part in parts):
        return None  # rank0_only=True: the other processes save nothing
    weight: torch.Tensor = frozen.new_empty(layer._shape)
    weight[torch.from_numpy(layer._kept).to(weight.device)] = frozen
    for part, (begin, end) in zip(parts, pairwise(layer._begins), strict=True):
        assert part is not None
        weight[torch.from_numpy(layer._order[begin:end]).to(weight.device)] = part.to(weight.device)
    return weight


def _some(rows: npt.NDArray[np.int64] | torch.Tensor) -> str:
    numbers = rows.tolist()
    return str(numbers) if len(numbers) <= 5 else f"[{', '.join(map(str, numbers[:5]))}, …] ({len(numbers):,} rows)"
