"""Worker threads that do not delay Ctrl-C.

Only the main thread receives an interrupt, and only while it runs Python code or waits for a lock. The threads of
`concurrent.futures` are joined at the end of a pool and again when the interpreter exits, so a thread that compiles a
kernel keeps an interrupted program running for seconds. The threads here are daemons, and after an interrupt nothing
waits for them.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

T = TypeVar("T")
R = TypeVar("R")

_NAME = "vecload"
_POLL = 0.1  # seconds between checks: on Windows, a wait without a time-out cannot be interrupted


class Pool:
    """Pool of worker threads with the interface of `concurrent.futures.ThreadPoolExecutor`.

    At the end of a ``with`` block the pool waits for its work. If the block was interrupted, it does not wait: pending
    work is canceled, and running work continues on its daemon thread.

    Parameters
    ----------
    workers
        Maximum number of threads. They start as work is submitted.

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
        # Cancel the work in the queue, so that the threads reach the end marks below after their current task.
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
        """Schedule ``work(*args)`` on a thread, and return the future of its result."""
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

    def run(self, work: Callable[..., object], jobs: Sequence[tuple[Any, ...]]) -> None:
        """Call `work` with each tuple of arguments. This thread does the first job, because it would only wait."""
        others = [self.submit(work, *job) for job in jobs[1:]]
        for job in jobs[:1]:
            work(*job)
        for other in others:
            other.result()

    def _run(self) -> None:
        while (task := self._work.get()) is not None:
            future, work = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # raised again by future.result()
                future.set_exception(error)


def interruptible(call: Callable[[], R]) -> R:
    """Call a function that does not react to Ctrl-C, such that Ctrl-C ends the wait for it.

    On the main thread, the function runs on another thread, which continues after an interrupt while the main thread
    raises KeyboardInterrupt. Other threads never receive interrupts, so they call the function directly.

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
                if future.done():  # the function itself raised a TimeoutError, or ended just now
                    return future.result()


# Number of items in progress beyond the number of workers, so that no worker is idle while the caller uses a result.
_AHEAD = 3


def ordered_map(items: Iterator[T], work: Callable[[T], R], workers: int) -> Iterator[R]:
    """Yield the results of ``map(work, items)``, computed on worker threads, in the order of `items`.

    Each worker reads the next item itself, so that an item that was just read is still in the cache of the processor
    that works on it. At most ``workers + 3`` items are in memory at a time. An exception of `items` or `work` is raised
    after the results of all earlier items.

    Parameters
    ----------
    items
        Iterator to read. Only one worker advances it at a time.
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
        except Exception as error:  # raised below, in the order of the items
            return number, None, error

    pending: deque[Future[tuple[int, R | None, Exception | None]]] = deque()
    # Results by item number. The task that was submitted first is not always the one that took the first item.
    early: dict[int, tuple[R | None, Exception | None]] = {}
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
