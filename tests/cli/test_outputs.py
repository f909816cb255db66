"""Commands report every mistake in outputs, options and second inputs before they read vectors, and need --force."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.cli.running import run_here

WORDS = [f"w{at}" for at in range(30)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = np.random.default_rng(0).normal(size=(30, 4)).tolist()
    lines = (f"{word} {' '.join(map(str, row))}\n" for word, row in zip(WORDS, rows, strict=True))
    (tmp_path / "a.vec").write_text("".join(lines))
    shutil.copy(tmp_path / "a.vec", tmp_path / "b.vec")
    (tmp_path / "words.txt").write_text("w1\nw2\n")
    (tmp_path / "texts.txt").write_text("w1 w2\nw3\n")
    (tmp_path / "pairs.tsv").write_text("".join(f"{word}\t{word}\n" for word in WORDS[:20]))
    (tmp_path / "judged.tsv").write_text("w1\tw2\t3\nw3\tw4\t1\nw5\tw6\t2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    """Run a command in this process; return 0 or 1, and everything it printed."""
    code, shown, error = run_here(*arguments)
    return code, error + shown


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if vectors are opened."""

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("vectors were read")

    monkeypatch.setattr("vecload.loading.open_vectors", opened)
    monkeypatch.setattr("vecload.conversion.converting.open_vectors", opened)


COMMANDS = {
    "convert": (["convert", "a.vec", "o.safetensors"], ["o.safetensors"]),
    "convert to folder": (["convert", "a.vec", "b.vec", "o", "--format", "native"], ["o/a.safetensors"]),
    "embed": (["embed", "a.vec", "--vocab", "words.txt", "-o", "o.safetensors"], ["o.safetensors"]),
    "transform": (["transform", "a.vec", "o.vec", "--step", "unit"], ["o.vec"]),
    "pool": (["pool", "a.vec", "texts.txt", "-o", "o.npy"], ["o.npy"]),
    "map": (
        "map a.vec b.vec -o o.vec --target-output t.vec --map-output m.safetensors --report".split(),
        ["o.vec", "t.vec", "m.safetensors", "o.html"],
    ),
    "report": (["report", "a.vec", "-o", "o.html"], ["o.html"]),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_existing_output_is_replaced_only_with_force(name: str, folder: Path) -> None:
    command, outputs = COMMANDS[name]
    assert run(*command)[0] == 0
    assert run(*command, "--force")[0] == 0
    for output in outputs:
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for other in set(outputs) - {output}:
            (folder / other).rename(folder / f"{other}.away")
        code, error = run(*command)
        assert code == 1
        assert f"{output} already exists; use --force to replace it" in error
        for other in set(outputs) - {output}:
            (folder / f"{other}.away").rename(folder / other)
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


DESTROYERS = [
    ["convert", "a.vec", "a.vec", "--limit", "10"],
    ["convert", "a.vec", "./a.vec", "--limit", "10"],
    ["convert", "d/a.txt", "d/b.txt", "d", "--format", "text", "--limit", "5"],
    ["convert", "a.vec", "words.txt", "--vocab", "words.txt"],
    ["transform", "a.vec", "a.vec", "--step", "unit"],
    ["embed", "a.vec", "--vocab", "vocab.safetensors", "-o", "vocab.safetensors"],
    ["embed", "n.safetensors", "--vocab", "words.txt", "-o", "n.safetensors"],
    ["pool", "a.vec", "texts.npy", "-o", "texts.npy"],
    ["pool", "v.npy", "texts.txt", "-o", "v.npy"],
    ["map", "a.vec", "b.vec", "-o", "a.vec"],
    ["map", "a.vec", "b.vec", "-o", "b.vec"],
    ["map", "a.vec", "b.vec", "-o", "o.vec", "--target-output", "b.vec"],
    ["map", "a.vec", "b.vec", "-o", "o.vec", "--map-output", "n.safetensors", "-d", "n.safetensors"],
    ["report", "r.html", "-o", "r.html"],
    ["report", "a.vec", "--against", "r.html", "-o", "r.html"],
    ["report", "a.vec", "--vocab", "r.html", "-o", "r.html"],
]


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("command", DESTROYERS, ids=" ".join)
def test_no_command_destroys_its_input_even_with_force(command: list[str], folder: Path) -> None:
    (folder / "d").mkdir()
    for name in ("d/a.txt", "d/b.txt", "texts.npy", "v.npy", "n.safetensors", "vocab.safetensors", "r.html"):
        shutil.copy(folder / "a.vec", folder / name)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, error = run(*command, "--force")
    assert code == 1
    assert "is also an input; choose another output" in error
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


EARLY = [
    (["map", "a.vec", "b.vec", "-o", "x.xyz"], "cannot infer a format from 'x.xyz'"),
    (["map", "a.vec", "b.vec", "-o", "nodir/x.vec"], "no such folder to write to"),
    (["map", "a.vec", "b.vec", "-o", "x.vec", "--target-output", "x.vec"], "is used for two outputs"),
    (["map", "a.vec", "b.vec", "-o", "x.vec", "--map-output", "m.npy"], "does not end in .safetensors"),
    (["map", "a.vec", "b.vec", "-o", "x.vec", "--method", "best"], "method='best' is not one of"),
    (["map", "a.vec", "b.vec", "-o", "x.vec", "--normalize", "uint"], "is not a sequence of 'unit' and 'center'"),
    (["map", "a.vec", "b.vec", "-o", "x.vec", "--limit", "0"], "limit=0 leaves no words"),
    (["map", "a.vec", "b.vec", "-o", "x.vec", "-d", "none.tsv"], "none.tsv"),
    (["map", "a.vec", "b.vec", "-o", "x.vec", "-d", "unsupervised"], "pairs='unsupervised' needs method"),
    (["map", "a.vec", "b.vec", "-o", "x.vec", "-d", "pairs.tsv", "--test", "2"], "test=2.0 is not between 0 and 1"),
    (["map", "a.vec", "none.vec", "-o", "x.vec"], "no such file: 'none.vec'"),
    (["report", "a.vec", "-o", "r.pdf"], "r.pdf does not end in .html or .htm"),
    (["report", "a.vec", "-o", "nodir/r.html"], "no such folder to write to"),
    (["report", "a.vec", "-o", "r.html", "--limit", "0"], "limit=0 leaves nothing to show"),
    (["report", "a.vec", "-o", "r.html", "--layout", "circle"], "layout='circle' is not one of"),
    (["report", "a.vec", "-o", "r.html", "--against", "none.vec"], "no such file: 'none.vec'"),
    (["report", "a.vec", "-o", "r.html", "--vocab", "none.txt"], "no such file: 'none.txt'"),
    (["report", "a.vec", "-o", "r.html", "--vocab", "words.txt", "--oov", "lemma"], "lemma"),
    (["embed", "a.vec", "--vocab", "words.txt", "-o", "e.npy"], "e.npy does not end in .safetensors"),
    (["embed", "a.vec", "--vocab", "none.txt", "-o", "e.safetensors"], "no such file: 'none.txt'"),
    (["embed", "a.vec", "--vocab", "words.txt", "-o", "e.safetensors", "--oov", "lemma"], "lemma"),
    (["embed", "a.vec", "--vocab", "words.txt", "-o", "nodir/e.safetensors"], "no such folder to write to"),
    (["pool", "a.vec", "texts.txt", "-o", "p.csv"], "choose an output that ends in .npy"),
    (["pool", "a.vec", "texts.txt", "-o", "p.npy", "--mode", "best"], "unknown mode 'best'; choose from"),
    (["pool", "a.vec", "none.txt", "-o", "p.npy"], "no such file: 'none.txt'"),
    (["pool", "a.vec", "-", "-o", "p.npy", "--mode", "sif"], "mode 'sif' reads the texts twice"),
    (["pool", "-", "-", "-o", "p.npy"], "standard input (-) is used for two inputs"),
    (["embed", "-", "--vocab", "-", "-o", "e.safetensors"], "standard input (-) is used for two inputs"),
    (["convert", "-", "x.vec", "--vocab", "-"], "standard input (-) is used for two inputs"),
    (["map", "-", "-", "-o", "x.vec"], "standard input (-) is used for two inputs"),
    (["compare", "-", "-"], "standard input (-) is used for two inputs"),
    (["pool", "none.vec", "texts.txt", "-o", "p.npy"], "no such file: 'none.vec'"),
    (["pool", "a.vec", "texts.txt", "words.txt", "-o", "p", "--format", "csv"], "choose an output that ends in"),
    (["transform", "a.vec", "x.onnx", "--step", "unit"], "cannot infer a format from 'x.onnx'"),
    (["transform", "a.vec", "x.vec", "--step", "unit", "--step", "sphere"], "unknown step 'sphere'"),
    (["transform", "a.vec", "x.vec", "--step", "pca:0"], "step pca:0 needs a number of 1 or more"),
    (["transform", "a.vec", "x.vec", "--step", "weight:0"], "needs a number above 0"),
    (["transform", "a.vec", "x.vec", "--step", "unit", "--evaluate", "none.tsv"], "none.tsv"),
    (["evaluate", "a.vec", "--data", "judged.tsv", "--data", "none.tsv"], "none.tsv"),
    (["evaluate", "a.vec", "--data", "judged.tsv", "--protocol", "mine"], "protocol='mine' is not one of"),
    (["evaluate", "a.vec", "--data", "judged.tsv", "--method", "best"], "method='best' is not one of"),
    (["compare", "a.vec", "none.vec"], "no such file: 'none.vec'"),
    (["compare", "a.vec", "b.vec", "-k", "0"], "k=0"),
    (["neighbors", "a.vec", "w1", "--metric", "manhattan"], "metric='manhattan' is not one of"),
    (["convert", "a.vec", "none.vec", "out", "--format", "native"], "no such file: 'none.vec'"),
    (["convert", "a.vec", "x.xyz"], "cannot infer a format from 'x.xyz'"),
    (["convert", "a.vec", "x.vec", "--precision", "12"], "precision=12 is not in 0 to 9"),
    (["convert", "a.vec", "x.vec", "--unencodable", "ignore"], "unencodable='ignore' is not one of"),
    (["convert", "a.vec", "x.vec", "--dtype", "int8", "--normalize"], "is not one of 'float16'"),
    (["convert", "a.vec", "x.vec", "--errors", "ignore"], "Invalid value for '--errors'"),
    (["convert", "a.vec", "x.vec", "--source-format", "mine"], "format='mine' is not one of"),
    (["convert", "a.vec", "nodir/x.vec"], "no such folder to write to"),
]


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(("command", "message"), EARLY, ids=[" ".join(command) for command, _ in EARLY])
def test_mistake_is_reported_before_vectors_are_read(command: list[str], message: str, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    code, error = run(*command)
    assert code != 0
    assert message in error
    assert sorted(folder.rglob("*")) == before


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(
    "command",
    [
        ["pool", "a.vec", "texts.parquet", "-o", "p.npy"],
        ["pool", "a.vec", "texts.txt", "-o", "p.parquet"],
        ["convert", "a.vec", "x.parquet"],
        ["transform", "a.vec", "x.arrow", "--step", "unit"],
    ],
    ids=" ".join,
)
def test_missing_package_is_reported_before_vectors_are_read(
    command: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "texts.parquet").write_bytes(b"PAR1")
    for name in ("pyarrow", "pyarrow.parquet", "pyarrow.ipc"):
        monkeypatch.setitem(sys.modules, name, None)
    code, error = run(*command)
    assert code == 1
    assert "pip install" in error


def test_word_lists_and_texts_may_be_urls(folder: Path) -> None:
    words, texts = (f"file://{folder / name}" for name in ("words.txt", "texts.txt"))
    assert run("embed", "a.vec", "--vocab", words, "-o", "e.safetensors")[0] == 0
    assert run("convert", "a.vec", "c.vec", "--vocab", words)[0] == 0
    assert run("report", "a.vec", "-o", "r.html", "--vocab", words)[0] == 0
    assert run("pool", "a.vec", texts, "-o", "p.npy")[0] == 0
    assert len(np.load("p.npy")) == 2


@pytest.mark.skipif(os.name != "posix", reason="needs SIGTERM")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_signal_leaves_no_part_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_bytes(b"".join(b"w%d 0.25 0.5 0.125 1 2 3\n" % at for at in range(1_500_000)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "o.vec").write_text("old")
    command = [
        sys.executable,
        "-m",
        "vecload.cli",
        "convert",
        tmp_path / "big.txt",
        tmp_path / "out" / "o.vec",
        "--force",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "out").glob(".*.part/o.vec")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(getattr(signal, name))
        _, error = process.communicate(timeout=30)
    assert process.returncode != 0
    assert b"Traceback" not in error
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["o.vec"]
    assert (tmp_path / "out" / "o.vec").read_text() == "old"
    if name != "SIGINT":
        assert process.returncode == -getattr(signal, name)


def test_python_functions_check_outputs_first(folder: Path) -> None:
    vectors = vecload.load("a.vec")
    aligned = vecload.align(vectors, ["w1"])
    found = vecload.map_spaces(vectors, vectors)
    for write, name, message in (
        (aligned.save, "e.npy", "does not end in .safetensors"),
        (found.save, "m.npy", "does not end in .safetensors"),
        (lambda path: vecload.report(vectors, path), "r.pdf", "does not end in .html or .htm"),
    ):
        with pytest.raises(vecload.errors.OptionError, match=message):
            write(name)
        with pytest.raises(FileNotFoundError, match="no such folder to write to"):
            write(f"nodir/{name.partition('.')[0]}.{'html' if name == 'r.pdf' else 'safetensors'}")
    assert not (folder / "nodir").exists()
