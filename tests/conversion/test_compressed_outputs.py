"""A name that ends in .gz, .bz2, .xz or .zst is written compressed, the same bytes each time."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from gensim.models import KeyedVectors

import vecload
from tests.builders import small_vectors
from vecload import Vectors, sources
from vecload.errors import MissingDependencyError

LIBRARIES: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": lambda data: zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read(),
}


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    return small_vectors(5000, 20)


@pytest.mark.parametrize("suffix", LIBRARIES)
@pytest.mark.parametrize(("plain", "form"), [("v.vec", None), ("v.bin", None), ("v.txt", "glove"), ("v", "text")])
def test_compressed_file_holds_the_bytes_of_the_plain_one(
    suffix: str, plain: str, form: str | None, vectors: Vectors, tmp_path: Path
) -> None:
    vectors.save(tmp_path / plain, form)
    expected = (tmp_path / plain).read_bytes()
    packed = tmp_path / (plain + suffix)
    vectors.save(packed, form)
    first = packed.read_bytes()
    assert LIBRARIES[suffix](first) == expected
    assert np.array_equal(vecload.load(packed).matrix, vectors.matrix)
    time.sleep(1.1)  # gzip's header counts seconds
    done = vecload.convert(tmp_path / plain, packed, format=form)  # the number of rows is not known in advance
    assert (done.written, done.size) == (5000, len(first))
    assert packed.read_bytes() == first
    assert sorted(file.name for file in tmp_path.iterdir()) == [plain, packed.name]


def test_gensim_and_gunzip_read_compressed_files(vectors: Vectors, tmp_path: Path) -> None:
    vectors.save(tmp_path / "v.vec.gz")
    theirs = KeyedVectors.load_word2vec_format(tmp_path / "v.vec.gz")
    assert np.array_equal(theirs.vectors, vectors.matrix)
    with gzip.open(tmp_path / "v.vec.gz") as file:
        assert file.readline() == b"5000 20\n"


def test_failure_while_compressing_leaves_nothing(tmp_path: Path) -> None:
    rows = b"".join(b"w%d 1 2\n" % at for at in range(300_000)) + b"bad\n"
    with pytest.raises(vecload.errors.FormatError):
        vecload.convert(io.BytesIO(rows), tmp_path / "v.vec.gz")
    assert not list(tmp_path.iterdir())


def test_missing_package_is_reported_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MissingDependencyError("zstandard is missing")

    monkeypatch.setitem(sources.COMPRESSORS, ".zst", missing)
    monkeypatch.setattr("vecload.conversion.converting.open_vectors", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(MissingDependencyError):
        vecload.convert(io.BytesIO(b"a 1\n"), tmp_path / "v.vec.zst")


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_named_pipe_may_be_compressed(vectors: Vectors, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.vec.gz"
    os.mkfifo(pipe)
    with (tmp_path / "read.gz").open("wb") as read, subprocess.Popen(["cat", pipe], stdout=read) as reader:
        vectors.save(pipe)
        assert reader.wait(timeout=30) == 0
    assert np.array_equal(vecload.load(tmp_path / "read.gz").matrix, vectors.matrix)
