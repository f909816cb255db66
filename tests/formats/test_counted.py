"""Rows written by the threads that parse them: the same file as rows written one behind the other."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload.formats import counted
from vecload.formats.counted import CountedFile, RowFile

chunk = st.tuples(
    st.integers(0, 5),  # rows
    st.sampled_from(["all", "slow", "some", "none", "copy"]),  # what comes of them
    st.integers(1, 4),  # chunks under way with it
)


@given(st.lists(chunk, max_size=12), st.integers(0, 30), st.booleans())
def test_rows_left_out_or_not_in_any_order(chunks: list[tuple[int, str, int]], guess: int, behind: bool) -> None:
    """Chunks are taken a few ahead and filled last first; what was left out of them is not in the file."""
    numbers = np.arange(sum(count for count, _, _ in chunks) * 3, dtype=np.float32).reshape(-1, 3)
    ends = np.cumsum([0, *(count for count, _, _ in chunks)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows"
        expected = []
        with RowFile(path, guess, lambda rows: b"%05d" % rows, 3, np.dtype(np.float32)) as file:
            taken: list[np.ndarray] = []
            for at, (count, fate, ahead) in enumerate(chunks):
                new = range(len(taken), min(max(at + ahead, len(taken)), len(chunks)))
                for later in new:
                    rows = file.take(chunks[later][0])
                    taken.append(np.empty((chunks[later][0], 3), dtype=np.float32) if rows is None else rows)
                    taken[later][:] = numbers[ends[later] : ends[later + 1]]
                for later in reversed(new):
                    if chunks[later][1] != "slow":
                        file.filled(taken[later])
                kept = taken[at]
                if fate in ("some", "none", "copy"):
                    kept = kept[{"some": slice(0, count, 2), "none": slice(0), "copy": slice(None)}[fate]].copy()
                if len(kept):
                    file.append(kept)
                    expected.append(kept.tobytes())
            if behind:
                file.write(b"behind", 0)
        rows = b"".join(expected)
        assert path.read_bytes() == b"%05d" % (len(rows) // 12) + rows + b"behind" * behind


LINES = [b"w%d %d %d\n" % (number % 900, number, -number) for number in range(1000)]
SLOW = b"slow 1.000000059604644775390625 1\n"
"""Between two floats: left to Python."""
CASES = {
    "as it is": (LINES[:900], {}),
    "words that come twice": (LINES, {}),
    "one of them early": ([LINES[0], *LINES[:900]], {}),
    "a line for Python": ([*LINES[:450], SLOW, *LINES[450:900]], {}),
    "bad lines": ([b"bad\n" if at % 90 == 9 else line for at, line in enumerate(LINES[:900])], {"errors": "skip"}),
    "a limit": (LINES[:900], {"limit": 321}),
    "a prefix": (LINES[:900], {"prefix": "w3"}),
    "float16": (LINES[:900], {"dtype": "float16"}),
    "float64": (LINES[:900], {"dtype": "float64"}),
    "a vocabulary": (LINES[:900], {"vocab": ["w3", "w700", "w8"]}),
}


@pytest.mark.parametrize("without", ["", "pwrite", "posix_fallocate"])
@pytest.mark.parametrize("case", CASES)
def test_a_native_file_holds_what_load_gives(
    case: str, without: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over many chunks, on systems that can write ahead or cannot."""
    monkeypatch.setattr("vecload.formats.chunks._CHUNK", 512)
    if without:
        monkeypatch.delattr(os, without)
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


def test_most_rows_are_written_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that only Python can parse has its own chunk written late, not those behind it."""
    monkeypatch.setattr("vecload.formats.chunks._CHUNK", 512)
    late: list[int] = []
    write = CountedFile.write

    def watched(self: CountedFile, text: bytes, rows: int) -> None:
        late.append(rows)
        write(self, text, rows)

    monkeypatch.setattr(CountedFile, "write", watched)
    lines = LINES[:900]
    lines[450] = SLOW
    vecload.convert(io.BytesIO(b"".join(lines)), tmp_path / "v.safetensors")
    assert 0 < sum(late) < 100


@pytest.mark.parametrize(("call", "code"), [("pwrite", errno.ENOSPC), ("fsync", errno.EIO)])
def test_a_disk_that_fails_leaves_the_old_file(
    call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "v.safetensors"
    target.write_bytes(b"old")

    def fails(*_: object) -> int:
        raise OSError(code, "the disk failed")

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(OSError, match="the disk failed"):
        vecload.convert(io.BytesIO(b"".join(LINES)), target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_without_room_for_the_guess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the rows themselves have to fit."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "posix_fallocate", full)
    vecload.convert(io.BytesIO(b"".join(LINES)), tmp_path / "v.safetensors")
    assert len(vecload.load(tmp_path / "v.safetensors")) == 900


def test_what_is_written_is_sent_to_the_disk_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Piece by piece, without holes, in whole pages."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(counted, "_send", lambda _, begin, end: sent.append((begin, end)))
    monkeypatch.setattr(counted, "_SENT", 1 << 14)
    with CountedFile(tmp_path / "f", 9, lambda rows: b"%d\n" % rows) as file:
        for _ in range(100):
            file.write(bytes(1000), 1)
    begins, ends = zip(*sent, strict=True)
    assert begins == (0, *ends[:-1])
    assert all(end % 4096 == 0 for end in ends)
    assert 80_000 < ends[-1] <= 100_002


def test_the_system_takes_what_is_sent(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb", buffering=0) as file:
        file.write(bytes(8192))
        counted._send(file.fileno(), 0, 8192)
        call = counted._sync_file_range()
        assert call is None or call(file.fileno(), 0, 8192, 2) == 0
        assert call is None or call(-1, 0, 8192, 2) == -1
