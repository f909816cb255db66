"""The commands `info`, `formats`, `neighbors` and `analogy`, in pipes and in terminals."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.cli.running import PROGRAM, run
from tests.terminal import run_in_terminal, without_codes
from vecload import formats
from vecload.cli.console import scores, table
from vecload.inspection import details_of

TERMINAL = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.vec"
    path.write_text("5 3\nman 1 0 0\nking 1 1 0\nwoman 0 0 1\nqueen 0 1 1\nNew\u00a0York -1 0 1\n", encoding="utf-8")
    return path


@pytest.fixture
def glove(tmp_path: Path) -> Path:
    file = tmp_path / "glove.txt"
    file.write_text("the 0.5 0.5\ncat 3 4\nParis 1 0\n")
    return file


def test_info_estimates_rows_of_a_compressed_file_with_wide_rows(tmp_path: Path) -> None:
    """A megabyte has fewer than the thousand rows that are sampled."""
    values = np.random.default_rng(0).normal(size=(900, 300)).tolist()
    lines = (f"w{at} " + " ".join(f"{value:.6f}" for value in row) for at, row in enumerate(values))
    (tmp_path / "wide.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    code, out, _ = run("info", tmp_path / "wide.gz")
    assert code == 0
    assert "(estimated)" in out
    estimate = int(out.split("\nrows")[1].split()[0].replace(",", ""))
    assert 700 < estimate < 1200


def test_info_does_not_import_numba(glove: Path) -> None:
    """Importing numba takes longer than everything else."""
    code = "import sys; from vecload.loading import info; info(sys.argv[1]); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, glove], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_info_prints_facts_of_a_file(glove: Path) -> None:
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


def test_info_of_a_stream_shows_a_lower_bound_of_rows() -> None:
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
def test_info_counts_rows_with_any_line_end(tmp_path: Path, end: str) -> None:
    file = tmp_path / "v.txt"
    file.write_text("".join(f"w{at} 0.5 0.25\n" for at in range(200_000)).rstrip() + end, newline="")
    look = vecload.info(file)
    assert (look.rows, look.exact) == (200_000, True)


def test_info_of_several_files_is_a_table(file: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.write(file, "one.txt")
        archive.write(file, "folder/two.txt")
    with tarfile.open(tmp_path / "two.tar", "w") as archive:
        archive.add(file, "x.vec")
        archive.add(file, "y.vec")
    (tmp_path / "b.vec.gz").write_bytes(gzip.compress(file.read_bytes()))
    code, shown, error = run("info", *sorted(tmp_path.iterdir()))
    assert (code, error) == (0, "")
    lines = shown.splitlines()
    assert lines[0].split() == ["file", "format", "rows", "dim", "values", "bytes", "on", "disk"]
    names = [line.split()[0].removeprefix(f"{tmp_path}/") for line in lines[1:]]
    assert names == ["a.vec", "b.vec.gz", "two.tar/x.vec", "two.tar/y.vec", "two.zip/one.txt", "two.zip/folder/two.txt"]
    assert all(line.split()[-1].replace(",", "").isdecimal() for line in lines[1:])


def test_info_of_several_files_reports_the_invalid_ones(file: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.vec").write_text("nothing\n")
    code, shown, error = run("info", file, tmp_path / "bad.vec", tmp_path / "none.vec")
    assert code == 1
    assert str(file) in shown
    assert "bad.vec" in error
    assert "none.vec: no such file" in error


def test_info_as_json_is_a_list_only_for_several_files(file: Path) -> None:
    code, shown, _ = run("info", file, "--json")
    found = json.loads(shown)
    assert (code, found["rows"], found["dim"], found["stored"]) == (0, 5, 3, file.stat().st_size)
    assert [one["source"] for one in json.loads(run("info", file, file, "--json")[1])] == [str(file)] * 2


def test_info_shows_bytes_on_disk_and_decompressed(file: Path, tmp_path: Path) -> None:
    packed = tmp_path / "a.vec.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert f"({packed.stat().st_size:,} bytes on disk, gzip" in run("info", packed)[1]
    look = vecload.info(packed)
    assert look.stored == packed.stat().st_size
    assert vecload.info(file).stored == vecload.info(file).size == file.stat().st_size


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "kv", "parquet"])
def test_info_of_arrays_shows_exact_rows(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"v.{suffix}"
    vecload.Vectors([f"w{number}" for number in range(3000)], np.ones((3000, 2), dtype="float32")).save(path)
    assert "rows         3,000\n" in run("info", path)[1]


def test_info_shows_ngrams_and_labels_of_fasttext_models() -> None:
    arguments = {"minn": 3, "maxn": 6, "bucket": 2_000_000, "model": "supervised", "loss": "softmax"}
    details = details_of(formats.History(arguments=arguments, labels=("__label__a",)), ["cat"], np.ones((1, 2)), {})
    assert details == {
        "n-grams": "minn 3, maxn 6, 2,000,000 buckets",
        "model": "supervised, softmax loss",
        "labels": "1",
    }


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_info_counts_malformed_rows(name: str, tmp_path: Path) -> None:
    # pandas takes the first row of a matrix for column names, and writes an index before the others.
    data = b"0.6\t0.3\t-1.0\n0\t0.5\t1.8\t-0.1\n1\t1.3\t1.7\t1.2\n2\t1.3\tx\t1.2\n"
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    found = vecload.info(tmp_path / name)
    assert found.details["malformed"] == "2 of the first 4 rows (too few values, a value that is not a number)"


def test_info_shows_shared_rows_and_invalid_words(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(b"cat 1 2\ncaf\xe9 1 2\ndog 3 4\n")
    shown = run("info", path)[1]
    assert "shared rows" in shown
    assert "1 of the first 3 words" in shown


def test_formats_as_json_lists_every_format() -> None:
    found = json.loads(run("formats", "--json")[1])
    assert [form["name"] for form in found] == [form.name for form in vecload.formats.all_formats()]  # type: ignore[attr-defined]


def test_neighbors_reports_missing_words_and_answers_the_others(file: Path) -> None:
    code, shown, error = run("neighbors", file, "king", "King", "zyz", "queen", "-k", "1")
    assert code == 1
    assert [line.partition(":")[0] for line in shown.splitlines()] == ["king", "queen"]
    assert "'King'" in error
    assert "'king'" in error.splitlines()[0]
    assert "'zyz'" in error


def test_neighbors_as_json_has_null_for_missing_words(file: Path) -> None:
    code, shown, _ = run("neighbors", file, "king", "zyz", "-k", "2", "--json")
    found = json.loads(shown)
    expected = vecload.load(file).neighbors("king", 2)
    assert code == 1
    assert found["zyz"] is None
    assert [(one["word"], pytest.approx(one["score"])) for one in found["king"]] == expected


def test_neighbors_reads_words_from_a_pipe(file: Path) -> None:
    code, shown, error = run("neighbors", file, "-k", "1", stdin="king\n\nNew\u00a0York\n".encode())
    assert (code, error) == (0, "")
    assert [line.partition(":")[0] for line in shown.splitlines()] == ["king", "New\u00a0York"]


def test_neighbors_refuses_standard_input_for_vectors_and_words() -> None:
    code, _, error = run("neighbors", "-")
    assert code == 2
    assert "standard input cannot be both" in error


def test_analogy_matches_the_library(file: Path) -> None:
    code, shown, _ = run("analogy", file, "man", "king", "woman", "-k", "1")
    assert (code, shown) == (0, "man : king :: woman: queen 0.9586\n")
    code, shown, _ = run("analogy", file, "man", "king", "woman", "-k", "2", "--json", "--method", "3cosmul")
    expected = vecload.load(file).analogy("man", "king", "woman", 2, method="3cosmul")
    assert [(one["word"], pytest.approx(one["score"])) for one in json.loads(shown)] == expected


def test_analogy_refuses_other_numbers_of_words(file: Path) -> None:
    code, _, error = run("analogy", file, "man", "king")
    assert (code, error) == (2, "vecload: an analogy needs three words, A B C: found 2\n")


@TERMINAL
def test_neighbors_shows_bars_in_a_terminal(file: Path) -> None:
    code, shown = run_in_terminal([*PROGRAM, "neighbors", file, "king", "-k", "2"])
    assert code == 0
    assert "█" in shown
    assert "0.7071" in shown


@TERMINAL
@pytest.mark.parametrize("command", [["neighbors", "king"], ["analogy", "man", "king", "woman"]])
def test_scores_fit_a_terminal_of_40_columns(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.vec"
    words = ["man", "king", "woman", "queen", "x" * 60, "日本語" * 12]
    rows = np.random.default_rng(0).normal(size=(len(words), 3))
    vecload.Vectors(words, rows.astype("float32")).save(path, "glove")
    code, shown = run_in_terminal([*PROGRAM, command[0], path, *command[1:]], columns=40, COLUMNS="40")
    from rich.cells import cell_len

    assert code == 0
    assert max(map(cell_len, without_codes(shown).splitlines())) <= 40


@TERMINAL
def test_prompt_keeps_the_vectors_and_ends_at_an_empty_line(file: Path) -> None:
    code, shown = run_in_terminal([*PROGRAM, "neighbors", file, "-k", "1"], typed="king\nzyz\nman woman\n\n")
    shown = without_codes(shown)
    assert code == 0
    assert "5 words of 3 dimensions" in shown
    assert "0.7071" in shown
    assert "'zyz'" in shown
    assert shown.index("zyz") < shown.rindex("woman")


def test_scores_align_wide_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 20)))
    assert scores([("猫", 0.5), ("cat", -1.0)], largest=1).splitlines() == [
        "  猫    0.5000  " + "█" * 20,
        "  cat  -1.0000",
    ]
    assert scores([]) == ""


def test_table_aligns_columns() -> None:
    assert table([["a", "b"], ["long", "10"]], right=[1]) == "a      b\nlong  10"
