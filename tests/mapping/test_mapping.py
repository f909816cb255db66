"""Maps between spaces: known rotations, slow references of the papers, unsupervised starts, invalid input."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from tests.reference import mapping as slow
from vecload import Vectors, Words
from vecload.errors import OptionError
from vecload.mapping import SpaceMap, find_pairs, map_series, map_spaces, read_dictionary, split_pairs, stability
from vecload.mapping.induction import unsupervised_start
from vecload.mapping.normalization import ITERATIVE, fit_normalization
from vecload.mapping.solvers import rcsls

METHODS = ["least-squares", "procrustes", "refine", "self-learning", "vecmap", "rcsls"]


def rotation(dim: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0]


def clusters(count: int, dim: int, seed: int = 0) -> np.ndarray:
    """Return rows in clusters of various sizes, like words, which are not distributed as one round cloud."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(count // 8, dim)) * rng.gamma(2, 1, size=dim)
    return centers[rng.integers(0, len(centers), count)] + 0.6 * rng.normal(size=(count, dim)) + 0.3


def named(rows: np.ndarray, prefix: str = "w", order: np.ndarray | None = None) -> Vectors:
    order = np.arange(len(rows)) if order is None else order
    return Vectors(Words.from_strings(f"{prefix}{at}" for at in order), rows[order].astype(np.float32))


def spaces(count: int = 400, dim: int = 20, noise: float = 0.0, seed: int = 0) -> tuple[Vectors, Vectors]:
    """Return a space, and a rotated copy with noise and other names for its words, in another order."""
    rng = np.random.default_rng(seed)
    rows = clusters(count, dim, seed)
    other = rows @ rotation(dim, seed) + noise * rows.std() * rng.normal(size=rows.shape)
    return named(rows), named(other, "v", rng.permutation(count))


def truth(count: int) -> list[tuple[str, str]]:
    return [(f"w{at}", f"v{at}") for at in range(count)]


def precision(mapped: Vectors, target: Vectors, pairs: list[tuple[str, str]]) -> float:
    found = slow.translations(mapped[[one for one, _ in pairs]], target.matrix)
    return float(np.mean([target.words[row] == other for row, (_, other) in zip(found, pairs, strict=True)]))


@pytest.mark.parametrize("method", ["least-squares", "procrustes", "refine", "self-learning", "rcsls"])
@pytest.mark.parametrize("normalize", [None, "iterative"])
def test_map_spaces_recovers_a_known_rotation(method: str, normalize: str | None) -> None:
    source, target = spaces()
    found = map_spaces(source, target, pairs=truth(100), method=method, normalize=normalize)
    mapped, goal = found.apply(source), found.apply_target(target)
    expected = goal[[f"v{at}" for at in range(len(source))]]
    if method == "self-learning":
        # Both sides are re-weighted, so only the neighbors can be compared.
        assert precision(mapped, goal, truth(400)) == 1.0
    elif method == "rcsls":
        # It moves words away from their neighbors, so the map is not a rotation.
        assert precision(mapped, goal, truth(400)) > 0.95
    else:
        np.testing.assert_allclose(mapped.matrix, expected, atol=1e-5)


def test_map_spaces_without_unit_step_maps_into_the_target_space() -> None:
    source, target = spaces()
    moved = Vectors(target.words, target.matrix + np.float32(3.0))  # centering finds a shift
    for normalize, other in (((), target), (("center",), moved)):
        found = map_spaces(source, other, pairs=truth(400), normalize=normalize)
        assert found.apply_target(other) is other
        np.testing.assert_allclose(
            found.apply(source).matrix, other[[f"v{at}" for at in range(400)]], atol=1e-4 if normalize else 1e-5
        )


def test_map_spaces_of_different_dimensions() -> None:
    rng = np.random.default_rng(0)
    source = named(rng.normal(size=(200, 10)))
    target = named(source.matrix @ rng.normal(size=(10, 6)))
    found = map_spaces(source, target, method="least-squares", normalize=())
    np.testing.assert_allclose(found.apply(source).matrix, target.matrix, atol=1e-5)
    assert found.inverse().apply(target).dim == 10
    with pytest.raises(OptionError, match="needs spaces of equal dimension, got 10 and 6; use"):
        map_spaces(source, target, method="vecmap")


@pytest.mark.parametrize(("dim", "other"), [(10, 6), (6, 10)])
def test_procrustes_maps_between_dimensions(dim: int, other: int) -> None:
    rng = np.random.default_rng(0)
    basis = rotation(10)[:dim, :other] if dim == 10 else rotation(10)[:dim]
    source = named(rng.normal(size=(200, dim)))
    target = named(source.matrix @ basis)
    found = map_spaces(source, target, method="procrustes", normalize=())
    # The definition: U·Vᵀ of the cross-covariance.
    u, _, vt = np.linalg.svd(source.matrix.astype(float).T @ target.matrix.astype(float), full_matrices=False)
    np.testing.assert_allclose(found.matrix, u @ vt, atol=1e-6)
    small = found.matrix if dim > other else found.matrix.T
    np.testing.assert_allclose(small.T @ small, np.eye(6), atol=1e-9)
    if dim < other:
        np.testing.assert_allclose(found.apply(source).matrix, target.matrix, atol=1e-4)


@pytest.mark.parametrize("ridge", [0.0, 0.5, 1e4])
def test_least_squares_with_ridge_solves_the_normal_equations(ridge: float) -> None:
    rng = np.random.default_rng(0)
    source, target = named(rng.normal(size=(50, 8))), named(rng.normal(size=(50, 5)))
    x, y = source.matrix.astype(float), target.matrix.astype(float)
    wanted = np.linalg.solve(x.T @ x + ridge * np.eye(8), x.T @ y)
    found = map_spaces(source, target, method="least-squares", ridge=ridge, normalize=())
    np.testing.assert_allclose(found.matrix, wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("method", "ridge", "message"),
    [("procrustes", 1.0, "ridge= applies to method='least-squares'"), ("least-squares", -1.0, "not a number from 0")],
)
def test_map_spaces_with_invalid_ridge_raises(method: str, ridge: float, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        map_spaces(*spaces(), method=method, ridge=ridge)  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "rounds"), [("refine", 6), ("rcsls", 20)])
def test_long_methods_report_their_rounds(method: str, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = []

    @contextlib.contextmanager
    def recorded(total: int | None, **options: object) -> Iterator[Any]:
        assert (total, options["shown"]) == (rounds, True)
        yield SimpleNamespace(reach=reached.append, note=lambda _: None)

    monkeypatch.setattr("vecload.mapping.learning.progress_bar", recorded)
    map_spaces(*spaces(), pairs=truth(300), method=method, progress=True)  # type: ignore[arg-type]
    assert reached == list(range(1, rounds + 1))


@pytest.mark.parametrize("normalize", [(), ("center",), ("unit", "center", "unit")])
def test_inverse_map_restores_the_source(normalize: tuple[str, ...]) -> None:
    source, target = spaces(noise=0.1)
    found = map_spaces(source, target, pairs=truth(300), normalize=normalize)
    back = found.inverse().apply(found.apply(source))
    if "unit" in normalize:
        expected = fit_normalization(source.matrix, normalize)[1]
        cosines = np.einsum("ij,ij->i", slow.unit(back.matrix), slow.unit(expected))
        assert cosines.mean() > 0.97  # the second unit step loses little
    else:
        np.testing.assert_allclose(back.matrix, source.matrix, atol=1e-4)


def test_saved_map_loads_and_maps_the_same(tmp_path: Path) -> None:
    source, target = spaces(noise=0.1)
    for method in ("procrustes", "vecmap"):
        found = map_spaces(source, target, pairs=truth(300), method=method)
        found.save(tmp_path / "map.safetensors")
        again = SpaceMap.load(tmp_path / "map.safetensors")
        assert again.apply(source).matrix.tobytes() == found.apply(source).matrix.tobytes()
        assert again.apply_target(target).matrix.tobytes() == found.apply_target(target).matrix.tobytes()
        assert (repr(again), dict(again.info)) == (repr(found), dict(found.info))
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    with pytest.raises(vecload.errors.FormatError, match="not a map between two spaces that vecload saved"):
        SpaceMap.load(tmp_path / "other.safetensors")


class TestPapers:
    """With noise and part of the dictionary, methods are as good as slow references of the papers, to half a point."""

    known, asked = truth(400)[:60], truth(400)[100:]

    @pytest.fixture(scope="class")
    @staticmethod
    def noisy() -> tuple[Vectors, Vectors, np.ndarray, np.ndarray]:
        source, target = spaces(noise=0.45, seed=3)
        return source, target, slow.normalized(source.matrix), slow.normalized(target.matrix)

    def score(self, mapped: np.ndarray, target: np.ndarray, noisy: tuple) -> float:
        source, goal = noisy[0], noisy[1]
        return precision(Vectors(source.words, mapped), Vectors(goal.words, target), self.asked)

    def rows(self, noisy: tuple, pairs: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
        source, target, x, y = noisy
        return x[[source.words.get(one) for one, _ in pairs]], y[[target.words.get(other) for _, other in pairs]]

    def compare(self, method: str, noisy: tuple, expected: float, normalize: tuple[str, ...] | None = None) -> None:
        source, target = noisy[:2]
        found = map_spaces(source, target, pairs=self.known, method=method, normalize=normalize)
        got = self.score(found.apply(source).matrix, found.apply_target(target).matrix, noisy)
        assert 0.2 < expected < 0.999  # neither trivial nor hopeless
        assert abs(got - expected) <= 0.005 or got > expected

    def test_least_squares_is_as_good_as_the_reference(self, noisy: tuple) -> None:
        source, target = noisy[0].matrix, noisy[1].matrix
        left, right = (
            vectors[[pair[at] for pair in self.known]].astype(np.float64) for at, vectors in enumerate(noisy[:2])
        )
        expected = self.score(source @ slow.least_squares(left, right), target, noisy)
        self.compare("least-squares", noisy, expected, normalize=())

    def test_self_learning_is_as_good_as_the_reference(self, noisy: tuple) -> None:
        _, _, x, y = noisy
        first = slow.procrustes(*self.rows(noisy, self.known))
        self.compare("self-learning", noisy, self.score(*slow.self_learn(x, y, first, 0), noisy))

    def test_unsupervised_start_finds_the_pairs_of_the_reference(self, noisy: tuple) -> None:
        _, _, x, y = noisy
        found = unsupervised_start(x.astype(np.float32), y.astype(np.float32))
        source, target, objective = slow.induced(slow.signatures(x), slow.signatures(y), 1.0, np.random.default_rng(0))
        assert (found.source == source).mean() > 0.99  # float32 may decide a tie differently
        assert (found.target == target).mean() > 0.99
        assert found.objective == pytest.approx(objective, abs=1e-4)

    def test_procrustes_is_as_good_as_the_reference(self, noisy: tuple) -> None:
        _, _, x, y = noisy
        self.compare("procrustes", noisy, self.score(x @ slow.procrustes(*self.rows(noisy, self.known)), y, noisy))

    def test_refine_is_as_good_as_the_reference(self, noisy: tuple) -> None:
        _, _, x, y = noisy
        matrix = slow.refine(x, y, slow.procrustes(*self.rows(noisy, self.known)))
        self.compare("refine", noisy, self.score(x @ matrix, y, noisy))

    def test_vecmap_equals_the_reference(self, noisy: tuple) -> None:
        _, _, x, y = noisy
        left, right = slow.vecmap(*self.rows(noisy, self.known), x, y)
        self.compare("vecmap", noisy, self.score(left, right, noisy))
        found = map_spaces(noisy[0], noisy[1], pairs=self.known, method="vecmap")
        np.testing.assert_allclose(found.apply(noisy[0]).matrix, left, atol=1e-3)
        np.testing.assert_allclose(found.apply_target(noisy[1]).matrix, right, atol=1e-3)

    def test_rcsls_lowers_the_loss_of_the_paper(self, noisy: tuple) -> None:
        _, _, x, y = noisy
        left, right = self.rows(noisy, self.known)
        found = rcsls(*(rows.astype(np.float32) for rows in (left, right, x, y)))
        assert np.linalg.norm(found, 2) <= 1 + 1e-6
        least = slow.rcsls_loss(found, left, right, x, y)
        assert least < slow.rcsls_loss(slow.procrustes(left, right), left, right, x, y) - 0.01

    def test_rcsls_is_as_good_as_the_reference(self, noisy: tuple) -> None:
        _, _, x, y = noisy
        expected = slow.rcsls(*self.rows(noisy, self.known), x, y)
        self.compare("rcsls", noisy, self.score(x @ expected, y, noisy))


@pytest.mark.parametrize("pairs", [truth(400)[:10], "identical", "numerals"])
def test_self_learning_grows_a_small_dictionary(pairs: list[tuple[str, str]] | str) -> None:
    source, target = spaces(noise=0.15, seed=1)
    if isinstance(pairs, str):  # ten words are the same in both spaces
        names = [f"{at}" if at < 10 else f"v{at}" for at in range(400)]
        goal = [names[int(word[1:])] for word in target.words]
        target = Vectors(Words.from_strings(goal), target.matrix)
        source = Vectors(Words.from_strings(f"{at}" if at < 10 else f"w{at}" for at in range(400)), source.matrix)
        asked = [(f"w{at}", f"v{at}") for at in range(50, 400)]
    else:
        asked = truth(400)[50:]
    plain = map_spaces(source, target, pairs=pairs)
    learned = map_spaces(source, target, pairs=pairs, method="self-learning", progress=False)
    before = precision(plain.apply(source), plain.apply_target(target), asked)
    after = precision(learned.apply(source), learned.apply_target(target), asked)
    assert before < 0.8 < 0.95 < after


def test_unsupervised_map_of_real_vectors_finds_most_words(real_glove: Path) -> None:
    """The target is a noisy, rotated, shuffled copy of the most frequent words; benchmarks/RESULTS.md has ten seeds."""
    glove = vecload.load(real_glove, limit=1200)
    rng = np.random.default_rng(5)
    other = glove.matrix @ rotation(50, 5) + 0.2 * glove.matrix.std() * rng.normal(size=glove.matrix.shape)
    order = rng.permutation(1200)
    target = Vectors(glove.words.take(order), other[order].astype(np.float32))
    found = map_spaces(glove, target, pairs="unsupervised", method="self-learning", progress=False)
    asked = [(word, word) for word in list(glove.words)[:500]]
    assert precision(found.apply(glove), found.apply_target(target), asked) > 0.9


def test_nearest_with_dropout_drops_similarities_by_their_position_only() -> None:
    """The requested share is dropped, the same in blocks of any size, and the best of the others is found."""
    from vecload.kernels.stochastic_nearest import nearest_with_dropout

    rng = np.random.default_rng(0)
    products = rng.normal(size=(300, 200)).astype(np.float32)
    shift = np.zeros(200, dtype=np.float32)
    shift.flags.writeable = False
    limit = np.uint64(0.25 * 2**64)

    def search(products: np.ndarray, first: int) -> np.ndarray:
        nearest, best = np.empty(len(products), np.int64), np.empty(len(products), np.float32)
        nearest_with_dropout(products, shift, np.uint64(7), limit, first, nearest, best)
        assert (best == products[np.arange(len(products)), nearest]).all()
        return nearest

    whole = search(products, 0)
    assert np.array_equal(whole, np.concatenate([search(products[:17], 0), search(products[17:], 17)]))
    places = (-products).argsort(axis=1).argsort(axis=1)[np.arange(300), whole]  # rank of the answer among all
    assert 0.2 < np.mean(places == 0) < 0.3  # the best of all is kept in a quarter of the rows
    assert abs(places.mean() - 3) < 0.7  # and three better ones are dropped on average


@pytest.mark.parametrize("size", [1e-30, 1e-20, 1e25])
def test_unit_step_scales_rows_of_any_size(size: float) -> None:
    """Squares of these values underflow or overflow in float32."""
    rows = np.random.default_rng(0).normal(size=(2000, 8))
    rows[7] = 0
    scaled = fit_normalization((rows * size).astype(np.float32), ("unit",))[1]
    np.testing.assert_allclose(scaled, slow.unit(rows), atol=1e-5)


def test_iterative_normalization_converges() -> None:
    """Zhang et al. 2019: rows have unit length and a mean of zero, which one round does not achieve."""
    rows = clusters(300, 10) + 5
    once = fit_normalization(rows, ("unit", "center", "unit"))[1]
    _, often = fit_normalization(rows, ITERATIVE)
    np.testing.assert_allclose(np.linalg.norm(often, axis=1), 1, atol=1e-6)
    assert np.linalg.norm(often.mean(axis=0)) < 1e-3 < np.linalg.norm(once.mean(axis=0))


def test_fitted_normalization_applies_the_same_to_the_same_rows() -> None:
    rows = clusters(300, 10)
    fitted, normalized = fit_normalization(rows, ITERATIVE)
    np.testing.assert_array_equal(fitted.apply(rows), normalized)
    assert fitted.apply(np.zeros((1, 10))).shape == (1, 10)
    assert not fit_normalization(np.zeros((2, 3)), ("unit",))[1].any()  # no NaN


def test_read_dictionary_reads_pairs_and_reports_malformed_lines(tmp_path: Path) -> None:
    file = tmp_path / "en-de.txt"
    file.write_bytes("cat Katze\r\ncat  Kater \n\ndog\tHund\nNew York\tNew York\ncat Katze\n\u00a0x \u3000\n".encode())
    pairs = [("cat", "Katze"), ("cat", "Kater"), ("dog", "Hund"), ("New York", "New York"), ("\u00a0x", "\u3000")]
    assert read_dictionary(file) == pairs
    for content, problem in (
        ("a b c\n", "line 1: not a pair of words"),
        ("\n", "without pairs"),
        ("a b\nc\n", "line 2"),
    ):
        file.write_text(content)
        with pytest.raises(vecload.errors.FormatError, match=problem):
            read_dictionary(file)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("ABC")), min_size=1), st.floats(0.01, 0.99))
def test_split_pairs_keeps_all_pairs_and_splits_by_source_word(pairs: list[tuple[str, str]], share: float) -> None:
    if len({one for one, _ in pairs}) < 2:
        with pytest.raises(OptionError, match="cannot be split"):
            split_pairs(pairs, test=share)
        return
    train, test = split_pairs(pairs, test=share, seed=1)
    assert sorted(train + test) == sorted(pairs)
    assert train
    assert test
    assert not {one for one, _ in train} & {one for one, _ in test}


def test_find_pairs_finds_identical_words_and_numerals() -> None:
    a = Vectors(Words.from_strings(["cat", "1984", "3.14", "x2"]), np.eye(4, dtype=np.float32))
    b = Vectors(Words.from_strings(["x2", "3.14", "1984", "Katze"]), np.eye(4, dtype=np.float32))
    assert find_pairs(a, b, "identical").source.tolist() == [1, 2, 3]
    assert find_pairs(a, b, "numerals").target.tolist() == [2, 1]


def test_map_series_and_stability_find_the_word_that_changed() -> None:
    rows = clusters(300, 12)
    rng = np.random.default_rng(0)
    years = [named(rows @ rotation(12, seed) + 0.02 * rng.normal(size=rows.shape)) for seed in range(3)]
    changed = years[0].matrix.copy()
    changed[7] = rng.normal(size=12) * 3  # one word had another meaning then
    years[0] = Vectors(years[0].words, changed)
    maps = map_series(years)
    before, after = maps[0].apply(years[0]), maps[0].apply_target(years[2])
    cosines = np.einsum("ij,ij->i", slow.unit(before.matrix), slow.unit(after.matrix))
    assert int(np.argmin(cosines)) == 7
    moved = stability(years[0], years[2])
    assert int(np.argmin(moved.cosine)) == 7
    assert moved.overlap[7] < 0.5 < np.median(moved.overlap)
    assert moved.overlap.shape == moved.cosine.shape == (300,)


def brute_overlap(a: np.ndarray, b: np.ndarray, row: int, k: int) -> float:
    nearest = []
    for rows in (slow.unit(a), slow.unit(b)):
        order = sorted((at for at in range(len(rows)) if at != row), key=lambda at: -float(rows[at] @ rows[row]))
        nearest.append(set(order[:k]))
    return len(nearest[0] & nearest[1]) / k


def test_stability_overlap_equals_brute_force() -> None:
    a, b = clusters(80, 6, 0), clusters(80, 6, 1)
    moved = stability(named(a), named(b), words=["w3", "w70"], k=8)
    assert moved.overlap.tolist() == pytest.approx([brute_overlap(a, b, row, 8) for row in (3, 70)])


class TestInvalidInput:
    def test_map_spaces_without_common_words_raises(self) -> None:
        source, target = spaces()
        with pytest.raises(OptionError, match="no words in common"):
            map_spaces(source, target)
        with pytest.raises(OptionError, match="none of the 1 pairs has both words in the spaces: the source"):
            map_spaces(source, target, pairs=[("v1", "w1")])

    def test_vecmap_with_fewer_pairs_than_dimensions_raises(self) -> None:
        source, target = spaces()
        with pytest.raises(OptionError, match=r"whitening needs pairs that span all 20 dimensions; 7 pairs span 7"):
            map_spaces(source, target, pairs=truth(7), method="vecmap")
        for method in ("procrustes", "least-squares"):
            found = map_spaces(source, target, pairs=truth(7), method=method)
            assert np.isfinite(found.matrix).all()

    def test_map_spaces_with_zero_rows_and_constant_columns_is_finite(self) -> None:
        source, target = spaces()
        rows, others = source.matrix.copy(), target.matrix.copy()
        rows[5], others[5], rows[:, 2] = 0, 0, 1.5
        source, target = Vectors(source.words, rows), Vectors(target.words, others)
        for method in METHODS:
            found = map_spaces(source, target, pairs=truth(200), method=method, progress=False)
            assert np.isfinite(found.apply(source).matrix).all()
            assert np.isfinite(found.apply_target(target).matrix).all()

    def test_map_spaces_with_nan_raises(self) -> None:
        source, target = spaces()
        rows = source.matrix.copy()
        rows[3, 3] = np.nan
        with pytest.raises(OptionError, match="NaN or infinity"):
            map_spaces(Vectors(source.words, rows), target, pairs=truth(200))

    @pytest.mark.parametrize("normalize", [(), ("center",), ("unit", "center", "unit")])
    def test_map_spaces_with_nan_beyond_limit_raises(self, normalize: tuple[str, ...]) -> None:
        source, target = spaces()
        rows = source.matrix.copy()
        rows[150, 3] = np.nan  # in a pair; and in the mean
        broken = Vectors(source.words, rows)
        swapped = [(target_word, source_word) for source_word, target_word in truth(200)]
        for one, other, pairs in ((broken, target, truth(200)), (target, broken, swapped)):
            with pytest.raises(OptionError, match="NaN or infinity"):
                map_spaces(one, other, pairs=pairs, normalize=normalize, limit=100)

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({"method": "magic"}, "method='magic' is not one of"),
            ({"normalize": "length"}, "is not a sequence of 'unit' and 'center'"),
            ({"normalize": ["length"]}, "is not a sequence of 'unit' and 'center'"),
            ({"normalize": ["unit", "center"], "method": "refine"}, "the last step of normalize= must be 'unit'"),
            ({"limit": 0}, "leaves no words"),
            ({"pairs": "unsupervised"}, "needs method 'self-learning' or 'refine'"),
        ],
    )
    def test_map_spaces_with_invalid_options_raises(self, options: dict, problem: str) -> None:
        source, target = spaces()
        with pytest.raises(OptionError, match=problem):
            map_spaces(source, target, **{"pairs": truth(100), **options})

    def test_apply_to_vectors_of_another_dimension_raises(self) -> None:
        source, target = spaces()
        found = map_spaces(source, target, pairs=truth(100))
        with pytest.raises(OptionError, match="this side of the map has 20 dimensions, the vectors have 3"):
            found.apply(named(np.zeros((2, 3))))
