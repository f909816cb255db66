"""Outputs never destroy inputs, devices or links, and mistakes in a path are found before anything is read."""

from __future__ import annotations

import io
import os
import socket
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import vecload
from vecload import Vectors
from vecload.errors import OptionError
from vecload.sources import atomic_write, check_inputs, check_outputs_differ, check_target

ROWS = b"cat 3 4\ndog 0 2\n"
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")


def unreadable(*_: object) -> object:
    raise AssertionError("read before the target was checked")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "mine.txt"
    file.write_bytes(ROWS)
    return file


def same(path: Path) -> Path:
    return path


def roundabout(path: Path) -> Path:
    return path.parent / "." / ".." / path.parent.name / path.name


def relative(path: Path) -> Path:
    return Path(os.path.relpath(path))


def symbolic_link(path: Path) -> Path:
    link = path.with_name("link.txt")
    link.symlink_to(path.name)
    return link


def hard_link(path: Path) -> Path:
    link = path.with_name("hard.txt")
    link.hardlink_to(path)
    return link


@POSIX
@pytest.mark.parametrize("other_name", [same, roundabout, relative, symbolic_link, hard_link])
@pytest.mark.parametrize("swapped", [False, True])
def test_convert_onto_its_input_by_any_name_is_refused(
    other_name: Callable[[Path], Path], swapped: bool, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = source, other_name(source)
    monkeypatch.setattr("vecload.conversion.converting.open_vectors", unreadable)
    with pytest.raises(OptionError, match="is also an input; choose another output"):
        vecload.convert(pair[swapped], pair[not swapped], limit=1)
    assert source.read_bytes() == ROWS


def test_convert_onto_an_archive_stream_or_url_input_is_refused(tmp_path: Path, source: Path) -> None:
    packed = tmp_path / "packed.txt"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("member.txt", ROWS)
    before = packed.read_bytes()
    with source.open("rb") as file:
        for given, target in (
            (file, source),
            (f"file://{source}", source),
            (packed / "member.txt", packed),
            (str(packed / "member.txt"), packed),
        ):
            with pytest.raises(OptionError, match="is also an input"):
                vecload.convert(given, target)
    assert (source.read_bytes(), packed.read_bytes()) == (ROWS, before)


def test_convert_into_the_folder_it_reads_is_refused(tmp_path: Path, source: Path) -> None:
    model = tmp_path / "model"
    vecload.convert(source, model, format="spacy")
    before = (model / "vectors").read_bytes()
    with pytest.raises(OptionError, match="is also an input"):
        vecload.convert(model, model / "vectors", format="text")
    with pytest.raises(OptionError, match="is also an input"):
        vecload.convert(model, model, format="sentence-transformers")
    assert (model / "vectors").read_bytes() == before


def test_convert_onto_a_side_file_of_its_input_is_refused(tmp_path: Path) -> None:
    from gensim.models import KeyedVectors

    model = KeyedVectors(3)
    model.add_vectors(["a", "b"], np.eye(2, 3, dtype=np.float32))
    model.save(str(tmp_path / "kv"), sep_limit=0)
    check_target(tmp_path / "other.npy", inputs=[tmp_path / "kv"])
    with pytest.raises(OptionError, match="is also an input"):
        check_target(tmp_path / "kv.vectors.npy", inputs=[tmp_path / "kv"])


def test_unrelated_inputs_do_not_block_a_target(tmp_path: Path, source: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_bytes(ROWS)
    check_target(other, inputs=[source, "-", "https://example.org/v.txt", io.BytesIO(), tmp_path / "missing"])


@POSIX
def test_hard_link_is_refused_and_symbolic_link_is_followed(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "real.txt"
    target.write_text("old")
    hard = hard_link(target)
    with pytest.raises(OptionError, match="is one of 2 hard links to a file"):
        vecload.convert(source, target)
    assert hard.samefile(target)
    hard.unlink()
    link = symbolic_link(target)
    vecload.convert(source, link)
    assert link.is_symlink()
    assert target.read_text() == "2 2\ncat 3.0 4.0\ndog 0.0 2.0\n"
    dangling = tmp_path / "dangling.txt"
    dangling.symlink_to("new.txt")
    vecload.convert(source, dangling)
    assert (tmp_path / "new.txt").read_bytes() == target.read_bytes()


@POSIX
def test_symbolic_link_loop_is_refused(tmp_path: Path, source: Path) -> None:
    (tmp_path / "a.txt").symlink_to("b.txt")
    (tmp_path / "b.txt").symlink_to("a.txt")
    with pytest.raises(OptionError, match="symbolic link that points back to itself"):
        vecload.convert(source, tmp_path / "a.txt")
    assert (tmp_path / "a.txt").is_symlink()


@POSIX
@pytest.mark.parametrize("form", [None, "native", "spacy"])
def test_socket_is_never_replaced(
    form: str | None, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("v.txt" if form is None else "v")
        target = Path("v.txt" if form is None else "v")
        with pytest.raises(OptionError, match="is a socket, which this output cannot be written to"):
            vecload.convert(source, target, format=form)
        assert stat.S_ISSOCK(target.stat().st_mode)


@POSIX
def test_device_is_written_or_refused_but_never_replaced(source: Path) -> None:
    null = Path(os.devnull)
    done = vecload.convert(source, null, format="text")
    assert (done.written, done.size) == (2, len("2 2\ncat 3.0 4.0\ndog 0.0 2.0\n"))
    for form in ("native", "npz", "spacy", "gensim"):
        with pytest.raises(OptionError, match="is a character device, which this output cannot be written to"):
            vecload.convert(source, null, format=form)
    with pytest.raises(OptionError, match="is a character device"), atomic_write(null):
        pass
    assert stat.S_ISCHR(null.stat().st_mode)


@POSIX
def test_full_device_is_reported(source: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        vecload.convert(source, "/dev/full", format="text")


@POSIX
@pytest.mark.parametrize("form", ["text", "glove", "word2vec binary"])
@pytest.mark.parametrize("unencodable", ["raise", "skip"])
def test_pipe_gets_the_bytes_of_a_file(form: str, unencodable: str, tmp_path: Path, source: Path) -> None:
    plain, pipe = tmp_path / "plain", tmp_path / "pipe"
    vecload.convert(source, plain, format=form, unencodable=unencodable)
    vectors = vecload.load(source)
    os.mkfifo(pipe)
    for write in (
        lambda: vecload.convert(source, pipe, format=form, unencodable=unencodable),
        lambda: vectors.save(pipe, form),
    ):
        with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
            write()
            assert reader.communicate(timeout=30)[0] == plain.read_bytes()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@POSIX
def test_mode_of_a_replaced_file_is_kept(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "v.txt"
    for mode in (0o600, 0o640, 0o664, 0o755):
        target.write_text("old")
        target.chmod(mode)
        vecload.convert(source, target)
        assert stat.S_IMODE(target.stat().st_mode) == mode


@POSIX
def test_new_file_has_the_mode_of_the_umask(tmp_path: Path, source: Path) -> None:
    vectors = vecload.load(source)
    before = os.umask(0o027)
    try:
        for name in ("v.txt", "v.safetensors", "v.npz", "v.parquet", "v.kv", "v.vec.gz"):
            vectors.save(tmp_path / name)
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640, name
        vectors.save(tmp_path / "model", "spacy")
        assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o750
    finally:
        os.umask(before)


@POSIX
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give a file away")
def test_owner_of_a_replaced_file_is_kept(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "v.txt"
    target.write_text("old")
    os.chown(target, 1234, 4321)
    vecload.convert(source, target)
    assert (target.stat().st_uid, target.stat().st_gid) == (1234, 4321)


@POSIX
def test_group_is_kept_by_those_who_may_not_change_the_owner(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "v.txt"
    target.write_text("old")
    replaced = target.stat()
    calls = []

    def chown(_: object, user: int, group: int) -> None:
        calls.append((user, group))
        if user != -1:
            raise PermissionError

    monkeypatch.setattr(os, "chown", chown)
    vecload.convert(source, target)
    assert (-1, replaced.st_gid) in calls
    assert (replaced.st_uid, -1) in calls


@pytest.mark.parametrize("size", [200, 201, 250, 255])
def test_longest_names_can_be_written(size: int, tmp_path: Path, source: Path) -> None:
    for letter in ("n", "é"):
        for suffix in (".txt", ".safetensors", ".parquet", ".npz"):
            stem = letter * ((size - len(suffix)) // len(letter.encode()))
            name = stem + "x" * (size - len((stem + suffix).encode())) + suffix
            vecload.convert(source, tmp_path / name)
            assert len(vecload.load(tmp_path / name)) == 2
    too_long = tmp_path / ("n" * 252 + ".txt")
    with pytest.raises(OSError, match="name too long"):
        vecload.convert(source, too_long)


def test_missing_folder_is_reported_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in.txt").write_bytes(ROWS)
    monkeypatch.setattr("vecload.conversion.converting.open_vectors", unreadable)
    with pytest.raises(FileNotFoundError, match="no such folder to write to"):
        vecload.convert(tmp_path / "in.txt", tmp_path / "nodir" / "x.vec")
    with pytest.raises(FileNotFoundError, match="no such file"):
        vecload.convert(tmp_path / "missing.txt", tmp_path / "x.vec")
    with pytest.raises(OptionError, match="the output has an empty name"):
        vecload.convert(tmp_path / "in.txt", "", format="text")
    assert [file.name for file in tmp_path.iterdir()] == ["in.txt"]


def test_two_outputs_with_the_same_path_are_refused(tmp_path: Path) -> None:
    check_outputs_differ([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(OptionError, match="is used for two outputs"):
        check_outputs_differ([tmp_path / "a", tmp_path / "." / "a"])


def test_check_inputs_names_a_missing_input(tmp_path: Path, source: Path) -> None:
    check_inputs([source, "-", "memory://x", io.BytesIO()])
    with pytest.raises(FileNotFoundError, match=r"no such file: '.*none\.txt'"):
        check_inputs([source, tmp_path / "none.txt"])


@POSIX
def test_file_or_folder_without_permission_is_reported_before_reading(tmp_path: Path, source: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    target = tmp_path / "v.txt"
    target.write_text("old")
    target.chmod(0o400)
    with pytest.raises(PermissionError, match="is read-only"):
        vecload.convert(source, target)
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(PermissionError, match="this folder cannot be written to"):
        vecload.convert(source, folder / "v.txt")


def test_check_target_refuses_other_suffixes(tmp_path: Path, source: Path) -> None:
    for name, form, message in (
        ("v.npz", "text", "has the suffix of npz, but format='text' was requested"),
        ("v.txt", "native", "has the suffix of text, but format='native'"),
        ("v.txt", "spacy", "has the suffix of text, but format='spacy'"),
        ("v.h5", "text", r"ends in \.h5, but format='text' was requested; choose another suffix"),
        ("v.npy", "text", "has the suffix of npy, but format='text'"),
        ("v.vec.zip", "text", r"ends in \.zip, but format='text'"),
        ("v.vec.tar.gz", "text", r"ends in \.tar\.gz, but format='text'"),
        ("v.safetensors.gz", None, r"native is not written compressed; leave out \.gz"),
        ("v.npz.zst", "npz", r"npz is not written compressed; leave out \.zst"),
        ("v.gz", None, "cannot infer a format from"),
    ):
        with pytest.raises(OptionError, match=message):
            vecload.convert(source, tmp_path / name, format=form)
        with pytest.raises(OptionError, match=message):
            Vectors(vecload.Words.from_strings(["a"]), np.eye(1, dtype=np.float32)).save(tmp_path / name, form)
    vecload.convert(source, tmp_path / "v.bin", format="fasttext")
    vecload.convert(source, tmp_path / "v.50d", format="text")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine.txt", "v.50d", "v.bin"]


@POSIX
def test_stdout_gets_the_file_and_stderr_the_summary(source: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vecload.cli", "convert", source]
    for name in ("/dev/stdout", "-"):
        done = subprocess.run([*command, name, "--format", "glove"], capture_output=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, b"cat 3.0 4.0\ndog 0.0 2.0\n")
        assert b"2 of 2 rows" in done.stderr
    log = tmp_path / "log.txt"
    log.write_bytes(b"before\n")
    with log.open("ab") as file:  # like >> log.txt: the old content is kept
        subprocess.run([*command, "/dev/stdout", "--format", "glove"], stdout=file, timeout=60, check=True)
    assert log.read_bytes() == b"before\ncat 3.0 4.0\ndog 0.0 2.0\n"
    with source.open("ab") as file:
        done = subprocess.run([*command, "/dev/stdout", "--format", "glove"], stdout=file, stderr=-1, timeout=60)
    assert done.returncode == 2
    assert b"is also an input" in done.stderr
    assert source.read_bytes() == ROWS
