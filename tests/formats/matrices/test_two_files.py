"""Tests of matrices whose words are in another file."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import safetensors.numpy
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vecload
from tests import strategies
from tests.cli.running import run_here
from vecload import Vectors
from vecload.errors import FormatError, MissingDependencyError, OptionError

WORDS = ["the", "New York", "北海道", "cat", "12"]
MATRIX = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def same(vectors: vecload.Vectors, words: list[str] = WORDS, matrix: Any = MATRIX) -> None:
    assert list(vectors.words) == words
    np.testing.assert_array_equal(vectors.matrix, matrix)


def matrix_files(folder: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Write the same matrix in every format, and return the paths with the options to read them."""
    np.save(folder / "m.npy", MATRIX)
    np.savez(folder / "m.npz", first=MATRIX, second=MATRIX * 2)
    safetensors.numpy.save_file({"x.weight": MATRIX, "bias": MATRIX[0]}, folder / "m.safetensors")
    tensors = {"model.embed_tokens.weight": MATRIX, "lm_head.weight": MATRIX * 2, "model.norm.weight": MATRIX[0]}
    safetensors.numpy.save_file(tensors, folder / "several.safetensors")
    np.savetxt(folder / "m.tsv", MATRIX, delimiter="\t", fmt="%.17g")
    return {
        "npy": (folder / "m.npy", {}),
        "npz": (folder / "m.npz", {"tensor": "first"}),
        "safetensors": (folder / "m.safetensors", {}),
        "several tensors": (folder / "several.safetensors", {}),
        "named tensor": (folder / "several.safetensors", {"tensor": "model.embed_tokens.weight"}),
        "tsv": (folder / "m.tsv", {}),
    }


KINDS = ["npy", "npz", "safetensors", "several tensors", "named tensor", "tsv"]


@pytest.mark.parametrize("kind", KINDS)
def test_load_joins_a_matrix_and_its_words(kind: str, tmp_path: Path) -> None:
    path, options = matrix_files(tmp_path)[kind]
    same(vecload.load(path, words=WORDS, **options))
    same(vecload.load(path, words=iter(WORDS), limit=2, **options), WORDS[:2], MATRIX[:2])
    some = vecload.load(path, words=WORDS, vocab=["cat", "cow", "the"], dtype="float64", **options)
    same(some, ["the", "cat"], MATRIX[[0, 3]].astype(np.float64))
    looked = vecload.info(path, words=WORDS, **options)
    assert (looked.rows, looked.dim, looked.words) == (5, 3, tuple(WORDS))
    vecload.convert(path, tmp_path / "out.native", format="native", words=WORDS, **options)
    same(vecload.load(tmp_path / "out.native"))


@pytest.mark.parametrize("kind", KINDS)
def test_load_reads_a_matrix_from_a_stream(kind: str, tmp_path: Path) -> None:
    path, options = matrix_files(tmp_path)[kind]
    same(vecload.load(io.BytesIO(path.read_bytes()), words=WORDS, **options))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 4, 6])
def test_load_refuses_another_number_of_words(kind: str, count: int, tmp_path: Path) -> None:
    path, options = matrix_files(tmp_path)[kind]
    with pytest.raises(FormatError, match="not one word per row"):
        vecload.load(path, words=[*WORDS, "one more"][:count], **options)


@pytest.mark.parametrize("kind", ["npy", "safetensors", "several tensors", "named tensor"])
def test_load_asks_for_the_words_of_a_matrix(kind: str, tmp_path: Path) -> None:
    path, options = matrix_files(tmp_path)[kind]
    with pytest.raises(FormatError, match=r'a matrix without words.*words="words\.txt"'):
        vecload.load(path, **options)


def test_load_maps_an_npy_file(tmp_path: Path) -> None:
    path, _ = matrix_files(tmp_path)["npy"]
    root: Any = vecload.load(path, words=WORDS).matrix
    while isinstance(root.base, np.ndarray):
        root = root.base
    assert isinstance(root, np.memmap)


def word_files(folder: Path) -> dict[str, Path]:
    """Write the words in every form, and return the paths."""
    (folder / "words.txt").write_text("\ufeff" + "\n".join(WORDS) + "\n", encoding="utf-8")
    np.save(folder / "unicode.npy", np.array(WORDS))
    np.save(folder / "bytes.npy", np.array([word.encode() for word in WORDS]))
    (folder / "list.json").write_text(json.dumps(WORDS), encoding="utf-8")
    mapping = {word: row for row, word in reversed(list(enumerate(WORDS)))}
    (folder / "mapping.json").write_text(json.dumps(mapping), encoding="utf-8")
    lines = "".join(f"{row}\t{word}\n" for row, word in enumerate(WORDS))
    (folder / "metadata.tsv").write_text("Index\tLabel\n" + lines, encoding="utf-8")
    pa.parquet.write_table(pa.table({"n": range(5), "word": WORDS}), folder / "words.parquet")
    model = tokenizers.models.WordLevel({word: row for row, word in enumerate(WORDS)}, unk_token="the")
    tokenizers.Tokenizer(model).save(str(folder / "tokenizer.json"))
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    "name",
    [
        "words.txt",
        "unicode.npy",
        "bytes.npy",
        "list.json",
        "mapping.json",
        "metadata.tsv",
        "words.parquet",
        "tokenizer.json",
    ],
)
def test_load_reads_the_words_from_every_kind_of_file(name: str, tmp_path: Path) -> None:
    files = word_files(tmp_path)
    np.save(tmp_path / "m.npy", MATRIX)
    same(vecload.load(tmp_path / "m.npy", words=files[name]))
    same(vecload.load(tmp_path / "m.npy", words=str(files[name])))


def test_load_keeps_the_first_row_of_a_repeated_word(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", MATRIX)
    (tmp_path / "w.txt").write_text("a\nb\na\nc\nb\n", encoding="utf-8")
    for words in (["a", "b", "a", "c", "b"], tmp_path / "w.txt"):
        vectors = vecload.load(tmp_path / "m.npy", words=words)
        same(vectors, ["a", "b", "c"], MATRIX[[0, 1, 3]])
        assert vectors.meta["duplicates"] == 2


@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_load_reads_any_words_of_an_array(tmp_path: Path, words: list[str]) -> None:
    unique = list(dict.fromkeys(words))
    np.save(tmp_path / "m.npy", np.ones((len(unique), 2)))
    np.save(tmp_path / "w.npy", np.array(unique, dtype=np.str_))
    if unique:
        assert list(vecload.load(tmp_path / "m.npy", words=tmp_path / "w.npy", format="npy").words) == unique


@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
def test_tensorboard_files_are_read_back(tmp_path: Path) -> None:
    vectors = vecload.Vectors(WORDS, MATRIX)
    vectors.save(tmp_path / "projector", "tensorboard")
    same(vecload.load(tmp_path / "projector"))
    same(vecload.load(tmp_path / "projector" / "vectors.tsv"))
    (tmp_path / "projector" / "metadata.tsv").unlink()
    with pytest.raises(FormatError, match=r"numbers only, without words|too few values"):
        vecload.load(tmp_path / "projector" / "vectors.tsv")


def test_metadata_is_found_beside_its_table(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "my_tensors.tsv", MATRIX, delimiter="\t", fmt="%.17g")
    (tmp_path / "my_metadata.tsv").write_text("\n".join(WORDS), encoding="utf-8")
    same(vecload.load(tmp_path / "my_tensors.tsv"))
    assert vecload.info(tmp_path / "my_tensors.tsv").words == tuple(WORDS)
    (tmp_path / "my_metadata.tsv").write_text("\n".join(WORDS[:3]), encoding="utf-8")
    with pytest.raises(FormatError, match="not one word per row"):
        vecload.load(tmp_path / "my_tensors.tsv")


def test_metadata_is_not_taken_for_a_table_with_words(tmp_path: Path) -> None:
    lines = (f"{word}\t1\t2\t3\n" for word in ("cat", "dog", "owl"))
    (tmp_path / "vectors.tsv").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "metadata.tsv").write_text("a\nb\nc\n", encoding="utf-8")
    assert list(vecload.load(tmp_path / "vectors.tsv", format="glove").words) == ["cat", "dog", "owl"]


@pytest.mark.parametrize("last", ["1\t2\tx\n", "1\t2\n", "1\t2\t3\tx\n"])
def test_a_malformed_line_of_a_table_is_named(last: str, tmp_path: Path) -> None:
    (tmp_path / "m.tsv").write_text("1\t2\t3\n" * 9 + last, encoding="utf-8")
    with pytest.raises(FormatError, match=r"m\.tsv, line 10: "):
        vecload.load(tmp_path / "m.tsv", words=[f"w{n}" for n in range(10)])


def test_words_and_tensor_are_refused_where_they_do_not_apply(tmp_path: Path) -> None:
    (tmp_path / "v.bin").write_bytes(b"1 1\na " + np.float32(1).tobytes() + b"\n")
    with pytest.raises(OptionError, match=r"words= \(--words\) does not apply to word2vec binary, only to: "):
        vecload.load(tmp_path / "v.bin", words=["a"])
    np.save(tmp_path / "m.npy", MATRIX)
    with pytest.raises(OptionError, match=r"tensor= \(--tensor\) does not apply to npy, only to: "):
        vecload.load(tmp_path / "m.npy", words=WORDS, tensor="x")


@pytest.mark.parametrize("words", [5, [1, 2], ["a", None], b"ab"])
def test_words_must_be_strings(words: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", MATRIX[:2])
    with pytest.raises(OptionError, match=r"words must be (a path or )?strings"):
        vecload.load(tmp_path / "m.npy", words=words)


def test_an_unknown_or_missing_tensor_lists_the_candidates(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"a": MATRIX, "b": MATRIX, "c": MATRIX[0]}, tmp_path / "m.safetensors")
    with pytest.raises(FormatError, match=r"no tensor 'z': found a \(5, 3\), b \(5, 3\)\. Pass tensor="):
        vecload.load(tmp_path / "m.safetensors", words=WORDS, tensor="z")
    with pytest.raises(FormatError, match=r"several tensors, none of them known .*found a \(5, 3\), b \(5, 3\)"):
        vecload.load(tmp_path / "m.safetensors", words=WORDS)
    with pytest.raises(FormatError, match="the tensor has the wrong shape or type"):
        vecload.load(tmp_path / "m.safetensors", words=WORDS, tensor="c")


@pytest.mark.parametrize(
    "array", [np.ones(3), np.ones((2, 2, 2)), np.ones((2, 2), dtype=np.int64), np.array([["a", "b"]])]
)
def test_an_array_that_is_not_a_matrix_is_refused(array: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", array)
    with pytest.raises(FormatError, match="the array has the wrong shape or type"):
        vecload.load(tmp_path / "m.npy", words=["a", "b"])


def test_npy_files_cut_anywhere_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", MATRIX)
    whole = (tmp_path / "m.npy").read_bytes()
    for cut in range(8, len(whole), 7):
        (tmp_path / "cut.npy").write_bytes(whole[:cut])
        for source in (tmp_path / "cut.npy", io.BytesIO(whole[:cut])):
            with pytest.raises(FormatError):
                vecload.load(source, words=WORDS)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.array([["a"], [{}]], dtype=object), allow_pickle=True)
    for options in ({"words": ["a"]}, {"words": tmp_path / "m.npy"}):
        np.save(tmp_path / "good.npy", MATRIX[:1])
        source = tmp_path / ("good.npy" if options["words"] != ["a"] else "m.npy")
        with pytest.raises(FormatError, match="Python objects"):
            vecload.load(source, **options)  # type: ignore[arg-type]


def test_words_in_parquet_without_pyarrow_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = word_files(tmp_path)
    np.save(tmp_path / "m.npy", MATRIX)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"vecload\[arrow\]"):
        vecload.load(tmp_path / "m.npy", words=files["words.parquet"])


def test_commands_take_words_and_tensor(tmp_path: Path) -> None:
    path, _ = matrix_files(tmp_path)["named tensor"]
    (tmp_path / "w.txt").write_text("\n".join(WORDS), encoding="utf-8")
    options = ["--words", str(tmp_path / "w.txt"), "--tensor", "lm_head.weight"]
    assert "New York" in run_here("info", str(path), *options)[1]
    assert run_here("convert", str(path), str(tmp_path / "out.safetensors"), *options)[0] == 0
    np.testing.assert_array_equal(vecload.load(tmp_path / "out.safetensors").matrix, MATRIX * 2)


@given(vectors=strategies.vectors(raw=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
def test_saved_arrays_have_their_words_beside_them(vectors: Vectors, tmp_path: Path) -> None:
    vectors.save(tmp_path / "v.npy")
    again = vecload.load(tmp_path / "v.npy")
    assert [again.words.bytes(at) for at in range(len(again))] == [vectors.words.bytes(at) for at in range(len(again))]
    assert again.matrix.tobytes() == vectors.matrix.tobytes()
    array = np.load(tmp_path / "v.npy", mmap_mode="r")
    assert np.array_equal(array, vectors.matrix, equal_nan=True)
    assert len(json.loads((tmp_path / "v.npy.words.json").read_text(encoding="utf-8"))) == len(vectors)


def test_array_with_words_beside_it_is_read_everywhere(tmp_path: Path) -> None:
    vectors = Vectors(["a", "b\nc", "北"], np.eye(3, dtype=np.float32))
    vectors.save(tmp_path / "v.npy")
    assert vecload.info(tmp_path / "v.npy").words == ("a", "b\nc", "北")
    done = vecload.convert(tmp_path / "v.npy", tmp_path / "w.npy", dtype="float16", vocab=["北", "a"])
    assert done.written == 2
    assert list(vecload.load(tmp_path / "w.npy").words) == ["a", "北"]
    with zipfile.ZipFile(tmp_path / "v.zip", "w") as archive:
        for name in ("v.npy", "v.npy.words.json"):
            archive.write(tmp_path / name, name)
    assert list(vecload.load(tmp_path / "v.zip").words) == ["a", "b\nc", "北"]
    # Words of the caller replace those beside the array.
    assert list(vecload.load(tmp_path / "v.npy", words=["x", "y", "z"]).words) == ["x", "y", "z"]
    with pytest.raises(OptionError, match="is also an input"):
        vecload.convert(tmp_path / "v.npy", tmp_path / "v.npy.words.json")
    (tmp_path / "v.npy.words.json").write_text('["a"]', encoding="utf-8")
    with pytest.raises(FormatError, match="not one word per row: found 1 words, expected 3"):
        vecload.load(tmp_path / "v.npy")
    Vectors([], np.empty((0, 2), dtype=np.float32)).save(tmp_path / "e.npy")
    assert vecload.load(tmp_path / "e.npy").shape == (0, 2)
