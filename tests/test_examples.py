"""The output of the examples agrees with docs/examples.md, and the tour with its own page."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecload

ROOT = Path(__file__).parent.parent
CELLS = re.compile(r"^```python\n(.*?)^```\n(?:\n```\n(.*?)^```\n)?", re.M | re.S)


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "examples" / f"{name}.py"))


def run(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    example(name)["main"]()


def shown(name: str) -> str:
    """Return the output that docs/examples.md shows for an example."""
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    found = re.search(rf"^\$ python examples/{name}\.py\n(.*?)^```", page, re.M | re.S)
    assert found is not None
    return found[1]


def without_fractions(text: str) -> str:
    """Replace fractions: scores and times differ between machines."""
    return re.sub(r"\d+\.\d+", "#", text)


def test_unseen_words_have_neighbors(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gensim")
    run("unseen_words", monkeypatch)
    out = capsys.readouterr().out
    said, page = out.splitlines(), shown("unseen_words").splitlines()
    heads = [(line, other) for line, other in zip(said, page, strict=True) if not line.startswith("    near")]
    assert all(line == other for line, other in heads)  # n-grams are equal on every machine, scores only nearly
    nearest = dict(zip(re.findall(r"^  (\w+):", out, re.M), re.findall(r"near (\S+)", out), strict=True))
    assert nearest["goverment"] == "government"
    assert nearest["terrrorist"] == "terrorist"
    assert nearest["policewoman"] in ("policeman", "policemen", "police")
    assert nearest["新大阪駅"] == "大阪駅"


def test_unseen_words_without_ngrams_exit_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v.txt").write_text("cat 1 2\n")
    with pytest.raises(SystemExit, match=r"has no n-grams; use a fastText \.bin file"):
        run("unseen_words", monkeypatch, str(tmp_path / "v.txt"), "cat")


def test_gene_vectors_prints_its_page(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run("gene_vectors", monkeypatch)
    assert capsys.readouterr().out == shown("gene_vectors")


def test_gene_vectors_aligns_as_plain_numpy_does(tmp_path: Path) -> None:
    module = example("gene_vectors")
    vectors, old = module["make_vectors"](), module["OLD_SYMBOLS"]
    index = ["<pad>", "OLD30", "GENE7", "OLD0", "GENE199"]
    answer = np.zeros((len(index), vectors.dim), dtype=np.float32)
    for row, gene in enumerate(index[1:], start=1):
        answer[row] = vectors.matrix[module["GENES"].index(old.get(gene, gene))]
    vocab = vecload.Vocab.from_words(index, pad_token="<pad>")
    aligned = vecload.align(vectors, vocab, oov=[vecload.oov.aliases(old), "zeros"])
    np.testing.assert_array_equal(aligned.matrix, answer)
    np.testing.assert_array_equal(aligned.embedding().weight.detach().numpy(), answer)


def test_search_texts_finds_the_topics(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gensim")
    run("search_texts", monkeypatch)
    out = capsys.readouterr().out
    assert out.splitlines()[0] == shown("search_texts").splitlines()[0]
    fires, cricket, leaders = re.split(r"^(?=\S)", out, flags=re.M)[2:]
    assert len(re.findall(r"^  0\.\d\d  \d{3}\.txt  ", fires, re.M)) == 3
    assert "firefighters" in fires
    assert "cricket" in cricket
    assert "Israeli" in leaders


def test_search_texts_with_real_vectors_finds_the_topics(
    real_glove: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gensim")
    example("search_texts")["fill"](tmp_path, tmp_path / "small.vec")
    run("search_texts", monkeypatch, str(tmp_path), str(real_glove), "a plane crashed", "tennis final")
    _, planes, tennis = re.split(r"^(?=\S)", capsys.readouterr().out, flags=re.M)[1:]
    assert re.search("crash|plane|aircraft|airport", planes)
    assert re.search("Cup|Hewitt|tennis|Open|final", tennis)


def test_share_vectors_keeps_one_copy(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    run("share_vectors", monkeypatch)
    out = capsys.readouterr().out
    assert without_fractions(out).splitlines()[:3] == without_fractions(shown("share_vectors")).splitlines()[:3]
    matrix, own = (int(number) for number in re.findall(r"(\d+) MB", out))
    assert matrix == 20
    assert own < matrix / 2


def test_translate_words_is_mostly_right(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gensim")
    run("translate_words", monkeypatch)
    out = capsys.readouterr().out
    assert without_fractions(out).splitlines()[0] == shown("translate_words").splitlines()[0]
    right = re.search(r"^(\d+) of 18 right$", out, re.M)
    assert right is not None
    assert int(right[1]) >= 12


def test_translate_words_reads_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gensim")
    rows = np.random.default_rng(0).normal(size=(30, 4))
    for name in "ab":
        lines = [f"{name}{at} " + " ".join(map(str, row)) for at, row in enumerate(rows.tolist())]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    (tmp_path / "dictionary").write_text("".join(f"a{at} b{at}\n" for at in range(20)))
    run("translate_words", monkeypatch, *(str(tmp_path / name) for name in ("a", "b", "dictionary")), "a25")
    assert re.search(r"^  a25 +b25 1.00", capsys.readouterr().out, re.M)


def test_translate_sentences_learns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gensim")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    main = example("translate_sentences")["main"]
    monkeypatch.setitem(main.__globals__, "STEPS", 120)
    main()
    random, pretrained = capsys.readouterr().out.split("pretrained rows")
    shares = [
        [int(share) for share in re.findall(r"^  step +\d+ +(\d+)%", part, re.M)] for part in (random, pretrained)
    ]
    assert [len(some) for some in shares] == [5, 5]
    assert shares[0][0] == shares[1][0] == 0
    assert shares[1][-1] >= 15


def test_answer_questions_learns_to_answer(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gensim")
    main = example("answer_questions")["main"]
    monkeypatch.setitem(main.__globals__, "STEPS", 150)
    monkeypatch.setattr(sys, "argv", ["answer_questions.py"])
    main()
    out = capsys.readouterr().out
    assert "the nearest one is the right one for 100% of 270 questions" in out
    answered = [int(share) for share in re.findall(r"^step +\d+: (\d+)% of the questions", out, re.M)]
    assert answered[0] < 25
    assert answered[-1] > 50
    assert out.count("?\n") == 3


def test_new_language_learns_faster_than_a_new_model(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    run("new_language", monkeypatch)
    out = capsys.readouterr().out
    assert without_fractions(out) == without_fractions(shown("new_language"))
    after = [float(loss) for loss in re.findall(r"after 60 steps (\d\.\d+)", out)]
    assert len(after) == 4
    assert max(after[1:]) < after[0]


@pytest.mark.parametrize("real", [False, True], ids=["small", "real"])
def test_tour_prints_its_page(
    real: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    page = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    file = tmp_path / "glove.6B.50d.txt"
    if real:
        file.symlink_to(request.getfixturevalue("real_glove").resolve())
    else:
        rng = np.random.default_rng(0)
        words = sorted({word for word in re.findall(r"\w+", page.lower()) if word != "blorptastic"})
        rows = [f"{word} " + " ".join(f"{value:.5f}" for value in rng.normal(size=50)) for word in words]
        file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    cells = CELLS.findall(page)
    assert len(cells) >= 8
    kept: dict[str, Any] = {}
    for code, expected in cells:
        exec(compile(code, "cell", "exec"), kept)
        out = capsys.readouterr().out
        assert bool(out) == bool(expected)
        if real:
            assert out == expected
