"""Tests of word lists in common layouts, and of the files of `Vocab.save`."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.strategies import LIST_WORDS
from vecload import VecloadWarning, Vocab
from vecload.errors import FormatError, VocabularyError

COUNTED = (["the", "of", "New York"], [1061396, 593677, 5])


def read(content: bytes | str) -> tuple[list[str], list[int] | None]:
    raw = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    vocab = Vocab.load(io.BytesIO(raw))
    return list(vocab), None if vocab.counts is None else vocab.counts.tolist()


@pytest.mark.parametrize(
    ("content", "words", "counts"),
    [
        ("the 1061396\nof 593677\nNew York 5\n", *COUNTED),  # GloVe's vocab_count
        ("the\t1061396\nof\t593677\nNew York\t5\n", *COUNTED),
        ("the,1061396\nof,593677\n", ["the,1061396", "of,593677"], None),
        ("word,count\nthe,1061396\nof,593677\nNew York,5\n", *COUNTED),  # pandas
        (',count\nthe,7\n"1,000",2\n', ["the", "1,000"], [7, 2]),
        ("word\tcount\nthe\t1061396\nof\t593677\nNew York\t5", *COUNTED),
        ("1061396\tthe\n593677\tof\n5\tNew York\n", *COUNTED),
        ("1061396 the\n 593677 of\n      5 New York\n", *COUNTED),  # sort | uniq -c
        ("   2 b\n   5 a\n", ["b", "a"], [2, 5]),
        ("0\tthe\t1061396\n1\tof\t593677\n2\tNew York\t5\n", *COUNTED),  # an index, as pandas writes it
        ("\tword\tcount\n0\tthe\t1061396\n1\tof\t593677\n2\tNew York\t5\n", *COUNTED),
        ("</s> 0\nthe 1061396\nof 593677\n", ["</s>", "the", "of"], [0, 1061396, 593677]),  # word2vec -save-vocab
        ("the 999\ncat 5\nmadeupword0000 0\n", ["the", "cat", "madeupword0000"], [999, 5, 0]),  # fairseq
        ("cat\t5\nthe\t100\n", ["cat", "the"], [5, 100]),  # a tab needs no order
        ("".join(f"w{at} {at * 7 % 31}\n" for at in range(30)), [f"w{at}" for at in range(30)],
         [at * 7 % 31 for at in range(30)]),
        ("<unk>\t0\n▁the\t-3.5\n▁of\t-4\n", ["<unk>", "▁the", "▁of"], None),  # SentencePiece
        ("0\tthe\n1\tcat\n", ["the", "cat"], None),
        ("the\t0\ncat\t1\nof\t2\n", ["the", "cat", "of"], None),
        ("of\t2\nthe\t0\ncat\t1\n", ["the", "cat", "of"], None),
        ("the 0\ncat 1\nof 2\n", ["the", "cat", "of"], None),
        ("the\t1\ncat\t2\n", ["<unused-0>", "the", "cat"], None),
        ('"the"\t7\n"cat"\t2\n', ['"the"', '"cat"'], [7, 2]),
    ],
)  # fmt: skip
def test_word_list_with_columns_returns_words_and_counts(
    content: str, words: list[str], counts: list[int] | None
) -> None:
    for end in ("\n", "\r\n"):
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            assert read(content.replace("\n", end).encode(encoding)) == (words, counts)


@pytest.mark.parametrize(
    "words",
    [
        ["New York", "Paris"],
        ["Area 51", "Paris"],
        ["1984", "2001"],
        ["10,000,000", "1,000,000"],
        ["Area 51"],
        ["Route 1", "Route 2", "Route 3"],
        ["Blade Runner 1982", "Modern Times 1936", "Blow Up 1966"],
        ["3 Musketeers", "cat"],
        ["a\tb", "c"],
        ["Windows 3.1", "Python 3.11"],
        ["[PAD]", "[unused0]", "{"],
        ["\ufeffcat", "dog"],
        ["\u00a0", "\u3000", "\u2028"],
        ["Paris, France", "Lyon, France"],
        ['"', "cat"],
        ["=", ","],
        ["\udcff", "caf\udce9"],
    ],
)
def test_word_list_keeps_words_with_spaces_and_numbers(words: list[str], tmp_path: Path) -> None:
    Vocab.from_words(words).save(tmp_path / "words.txt")
    vocab = Vocab.load(tmp_path / "words.txt")
    assert (list(vocab), vocab.counts) == (words, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "Blink 182\nCatch 22\nArea 51\nRoute 66\n",
            "a number on every line, which may be a count or part of the word",
        ),
        ("3 Musketeers\n5 Seconds\n2 Pac\n", "a number on every line"),
        ("the\tDET\ncat\tNOUN\n", "unknown columns: found .*, expected a word and its count"),
        ("the\t1\t2\ta\ncat\t1\t3\tb\n", "unknown columns"),
        ("a\tb\nc\td\te\n", "unknown columns"),
        ("a\n\nb\n", "line 2: an empty line: expected a word"),
        ("\na\n", "line 1: an empty line"),
        ("a\nb\na\n", "'a' occurs more than once: found words 1 and 3"),
        ("", "no words"),
        ("\n\n", "no words"),
        ("[]", "no words"),
        ("{}\n", "no words"),
        ('{"the": 1', "damaged JSON"),
        ('[\n "the",\n', "damaged JSON"),
        ("[1, 2]", "not a JSON list of words"),
        ('["the", 3]', "not a JSON list of words"),
        ('["the", ""]', "not a JSON list of words"),
        ('{"the": true}', "needs counts or row numbers: found 'the': True"),
        ('{"the": -1, "cat": 3}', "needs counts or row numbers: found 'the': -1"),
        ('{"the": 0.5}', "needs counts or row numbers"),
        ('{"0": "the"}', "needs counts or row numbers"),
        ('{"a": 0, "b": 1, "c": 3}', "may be counts, or row numbers with gaps"),
        ('{"the": [0.5, 1]}', "a JSON object of vectors, not of counts"),
        ('{"model": {"vocab": {}}, "added_tokens": []}', "a tokenizer, not a list of words.*Vocab.from_tokenizer"),
        (
            "the 0.5 1\ncat 2 3\n",
            r"a file of vectors, not a list of words: .*Vocab.from_vectors\(vecload.load\(path\)\)",
        ),
        ("2 3\nthe 0.5 1 2\ncat 2 3 4\n", "a file of vectors"),
        ("the\t0.5\t1\ncat\t2\t3\n", "a file of vectors"),
        ("the,0.5,1\ncat,2,3\n", "a file of vectors"),
        ("1 0.5 1\n2 2 3\n", "a file of vectors"),
        ("ab\0\0\x01\n", "binary data, not a list of words"),
    ],
)
def test_ambiguous_word_list_raises(content: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(content)


@pytest.mark.parametrize(
    ("document", "words", "counts"),
    [
        (["the", "New York", "5"], ["the", "New York", "5"], None),
        ([["the", 7], ["cat", 2]], ["the", "cat"], [7, 2]),  # Counter.most_common()
        ({"the": 7, "cat": 2}, ["the", "cat"], [7, 2]),
        ({"cat": 2, "the": 7, "of": 3}, ["cat", "the", "of"], [2, 7, 3]),
        ({"cat": 1, "the": 0}, ["the", "cat"], None),  # the vocab.json of a tokenizer
        ({"the": 1, "cat": 2}, ["<unused-0>", "the", "cat"], None),  # Keras: row 0 is for padding
        ({"the": 1}, ["the"], [1]),
        ({"format": 9, "the": 7}, ["format", "the"], [9, 7]),
    ],
)
def test_word_list_in_json_returns_words_and_counts(document: Any, words: list[str], counts: list[int] | None) -> None:
    for indent in (None, 1):
        assert read(json.dumps(document, indent=indent)) == (words, counts)
        assert read(json.dumps(document, indent=indent, ensure_ascii=False).encode("utf-16")) == (words, counts)


def test_placeholder_row_becomes_a_special_token() -> None:
    vocab = Vocab.load(io.BytesIO(b'{"the": 1, "cat": 2}'))
    assert (vocab.specials, vocab["cat"]) == (("<unused-0>",), 2)


def test_word_list_ignores_file_name_and_blank_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("words", "words.lst", "words.json", "words.txt"):
        (tmp_path / name).write_text("<pad>\n<unk>\nthe\ncat\n\n\n")
        vocab = Vocab.load(tmp_path / name)
        assert (list(vocab), vocab.pad_token, vocab.unk_token) == (["<pad>", "<unk>", "the", "cat"], "<pad>", "<unk>")
    (tmp_path / "words.txt.gz").write_bytes(gzip.compress(b"the\ncat\n"))
    assert list(Vocab.load(tmp_path / "words.txt.gz")) == ["the", "cat"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"the\ncat\n")))
    assert list(Vocab.load("-")) == ["the", "cat"]


@pytest.mark.parametrize("content", ["the \ncat \n", " the\n cat\n", "the\t\ncat\t\n", '"the"\n"cat"\n'])
def test_shared_spaces_and_quotes_are_removed_with_a_warning(content: str) -> None:
    with pytest.warns(VecloadWarning, match="every line is quoted or has spaces around it"):
        assert read(content) == (["the", "cat"], None)


def test_spaces_of_some_words_are_kept() -> None:
    assert read("the \ncat\n") == (["the ", "cat"], None)


@given(st.lists(LIST_WORDS, min_size=1, max_size=6, unique=True))
@example(["Area 51", "Catch 22"])
@example(["[", "]"])
@example(["BZh91AY", "cat"])
@example(['["', "a", '"]'])
def test_save_text_round_trips_or_raises(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    """Saving raises if the text file would be read back as other words."""
    file = tmp_path_factory.mktemp("words") / "words.txt"
    try:
        Vocab.from_words(words).save(file)
    except VocabularyError as error:
        assert "save the vocabulary as .json" in str(error)
        return
    vocab = Vocab.load(file)
    assert (list(vocab), vocab.counts) == (words, None)


@given(st.dictionaries(st.text("abc é1", min_size=1).filter(lambda w: w == w.strip()), st.integers(0, 99), min_size=2))
def test_numbers_after_a_tab_are_counts_or_row_numbers(counter: dict[str, int]) -> None:
    words, numbers = list(counter), list(counter.values())
    lines = "".join(f"{word}\t{number}\n" for word, number in counter.items())
    rows = sorted(numbers) == list(range(len(numbers)))
    shifted = numbers == list(range(1, len(numbers) + 1))
    try:
        found = read(lines)
    except FormatError as error:
        assert "may be counts, or row numbers with gaps" in str(error)
        assert numbers == sorted(numbers)
        return
    if rows:
        assert found == (sorted(words, key=lambda word: counter[word]), None)
    elif shifted:
        assert found == (["<unused-0>", *words], None)
    else:
        assert found == (words, numbers)


@given(st.lists(st.text("abcXYZé'-", min_size=1), min_size=2, unique=True), st.data())
def test_decreasing_numbers_after_a_space_are_counts(words: list[str], data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(1, 10**9), min_size=len(words), max_size=len(words)))
    numbers.sort(reverse=True)
    lines = "".join(f"{word} {number}\n" for word, number in zip(words, numbers, strict=True))
    assert read(lines) == (words, numbers)


@pytest.mark.parametrize("bad", ["a\nb", "", "a\r", "a\0b"])
def test_save_text_refuses_words_with_line_ends(tmp_path: Path, bad: str) -> None:
    with pytest.raises(VocabularyError, match=r"cannot be written on one line: save the vocabulary as .json"):
        Vocab.from_words([bad, "cat"]).save(tmp_path / "w.txt")
    assert not (tmp_path / "w.txt").exists()


@pytest.mark.parametrize("words", [[], ["the 5", "cat 3"], ["cat\t5"], ["[]"]])
def test_save_text_refuses_ambiguous_words(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(VocabularyError, match=r"would be read back differently: save the vocabulary as .json"):
        Vocab.from_words(words).save(tmp_path / "w.txt")
    Vocab.from_words(words).save(tmp_path / "w.json")
    assert list(Vocab.load(tmp_path / "w.json")) == words
