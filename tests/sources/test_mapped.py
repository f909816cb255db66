"""Tests of `MappedRange`: find the file of a mapped array, and map it again."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vecload.errors import FormatError
from vecload.sources import MappedRange

DATA = np.random.default_rng(0).integers(0, 256, 40_000).astype(np.uint8).tobytes()


@given(
    offset=st.sampled_from([0, 8, 128, 4096, 5000, 8200]),
    rows=st.integers(1, 300),
    dim=st.integers(1, 9),
    begin=st.integers(0, 400),
    dtype=st.sampled_from(["<f4", ">f4", "<f2", "<f8", "u1"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_mapped_range_finds_slices_of_maps_in_their_file(
    tmp_path: Path, offset: int, rows: int, dim: int, begin: int, dtype: str
) -> None:
    file = tmp_path / "data"
    file.write_bytes(DATA)
    whole = np.memmap(file, dtype=dtype, mode="r", offset=offset, shape=(rows, dim))
    for array in (whole, whole[begin:], np.asarray(whole)[begin:], whole.view(np.uint8)[: begin + 1]):
        place = MappedRange.of(array)
        if not array.size or not array.flags.c_contiguous:
            assert place is None
            continue
        assert place is not None
        again = place.open()
        assert again.tobytes() == array.tobytes()
        assert (again.dtype, again.shape) == (array.dtype, array.shape)
        again[0] = 0
        assert file.read_bytes() == DATA


def test_mapped_range_of_other_arrays_is_none(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(DATA)
    mapped = np.memmap(file, dtype=np.uint8, mode="r", shape=(100, 100))
    with file.open("rb") as opened:
        nameless = np.frombuffer(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)
    for array in (np.ones(3), np.arange(6)[::2], nameless, mapped[:, :5], mapped[:0], mapped.copy()):
        assert MappedRange.of(array) is None
    assert MappedRange.of(mapped) is not None
    (tmp_path / "other").write_bytes(DATA[::-1])
    (tmp_path / "other").replace(file)
    assert MappedRange.of(mapped[:50]) is None
    file.write_bytes(DATA[:50])
    assert MappedRange.of(mapped) is None
    file.unlink()
    assert MappedRange.of(mapped) is None


def test_mapped_range_refuses_a_changed_file(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(DATA)
    place = MappedRange.of(np.memmap(file, dtype=np.uint8, mode="r"))
    assert place is not None
    other = tmp_path / "other"
    for damage, words in ((DATA[:-1], "found 39,999 bytes, expected 40,000"), (b"?" + DATA[1:], "another header")):
        other.write_bytes(damage)
        other.replace(file)
        with pytest.raises(FormatError, match=f"is not the one that was mapped: .*{words}"):
            place.open()
    file.unlink()
    with pytest.raises(FormatError, match="the mapped file cannot be opened"):
        place.open()
