"""Test canonical forms, roles and pieces of tokens, on tokenizers of every kind that are trained here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tokenizer_builders import OTHER, TEXTS, from_json, json_of, tokenizer, wrapped
from vecload.errors import FormatError, OptionError
from vecload.tokenizers.pieces import Pieces
from vecload.tokenizers.token_alignment import align_tokens
from vecload.tokenizers.token_forms import token_forms

KINDS = ["bytes", "wordpiece", "unigram", "suffix"]


def form(kind: str, token: str) -> bytes | None:
    forms = token_forms(tokenizer(kind))
    return forms.texts[list(forms.tokens).index(token)]


@pytest.mark.parametrize(
    ("kind", "token", "text"),
    [
        ("bytes", "Ġcat", b" cat"),
        ("bytes", "Ã", b"\xc3"),
        ("bytes", "<|endoftext|>", b"<|endoftext|>"),
        ("wordpiece", "cat", b" cat"),
        ("wordpiece", "##s", b"s"),
        ("wordpiece", ",", b","),
        ("wordpiece", "日", "日".encode()),
        ("unigram", "<0xC3>", b"\xc3"),
        ("unigram", "<0x41>", b"<0x41>"),
        ("suffix", "the</w>", b"the "),
    ],
)
def test_canonical_form_is_the_text_with_a_space_at_the_beginning_of_words(kind: str, token: str, text: bytes) -> None:
    assert form(kind, token) == text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [TEXTS, OTHER])
def test_forms_of_a_text_joined_are_the_text(kind: str, texts: list[str]) -> None:
    made = tokenizer(kind)
    forms = token_forms(made)
    for text in texts[:3]:
        joined = b"".join(forms.texts[row] or b"" for row in made.encode(text, add_special_tokens=False).ids)
        shown = joined.decode("utf-8", "replace")
        if kind in ("wordpiece", "suffix"):  # these drop spaces around punctuation, and WordPiece accents and case
            assert "".join(shown.split()).isprintable()
            continue
        assert shown.removeprefix(" ").replace("<0x52>", "R") == text


def test_roles_are_found_in_all_kinds_of_tokenizers(tmp_path: Path) -> None:
    expected = {"bos": 1, "eos": 2, "unk": 0}
    made = wrapped("unigram")
    made.save_pretrained(tmp_path)
    for given in (tokenizer("unigram"), made, tmp_path, tmp_path / "tokenizer.json"):
        assert token_forms(given).roles == expected
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (tmp_path / name).unlink(missing_ok=True)
    assert token_forms(tmp_path).roles == expected


def test_configuration_of_a_folder_names_roles_of_unusual_tokens(tmp_path: Path) -> None:
    state = json_of(tokenizer("unigram"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(state))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"pad_token": {"content": "</s>"}, "eos_token": "<s>"}))
    assert token_forms(tmp_path).roles == {"eos": 1, "pad": 2}


@pytest.mark.parametrize("given", [3, "missing-folder", ["a", "b"]])
def test_other_objects_are_refused(given: Any) -> None:
    with pytest.raises(OptionError, match="target_tokenizer"):
        token_forms(given, "target_tokenizer")


def test_damaged_tokenizer_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(FormatError, match=r"tokenizer\.json"):
        token_forms(tmp_path)
    (tmp_path / "tokenizer.json").write_text(tokenizer("bytes").to_str())
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(FormatError, match=r"tokenizer_config\.json"):
        token_forms(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("overlap", ["exact", "fuzzy", "spelling"])
def test_tokenizer_is_aligned_with_itself(kind: str, overlap: Any) -> None:
    forms = token_forms(tokenizer(kind))
    at = align_tokens(forms, forms, overlap)
    texts = list(forms.texts if overlap != "spelling" else forms.tokens)
    assert at.tolist() == [texts.index(text) for text in texts]


def slow_fuzzy(source: Any, target: Any, row: int) -> int:
    """Return the best source token for a target token: compare it with all of them."""
    text = target.texts[row].decode("utf-8", "surrogateescape")
    best = (3, -1)
    for other, raw in enumerate(source.texts):
        if raw is None or (other in source.added and raw != target.texts[row]):
            continue
        one = raw.decode("utf-8", "surrogateescape")
        bare, other_bare = text.strip(" ") or text, one.strip(" ") or one
        ranks = [one == text, other_bare == bare, one.lower() == text.lower(), other_bare.lower() == bare.lower()]
        if any(ranks) and ranks.index(True) < best[0] + (best[1] < 0):
            best = (ranks.index(True), other)
    return best[1]


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_overlaps_agree_with_comparing_all_pairs(source: str, target: str) -> None:
    old, new = token_forms(tokenizer(source)), token_forms(tokenizer(target, texts="second"))
    exact, fuzzy, symbols = (align_tokens(old, new, mode) for mode in ("exact", "fuzzy", "symbols"))  # type: ignore[arg-type]
    special = set(new.roles.values())
    for row, text in enumerate(new.texts):
        if row in special or text is None:
            continue
        assert exact[row] == (old.texts.index(text) if text in old.texts else -1)
        letters = any(map(str.isalpha, text.decode("utf-8", "surrogateescape")))
        assert symbols[row] == (-1 if letters else exact[row])
        if row not in new.added:
            assert fuzzy[row] == slow_fuzzy(old, new, row)
    assert (fuzzy >= 0).sum() >= (exact >= 0).sum() >= (symbols >= 0).sum() > 0


def test_special_tokens_match_by_role() -> None:
    old, new = token_forms(wrapped("wordpiece")), token_forms(wrapped("unigram"))
    at = align_tokens(old, new)
    assert at[[new.roles[role] for role in ("bos", "eos", "unk")]].tolist() == [
        old.roles[role] for role in ("cls", "sep", "unk")
    ]


def test_function_chooses_the_overlap_and_is_checked() -> None:
    old, new = token_forms(tokenizer("suffix")), token_forms(tokenizer("bytes"))
    seen: list[Any] = []

    def first(source: Any, target: Any) -> Any:
        seen.append((source, target))
        return [-1, 5] + [-1] * (len(target) - 2)

    at = align_tokens(old, new, first)
    assert at[1] == 5
    assert " cat" in seen[0][1]
    for wrong, message in (
        (lambda _source, _target: [0], "overlap must return 3.. ids, got int64 of shape"),
        (lambda _source, target: [len(old)] * len(target), "overlap must return ids from -1 to"),
        (lambda _source, target: [0.5] * len(target), "got float64"),
    ):
        with pytest.raises(OptionError, match=message):
            align_tokens(old, new, wrong)
    with pytest.raises(OptionError, match="unknown overlap 'same'; choose from: exact, fuzzy, symbols, spelling"):
        align_tokens(old, new, "same")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_of_own_tokens_are_the_tokens(kind: str) -> None:
    forms = token_forms(tokenizer(kind))
    pieces = Pieces(forms)
    whole = [
        row
        for row, text in enumerate(forms.texts)
        if row not in forms.added and text and not text.startswith(b"<0x") and text == text.lower()
        if kind != "suffix" or text.endswith(b" ")
    ]
    right = [row for row in whole if pieces.of_text(forms.texts[row] or b"") == [row]]
    # Some tokens of BPE and Unigram are never made, because others with better ranks or scores make up their text.
    assert len(right) > 0.9 * len(whole)


@pytest.mark.parametrize("kind", ["bytes", "unigram", "wordpiece"])
def test_pieces_spell_the_text(kind: str) -> None:
    forms, other = token_forms(tokenizer(kind)), token_forms(tokenizer("bytes", texts="second"))
    pieces = Pieces(forms)
    made = 0
    for text in other.texts:
        assert text is not None
        rows = pieces.of_text(text)
        joined = b"".join(forms.texts[row] or b"" for row in rows)
        made += bool(rows)
        if rows and kind == "bytes":
            assert joined == text
        elif rows and kind == "unigram" and b"<0x" not in joined:
            assert joined.replace(b" ", b"") == text.replace(b" ", b"")
    assert made > len(other) / 4


def test_pieces_of_partial_characters_are_byte_tokens() -> None:
    forms = token_forms(tokenizer("unigram"))
    rows = Pieces(forms).of_text(b"\xe6\x97")
    assert [forms.tokens[row] for row in rows] == ["<0xE6>", "<0x97>"]
    assert Pieces(token_forms(tokenizer("wordpiece"))).of_text(b"\xe6\x97") == []


def test_tokenizer_without_an_unknown_token_gives_no_pieces_for_unknown_words() -> None:
    from tokenizers import Tokenizer, models

    forms = token_forms(Tokenizer(models.WordLevel({"a": 0})))
    assert (Pieces(forms).of_text(b"a"), Pieces(forms).of_text(b"b")) == ([0], [])


def test_ids_without_tokens_have_no_form() -> None:
    state = json_of(tokenizer("suffix"))
    state["model"]["vocab"]["late"] = 1000
    forms = token_forms(from_json(state))
    assert len(forms) == 1001
    assert (forms.tokens[999], forms.texts[999], forms.name(999)) == (None, None, "<row 999>")
    assert align_tokens(forms, forms)[999] == -1
