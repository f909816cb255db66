"""Tests of files whose words are not UTF-8."""

from __future__ import annotations

import gzip
import io
import json
import pickle
from pathlib import Path
from typing import Any

import gensim
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vecload
from tests.cli.running import run_here
from vecload.errors import FormatError, OptionError

WORDS = ["châtre", "Straße", "übung", "cat"]
ROWS = [[0.5, -1.25], [1e-3, 3], [7, 8], [9, 10]]
WIDE = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
NARROW = ["cp1252", "latin-1", "cp850", "utf-8-sig"]


def lines(*, header: bool) -> str:
    head = f"{len(WORDS)} 2\n" if header else ""
    return head + "".join(f"{word} {row[0]} {row[1]}\n" for word, row in zip(WORDS, ROWS, strict=True))


def same(vectors: vecload.Vectors, words: list[str] = WORDS) -> None:
    assert list(vectors.words) == words
    np.testing.assert_array_equal(vectors.matrix, np.array(ROWS, dtype=np.float32)[: len(words)])


@pytest.mark.parametrize("header", [True, False], ids=["header", "no header"])
@pytest.mark.parametrize("encoding", WIDE)
def test_load_recognizes_utf16_and_utf32(encoding: str, header: bool, tmp_path: Path) -> None:
    raw = lines(header=header).encode(encoding)
    (tmp_path / "v.txt").write_bytes(raw)
    for source in (tmp_path / "v.txt", io.BytesIO(raw), io.BytesIO(gzip.compress(raw))):
        same(vecload.load(source))
    same(vecload.load(tmp_path / "v.txt", encoding=encoding))
    same(vecload.load(tmp_path / "v.txt", limit=2), WORDS[:2])
    assert vecload.info(tmp_path / "v.txt").words == tuple(WORDS)
    vecload.convert(tmp_path / "v.txt", tmp_path / "out.txt")
    same(vecload.load(tmp_path / "out.txt"))


@pytest.mark.parametrize("encoding", NARROW)
def test_load_decodes_text_and_finds_words(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes(lines(header=False).encode(encoding))
    same(vecload.load(tmp_path / "v.txt", encoding=encoding))
    some = vecload.load(tmp_path / "v.txt", encoding=encoding, vocab=["Straße", "日本"])
    assert list(some.words) == ["Straße"]
    assert vecload.info(tmp_path / "v.txt", encoding=encoding).words == tuple(WORDS)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_load_decodes_csv_and_json(encoding: str, tmp_path: Path) -> None:
    table = "word,a,b\n" + "".join(f"{word},{row[0]},{row[1]}\n" for word, row in zip(WORDS, ROWS, strict=True))
    (tmp_path / "v.csv").write_bytes(table.encode(encoding))
    same(vecload.load(tmp_path / "v.csv", encoding=encoding))
    document = json.dumps(dict(zip(WORDS, ROWS, strict=True)), ensure_ascii=False)
    (tmp_path / "v.json").write_bytes(document.encode(encoding))
    same(vecload.load(tmp_path / "v.json", encoding=encoding))


def test_load_decodes_the_words_of_word2vec_binary(tmp_path: Path) -> None:
    rows = np.array(ROWS, dtype="<f4")
    body = b"".join(word.encode("cp1252") + b" " + row.tobytes() for word, row in zip(WORDS, rows, strict=True))
    (tmp_path / "v.bin").write_bytes(b"4 2\n" + body)
    same(vecload.load(tmp_path / "v.bin", encoding="cp1252"))
    some = vecload.load(tmp_path / "v.bin", encoding="cp1252", vocab=["übung", "日本", "cat"])
    assert list(some.words) == ["übung", "cat"]
    np.testing.assert_array_equal(some.matrix, rows[2:])
    vecload.convert(tmp_path / "v.bin", tmp_path / "v.txt", encoding="cp1252")
    same(vecload.load(tmp_path / "v.txt"))
    with pytest.raises(FormatError, match=r"a word that is not in the encoding: found .*, expected ascii"):
        vecload.load(tmp_path / "v.bin", encoding="ascii")
    skipped = vecload.load(tmp_path / "v.bin", encoding="ascii", errors="skip")
    assert list(skipped.words) == ["cat"]
    assert skipped.meta["skipped"] == {"a word that is not in the encoding": 3}


def test_words_of_a_fasttext_model_are_decoded_after_their_vectors_are_composed(tmp_path: Path) -> None:
    path = Path(gensim.__file__).parent / "test" / "test_data" / "cp852_fasttext.bin"
    if not path.is_file():
        pytest.skip("this gensim has no test data")
    with pytest.warns(vecload.VecloadWarning, match="words are not valid UTF-8"):
        raw = vecload.load(path)
    decoded = vecload.load(path, encoding="cp852")
    assert [word.encode("utf-8", "surrogateescape").decode("cp852") for word in raw.words] == list(decoded.words)
    np.testing.assert_array_equal(decoded.matrix, raw.matrix)
    # Unseen words are hashed in the encoding of the file, as the bytes are without encoding=.
    unseen = ["nový", "přítel", "ř", "cat", "犬"]
    as_bytes = [word.encode("cp852", "ignore").decode("utf-8", "surrogateescape") for word in unseen]
    composed = raw.ngrams.vectors(as_bytes)
    composed[unseen.index("犬")] = 0  # not in the encoding
    np.testing.assert_array_equal(decoded.ngrams.vectors(unseen), composed)
    spelled = [ngram.encode("cp852") for ngram in decoded.ngrams.ngrams(unseen[1])]
    assert spelled == [ngram.encode("utf-8", "surrogateescape") for ngram in raw.ngrams.ngrams(as_bytes[1])]
    assert decoded.ngrams.counts(unseen)[-1] == 0
    decoded.save(tmp_path / "v.safetensors")
    again = vecload.load(tmp_path / "v.safetensors")
    np.testing.assert_array_equal(again.ngrams.vectors(unseen), composed)
    assert pickle.loads(pickle.dumps(again.ngrams)).encoding == "cp852"
    with pytest.raises(OptionError, match=r"a fastText \.bin cannot store n-grams of words in cp852"):
        decoded.save(tmp_path / "v.bin", "fasttext")
    assert decoded.meta["encoding"] == "cp852"
    word = decoded.words[3]
    np.testing.assert_array_equal(vecload.load(path, encoding="cp852", vocab=[word])[word], raw.matrix[3])


CHARACTERS = st.characters(codec="cp1252", exclude_characters="\n\r\t \0")


@given(st.lists(st.text(CHARACTERS, min_size=1, max_size=6), min_size=1, unique=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
def test_load_decodes_any_words(tmp_path: Path, words: list[str]) -> None:
    text = f"{len(words)} 2\n" + "".join(f"{word} 1 2\n" for word in words)
    (tmp_path / "v.txt").write_bytes(text.encode("cp1252"))
    loaded = vecload.load(tmp_path / "v.txt", encoding="cp1252", format="word2vec")
    assert list(loaded.words) == words


@pytest.mark.parametrize("cut", [1, 3])
def test_text_that_ends_in_the_middle_of_a_character_is_refused(cut: int) -> None:
    raw = lines(header=False).encode("utf-32-le")[:-cut]
    with pytest.raises(FormatError, match="invalid utf-32-le"):
        vecload.load(io.BytesIO(raw), encoding="utf-32-le")


def test_invalid_text_names_the_byte() -> None:
    with pytest.raises(FormatError, match=r"byte 12: invalid ascii"):
        vecload.load(io.BytesIO(b"cat 1 2\nowl \xff 4\n"), encoding="ascii")


@pytest.mark.parametrize("encoding", ["nonsense", "rot13", "zlib", ""])
def test_an_unknown_encoding_is_refused(encoding: str) -> None:
    for function in (vecload.load, vecload.info):
        with pytest.raises(OptionError, match="is not a text encoding that Python knows"):
            function(io.BytesIO(b"cat 1 2\n"), encoding=encoding)


def test_encoding_is_refused_where_words_are_unicode(tmp_path: Path) -> None:
    options: dict[str, Any] = {"encoding": "cp1252"}
    vecload.Vectors(["a"], np.ones((1, 2))).save(tmp_path / "v.npz")
    with pytest.raises(OptionError, match=r"encoding= \(--encoding\) does not apply to npz"):
        vecload.load(tmp_path / "v.npz", **options)


def test_commands_take_an_encoding(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes(lines(header=True).encode("cp1252"))
    assert "châtre" in run_here("info", str(tmp_path / "v.txt"), "--encoding", "cp1252")[1]
    assert run_here("convert", str(tmp_path / "v.txt"), str(tmp_path / "o.txt"), "--encoding", "cp1252")[0] == 0
    same(vecload.load(tmp_path / "o.txt"))
