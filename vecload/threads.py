"""Work on threads that does not delay an interrupt.

Ctrl-C reaches the main thread only, and only while it runs Python or waits for a lock. The threads of
`concurrent.futures` are joined when a pool ends and again when the interpreter exits, so one that compiles a kernel
holds an interrupted program for seconds. The threads here are daemons, and after an interrupt nothing waits for them.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

T = TypeVar("T")
R = TypeVar("R")

_NAME = "vecload"
_POLL = 0.1  # seconds; on Windows a wait without a time-out cannot be interrupted


class Pool:
    """Worker threads with the interface of `concurrent.futures.ThreadPoolExecutor`.

    At the end of a ``with`` block the pool waits for its work, unless the block was interrupted. Then work that has not
    begun is canceled, and work that has begun is left to itself.

    Parameters
    ----------
    workers
        The largest number of threads; they start as work is submitted.

    Examples
    --------
    >>> with Pool(2) as pool:
    ...     list(pool.map(str.upper, "abc"))
    ['A', 'B', 'C']
    """

    def __init__(self, workers: int) -> None:
        self._most = workers
        self._threads: list[threading.Thread] = []
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        while interrupted:
            try:
                waiting = self._work.get_nowait()
            except queue.Empty:
                break
            if waiting is not None:
                waiting[0].cancel()
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            while not interrupted and thread.is_alive():
                thread.join(_POLL)

    def submit(self, work: Callable[..., R], /, *args: Any) -> Future[R]:
        """Call `work` with some arguments on a thread."""
        future: Future[R] = Future()
        self._work.put((future, lambda: work(*args)))
        if len(self._threads) < self._most:
            thread = threading.Thread(target=self._run, daemon=True, name=_NAME)
            self._threads.append(thread)
            thread.start()
        return future

    def map(self, work: Callable[..., R], *items: Iterable[Any]) -> Iterator[R]:
        """Return the results of ``map(work, *items)``, in order."""
        futures = [self.submit(work, *args) for args in zip(*items, strict=True)]
        return (future.result() for future in futures)

    def _run(self) -> None:
        while (task := self._work.get()) is not None:
            future, work = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # for whoever asks for the result
                future.set_exception(error)


def interruptible(call: Callable[[], R]) -> R:
    """Call a function that an interrupt cannot end, and let an interrupt end the wait for it.

    On the main thread, the call is made on another thread, which goes on alone after an interrupt. On other threads,
    which are never interrupted, it is made at once.

    Examples
    --------
    >>> interruptible(lambda: 6 * 7)
    42
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    with Pool(1) as pool:
        future = pool.submit(call)
        while True:
            try:
                return future.result(_POLL)
            except TimeoutError:
                if future.done():
                    return future.result()


# Items in work beyond the number of workers, so that no worker is idle while the caller uses a result.
_AHEAD = 3


def ordered_map(items: Iterator[T], work: Callable[[T], R], workers: int) -> Iterator[R]:
    """Return ``map(work, items)``, computed on worker threads, in the order of `items`.

    Each worker takes the next item itself, so an item that was just read is still in that processor's cache when the
    work on it begins. At most ``workers + 3`` items are held at a time. An exception raised by `items` or `work` is
    raised after the results of all earlier items.

    Parameters
    ----------
    items
        Iterator to read; only one worker advances it at a time.
    work
        Function of one item.
    workers
        Number of threads.

    Examples
    --------
    >>> list(ordered_map(iter("abc"), str.upper, workers=2))
    ['A', 'B', 'C']
    """
    turn = threading.Lock()
    numbers = itertools.count()

    def take() -> tuple[int, R | None, Exception | None]:
        number = -1
        try:
            with turn:
                number = next(numbers)
                try:
                    item = next(items)
                except StopIteration:
                    return number, None, None
            return number, work(item), None
        except Exception as error:  # raised by the caller when its turn comes
            return number, None, error

    pending: deque[Future[tuple[int, R | None, Exception | None]]] = deque()
    early: dict[int, tuple[R | None, Exception | None]] = {}  # a later task may have taken an earlier item
    with Pool(workers) as pool:
        try:
            for number in itertools.count():
                while number not in early:
                    while len(pending) + len(early) < workers + _AHEAD or not pending:
                        pending.append(pool.submit(take))
                    at, result, error = pending.popleft().result()
                    early[at] = result, error
                result, error = early.pop(number)
                if error is not None:
                    raise error
                if result is None:
                    return
                yield result
        finally:
            for future in pending:
                future.cancel()
