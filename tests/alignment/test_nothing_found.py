"""Vocabularies and vectors without a common word: a warning that shows both sides."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from vecload import NgramTable, SentencePooler, VecloadWarning, Vectors, Vocab, align, convert, load
from vecload.errors import FormatError
from vecload.pooling.files import pool_file

GLOVE = "the 0.5 0.5\nof 3 4\ncat 1 0\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "glove.txt").write_text(GLOVE)
    return tmp_path / "glove.txt"


HINT = "check the language, the case and how the vocabulary was read"
ADVICE = 'use oov=["casefold", "normal"] (--oov casefold,normal)'
CASE = f"2 of 2 words not found would be found under another spelling: case 2; {ADVICE}"


def message(words: str, there: str, count: int, name: object, hint: str = HINT) -> str:
    sides = f"the vocabulary begins with {words}; the words of the vectors begin with {there}"
    found = f"{name}: no word of the vocabulary was found ({count:,} requested): {sides}"
    return f"{found}; {hint}"


@pytest.mark.parametrize("kind", ["path", "vectors", "list"])
def test_align_warns_with_the_first_words_of_both(file: Path, kind: str) -> None:
    source = {"path": file, "vectors": load(file), "list": [file]}[kind]
    vocab = Vocab.from_words(["der", "Und"], pad_token="<pad>", unk_token="<unk>")
    with pytest.warns(VecloadWarning) as caught:
        align(source, vocab, oov=["digits", "normal"])  # type: ignore[arg-type]
    assert [str(one.message) for one in caught] == [message("'der', 'Und'", "'the', 'of', 'cat'", 2, file)]
    assert caught[0].filename == __file__


def test_load_warns_if_no_word_is_found(file: Path) -> None:
    with pytest.warns(VecloadWarning) as caught:
        assert len(load(file, vocab=["THE"])) == 0
    assert [str(one.message) for one in caught] == [message("'THE'", "'the', 'of', 'cat'", 1, file)]
    with pytest.warns(VecloadWarning, match="the words of the vectors begin with none"):
        load(io.BytesIO(GLOVE.encode()), vocab=["THE"])


def test_align_does_not_warn_if_a_row_is_found_or_composed(file: Path) -> None:
    ngrams = NgramTable(np.ones((4, 2), dtype=np.float32), minn=1, maxn=2, bucket=4)
    model = Vectors(["the"], np.ones((1, 2), dtype=np.float32), {}, ngrams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        align(file, ["cat", "Of"])
        align(file, ["Of"], oov=["casefold", "normal"])
        align(file, ["the-cat"], oov=["mean-of-parts", "zeros"])
        align(Vectors([], np.empty((0, 2), dtype=np.float32)), ["cow"], oov=["normal"])
        align(model, ["cow"], oov=["ngrams", "zeros"])
        align([file, load(file)], ["cat"], combine="first")
        align(file, Vocab.from_words([], pad_token="<pad>", unk_token="<unk>"))
        assert len(load(file, vocab=[])) == 0


def test_pool_file_warns_if_no_text_has_a_word(tmp_path: Path) -> None:
    pooler = SentencePooler(Vectors(["the"], np.ones((1, 2), dtype=np.float32)))
    said = "no word of the 2 texts has a vector: the texts begin with 'THE', 'x', the words of the vectors with 'the'"
    with pytest.warns(VecloadWarning, match=said):
        assert pool_file(pooler, ["THE", "x"], tmp_path / "out.npy") == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pool_file(pooler, iter(["x", "x", "x", "x the"]), tmp_path / "out.npy") == 4
        assert np.load(tmp_path / "out.npy").tolist() == [[0, 0], [0, 0], [0, 0], [1, 1]]
        assert pool_file(pooler, [], tmp_path / "out.npy") == 0


def run(*arguments: object) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", "vecload.cli", *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stderr


def test_embed_warns_on_one_line(file: Path, tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("THE\nCAT\n")
    code, error = run("embed", file, "--vocab", tmp_path / "v.txt", "-o", tmp_path / "e.safetensors")
    assert code == 0
    expected = message("'THE', 'CAT'", "'the', 'of', 'cat'", 2, file, CASE)
    assert error == f"vecload: warning: {expected}\n"


def test_embed_refuses_an_empty_vocabulary(file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "specials.txt").write_text("<pad>\n<unk>\n")
    Vocab.from_words([]).save(tmp_path / "empty.json")
    for name, said in (("empty.txt", "no words"), ("specials.txt", "no words besides"), ("empty.json", "no words")):
        code, error = run(
            "embed", file, "--vocab", tmp_path / name, "--pad-token", "<p>", "-o", tmp_path / "e.safetensors"
        )
        assert code != 0
        assert said in error
        assert not (tmp_path / "e.safetensors").exists()


def test_embed_names_a_file_of_vectors_given_as_vocabulary(file: Path, tmp_path: Path) -> None:
    code, error = run("embed", file, "--vocab", file, "-o", tmp_path / "e.safetensors")
    assert code == 1
    assert "a file of vectors, not a list of words" in error
    assert "Vocab.from_vectors" in error


@pytest.mark.parametrize("name", ["a.vec", "a.bin", "a.kv", "a.npz", "a.safetensors", "a.vec.gz"])
def test_convert_refuses_with_the_first_words_of_both(file: Path, tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    load(file).save(source)
    with pytest.raises(FormatError) as caught:
        convert(source, tmp_path / "out.vec", vocab=["THE", "Of"])
    assert str(caught.value).rstrip(".") == message("'THE', 'Of'", "'the', 'of', 'cat'", 2, source)
    assert not (tmp_path / "out.vec").exists()


def test_convert_of_a_stream_shows_the_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="the vocabulary begins with 'THE'; the words of the vectors begin with none"):
        convert(io.BytesIO(GLOVE.encode()), tmp_path / "out.vec", vocab=["THE"])
