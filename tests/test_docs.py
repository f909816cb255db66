"""Every Python snippet of the documentation runs, with small files in place of real ones."""

from __future__ import annotations

import re
import runpy
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vecload

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "docs" / "tour.md"  # its cells share variables: see test_examples.py
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(set((ROOT / "docs").glob("*.md")) - {TOUR}),
]
SNIPPETS = [
    pytest.param(code, id=f"{page.name}-{at}")
    for page in PAGES
    for at, code in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S))
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    words = "the , . of cat dog sat on mat in paris 0000 a b c".split()
    rows = (f"{word} " + " ".join(f"{value:.5f}" for value in rng.normal(size=50)) for word in words)
    text = "\n".join(rows) + "\n"
    (tmp_path / "glove.6B.50d.txt").write_text(text)
    with zipfile.ZipFile(tmp_path / "glove.6B.zip", "w") as archive:
        archive.writestr("glove.6B.50d.txt", text)
        archive.writestr("glove.6B.100d.txt", text)
    vectors = vecload.load(tmp_path / "glove.6B.50d.txt")
    rows = rng.normal(size=(1000, 50)).astype("float32")
    table = vecload.NgramTable(rows, minn=3, maxn=6)
    vecload.Vectors(vectors.words, vectors.matrix, ngrams=table).save(tmp_path / "model.bin", format="fasttext")
    table = vecload.NgramTable(rows, minn=4, maxn=5, kind="floret", hash_count=2)
    vecload.Vectors(vectors.words[:0], vectors.matrix[:0], ngrams=table).save(tmp_path / "table.floret")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("code", SNIPPETS)
def test_snippet_runs(code: str, folder: Path, request: pytest.FixtureRequest) -> None:
    if ".hub." in code:
        request.getfixturevalue("signed_in")
    exec(compile(code, "snippet", "exec"), {"__name__": "snippet"})


def test_snippets_are_found() -> None:
    assert len(SNIPPETS) >= 8


@pytest.mark.parametrize("page", [*PAGES, TOUR, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_targets_of_links_exist(page: Path) -> None:
    """Check that linked files and headings exist."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, heading = target.partition("#")
        if "://" in name:
            continue
        file = (page.parent / name).resolve() if name else page
        assert file.is_relative_to(ROOT.resolve()), target
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M)
            assert heading in {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}, target


def test_readme_links_every_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in readme]


@pytest.mark.parametrize("name", ["glossary.md", "glossary.ja.md"])
def test_glossary_explains_every_option_of_the_layer(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    options = {option for option in torch.nn.Embedding.__constants__ if not option.startswith("_")}
    assert {option for option in options if not re.search(rf"^### .*\b{option}\b", text, re.M)} == set()
    terms = re.split(r"^### ", text, flags=re.M)[1:]
    assert len(terms) == 25
    for term in terms:
        assert "```python" in term
        assert "**Pitfall:**" in term or "**落とし穴:**" in term


def test_readme_shows_what_it_prints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"^```python\n(.*?)^```", readme, re.M | re.S)
    shown = re.search(r"^```\n(origin.*?)^```", readme, re.M | re.S)
    assert code is not None
    assert shown is not None
    exec(compile(code[1], "snippet", "exec"), {"__name__": "snippet"})
    assert capsys.readouterr().out == shown[1]


def test_aligning_page_shows_the_explanation_it_prints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "aligning.md").read_text(encoding="utf-8")
    section = page[page.index("## Why is my coverage low?") :]
    code = re.search(r"^```python\n(.*?)^```", section, re.M | re.S)
    shown = re.search(r"^```\n(\d.*?)^```", section, re.M | re.S)
    assert code is not None
    assert shown is not None
    exec(compile(code[1], "snippet", "exec"), {"__name__": "snippet"})
    assert capsys.readouterr().out == shown[1] + "'Cat' is in the vectors as 'cat' (case)\n"


def example(name: str) -> dict[str, Any]:
    pytest.importorskip("gensim")
    return runpy.run_path(str(ROOT / "examples" / f"{name}.py"))


def test_classifier_prints_accuracies(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    main = example("text_classification")["main"]
    monkeypatch.setitem(main.__globals__, "SPLITS", 1)
    monkeypatch.setitem(main.__globals__, "STEPS", 3)
    monkeypatch.setattr(sys, "argv", ["text_classification.py"])
    main()
    out = capsys.readouterr().out
    assert "196 posts, 788 paragraphs" in out
    rows = re.findall(r"^(\S.*?)  +([\d,]+) +([\d.]+)% ± 0.0 +[01] of 1$", out, re.M)
    names = ["random rows, finetune", "freeze", "new-rows", "rows=frequent", "finetune"]
    assert [name for name, _, _ in rows] == names
    trained = {name: int(count.replace(",", "")) for name, count, _ in rows}
    assert 0 == trained["freeze"] < trained["new-rows"] < trained["finetune"] == trained["random rows, finetune"]
    assert 0 < trained["rows=frequent"] < trained["finetune"]
    assert all(30 < float(accuracy) < 100 for _, _, accuracy in rows)


def test_one_hot_example_prints_matrices_and_gradients(capsys: pytest.CaptureFixture[str]) -> None:
    example("one_hot_and_embedding")["main"]()
    out = capsys.readouterr().out
    assert "one-hot @ weight = layer(ids)  (3, 3)  [[4, 5, 6], [1, 2, 3], [0, 0, 0]]" in out
    assert "padding 0:   [[0, 0, 0], [1, 1, 1], [1, 1, 1], [0, 0, 0]]" in out


def test_tagger_learns_counted_nouns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    main = example("sequence_tagger")["main"]
    monkeypatch.setitem(main.__globals__, "STEPS", 15)
    main()
    out = capsys.readouterr().out
    assert out.count("rows trained: ['six']") == 2
    assert all(float(share) > 65 for share in re.findall(r"([\d.]+)% of the tags right", out))
    assert all(float(apart) < 1e-5 for apart in re.findall(r"differ by (\S+)", out))
