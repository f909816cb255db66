"""Commands that write files, the demo, and errors of all commands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import vecload
from tests.cli.running import run
from vecload import formats


@pytest.fixture
def glove(tmp_path: Path) -> Path:
    file = tmp_path / "glove.txt"
    file.write_text("the 0.5 0.5\ncat 3 4\nParis 1 0\n")
    return file


def test_embed_writes_the_matrix_and_names_missing_words(glove: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("the\nPARIS\ncow\n")
    out = tmp_path / "embedding.safetensors"
    code, shown, err = run(
        "embed",
        glove,
        "--vocab",
        tmp_path / "words.txt",
        "--oov",
        "casefold, normal",
        "--pad-token",
        "<pad>",
        "-o",
        out,
    )
    assert (code, err) == (0, "")
    assert "not found: 'cow'\n" in shown
    aligned = vecload.Aligned.load(out)
    assert list(aligned.vocab) == ["<pad>", "the", "PARIS", "cow"]
    assert aligned.matrix[:3].tolist() == [[0, 0], [0.5, 0.5], [1, 0]]


def test_convert_writes_a_file_or_a_folder(glove: Path, tmp_path: Path) -> None:
    out = tmp_path / "v.safetensors"
    code, shown, err = run("convert", glove, out, "--dtype", "float16", "--normalize", "--limit", "2")
    assert (code, err) == (0, "")
    assert shown.startswith(f"{out} (native): 2 of 2 rows; ")
    whole = vecload.load(glove)
    assert list(vecload.load(out).words) == list(whole.words)[:2]
    assert vecload.load(out).dtype == "float16"
    code, shown, err = run("convert", out, glove, tmp_path / "folder", "--format", "glove", "--precision", "1")
    assert (code, err) == (0, "")
    assert sorted(file.name for file in (tmp_path / "folder").iterdir()) == [f"{glove.stem}.txt", "v.txt"]
    assert len(shown.splitlines()) == 2
    code, _, err = run("convert", glove)
    assert (code, err) == (2, "vecload: missing input or output; usage: vecload convert SRC... DST\n")


def test_formats_lists_every_format() -> None:
    code, shown, _ = run("formats")
    assert code == 0
    names = [line[:22].strip() for line in shown.splitlines()]
    assert names == ["name", *(form.name for form in formats.all_formats())]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["info", "nothing.txt"], 2, "vecload: nothing.txt: no such file\n"),
        (["info", "."], 1, "vecload: .: a directory, not a file. Name a file in it.\n"),
        (["info"], 2, "Missing argument"),
        (["what"], 2, "No such command"),
    ],
)
def test_errors_are_one_paragraph(arguments: list[str], code: int, message: str) -> None:
    got, out, err = run(*arguments)
    assert got == code
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_exit_code_is_1_for_invalid_data_and_2_for_wrong_usage(glove: Path, tmp_path: Path) -> None:
    glove.write_text("cat 1 2\ndog 3 x\n")
    (tmp_path / "w.txt").write_text("dog\n")
    command = ["embed", glove, "--vocab", tmp_path / "w.txt", "-o", tmp_path / "o.safetensors"]
    code, _, err = run(*command)
    assert code == 1
    assert "line 2, byte 14: a value that is not a number: found 'x', expected 2 numbers." in err
    code, _, err = run(*command, "--oov", "lemma")
    assert code == 2
    assert "unknown oov step 'lemma'" in err
    assert not (tmp_path / "o.safetensors").exists()


def test_help_does_not_import_numpy() -> None:
    code = (
        "import sys; from vecload.cli import main; sys.argv = ['vecload', '--help']\n"
        "try: main()\nexcept SystemExit: pass\nassert 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"Use files of pretrained word vectors" in done.stdout


def test_demo_trains_and_proposes_commands_that_exist() -> None:
    pytest.importorskip("gensim")
    code, out, err = run("demo")
    assert (code, err) == (0, "")
    assert "the padding row after training: largest value 0.0" in out
    proposed = re.findall(r"^   vecload (\w+) (.*?)  ", out.partition("Next, try:")[2], re.M)
    assert [command for command, _ in proposed] == ["catalog", "neighbors", "report"]
    for command, arguments in proposed:
        options = {word for word in arguments.split() if word.startswith("-")}
        assert options <= set(re.findall(r"-+\w+", run(command, "--help")[1]))
