"""Files from public bug reports: text inputs that gave wrong results with exit code 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecload
from vecload import Vectors, Vocab
from vecload.evaluation import read_pairs
from vecload.mapping import read_dictionary
from vecload.text_input import read_texts

CASES = Path(vecload.__file__).parents[1].parent / "shared" / "cases" / "files"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not there")


@pytest.mark.parametrize(
    ("name", "words", "counts"),
    [
        ("62s_bom.txt", ["the", "of", "and"], None),
        ("62b_glove_vocab.txt", ["the", "of", "and", "in"], [1061396, 593677, 416629, 5]),
        ("62_savevocab.txt", ["</s>", "the", "of", "and"], [0, 1061396, 593677, 416629]),
        ("62o_dict_txt_fairseq.txt", ["the", "cat"], [999, 5]),
        ("words", ["cat", "dog"], None),
        ("words.lst", ["cat", "dog"], None),
        ("words.txt.gz", ["cat", "dog"], None),
        ("62g_vocab_trailing_blank.txt", ["the", "cat"], None),
        ("62j_vocab_json_list.json", ["the", "cat"], None),
        ("62n_vocab_utf16.txt", ["the", "cat"], None),
        ("63b_projector_metadata.tsv", ["the", "cat", "dog"], None),
    ],
)
def test_word_list_from_a_bug_report_is_read_correctly(name: str, words: list[str], counts: list[int] | None) -> None:
    vocab = Vocab.load(CASES / name)
    assert list(vocab) == words
    assert (None if vocab.counts is None else vocab.counts.tolist()) == counts


@pytest.mark.parametrize("name", ["36q_pairs_bom.tsv", "36q_pairs_lf.tsv"])
def test_byte_order_mark_does_not_change_spearman(name: str) -> None:
    """The mark once made a word unknown: the correlation of the other three pairs was 1.0."""
    rows = np.array([[-1, 0], [1, 0], [0.9, 0.4], [0.3, 0.95], [0.3, 0.95]], dtype=np.float32)
    vectors = Vectors(["the", "of", "and", "cat", "dog"], rows)
    found = vecload.evaluation.similarity(vectors, read_pairs(CASES / name))
    assert (found.spearman, found.used) == (pytest.approx(0.4), 4)


def test_scored_pairs_skip_an_index_column() -> None:
    pairs = read_pairs(CASES / "36i_pairs_index.csv")
    assert (pairs.left, pairs.right, pairs.gold.tolist()) == (("the", "cat"), ("of", "dog"), [5.2, 9.1])


def test_word_pairs_ignore_a_byte_order_mark() -> None:
    assert read_dictionary(CASES / "35o_bom.txt") == [("the", "of"), ("cat", "dog"), ("and", "the")]


@pytest.mark.parametrize("name", ["pool.txt", "pool_bom.txt", "pool_bom.jsonl"])
def test_texts_ignore_a_byte_order_mark(name: str) -> None:
    assert list(read_texts(CASES / name)) == ["cat dog", "dog the"]
