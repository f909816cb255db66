"""Make existing modules partly trained in place, and plain again, by changing their class.

A model refers to its embedding from many places: submodules, tied heads, hooks, PEFT wrappers, an optimizer that is
made later. A new module would have to replace the old one in all of them. Assigning to ``__class__`` keeps the object,
with its name in the model and its hooks. torch's own ``nn.utils.parametrize`` changes classes in the same way.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from vecload.errors import OptionError
from vecload.layers.output_layers import PartialHead, SharedRows, TiedEmbedding, TiedHead
from vecload.layers.partial_embedding import PartialEmbedding
from vecload.layers.partial_rows import PartialRows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_PLAIN: dict[type[torch.nn.Module], type[torch.nn.Module]] = {
    PartialEmbedding: torch.nn.Embedding,
    TiedEmbedding: torch.nn.Embedding,
    PartialHead: torch.nn.Linear,
    TiedHead: torch.nn.Linear,
}


def sharing(model: torch.nn.Module, weight: torch.Tensor) -> list[torch.nn.Module]:
    """Return the modules of a model that have a parameter."""
    return [module for module in model.modules() if any(one is weight for one in module._parameters.values())]


def become_partial(module: torch.nn.Module, bands: npt.NDArray[np.int64]) -> None:
    """Make an embedding layer or an output head partly trained.

    The module stays the same object, so hooks stay registered and everything that refers to it still does. Its new
    class is a subclass of its own class: a ``forward`` that scales or clips still runs, and gets the rows from
    ``super().forward``. A ``forward`` that reads ``self.weight`` instead gets all rows assembled, which is slower.

    Parameters
    ----------
    module
        An ``nn.Embedding`` or ``nn.Linear``, or an instance of a subclass.
    bands
        Band of each row, 0 for frozen ones.
    """
    weight = module._parameters.pop("weight")
    assert weight is not None
    core = PartialEmbedding if isinstance(module, torch.nn.Embedding) else PartialHead
    module.__class__ = _combined(type(module), core)
    assert isinstance(module, PartialRows)
    module._was_trained = weight.requires_grad
    module._hold(weight.detach(), bands)


def become_shared(module: torch.nn.Module, layer: PartialRows) -> None:
    """Make a module that is tied to a layer share the layer's partly trained rows."""
    module._parameters.pop("weight")
    core = TiedEmbedding if isinstance(module, torch.nn.Embedding) else TiedHead
    module.__class__ = _combined(type(module), core)
    assert isinstance(module, SharedRows)
    module._share(layer)


def become_plain(model: torch.nn.Module) -> None:
    """Make partly trained modules of a model plain again, and tie them as they were tied.

    Raises
    ------
    OptionError
        If a parametrization or pruning computes trained rows. Nothing is changed then.
    """
    modules = [module for module in model.modules() if isinstance(module, (PartialRows, SharedRows))]
    # Check all of them before any is changed.
    for module in modules:
        if isinstance(module, PartialRows) and any(name not in module._parameters for name in module._names()):
            raise OptionError(
                "a parametrization or pruning computes trained rows: remove it first "
                "(torch.nn.utils.parametrize.remove_parametrizations, torch.nn.utils.prune.remove)"
            )
    weights: dict[int, torch.nn.Parameter] = {}
    for module in modules:
        layer = module if isinstance(module, PartialRows) else module._shared[0]
        if id(layer) not in weights:
            weights[id(layer)] = _whole(layer)
    for module in modules:
        layer = module if isinstance(module, PartialRows) else module._shared[0]
        _set_plain(module, weights[id(layer)])


def _whole(layer: PartialRows) -> torch.nn.Parameter:
    # A layer that was frozen before it was extended is frozen again, as is one whose trained rows were frozen since.
    trained = layer._was_trained and (not layer.trained or any(rows.requires_grad for rows in layer.trained))
    return torch.nn.Parameter(layer._assemble().detach(), requires_grad=trained)


def _set_plain(module: PartialRows | SharedRows, weight: torch.nn.Parameter) -> None:
    if isinstance(module, PartialRows):
        for name in module._names():
            del module._parameters[name]
        module._buffers.pop("frozen", None)
        module._modules.pop("frozen", None)
    for name in (*PartialRows.STATE, "_shared"):
        module.__dict__.pop(name, None)
    module.__class__ = _original(type(module))  # type: ignore[assignment]
    # Make the weight the first parameter again: states of optimizers refer to parameters by their position.
    module._parameters = {"weight": weight, **module._parameters}


def _combined(original: Any, core: Any) -> Any:
    """Return a class with the forward of a module's own class and the rows of a partly trained one."""
    return _made(original, core)


# Cached, because two modules of one class must have the same class afterwards: torch.compile guards on it.
@cache
def _made(original: Any, core: Any) -> Any:
    # The module's own class comes first in the method resolution order, so its forward() runs and its super() call
    # reaches the core.
    if original in (torch.nn.Embedding, torch.nn.Linear):
        return core
    names = {
        "__module__": original.__module__,
        "__doc__": f"{original.__name__} with the rows of {core.__name__}.",
        "__reduce_ex__": _reduce,
        "_made_of": (original, core),
    }
    return type(f"{core.__name__}Of{original.__name__}", (original, core), names)


def _original(combined: type[torch.nn.Module]) -> type[torch.nn.Module]:
    made_of = getattr(combined, "_made_of", None)
    return made_of[0] if made_of else next(_PLAIN[base] for base in combined.__mro__ if base in _PLAIN)


def _reduce(module: torch.nn.Module, _protocol: int) -> Any:
    # A class made at run time cannot be imported by name, so a pickle names how to make it.
    return _blank, type(module)._made_of, module.__getstate__()  # type: ignore[attr-defined, no-untyped-call]


def _blank(original: type[torch.nn.Module], core: type[torch.nn.Module]) -> torch.nn.Module:
    combined = _combined(original, core)
    module: torch.nn.Module = combined.__new__(combined)
    return module
