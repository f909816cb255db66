"""Neighbors, analogies, CSLS and the index, compared with a slow search in double precision and with gensim."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import small_vectors, vectors_of
from vecload import Vectors, kernels, load, search
from vecload.errors import FormatError, MissingDependencyError, OptionError, VocabularyError
from vecload.ngrams import NgramTable
from vecload.search import products, ranking


def scores_of(queries: np.ndarray, rows: np.ndarray, metric: str) -> np.ndarray:
    """Return all scores in double precision, by their definitions."""
    q, x = queries.astype(np.float64), rows.astype(np.float64)
    if metric == "euclidean":
        return -np.sqrt(np.square(q[:, None] - x[None]).sum(axis=2))
    products = q @ x.T
    if metric == "cosine":
        norms = np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(x, axis=1)
        return np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)
    return products


def slow_nearest(queries: np.ndarray, rows: np.ndarray, k: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    scores = scores_of(queries, rows, metric).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]  # stable, so equal scores are in row order
    return order, np.take_along_axis(scores, order, 1)


def gensim_of(vectors: Vectors) -> Any:
    keyed = pytest.importorskip("gensim.models.keyedvectors")
    peer = keyed.KeyedVectors(vectors.dim, len(vectors))
    peer.index_to_key = list(vectors.words)
    peer.key_to_index = {word: at for at, word in enumerate(peer.index_to_key)}
    peer.vectors = np.array(vectors.matrix, dtype=np.float32)
    return peer


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize(
    ("count", "queries", "k"), [(3000, 5, 7), (5000, 1, 1), (1500, 2100, 10), (40, 3, 500), (1, 2, 1)]
)
def test_nearest_equals_the_slow_search(metric: search.Metric, count: int, queries: int, k: int) -> None:
    vectors, asked = small_vectors(count, 12), small_vectors(queries, 12, seed=1).matrix
    found = search.nearest(vectors, asked, k, metric=metric)
    rows, scores = slow_nearest(asked, vectors.matrix, k, metric)
    width = rows.shape[1]
    assert found.rows.shape == found.scores.shape == (queries, k)
    assert np.array_equal(found.rows[:, :width], rows)
    np.testing.assert_allclose(found.scores[:, :width], scores if metric != "euclidean" else -scores, atol=1e-6)
    assert (found.rows[:, width:] == -1).all()
    assert np.isnan(found.scores[:, width:]).all()


@given(
    st.integers(1, 60), st.integers(1, 70), st.integers(0, 2**32 - 1), st.sampled_from(["cosine", "dot", "euclidean"])
)
# More rows have the last distance than there are spare candidates.
@example(count=52, k=6, seed=249, metric="euclidean")
# Rows of zeros are found in the order of their numbers among orthogonal rows.
@example(count=52, k=31, seed=127306, metric="cosine")
def test_nearest_returns_equal_scores_in_row_order(count: int, k: int, seed: int, metric: search.Metric) -> None:
    """Small integers have many equal scores and rows of zeros."""
    rng = np.random.default_rng(seed)
    vectors = vectors_of(rng.integers(-1, 2, size=(count, 3)).astype(np.float32))
    asked = rng.integers(-1, 2, size=(4, 3)).astype(np.float32)
    rows, _ = slow_nearest(asked, vectors.matrix, k, metric)
    assert np.array_equal(search.nearest(vectors, asked, k, metric=metric).rows[:, : rows.shape[1]], rows)


def test_nearest_scores_candidates_once_if_rows_are_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows are equally near to a query of zeros, and rows of zeros to any query."""
    seen = []
    rescore = ranking.rescore
    monkeypatch.setattr(ranking, "rescore", lambda *given: seen.append(given[2].rows.shape) or rescore(*given))
    vectors = small_vectors(3000, 12)
    assert search.nearest(vectors, np.zeros((2, vectors.dim), dtype=np.float32), 5).rows.tolist() == [[*range(5)]] * 2
    empty = vectors_of(np.zeros((3000, 4), dtype=np.float32))
    assert search.nearest(empty, np.ones((2, 4), dtype=np.float32), 5).rows.tolist() == [[*range(5)]] * 2
    assert len(seen) == 2


def test_nearest_returns_equal_rows_in_order_across_blocks() -> None:
    vectors = vectors_of(np.tile(small_vectors(1, 50).matrix, (5000, 1)))
    assert search.nearest(vectors, small_vectors(3, 50, seed=1).matrix, 20).rows.tolist() == [list(range(20))] * 3


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ml_dtypes.bfloat16])
def test_nearest_accepts_matrices_of_other_types(dtype: Any) -> None:
    vectors = vectors_of(small_vectors(2000, 12).matrix.astype(dtype))
    asked = vectors.matrix[:3]
    rows, scores = slow_nearest(asked, vectors.matrix, 9, "cosine")
    found = search.nearest(vectors, asked, 9)
    assert np.array_equal(found.rows, rows)
    np.testing.assert_allclose(found.scores, scores, atol=1e-6)


def test_nearest_does_not_depend_on_blocks_or_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, asked = small_vectors(4000, 12), small_vectors(50, 12, seed=1).matrix
    expected = search.nearest(vectors, asked, 10)
    monkeypatch.setattr(kernels, "workers", lambda: 7)
    for name, value in (("_FEWEST", 10), ("_SCORES", 100), ("VALUES", 500)):
        monkeypatch.setattr(products, name, value)
    for name, value in (("QUERIES", 3), ("VALUES", 500)):
        monkeypatch.setattr(ranking, name, value)
    again = search.nearest(vectors, asked, 10)
    assert np.array_equal(again.rows, expected.rows)
    assert np.array_equal(again.scores, expected.scores)


def test_nearest_is_exact_for_large_and_small_values() -> None:
    rows = small_vectors(300, 12).matrix
    for factor in (1e-30, 1e30):
        found = search.nearest(vectors_of(rows * np.float32(factor)), rows[:4] * factor, 5)
        assert np.array_equal(found.rows, slow_nearest(rows[:4], rows, 5, "cosine")[0])


@pytest.mark.parametrize(("count", "dim"), [(4000, 12), (60_000, 2)])
def test_euclidean_distances_are_exact_far_from_the_origin(count: int, dim: int) -> None:
    rows = small_vectors(count, dim).matrix + np.float32(1000)
    asked = rows[:5] + np.float32(0.25)
    found = search.nearest(vectors_of(rows), asked, 20, metric="euclidean")
    order, scores = slow_nearest(asked, rows, 20, "euclidean")
    assert np.array_equal(found.rows, order)
    np.testing.assert_allclose(found.scores, -scores, rtol=1e-6)


@pytest.mark.parametrize("dim", [2, 3, 6, 12, 100])
@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("length", [1e-3, 1, 1e3])
def test_nearest_is_exact_for_scores_that_are_nearly_equal(dim: int, metric: str, length: float) -> None:
    rng = np.random.default_rng(dim)
    rows = (rng.normal(size=dim) + 1e-5 * rng.normal(size=(3000, dim))).astype(np.float32)
    asked = length * (rows[:6] + rng.normal(size=(6, dim)))
    found = search.nearest(vectors_of(rows), asked, 5, metric=metric)
    wide = rows.astype(np.float64)
    scores = asked @ wide.T
    if metric == "cosine":
        scores /= np.linalg.norm(asked, axis=1)[:, None] * np.linalg.norm(wide, axis=1)
    # Scores are ranked as float32, and equal ones by the number of the row.
    reached = np.take_along_axis(scores, found.rows, 1).astype(np.float32)
    np.testing.assert_array_equal(reached, -np.sort(-scores.astype(np.float32), axis=1)[:, :5])


def test_nearest_never_returns_rows_with_nan_or_infinity() -> None:
    vectors = vectors_of(np.array([[np.nan, 1], [0, 0], [-1, 0], [np.inf, 1], [1, 0]], dtype=np.float32))
    for metric in ("cosine", "dot", "euclidean"):
        assert search.nearest(vectors, np.array([[1.0, 0.0]]), 5, metric=metric).rows.tolist() == [[4, 1, 2, -1, -1]]
    assert search.nearest(vectors, np.zeros((1, 2)), 3).rows.tolist() == [[1, 2, 4]]
    assert search.nearest(vectors, np.zeros((1, 2)), 3).scores.tolist() == [[0, 0, 0]]


def test_nearest_applies_limit_and_exclude() -> None:
    vectors = small_vectors(500, 12)
    asked = vectors.matrix[:3]
    found = search.nearest(vectors, asked, 4, limit=50, exclude=np.array([[0, 7], [1, -1], [-1, -1]]))
    for at, excluded in enumerate(([0, 7], [1], [])):
        order = [
            row
            for row in slow_nearest(asked[at : at + 1], vectors.matrix[:50], 50, "cosine")[0][0]
            if row not in excluded
        ]
        assert found.rows[at].tolist() == order[:4]
    nothing = search.nearest(vectors, asked, 2, limit=1, exclude=np.zeros((3, 1), dtype=np.int64))
    assert nothing.rows.tolist() == [[-1, -1]] * 3


@pytest.mark.parametrize("count", [1, 9, 30, 90])
def test_excluded_rows_do_not_take_the_places_of_others(count: int) -> None:
    vectors = small_vectors(100, 12)
    asked = vectors.matrix[:2]
    order = slow_nearest(asked, vectors.matrix, 100, "cosine")[0]
    found = search.nearest(vectors, asked, 5, exclude=order[:, :count])
    assert found.rows.tolist() == order[:, count : count + 5].tolist()


def test_neighbors_accepts_words_and_vectors() -> None:
    vectors = small_vectors(200, 12)
    one = vectors.neighbors("w3", 5)
    assert vectors.neighbors(["w3", "w4"], 5) == [one, vectors.neighbors("w4", 5)]
    assert "w3" not in dict(one)
    by_vector = vectors.neighbors(vectors["w3"], 6)
    assert by_vector[0] == ("w3", 1.0)
    assert by_vector[1:] == one
    assert vectors.neighbors(vectors[["w3", "w4"]], 6)[0] == by_vector
    assert vectors.neighbors(vectors["w3"].tolist(), 6) == by_vector
    assert vectors.neighbors(iter(["w3"]), 5) == [one]
    assert vectors.neighbors([], 5) == []
    nearest = vectors.neighbors("w3", 1, metric="euclidean", limit=10)[0]
    assert nearest[1] == pytest.approx(np.linalg.norm(vectors[nearest[0]] - vectors["w3"]), abs=1e-6)


KNOWN = "is not one of 'cosine', 'dot', 'euclidean'"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v: v.neighbors(np.zeros(3)), "queries of shape (1, 3) do not match vectors of 12 values"),
        (lambda v: v.neighbors(v["w1"] * np.nan), "query 0 contains NaN or infinity"),
        (lambda v: v.neighbors("w1", 0), "k=0 requests no neighbors; pass 1 or more"),
        (lambda v: v.neighbors("w1", limit=0), "limit=0 leaves no rows to search; pass 1 or more"),
        (lambda v: v.neighbors("w1", metric="l2"), f"metric='l2' {KNOWN}"),
        (lambda v: v.analogy("w1", "w2", ["w3", "w4"]), "a, b and c must have the same length; got 1, 1, 2 words"),
        (lambda v: v.analogy("w1", "w2", "w3", method="3"), "method='3' is not one of '3cosadd', '3cosmul'"),
        (lambda v: search.build_index(v, metric="l2"), f"metric='l2' {KNOWN}"),
    ],
)
def test_search_with_invalid_options_raises(call: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        call(small_vectors(10, 12))
    assert str(caught.value) == message


def test_neighbors_of_missing_words_raises() -> None:
    with pytest.raises(VocabularyError) as caught:
        small_vectors(10, 12).neighbors(["w1", "cow"])
    assert str(caught.value) == "1 of 2 words are missing: 'cow'; no n-gram table to compose from"


@pytest.mark.filterwarnings("ignore:Call to deprecated `init_sims`")  # gensim calls it itself
def test_neighbors_and_analogies_equal_gensim() -> None:
    vectors = small_vectors(3000, 25)
    peer = gensim_of(vectors)
    for word in ("w0", "w17", "w2999"):
        mine, theirs = vectors.neighbors(word, 20, limit=2000), peer.most_similar(word, topn=20, restrict_vocab=2000)
        assert [found for found, _ in mine] == [found for found, _ in theirs]
        assert [score for _, score in mine] == pytest.approx([score for _, score in theirs], abs=1e-6)
    for a, b, c in (("w1", "w2", "w3"), ("w5", "w5", "w9")):
        for method, theirs in (
            ("3cosadd", peer.most_similar(positive=[b, c], negative=[a])),
            ("3cosmul", peer.most_similar_cosmul(positive=[b, c], negative=[a])),
        ):
            mine = vectors.analogy(a, b, c, method=method)
            assert [found for found, _ in mine] == [found for found, _ in theirs]
            assert [score for _, score in mine] == pytest.approx([score for _, score in theirs], rel=2e-5)
    assert vectors.analogy(["w1", "w2"], ["w3", "w4"], ["w5", "w6"])[1] == vectors.analogy("w2", "w4", "w6")


def test_neighbors_in_glove_equal_gensim(real_glove: Path) -> None:
    vectors = load(real_glove, limit=100_000)
    peer = gensim_of(vectors)
    words = ["the", "frog", "paris", "2003", ","]
    for word, mine in zip(words, vectors.neighbors(words), strict=True):
        theirs = peer.most_similar(word)
        assert [found for found, _ in mine] == [found for found, _ in theirs]
        assert [score for _, score in mine] == pytest.approx([score for _, score in theirs], abs=1e-6)
    assert vectors.analogy("man", "king", "woman", 1)[0][0] == "queen"


def test_neighbors_composes_missing_words_from_ngrams() -> None:
    vectors = small_vectors(50, 12)
    table = NgramTable(small_vectors(100, 12, seed=2).matrix, minn=3, maxn=4)
    composing = Vectors(vectors.words, vectors.matrix, ngrams=table)
    expected = vectors.neighbors(table["zyzzyx"], 5)
    assert composing.neighbors("zyzzyx", 5) == expected
    assert composing.neighbors(["w1", "zyzzyx"], 5) == [vectors.neighbors("w1", 5), expected]
    by_rows = vectors_of(np.vstack([vectors.matrix, table["zyzzyx"]]))
    assert composing.analogy("w1", "zyzzyx", "w2", 5) == by_rows.analogy("w1", "w50", "w2", 5)
    with pytest.raises(VocabularyError, match="'' is missing; no n-grams in the table"):
        composing.neighbors("")


def test_nearest_accepts_arrays_and_vectors_with_or_without_norms() -> None:
    vectors = small_vectors(300, 12)
    asked = vectors.matrix[:3]
    expected = search.nearest(vectors, asked, 5)
    for found in (
        search.nearest(vectors.matrix, asked, 5),
        search.nearest(vectors.matrix, asked, 5, norms=vectors.norms),
    ):
        assert np.array_equal(found.rows, expected.rows)
        assert np.array_equal(found.scores, expected.scores)
    with pytest.raises(OptionError, match="the matrix must have two dimensions"):
        search.nearest(vectors.matrix[0], asked)
    with pytest.raises(OptionError, match=r"norms of shape \(7,\) do not match 300 rows"):
        search.nearest(vectors.matrix, asked, norms=vectors.norms[:7])


def test_nearest_reports_all_pairs_to_the_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    totals, shown, done = [], [], []

    @contextlib.contextmanager
    def recorded(total: int, **options: Any) -> Iterator[Any]:
        totals.append(total)
        shown.append(options["shown"])
        yield SimpleNamespace(advance=done.append)

    monkeypatch.setattr("vecload.search.ranking.progress_bar", recorded)
    small_vectors(9000, 12).neighbors(["w1", "w2"], progress=True)
    assert (totals, shown, sum(done)) == ([18_000], [True], 18_000)


def test_norms_are_cached_and_read_only() -> None:
    vectors = small_vectors(5000, 12)
    assert vectors.norms is vectors.norms
    np.testing.assert_allclose(vectors.norms, np.linalg.norm(vectors.matrix, axis=1), rtol=1e-6)
    assert not vectors.norms.flags.writeable


@pytest.mark.parametrize("neighborhood", [1, 10, 1000])
def test_csls_matches_its_formula(neighborhood: int) -> None:
    source, target = small_vectors(150, 12), small_vectors(220, 12, seed=1)
    cosines = scores_of(source.matrix, target.matrix, "cosine")
    to_target = np.sort(cosines, axis=1)[:, ::-1][:, :neighborhood].mean(axis=1)
    to_source = np.sort(cosines, axis=0)[::-1][:neighborhood].mean(axis=0)
    scores = 2 * cosines - to_target[:, None] - to_source
    asked = np.array([3, 140, 3])
    for queries, rows in ((None, np.arange(150)), (asked, asked)):
        found = search.csls(source, target, queries, 5, neighborhood=neighborhood)
        assert np.array_equal(found.rows, np.argsort(-scores[rows], axis=1)[:, :5])
        np.testing.assert_allclose(found.scores, -np.sort(-scores[rows], axis=1)[:, :5], atol=1e-6)


def test_csls_of_different_dimensions_raises() -> None:
    with pytest.raises(OptionError, match=r"queries of shape \(5, 4\) do not match vectors of 3 values"):
        search.csls(small_vectors(5, 4), small_vectors(5, 3))


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_index_finds_most_of_the_nearest_rows(metric: search.Metric, tmp_path: Path) -> None:
    pytest.importorskip("usearch")
    vectors = small_vectors(3000, 12)
    index = search.build_index(vectors, metric=metric)
    assert index.recall(10, sample=200) > 0.9
    index.save(tmp_path / "i.usearch")
    again = search.open_index(tmp_path / "i.usearch", vectors)
    assert again.metric == metric
    for count in (1, 20):
        mine = again.nearest(vectors.matrix[:count])
        exactly = search.nearest(vectors, vectors.matrix[:count], metric=metric)
        same = mine.rows == exactly.rows
        assert np.mean([np.isin(*pair).mean() for pair in zip(mine.rows, exactly.rows, strict=True)]) > 0.8
        np.testing.assert_allclose(mine.scores[same], exactly.scores[same], atol=1e-3)
    assert same.mean() > 0.8  # of 20 queries; one missing neighbor shifts all later ones
    few = search.build_index(small_vectors(3, 12), metric=metric).nearest(small_vectors(2, 12).matrix, 5)
    assert (few.rows[:, 3:] == -1).all()
    assert np.isnan(few.scores[:, 3:]).all()


def test_int8_index_needs_cosine() -> None:
    """usearch scales rows to fill eight bits, so products and distances would be wrong; cosines are correct."""
    pytest.importorskip("usearch")
    vectors = vectors_of(5 * small_vectors(300, 12).matrix)
    assert search.build_index(vectors, dtype="int8").recall(5) > 0.8
    for metric in ("dot", "euclidean"):
        with pytest.raises(OptionError, match="keeps only the direction of a row; use metric='cosine'"):
            search.build_index(vectors, metric=metric, dtype="int8")


def test_recall_is_low_for_an_index_of_other_rows() -> None:
    pytest.importorskip("usearch")
    graph = search.build_index(small_vectors(1000, 12, seed=5)).graph
    assert search.Index(small_vectors(1000, 12).matrix, "cosine", graph).recall(10) < 0.2


def test_open_index_of_another_file_raises(tmp_path: Path) -> None:
    pytest.importorskip("usearch")
    path = tmp_path / "i.usearch"
    search.build_index(small_vectors(30, 12)).save(path)
    with pytest.raises(FormatError, match="the index was built from other vectors: found 30 × 12, expected 31 × 12"):
        search.open_index(path, small_vectors(31, 12))
    path.write_bytes(b"not an index" * 100)
    with pytest.raises(FormatError, match="not a usearch index"):
        search.open_index(path, small_vectors(30, 12))
    with pytest.raises(FileNotFoundError):
        search.open_index(tmp_path / "none", small_vectors(30, 12))


def test_build_index_without_usearch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "vecload\[index\]"'):
        search.build_index(small_vectors(3, 12))


def test_products_of_cosines_are_exact_where_rows_are_opposite() -> None:
    """A cosine of -1 with `a` makes the divisor nearly 0, which magnifies rounding errors."""
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 20, 30)).astype(np.float32)
    rows = np.concatenate([-one + 1e-3 * rng.normal(size=(50, 30)) for one in a]).astype(np.float32)
    found = search.solve_analogies(rows, np.stack([a, b, c], axis=1), 5, method="3cosmul")
    a, b, c, units = (x / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True) for x in (a, b, c, rows))
    near_a, near_b, near_c = ((1 + x @ units.T) / 2 for x in (a, b, c))
    scores = near_b * near_c / (near_a + 1e-6)
    np.testing.assert_array_equal(found.rows, np.argsort(-scores, axis=1)[:, :5])


def test_orthogonal_rows_are_in_the_order_of_their_numbers() -> None:
    """Their cosines would be rounding errors of 1e-17, of either sign."""
    query = np.array([[1.0, 1.0, 1.0]]) / 3
    rows = np.float32([[0.1, 0.2, -0.3], [0.7, -0.4, -0.3], [-0.6, 0.4, 0.2], [0.9, -0.2, -0.7], [0, 0, 0]])
    exact = rows.astype(np.float64)
    rows = np.float32(np.round(exact * 10)) / 8  # exactly orthogonal
    assert search.nearest(rows, query, 5).rows.tolist() == [[0, 1, 2, 3, 4]]
    assert not search.nearest(rows, query, 5).scores.any()
