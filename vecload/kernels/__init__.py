"""Compiled inner loops: the only package that imports numba.

Rules for every kernel, and why:

- A kernel takes arrays, and returns arrays and integer status codes. It uses no Python objects and raises no
  exceptions, because both need the GIL.
- Kernels have no explicit signatures. numba compiles a function with a signature when it is decorated, that is, at
  import. Without one, numba compiles it at the first call with new argument types.
- Kernels take no functions as arguments. numba gives each function its own type, so it would compile the kernel again
  for each one.
- A kernel calls only functions in its own file and in `intrinsics`. A change to the kernel's file invalidates numba's
  cache on disk; a change to another file does not (numba documentation, "Notes on Caching", section "Caching
  limitations").
- Kernels do not use fast-math, because reordered sums would make results depend on the processor. They do not use
  ``parallel=True``, because numba's own thread pool would compete with the worker threads of `vecload.threads`.
- Every kernel releases the GIL. Callers run it on several threads over separate ranges of rows. Each row is computed by
  the same operations in the same order, so the result does not depend on the number of threads.

numba does not check array bounds. Each kernel therefore states why its indices are in range: usually because the
caller allocated the arrays with the sizes in the docstring, or because an index that was read from a file is compared
with the length first.

``VECLOAD_KERNEL_CACHE=0`` disables the cache on disk. If the package's own folder is not writable, numba keeps the
cache in the user's cache folder.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from vecload.errors import VecloadError
from vecload.lazy import collection_paused
from vecload.threads import interruptible


def _import_numba() -> Any:
    """Import numba, without SciPy's linear algebra, which takes a fifth of the time until the first kernel has run.

    numba imports it to see whether it exists, for functions that no kernel calls. The check is replaced during the
    import, and numba does the import itself when it compiles such a function.
    """
    with collection_paused():
        import numba
        from numba.np import linalg

        check = getattr(linalg, "ensure_blas", None)
        if check is not None and find_spec("scipy") is not None and "numba.np.arraymath" not in sys.modules:
            linalg.ensure_blas = lambda: None
            try:
                from numba.np import arraymath
            finally:
                linalg.ensure_blas = check
            arraymath.ensure_blas = check
    return numba


numba = _import_numba()

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])

if numba.config.DISABLE_JIT:
    raise VecloadError("vecload needs numba's compiler, which NUMBA_DISABLE_JIT=1 disables; unset that variable")

_CACHE = os.environ.get("VECLOAD_KERNEL_CACHE", "1") != "0"


def workers() -> int:
    """Return the number of threads to start: one for each processor this process may use, at most 8."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, 8)


def kernel(function: F) -> F:
    """Compile `function` at its first call, cache it on disk, and release the GIL while it runs.

    ``error_model="numpy"`` makes a division by zero give infinity or NaN, as IEEE 754 says, without a branch that
    raises an exception.
    """
    try:
        compiled: F = numba.njit(cache=_CACHE, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        # numba found "no locator available": neither the installation nor the home folder is writable. Then there is no
        # cache, and every process compiles the kernels again.
        compiled = numba.njit(nogil=True, error_model="numpy")(function)
    # The compiler runs for seconds without checking for signals, so Ctrl-C would seem to be ignored. numba calls this
    # method when it must compile for new argument types; running it on another thread keeps the main thread responsive.
    dispatcher: Any = compiled
    compile_for = dispatcher._compile_for_args
    dispatcher._compile_for_args = lambda *args, **kws: interruptible(
        functools.partial(_compile_alone, compile_for, *args, **kws)
    )
    return compiled


# A forked process has only the thread that called fork, but a copy of all locks and of numba's state. If another thread
# is compiling at that moment, the child would wait for a lock that no thread releases, or find half of a compilation.
# So kernels are compiled under this lock, which a fork takes first. numba compiles one function at a time anyway.
_compiling = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_compiling.acquire, after_in_parent=_compiling.release, after_in_child=_compiling.release
    )


def _compile_alone(compile_for: Callable[..., Any], *args: Any, **kws: Any) -> Any:
    # Paused under the lock, so that no child starts with the collector paused.
    with _compiling, collection_paused():
        return compile_for(*args, **kws)


def inline(function: F) -> F:
    """Compile `function` into each kernel that calls it, without a cache entry or an entry point of its own."""
    compiled: F = numba.njit(nogil=True, error_model="numpy", forceinline=True)(function)
    return compiled
