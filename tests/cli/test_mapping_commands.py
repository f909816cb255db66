"""`vecload map` and `vecload report`, as a user runs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.cli.running import run
from vecload import Vectors, Words


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write two files of the same rows, one of them rotated, and a dictionary."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 6)).astype(np.float32)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0].astype(np.float32)
    order = rng.permutation(300)
    Vectors(Words.from_strings(f"w{at}" for at in range(300)), rows).save(tmp_path / "a.vec")
    Vectors(Words.from_strings(f"v{at}" for at in order), (rows @ turn)[order]).save(tmp_path / "b.safetensors")
    (tmp_path / "ab.txt").write_text("".join(f"w{at} v{at}\n" for at in range(100)))
    return tmp_path


def test_map_writes_vectors_map_and_report(folder: Path) -> None:
    pytest.importorskip("bokeh")
    outputs = "-o", folder / "mapped.safetensors", "--target-output", folder / "goal.vec"
    options = "--dictionary", folder / "ab.txt", "--test", "0.3", "--report", "--map-output", folder / "map.safetensors"
    code, out, err = run("map", folder / "a.vec", folder / "b.safetensors", *options, *outputs)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "<SpaceMap: 6 → 6, procrustes from 70 pairs>",
        f"{folder / 'mapped.safetensors'}: 300 x 6",
        "held out, nn: P@1 100.0%, P@5 100.0%, P@10 100.0% (30 of 30 words)",
        "held out, csls: P@1 100.0%, P@5 100.0%, P@10 100.0% (30 of 30 words)",
        f"{folder / 'mapped.html'}",
    ]
    mapped, goal = vecload.load(folder / "mapped.safetensors"), vecload.load(folder / "goal.vec")
    np.testing.assert_allclose(mapped["w7"], goal["v7"], atol=1e-5)
    assert vecload.SpaceMap.load(folder / "map.safetensors").info["pairs"] == 70


def test_report_of_an_unsupervised_map_has_no_pairs(folder: Path) -> None:
    pytest.importorskip("bokeh")
    options = "-d", "unsupervised", "--method", "refine", "--limit", "300", "--report"
    code, out, err = run("map", folder / "a.vec", folder / "b.safetensors", *options, "-o", folder / "m.safetensors")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"{folder / 'm.html'}"
    assert "cosine of a pair" not in (folder / "m.html").read_text(encoding="utf-8")


def test_map_by_pairs_reads_only_rows_of_their_words(folder: Path) -> None:
    """Malformed rows of other words do not matter."""
    (folder / "broken.vec").write_text((folder / "a.vec").read_text().replace("w250 ", "w250 nan "))
    options = "-d", folder / "ab.txt", "--method", "least-squares", "--normalize", "none"
    code, out, err = run("map", folder / "a.vec", folder / "b.safetensors", *options, "-o", folder / "m.safetensors")
    assert (code, err) == (0, "")
    assert "least-squares from 100 pairs" in out


def test_report_writes_a_page_for_each_subject(folder: Path) -> None:
    pytest.importorskip("bokeh")
    (folder / "words.txt").write_text("w1\nW2\nnone\n")
    for name, options in {
        "file.html": [],
        "words.html": ["--vocab", folder / "words.txt"],
        "both.html": ["--against", folder / "b.safetensors", "-d", folder / "ab.txt"],
    }.items():
        code, out, err = run("report", folder / "a.vec", "-o", folder / name, *options)
        assert (code, out, err) == (0, f"{folder / name}\n", "")
        assert (folder / name).read_text(encoding="utf-8").startswith("<!doctype html>")
    (folder / "words.txt").write_text("w1\nW2\nnone\n")
    code, out, err = run(
        "report", folder / "a.vec", "-o", folder / "case.html", "--vocab", folder / "words.txt", "--oov", "normal"
    )
    assert (code, err) == (0, "")
    assert out.startswith("1 of 2 words not found ")
    assert "under another spelling: case 1; use oov=" in out
    assert "words.txt in a.vec" in (folder / "words.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["map", "a.vec", "b.safetensors", "-o", "m.vec", "--test", "0.2"], "only a part of a dictionary file"),
        (["map", "a.vec", "b.safetensors", "-o", "m.vec"], "no words in common"),
        (["map", "a.vec", "b.safetensors", "-o", "m.vec", "--method", "magic"], "method='magic' is not one of"),
        (["report", "a.vec", "-o", "p.html", "--vocab", "ab.txt", "--evaluate"], "leave out --against and --evaluate"),
    ],
)
def test_wrong_use_exits_with_code_2(
    arguments: list[str], problem: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert problem in err
    assert not (folder / "m.vec").exists()
