"""HTML tables for notebooks: escaped, in the colors of the surrounding text."""

from __future__ import annotations

import html
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import vecload
from vecload import Vectors, Vocab, catalog, evaluation
from vecload.notebook import Bar, table

VECTORS = Vectors(["<b>&cat", "dog", "\udcff", "a\u202eb\x00", "cow"], np.eye(5, 3, dtype=np.float32))
VOCAB = Vocab.from_counter({"dog": 30, "cow": 3, "<script>": 1}, pad_token="<pad>")
ALIGNED = vecload.align(VECTORS, VOCAB)
JUDGED = evaluation.Pairs("set", ("dog", "dog", "cow"), ("cow", "dog", "cow"), np.array([1.0, 9.0, 8.0]))

VALUES = {
    "Vectors": VECTORS,
    "Vectors without rows": Vectors([], np.empty((0, 2))),
    "Vectors with NaN": Vectors(["a", "b"], [[np.nan, 1.0], [0.0, 0.0]]),
    "Vocab": VOCAB,
    "Vocab without counts": Vocab.from_words(["dog"]),
    "Vocab without words": Vocab.from_words([]),
    "Aligned": ALIGNED,
    "Aligned without words": vecload.align(VECTORS, []),
    "Coverage": ALIGNED.coverage,
    "Coverage without counts": vecload.align(VECTORS, ["dog", "<i>"]).coverage,
    "Info": vecload.info(io.BytesIO(b"<b>cat 0 3\ndog 3 4\n")),
    "Evaluation": vecload.evaluate(VECTORS, [JUDGED]),
    "Comparison": vecload.compare(VECTORS, Vectors(["dog", "cow"], np.eye(2, 3)), k=1),
    "Comparison of two dimensions": vecload.compare(VECTORS, Vectors(["dog", "cow"], np.eye(2)), k=1),
    "Entry": catalog.entries()[0],
}


class Checker(HTMLParser):
    """Follow the tags and refuse any that is left open or not expected."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("table", "caption", "thead", "tbody", "tr", "th", "td", "span", "div")
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(shown: str) -> str:
    checker = Checker()
    checker.feed(shown)
    checker.close()
    assert checker.open == []
    return checker.text


@pytest.mark.parametrize("name", VALUES)
def test_html_of_every_value_is_well_formed_and_small(name: str) -> None:
    shown = VALUES[name]._repr_html_()  # type: ignore[attr-defined]
    assert text_of(shown)
    assert len(shown) < 20_000
    json.dumps(shown, ensure_ascii=False).encode("utf-8")  # as in a notebook file


@pytest.mark.parametrize("name", VALUES)
def test_html_of_every_value_takes_its_colors_from_the_page(name: str) -> None:
    shown = VALUES[name]._repr_html_()  # type: ignore[attr-defined]
    colors = set(re.findall(r"(?:color|background):([^;\"]+)", shown))
    assert colors <= {"inherit", "transparent", "currentColor"}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Vectors", ["5 words × 3 float32", "<b>&cat", "dog", "\\udcff", "a\\u202eb\\x00", "1 0 0"]),
        ("Vocab", ["4 words", "<pad>", "dog", "30"]),
        ("Aligned", ["padding", "exact", "66.7% of the types found", "<script>"]),
        ("Coverage", ["tokens", "97.1% of the tokens", "Most frequent words not found"]),
        ("Info", ["<b>cat", "GloVe text", "dimension"]),
        ("Evaluation", ["protocol gensim", "Spearman", "set", "3 of 3", "isotropy"]),
        ("Comparison", ["words in common", "overlap of 1 neighbors"]),
        ("Entry", ["license", "dimension"]),
    ],
)
def test_html_shows_sizes_and_coverage(name: str, parts: list[str]) -> None:
    text = text_of(VALUES[name]._repr_html_())  # type: ignore[attr-defined]
    for part in parts:
        assert part in text


def widths(shown: str) -> list[float]:
    return [float(width) for width in re.findall(r";width:([0-9.e-]+)em", shown)]


def test_bars_are_as_long_as_their_shares() -> None:
    shares = [0.0, 0.25, 1.0, 2.0, -1.0, float("nan")]
    shown = table("Bars", [], [[Bar(share, "x")] for share in shares])
    assert widths(shown) == [0, 2, 8, 8, 0, 0]


def test_long_and_unprintable_text_is_cut_and_escaped() -> None:
    text = text_of(table("Words", ["word"], [["x" * 500], ["\x1b[31m"], ["\ud800"]]))
    assert "x" * 59 + "…" in text
    assert "x" * 60 not in text
    assert "\\x1b[31m" in text
    assert "\\ud800" in text


def test_coverage_in_a_notebook_says_how_words_would_be_found() -> None:
    vectors = vecload.Vectors(["the", "cat"], np.eye(2, dtype=np.float32))
    coverage = vecload.align(vectors, vecload.Vocab.from_words(["The", "cat"])).coverage
    shown = html.unescape(coverage._repr_html_())
    assert coverage.explanation is not None
    assert coverage.explanation.headline in shown
    assert "(--oov casefold,normal)" in shown
