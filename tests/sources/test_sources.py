"""Tests of `open_source`: paths, streams, URLs, compressed files and archive members."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import itertools
import lzma
import shutil
import sys
import tarfile
import tracemalloc
import zipfile
from collections import deque
from collections.abc import Callable
from pathlib import Path

import fsspec
import hypothesis
import lz4.frame
import pytest
import zstandard
from hypothesis import strategies as st

from vecload.errors import FormatError, MissingDependencyError, OptionError
from vecload.sources import open_source


def test_head_does_not_advance_the_position() -> None:
    source = open_source(io.BytesIO(b"abcdef"))
    assert source.head(2) == b"ab"
    assert source.head(4) == b"abcd"
    assert source.read(3) == b"abc"
    assert source.read(9) == b"def"
    assert source.position == 6


def test_open_source_starts_at_the_position_of_an_open_file() -> None:
    file = io.BytesIO(b"skipped cat 1 2\n")
    file.seek(8)
    source = open_source(file)
    assert source.size == 8
    assert source.read(3) == b"cat"


def test_mapped_starts_at_the_position_of_the_source(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(b"0123456789")
    with open_source(path) as source:
        assert source.path == path
        assert (source.head(4), source.read(3)) == (b"0123", b"012")
        assert source.mapped().tobytes() == b"3456789"
    path.write_bytes(b"")
    with open_source(path) as source:
        assert len(source.mapped()) == 0


@pytest.mark.parametrize("wrap", [io.BytesIO, lambda data: io.BytesIO(gzip.compress(data))])
def test_mapped_of_a_stream_returns_the_remaining_bytes(wrap) -> None:
    data = bytes(range(256)) * 20_000
    source = open_source(wrap(data))
    assert source.path is None
    assert source.head(8) == data[:8]
    assert source.read(5) == data[:5]
    mapped = source.mapped()
    assert mapped.tobytes() == data[5:]
    assert not mapped.flags.writeable


def test_open_source_accepts_a_folder_only_with_folders(tmp_path: Path) -> None:
    with open_source(tmp_path, folders=True) as source:
        assert (source.path, source.read(1)) == (tmp_path, b"")
    with pytest.raises(FormatError, match="a directory, not a file"):
        open_source(tmp_path)


def tar_of(names: list[str], mode: str = "w", kind: bytes = tarfile.REGTYPE) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name in names:
            data = f"I am {name}".encode()
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "elsewhere"
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_open_source_reads_members_of_tar_archives(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.tar.any"
    path.write_bytes(tar_of(["folder/a.txt"], mode))
    for alone in (path, path / "folder" / "a.txt", io.BytesIO(path.read_bytes())):
        with open_source(alone) as source:
            assert source.read(99) == b"I am folder/a.txt"
            assert source.size == 17
    path.write_bytes(tar_of(["folder/a.txt", "b"], mode))
    with pytest.raises(FormatError, match=r"a tar archive of 2 files\. Name one .*any/folder/a\.txt, .*any/b$"):
        open_source(path)
    for name in ("folder/a.txt", "b"):
        with open_source(path / name) as source:
            assert source.read(99) == f"I am {name}".encode()
    with pytest.raises(FormatError, match=r"no member 'c'\. It holds: folder/a\.txt, b\."):
        open_source(path / "c")


PACKERS = {
    "gzip": (gzip.compress, 1 << 27),
    "bzip2": (bz2.compress, 1 << 26),
    "xz": (lzma.compress, 1 << 26),
    "lzma": (lambda data: lzma.compress(data, lzma.FORMAT_ALONE), 1 << 26),
    "lz4": (lz4.frame.compress, 1 << 27),
    "zstd": (zstandard.compress, 1 << 28),
}


@pytest.mark.parametrize(("pack", "size"), PACKERS.values(), ids=PACKERS)
def test_decompression_takes_bounded_memory(pack: Callable[[bytes], bytes], size: int) -> None:
    packed = pack(bytes(size))
    tracemalloc.start()
    with open_source(io.BytesIO(packed)) as source:
        block, count = memoryview(bytearray(1 << 20)), 0
        while got := source.readinto(block):
            count += got
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == size
    assert peak < 3 * size // 4
    for cut in (len(packed) // 2, len(packed) - 1):
        with pytest.raises(FormatError, match="cut short"), open_source(io.BytesIO(packed[:cut])) as source:
            deque(iter(lambda source=source: source.readinto(block), 0), maxlen=0)


@pytest.mark.parametrize("mode", ["w", "w:gz", None])
def test_open_source_decompresses_members_of_archives(mode: str | None, tmp_path: Path) -> None:
    packed = gzip.compress(b"cat 1 2")
    path = tmp_path / "v.tar"
    if mode is None:
        path = tmp_path / "v.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.gz", packed)
    else:
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            info = tarfile.TarInfo("a.gz")
            info.size = len(packed)
            archive.addfile(info, io.BytesIO(packed))
    for given in (path, path / "a.gz", Stream(path.read_bytes())):
        with open_source(given) as source:  # type: ignore[arg-type]
            assert source.read(99) == b"cat 1 2"
            assert source.compression == {None: "zip, gzip", "w": "tar, gzip", "w:gz": "gzip, tar, gzip"}[mode]


@pytest.mark.parametrize("name", ["../a.txt", "folder/../../a", "/etc/a", "C:\\a", "..\\a"])
def test_open_source_refuses_members_outside_of_the_folder(name: str) -> None:
    with pytest.raises(FormatError, match="points outside its folder"):
        open_source(io.BytesIO(tar_of([name])))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, "cat 1 2")
    with pytest.raises(FormatError, match="points outside its folder"):
        open_source(io.BytesIO(packed.getvalue()))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_open_source_refuses_links_and_devices(kind: bytes) -> None:
    with pytest.raises(FormatError, match=r"a link or a device|no such|cut short or damaged"):
        open_source(io.BytesIO(tar_of(["a"], kind=kind)))


def test_truncated_tar_archive_raises_format_error() -> None:
    whole = tar_of(["a"])
    for cut in range(600, whole.index(b"I am a") + 6, 7):
        with pytest.raises(FormatError, match="tar"), open_source(io.BytesIO(whole[:cut])) as source:
            source.read(99)


def header_of(size: bytes, kind: bytes) -> bytes:
    """Return a tar header with any size field."""
    header = bytearray(tarfile.TarInfo("a").tobuf())
    header[124:136], header[156:157], header[148:156] = size, kind, b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [b"\x80" + (1 << 60).to_bytes(11, "big"), b"\xff" * 10 + b"\xfe\0"])
def test_tar_header_with_an_impossible_size_raises_format_error(size: bytes, kind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "v.tar"
    path.write_bytes(tar_of(["b"])[: 3 * 512] + header_of(size, kind) + tar_of(["c"]))
    for place in (path, path / "c"):
        with pytest.raises(FormatError, match="tar archive is cut short or damaged"):
            open_source(place)


METHODS = {"stored": zipfile.ZIP_STORED, "deflate": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2}


@pytest.mark.parametrize("method", [*METHODS.values(), zipfile.ZIP_LZMA], ids=[*METHODS, "lzma"])
def test_zip_archive_with_any_wrong_byte_is_read_or_refused(method: int, tmp_path: Path) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as archive:
        archive.writestr("é.txt", b"cat 0.5 0.25\n" * 20)
    path, refusals = tmp_path / "v.zip", 0
    for at, byte in itertools.product(range(4, len(whole.getvalue())), (0x00, 0x80, 0xFF)):
        damaged = bytearray(whole.getvalue())
        damaged[at] = byte
        path.write_bytes(damaged)
        for given in (path, io.BytesIO(damaged)):
            try:
                with open_source(given) as source:
                    while source.read(1 << 10):
                        pass
            except FormatError:
                refusals += 1
    assert refusals > 100


class Stream:
    """A pipe: its bytes can be read only once."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, count: int = -1) -> bytes:
        return self.file.read(count)


def test_open_source_reads_archives_from_a_stream() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "cat 1 2")
    with open_source(Stream(packed.getvalue())) as source:  # type: ignore[arg-type]
        assert source.read(99) == b"cat 1 2"
    with open_source(Stream(tar_of(["a"], "w:gz"))) as source:  # type: ignore[arg-type]
        assert source.read(99) == b"I am a"


def test_open_source_reads_urls_with_fsspec() -> None:
    files = {"a.txt": b"cat 1 2", "a.gz": gzip.compress(b"cat 1 2"), "t.tar.gz": tar_of(["x/a.txt", "b"], "w:gz")}
    for name, data in files.items():
        with fsspec.open(f"memory://test/{name}", "wb") as file:
            file.write(data)
    for url in ("memory://test/a.txt", "memory://test/a.gz"):
        with open_source(url) as source:
            assert (source.name, source.read(99), source.path) == (url, b"cat 1 2", None)
    with open_source("memory://test/t.tar.gz/x/a.txt") as source:
        assert source.read(99) == b"I am x/a.txt"
    with pytest.raises(FileNotFoundError):
        open_source("memory://test/none.txt")


def zip_of(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_open_source_tries_the_whole_url_before_an_archive_member(tmp_path: Path) -> None:
    files = {
        "data.zip/main/v.txt": b"cat 1 2",  # a folder with the extension of an archive
        "outer.zip/inner.zip": zip_of(member=b"dog 3 4"),
        "plain.zip": zip_of(member=b"cow 5 6"),
    }
    for name, data in files.items():
        with fsspec.open(f"memory://asked/{name}", "wb") as file:
            file.write(data)
    for url, text in {
        "memory://asked/data.zip/main/v.txt": b"cat 1 2",
        "memory://asked/outer.zip/inner.zip": b"dog 3 4",
        "memory://asked/outer.zip/inner.zip/member": b"dog 3 4",
        "memory://asked/plain.zip/member": b"cow 5 6",
    }.items():
        with open_source(url) as source:
            assert source.read(99) == text
    with pytest.raises(FileNotFoundError, match=r"none\.zip"):
        open_source("memory://asked/none.zip/v.txt")
    with pytest.raises(FormatError, match="no member 'none'"):
        open_source("memory://asked/plain.zip/none")
    (tmp_path / "local.zip").write_bytes(files["plain.zip"])  # a path below a file raises another error
    with open_source((tmp_path / "local.zip").as_uri() + "/member") as source:
        assert source.read(99) == b"cow 5 6"
    with pytest.raises(OptionError, match="Protocol not known"):
        open_source("nothing://test/none.txt")


def test_open_source_names_the_package_that_a_url_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("HTTPFileSystem requires aiohttp")

    monkeypatch.setattr(fsspec, "open", missing)
    with pytest.raises(
        MissingDependencyError, match=r'HTTPFileSystem requires aiohttp: pip install "vecload\[remote\]"'
    ):
        open_source("https://example.org/v.txt")


@hypothesis.given(data=st.binary(max_size=300), more=st.binary(max_size=300))
@pytest.mark.parametrize("kind", ["lzma", "lz4"])
def test_open_source_reads_several_streams_in_a_row(kind: str, data: bytes, more: bytes) -> None:
    pack, _ = PACKERS[kind]
    # The first byte is fixed, because the data themselves may begin like an archive.
    with open_source(io.BytesIO(pack(b"." + data) + pack(more))) as source:
        assert source.compression == kind
        assert source.read(1000) == b"." + data + more


@pytest.mark.parametrize("size", [-1, 5])
def test_open_source_reads_lzma_files_with_and_without_a_size(size: int) -> None:
    packed = bytearray(lzma.compress(b"cat 1", lzma.FORMAT_ALONE))
    packed[5:13] = size.to_bytes(8, "little", signed=True)
    with open_source(io.BytesIO(bytes(packed))) as source:
        assert (source.compression, source.read(9)) == ("lzma", b"cat 1")


@pytest.mark.parametrize(
    "head",
    [b"] 0.5 0.25\n[ 1 2\n", b"]\0\0\x80\0" + b"\0" * 7 + b"\x10", b"]\0\0\x80\3" + b"\xff" * 8],
    ids=["text", "size", "dictionary"],
)
def test_open_source_takes_no_other_file_for_lzma(head: bytes) -> None:
    with open_source(io.BytesIO(head)) as source:
        assert source.compression is None


def test_lz4_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    with pytest.raises(MissingDependencyError, match=r"vecload\[lz4\]"):
        open_source(io.BytesIO(lz4.frame.compress(b"cat 1 2")))


def test_open_source_handles_member_names_of_other_tools(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(tar_of(["./._a.txt", "./a.txt"], "w:gz"))
    for target in (path, path / "a.txt"):
        with open_source(target) as source:
            assert source.read(99) == b"I am ./a.txt"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("__MACOSX/._a.txt", b"\0\5\x16\7")
        archive.writestr("a.txt", "cat 1 2")
    with open_source(tmp_path / "a.zip") as source:
        assert source.read(99) == b"cat 1 2"


def test_spooled_stops_before_the_disk_is_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 5_000_000))  # type: ignore[attr-defined]
    source = open_source(Stream(bomb))  # type: ignore[arg-type]
    with pytest.raises(OSError, match=r"needs more than 4,500,000 bytes; .* set TMPDIR to a folder") as caught:
        source.mapped()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "<stream>")
    assert source.position <= 6_000_000
    with pytest.raises(OSError, match="not enough space in the temporary folder"):
        open_source(io.BytesIO(gzip.compress(tar_of(["a"]) + bytes(10_000_000))))


def test_spooled_that_does_not_fit_names_the_source_and_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    class FullFile(io.BytesIO):
        def write(self, _data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: FullFile())
    with pytest.raises(OSError, match="its data does not fit; decompress the file yourself") as caught:
        open_source(Stream(b"cat 1 2")).mapped()  # type: ignore[arg-type]
    assert caught.value.filename == "<stream>"
