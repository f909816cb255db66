"""The compiled inner loops, and the only room that knows numba.

Rules of the room: arrays in, arrays and integer statuses out; no objects, no exceptions, no functions as arguments,
no explicit signatures (they would compile at import), no fast-math, no ``parallel=True``. A kernel calls only
kernels of its own file, because numba's cache does not see another file change. Every kernel releases the GIL, so
callers run it on threads over separate ranges and the result does not depend on their number.

``VECLOAD_KERNEL_CACHE=0`` switches the cache on disk off. Where the package's own folder cannot be written, numba
keeps the cache in the user's cache folder.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, TypeVar

import numba

from vecload.errors import VecloadError
from vecload.threads import interruptible

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])

if numba.config.DISABLE_JIT:
    raise VecloadError("vecload needs numba's compiler, and NUMBA_DISABLE_JIT=1 switches it off; unset that variable")

_CACHE = os.environ.get("VECLOAD_KERNEL_CACHE", "1") != "0"


def workers() -> int:
    """Threads worth starting: one for each processor this process may use, at most 8."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, 8)


def kernel(function: F) -> F:
    """Compile `function` at its first call: cached on disk, without the GIL, with IEEE arithmetic.

    A machine with no folder to keep a cache in (a read-only install and no home) compiles anew in every process.
    """
    try:
        compiled: F = numba.njit(cache=_CACHE, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba: "no locator available"
        compiled = numba.njit(nogil=True, error_model="numpy")(function)
    # Compiling takes seconds that an interrupt cannot end. numba calls this method for arguments of new types.
    dispatcher: Any = compiled
    compile_for = dispatcher._compile_for_args
    dispatcher._compile_for_args = lambda *args, **kws: interruptible(functools.partial(compile_for, *args, **kws))
    return compiled


def inline(function: F) -> F:
    """Compile `function` only into the kernels that call it: no cache entry and no entry point of its own."""
    compiled: F = numba.njit(nogil=True, error_model="numpy", forceinline=True)(function)
    return compiled
