from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import shutil
import signal
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from collections import deque
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
import zstandard

from vecload import FormatError, MissingDependencyError, OptionError
from vecload.sources import atomic_write, open_source


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "v.txt"
    target.write_text("old")

    def fail() -> None:
        with atomic_write(target) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ["v.txt"]
    assert target.read_text() == "old"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to("real.txt")
    with atomic_write(link) as part:
        part.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_a_folder_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is a directory; choose the path of a file"), atomic_write(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match=r"no such folder to write to: '.*none'$"),
        atomic_write(tmp_path / "none/v"),
    ):
        pass


def test_killed_while_writing(tmp_path: Path) -> None:
    target = tmp_path / "v.txt"
    target.write_text("old")
    code = (
        f"import time; from vecload.sources import atomic_write\nwith atomic_write({str(target)!r}) as part:\n"
        "    part.write_text('half'); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert target.read_text() == "old"


def test_head_takes_nothing() -> None:
    source = open_source(io.BytesIO(b"abcdef"))
    assert source.head(2) == b"ab"
    assert source.head(4) == b"abcd"
    assert source.read(3) == b"abc"
    assert source.read(9) == b"def"
    assert source.position == 6


@pytest.mark.parametrize("data", [b"", b"a", b"a\n", b"a\n\nb", b"\n" * 5, b"x" * 3_000_000 + b"\ny"])
def test_lines(data: bytes) -> None:
    expected = data.split(b"\n")
    assert list(open_source(io.BytesIO(data)).lines()) == (expected if expected[-1] else expected[:-1])


def test_reading_from_the_middle_of_a_file() -> None:
    file = io.BytesIO(b"skipped cat 1 2\n")
    file.seek(8)
    source = open_source(file)
    assert source.size == 8
    assert source.read(3) == b"cat"


def test_a_plain_file_is_mapped_from_where_it_was_read(tmp_path: Path) -> None:
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
def test_a_stream_is_spooled_to_be_mapped(wrap) -> None:
    data = bytes(range(256)) * 20_000
    source = open_source(wrap(data))
    assert source.path is None
    assert source.head(8) == data[:8]
    assert source.read(5) == data[:5]
    mapped = source.mapped()
    assert mapped.tobytes() == data[5:]
    assert not mapped.flags.writeable


def test_a_folder_is_a_source_only_where_one_is_asked_for(tmp_path: Path) -> None:
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
def test_members_of_tar_archives(mode: str, tmp_path: Path) -> None:
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
    "zstd": (zstandard.compress, 1 << 28),
}


@pytest.mark.parametrize(("pack", "size"), PACKERS.values(), ids=PACKERS)
def test_little_that_unpacks_to_much_takes_less_memory(pack: Callable[[bytes], bytes], size: int) -> None:
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
def test_members_may_be_compressed(mode: str | None, tmp_path: Path) -> None:
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
def test_a_member_that_escapes_its_folder_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match="leaves its folder"):
        open_source(io.BytesIO(tar_of([name])))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, "cat 1 2")
    with pytest.raises(FormatError, match="leaves its folder"):
        open_source(io.BytesIO(packed.getvalue()))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_member_that_is_no_file_is_refused(kind: bytes) -> None:
    with pytest.raises(FormatError, match=r"a link or a device|no such|cut short or damaged"):
        open_source(io.BytesIO(tar_of(["a"], kind=kind)))


def test_a_tar_archive_cut_anywhere() -> None:
    whole = tar_of(["a"])
    for cut in range(600, whole.index(b"I am a") + 6, 7):
        with pytest.raises(FormatError, match="tar"), open_source(io.BytesIO(whole[:cut])) as source:
            source.read(99)


def header_of(size: bytes, kind: bytes) -> bytes:
    """A tar header that says of its member's size what it likes."""
    header = bytearray(tarfile.TarInfo("a").tobuf())
    header[124:136], header[156:157], header[148:156] = size, kind, b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [b"\x80" + (1 << 60).to_bytes(11, "big"), b"\xff" * 10 + b"\xfe\0"])
def test_sizes_in_a_tar_archive_are_not_believed(size: bytes, kind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "v.tar"
    path.write_bytes(tar_of(["b"])[: 3 * 512] + header_of(size, kind) + tar_of(["c"]))
    for place in (path, path / "c"):
        with pytest.raises(FormatError, match="tar archive is cut short or damaged"):
            open_source(place)


METHODS = {"stored": zipfile.ZIP_STORED, "deflate": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2}


@pytest.mark.parametrize("method", [*METHODS.values(), zipfile.ZIP_LZMA], ids=[*METHODS, "lzma"])
def test_any_byte_of_a_zip_archive_may_be_wrong(method: int, tmp_path: Path) -> None:
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
    """A pipe: bytes that come once."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, count: int = -1) -> bytes:
        return self.file.read(count)


def test_archives_from_a_stream_are_spooled() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "cat 1 2")
    with open_source(Stream(packed.getvalue())) as source:  # type: ignore[arg-type]
        assert source.read(99) == b"cat 1 2"
    with open_source(Stream(tar_of(["a"], "w:gz"))) as source:  # type: ignore[arg-type]
        assert source.read(99) == b"I am a"


def test_urls_go_through_fsspec() -> None:
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


def test_url_is_asked_for_whole_before_a_member_of_an_archive(tmp_path: Path) -> None:
    files = {
        "data.zip/main/v.txt": b"cat 1 2",  # a folder whose name ends like an archive's
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
    (tmp_path / "local.zip").write_bytes(files["plain.zip"])  # to ask for a file below a file is another error
    with open_source((tmp_path / "local.zip").as_uri() + "/member") as source:
        assert source.read(99) == b"cow 5 6"
    with pytest.raises(OptionError, match="Protocol not known"):
        open_source("nothing://test/none.txt")


def test_folders_appear_whole_and_never_over_another(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for make in (lambda: None, target.mkdir):
        make()
        with atomic_write(target, folder=True) as part:
            (part / "sub").mkdir(parents=True)
            (part / "sub" / "file").write_text("new")
        assert (target / "sub" / "file").read_text() == "new"
        with pytest.raises(OptionError, match="is a directory that is not empty"), atomic_write(target, folder=True):
            pass
        assert (target / "sub" / "file").read_text() == "new"
        shutil.rmtree(target)
    target.mkdir()
    with pytest.raises(OptionError, match="is a directory"), atomic_write(target):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("folder", [False, True])
def test_what_a_killed_process_left_goes_with_the_next_run(folder: bool, tmp_path: Path) -> None:
    target = tmp_path / "v.[1]"
    code = (
        f"import time; from vecload.sources import atomic_write\nwith atomic_write({str(target)!r}, folder={folder}):\n"
        "    print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        others = tmp_path / ".v.[1].notes.part"
        others.write_text("somebody's own")
        with atomic_write(target, folder=folder) as part:
            part.mkdir() if folder else None
            parts = list(tmp_path.iterdir())
        process.send_signal(signal.SIGKILL)
    assert len(parts) == 3  # one at work is let be
    assert len(list(tmp_path.iterdir())) == 3
    with atomic_write(target, folder=folder) as part:
        part.mkdir(exist_ok=True) if folder else None
    assert {file.name for file in tmp_path.iterdir()} == {target.name, others.name}


def test_a_file_system_that_needs_more_says_what(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("HTTPFileSystem requires aiohttp")

    monkeypatch.setattr(fsspec, "open", missing)
    with pytest.raises(
        MissingDependencyError, match=r'HTTPFileSystem requires aiohttp: pip install "vecload\[remote\]"'
    ):
        open_source("https://example.org/v.txt")


def test_names_as_other_tools_write_them(tmp_path: Path) -> None:
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
