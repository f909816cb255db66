"""Errors for missing words suggest near words, which are searched only when the message is shown."""

from __future__ import annotations

import copy
import difflib
import pickle
import random
import time

import numpy as np
import pytest

import vecload
from vecload import Vectors, Words
from vecload.errors import MissingWordError
from vecload.words import near_words


def table(*words: str) -> Vectors:
    return Vectors(words, np.eye(len(words), 4, dtype=np.float32))


def reference(words: list[str], word: str) -> list[str]:
    """Return near words by comparing every word with difflib, the reference for `near_words`."""
    matcher = difflib.SequenceMatcher(b=word.lower(), autojunk=False)
    rated = []
    for row, other in enumerate(words):
        matcher.set_seq1(other.lower())
        rated.append((-matcher.ratio(), row, other))
    return [other for ratio, _, other in sorted(rated) if ratio <= -0.7 and other != word][:3]


def test_near_words_equal_those_of_difflib_over_all_words() -> None:
    draw = random.Random(7)
    words = sorted({"".join(draw.choices("abcdef", k=draw.randint(3, 7))) for _ in range(300)})
    packed = Words.from_strings(words)
    for word in ("abcd", "fedcba", "aabbcc", "bead", "decade"):
        if word not in words:
            assert near_words(packed, word) == reference(words, word)


@pytest.mark.parametrize(
    ("words", "missing", "near"),
    [
        (["paris", "cat"], "PARIS", ["paris"]),
        (["PARIS"], "paris", ["PARIS"]),
        (["caf\u00e9"], "cafe\u0301", ["caf\u00e9"]),
        (["caf\u00e9"], "cafe", ["caf\u00e9"]),
        (["cat"], " cat", ["cat"]),
        (["東京都"], "東京", ["東京都"]),
        (["cat"], "zyzzyx", []),
        (["cat"], "", []),
        ([], "cat", []),
        (["x" * 50], "x" * 49, []),
        (["cat"], "\ud800", []),
    ],
)
def test_near_words_handle_unusual_words(words: list[str], missing: str, near: list[str]) -> None:
    assert near_words(Words.from_strings(words), missing) == near


def test_near_words_take_a_bounded_time() -> None:
    letters = np.random.default_rng(0).integers(97, 123, size=(400_000, 9), dtype=np.uint8)
    packed = Words(letters.reshape(-1), np.arange(0, letters.size + 1, 9))
    begin = time.perf_counter()
    near_words(packed, "abcdefghi")
    assert time.perf_counter() - begin < 2


def test_missing_word_errors_suggest_near_words_in_every_call() -> None:
    vectors = table("frog", "toad", "lizard")
    calls = [
        lambda: vectors["frogs"],
        lambda: vectors[["frogs"]],
        lambda: vectors.select(["frogs"]),
        lambda: vectors.neighbors("frogs"),
        lambda: vectors.analogy("frogs", "toad", "lizard"),
        lambda: vecload.Vocab.from_words(["frog"]).encode(["frogs"]),
        lambda: vecload.Vocab.from_words(["frog"])["frogs"],
        lambda: vecload.align(vectors, ["frog"]).origin_of("frogs"),
    ]
    for call in calls:
        with pytest.raises(MissingWordError, match=r"near words: 'frog'$") as caught:
            call()
        assert caught.value.words == ("frogs",)


def test_error_suggests_a_near_word_for_each_missing_word() -> None:
    with pytest.raises(MissingWordError, match=r"near 'frogs': 'frog', near 'toat': 'toad'$"):
        table("frog", "toad")[["frogs", "toat", "zyzzyx"]]


def test_error_searches_near_words_only_when_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from vecload.words import near

    asked = []
    monkeypatch.setattr(near, "near_words", lambda _words, word: asked.append(word) or [])
    with pytest.raises(KeyError) as caught:
        table("frog")["frogs"]
    assert asked == []
    assert str(caught.value) == str(caught.value)
    assert asked == ["frogs"]


def test_error_for_missing_words_can_be_pickled_and_copied() -> None:
    with pytest.raises(MissingWordError) as caught:
        table("frog")["frogs"]
    for twin in (pickle.loads(pickle.dumps(caught.value)), copy.deepcopy(caught.value)):
        assert str(twin) == str(caught.value)
        assert twin.words == ("frogs",)
