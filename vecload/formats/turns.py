"""Work on what a stream gives, on threads, with the results in the stream's order."""

from __future__ import annotations

import itertools
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from vecload.threads import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 3  # items more than workers that may be under way, so that none waits while the caller looks at a result


def in_turn(items: Iterator[T], work: Callable[[T], R], workers: int) -> Iterator[R]:
    """``map(work, items)`` on threads, which take the items in turn.

    A thread takes the next item itself, while the others work on theirs: what it has just read is near when it works on
    it, and nobody waits for a thread that hands out. Few items are under way at any time. What `items` or `work` raises
    is raised when its turn comes, after the results before it.

    Examples
    --------
    >>> list(in_turn(iter("abc"), str.upper, workers=2))
    ['A', 'B', 'C']
    """
    turn = Lock()
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
        except Exception as error:  # for the caller, in its turn
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
