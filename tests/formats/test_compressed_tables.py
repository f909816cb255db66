"""Text formats are compressed by the suffix of the target, with the same bytes each time, and read back."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.builders import small_vectors

VECTORS = small_vectors([f"w{at}" for at in range(500)], dim=40)
UNPACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}


@pytest.mark.parametrize("packed", [*UNPACK, ".zst"])
@pytest.mark.parametrize("name", ["v.csv", "v.json", "v.jsonl", "v.vec", "v.bin"])
def test_targets_are_compressed_by_suffix(name: str, packed: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}{packed}"
    VECTORS.save(path)
    again = vecload.load(path)
    assert again.words == VECTORS.words
    assert np.array_equal(again.matrix, VECTORS.matrix)
    VECTORS.save(tmp_path / name)
    if packed in UNPACK:
        assert UNPACK[packed](path.read_bytes()) == (tmp_path / name).read_bytes()
    other = tmp_path / f"other{name}{packed}"
    vecload.convert(tmp_path / name, other)
    assert other.read_bytes() == path.read_bytes()
    assert len(path.read_bytes()) < (tmp_path / name).stat().st_size


@pytest.mark.parametrize("name", ["v.kv.gz", "v.parquet.xz", "v.npz.zst"])
def test_formats_with_random_access_are_not_compressed(name: str, tmp_path: Path) -> None:
    with pytest.raises(vecload.errors.OptionError, match="is not written compressed"):
        VECTORS.save(tmp_path / name)
    assert not list(tmp_path.iterdir())
