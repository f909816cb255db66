"""Modules that are imported at their first use, and what their import costs."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any


class LazyModule:
    """A module that is imported at the first access to one of its attributes, for those that are rarely needed.

    Type hints are strings until they are resolved, for example by documentation tools. A hint such as ``torch.Tensor``
    then needs `torch` among the names of its module, but importing torch for hints only would be slow. Under
    ``TYPE_CHECKING`` the module is imported as usual, so that type checkers see the real types.

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


def numba_loaded() -> bool:
    """Return whether something has imported numba, which takes half a second with the first compiled kernel.

    Until then, small work is done in plain Python and NumPy, with the same results.
    """
    return "numba" in sys.modules


@contextlib.contextmanager
def collection_paused() -> Iterator[None]:
    """Pause the garbage collector while very many objects are made that stay in use.

    It visits all of them again and again, which takes up to a third of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
