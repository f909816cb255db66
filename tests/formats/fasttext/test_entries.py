"""Dictionary entries of fastText models: plain Python, for few of them, finds what the kernel finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vecload.formats.fasttext import entries
from vecload.formats.fasttext.entries import OVERHEAD, find_entries, write_entries
from vecload.words import Words

BYTES = st.binary(max_size=5).map(lambda word: word.replace(b"\0", b"x"))


@example([(b"cat", 2**62 + 5, 0), (b"dog", -(2**62), 1)], 0, 0, 4)
@given(
    st.lists(st.tuples(BYTES, st.integers(-(2**63), 2**63 - 1), st.integers(0, 255)), max_size=8),
    st.integers(0, 3),
    st.integers(0, 30),
    st.integers(0, 4),
)
def test_plain_python_finds_what_the_kernel_finds(
    given_entries: list[tuple[bytes, int, int]], before: int, cut: int, longest: int
) -> None:
    data = b"\0" * before
    for word, count, kind in given_entries:
        data += word + b"\0" + count.to_bytes(8, "little", signed=True) + bytes([kind])
    mapped = np.frombuffer(data[: len(data) - min(cut, len(data) - before)], dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "numba_loaded", lambda: True)
        compiled = find_entries(mapped, before, len(given_entries), longest)
        patch.setattr(entries, "numba_loaded", lambda: False)
        plain = find_entries(mapped, before, len(given_entries), longest)
    assert plain[1:] == compiled[1:]
    for ours, theirs in zip(plain[0], compiled[0], strict=True):
        np.testing.assert_array_equal(ours[: plain[1]], theirs[: plain[1]])


def test_entries_beyond_the_window_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Words.from_strings([f"word{number}" for number in range(100)])
    data = write_entries(words.data, words.offsets, np.arange(100))
    for window in (len(data), len(data) - 1, OVERHEAD, 1):
        monkeypatch.setattr(entries, "numba_loaded", lambda: False)
        monkeypatch.setattr(entries, "WINDOW", window)
        found, count, end = find_entries(data, 0, 100, 1 << 16)
        assert (count, end) == (100, len(data))
        assert found.counts.tolist() == list(range(100))
        assert bytes(data[found.starts[99] : found.stops[99]]) == b"word99"
