"""Compare sparsemax, softmax and matching pursuit with slow versions that are written from the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vecload.layers.transfer.entries import (
    Entries,
    mean_entries,
    pursuit_entries,
    softmax_entries,
    sparsemax_entries,
)

Doubles = npt.NDArray[np.float64]


def unit(rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def slow_sparsemax(scores: Doubles) -> Doubles:
    """Sort, find the threshold, and cut: algorithm 1 of Martins and Astudillo."""
    best = np.sort(scores)[::-1]
    size = max(j for j in range(1, len(best) + 1) if 1 + j * best[j - 1] > best[:j].sum())
    return np.maximum(scores - (best[:size].sum() - 1) / size, 0)


def slow_pursuit(vector: Doubles, atoms: Doubles, k: int) -> tuple[Doubles, list[float]]:
    """Choose atoms one by one, with a least squares solution after each; also return the norms of the residuals."""
    support: list[int] = []
    found: Doubles = np.zeros(0)
    norms = [float(np.linalg.norm(vector))]
    residual = vector
    while len(support) < k and norms[-1] > 1e-7 * norms[0]:
        atom = int(np.argmax(np.abs(atoms @ residual)))
        if atom in support:
            break
        support.append(atom)
        found = np.linalg.lstsq(atoms[support].T, vector, rcond=None)[0]
        residual = vector - found @ atoms[support]
        norms.append(float(np.linalg.norm(residual)))
    weights = np.zeros(len(atoms))
    weights[support] = found
    return weights, norms


def dense(entries: Entries, rows: int, columns: int) -> Doubles:
    made: Doubles = entries.csr((rows, columns)).toarray().astype(np.float64)
    return made


def sample(count: int, dim: int, seed: int, shared: float) -> npt.NDArray[np.float32]:
    """Return unit vectors with a common part, so that all cosines are large if it is."""
    rng = np.random.default_rng(seed)
    return unit(rng.normal(size=(count, dim)) + shared * np.random.default_rng(99).normal(size=dim))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 700), st.integers(2, 12), st.integers(0, 1000), st.sampled_from([0.0, 0.5, 3.0, 30.0]))
def test_sparsemax_equals_sorting_all_scores(count: int, dim: int, seed: int, shared: float) -> None:
    queries, matrix = sample(5, dim, seed, shared), sample(count, dim, seed + 1, shared)
    found = dense(sparsemax_entries(queries, matrix), 5, count)
    for query, row in zip(queries.astype(np.float64), found, strict=True):
        expected = slow_sparsemax(matrix.astype(np.float64) @ query)
        np.testing.assert_allclose(row, expected, atol=1e-6)
        # Weights at the edge of the support are as small as the rounding of cosines.
        assert ((row > 0) == (expected > 0))[np.abs(expected - 1e-8) > 1e-7].all()
        assert row.sum() == pytest.approx(1, abs=1e-5)
        assert (row >= 0).all()


def test_support_of_sparsemax_can_be_larger_than_the_first_candidates() -> None:
    matrix = np.tile(np.float32([[1, 0]]), (3000, 1))
    found = dense(sparsemax_entries(np.float32([[1, 0]]), matrix), 1, 3000)
    np.testing.assert_allclose(found, 1 / 3000, rtol=1e-5)
    limited = sparsemax_entries(np.float32([[1, 0]]), matrix, 7)
    assert limited.columns.tolist() == list(range(7))
    np.testing.assert_allclose(limited.values, 1 / 7, rtol=1e-6)


def test_sparsemax_does_not_depend_on_other_queries() -> None:
    queries, matrix = sample(4099, 8, 0, 0.3), sample(900, 8, 1, 0.3)
    whole = dense(sparsemax_entries(queries, matrix), 4099, 900)
    for at in (0, 2047, 2048, 4098):
        alone = dense(sparsemax_entries(queries[at : at + 1], matrix), 1, 900)
        assert (alone[0] == whole[at]).all()


@pytest.mark.parametrize("temperature", [0.1, 1.0, 1e-4])
def test_softmax_equals_its_formula(temperature: float) -> None:
    queries, matrix = sample(20, 6, 0, 0.5), sample(300, 6, 1, 0.5)
    found = dense(softmax_entries(queries, matrix, 10, temperature), 20, 300)
    for query, row in zip(queries.astype(np.float64), found, strict=True):
        cosines = matrix.astype(np.float64) @ query
        chosen = np.argsort(-cosines)[:10]
        powers = np.exp((cosines[chosen] - cosines.max()) / temperature)
        expected = np.zeros(300)
        expected[chosen] = powers / powers.sum()
        np.testing.assert_allclose(row, expected, atol=1e-5 if temperature > 1e-3 else 1e-2)
    assert softmax_entries(queries, matrix[:3], 10, 0.1).columns.max() == 2


@settings(deadline=None, max_examples=25)
@example(count=7, dim=7, k=7, seed=588)  # large coefficients of nearly dependent atoms
@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 14), st.integers(0, 1000))
def test_pursuit_equals_least_squares_after_each_step(count: int, dim: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Atoms of different lengths: they are not normalized.
    atoms = (rng.normal(size=(count, dim)) * rng.uniform(0.2, 5, size=(count, 1))).astype(np.float32)
    vectors = rng.normal(size=(6, dim)).astype(np.float32)
    found = dense(pursuit_entries(vectors, atoms, k), 6, count).astype(np.float64)
    wide = atoms.astype(np.float64)
    for vector, row in zip(vectors.astype(np.float64), found, strict=True):
        expected, norms = slow_pursuit(vector, wide, min(k, dim, count))
        # Coefficients are rounded to float32, and computed in double precision.
        rounding = 2.0**-24 * (np.abs(row) @ np.abs(wide)) + 1e-9
        assert (np.abs(row @ wide - expected @ wide) <= rounding).all()
        residual = vector - row @ wide
        assert np.linalg.norm(residual) <= norms[0] + np.linalg.norm(rounding)
        assert np.count_nonzero(row) <= k
        # Least squares: the residual is orthogonal to every chosen atom.
        chosen = wide[row != 0]
        assert (np.abs(chosen @ residual) <= np.abs(chosen) @ rounding).all()


def test_pursuit_chooses_the_same_atoms_as_the_slow_version() -> None:
    rng = np.random.default_rng(5)
    atoms = rng.normal(size=(200, 30)).astype(np.float32)
    vectors = rng.normal(size=(150, 30)).astype(np.float32)
    found = dense(pursuit_entries(vectors, atoms, 8), 150, 200)
    expected = np.array([slow_pursuit(one, atoms.astype(np.float64), 8)[0] for one in vectors.astype(np.float64)])
    assert ((found != 0) == (expected != 0)).all()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_residual_of_pursuit_never_grows_with_more_atoms() -> None:
    rng = np.random.default_rng(6)
    atoms, vectors = rng.normal(size=(50, 20)).astype(np.float32), rng.normal(size=(10, 20)).astype(np.float32)
    norms = [
        np.linalg.norm(vectors - dense(pursuit_entries(vectors, atoms, k), 10, 50) @ atoms, axis=1)
        for k in range(1, 21)
    ]
    assert (np.diff(norms, axis=0) <= 1e-6).all()
    assert norms[-1].max() < 1e-5  # as many atoms as dimensions reproduce the vectors


def test_pursuit_of_a_vector_among_the_atoms_is_the_atom() -> None:
    atoms = np.float32([[1, 1, 0], [0, 2, 0], [0, 0, 3], [1, 1, 0]])
    entries = pursuit_entries(np.float32([[0, 0, 6], [0, 0, 0], [1, 1, 0]]), atoms, 3)
    assert dense(entries, 3, 4)[:2].tolist() == [[0, 0, 2, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(dense(entries, 3, 4)[2] @ atoms, [1, 1, 0], atol=1e-6)


def test_mean_entries_are_equal_weights() -> None:
    assert dense(mean_entries([[0, 2], [], [1]]), 3, 3).tolist() == [[0.5, 0, 0.5], [0, 0, 0], [0, 1, 0]]
    assert dense(mean_entries([[1, 1, 0, 1]]), 1, 2).tolist() == [[0.25, 0.75]]
