"""Tests of every form of the tokenize argument, and of invalid ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload import SentencePooler, Vectors, Vocab
from vecload.errors import OptionError
from vecload.tokenizers import Tokenizer, basic_english

TORCHTEXT = [
    (r"\'", " '  "), (r"\"", ""), (r"\.", " . "), (r"<br \/>", " "), (r",", " , "), (r"\(", " ( "), (r"\)", " ) "),
    (r"\!", " ! "), (r"\?", " ? "), (r"\;", " "), (r"\:", " "), (r"\s+", " "),
]  # fmt: skip
"""The replacements that torchtext documents for "basic_english", in their order."""


def torchtext_tokens(text: str) -> list[str]:
    text = text.lower()
    for pattern, replacement in TORCHTEXT:
        text = re.sub(pattern, replacement, text)
    return text.split()


def test_basic_english_passes_the_test_of_torchtext() -> None:
    marks = "'\".<br />,()!?;:"
    symbols = ["'", ".", ",", "(", ")", "!", "?"]
    words = "basic english normalization for a line of text".split()
    text = f"{marks}   Basic English Normalization for a Line of Text   {marks}"
    assert basic_english(text) == [*symbols, *words, *symbols]


@given(
    st.lists(st.sampled_from(["'", '"', ".", "<br />", "<br", " />", ",", "(", "!", ";", ":", "\n", " ", "İ", "Cat"]))
)
def test_basic_english_equals_the_replacements_of_torchtext(parts: list[str]) -> None:
    text = "".join(parts)
    assert basic_english(text) == torchtext_tokens(text)


class Splitter:
    """Tokenizer like those of transformers: a method `tokenize`, and another result when it is called."""

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [1]}

    def tokenize(self, text: str) -> list[str]:
        return text.split("-")


FORMS = [
    (None, "to-be\u3000or not", ["to-be\u3000or", "not"]),
    ("whitespace", "to  be", ["to", "be"]),
    (str.split, "to-be\u3000or not", ["to-be", "or", "not"]),
    (re.compile(r"\w+"), "to-be, or", ["to", "be", "or"]),
    ("basic_english", "To be; don't!", ["to", "be", "don", "'", "t", "!"]),
    (Splitter(), "to-be", ["to", "be"]),
    (Tokenizer.of("basic_english"), "To!", ["to", "!"]),
]


@pytest.mark.parametrize(("tokenize", "text", "tokens"), FORMS)
def test_vocab_and_pooler_return_the_same_tokens(tokenize: object, text: str, tokens: list[str]) -> None:
    vocab = Vocab.from_texts([text], tokenize=tokenize)
    assert sorted(vocab) == sorted(set(tokens))
    pooler = SentencePooler(Vectors(tokens, np.eye(len(tokens), dtype=np.float32)), "sum", tokenize=tokenize)
    assert pooler.encode([text]).tolist() == [[1.0] * len(tokens)]
    assert vocab.decode(vocab.encode_batch([text], tokenize=tokenize, layout="offsets").ids) == tokens


def test_lowercase_applies_to_texts_and_token_lists() -> None:
    assert set(Vocab.from_texts(["The CAT", ["A", "Cat"]], lowercase=True)) == {"the", "cat", "a"}


def test_vocab_from_text_file_accepts_every_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("The cat!\nthe DOG\n", encoding="utf-8")
    assert set(Vocab.from_text_file(path, tokenize="basic_english")) == {"the", "cat", "!", "dog"}
    assert set(Vocab.from_text_file(path, lowercase=True)) == {"the", "cat!", "dog"}


def test_vocab_with_hugging_face_tokenizer_counts_subwords() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.models.WordPiece({"[UNK]": 0, "cat": 1, "##s": 2}, unk_token="[UNK]")
    split = tokenizers.Tokenizer(model)
    split.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    vocab = Vocab.from_texts(["cats cat"], tokenize=split)
    assert vocab.counts is not None
    assert dict(zip(vocab, vocab.counts.tolist(), strict=True)) == {"cat": 2, "##s": 1}


@pytest.mark.parametrize(
    ("tokenize", "message"),
    [
        ("moses", "unknown tokenizer 'moses'; choose from: whitespace, basic_english, sudachi, fugashi; or pass"),
        (r"\w+", r"or pass a function, re\.compile"),
        (7, "tokenize= must be a function, .* got int"),
        (re.compile(r"(\w+)"), r"write \(\?:\.\.\.\) instead of \(\.\.\.\)"),
        (re.compile(rb"\w+"), "must be a pattern of text"),
        (str.lower, "tokens must be a list of strings, not one string: found 'the cat'"),
        (lambda text: [1, 2], "tokens must be strings: found int at position 0"),
    ],
)
def test_invalid_tokenize_argument_raises(tokenize: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Vocab.from_texts(["the cat"], tokenize=tokenize)


def test_basic_english_is_saved_with_a_pooler(tmp_path: Path) -> None:
    pooler = SentencePooler(vecload.Vectors(["cat", "!"], np.eye(2, dtype=np.float32)), "sum", tokenize="basic_english")
    pooler.save(tmp_path / "pooler")
    assert SentencePooler.load(tmp_path / "pooler").encode(["CAT!"]).tolist() == [[1, 1]]
