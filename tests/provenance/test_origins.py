"""Origins of rows, special tokens, and coverage without an explanation."""

from __future__ import annotations

import numpy as np

from vecload import Vocab
from vecload.provenance import Origin
from vecload.provenance.coverage import coverage_of
from vecload.provenance.origins import EXACT, PADDING, SPECIAL, rows_of_kind, special_rows

ORIGINS = (PADDING, SPECIAL, EXACT, Origin("casefold", "found"), Origin("normal", "drawn"))


def test_rows_of_kind_selects_all_origins_of_the_kinds() -> None:
    codes = np.array([4, 2, 3, 0, 1], dtype=np.uint8)
    assert rows_of_kind(codes, ORIGINS, "found").tolist() == [False, True, True, False, False]
    assert rows_of_kind(codes, ORIGINS, "padding", "drawn").tolist() == [True, False, False, True, False]
    assert rows_of_kind(codes[:0], (), "found").tolist() == []


def test_special_rows_include_padding_and_unknown_tokens() -> None:
    vocab = Vocab.from_words(["cat", "<s>"], specials=["<s>"], pad_token="<pad>", unk_token="<unk>")
    assert dict(zip(vocab, special_rows(vocab).tolist(), strict=True)) == {
        "<pad>": True,
        "<unk>": True,
        "cat": False,
        "<s>": True,
    }


def test_origin_is_shown_by_its_name() -> None:
    assert str(Origin("mean-of-parts", "composed")) == "mean-of-parts"


def test_coverage_counts_found_words_without_special_tokens() -> None:
    vocab = Vocab.from_counter({"cat": 6, "dog": 3, "cow": 1}, pad_token="<pad>")
    codes = np.array([0, 2, 3, 4], dtype=np.uint8)
    found = rows_of_kind(codes, ORIGINS, "padding", "special", "found")
    coverage = coverage_of(vocab, codes, [one.name for one in ORIGINS], found, None)
    assert (coverage.found, coverage.found_tokens, coverage.missing()) == (2 / 3, 0.9, [("cow", 1)])
    assert coverage.explanation is None
