"""Hypothesis strategies that tests share, and the larger ones that only one module needs.

A strategy that fits on one line, such as ``st.integers(1, 3)``, stays in the test that draws from it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from vecload import Vectors, Words

SEEDS = st.integers(-(2**70), 2**70)
"""Seeds of random draws, more than 64 bits wide too."""

UTF8_CHARACTERS = st.characters(codec="utf-8")
"""Any character that UTF-8 can encode: no lone surrogates."""

FINITE_FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
"""Finite values of float32, subnormal ones and negative zero included."""


def raw_words(
    max_size: int = 20, *, max_count: int | None = None, min_count: int = 0
) -> st.SearchStrategy[list[bytes]]:
    """Return a strategy for lists of words as bytes: empty words, repeated words and invalid UTF-8 included."""
    return st.lists(st.binary(max_size=max_size), min_size=min_count, max_size=max_count)


# Characters that every format can hold in a word.
_PORTABLE = "abcé北🙂\u00a0\u0085\u2028\u3000e\u0301.-%'\"#_<>/\\"

# A text file without a header is refused if it begins with one of these: byte-order mark, gzip, bzip2, xz, Zstandard.
_SIGNATURES = (b"\xef\xbb\xbf", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(\xb5/\xfd")


def vectors(*, raw: bool) -> st.SearchStrategy[Vectors]:
    """Return a strategy for small `Vectors` of distinct words and floats of every magnitude.

    Parameters
    ----------
    raw
        Whether words may be invalid UTF-8.
    """
    word = st.text(_PORTABLE, min_size=1, max_size=9).map(lambda text: text.encode())
    if raw:
        separators = set(b" \t\n\v\f\r\0")
        word |= st.binary(min_size=1, max_size=9).filter(
            lambda raw: not set(raw) & separators and not raw.startswith(_SIGNATURES)
        )

    def build(words: list[bytes], values: list[float], dim: int) -> Vectors:
        matrix = np.resize(np.array(values, dtype=np.float32), (len(words), dim))
        return Vectors(Words.from_bytes(words), matrix)

    words = st.lists(word, min_size=1, max_size=8, unique=True)
    return st.builds(build, words, st.lists(FINITE_FLOAT32, min_size=1, max_size=24), st.integers(1, 5))


WORD2VEC_WORDS = st.binary(max_size=12).filter(lambda raw: b" " not in raw and not raw.startswith(b"\n"))
"""Words that a binary word2vec file can hold."""

DECIMALS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda value: f"{value:.6g}"),
    st.decimals(allow_nan=False, allow_infinity=False, places=None).map(str),
    st.tuples(st.integers(0, 10**25), st.integers(-400, 400)).map(lambda pair: f"{pair[0]}e{pair[1]}"),
    st.from_regex(r"[+-]?([0-9]{1,25}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,4})?", fullmatch=True),
)
"""Numbers as text, in every notation that text files of vectors use."""

NGRAM_LENGTHS = st.tuples(st.integers(0, 4), st.integers(0, 7))
"""Shortest and longest n-gram, in either order: some ranges are empty."""

NESTED_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=300) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=3), inner, max_size=20),
    max_leaves=60,
)
"""Values that a damaged or hostile file may hold where a short string is expected."""

REGEXES = st.recursive(
    st.sampled_from(["a", "b", "[ab]", r"\w", ".", "[^b]"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "*?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)
"""Regular expressions with nested repetition: the kind that can take exponential time."""

LIST_WORDS = st.text(
    st.sampled_from(["a", "B", " ", " ", "1", "2", "0", "\t", ",", '"', "[", "]", "{", "}", ":", "\ufeff", "é", "-"]),
    min_size=1,
    max_size=6,
)
"""Words that look like other things in a word list: counts, columns, JSON."""

TABLE_CELLS = st.text("abé,;\"' -", min_size=1, max_size=5).map(str.strip).filter(lambda word: set(word) & set("abé"))
"""Words with the characters that separate and quote the cells of a table."""
