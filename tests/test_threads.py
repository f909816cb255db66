"""`ordered_map` returns results and errors in order and reads few items ahead, whichever thread is slow."""

from __future__ import annotations

import itertools
import random
import time
from typing import TYPE_CHECKING

import pytest

from vecload.threads import ordered_map

if TYPE_CHECKING:
    from collections.abc import Iterator


def slow_square(number: int) -> int:
    time.sleep(random.Random(number).choice([0, 0, 0.002]))
    return number * number


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("count", [0, 1, 5, 200])
def test_ordered_map_returns_results_in_order(workers: int, count: int) -> None:
    assert list(ordered_map(iter(range(count)), slow_square, workers)) == [number * number for number in range(count)]


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_ordered_map_raises_errors_after_earlier_results(workers: int) -> None:
    def items() -> Iterator[int]:
        yield from range(20)
        raise OSError("cut short")

    def work(number: int) -> int:
        if number == stop:
            raise ValueError(number)
        return slow_square(number)

    for stop, error in ((3, ValueError), (19, ValueError), (20, OSError)):
        seen: list[int] = []
        with pytest.raises(error):
            seen.extend(ordered_map(items(), work, workers))
        assert seen == [number * number for number in range(stop)]


def test_ordered_map_reads_only_a_few_items_ahead() -> None:
    taken = itertools.count()
    results = ordered_map(taken, slow_square, workers=2)
    assert [next(results) for _ in range(10)] == [number * number for number in range(10)]
    time.sleep(0.05)
    results.close()
    assert next(taken) <= 10 + 2 + 3
