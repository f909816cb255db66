from __future__ import annotations

import gzip
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vecload
from vecload import formats


def run(*arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
    command = [sys.executable, "-m", "vecload.cli", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def glove(tmp_path: Path) -> Path:
    file = tmp_path / "glove.txt"
    file.write_text("the 0.5 0.5\ncat 3 4\nParis 1 0\n")
    return file


def test_info_does_not_take_the_first_of_wide_rows_for_all(tmp_path: Path) -> None:
    """A megabyte holds fewer than a thousand of them."""
    values = np.random.default_rng(0).normal(size=(900, 300)).tolist()
    lines = (f"w{at} " + " ".join(f"{value:.6f}" for value in row) for at, row in enumerate(values))
    (tmp_path / "wide.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    code, out, _ = run("info", tmp_path / "wide.gz")
    assert code == 0
    assert "(estimated)" in out
    estimate = int(out.split("rows")[1].split()[0].replace(",", ""))
    assert 700 < estimate < 1200


def test_info_compiles_nothing(glove: Path) -> None:
    """Starting numba takes longer than all the rest."""
    code = "import sys; from vecload.loading import info; info(sys.argv[1]); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, glove], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_info(glove: Path) -> None:
    code, out, err = run("info", glove)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"file         {glove} ({glove.stat().st_size} bytes)",
        "format       GloVe text",
        "header       none",
        "rows         3",
        "dimension    2",
        "values       decimal text of up to 1 digit: float32",
        "first words  'the' 'cat' 'Paris'",
        "norms        0.7071 to 5, mean 2.236 (first 3 rows)",
    ]


def test_info_of_a_stream() -> None:
    rows = b"".join(b"w%d 1.25 0.5\n" % at for at in range(90_000))
    code, out, _ = run("info", "-", stdin=gzip.compress(b"30000 2\n" + rows))
    assert code == 0
    assert "rows         30,000 (from the header)" in out
    assert "gzip" in out
    for stream in (rows, gzip.compress(rows)):  # the length of a pipe is unknown
        code, out, _ = run("info", "-", stdin=stream)
        assert code == 0
        assert "rows         at least 1,000\n" in out
    code, out, _ = run("info", "-", stdin=rows[: rows.index(b"w17 ")])
    assert "rows         17\n" in out


def test_info_counts_the_rows_of_a_short_pipe() -> None:
    rows = b"".join(b"w%d 1.25 0.5\n" % at for at in range(30_000))
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        os.write(writing, rows[:60_000])  # less than a pipe holds
        os.close(writing)
        look = vecload.info(pipe)
    assert (look.rows, look.exact, look.at_least) == (len(rows[:60_000].splitlines()), True, False)
    rows *= 3
    look = vecload.info(io.BytesIO(gzip.compress(rows)))
    assert (look.exact, look.at_least) == (False, False)
    assert 60_000 < look.rows < 140_000


@pytest.mark.parametrize("end", ["", "\n", "\n\n\n", "\r\n\r\n"])
def test_info_counts_rows(tmp_path: Path, end: str) -> None:
    file = tmp_path / "v.txt"
    file.write_text("".join(f"w{at} 0.5 0.25\n" for at in range(200_000)).rstrip() + end, newline="")
    look = vecload.info(file)
    assert (look.rows, look.exact) == (200_000, True)


def test_embed(glove: Path, tmp_path: Path) -> None:
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


def test_convert(glove: Path, tmp_path: Path) -> None:
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
    assert (code, err) == (2, "vecload: name what to read and what to write: vecload convert SRC... DST\n")


def test_formats_lists_all() -> None:
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


def test_bad_data_and_bad_use_differ(glove: Path, tmp_path: Path) -> None:
    glove.write_text("cat 1 2\ndog 3 x\n")
    (tmp_path / "w.txt").write_text("dog\n")
    command = ["embed", glove, "--vocab", tmp_path / "w.txt", "-o", tmp_path / "o.safetensors"]
    code, _, err = run(*command)
    assert code == 1
    assert "line 2, byte 14: a value that is not a number: found 'x', expected 2 numbers." in err
    code, _, err = run(*command, "--oov", "lemma")
    assert code == 2
    assert "there is no step 'lemma'" in err
    assert not (tmp_path / "o.safetensors").exists()


def test_help_needs_no_numpy() -> None:
    code = (
        "import sys; from vecload.cli import main; sys.argv = ['vecload', '--help']\n"
        "try: main()\nexcept SystemExit: pass\nassert 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"Use files of pretrained word vectors" in done.stdout


def test_demo() -> None:
    pytest.importorskip("gensim")
    code, out, err = run("demo")
    assert (code, err) == (0, "")
    assert "the padding row after training: largest value 0.0" in out
    proposed = re.findall(r"^   vecload (\w+) (.*?)  ", out.partition("Next, try:")[2], re.M)
    assert [command for command, _ in proposed] == ["catalog", "neighbors", "report"]
    for command, arguments in proposed:
        options = {word for word in arguments.split() if word.startswith("-")}
        assert options <= set(re.findall(r"-+\w+", run(command, "--help")[1]))
