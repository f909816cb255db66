"""Missing words: the message names near words, and only a reader of the message waits for them."""

from __future__ import annotations

import copy
import difflib
import pickle
import random
import time

import numpy as np
import pytest

import vecload
from vecload import MissingWordError, Vectors, Words
from vecload.words import near_words


def table(*words: str) -> Vectors:
    return Vectors(words, np.eye(len(words), 4, dtype=np.float32))


def slow_twin(words: list[str], word: str) -> list[str]:
    """Compare every word by difflib, as `near_words` should if it compared all of them."""
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
            assert near_words(packed, word) == slow_twin(words, word)


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
def test_near_words_of_unusual_words(words: list[str], missing: str, near: list[str]) -> None:
    assert near_words(Words.from_strings(words), missing) == near


def test_near_words_of_400_000_words_take_a_bounded_time() -> None:
    letters = np.random.default_rng(0).integers(97, 123, size=(400_000, 9), dtype=np.uint8)
    packed = Words(letters.reshape(-1), np.arange(0, letters.size + 1, 9))
    begin = time.perf_counter()
    near_words(packed, "abcdefghi")
    assert time.perf_counter() - begin < 2


def test_missing_word_names_near_words_in_every_call() -> None:
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


def test_several_missing_words_name_a_near_word_each() -> None:
    with pytest.raises(MissingWordError, match=r"near 'frogs': 'frog', near 'toat': 'toad'$"):
        table("frog", "toad")[["frogs", "toat", "zyzzyx"]]


def test_error_for_missing_word_searches_only_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from vecload.words import near

    asked = []
    monkeypatch.setattr(near, "near_words", lambda _words, word: asked.append(word) or [])
    with pytest.raises(KeyError) as caught:
        table("frog")["frogs"]
    assert asked == []
    assert str(caught.value) == str(caught.value)
    assert asked == ["frogs"]


def test_error_for_missing_word_survives_pickling_and_copies() -> None:
    with pytest.raises(MissingWordError) as caught:
        table("frog")["frogs"]
    for twin in (pickle.loads(pickle.dumps(caught.value)), copy.deepcopy(caught.value)):
        assert str(twin) == str(caught.value)
        assert twin.words == ("frogs",)
