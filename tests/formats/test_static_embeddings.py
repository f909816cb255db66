"""Folders for other libraries, opened by these libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import vecload
from tests.builders import ODD_WORDS, small_vectors
from tests.formats.battery import check_every_cut, check_mutations
from tests.formats.tables import TableOf, same
from vecload.errors import FormatError
from vecload.formats import static_embeddings, tensorboard
from vecload.formats.contract import WriteOptions

TEXT = [word for word in ODD_WORDS if "\udcff" not in word]
REACHED = [word for word in TEXT if word.split() == [word]]
LAYOUTS = pytest.mark.parametrize("layout", ["sentence-transformers", "model2vec"])


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def encoder(layout: str, path: Path) -> Any:
    if layout == "model2vec":
        return pytest.importorskip("model2vec").StaticModel.from_pretrained(str(path))
    return pytest.importorskip("sentence_transformers").SentenceTransformer(str(path), device="cpu")


@LAYOUTS
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.filterwarnings("ignore")
def test_save_is_loaded_by_its_library(layout: str, dtype: str, tmp_path: Path) -> None:
    vectors = small_vectors(TEXT, dtype=dtype)
    vectors.save(tmp_path / "model", layout)
    model = encoder(layout, tmp_path / "model")
    text = " ".join(REACHED)
    got = model.encode([text, *REACHED])
    want = vectors[REACHED].astype(np.float64)
    np.testing.assert_allclose(got[0], want.mean(axis=0), atol=1e-6 if dtype == "float32" else 2e-3)
    np.testing.assert_allclose(got[1:], want, atol=1e-6)
    known, unknown = model.encode(["the cat", "the nothing cat nowhere"])
    if layout == "model2vec":  # ignores unknown words
        np.testing.assert_allclose(unknown, known, atol=1e-6)
    else:  # includes their zero rows
        np.testing.assert_allclose(unknown, known / 2, atol=1e-3)
    assert np.all(model.encode(["nothing"])[0] == 0)


@pytest.mark.filterwarnings("ignore")
def test_save_model2vec_encodes_long_texts_whole(tmp_path: Path) -> None:
    vectors = small_vectors(["a", "b"])
    vectors.save(tmp_path / "model", "model2vec")
    got = encoder("model2vec", tmp_path / "model").encode(["a " * 600 + "b " * 600])
    np.testing.assert_allclose(got[0], vectors.matrix.mean(axis=0), atol=1e-5)


@LAYOUTS
@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_save_and_load_keeps_words_and_rows(layout: str, counted: bool, dtype: str, tmp_path: Path) -> None:
    vectors = small_vectors([*TEXT, "[UNK]", 'quo"te', "li\nne", "nul\0"], dtype=dtype)
    static_embeddings.write(tmp_path / "model", TableOf(vectors, counted=counted), WriteOptions(alias=layout))
    again = vecload.load(tmp_path / "model")
    assert same(again, vectors)
    assert again.meta["format"] == layout
    tokenizer = json.loads((tmp_path / "model" / "tokenizer.json").read_text(encoding="utf-8"))
    assert tokenizer["model"]["unk_token"] == "[[UNK]]"


@LAYOUTS
def test_save_unencodable_words_and_bfloat16(layout: str, tmp_path: Path) -> None:
    vectors = small_vectors(["a", "\udcff", "", "b"])
    with pytest.raises(FormatError, match=f"a word that {layout} cannot represent"):
        vectors.save(tmp_path / "refused", layout)
    assert not (tmp_path / "refused").exists()
    vectors.save(tmp_path / "dropped", layout, unencodable="skip")
    assert same(vecload.load(tmp_path / "dropped"), vectors.select(["a", "b"]))
    brain = small_vectors(["a", "b"], dtype=ml_dtypes.bfloat16)
    brain.save(tmp_path / "wide", layout)
    assert np.array_equal(vecload.load(tmp_path / "wide").matrix, brain.matrix.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", b"{}", "invalid tokenizer"),
        ("tokenizer.json", b"[1]", "invalid tokenizer"),
        ("tokenizer.json", b'{"model": {"type": "WordLevel", "vocab": {"a": "b"}}}', "invalid tokenizer"),
        ("tokenizer.json", b'{"model": {"type": "WordLevel", "vocab": {"a": 9}}}', "tokens without rows"),
        ("tokenizer.json", b'{"model": {"type": "WordLevel", "vocab": {"a": -1}}}', "invalid tokenizer"),
        ("tokenizer.json", b'{"model": {"type": "WordLevel", "vocab": ["a"]}}', "invalid tokenizer"),
        ("model.safetensors", b"", "invalid safetensors header"),
    ],
)
def test_load_invalid_file_raises(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    small_vectors(["a", "b"]).save(tmp_path / "bad", "model2vec")
    (tmp_path / "bad" / name).write_bytes(content)
    with pytest.raises(FormatError, match=message):
        vecload.load(tmp_path / "bad")


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_load_cut_or_mutated_file_gives_vectors_or_format_error(name: str, tmp_path: Path) -> None:
    small_vectors(["a", "b"], dim=2).save(tmp_path / "cut", "StaticEmbedding")
    path = tmp_path / "cut" / name
    check_every_cut(path, tmp_path / "cut")
    check_mutations(path, tmp_path / "cut", rounds=200)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_save_projector_files_follow_its_rules(dtype: str, tmp_path: Path) -> None:
    """Lines, tabs, no headers, and one name per row, as the projector requires."""
    words = [*TEXT, "a\u2028b"]
    vectors = small_vectors(words, dtype=dtype)
    tensorboard.write(tmp_path / "log", TableOf(vectors), WriteOptions())
    lines = (tmp_path / "log" / "vectors.tsv").read_text().split("\n")
    assert lines.pop() == ""
    values = np.array([line.split("\t") for line in lines], dtype=float).astype(dtype)
    assert np.array_equal(values, vectors.matrix)
    assert (tmp_path / "log" / "metadata.tsv").read_bytes().decode() == "".join(f"{word}\n" for word in words)
    config = (tmp_path / "log" / "projector_config.pbtxt").read_text()
    assert config.split() == (
        'embeddings { tensor_name: "words" tensor_path: "vectors.tsv" metadata_path: "metadata.tsv" }'.split()
    )


def test_save_projector_words_with_tabs_or_line_breaks(tmp_path: Path) -> None:
    vectors = small_vectors(["a", "b\tc", "d\re", "f\ng"])
    with pytest.raises(FormatError, match=r"a word that TensorBoard cannot represent: found 'b\\tc'"):
        vectors.save(tmp_path / "log", "TensorBoard")
    vectors.save(tmp_path / "log", "projector", unencodable="escape", precision=3)
    assert (tmp_path / "log" / "metadata.tsv").read_text() == "a\nb%09c\nd%0De\nf%0Ag\n"
    assert (tmp_path / "log" / "vectors.tsv").read_text().split("\n")[0].split("\t")[0] == f"{vectors.matrix[0, 0]:.3f}"
