"""Tests of loading from archives of several files: the one that holds vectors is chosen, with the files it needs."""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

import vecload
from tests.builders import small_vectors
from vecload.errors import FormatError
from vecload.sources import Selection, SeveralMembersError, open_source

TEXT = b"cat 0.5 1.5\ndog 2.5 3.5\nowl 4.5 5.5\n"
ACCESSORIES = {
    ".DS_Store": b"\0\0\0\1Bud1",
    "__MACOSX/._v.vec": b"\0\5\x16\7",
    "README.md": b"# Vectors of 3 words",
    "docs/LICENSE": b"Version 2.0",
    "licence.txt": b"",
    "COPYING": b"x",
    "NOTICE.txt": b"x",
    "meta.json": b"{}",
}


def zip_bytes(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tar_bytes(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


PACKERS = {"zip": zip_bytes, "tar": lambda members: tar_bytes(members, "w"), "tar.gz": tar_bytes}
each_packer = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
Pack = Callable[[dict[str, bytes]], bytes]


def folder_bytes(folder: Path, inside: str) -> dict[str, bytes]:
    return {
        f"{inside}{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def gensim_files(folder: Path) -> dict[str, bytes]:
    """Return the files of gensim vectors whose matrix is a separate file, and check that it is one."""
    vectors = KeyedVectors(2)
    vectors.add_vectors(["cat", "dog"], np.array([[1, 2], [3, 4]], dtype=np.float32))
    folder.mkdir()
    vectors.save(str(folder / "m.kv"), sep_limit=0)
    files = folder_bytes(folder, "")
    assert "m.kv.vectors.npy" in files
    return files


@each_packer
def test_load_takes_the_only_member_that_is_not_an_accessory(pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / "a.archive"
    path.write_bytes(pack({**ACCESSORIES, "v.vec": TEXT}))
    for source in (path, io.BytesIO(path.read_bytes())):
        assert list(vecload.load(source).words) == ["cat", "dog", "owl"]
    assert vecload.info(path).rows == 3


@each_packer
def test_load_takes_the_only_member_that_holds_vectors(pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / "a.archive"
    members = {"train.log": b"epoch 1 loss 2.5\nepoch 2 loss 1.5\n", "stop words.txt": b"the\na\n", "x/v.vec": TEXT}
    path.write_bytes(pack(members))
    loaded = vecload.load(path)
    assert list(loaded.words) == ["cat", "dog", "owl"]
    assert loaded.meta["source"] == f"{path}/x/v.vec"


@each_packer
def test_load_names_the_members_if_several_hold_vectors(pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / "a.archive"
    path.write_bytes(pack({"README": b"", "a.vec": TEXT, "b.vec": TEXT}))
    with pytest.raises(SeveralMembersError, match=r"archive of 2 files\. Name one .*archive/a\.vec, .*archive/b\.vec$"):
        vecload.load(path)
    assert len(vecload.load(path / "b.vec")) == 3


@each_packer
def test_load_reports_an_archive_without_files(pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / "a.archive"
    path.write_bytes(pack({}))
    # A tar archive without files is a block of zeros, which has no signature.
    with pytest.raises(FormatError, match=r"the zip archive is empty|not a file of word vectors|not recognized"):
        vecload.load(path)


def test_load_reports_an_archive_of_accessories_only(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"README.md": b"x", "LICENSE": b"y"}))
    with pytest.raises(FormatError, match="a zip archive of 2 files"):
        vecload.load(tmp_path / "a.zip")


@each_packer
@pytest.mark.parametrize("inside", ["", "models/big/"])
def test_load_finds_the_arrays_of_a_gensim_model_in_its_archive(
    pack: Pack, inside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    files = gensim_files(tmp_path / "m")
    path = tmp_path / "a.archive"
    path.write_bytes(pack({"meta.json": b"{}", **{inside + name: data for name, data in files.items()}}))
    for source in (path, io.BytesIO(path.read_bytes())):
        vectors = vecload.load(source)
        np.testing.assert_array_equal(vectors[["dog", "cat"]], [[3, 4], [1, 2]])
    assert not list(temporary.iterdir())
    # The matrix is still a valid map, although its file is deleted.
    np.testing.assert_array_equal(vectors.matrix, [[1, 2], [3, 4]])


@pytest.mark.parametrize("pack", [zip_bytes, PACKERS["tar"]], ids=["zip", "tar"])
def test_load_finds_the_arrays_of_a_gensim_model_that_is_named(pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / "a.archive"
    path.write_bytes(pack({**gensim_files(tmp_path / "m"), "other.vec": TEXT}))
    assert len(vecload.load(path / "m.kv")) == 2
    assert len(vecload.load(path / "other.vec")) == 3


@each_packer
@pytest.mark.parametrize("name", ["spacy", "model2vec"])
@pytest.mark.parametrize("inside", ["", "model/"])
def test_load_reads_a_model_folder_in_an_archive(pack: Pack, name: str, inside: str, tmp_path: Path) -> None:
    vectors = small_vectors(["cat", "dog", "owl"], dim=3)
    vectors.save(tmp_path / "folder", name)
    path = tmp_path / "a.archive"
    path.write_bytes(pack({"__MACOSX/._x": b"", **folder_bytes(tmp_path / "folder", inside), "README.md": b"x"}))
    loaded = vecload.load(path)
    assert sorted(loaded.words) == ["cat", "dog", "owl"]
    np.testing.assert_array_equal(loaded[["cat", "owl"]], vectors[["cat", "owl"]])
    assert vecload.info(path).rows == 3


def test_load_reads_a_named_folder_in_an_archive(tmp_path: Path) -> None:
    small_vectors(["cat", "dog"], dim=3).save(tmp_path / "folder", "spacy")
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes({**folder_bytes(tmp_path / "folder", "model/"), "a.vec": TEXT, "b.vec": TEXT}))
    assert sorted(vecload.load(path / "model").words) == ["cat", "dog"]
    with pytest.raises(FormatError, match="has no member 'other'"):
        vecload.load(path / "other")


@pytest.mark.parametrize("name", ["../m.kv.vectors.npy", "/m.kv.vectors.npy", "C:\\m.kv.vectors.npy"])
def test_load_writes_no_file_outside_of_the_temporary_folder(name: str, tmp_path: Path) -> None:
    files = gensim_files(tmp_path / "m")
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes({"m.kv": files["m.kv"], "m.kv.more.npy": b"x", name: files["m.kv.vectors.npy"]}))
    with pytest.raises(FormatError, match=r"points outside|vectors is missing|of 3 files"):
        vecload.load(path)
    with pytest.raises(FormatError, match=r"points outside|vectors is missing"):
        vecload.load(path / "m.kv")


def test_extraction_refuses_two_members_of_the_same_path(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes({"m": b"x", "m/n": b"y"}))
    with pytest.raises(FormatError, match="two members of the archive have the same path: found 'm/n'"):
        open_source(path, choose=lambda archive, _: Selection("m", archive.names))


def test_extraction_stops_before_the_disk_is_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = gensim_files(tmp_path / "m")
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes({**files, "m.kv.vectors.npy": bytes(10_000_000)}))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    usage = shutil._ntuple_diskusage(10**9, 10**9, 5_000_000)  # type: ignore[attr-defined]
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="not enough space in the temporary folder"):
        vecload.load(path)
    assert not [found for found in tmp_path.iterdir() if found.name.startswith("vecload-")]


def test_an_archive_of_many_files_is_not_searched(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_bytes({f"{number}.txt": b"" for number in range(500)} | {"v.vec": TEXT}))
    with pytest.raises(SeveralMembersError, match="a zip archive of 501 files"):
        vecload.load(path)
