"""Vectors whose words share rows give the results of the same vectors with a row for each word, and store rows once."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload import Vectors
from vecload.alignment import align
from vecload.errors import FormatError, OptionError, VecloadError
from vecload.mapping import map_spaces
from vecload.search import Nearest, build_index, csls, nearest, open_index, solve_analogies
from vecload.search.shared_rows import expand
from vecload.transforms import deduplicate, prune

METRICS = ("cosine", "dot", "euclidean")


def shared_and_plain(seed: int = 0, words: int = 60, rows: int = 9, dim: int = 4) -> tuple[Vectors, Vectors]:
    """Return vectors whose words share rows, and equal vectors with a row for each word. Many scores are equal."""
    rng = np.random.default_rng(seed)
    names = [f"w{number}" for number in range(words)]
    stored = rng.integers(-2, 3, size=(rows, dim)).astype(np.float32)
    ids = rng.integers(0, rows, size=words)
    return Vectors(names, stored, row_ids=ids), Vectors(names, stored[ids])


@st.composite
def tables(draw: st.DrawFn) -> tuple[Vectors, Vectors]:
    words, rows = draw(st.integers(1, 40)), draw(st.integers(1, 12))
    return shared_and_plain(draw(st.integers(0, 1000)), words, rows, draw(st.integers(1, 4)))


def same_table(one: Vectors, other: Vectors) -> bool:
    return list(one.words) == list(other.words) and one.matrix.tobytes() == other.matrix.tobytes()


@given(tables(), st.data())
def test_lookups_are_equal(pair: tuple[Vectors, Vectors], data: st.DataObject) -> None:
    shared, plain = pair
    words = data.draw(st.lists(st.sampled_from(list(plain)), unique=True))
    assert np.array_equal(shared[words], plain[words])
    assert same_table(shared.select(words), plain.select(words))
    assert len(shared.select(words).unique_rows) <= len(words)
    begin, step = data.draw(st.integers(0, 9)), data.draw(st.sampled_from([1, 2, -1]))
    assert same_table(shared[begin::step], plain[begin::step])
    assert np.array_equal(shared.norms, plain.norms)
    assert shared.shape == plain.shape
    assert np.array_equal(np.asarray(shared), plain.matrix)
    assert same_table(pickle.loads(pickle.dumps(shared)), plain)
    assert np.array_equal(shared.get(list(plain)[-1]), plain.matrix[-1])


@given(tables(), st.integers(1, 50), st.sampled_from(METRICS), st.data())
def test_neighbors_are_equal(pair: tuple[Vectors, Vectors], k: int, metric: Any, data: st.DataObject) -> None:
    shared, plain = pair
    limit = data.draw(st.none() | st.integers(1, len(plain)))
    exclude = data.draw(st.none() | st.just(np.arange(len(plain))[:, None]))
    found, wanted = (
        nearest(one, plain.matrix, k, metric=metric, limit=limit, exclude=exclude, norms=one.norms) for one in pair
    )
    # The origin of Euclidean distances differs, so that products may round to other digits.
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-6)
    assert np.array_equal(found.rows, wanted.rows)
    if exclude is not None and limit is None:
        assert shared.neighbors(list(plain), k, metric=metric) == plain.neighbors(list(plain), k, metric=metric)


@given(tables(), st.integers(1, 20), st.sampled_from(["3cosadd", "3cosmul"]))
def test_analogies_are_equal(pair: tuple[Vectors, Vectors], k: int, method: Any) -> None:
    shared, plain = pair
    asked = np.stack([plain.matrix, plain.matrix[::-1], np.roll(plain.matrix, 1, axis=0)], axis=1)
    found, wanted = (solve_analogies(one, asked, k, method=method) for one in (shared, plain))
    assert np.array_equal(found.rows, wanted.rows)
    assert np.array_equal(found.scores, wanted.scores, equal_nan=True)


@given(tables(), st.integers(0, 1000), st.integers(1, 12), st.booleans())
def test_csls_is_equal(pair: tuple[Vectors, Vectors], seed: int, neighborhood: int, some: bool) -> None:
    shared, plain = pair
    others = shared_and_plain(seed, words=30, rows=7, dim=plain.dim)
    queries = np.arange(len(plain))[::-2] if some else None
    found = csls(shared, others[0], queries, 5, neighborhood=neighborhood)
    wanted = csls(plain, others[1], queries, 5, neighborhood=neighborhood)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-6)
    assert np.array_equal(found.rows, wanted.rows)


def test_neighbors_of_gathered_rows_never_gather_them(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, _ = shared_and_plain()
    monkeypatch.setattr(Vectors, "matrix", property(lambda _: pytest.fail("the rows were gathered")))
    shared.neighbors("w1")
    shared.analogy("w1", "w2", "w3")
    shared.select(["w3"]).head(1)
    csls(shared, shared, k=1)
    align(shared, ["w2", "w3"])
    map_spaces(shared, shared).apply(shared)


def test_rows_without_words_are_never_found() -> None:
    stored = np.array([[np.nan, 1], [1, 0], [np.inf, 0], [0, 1]], dtype=np.float32)
    vectors = Vectors(["a", "b", "c"], stored, row_ids=[3, 1, 3])
    assert [word for word, _ in vectors.neighbors("a", 5)] == ["c", "b"]
    assert csls(vectors, vectors, k=3).rows.tolist() == [[0, 2, 1], [1, 0, 2], [0, 2, 1]]


@pytest.mark.parametrize("metric", METRICS)
def test_index_lists_words(metric: Any, tmp_path: Path) -> None:
    pytest.importorskip("usearch.index")
    rng = np.random.default_rng(1)
    shared = Vectors(map(str, range(200)), rng.normal(size=(40, 8)).astype(np.float32), row_ids=np.arange(200) % 40)
    index = build_index(shared, metric=metric)
    wanted = nearest(shared, shared.unique_rows[:5], 12, metric=metric)
    found = index.nearest(shared.unique_rows[:5], 12)
    assert np.array_equal(found.rows, wanted.rows)
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
    assert index.recall(3) > 0.9
    index.save(tmp_path / "i")
    assert np.array_equal(open_index(tmp_path / "i", shared).nearest(shared.unique_rows[:5], 12).rows, wanted.rows)


@pytest.mark.parametrize("method", ["procrustes", "least-squares", "refine"])
def test_maps_are_equal(method: Any) -> None:
    rng = np.random.default_rng(5)
    stored = rng.normal(size=(50, 4)).astype(np.float32)
    ids = np.concatenate([np.arange(50), rng.integers(0, 50, size=40)])
    names = [str(number) for number in range(90)]
    shared, plain = Vectors(names, stored, row_ids=ids), Vectors(names, stored[ids])
    turned = Vectors(names, (plain.matrix @ np.linalg.qr(rng.normal(size=(4, 4)))[0]).astype(np.float32))
    found, wanted = (map_spaces(one, turned, method=method) for one in (shared, plain))
    np.testing.assert_allclose(found.matrix, wanted.matrix, atol=1e-5)
    moved = found.apply(shared)
    assert len(moved.unique_rows) == 50
    np.testing.assert_allclose(moved.matrix, wanted.apply(plain).matrix, atol=1e-5)


FORMATS = {"native": 9, "spacy": 9, "model2vec": 10}


@pytest.mark.parametrize("form", FORMATS)
@given(tables())
def test_rows_are_stored_once(
    form: str, tmp_path_factory: pytest.TempPathFactory, pair: tuple[Vectors, Vectors]
) -> None:
    shared, plain = pair
    folder = tmp_path_factory.mktemp("stored")
    name = "t.safetensors" if form == "native" else "t"
    shared.save(folder / name, form)
    again = vecload.load(folder / name)
    assert same_table(again, plain)
    used = len(np.unique(shared.row_ids))  # type: ignore[arg-type]
    assert len(again.unique_rows) in (used, used + 1, len(plain))
    vecload.convert(folder / name, folder / f"again-{name}", format=form, normalize=True)
    wanted = normalized(folder, plain)
    assert same_table(vecload.load(folder / f"again-{name}"), wanted)
    shutil.rmtree(folder)


def normalized(folder: Path, plain: Vectors) -> Vectors:
    """Return normalized vectors as `convert` writes them for a table without shared rows."""
    plain.save(folder / "plain.safetensors")
    vecload.convert(folder / "plain.safetensors", folder / "unit.safetensors", normalize=True)
    return vecload.load(folder / "unit.safetensors")


@pytest.mark.parametrize("form", [*FORMATS, "text", "parquet", "word2vec binary"])
def test_selected_words_are_equal(form: str, tmp_path: Path) -> None:
    shared, plain = shared_and_plain()
    path = tmp_path / ("t.safetensors" if form == "native" else "t.parquet" if form == "parquet" else "t")
    shared.save(path, form)
    words = ["w7", "w3", "missing", "w40"]
    for options in ({"vocab": words}, {"limit": 7}, {"vocab": words, "limit": 20}, {"dtype": "float16"}):
        found = vecload.load(path, format=None if form in FORMATS else form, **options)  # type: ignore[arg-type]
        wanted = plain[: options.get("limit")]  # type: ignore[misc]
        wanted = wanted.select([word for word in wanted if word in options.get("vocab", wanted)])  # type: ignore[operator]
        assert list(found.words) == list(wanted.words)
        assert np.array_equal(found.matrix, wanted.matrix.astype(found.dtype))
        target = tmp_path / "some.safetensors"
        done = vecload.convert(path, target, source_format=None if form in FORMATS else form, **options)  # type: ignore[arg-type]
        assert done.written == len(wanted)
        assert same_table(vecload.load(target), found)


def test_values_too_large_for_a_type_are_reported_as_for_other_tables(tmp_path: Path) -> None:
    shared = Vectors(["a", "b", "c"], np.array([[1e6, 0], [1, 2]], dtype=np.float32), row_ids=[0, 1, 0])
    for path, form in ((tmp_path / "t.safetensors", None), (tmp_path / "t", "spacy")):
        shared.save(path, form)
        with pytest.raises(FormatError, match="not finite in float16"):
            vecload.load(path, dtype="float16")
        assert list(vecload.load(path, dtype="float16", errors="skip").words) == ["b"]
        assert len(vecload.load(path, dtype="float16", allow_nonfinite=True)) == 3


def test_infinite_rows_are_skipped_or_kept(tmp_path: Path) -> None:
    shared = Vectors(["a", "b", "c"], np.array([[np.inf, 0], [1, 2]], dtype=np.float32), row_ids=[0, 1, 0])
    shared.save(tmp_path / "t", "spacy")
    with pytest.raises(FormatError, match="not finite in float32: found in the row of 'a'"):
        vecload.load(tmp_path / "t")
    skipped = vecload.load(tmp_path / "t", errors="skip")
    assert (list(skipped.words), sum(skipped.meta["skipped"].values())) == (["b"], 2)
    assert len(vecload.load(tmp_path / "t", allow_nonfinite=True).unique_rows) == 2


def test_info_tells_shared_rows(tmp_path: Path) -> None:
    shared, _ = shared_and_plain()
    for form, rows in FORMATS.items():
        path = tmp_path / ("t.safetensors" if form == "native" else "t")
        shared.save(path, form)
        assert f"60 words on {rows} rows" in str(vecload.info(path))
        if path.is_dir():
            path.rename(tmp_path / form)


def test_native_file_with_invalid_row_numbers_raises(tmp_path: Path) -> None:
    shared, _ = shared_and_plain()
    path = tmp_path / "t.safetensors"
    shared.save(path)
    whole = path.read_bytes()
    ids = shared.row_ids
    assert ids is not None
    # The writer numbers rows by their first words.
    first = np.unique(ids, return_index=True)[1]
    stored = np.argsort(np.argsort(first))[ids].astype("<i8").tobytes()
    assert whole.count(stored) == 1
    for value in (-1, 9, 1 << 62):
        path.write_bytes(whole.replace(stored, stored[:-8] + value.to_bytes(8, "little", signed=True)))
        with pytest.raises(FormatError, match="'row_ids' must be numbers of rows of the matrix"):
            vecload.load(path)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 1], r"row_ids must be 3 whole numbers, got int64 of shape \(2,\)"),
        ([0.0, 1.0, 0.0], "row_ids must be 3 whole numbers, got float64"),
        ([0, 1, 2], "row_ids must be numbers of the 2 rows, got 0 to 2"),
        ([0, -1, 0], "row_ids must be numbers of the 2 rows, got -1 to 0"),
    ],
)
def test_invalid_row_ids_raise(ids: list[Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Vectors(["a", "b", "c"], np.eye(2), row_ids=ids)


def test_no_words_need_no_rows() -> None:
    empty = Vectors([], np.empty((0, 3)), row_ids=[])
    assert empty.matrix.shape == (0, 3)
    assert nearest(empty, np.ones((1, 3)), 2).rows.tolist() == [[-1, -1]]


def test_pruned_and_deduplicated_tables_share_rows(tmp_path: Path) -> None:
    shared, plain = shared_and_plain()
    for table in (shared, plain):
        small = deduplicate(table).expanded()
        assert same_table(small, plain)
        assert len(small.unique_rows) == len(np.unique(plain.matrix, axis=0))
    pruned = prune(shared, 3).expanded()
    assert (len(pruned), len(pruned.unique_rows)) == (60, 3)
    pruned.save(tmp_path / "p.safetensors")
    assert same_table(vecload.load(tmp_path / "p.safetensors"), pruned)


def test_aligned_rows_are_equal() -> None:
    shared, plain = shared_and_plain()
    vocab = vecload.Vocab.from_words(["w3", "other", "W7", "w59"])
    found, wanted = (align(one, vocab, oov=["casefold", "zeros"]) for one in (shared, plain))
    assert np.array_equal(found.matrix, wanted.matrix)


def test_layers_and_tensors_are_equal() -> None:
    pytest.importorskip("torch")
    from vecload.layers import StoredEmbedding

    shared, plain = shared_and_plain()
    vocab = vecload.Vocab.from_words(["w3", "other", "w59"], pad_token="<pad>")
    found, wanted = (StoredEmbedding.from_vectors(one, vocab).weight for one in (shared, plain))
    assert found.tolist() == wanted.tolist()
    assert shared.to_torch().equal(plain.to_torch())


def test_gathered_matrix_is_read_only() -> None:
    shared, _ = shared_and_plain()
    assert shared.matrix is shared.matrix
    with pytest.raises(ValueError, match="read-only"):
        shared.matrix[0] = 1
    with pytest.raises(VecloadError):
        Vectors(["a", "a"], np.eye(1), row_ids=[0, 0])


def test_excluded_words_of_one_row_leave_the_others() -> None:
    found = Nearest(np.array([[0, 1]]), np.array([[0.9, 0.5]], dtype=np.float32))
    ids = np.array([0, 0, 0, 0, 0, 1])
    assert expand(found, ids, 2, np.array([[0, 1, 3]])).rows.tolist() == [[2, 4]]
    assert expand(found, ids, 3, np.array([[0, 1, 3]])).rows.tolist() == [[2, 4, 5]]
