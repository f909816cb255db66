"""Tests of JSON and JSON lines: the shapes that people write, escapes, and damaged files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload import Vectors, Words
from vecload.errors import FormatError

WORDS = ["the", "a,b", 'say "hi"', "two\nlines", "}{][", "é", "", "🙂", "\\", "\u2028", "a/b", "北海道"]
MATRIX = np.random.default_rng(0).normal(size=(len(WORDS), 3)).astype(np.float32)
ROWS: dict[str, list[float]] = dict(zip(WORDS, MATRIX.tolist(), strict=True))
OBJECTS: list[dict[str, Any]] = [{"word": word, "vector": row} for word, row in ROWS.items()]


def read(text: str | bytes, **options: object) -> Vectors:
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return vecload.load(io.BytesIO(data), **options)  # type: ignore[arg-type]


def lines(items: list[Any], **options: Any) -> str:
    return "".join(json.dumps(item, **options) + "\n" for item in items)


SHAPES = {
    "object": json.dumps(ROWS),
    "object, UTF-8": json.dumps(ROWS, ensure_ascii=False),
    "object, compact": json.dumps(ROWS, separators=(",", ":")),
    "object, indented": json.dumps(ROWS, indent=2),
    "object, CRLF": json.dumps(ROWS, indent="\t").replace("\n", "\r\n"),
    "objects": json.dumps(OBJECTS),
    "objects, indented": json.dumps(OBJECTS, indent=1),
    "more keys": json.dumps([{"id": 3, "tags": ["x", {"vector": [1]}], **item, "n": None} for item in OBJECTS]),
    "other keys": json.dumps([{"embedding": item["vector"], "token": item["word"]} for item in OBJECTS]),
    "unknown keys": json.dumps([{"lemma": item["word"], "row": item["vector"]} for item in OBJECTS]),
    "lines": lines(OBJECTS),
    "lines, values": lines([{"text": item["word"], "values": item["vector"]} for item in OBJECTS]),
    "entry on each line": lines([{word: row} for word, row in ROWS.items()]),
    "blank lines": lines(OBJECTS).replace("\n", "\n\n"),
    "byte order mark": "\ufeff" + json.dumps(ROWS),
    "pandas": pd.DataFrame(OBJECTS).to_json(orient="records", double_precision=15),
    "pandas, lines": pd.DataFrame(OBJECTS).to_json(orient="records", lines=True, double_precision=15),
    "polars": pl.DataFrame(OBJECTS).write_json(),
    "polars, lines": pl.DataFrame(OBJECTS).write_ndjson(),
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_load_reads_every_shape(text: str) -> None:
    vectors = read(text)
    assert list(vectors.words) == WORDS
    assert np.array_equal(vectors.matrix, MATRIX)
    assert list(read(text, vocab=["é", "absent", "}{]["]).words) == ["}{][", "é"]
    assert list(read(text, limit=3).words) == WORDS[:3]


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_chunks_of_any_size_give_the_same_vectors(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from vecload.formats.records import chunks

    for size in (1, 10, 64):
        monkeypatch.setattr(chunks, "CHUNK_BYTES", size)
        vectors = read(text)
        assert list(vectors.words) == WORDS
        assert np.array_equal(vectors.matrix, MATRIX)


@pytest.mark.parametrize(("name", "items"), [("v.json", dict), ("v.jsonl", list)])
def test_files_agree_with_the_json_module(name: str, items: type, tmp_path: Path) -> None:
    path = tmp_path / name
    Vectors(WORDS, MATRIX).save(path)
    assert path.read_text().count("[ ") == 0
    if items is dict:
        found = json.loads(path.read_text())
    else:
        entries = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
        found = {item["word"]: item["vector"] for item in entries}
        assert pd.read_json(path, lines=True)["word"].to_list() == WORDS
        assert pl.read_ndjson(path)["word"].to_list() == WORDS
    assert list(found) == WORDS
    assert np.array_equal(np.array(list(found.values()), dtype=np.float32), MATRIX)


@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
@given(st.lists(st.text(max_size=6), min_size=1, max_size=6, unique=True), st.booleans())
def test_any_string_can_be_a_word(words: list[str], ascii_only: bool) -> None:
    text = json.dumps({word: [0.5, -1e-3] for word in words}, ensure_ascii=ascii_only)
    try:
        packed = Words.from_strings([json.loads(json.dumps(word)) for word in words])
    except vecload.VecloadError:
        with pytest.raises((FormatError, UnicodeEncodeError)):
            read(text, format="JSON")
        return
    # Two surrogates of bytes may be one character in JSON, so compare with what the json module reads.
    expected = list(json.loads(text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")))
    assert [*read(text, format="JSON").words] == expected == [*packed]


@pytest.mark.parametrize(
    "escape", [r"\u00e9", r"\ud83d\ude42", r"\"\\\/\b\f\n\r\t", r"\udcff\udc80", r"\u0041\u0000z", r"\uD83D\uDE42"]
)
def test_escapes_are_read_as_the_json_module_reads_them(escape: str) -> None:
    text = f'{{"x": [1, 2], "{escape}": [3, 4]}}'
    assert list(read(text).words) == list(json.loads(text))


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ('"b": [1]', "too few values"),
        ('"b": [1, 2, 3]', "too many values"),
        ('"b": [1, null]', "a missing value"),
        ('"b": [1, "2"]', "a value that is not a number"),
        ('"b": [1, true]', "a value that is not a number"),
        ('"b": [1, [2]]', "a value that is not a number"),
        ('"b": [1 2]', "invalid JSON"),
        ('"b": [1,, 2]', "invalid JSON"),
        ('"b": [1, 2,]', "invalid JSON"),
        ('"b": [NaN, 2]', "a value that is not finite in float32"),
        ('"b": [1e39, 2]', "a value that is not finite in float32"),
        ('"b": {"x": 1}', "a vector that is not a list"),
        ('"b" [1, 2]', "invalid JSON"),
        ("b: [1, 2]", "invalid JSON"),
        (r'"\ud800": [1, 2]', "a word that cannot be encoded"),
        (r'"\x": [1, 2]', "invalid JSON"),
        ('"b\tc": [1, 2]', "invalid JSON"),
        ("", "invalid JSON|without a word"),
        ('"b": ' + "[" * 60_000 + "]" * 60_000, "invalid JSON"),
    ],
)
def test_damaged_entries_are_named_or_skipped(entry: str, problem: str) -> None:
    text = '{"a": [1, 2],\n ' + entry + ',\n "c": [3, 4]}\n'
    with pytest.raises(FormatError, match=problem) as caught:
        read(text, format="JSON")
    assert caught.value.line == 2
    kept = read(text, format="JSON", errors="skip")
    assert list(kept.words) == ["a", "c"]
    assert sum(kept.meta["skipped"].values()) == 1


@pytest.mark.parametrize("tail", ["}", "]", "x", ' "c": [1, 2]', "\n["])
def test_text_after_the_document_is_refused(tail: str) -> None:
    with pytest.raises(FormatError, match="unexpected text after a record or the document"):
        read('{"a": [1, 2], "b": [3, 4]}' + tail, format="JSON")


def test_nonfinite_values_are_kept_on_request(tmp_path: Path) -> None:
    rows = np.array([[np.nan, 1], [np.inf, -np.inf]], dtype=np.float32)
    for name in ("v.json", "v.jsonl"):
        path = tmp_path / name
        Vectors(["nan", "inf"], rows).save(path)
        again = vecload.load(path, allow_nonfinite=True)
        assert again.matrix.tobytes() == rows.tobytes()
        assert list(again.words) == ["nan", "inf"]


def test_first_of_repeated_keys_wins() -> None:
    vectors = read('{"a": [1, 2], "b": [3, 4], "a": [5, 6]}')
    assert (vectors["a"].tolist(), vectors.meta["duplicates"]) == ([1, 2], 1)


def test_damaged_lines_are_counted_and_named() -> None:
    text = lines(OBJECTS[:2]) + '{"word": "x"}\n[1]\n{"word": 7, "vector": [1, 2, 3]}\n' + lines(OBJECTS[2:])
    with pytest.raises(FormatError, match="a record without a word or vector: found no key 'vector'") as caught:
        read(text)
    assert caught.value.line == 3
    kept = read(text, errors="skip")
    assert list(kept.words) == [*WORDS[:2], "7", *WORDS[2:]]
