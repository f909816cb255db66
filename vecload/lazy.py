"""Modules that are imported when something of them is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class LazyModule:
    """A module that is imported at the first access to one of its attributes.

    Type hints are strings until somebody resolves them. A name such as ``torch.Tensor`` in a hint needs `torch` among
    the names of its module, but torch must not be imported for that alone, and neither may a module import from a layer
    above its own. Under ``TYPE_CHECKING`` the module is imported as usual, so type checkers see the true types.

    Examples
    --------
    >>> LazyModule("collections.abc").Sized
    <class 'collections.abc.Sized'>
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)

    def __repr__(self) -> str:
        return f"<LazyModule {self._name}>"
