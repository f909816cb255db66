"""Tests of files of texts: lines, JSON lines, JSON lists and Parquet, with any name and encoding."""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from vecload import SentencePooler, Vectors, Vocab
from vecload.errors import FormatError, OptionError
from vecload.text_input import read_texts

TEXTS = ["the cat", "", "größe 犬", '{"no": JSON', "[music] a"]


def jsonl(texts: list[str], **options: bool) -> str:
    return "".join(json.dumps({"id": at, "body": text}, **options) + "\n" for at, text in enumerate(texts))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "content",
    [
        "\n".join(TEXTS) + "\n",
        jsonl(TEXTS),
        "\n" + jsonl(TEXTS, ensure_ascii=False).replace("\n", "\n\n"),
        json.dumps(TEXTS),
        json.dumps(TEXTS, indent=2),
        json.dumps([{"body": text} for text in TEXTS]),
    ],
)
def test_read_texts_detects_the_kind_from_the_content(
    content: str, encoding: str, end: str, pack: object, tmp_path: Path
) -> None:
    (tmp_path / "any.name").write_bytes(pack(content.replace("\n", end).encode(encoding)))  # type: ignore[operator]
    assert list(read_texts(tmp_path / "any.name", column="body")) == TEXTS


def test_read_texts_detects_parquet_in_every_kind_of_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"body": TEXTS}), tmp_path / "texts.txt")
    content = (tmp_path / "texts.txt").read_bytes()
    (tmp_path / "texts.gz").write_bytes(gzip.compress(content))
    for source in (tmp_path / "texts.txt", tmp_path / "texts.gz", io.BytesIO(content)):
        assert list(read_texts(source, column="body")) == TEXTS
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert list(read_texts("-", column="body")) == TEXTS
    with pytest.raises(FormatError, match="no column 'text': found body"):
        list(read_texts(tmp_path / "texts.txt"))
    parquet.write_table(arrow.table({"text": [3]}), tmp_path / "numbers")
    with pytest.raises(FormatError, match="column 'text' contains values that are not texts: found 3"):
        list(read_texts(tmp_path / "numbers"))
    (tmp_path / "cut").write_bytes(content[:-20])
    with pytest.raises(FormatError, match="a damaged Parquet file"):
        list(read_texts(tmp_path / "cut"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n{"text": 3}\n', 'line 2: "text" is not a text: found int'),
        ('{"text": "a"}\n{"text": null}\n', 'line 2: "text" is not a text: found NoneType'),
        ('{"body": "a"}\n', 'line 1: no text: found fields body, expected an object with "text". Name the field'),
        ('{"text": "a"}\nplain\n', "line 2: not JSON"),
        ('plain\n{"text": "a"}\n', "line 1: not JSON"),
        ('{"text": "a"}\n["b"]\n', "line 2: no text: found list"),
        ('["a", 3]', "no text: found int"),
        ("\x00\x01\x02\x03\n", "binary data, not texts"),
    ],
)
def test_read_texts_without_texts_raises(content: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        list(read_texts(io.BytesIO(content.encode())))


def test_read_texts_reads_lines_with_brackets_as_texts() -> None:
    for texts in (["[music]", "hello"], ['["a", not json', "b"], ["{curly", "x"], ["{", "}"]):
        assert list(read_texts(io.BytesIO("\n".join(texts).encode()))) == texts


def test_read_texts_of_jsonl_name_requires_json(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("plain\nlines\n")
    with pytest.raises(FormatError, match="line 1: not JSON"):
        list(read_texts(tmp_path / "a.jsonl"))


def test_vocab_and_pooler_ignore_a_byte_order_mark(tmp_path: Path) -> None:
    """The mark made the first word of the file unknown, and the mean of its text wrong."""
    vectors = Vectors(["the", "cat", "dog"], np.array([[0.5, 0.5], [3, 4], [1, 0]], dtype=np.float32))
    for name, content in (
        ("plain.txt", "cat dog\ndog the\n"),
        ("mark.txt", "\ufeffcat dog\ndog the\n"),
        ("mark.jsonl", '\ufeff{"text": "cat dog"}\n{"text": "dog the"}\n'),
    ):
        (tmp_path / name).write_text(content, encoding="utf-8")
        assert SentencePooler(vectors).encode(read_texts(tmp_path / name)).tolist() == [[2, 2], [0.75, 0.25]]
        assert sorted(Vocab.from_text_file(tmp_path / name, progress=False)) == ["cat", "dog", "the"]


def test_vocab_from_text_file_reads_a_json_field(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text(jsonl(["b a", "b"]))
    vocab = Vocab.from_text_file(tmp_path / "texts", column="body", progress=False)
    assert list(vocab) == ["b", "a"]
    (tmp_path / "t.gz").write_bytes(gzip.compress("the cat\nthe dog \u0085 x\n".encode()))
    vocab = Vocab.from_text_file(tmp_path / "t.gz", tokenize=lambda line: line.split(" "), progress=False)
    assert list(vocab) == ["the", "cat", "dog", "x", "\u0085"]


def test_from_texts_accepts_lists_of_tokens() -> None:
    expected = Vocab.from_texts(["the cat", "the dog"])
    for texts in (
        [["the", "cat"], ["the", "dog"]],
        [("the", "cat"), "the dog"],
        iter([["the", "cat"], ["the", "dog"]]),
    ):
        assert Vocab.from_texts(texts) == expected


def test_from_texts_accepts_every_tokenizer_of_the_pooler() -> None:
    assert list(Vocab.from_texts(["to be, or"], tokenize=re.compile(r"[a-z]+"))) == ["be", "or", "to"]
    assert list(Vocab.from_texts(["a\u00a0b c"], tokenize="whitespace")) == ["a\u00a0b", "c"]
    assert list(Vocab.from_texts(["a\u00a0b c"])) == ["a\u00a0b", "c"]  # as SentencePooler splits texts
    with pytest.raises(OptionError, match="unknown tokenizer 'nope'; choose from: whitespace"):
        Vocab.from_texts(["a"], tokenize="nope")


@pytest.mark.parametrize("name", ["sudachi", "fugashi"])
def test_from_texts_splits_japanese(name: str) -> None:
    pytest.importorskip({"sudachi": "sudachipy", "fugashi": "fugashi"}[name])
    assert set(Vocab.from_texts(["猫が好き"], tokenize=name)) == {"猫", "が", "好き"}


@pytest.mark.parametrize("tokenize", [None, str.split, re.compile(r"\S+")])
@pytest.mark.parametrize("lowercase", [True, False])
def test_pooler_accepts_lists_of_tokens(tokenize: object, lowercase: bool) -> None:
    vectors = Vectors(["the", "cat", "New York"], np.array([[0.5, 0.5], [3, 4], [1, 0]], dtype=np.float32))
    pooler = SentencePooler(vectors, tokenize=tokenize, lowercase=lowercase)
    made = pooler.encode([["the", "cat"], "the cat", ["New York", "cat"], [], ["THE"]])
    assert made[0].tolist() == made[1].tolist() == [1.75, 2.25]
    assert made[2].tolist() == ([3, 4] if lowercase else [2, 2])
    assert made[3:].tolist() == [[0, 0], [0.5, 0.5] if lowercase else [0, 0]]


@pytest.mark.parametrize("bad", [3, None, float("nan"), b"the", [["the"]], [3]])
def test_from_texts_refuses_other_types(bad: object) -> None:
    vectors = Vectors(["the"], np.ones((1, 2), dtype=np.float32))
    for call in (lambda: Vocab.from_texts(["a", bad]), lambda: SentencePooler(vectors).encode(["a", bad])):  # type: ignore[list-item]
        with pytest.raises(OptionError, match=r"must be strings.*found \w+ at position"):
            call()
