"""Tests of the step that looks for a word under its other names."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from tests.builders import small_vectors
from vecload import oov
from vecload.errors import FormatError, OptionError

TABLE = {"P53": "TP53", "HER2": ["NEU", "ERBB2"]}
GENES = small_vectors(["TP53", "ERBB2", "BRCA1"], dim=4)


def rows(vectors: vecload.Vectors, words: list[str], step: Any) -> np.ndarray:
    return vecload.align(vectors, words, oov=[step, "zeros"]).matrix


def sources(folder: Path) -> dict[str, Any]:
    tabs = "P53\tTP53\nHER2\tNEU\nHER2\tERBB2\n"
    (folder / "aliases.tsv").write_text("\ufeff" + tabs, encoding="utf-8")
    (folder / "aliases.json").write_text(json.dumps(TABLE), encoding="utf-8")
    return {
        "dictionary": TABLE,
        "pairs": [("P53", "TP53"), ("HER2", "NEU"), ("HER2", "ERBB2")],
        "path": folder / "aliases.tsv",
        "string": str(folder / "aliases.tsv"),
        "json": folder / "aliases.json",
        "stream": io.BytesIO(tabs.encode()),
    }


@pytest.mark.parametrize("kind", ["dictionary", "pairs", "path", "string", "json", "stream"])
def test_aliases_reads_every_kind_of_table(kind: str, tmp_path: Path) -> None:
    aligned = vecload.align(
        GENES, ["P53", "HER2", "BRCA1", "KRAS"], oov=[oov.aliases(sources(tmp_path)[kind]), "zeros"]
    )
    np.testing.assert_array_equal(aligned.matrix[:3], GENES[["TP53", "ERBB2", "BRCA1"]])
    assert [aligned.origin_of(word) for word in ("P53", "HER2", "BRCA1", "KRAS")] == [
        "aliases", "aliases", "exact", "zeros"
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*no word of the vocabulary was found:vecload.VecloadWarning")
@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("uvwxyz"), max_size=4)), st.data())
def test_aliases_take_the_first_known_name(table: dict[str, list[str]], data: st.DataObject) -> None:
    there = data.draw(st.lists(st.sampled_from("uvwxyz"), unique=True, min_size=1))
    vectors = small_vectors(there, dim=3)
    for word, row in zip("abcdef", rows(vectors, list("abcdef"), oov.aliases(table)), strict=True):
        known = next((name for name in table.get(word, []) if name in vectors), None)
        np.testing.assert_array_equal(row, np.zeros(3) if known is None else vectors[known])


def test_aliases_read_only_their_rows_from_a_file(tmp_path: Path) -> None:
    GENES.save(tmp_path / "genes.txt")
    aligned = vecload.align(tmp_path / "genes.txt", ["P53", "KRAS"], oov=[oov.aliases(TABLE), "zeros"])
    np.testing.assert_array_equal(aligned.matrix, [GENES["TP53"], np.zeros(4)])


def test_aliases_join_the_spellings_of_earlier_steps() -> None:
    aligned = vecload.align(GENES, ["p53"], oov=["casefold", oov.aliases(TABLE), "zeros"])
    assert aligned.origin_of("p53") == "aliases"
    # A name is not followed to its own aliases.
    step = oov.aliases({"a": "b", "b": "TP53"})
    assert not rows(GENES, ["a", "TP53"], step)[0].any()


def test_aliases_keep_the_exact_row_of_a_word_that_the_vectors_have() -> None:
    step = oov.aliases({"TP53": "ERBB2"})
    np.testing.assert_array_equal(rows(GENES, ["TP53"], step), GENES[["TP53"]])


def test_aliases_accept_consecutive_numbers(tmp_path: Path) -> None:
    (tmp_path / "items.tsv").write_text("1\t901\n2\t902\n3\t903\n", encoding="utf-8")
    items = small_vectors(["901", "902", "903"])
    np.testing.assert_array_equal(rows(items, ["3", "1"], f"aliases:{tmp_path / 'items.tsv'}"), items[["903", "901"]])


def test_aliases_can_be_pickled() -> None:
    step = pickle.loads(pickle.dumps(oov.aliases(TABLE)))
    np.testing.assert_array_equal(rows(GENES, ["P53"], step), GENES[["TP53"]])


@pytest.mark.parametrize("names", [{"a": 1}, {1: "a"}, {"a": [None]}, [("a", "b", "c")], ["ab"], [("a", 1)]])
def test_aliases_refuse_anything_but_strings(names: Any) -> None:
    with pytest.raises(OptionError, match="aliases must be"):
        oov.aliases(names)


@pytest.mark.parametrize("step", ["aliases", oov.aliases])
def test_align_says_that_aliases_need_names(step: Any) -> None:
    with pytest.raises(OptionError, match=r"'aliases' needs names: vecload\.oov\.aliases\(names\), or 'aliases:FILE'"):
        vecload.align(GENES, ["a"], oov=[step])


def test_aliases_name_the_line_without_two_words(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("P53\tTP53\nHER2\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"a\.tsv, line 2: not a pair of words"):
        oov.aliases(tmp_path / "a.tsv")
    with pytest.raises(FileNotFoundError):
        oov.aliases(tmp_path / "missing.tsv")
