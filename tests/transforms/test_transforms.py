"""Transforms compared with scikit-learn and their definitions; quantization, pruning and merging."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.builders import vectors_of
from vecload import Vectors, Words, load, transforms
from vecload.cli import app
from vecload.errors import OptionError, VocabularyError
from vecload.formats import History


def float_vectors(rows: Any) -> Vectors:
    return vectors_of(rows, np.float32)


@pytest.fixture
def skewed() -> Vectors:
    rng = np.random.default_rng(0)
    return float_vectors(rng.normal(size=(9000, 6)) @ rng.normal(size=(6, 6)) + [5, 0, 0, 1, 0, 0])


def test_unit_and_center_match_their_definitions(skewed: Vectors) -> None:
    norms = np.linalg.norm(skewed.matrix.astype(float), axis=1, keepdims=True)
    np.testing.assert_allclose(transforms.unit(skewed).matrix, skewed.matrix / norms, rtol=1e-6)
    assert np.abs(transforms.center(skewed).matrix.mean(axis=0)).max() < 1e-5
    assert transforms.unit(skewed).dtype == np.float32


def test_pca_matches_scikit_learn(skewed: Vectors) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    expected = decomposition.PCA(3, svd_solver="full").fit(skewed.matrix.astype(float))
    mine = transforms.pca(skewed, 3).matrix
    theirs = expected.transform(skewed.matrix.astype(float))
    np.testing.assert_allclose(np.abs(mine), np.abs(theirs), atol=1e-4)


def test_all_but_the_top_matches_its_definition(skewed: Vectors) -> None:
    rows = skewed.matrix.astype(float) - skewed.matrix.astype(float).mean(axis=0)
    _, _, axes = np.linalg.svd(rows, full_matrices=False)
    for k in (0, 2, 5):
        expected = rows - sum((np.outer(rows @ axis, axis) for axis in axes[:k]), np.zeros_like(rows))
        np.testing.assert_allclose(transforms.all_but_the_top(skewed, k).matrix, expected, atol=1e-4)
    assert transforms.all_but_the_top(skewed).history.transforms[0]["step"] == "all_but_the_top:1"
    reduced = transforms.ppa_pca(skewed, 4, remove=2)
    by_hand = transforms.all_but_the_top(transforms.pca(transforms.all_but_the_top(skewed, 2), 4), 2)
    assert np.array_equal(reduced.matrix, by_hand.matrix)
    assert reduced.dim == 4


def test_whiten_makes_columns_uncorrelated(skewed: Vectors) -> None:
    np.testing.assert_allclose(np.cov(transforms.whiten(skewed).matrix.T, bias=True), np.eye(6), atol=1e-3)
    flat = float_vectors(np.column_stack([skewed.matrix, np.full(len(skewed), 3.0)]))
    white = transforms.whiten(flat).matrix
    assert np.isfinite(white).all()
    assert np.abs(white[:, 6]).max() < 1e-6


def test_weight_multiplies_rows_by_sif_weights() -> None:
    vectors = float_vectors([[1, 1], [2, 2], [4, 4]])
    counts = {"w0": 6, "w1": 2, "cow": 9}
    found = transforms.weight(vectors, 0.5, counts=counts).matrix
    np.testing.assert_allclose(found[:, 0], [0.5 / (0.5 + 0.75), 2 * 0.5 / (0.5 + 0.25), 4], rtol=1e-6)
    zipf = np.array([1, 1 / 2, 1 / 3]) / (1 + 1 / 2 + 1 / 3)
    np.testing.assert_allclose(
        transforms.weight(vectors, 0.5).matrix[:, 0], [1, 2, 4] * (0.5 / (0.5 + zipf)), rtol=1e-6
    )


@pytest.mark.parametrize("steps", [["center"], ["whiten"], ["weight:0.01"], ["pca:6", "center", "whiten", "weight"]])
def test_undo_reverses_linear_steps_also_after_saving(steps: list[str], skewed: Vectors, tmp_path: Path) -> None:
    vectors = transforms.transform(skewed, steps)
    vectors.save(tmp_path / "v.safetensors")
    for undone in (vectors, load(tmp_path / "v.safetensors")):
        for _ in steps:
            undone = transforms.undo(undone)  # noqa: PLW2901
        assert undone.history.transforms == ()
        np.testing.assert_allclose(undone.matrix, skewed.matrix, atol=1e-3)


def test_undo_returns_the_projection_after_pca(skewed: Vectors) -> None:
    reduced = transforms.pca(skewed, 2)
    assert transforms.undo(reduced).dim == 6
    again = transforms.pca(transforms.undo(reduced), 2)
    np.testing.assert_allclose(again.matrix, reduced.matrix, atol=1e-3)
    np.testing.assert_allclose(
        transforms.undo(transforms.all_but_the_top(skewed, 1)).matrix.mean(0), skewed.matrix.mean(0), atol=1e-4
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (transforms.undo, "the history of the vectors holds no transform, so there is nothing to undo"),
        (
            lambda v: transforms.undo(transforms.unit(v)),
            "unit cannot be undone: the removed information",
        ),
        (
            lambda v: transforms.undo(transforms.transform(v, ["weight", "limit:2"])),
            "weight cannot be undone, because rows were added",
        ),
        (lambda v: transforms.all_but_the_top(v, 2), "all_but_the_top: k=2 is not between 0 and 1 of 2 components"),
        (lambda v: transforms.pca(v, 3), "pca: k=3 is not between 1 and 2, the number of dimensions"),
        (lambda v: transforms.weight(v, 0), "weight: a=0 is not above 0"),
        (lambda v: transforms.transform(v, "unit"), "steps must be a list of strings, not one string"),
        (lambda v: transforms.transform(v, ["sphere"]), "unknown step 'sphere'; choose from: unit, center"),
        (lambda v: transforms.transform(v, ["pca"]), "step pca needs a number: pca:N"),
        (lambda v: transforms.transform(v, ["pca:x"]), "step pca: 'x' is not a number"),
        (lambda v: transforms.transform(v, ["unit:3"]), "step unit takes no argument, found '3'"),
        (lambda v: transforms.to_half(v, "int8"), "dtype='int8' is not one of 'float16', 'bfloat16'"),
        (
            lambda v: transforms.to_half(float_vectors(v.matrix * 1e6), "float16"),
            "float16 cannot hold the value 7e+06; bfloat16 can",
        ),
        (lambda v: transforms.product_quantize(v, 3), "product_quantize: 2 columns cannot be cut into 3 equal parts"),
        (
            lambda v: transforms.product_quantize(v, 1, centroids=257),
            "product_quantize: centroids=257 is not between 1 and 256",
        ),
        (lambda v: transforms.prune(v, 0), "prune: keep=0 keeps no rows"),
        (lambda v: transforms.prune(v, "w1"), "keep must be a list of strings, not one string"),
        (lambda v: transforms.merge([v]), "merge needs two or more sources, got 1"),
        (
            lambda v: transforms.merge([v, v], "sum"),
            "combine='sum' is not one of 'first', 'average', 'concatenate', 'svd'",
        ),
        (lambda v: transforms.merge([v, transforms.pca(v, 1)], "first"), "same dimension, got [2, 1]"),
        (lambda v: transforms.merge([v, v], dim=3), "dim is for combine='svd', not for 'concatenate'"),
        (lambda v: transforms.merge([v, v], "svd", dim=9), "dim=9 is not between 1 and 4, the number of directions"),
    ],
)
def test_transforms_with_invalid_options_raise(call: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        call(float_vectors([[1, 2], [3, 4], [5, 7]]))
    assert message in str(caught.value)


@pytest.mark.parametrize("step", ["unit", "center", "abtt:1", "pca:1", "whiten", "weight"])
def test_steps_accept_zeros_and_constant_columns_but_not_nan(step: str) -> None:
    assert np.isfinite(transforms.transform(float_vectors([[0, 0], [3, 3], [0, 3]]), [step]).matrix).all()
    assert np.isfinite(transforms.transform(float_vectors([[0, 0], [0, 0]]), [step]).matrix).all()
    with pytest.raises(OptionError, match="1 row has NaN or infinity, first that of 'w1'"):
        transforms.transform(float_vectors([[0, 0], [np.nan, 3]]), [step])
    with pytest.raises(OptionError, match="the vectors have no rows to transform"):
        transforms.transform(float_vectors(np.zeros((0, 2))), [step])


def test_quantization_reports_its_loss(skewed: Vectors) -> None:
    rows = skewed.matrix.astype(float)
    quantized = [
        transforms.int8(skewed),
        transforms.product_quantize(skewed, 3),
        transforms.product_quantize(skewed, 2, centroids=16),
    ]
    results = [(one.vectors, one.loss) for one in quantized]
    for width in ("float16", "bfloat16"):
        half = transforms.to_half(skewed, width)
        results.append((half, transforms.Loss(**half.meta["loss"])))
        assert half.dtype.name == width
    for vectors, loss in results:
        back = vectors.matrix.astype(float)
        assert loss.relative == pytest.approx(np.square(back - rows).sum() / np.square(rows).sum(), rel=1e-6)
        cosines = (back * rows).sum(axis=1) / np.linalg.norm(back, axis=1) / np.linalg.norm(rows, axis=1)
        assert loss.cosine == pytest.approx(cosines.mean(), rel=1e-9)
    sizes = {loss.ratio: loss.relative for _, loss in results}
    assert results[3][1].relative < results[4][1].relative < results[0][1].relative * 10 < 1
    assert results[1][1].relative < results[2][1].relative < 0.2
    assert results[0][1].bytes == 9000 * (6 + 4)
    assert min(sizes) < 0.15
    off = np.abs(quantized[0].vectors.matrix - skewed.matrix).max(axis=1)
    assert (off <= np.abs(skewed.matrix).max(axis=1) / 253.9).all()


def test_product_quantize_of_few_rows_is_exact() -> None:
    vectors = float_vectors(np.random.default_rng(0).normal(size=(50, 4)))
    assert transforms.product_quantize(vectors, 2).loss.relative < 1e-12
    assert transforms.int8(float_vectors([[0, 0], [1, -1]])).loss.relative < 1e-12


def test_prune_gives_words_the_nearest_kept_row(skewed: Vectors) -> None:
    vectors = float_vectors(skewed.matrix[:500])
    for keep, kept in ((40, np.arange(40)), (["w7", "w3", "cow", "w499"], np.array([3, 7, 499]))):
        found = transforms.prune(vectors, keep)
        unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
        cosines = unit @ unit[kept].T
        cosines[kept] = np.eye(len(kept)) * 2
        assert np.array_equal(found.rows, cosines.argmax(axis=1))
        np.testing.assert_allclose(found.scores, cosines.max(axis=1).clip(max=1), atol=1e-6)
        assert list(found.vectors.words) == [f"w{at}" for at in kept]
        assert np.array_equal(found.expanded().matrix, found.vectors.matrix[found.rows])
        assert list(found.expanded().words) == list(vectors.words)


def test_deduplicate_stores_equal_rows_once() -> None:
    vectors = float_vectors([[3, 1], [1, 2], [3, 1], [0, 0], [1, 2]])
    found = transforms.deduplicate(vectors)
    assert found.vectors.matrix.tolist() == [[3, 1], [1, 2], [0, 0]]
    assert found.rows.tolist() == [0, 1, 0, 2, 1]
    assert list(found.vectors.words) == ["w0", "w1", "w3"]
    assert np.array_equal(found.expanded().matrix, vectors.matrix)


def test_merge_combines_common_or_all_words() -> None:
    one = Vectors(Words.from_strings(["a", "b", "c"]), np.array([[3, 4], [0, 2], [0, 0]], "f4"))
    two = Vectors(Words.from_strings(["c", "a", "d"]), np.array([[1, 0, 0], [0, 5, 0], [0, 0, 1]], "f4"))
    both = transforms.merge([one, two])
    assert list(both.words) == ["a", "c"]
    np.testing.assert_allclose(both.matrix, [[0.6, 0.8, 0, 1, 0], [0, 0, 1, 0, 0]], rtol=1e-6)
    mean = transforms.merge([one, two], "average", words="all")
    assert list(mean.words) == ["a", "b", "c", "d"]
    np.testing.assert_allclose(mean.matrix, [[0.3, 0.9, 0], [0, 1, 0], [0.5, 0, 0], [0, 0, 1]], rtol=1e-6)
    third = Vectors(["d", "c", "a"], np.array([[0, 2], [3, 0], [1, 1]], "f4"))
    first = transforms.merge([one, third], "first", words="all")
    assert list(first.words) == ["a", "b", "c", "d"]
    np.testing.assert_allclose(first.matrix, [[0.6, 0.8], [0, 1], [0, 0], [0, 1]], rtol=1e-6)
    assert list(transforms.merge([one, third], "first").words) == ["a", "c"]
    large = transforms.merge([one, two], words="all").matrix
    svd = transforms.merge([one, two], "svd", dim=5, words="all").matrix
    np.testing.assert_allclose(svd @ svd.T, large @ large.T, atol=1e-5)  # equal up to a rotation
    u, s, _ = np.linalg.svd(large.astype(float), full_matrices=False)
    few = transforms.merge([one, two], "svd", dim=2, words="all").matrix
    np.testing.assert_allclose(np.abs(few), np.abs(u[:, :2] * s[:2]), atol=1e-5)
    with pytest.raises(VocabularyError, match="2 sources have no word in common"):
        transforms.merge([one, Vectors(Words.from_strings(["x"]), np.ones((1, 2), "f4"))])
    with pytest.raises(OptionError, match="rows with NaN or infinity cannot be merged"):
        transforms.merge([one, Vectors(one.words, np.full((3, 2), np.nan, "f4"))])


def test_transform_command_applies_steps_and_evaluates(tmp_path: Path) -> None:
    file, out, pairs = tmp_path / "v.txt", tmp_path / "out.safetensors", tmp_path / "pairs.tsv"
    file.write_text("cat 1 0\ndog 1 1\ncar 0 1\n")
    pairs.write_text("cat\tdog\t9\ncat\tcar\t1\n")
    arguments = ["transform", file, out, "--step", "center", "--step", "int8", "--evaluate", pairs]
    done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "3 x 2 float32" in done.stdout
    assert "reconstruction: mean cosine 0.99999" in done.stdout
    assert done.stdout.count("Spearman") == 2
    assert [one["step"] for one in load(out).history.transforms] == ["center"]
    np.testing.assert_allclose(transforms.undo(load(out)).matrix, load(file).matrix, atol=0.01)


def test_transform_accepts_short_and_full_names_of_steps(skewed: Vectors) -> None:
    for short, full in (("abtt:2", "all_but_the_top:2"), ("raunak:3", "ppa_pca:3"), ("pq:2", "product_quantize:2")):
        vectors = [transforms.transform(skewed, [name]) for name in (short, full)]
        assert np.array_equal(*(some.matrix for some in vectors))
        assert vectors[0].meta == vectors[1].meta


def test_undo_reads_the_names_of_steps_in_older_files(skewed: Vectors) -> None:
    changed = transforms.all_but_the_top(skewed, 1)
    kept = [{**changed.history.transforms[0], "step": "abtt:1"}]
    older = Vectors(changed.words, changed.matrix, history=History(transforms=tuple(kept)))
    assert np.array_equal(transforms.undo(older).matrix, transforms.undo(changed).matrix)


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"step": 3},
        {"step": "center", "mean": "x"},
        {"step": "center", "mean": [1.0]},
        {"step": "center", "mean": [[1.0, 2.0]]},
        {"step": "pca:1", "mean": [1.0, 2.0], "matrix": [[1.0], [2.0], [3.0]]},
        {"step": "pca:1", "mean": [1.0, 2.0], "matrix": [[float("nan"), 1.0], [2.0, 1.0]]},
        {"step": "weight:x", "rows": 2, "factors": None},
        {"step": "weight:1", "rows": 2, "factors": [1.0]},
        {"step": "weight:1", "rows": 2},
    ],
)
def test_undo_of_damaged_metadata_raises_option_error(kept: dict[str, object]) -> None:
    vectors = Vectors(["a", "b"], np.eye(2, dtype=np.float32), history=History(transforms=(kept,)))
    with pytest.raises(OptionError, match="damaged, so it cannot be undone"):
        transforms.undo(vectors)
