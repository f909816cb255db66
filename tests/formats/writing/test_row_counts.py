"""Files with a row count in the header: the count and the rows are right, whatever was expected."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload.formats.writing.counted import CountedFile


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(0, 2000), st.booleans())
def test_counted_file_has_the_right_header_whatever_was_expected(batches: list[int], guess: int, tail: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows"
        expected = b""
        with CountedFile(path, guess, lambda rows: b"%d\n" % rows) as file:
            for number, count in enumerate(batches):
                rows = bytes([number]) * 3 * count
                file.write(rows, count)
                expected += rows
            if tail:
                file.write(b"tail", 0)
        assert path.read_bytes() == b"%d\n" % sum(batches) + expected + b"tail" * tail


LINES = [b"w%d %d %d\n" % (number % 900, number, -number) for number in range(1000)]
SLOW = b"slow 1.000000059604644775390625 1\n"
"""Between two floats: left to Python."""
CASES = {
    "as it is": (LINES[:900], {}),
    "repeated words": (LINES, {}),
    "one of them early": ([LINES[0], *LINES[:900]], {}),
    "a line for Python": ([*LINES[:450], SLOW, *LINES[450:900]], {}),
    "bad lines": ([b"bad\n" if at % 90 == 9 else line for at, line in enumerate(LINES[:900])], {"errors": "skip"}),
    "a limit": (LINES[:900], {"limit": 321}),
    "a prefix": (LINES[:900], {"prefix": "w3"}),
    "float16": (LINES[:900], {"dtype": "float16"}),
    "float64": (LINES[:900], {"dtype": "float64"}),
    "a vocabulary": (LINES[:900], {"vocab": ["w3", "w700", "w8"]}),
}


@pytest.mark.parametrize("case", CASES)
def test_converted_native_file_equals_loaded_vectors(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vecload.formats.text.chunks.CHUNK_BYTES", 512)
    lines, options = CASES[case]
    data = b"".join(lines)
    vecload.convert(io.BytesIO(data), tmp_path / "v.safetensors", **options)  # type: ignore[arg-type]
    vectors = vecload.load(tmp_path / "v.safetensors")
    expected = vecload.load(io.BytesIO(data), **options)  # type: ignore[arg-type]
    assert vectors.words == expected.words
    assert vectors.matrix.dtype == expected.matrix.dtype
    assert vectors.matrix.tobytes() == expected.matrix.tobytes()
    assert len(vectors.words.slots) == len(expected.words.slots)
    size = vectors.matrix.nbytes + vectors.words.nbytes
    assert size <= (tmp_path / "v.safetensors").stat().st_size < size + 2 * 4096


def test_convert_keeps_the_old_file_if_the_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "v.safetensors"
    target.write_bytes(b"old")

    def fails(*_: object) -> int:
        raise OSError(errno.EIO, "the disk failed")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="the disk failed"):
        vecload.convert(io.BytesIO(b"".join(LINES)), target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
