"""Test `RowLookup`, the value between tokenizer and pooling module."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from vecload import Words
from vecload.errors import OptionError
from vecload.ngrams import NgramTable
from vecload.pooling.encoding import pieces
from vecload.pooling.row_lookup import RowLookup
from vecload.tokenizers import Tokenizer

WORDS = Words.from_strings(["<pad>", "<unk>", "the", "cat"])
TABLE = NgramTable(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32), minn=3, maxn=4)
TEXTS = ["the cat", "dogs <pad> the dogs", "", "x cow"]


def rows_of(lookup: RowLookup, tokenize: Any) -> tuple[list[int], list[int], list[list[float]]]:
    found = [piece.find() for piece in pieces(Tokenizer.of(tokenize), lookup, TEXTS)]
    assert len(found) == 1
    composed = [] if found[0].composed is None else found[0].composed.matrix.tolist()
    return found[0].rows.tolist(), found[0].offsets.tolist(), composed


@pytest.mark.parametrize("tokenize", [None, str.split])
def test_unknown_words_are_skipped_or_get_the_unknown_row(tokenize: Any) -> None:
    offsets = [0, 2, 6, 6, 8]
    skipping = RowLookup(WORDS, padding_idx=0)
    assert rows_of(skipping, tokenize) == ([2, 3, -1, -1, 2, -1, -1, -1], offsets, [])
    replacing = RowLookup(WORDS, "unk", unk_idx=1, padding_idx=0)
    assert rows_of(replacing, tokenize) == ([2, 3, 1, -1, 2, 1, 1, 1], offsets, [])


@pytest.mark.parametrize("tokenize", [None, str.split])
def test_unknown_words_are_composed_once_and_numbered_from_minus_two(tokenize: Any) -> None:
    rows, _, composed = rows_of(RowLookup(WORDS, "ngrams", ngrams=TABLE), tokenize)
    assert rows == [2, 3, -2, 0, 2, -2, -3, -4]
    assert composed == TABLE.vectors(["dogs", "x", "cow"]).tolist()


def test_pickled_lookup_finds_the_same_rows() -> None:
    lookup = RowLookup(WORDS, "ngrams", ngrams=TABLE)
    assert rows_of(pickle.loads(pickle.dumps(lookup)), None) == rows_of(lookup, None)


def test_unknown_policy_without_its_row_or_table_is_refused() -> None:
    with pytest.raises(OptionError, match="unknown='unk' needs an unknown token"):
        RowLookup(WORDS, "unk")
    with pytest.raises(OptionError, match="unknown='ngrams' needs Vectors with an n-gram table"):
        RowLookup(WORDS, "ngrams")


def test_helpers_of_pooling_do_not_import_sentence_pooler() -> None:
    grimp = pytest.importorskip("grimp")
    graph = grimp.build_graph("vecload", exclude_type_checking_imports=False, cache_dir=None)
    above = {"vecload.pooling", "vecload.pooling.estimator", "vecload.pooling.files"}
    importers = graph.find_modules_that_directly_import("vecload.pooling.sentence_pooler")
    assert {name for name in importers if name.startswith("vecload.pooling")} == above
