from __future__ import annotations

import gzip
import io
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vecload import FormatError, OptionError
from vecload.sources import open_source, replacing


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "v.txt"
    target.write_text("old")

    def fail() -> None:
        with replacing(target) as part:
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
    with replacing(link) as part:
        part.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_a_folder_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is a directory: name the file to write"), replacing(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_while_writing(tmp_path: Path) -> None:
    target = tmp_path / "v.txt"
    target.write_text("old")
    code = (
        f"import time; from vecload.sources import replacing\nwith replacing({str(target)!r}) as part:\n"
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
    assert source.take(3) == b"abc"
    assert source.take(9) == b"def"
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
    assert source.take(3) == b"cat"


def test_a_plain_file_is_mapped_from_where_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(b"0123456789")
    with open_source(path) as source:
        assert source.path == path
        assert (source.head(4), source.take(3)) == (b"0123", b"012")
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
    assert source.take(5) == data[:5]
    mapped = source.mapped()
    assert mapped.tobytes() == data[5:]
    assert not mapped.flags.writeable


def test_a_folder_is_a_source_only_where_one_is_asked_for(tmp_path: Path) -> None:
    with open_source(tmp_path, folders=True) as source:
        assert (source.path, source.take(1)) == (tmp_path, b"")
    with pytest.raises(FormatError, match="a directory, not a file"):
        open_source(tmp_path)
