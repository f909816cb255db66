"""Tests of word pairs, dictionaries and analogies in the layouts in which they are published and exported."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import TABLE_CELLS
from vecload import Vectors, evaluation, map_spaces
from vecload.errors import FormatError, OptionError
from vecload.mapping import find_pairs, read_dictionary, split_pairs
from vecload.text_input import read_scored_pairs, read_scored_sentences, read_word_pairs

PAIRS = [("the", "of", 5.2), ("cat", "dog", 9.1), ("and", "of", 3.0)]


def read(content: str) -> list[tuple[str, str, float]]:
    return [tuple(pair) for pair in read_scored_pairs(io.BytesIO(content.encode()))]


@pytest.mark.parametrize(
    "content",
    [
        "the\tof\t5.2\ncat\tdog\t9.1\nand\tof\t3\n",
        "the of 5.2\ncat   dog 9.1\nand of 3\n",
        "the,of,5.2\ncat,dog,9.1\nand,of,3\n",
        "the;of;5.2\ncat;dog;9.1\nand;of;3\n",
        "word1,word2,score\nthe,of,5.2\ncat,dog,9.1\nand,of,3\n",
        "word1 word2 score\nthe of 5.2\ncat dog 9.1\nand of 3\n",
        '"word1","word2","score"\n"the","of",5.2\n"cat","dog",9.1\n"and","of",3\n',
        '"word1"\t"word2"\t"score"\n"the"\t"of"\t5.2\n"cat"\t"dog"\t9.1\n"and"\t"of"\t3\n',
        ",word1,word2,score\n0,the,of,5.2\n1,cat,dog,9.1\n2,and,of,3\n",
        ",0,1,2\n0,the,of,5.2\n1,cat,dog,9.1\n2,and,of,3\n",
        "0,1,2\nthe,of,5.2\ncat,dog,9.1\nand,of,3\n",
        "0\tthe\tof\t5.2\n1\tcat\tdog\t9.1\n2\tand\tof\t3\n",
        "1 the of 5.2\n2 cat dog 9.1\n3 and of 3\n",
        "ID\tWord 1\tWord 2\tAnnotator 1\n7\tthe\tof\t5.2\n3\tcat\tdog\t9.1\n12\tand\tof\t3\n",
        "word1\tword2\tPOS\tSimLex\tother\nthe\tof\tN\t5.2\t1\ncat\tdog\tN\t9.1\t1\nand\tof\tA\t3\t1\n",
        "# a comment\n\nthe\tof\t5.2\n# another\ncat\tdog\t9.1\n\nand\tof\t3\n\n",
        "the,of,5.2,1,2\ncat,dog,9.1,1,3\nand,of,3.0,1,4\n",
    ],
)
def test_scored_pairs_are_the_same_in_every_table_format(content: str) -> None:
    for text in (content, "\ufeff" + content, content.replace("\n", "\r\n"), content.replace("\n", "\r")):
        assert read(text) == PAIRS
    assert [tuple(pair) for pair in read_scored_pairs(io.BytesIO(content.encode("utf-16")))] == PAIRS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("7,the,of,5.2\n3,cat,dog,9.1\n", "column 1 holds only numbers, not words"),
        ("5.2\tthe\tof\n9.1\tcat\tdog\n", "not a pair|column 1 holds only numbers"),
        ("the\t5.2\tof\t1\ncat\t9.1\tdog\t1\n", "column 2 holds only numbers"),
        ("the of\ncat dog\n", "not a pair|no pairs"),
        ("the of 1\ncat dog\n", "line 2: not a pair: found 'cat dog'"),
        ("the,of,1\n,dog,2\n", "line 2: not a pair"),
        ("the of inf\n", "line 1: not a pair"),
        ("the of 1\ncat dog x\nand of 3\n", "line 2: not a pair"),
        ("", "no pairs"),
        ("word1,word2,score\n", "no pairs"),
        ("w1,w2,s\nw1,w2,s\nthe,of,2\n", "line 2: not a pair"),
    ],
)
def test_scored_pairs_without_two_columns_of_words_raise(content: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(content)


@given(
    st.lists(st.tuples(TABLE_CELLS, TABLE_CELLS, st.floats(0, 10)), min_size=1, max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.booleans(),
    st.booleans(),
)
def test_scored_pairs_read_tables_of_the_csv_module(
    rows: list[tuple[str, str, float]], delimiter: str, index: bool, header: bool
) -> None:
    if delimiter == "\t":  # there, a quotation mark is part of the word
        rows = [(left.replace('"', ""), right.replace('"', ""), score) for left, right, score in rows]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    if header:
        writer.writerow([*[""] * index, "left", "right", "score"])
    for at, row in enumerate(rows):
        writer.writerow([*[at] * index, *row])
    assert read(text.getvalue()) == [(left.strip(), right.strip(), score) for left, right, score in rows]


def test_similarity_of_pairs_ignores_a_byte_order_mark(tmp_path: Path) -> None:
    """The mark made the first word unknown: a correlation of 1.0 over the three other pairs."""
    rows = np.array([[-1, 0], [1, 0], [0.9, 0.4], [0.3, 0.95], [0.3, 0.95]], dtype=np.float32)
    vectors = Vectors(["the", "of", "and", "cat", "dog"], rows)
    content = "the\tof\t5\ncat\tdog\t9\nand\tof\t3\ncat\tof\t1\n"
    scores = []
    for name, text in (("plain", content), ("mark", "\ufeff" + content), ("crlf", content.replace("\n", "\r\n"))):
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        found = evaluation.similarity(vectors, evaluation.read_pairs(tmp_path / name))
        scores.append((found.spearman, found.used))
    assert scores == [(pytest.approx(0.4), 4)] * 3


def test_scored_sentences_skip_index_and_header() -> None:
    for content in ("a cat\ta dog\t4.5\nit\tthat\t1\n", "id\ts1\ts2\tscore\n0\ta cat\ta dog\t4.5\n1\tit\tthat\t1\n"):
        assert read_scored_sentences(io.BytesIO(content.encode())) == [("a cat", "a dog", 4.5), ("it", "that", 1.0)]
    benchmark = "main\tf\t2012\t7\t4.5\ta cat\ta dog\nmain\tf\t2012\t8\t1\tit\tthat\n"
    assert read_scored_sentences(io.BytesIO(benchmark.encode())) == [("a cat", "a dog", 4.5), ("it", "that", 1.0)]


DICTIONARY = [("the", "of"), ("cat", "dog"), ("and", "the")]


@pytest.mark.parametrize(
    "content",
    [
        "the of\ncat dog\nand the\n",
        "the\tof\ncat\tdog\nand\tthe",
        " the  of\n\ncat\tdog \nand the\ncat dog\n\n",
        json.dumps(dict(DICTIONARY)),
        json.dumps({source: [target] for source, target in DICTIONARY}, indent=1),
        json.dumps(DICTIONARY),
    ],
)
def test_word_pairs_are_the_same_in_every_format(content: str, tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        for end in ("\n", "\r\n"):
            (tmp_path / "any.name").write_text(content, encoding=encoding, newline=end)
            assert read_dictionary(tmp_path / "any.name") == DICTIONARY


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0\tcat\n1\tdog\n", "the first column numbers the lines"),
        ("0\tcat\tKatze\n", "line 1: not a pair of words"),
        (
            "cat Katze\nNew York New York\n",
            "line 2: not a pair of words: .* Put a tab between words that contain spaces",
        ),
        ("\n", "a dictionary without pairs"),
        ('{"cat": 3}', "not a pair of words"),
        ('["cat"]', "not a pair of words"),
    ],
)
def test_word_pairs_of_other_files_raise(content: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_word_pairs(io.BytesIO(content.encode()))


def test_word_pairs_may_be_numerals() -> None:
    assert read_word_pairs(io.BytesIO(b"1 one\n7 seven\n")) == [("1", "one"), ("7", "seven")]


def test_analogies_ignore_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\ufeff: capitals\r\na b c d\r\n", newline="")
    found = evaluation.read(tmp_path / "a.txt")
    assert isinstance(found, evaluation.Analogies)
    assert found.sections == (("capitals", (("a", "b", "c", "d"),)),)


@pytest.mark.parametrize("content", ["\ufeffa\tb\t3\nc\td\t1\n", ": x\na b c d\n"])
def test_evaluation_reads_standard_input(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    found = evaluation.read("-")
    if isinstance(found, evaluation.Pairs):
        assert (found.left, found.right, found.gold.tolist()) == (("a", "c"), ("b", "d"), [3, 1])
    else:
        assert found.sections == (("x", (("a", "b", "c", "d"),)),)


@pytest.mark.parametrize("pairs", [["ab", "cd"], [("a", "b"), "cd"], [("a", "b", "c")], [("a", 3)]])
def test_list_of_pairs_refuses_strings(pairs: list[object]) -> None:
    """A string of two characters would unpack into two words."""
    space = Vectors(["a", "b", "c", "d"], np.eye(4, dtype=np.float32))
    calls = [
        lambda: find_pairs(space, space, pairs),  # type: ignore[arg-type]
        lambda: split_pairs(pairs),  # type: ignore[arg-type]
        lambda: map_spaces(space, space, pairs=pairs),  # type: ignore[arg-type]
        lambda: evaluation.induction(space, space, pairs),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(OptionError, match=r"must be pairs of words, such as \('cat', 'Katze'\): found"):
            call()
