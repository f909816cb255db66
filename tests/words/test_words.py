"""Tests of packed words and their hash tables."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import raw_words
from vecload import Vectors, Words
from vecload.errors import FormatError, VocabularyError
from vecload.words import UniqueWords, build_hash_table, pack


def strings(raws: list[bytes]) -> list[str]:
    return [raw.decode("utf-8", "surrogateescape") for raw in raws]


@given(raw_words(), raw_words())
def test_words_behave_like_a_list_and_a_dict(raws: list[bytes], others: list[bytes]) -> None:
    """Compare with list and dict, for few words (plain Python) and many words (kernels)."""
    expected = strings(raws)
    words = Words.from_strings(expected)
    assert list(words) == expected
    assert len(words) == len(expected)
    assert [words.bytes(at) for at in range(len(words))] == raws
    first: dict[str, int] = {}
    for row, word in enumerate(expected):
        first.setdefault(word, row)
    asked = strings(others) + expected
    rows = [first.get(word, -1) for word in asked]
    assert words.lookup(asked).tolist() == rows
    assert words.lookup(Words.from_strings(asked)).tolist() == rows
    assert [words.get(word) for word in asked] == rows
    assert words == Words.from_bytes(raws)
    assert pickle.loads(pickle.dumps(words)) == words


@given(raw_words(12, min_count=70, max_count=120))
def test_tables_built_by_the_kernel_are_searched_by_python(raws: list[bytes]) -> None:
    words = Words.from_bytes(raws)
    _, repeated = build_hash_table(words.data, words.offsets)
    seen: set[bytes] = set()
    for raw, again in zip(raws, repeated, strict=True):
        assert again == (raw in seen)
        seen.add(raw)
    assert all(words.get(word) == strings(raws).index(word) for word in strings(raws))


@given(
    st.lists(st.lists(st.binary(max_size=9).map(lambda raw: raw * 3) | st.binary(max_size=1), max_size=300), max_size=6)
)
def test_unique_words_keep_the_first_of_each(batches: list[list[bytes]]) -> None:
    """Compare with a dict: words repeated in one batch and across batches, and more of them than expected."""
    unique = UniqueWords(expected=2)
    seen: dict[bytes, None] = {}
    for raws in batches:
        added = Words.from_bytes(raws)
        fresh = unique.add(added.data, added.offsets)
        first = [at for at, raw in enumerate(raws) if raw not in seen and raw not in raws[:at]]
        assert np.flatnonzero(fresh).tolist() == first
        seen.update(dict.fromkeys(raws))
        words = unique.words
        assert [words.bytes(row) for row in range(len(words))] == list(seen)
        assert words.lookup(Words.from_bytes(list(seen))).tolist() == list(range(len(seen)))


def test_unique_words_fewer_than_expected_get_a_smaller_table() -> None:
    """The table has the size that the words need, and more words can be added."""
    unique = UniqueWords(expected=100_000)
    for text in (["cat", "dog"], ["dog", "cow"]):
        more = Words.from_strings(text)
        unique.add(more.data, more.offsets)
        assert len(unique.words.slots) == len(Words.from_strings(list(unique.words)).slots)
    assert unique.words.lookup(["cat", "dog", "cow", "pig"] * 20).tolist() == [0, 1, 2, -1] * 20


def test_unique_words_grow_beyond_their_first_buffer() -> None:
    unique = UniqueWords()
    raws = [b"%d" % number * 40_000 for number in range(100)]
    for raw in raws * 2:
        added = Words.from_bytes([raw])
        unique.add(added.data, added.offsets)
    assert [unique.words.bytes(row) for row in range(len(unique.words))] == raws


def test_words_implement_the_sequence_protocol() -> None:
    words = Words.from_strings(["a", "b", "a", "c"])
    assert words[-1] == "c"
    assert list(words[1:3]) == ["b", "a"]
    assert list(words[::-1]) == ["c", "a", "b", "a"]
    assert words.index("a") == 0
    assert "b" in words
    assert 3 not in words
    assert "\ud800" not in words
    assert words.lookup(["\ud800"] * 100).tolist() == [-1] * 100
    assert list(words.take(np.array([-1, 0]))) == ["c", "a"]
    with pytest.raises(ValueError, match="'x' is not among the 4 words"):
        words.index("x")
    with pytest.raises(IndexError):
        words[4]
    with pytest.raises(VocabularyError, match="lone surrogate"):
        Words.from_strings(["\ud800"])
    with pytest.raises(ValueError, match="read-only"):
        words.data[0] = 1


def test_few_lookups_do_not_import_numba() -> None:
    code = (
        "import sys; from vecload import Words; w = Words.from_strings(['a', 'b']); "
        "assert w.index('b') == 1 and w.lookup(['c'])[0] == -1; assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("count", [0, 1, 64, 65, 300])
def test_words_are_packed_with_and_without_compiled_code(
    monkeypatch: pytest.MonkeyPatch, count: int, loaded: bool
) -> None:
    monkeypatch.setattr("vecload.words.packed.numba_loaded", lambda: loaded)
    rng = np.random.default_rng(count)
    text = rng.integers(0, 256, 1000, dtype=np.uint8)
    starts = rng.integers(0, 990, count)
    stops = starts + rng.integers(0, 10, count)
    data, offsets = pack(text, starts, stops)
    expected = [text[start:stop].tobytes() for start, stop in zip(starts, stops, strict=True)]
    assert data.tobytes() == b"".join(expected)
    assert np.diff(offsets).tolist() == [len(word) for word in expected]
    for start, stop in ((-1, 2), (5, 4), (998, 1001)) if count else ():
        starts[count // 2], stops[count // 2] = start, stop
        with pytest.raises(FormatError, match="offsets out of range"):
            pack(text, starts, stops)


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("count", [64, 65, 4096, 4097])
def test_words_are_looked_up_with_and_without_compiled_code(
    monkeypatch: pytest.MonkeyPatch, count: int, loaded: bool
) -> None:
    monkeypatch.setattr("vecload.words.packed.numba_loaded", lambda: loaded)
    words = Words.from_strings(f"word{number}" for number in range(5000))
    asked = [f"word{number}" for number in range(4999, 4999 - count + 2, -1)] + ["", "\ud800"]
    assert words.lookup(asked).tolist() == [*range(4999, 4999 - count + 2, -1), -1, -1]


def test_a_thousand_words_of_a_file_are_looked_up_without_numba(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(3000)]
    Vectors(words, np.ones((3000, 2), dtype="float32")).save(tmp_path / "v.safetensors")
    code = (
        "import sys, vecload; words = [f'word{number}' for number in range(1000)]; "
        "assert vecload.load(sys.argv[1])[words].shape == (1000, 2); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "v.safetensors")], check=True)
