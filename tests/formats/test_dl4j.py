"""Tests of Deeplearning4j's text vectors, against a writer of a few lines."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload.errors import FormatError

WORDS = ["the", "New York", "北海道", "a\tb", "5"]
ROWS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
HEADERS = {"three numbers": "5 3 1000\n", "two numbers": "5 3\n", "none": ""}


def syn0(words: list[str], header: str) -> bytes:
    """Write vectors as ``WordVectorSerializer`` does."""
    lines = []
    for word, row in zip(words, ROWS, strict=False):
        values = " ".join(map(repr, row.tolist()))
        lines.append(f"B64:{base64.b64encode(word.encode()).decode()} {values}\n")
    return (header + "".join(lines)).encode()


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_load_decodes_the_words(header: str, tmp_path: Path) -> None:
    raw = syn0(WORDS, header)
    (tmp_path / "syn0.txt").write_bytes(raw)
    for source in (tmp_path / "syn0.txt", io.BytesIO(raw)):
        vectors = vecload.load(source)
        assert list(vectors.words) == WORDS
        np.testing.assert_array_equal(vectors.matrix, ROWS)
        assert vectors.meta["format"] == "DL4J"
    some = vecload.load(tmp_path / "syn0.txt", vocab=["New York", "cow", "5"])
    assert list(some.words) == ["New York", "5"]
    np.testing.assert_array_equal(some.matrix, ROWS[[1, 4]])
    looked = vecload.info(tmp_path / "syn0.txt")
    assert (looked.dim, looked.words) == (3, tuple(WORDS))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9))
@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
def test_load_decodes_any_word(word: str) -> None:
    assert list(vecload.load(io.BytesIO(syn0([word], "1 3 7\n")), format="DL4J").words) == [word]


def test_load_finds_the_vectors_in_the_archive_of_a_model(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("syn0.txt", syn0(WORDS, HEADERS["three numbers"]))
        archive.writestr("syn1.txt", "0.1 0.2 0.3\n" * 5)
        archive.writestr("syn1Neg.txt", "0.1 0.2 0.3\n" * 5)
        archive.writestr("codes.txt", syn0(WORDS, ""))
        archive.writestr("huffman.txt", syn0(WORDS, ""))
        archive.writestr("frequencies.txt", syn0(WORDS, ""))
        archive.writestr("config.json", "{}")
    assert list(vecload.load(tmp_path / "model.zip").words) == WORDS


@pytest.mark.parametrize("word", ["B64:???", "cat", "B64:YQ"])
def test_a_word_that_is_not_in_base64_is_named(word: str) -> None:
    raw = syn0(WORDS, "6 3 9\n") + f"{word} 1 2 3\n".encode()
    with pytest.raises(FormatError, match="a word that is not in base64"):
        vecload.load(io.BytesIO(raw))


def test_a_malformed_row_is_named() -> None:
    with pytest.raises(FormatError, match=r"line 7.*too few values"):
        vecload.load(io.BytesIO(syn0(WORDS, "6 3 9\n") + b"B64:YQ== 1 2\n"))
