"""Searches by products of integers find the same rows, with the same scores, as searches by products of floats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vecload import search
from vecload.search import products, quantized, ranking

torch = pytest.importorskip("torch")
if not hasattr(torch, "_int_mm"):
    pytest.skip("this torch multiplies no integers", allow_module_level=True)


def both(rows: np.ndarray, asked: np.ndarray, k: int, **options: object) -> tuple[search.Nearest, search.Nearest, int]:
    """Return the answers by integers and by floats, and the number of queries that integers could not answer."""
    again = []
    best = ranking.best_rows

    def counted(matrix: np.ndarray, queries: np.ndarray, *given: object, **named: object) -> search.Nearest:
        if named.get("integers") is False:
            again.append(len(queries))
        return best(matrix, queries, *given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "best_rows", counted)
        patch.setattr(quantized, "suits", lambda queries, matrix: matrix.dtype == np.float32)
        found = search.nearest(rows, asked, k, **options)
        patch.setattr(quantized, "suits", lambda *_: False)
        expected = search.nearest(rows, asked, k, **options)
    return found, expected, sum(again)


def assert_equal(found: search.Nearest, expected: search.Nearest) -> None:
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize(
    ("count", "dim", "queries", "k"),
    [(9000, 300, 40, 10), (4096, 64, 3, 1), (4097, 17, 1100, 5), (300, 16, 2, 400), (2, 1, 1, 1), (1, 8, 3, 2)],
)
def test_answers_are_equal(metric: search.Metric, count: int, dim: int, queries: int, k: int) -> None:
    rng = np.random.default_rng(count)
    rows = rng.normal(size=(count, dim)).astype(np.float32)
    asked = rng.normal(size=(queries, dim))
    found, expected, again = both(rows, asked, k, metric=metric)
    assert_equal(found, expected)
    if count > 4000 and metric == "cosine":
        assert again <= queries // 20, "bounds answer nearly all queries"


@given(st.integers(1, 400), st.integers(1, 30), st.integers(0, 2**32 - 1), st.sampled_from(["cosine", "dot"]))
@example(count=400, k=30, seed=0, metric="dot")
def test_answers_are_equal_with_many_equal_scores(count: int, k: int, seed: int, metric: search.Metric) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-1, 2, size=(count, 3)).astype(np.float32)
    assert_equal(*both(rows, rng.integers(-1, 2, size=(4, 3)).astype(np.float32), k, metric=metric)[:2])


def test_rows_that_are_not_finite_are_never_found() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 20)).astype(np.float32)
    rows[3, 5], rows[4, 0], rows[5, 19], rows[499, 0] = np.nan, np.inf, -np.inf, np.nan
    found, expected, _ = both(rows, rows[10:14], 500)
    assert_equal(found, expected)
    assert not np.isin(found.rows, [3, 4, 5, 499]).any()


@pytest.mark.parametrize("factor", [1e-37, 1e-30, 1e30])
def test_very_small_and_very_large_values(factor: float) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 20)).astype(np.float32)
    rows[::2] *= np.float32(factor)
    assert_equal(*both(rows, rng.normal(size=(5, 20)), 7)[:2])


def test_one_large_value_makes_bounds_useless_but_not_wrong() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 20)).astype(np.float32)
    rows[:, 0] = 1e4
    found, expected, again = both(rows, rows[:8] + 0.1, 10)
    assert_equal(found, expected)
    assert again >= 8


def test_excluded_rows_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(700, 16)).astype(np.float32)
    for size in (1, 699, 700, 701):
        monkeypatch.setattr(quantized, "ROWS", size)
        monkeypatch.setattr(ranking, "QUERIES", 30)
        found, expected, _ = both(rows, rows[:70], 5, exclude=np.arange(140).reshape(70, 2))
        assert_equal(found, expected)
    assert products.QUERIES > 30


def test_only_large_searches_use_integers() -> None:
    queries, rows = np.zeros((1000, 1, 300), dtype=np.float32), np.zeros((100, 300), dtype=np.float32)
    assert not quantized.suits(queries, rows)
    large = np.broadcast_to(rows[:1], (1_000_000, 300))
    assert not quantized.suits(queries[:10], large)
    assert not quantized.suits(np.zeros((1000, 3, 300), dtype=np.float32), large)
    assert not quantized.suits(queries, np.broadcast_to(rows[:1].astype(np.float16), large.shape))
    assert quantized.suits(queries, large) == torch.cpu._is_vnni_supported()


@pytest.mark.parametrize("spread", [1e-3, 1e-2])
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_rows_that_are_equal_after_rounding_are_told_apart(metric: search.Metric, spread: float) -> None:
    # Rows differ by less than a step of 8-bit integers, so that only the bounds find the best ones.
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=24) + spread * rng.normal(size=(6000, 24))).astype(np.float32)
    found, expected, _ = both(rows, rng.normal(size=(40, 24)), 5, metric=metric)
    assert_equal(found, expected)


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_rounding_of_float32_does_not_choose_among_the_candidates(metric: search.Metric) -> None:
    # Many rows are equally near to the queries as far as float32 can tell, and all others are far away.
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5000, 40)).astype(np.float32)
    near = 10 * rng.normal(size=40)
    rows[rng.permutation(5000)[:60]] = (near * (1 + 1e-7 * rng.normal(size=(60, 1)))).astype(np.float32)
    found, expected, again = both(rows, near + rng.normal(size=(20, 40)), 5, metric=metric)
    assert_equal(found, expected)
    assert again > 0
