"""NumPy archives, compared with numpy."""

from __future__ import annotations

import gzip
import io
import itertools
import struct
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import vecload
from tests.builders import ODD_WORDS, small_vectors
from tests.formats.battery import check_every_cut, check_mutations
from tests.formats.tables import TableOf, same
from vecload.errors import FormatError
from vecload.formats import npz
from vecload.formats.contract import WriteOptions
from vecload.saved.npy import npy_header


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("counted", [True, False])
def test_save_is_read_by_numpy(dtype: str, counted: bool, tmp_path: Path) -> None:
    path = tmp_path / "written.npz"
    vectors = small_vectors(dtype=dtype)
    npz.write(path, TableOf(vectors, counted=counted), WriteOptions())
    assert zipfile.ZipFile(path).testzip() is None
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["matrix", "words.data", "words.offsets"]
        assert arrays["matrix"].dtype == dtype
        assert np.array_equal(arrays["matrix"], vectors.matrix)
        raw, ends = arrays["words.data"].tobytes(), arrays["words.offsets"]
        words = [raw[begin:end].decode("utf-8", "surrogateescape") for begin, end in itertools.pairwise(ends)]
        assert words == ODD_WORDS
    again = vecload.load(path)
    assert same(again, vectors)
    assert isinstance(again.matrix.base, np.memmap)
    assert again.matrix.flags.aligned
    assert again.matrix.ctypes.data % 64 == 0


def test_save_equal_vectors_gives_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        small_vectors().save(tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_save_bfloat16_writes_float32(tmp_path: Path) -> None:
    vectors = small_vectors(dtype=ml_dtypes.bfloat16)
    vectors.save(tmp_path / "written.npz")
    assert np.array_equal(np.load(tmp_path / "written.npz")["matrix"], vectors.matrix.astype(np.float32))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", [("words", "matrix"), ("vocab", "embeddings"), ("words", "vectors")])
@pytest.mark.parametrize("kind", ["U", "S"])
def test_load_archives_written_by_numpy(save: Any, names: tuple[str, str], kind: str, tmp_path: Path) -> None:
    vectors = small_vectors([word for word in ODD_WORDS if kind == "U" or word.isascii()])
    words = np.array(list(vectors.words)) if kind == "U" else np.array([word.encode() for word in vectors.words])
    for order in "CF":
        save(tmp_path / "made.npz", **{names[0]: words, names[1]: np.asarray(vectors.matrix, order=order)})
        assert same(vecload.load(tmp_path / "made.npz"), vectors)


def test_load_from_path_stream_and_compressed_file(tmp_path: Path) -> None:
    vectors = small_vectors()
    path = tmp_path / "written.npz"
    vectors.save(path)
    assert same(vecload.load(io.BytesIO(path.read_bytes())), vectors)
    assert same(vecload.load(io.BytesIO(gzip.compress(path.read_bytes()))), vectors)
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as outer:
        outer.write(path, "inner.npz")
    assert same(vecload.load(tmp_path / "outer.zip"), vectors)
    assert same(vecload.load(tmp_path / "outer.zip" / "inner.npz"), vectors)
    assert list(vecload.load(path, vocab=["cat", "New York"]).words) == ["cat", "New York"]
    assert list(vecload.load(path, limit=2).words) == ODD_WORDS[:2]
    look = vecload.info(path)
    assert (look.rows, look.dim, look.format) == (len(ODD_WORDS), 5, "NumPy npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"matrix": np.eye(2)}, "an array is missing: found matrix, expected words or vocab"),
        ({"words": np.array(["a"])}, "an array is missing: found words, expected matrix or vectors or embeddings"),
        (
            {"words": np.array(["a"]), "matrix": np.eye(2)},
            "not one word per row: found 1 words, expected 2",
        ),
        ({"words": np.array(["a", None], dtype=object), "matrix": np.eye(2)}, "Python objects"),
        ({"words": np.array(["a"]), "matrix": np.array([[{}]], dtype=object)}, "Python objects"),
        ({"words": np.array([1, 2]), "matrix": np.eye(2)}, "words that are not text"),
        ({"words": np.array([["a"]]), "matrix": np.eye(1)}, "words that are not text"),
        ({"words": np.array(["\ud800"]), "matrix": np.eye(1)}, "words that are not text"),
        ({"words": np.frombuffer(b"\xff\xff\xff\x7f", dtype="<U1"), "matrix": np.eye(1)}, "words that are not text"),
        ({"words": np.array(["a"]), "matrix": np.zeros(1)}, "the array has the wrong shape or type"),
        ({"words": np.array(["a"]), "matrix": np.zeros((1, 1), dtype=int)}, "the array has the wrong shape or type"),
        ({"words": np.array(["a"]), "matrix": np.zeros((1, 0))}, "the array has the wrong shape or type"),
        (
            {"words.data": np.zeros(2, "u1"), "words.offsets": np.array([0, 3]), "matrix": np.eye(1)},
            "the offsets do not match",
        ),
        (
            {"words.data": np.zeros(2, "u1"), "words.offsets": np.array([0, 3, -1, 2]), "matrix": np.eye(3)},
            "the offsets do not match",
        ),
        (
            {"words.data": np.zeros(2, "u2"), "words.offsets": np.array([0, 2]), "matrix": np.eye(1)},
            "the offsets do not match",
        ),
        (
            {"words.data": np.zeros(0, "u1"), "words.offsets": np.zeros(0, int), "matrix": np.eye(1)},
            "the offsets do not match",
        ),
    ],
)
def test_load_invalid_archive_raises(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(FormatError, match=message):
        vecload.load(tmp_path / "bad.npz")


def test_load_wrong_shape_takes_no_memory(tmp_path: Path) -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "bad.npz", "w", compression) as archive:
            archive.writestr("matrix.npy", npy_header((1 << 40, 300), np.dtype("<f4")) + bytes(1200))
            archive.writestr("words.npy", b"")
        with pytest.raises(FormatError, match=r"cannot read the array|the array is damaged"):
            vecload.load(tmp_path / "bad.npz")


def test_load_cut_or_mutated_archive_gives_vectors_or_format_error(tmp_path: Path) -> None:
    path = tmp_path / "cut.npz"
    small_vectors(["a", "é"], dim=2).save(path)
    check_every_cut(path)
    check_mutations(path, rounds=400)


def test_load_archive_with_any_changed_byte(tmp_path: Path) -> None:
    path, refusals = tmp_path / "v.npz", 0
    np.savez_compressed(path, words=np.array(["cat", "dög"]), matrix=np.eye(2, dtype=np.float32))
    whole = path.read_bytes()
    for at, byte in itertools.product(range(4, len(whole), 3), (0x0E, 0xFF)):  # 0x0E is the zip method LZMA
        damaged = bytearray(whole)
        damaged[at] = byte
        path.write_bytes(damaged)
        try:
            vecload.load(path)
        except FormatError:
            refusals += 1
    assert refusals > 100


def test_load_zip_of_several_files_raises(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.writestr("matrix.npy", struct.pack("<f", 1))
        archive.writestr("other.bin", "hello")
    with pytest.raises(FormatError, match="a zip archive of 2 files"):
        vecload.load(tmp_path / "some.zip")
