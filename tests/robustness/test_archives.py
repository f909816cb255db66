"""Archives and compressed files whose small size hides large demands on memory, time or stack."""

from __future__ import annotations

import gzip
import io
import lzma
import resource
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import vecload
from vecload.errors import FormatError
from vecload.sources import open_source

GOOD = b"cat 1 2\ndog 3 4\n"


@pytest.fixture(autouse=True)
def raw_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test the checks of the readers themselves: turn off the conversion of unexpected errors."""
    monkeypatch.setenv("VECLOAD_RAW_ERRORS", "1")


def header(kind: bytes, size: int, name: str = "v.txt") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def block(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


FILE = header(tarfile.REGTYPE, len(GOOD)) + block(GOOD)


def pax(fields: dict[str, str]) -> bytes:
    records = b""
    for name, value in fields.items():
        body = f" {name}={value}\n"
        size = len(body) + 1
        while len(f"{size}{body}") != size:
            size += 1
        records += f"{size}{body}".encode()
    return header(tarfile.XHDTYPE, len(records)) + block(records)


TARS = {
    "pax headers in a row": pax({"comment": "x"}) * 3000 + FILE,
    "long names in a row": (header(tarfile.GNUTYPE_LONGNAME, 2) + block(b"a\0")) * 3000 + FILE,
    "empty long names in a row": header(tarfile.GNUTYPE_LONGNAME, 0) * 3000 + FILE,
    "global headers in a row": (header(tarfile.XGLTYPE, 0)) * 3000 + FILE,
    "long name": header(tarfile.GNUTYPE_LONGNAME, 1 << 20) + block(b"a" * (1 << 20)) + FILE,
    "long link": header(tarfile.GNUTYPE_LONGLINK, 1 << 20) + block(b"a" * (1 << 20)) + FILE,
    "long pax value": pax({"path": "a" * (1 << 20)}) + FILE,
    "name of 5000 characters": pax({"path": "a" * 5000}) + FILE,
    "long name beyond the file": header(tarfile.GNUTYPE_LONGNAME, 1 << 33) + FILE,
    "sparse map without end": pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})
    + header(tarfile.REGTYPE, 1 << 20)
    + block(b"999999999\n" + b"1\n" * 200_000),
    "size of 5000 digits": pax({"size": "9" * 5000}) + FILE,
    "negative size": pax({"size": "-512"}) + FILE,
    "size beyond the file": pax({"size": str(1 << 62)}) + FILE,
    "10,001 files": b"".join(header(tarfile.REGTYPE, 0, f"{number}.txt") for number in range(10_001)),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("member", ["", "v.txt"])
@pytest.mark.parametrize("kind", TARS)
def test_hostile_tar_is_refused_in_bounded_memory(kind: str, member: str, packed: bool, tmp_path: Path) -> None:
    data = TARS[kind] + bytes(1024)
    path = tmp_path / ("v.tar.gz" if packed else "v.tar")
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(FormatError) as caught:
        vecload.load(path / member if member else path)
    assert len(str(caught.value)) < 3000


def test_tar_of_many_files_gives_the_one_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "v.tar"
    path.write_bytes(TARS["10,001 files"] + FILE + bytes(1024))
    assert list(vecload.load(path / "v.txt").words) == ["cat", "dog"]


def test_tar_with_usual_long_names_and_pax_headers_is_read(tmp_path: Path) -> None:
    name = "folder/" * 30 + "vectors of 北海道.txt"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        path = tmp_path / f"v{form}.tar"
        with tarfile.open(path, "w", format=form, pax_headers={"comment": "x" * 10_000} if form else None) as archive:
            info = tarfile.TarInfo(name)
            info.size = len(GOOD)
            archive.addfile(info, io.BytesIO(GOOD))
        assert len(vecload.load(path)) == 2
        assert len(vecload.load(path / name)) == 2


@pytest.mark.parametrize("name", ["", "a" * 5000])
def test_zip_member_with_an_invalid_name_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "v.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), GOOD)
    with pytest.raises(FormatError, match="a member with an invalid name"):
        vecload.load(path)


def test_messages_about_many_long_members_are_short(tmp_path: Path) -> None:
    path = tmp_path / "v.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(500):
            archive.writestr(f"{number}" + "x" * 1000, GOOD)
    for source in (path, path / "nothing"):
        with pytest.raises(FormatError, match="480 more") as caught:
            vecload.load(source)
        assert len(str(caught.value)) < 3000


def xz(dictionary: int) -> bytes:
    return lzma.compress(GOOD, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": dictionary}])


def zipped_lzma(dictionary: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("v.txt", GOOD)
    data = bytearray(file.getvalue())
    at = 30 + len("v.txt") + 5
    data[at : at + 4] = struct.pack("<I", dictionary)
    return bytes(data)


@pytest.mark.parametrize("make", [xz, zipped_lzma])
def test_lzma_dictionary_is_limited_to_that_of_the_highest_preset(make, tmp_path: Path) -> None:
    path = tmp_path / "v.packed"
    path.write_bytes(make(64 << 20))
    assert len(vecload.load(path)) == 2
    path.write_bytes(make(128 << 20))
    with pytest.raises(FormatError, match=r"too much memory|Memory usage limit"):
        vecload.load(path)


@pytest.mark.parametrize("level", [1, 9])
def test_gzip_of_a_long_run_is_unpacked_in_small_pieces(level: int) -> None:
    data = bytes(40_000_000) + b"end"
    source = open_source(io.BytesIO(gzip.compress(data, level) * 2))
    pieces = [source._head]
    while piece := source._read(1 << 30):
        assert len(piece) <= 1 << 20
        pieces.append(piece)
    assert b"".join(pieces) == data * 2


@pytest.mark.skipif(sys.platform != "linux", reason="needs the peak memory of a child")
@pytest.mark.parametrize("kind", ["text", "tar"])
def test_bomb_of_200_mb_ends_in_bounded_memory(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "v.gz"
    with gzip.open(path, "wb", compresslevel=6) as file:
        file.write(b"cat 1 2\n" if kind == "text" else header(tarfile.GNUTYPE_LONGNAME, 200_000_000))
        for _ in range(200):
            file.write(b"a" * 1_000_000)
    code = (
        "import io, resource, sys, vecload\n"
        "vecload.load(io.BytesIO(b'cat 1 2\\n' * 100))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    vecload.load(sys.argv[1])\n"
        "except vecload.errors.FormatError:\n    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 96 * 1024, resource.getpagesize()
