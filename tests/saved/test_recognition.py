"""Errors for files of vecload name the kind of file and the function that opens it, in every function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import vecload
from tests.saved.samples import pooler, space_map, vectors, vocab
from vecload import Vectors
from vecload.errors import FormatError
from vecload.pooling import SentencePooler
from vecload.pooling.files import pool_file
from vecload.text_input import read_texts


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    plain = Vectors(["cat", "dog", "cow"], np.eye(3, dtype=np.float32))
    vectors().save(folder / "vectors.safetensors")
    vecload.align(vectors(), vocab()).save(folder / "aligned.safetensors")
    space_map().save(folder / "map.safetensors")
    pooler().save(folder / "pooler")
    vocab().save(folder / "vocab.json")
    for suffix in (".npy", ".safetensors"):
        pool_file(SentencePooler(plain), ["cat dog"], folder / f"pooled{suffix}")
    np.save(folder / "matrix.npy", plain.matrix)
    save_file({"weight": plain.matrix}, folder / "other.safetensors")
    plain.save(folder / "model", "sentence-transformers")
    plain.save(folder / "spacy", "spacy")
    plain.save(folder / "projector", "tensorboard")
    return folder


OPENERS: dict[str, Callable[[Path], object]] = {
    "load": vecload.load,
    "info": vecload.info,
    "Aligned": vecload.Aligned.load,
    "SpaceMap": vecload.SpaceMap.load,
    "pooler": SentencePooler.load,
    "Vocab": vecload.Vocab.load,
}
RIGHT = {
    "vectors.safetensors": ("load", "word vectors in vecload's own format", "vecload.load"),
    "aligned.safetensors": ("Aligned", "an aligned matrix that vecload saved", "vecload.Aligned.load"),
    "map.safetensors": ("SpaceMap", "a map between two spaces that vecload saved", "vecload.SpaceMap.load"),
    "pooler": ("pooler", "the folder of a saved SentencePooler", "vecload.SentencePooler.load"),
    "vocab.json": ("Vocab", "a vocabulary that vecload saved", "vecload.Vocab.load"),
}


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("name", RIGHT)
def test_saved_file_is_named_by_every_function(name: str, opener: str, files: Path) -> None:
    right, what, hint = RIGHT[name]
    if opener == right or (opener, right) == ("info", "load"):
        OPENERS[opener](files / name)
        return
    with pytest.raises(FormatError) as caught:
        OPENERS[opener](files / name)
    assert str(files / name) in str(caught.value)
    assert f"found {what}" in str(caught.value)
    assert f"Use {hint}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("pooler/pooler.json", "saved SentencePooler", "vecload.SentencePooler.load("),
        ("pooler/state.safetensors", "the state of a saved SentencePooler", "vecload.SentencePooler.load("),
        ("pooled.npy", "a NumPy array (.npy), a matrix without words", "vecload.load(path, words="),
        ("pooled.safetensors", "sentence vectors that vecload pool wrote", "safetensors.numpy.load_file"),
        ("matrix.npy", "a NumPy array (.npy), a matrix without words", "vecload.load(path, words="),
        ("other.safetensors", "a matrix without words", "Pass words="),
        ("model/tokenizer.json", "the tokenizer of an embedding model's folder", "Load the folder: vecload.load("),
        ("model/modules.json", "the settings of an embedding model's folder", "Load the folder: vecload.load("),
        ("spacy/vectors", "the rows of a spaCy folder", "Load the folder: vecload.load("),
        ("spacy/key2row", "the row numbers of a spaCy folder", "Load the folder: vecload.load("),
    ],
)
def test_part_of_a_folder_is_named(name: str, what: str, hint: str, files: Path) -> None:
    file = files / name
    if not file.exists():
        file = next(files.glob(f"{Path(name).parts[0]}/**/{Path(name).name}"))
    with pytest.raises(FormatError) as caught:
        vecload.load(file)
    assert what in str(caught.value)
    assert hint in str(caught.value)
    if "Load the folder" in hint:
        assert str(file.parent) in str(caught.value)
        vecload.load(files / Path(name).parts[0])


def test_array_beside_a_gensim_model_is_named(tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim.models.keyedvectors")
    kept = gensim.KeyedVectors(4, dtype=np.float32)
    kept.add_vectors(["a", "b"], np.ones((2, 4), dtype=np.float32))
    kept.save(str(tmp_path / "model.kv"), separately=["vectors"], sep_limit=0)
    with pytest.raises(FormatError, match="an array of a model that gensim saved") as caught:
        vecload.load(tmp_path / "model.kv.vectors.npy")
    assert f"vecload.load({str(tmp_path / 'model.kv')!r})" in str(caught.value)


def test_projector_folder_is_read(files: Path) -> None:
    found = vecload.load(files / "projector")
    assert list(found.words) == ["cat", "dog", "cow"]
    assert np.array_equal(found.matrix, np.eye(3))


def test_folder_without_word_vectors_is_called_a_directory(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="a directory, not a file"):
        vecload.load(tmp_path)


@pytest.mark.parametrize("opener", ["Aligned", "SpaceMap", "Vocab"])
@pytest.mark.parametrize("name", ["pooled.npy", "matrix.npy"])
def test_array_without_words_is_named(opener: str, name: str, files: Path) -> None:
    with pytest.raises(FormatError, match=r"found a NumPy array \(\.npy\).*vecload\.load\(path, words="):
        OPENERS[opener](files / name)


@pytest.mark.parametrize("name", ["vectors.safetensors", "aligned.safetensors", "pooler", "matrix.npy"])
def test_saved_file_in_place_of_texts_is_named(name: str, files: Path) -> None:
    with pytest.raises(FormatError, match=r"not a text file.*Use vecload|not a text file.*vecload\.load"):
        list(read_texts(files / name))


@pytest.mark.parametrize("opener", ["Aligned", "SpaceMap", "pooler"])
@pytest.mark.parametrize(
    "content", [b"", b"{", b"nothing", b"\x00" * 20, b"cat 1 2\n", b"\x08" + b"\x00" * 7 + b"{}      "]
)
def test_other_files_are_refused(opener: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(FormatError, match=r"not an aligned matrix|not a map between|not a folder that Sentence"):
        OPENERS[opener](tmp_path / "file")


@pytest.mark.parametrize("opener", OPENERS)
def test_load_of_a_missing_file_raises_file_not_found(opener: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        OPENERS[opener](tmp_path / "none")
