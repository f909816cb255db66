"""Test `encode`: lookup in bytes against str.split and lookup of strings, tokenizers, unknown words."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import random_rows, small_vectors
from vecload import Vectors, Vocab, Words, align
from vecload.errors import MissingDependencyError, OptionError
from vecload.ngrams import NgramTable
from vecload.pooling import SentencePooler
from vecload.pooling.encoding import joined
from vecload.words import read_only

WORDS = [
    "the",
    "cat",
    "sat",
    "café",
    "北海道",
    "a\u00a0b",
    "x\u0085",
    "é",
    "longer-than-eight-bytes",
    "12345678",
    "a\x1cb",
]
VECTORS = small_vectors(WORDS, 5)
MATRIX = VECTORS.matrix
SPACE = re.compile(r"[ \t\n\v\f\r]+")


def slow(texts: list[str], words: Words) -> list[list[int]]:
    return [[words.get(token) for token in SPACE.split(text) if token] for text in texts]


def found(texts: list[str], words: Words) -> list[list[int]]:
    from vecload.kernels import hash_table

    raw = joined(texts, lowercase=False)
    text = np.frombuffer(raw, dtype=np.uint8)
    end = len(raw) - 8
    rows, starts, stops = np.empty((3, (end + 1) // 2), dtype=np.int64)
    bags = np.empty(len(texts) + 1, dtype=np.int64)
    packed = words.data, words.offsets, *words.table
    count, lines = hash_table.lookup_tokens(text, 0, end, *packed, rows, starts, stops, bags)
    assert lines == len(texts)
    assert [raw[a:b] for a, b in zip(starts[:count], stops[:count], strict=True)] == [
        token.encode("utf-8", "surrogateescape") for text in texts for token in SPACE.split(text) if token
    ]
    return [rows[a:b].tolist() for a, b in pairwise(bags.tolist())]


PARTS = st.sampled_from([*WORDS, " ", "\n", "\t", "\v", "\r", "  ", "\x1c", "\x00", "\x7f", "\u3000", "no", "\udc80"])


@given(st.lists(st.lists(PARTS, max_size=12).map("".join), min_size=1, max_size=8))
def test_tokens_end_at_ascii_white_space(texts: list[str]) -> None:
    words = Words.from_strings(WORDS)
    assert found(texts, words) == slow(texts, words)


@given(st.lists(st.text(), min_size=1, max_size=8))
def test_lookup_in_any_text_equals_lookup_of_strings(texts: list[str]) -> None:
    words = Words.from_strings([*WORDS, *{token for text in texts for token in SPACE.split(text)[::2] if token}])
    assert found(texts, words) == slow(texts, words)


def test_lookup_of_many_tokens_and_of_colliding_hashes() -> None:
    words = Words.from_strings([f"w{at}" for at in range(5000)])
    texts = [" ".join(f"w{at * 7 % 6000}" for at in range(begin, begin + 1000)) for begin in range(0, 6000, 1000)]
    assert found(texts, words) == slow(texts, words)
    tags = words.slots.copy()
    tags[tags > 0] |= np.uint64(0xFFFFFFFF00000000)  # no hash matches, so no word is found
    blind = Words(words.data, words.offsets, slots=tags)
    assert found(["w1 w2"], blind) == [[-1, -1]]


def test_encode_is_independent_of_batch_size_and_tokenizer() -> None:
    pooler = SentencePooler(VECTORS)
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice([*WORDS, "unknown"], rng.integers(0, 30))) for _ in range(3000)]
    expected = np.zeros((len(texts), 5), dtype=np.float32)
    for at, rows in enumerate(slow(texts, pooler.words)):
        known = [row for row in rows if row >= 0]
        total = np.zeros(5, dtype=np.float32)
        for row in known:
            total += MATRIX[row]
        expected[at] = total / np.float32(max(1, len(known)))
    for size in (7, 3000, 1_000_000):
        assert np.array_equal(pooler.encode(texts, batch_size=size), expected)
    assert np.array_equal(pooler.encode(iter(texts), batch_size=256), expected)
    assert np.array_equal(np.concatenate(list(pooler.stream(iter(texts), batch_size=1000))), expected)
    cut = SentencePooler(VECTORS, tokenize=SPACE.split)
    assert np.array_equal(cut.encode(texts), expected)


def test_return_empty_marks_texts_without_known_words() -> None:
    pooler = SentencePooler(VECTORS, normalize=True)
    made, empty = pooler.encode(["", "cat", "no such", " \n "], return_empty=True)
    assert empty.tolist() == [True, False, True, True]
    assert (made[empty] == 0).all()
    assert np.linalg.norm(made[1]) == pytest.approx(1)
    assert pooler.encode([]).shape == (0, 5)
    tensor, told = pooler.encode(iter(["cat"]), as_numpy=False, return_empty=True)
    assert (tensor.shape, told.tolist()) == ((1, 5), [False])


def test_lowercase_applies_to_every_tokenizer() -> None:
    pooler = SentencePooler(VECTORS, lowercase=True)
    assert np.array_equal(pooler.encode(["The CAT", "CAFÉ É"]), SentencePooler(VECTORS).encode(["the cat", "café é"]))
    assert np.array_equal(
        SentencePooler(VECTORS, lowercase=True, tokenize=str.split).encode(["CAFÉ"]), pooler.encode(["CAFÉ"])
    )


def test_unknown_words_get_the_row_of_the_unknown_token() -> None:
    aligned = align(VECTORS, Vocab.from_words(["cat", "sat"], unk_token="<unk>"), oov=["mean"])
    unk = aligned.pooler("sum", unknown="unk").encode(["cat dog"])[0]
    assert np.array_equal(unk, aligned.matrix[1] + aligned.matrix[0])
    assert np.array_equal(aligned.pooler("sum").encode(["cat dog"])[0], aligned.matrix[1])


@pytest.mark.parametrize("tokenize", [None, str.split])
@pytest.mark.parametrize("mode", ["mean", "max", "attention", "fasttext"])
def test_unknown_words_are_composed_from_ngrams(mode: str, tokenize: Any) -> None:
    table = NgramTable(random_rows(50, 5, seed=2), minn=3, maxn=4)
    pooler = SentencePooler(small_vectors(WORDS, 5, ngrams=table), mode, unknown="ngrams", tokenize=tokenize)
    whole = Vectors(
        Words.from_strings([*WORDS, "dogs", "cow"]), np.concatenate([MATRIX, table.vectors(["dogs", "cow"])])
    )
    texts = ["the dogs cow dogs", "dogs", "cat", "", "cow"]
    np.testing.assert_allclose(pooler.encode(texts), SentencePooler(whole, mode).encode(texts), atol=1e-6)


@pytest.mark.parametrize("tokenize", [None, str.split])
def test_surrogates_in_one_text_do_not_change_other_texts(tokenize: Any) -> None:
    table = NgramTable(random_rows(50, 5, seed=2), minn=3, maxn=4)
    words = Words.from_strings(["cat", "\udcff"])
    for unknown in ("skip", "ngrams"):
        whole = Vectors(words, MATRIX[:2], ngrams=table)
        pooler = SentencePooler(whole, "sum", unknown=unknown, tokenize=tokenize)  # type: ignore[arg-type]
        texts = [
            "\udcff",
            "cat \udcffdogs\n",
            "\ud800 cat \udcff",
        ]  # invalid UTF-8; a surrogate that stands for no byte
        alone = [pooler.encode([text])[0] for text in texts]
        assert np.array_equal(pooler.encode(texts), alone)
        assert np.array_equal(alone[0], MATRIX[1])
        plain = SentencePooler(whole, "sum", unknown=unknown)  # type: ignore[arg-type]
        assert np.array_equal(plain.encode(texts), alone)


def test_encode_with_a_regular_expression() -> None:
    pooler = SentencePooler(VECTORS, tokenize=re.compile(r"\w+"))
    assert np.array_equal(pooler.encode(["the, cat!"]), SentencePooler(VECTORS).encode(["the cat"]))
    with pytest.raises(OptionError, match="without groups"):
        SentencePooler(VECTORS, tokenize=re.compile(r"(\w)+"))
    with pytest.raises(OptionError, match="tokenize= must be a function"):
        SentencePooler(VECTORS, tokenize=3)
    with pytest.raises(OptionError, match="choose from: whitespace, basic_english, sudachi, fugashi;"):
        SentencePooler(VECTORS, tokenize="spaces")


def test_encode_with_a_hugging_face_tokenizer() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({"[UNK]": 0, "the": 1, "ca": 2, "##t": 3}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    vocab = Vocab.from_tokenizer(tokenizer)
    matrix = np.random.default_rng(3).normal(size=(4, 5)).astype(np.float32)
    pooler = SentencePooler(Vectors(vocab.words, matrix), "sum", tokenize=tokenizer)
    np.testing.assert_allclose(pooler.encode(["the cat"])[0], matrix[[1, 2, 3]].sum(0), atol=1e-6)
    transformers = pytest.importorskip("transformers")
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")
    pooler = SentencePooler(Vectors(vocab.words, matrix), "sum", tokenize=wrapped)
    np.testing.assert_allclose(pooler.encode(["the cat"])[0], matrix[[1, 2, 3]].sum(0), atol=1e-6)


@pytest.mark.parametrize(("name", "package"), [("sudachi", "sudachipy"), ("fugashi", "fugashi")])
def test_encode_japanese(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(package)
    words = Words.from_strings(["東京", "都", "に", "行く", "猫"])
    matrix = np.eye(5, dtype=np.float32)
    pooler = SentencePooler(Vectors(words, matrix), "sum", tokenize=name)
    assert pooler.encode(["東京都に行く", "猫 猫", ""]).tolist() == [[1, 1, 1, 1, 0], [0, 0, 0, 0, 2], [0] * 5]
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingDependencyError, match=r'this needs .*: pip install "vecload\[japanese\]"'):
        SentencePooler(Vectors(words, matrix), tokenize=name)


def test_encode_given_one_string_raises() -> None:
    with pytest.raises(OptionError, match="texts must be a list of strings, not one string: found 'the cat'"):
        SentencePooler(VECTORS).encode("the cat")
    with pytest.raises(OptionError, match="texts must be a list of strings"):
        next(SentencePooler(VECTORS).stream("the cat"))
    with pytest.raises(OptionError, match="batch_size must be 1 or more, got 0"):
        SentencePooler(VECTORS).encode(["the"], batch_size=0)


def test_arrays_of_a_kernel_plan_are_read_only() -> None:
    plan = SentencePooler(VECTORS).plan()
    assert plan is not None
    assert not plan.matrix.flags.writeable
    assert read_only(plan.matrix).base is not None
