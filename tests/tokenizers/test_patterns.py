"""Patterns of saved poolers: usual ones are accepted, and no accepted pattern takes exponential time."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from tests.strategies import REGEXES
from vecload import Vectors
from vecload.errors import OptionError
from vecload.pooling import SentencePooler
from vecload.tokenizers.patterns import safe_pattern

USUAL = [
    r"\w+", r"\b\w\w+\b", r"\w+(?:[-']\w+)*|[^\w\s]", r"\d+(?:\.\d+)?", r"[A-Za-z]+(?:'[a-z]+)?",
    r"[a-z]\d+", r"[^\W\d_]+", r"\S+", r"#?\w+", r"\w+(?:'\w+)?|[^\w\s]+", r"(?:\w\.)+|\w+", r"https?://\S+|\w+",
    r"[\u4e00-\u9fff]|\w+", r"\w{2,20}", r"\w+?\b", r"^\w+$", r".", r"\w+@\w+(?:\.\w+)*|\w+",
]  # fmt: skip

EXPONENTIAL = [
    r"(?:\w+\s?)*;", r"(?:a+)+b", r"(?:a*)*b", r"(?:a|aa)+b", r"(?:a?){30}a{30}", r"(?:\w+\d*)+;", r"(?:.*.*)+=x",
    r"(?:\w|\d)+(?:\w|é)*;", r"\w*\w*\w*;", r"(?:[a-c]+[b-d]*)*;", r"(?:(?:a{1,9}){1,9}){1,9}b",
    r"(?:k|K)+(?:\u212a)*;", r"(?:(?:a?)?b)*;", r"(?:(?:a?|c*)b)*;", r"(?:(?:(?:a??)??){1}b)+;",
]  # fmt: skip

OTHER = [
    (r"(\w+)", "groups that capture"), (r"(?=\w)\w+", "it uses assert"), (r"(?<!a)\w+", "it uses assert not"),
    (r"(?i:a)+", "groups that capture or change flags"), (r"(?>a+)b", "it uses atomic group"),
    (r"a++b", "it uses possessive repeat"), ("(", "is invalid"), ("a" * 1001, "more than 1000 characters"),
    ("(?:" * 200 + "a" + ")" * 199, "invalid"), ("[" + "".join(map(chr, range(200, 400))) + "]x", "more than 64 items"),
    ("".join(map(chr, range(97, 123))), "more than 16 different"), ("a" * 40, "more than 32 characters"),
]  # fmt: skip


@pytest.mark.parametrize("pattern", USUAL)
def test_safe_pattern_returns_usual_patterns_unchanged(pattern: str) -> None:
    text = "Don't stop: it's 3.14 at example.co.uk, https://x.y/z — 日本語! e-mail me@home.org #tag"
    for flags in map(int, (0, re.IGNORECASE, re.ASCII)):
        assert safe_pattern(pattern, flags).findall(text) == re.compile(pattern, flags).findall(text)


@pytest.mark.parametrize("pattern", EXPONENTIAL)
def test_safe_pattern_refuses_ambiguous_patterns(pattern: str) -> None:
    with pytest.raises(OptionError, match="might take exponential time"):
        safe_pattern(pattern, int(re.IGNORECASE) if "212a" in pattern else 0)


@pytest.mark.parametrize(("pattern", "problem"), OTHER)
def test_safe_pattern_refuses_unsupported_patterns(pattern: str, problem: str) -> None:
    with pytest.raises(OptionError, match=problem) as caught:
        safe_pattern(pattern, 0)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("pattern", "flags"),
    [(3, 0), (None, 0), (r"\w", "0"), (r"\w", True), (r"\w", re.DEBUG), (r"\w", -1), (r"\w", 1 << 40)],
)
def test_safe_pattern_refuses_other_types(pattern: object, flags: object) -> None:
    with pytest.raises(OptionError, match="invalid pattern or invalid flags"):
        safe_pattern(pattern, flags)


@settings(max_examples=60)
@given(REGEXES)
def test_accepted_pattern_is_fast_for_texts_that_almost_match(pattern: str) -> None:
    try:
        accepted = safe_pattern(f"{pattern};", 0)
    except OptionError:
        return
    begin = time.perf_counter()
    for text in ("a" * 2000, "ab" * 1000, "b" * 2000, "aab" * 700):
        accepted.findall(text)
    assert time.perf_counter() - begin < 2


def saved(tmp_path: Path, pattern: str) -> Path:
    SentencePooler(Vectors(["the", "cat"], np.eye(2)), tokenize=re.compile(pattern)).save(tmp_path / "pooler")
    return tmp_path / "pooler"


def test_pooler_with_an_exponential_pattern_requires_tokenize(tmp_path: Path) -> None:
    pattern = r"(?:\w+\s?)*;"
    folder = saved(tmp_path, pattern)
    begin = time.perf_counter()
    with pytest.raises(OptionError, match=r"pass tokenize=re\.compile"):
        SentencePooler.load(folder)
    assert time.perf_counter() - begin < 2
    back = SentencePooler.load(folder, tokenize=re.compile(pattern))
    assert back.encode(["the cat;"]).tolist() == [[0, 0]]
    with pytest.raises(OptionError, match="saved with a tokenizer of kind 'regex', not 'function'"):
        SentencePooler.load(folder, tokenize=str.split)


def test_pattern_in_a_hugging_face_tokenizer_is_checked(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"the": 0, "cat": 1}, "the"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"(?:\w+\s?)*;"), "isolated")
    vectors = Vectors(["the", "cat"], np.eye(2))
    SentencePooler(vectors, tokenize=made).save(tmp_path / "pooler")
    with pytest.raises(OptionError, match="might take exponential time"):
        SentencePooler.load(tmp_path / "pooler")
    SentencePooler.load(tmp_path / "pooler", tokenize=made)
    made.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"\s+"), "removed")
    SentencePooler(vectors, tokenize=made).save(tmp_path / "plain")
    assert SentencePooler.load(tmp_path / "plain").encode(["the cat"]).tolist() == [[0.5, 0.5]]
    kept = json.loads((tmp_path / "plain" / "pooler.json").read_text())
    assert kept["tokenizer"]["kind"] == "tokenizers"
