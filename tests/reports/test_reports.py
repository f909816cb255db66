"""Reports: content of the page, without network access, and its display in a notebook."""

from __future__ import annotations

import base64
import json
import re
import sys
import zlib
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecload
from vecload import Vectors, Vocab
from vecload.errors import OptionError
from vecload.reports import report
from vecload.reports.labels import label_order
from vecload.reports.layouts import place
from vecload.reports.page import html

pytest.importorskip("bokeh")

HOSTILE = [
    "</script><b>",
    "$x$",
    "a&b",
    "caf\udcff",
    'say "hi"',
    "<!--",
    "{{data}}",
    "nul\0here",
    "a,b\n",
    "עברית",
    "日本語",
]


def space(count: int = 120, dim: int = 8, seed: int = 0) -> Vectors:
    words = [*HOSTILE, *(f"word{at}" for at in range(count - len(HOSTILE)))]
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return Vectors(words, rows, {"source": "folder/<made>.txt", "format": "GloVe text"})


def aligned() -> vecload.Aligned:
    counts = {f"word{at}": 200 - at for at in range(90)} | {"Word3": 50, "nowhere": 77, "absent": 3}
    return vecload.align(space(), Vocab.from_counter(counts, specials=["<pad>"]), oov=["casefold", "normal"])


def data_of(page: str) -> dict[str, Any]:
    """Return the data that a page holds, with its arrays as NumPy arrays."""
    found = re.search(r'id="data">(.*?)</script>', page)
    assert found is not None
    kinds = {
        "Uint8Array": "u1",
        "Uint16Array": "<u2",
        "Uint32Array": "<u4",
        "Float32Array": "<f4",
        "Float64Array": "<f8",
    }

    def unpacked(value: dict[str, Any]) -> Any:
        if set(value) != {"type", "data"}:
            return value
        return np.frombuffer(base64.b64decode(value["data"]), dtype=kinds[value["type"]])

    return json.loads(zlib.decompress(base64.b64decode(found[1])), object_hook=unpacked)


def neighbors_of(data: dict[str, Any], word: str, kind: str = "near") -> list[tuple[str, np.float32]]:
    near = data[kind]
    some = slice(data["words"].index(word) * near["k"], (data["words"].index(word) + 1) * near["k"])
    none = np.iinfo(near["rows"].dtype).max
    pairs = zip(near["rows"][some].tolist(), near["cosines"][some], strict=True)
    return [(data["words"][row], cosine) for row, cosine in pairs if row != none]


SUBJECTS = {"vectors": space, "aligned": aligned, "spaces": lambda: (space(), space(seed=1))}


def test_page_of_vectors_has_exact_neighbors_of_every_word(tmp_path: Path) -> None:
    vectors = space()
    found = report(vectors, tmp_path / "page.html", limit=50)
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == found.html
    data = data_of(found.html)
    assert (data["mapped"], data["carried"]) == (50, 120)
    assert data["words"][3] == "caf\\xff"
    assert len(data["x"]) == len(data["y"]) == len(data["order"]) == 50
    for word in vectors:
        expected = [
            (other.replace("\udcff", "\\xff"), np.float32(cosine)) for other, cosine in vectors.neighbors(word, 10)
        ]
        assert neighbors_of(data, word.replace("\udcff", "\\xff")) == expected


def test_neighbors_are_found_among_rows_that_are_not_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecload.reports.points.SEARCHABLE", 30)
    vectors = space()
    data = data_of(report(vectors, limit=20).html)
    assert (data["mapped"], data["carried"]) == (20, 30)
    assert len(data["rank"]) == 30 < len(data["words"])
    found = [neighbors_of(data, f"word{at}") for at in range(15)]
    assert found == [
        [(w.replace("\udcff", "\\xff"), np.float32(c)) for w, c in vectors.neighbors(f"word{at}", 10)]
        for at in range(15)
    ]
    assert any(data["words"].index(word) >= 30 for near in found for word, _ in near)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_page_requests_nothing_and_shows_markup_in_words_as_text(subject: str) -> None:
    page = report(SUBJECTS[subject]()).html
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"https?://|<img|<iframe|\ssrc=|@import|url\(|<b>", own)
    assert re.findall(r'<link[^>]*href="([^"]*)"', own) == ["data:,"]
    assert "default-src 'none'" in own
    assert page.count("<script") - page.count("\\x3cscript") == page.count("</script>")
    assert len(page.encode()) < 2_000_000


def test_page_of_ten_thousand_words_has_at_most_six_megabytes() -> None:
    rng = np.random.default_rng(0)
    words = [f"{rng.integers(36**6):x}{at}" for at in range(30_000)]
    vectors = Vectors(words, rng.normal(size=(30_000, 16)).astype(np.float32))
    page = report(vectors).html
    data = data_of(page)
    assert data["mapped"] == data["carried"] == 10_000
    assert len(data["near"]["rows"]) == 100_000
    assert len(page.encode()) <= 6_000_000
    other = Vectors([f"{word}x" for word in words], vectors.matrix)
    assert len(report((vectors, other), pairs=None).html.encode()) <= 6_500_000


def test_page_of_alignment_shows_coverage_origins_and_missing_words() -> None:
    given = aligned()
    found = report(given, vocab_name="words.txt")
    assert found.title == "words.txt in <made>.txt"
    assert "<h1><bdi>words.txt in &lt;made&gt;.txt</bdi></h1>" in found.html
    data = data_of(found.html)
    assert set(data["words"]) == set(given.vocab.words) - {"<pad>"}
    assert data["groups"] == ["exact", "casefold", "normal"]
    for at, word in enumerate(data["words"]):
        assert data["groups"][data["group"][at]] == given.origin_of(word)
        assert data["count"][at] == given.vocab.counts[given.vocab[word]]
    text = unescape(re.sub(r"<[^>]+>", " ", found.html[: found.html.index('id="data"')]))
    for count in given.coverage.counts:
        assert re.search(rf"{count.origin}\s+{count.types:,} ", text)
    assert f"{given.coverage.found:.1%}" in text
    assert re.search(r"nowhere\s+77\s+", text)
    assert '<span class="swatch g1"></span>casefold' in found.html


def text_of(page: str, panel: str) -> str:
    """Return the text of a panel."""
    content = page.split(f'<section role="tabpanel" id="panel-{panel}"')[1].split("</section>")[0].partition(">")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", content)).split())


def test_report_shows_the_reason_of_missing_words() -> None:
    vectors = Vectors(["the", "cat", "dog"], np.eye(3, dtype=np.float32))
    given = vecload.align(vectors, ["the", "The", "cat,", "zyzzyx"], oov=["normal"])
    text = text_of(report(given).html, "missing")
    assert given.coverage.explanation is not None
    assert text.startswith(f"3 words are not found. {given.coverage.explanation.headline}.")
    assert "The 'The' is in the vectors as 'the' (case) normal" in text
    assert "cat, 'cat,' is in the vectors as 'cat' (punctuation) normal" in text
    assert "zyzzyx not found under another spelling normal" in text
    assert text_of(report(vecload.align(vectors, ["the", "cat"])).html, "missing") == "All words are found."


def test_report_shows_evaluation(tmp_path: Path) -> None:
    vectors = space()
    (tmp_path / "judged.tsv").write_text("".join(f"word{at}\tword{at + 1}\t{at}\n" for at in range(20)))
    found = vecload.evaluate(vectors, [tmp_path / "judged.tsv"])
    text = text_of(report(vectors, evaluation=found).html, "evaluation")
    assert f"judged {found.similarities[0].spearman:.4g}" in text


def test_padding_and_special_rows_are_never_neighbors() -> None:
    vectors = Vectors([f"w{at}" for at in range(8)] + ["<unk>"], np.ones((9, 3), dtype=np.float32))
    given = vecload.align(
        vectors, Vocab.from_words([f"w{at}" for at in range(8)], unk_token="<unk>", pad_token="<pad>")
    )
    data = data_of(report(given).html)
    assert {word for at in range(8) for word, _ in neighbors_of(data, f"w{at}")} == {f"w{at}" for at in range(8)}


def test_page_of_two_spaces_has_translations_and_worst_pairs() -> None:
    first = space()
    second = Vectors([f"{word}2" for word in first], first.matrix + np.float32(0.01))
    swapped_rows = second.matrix.copy()
    swapped_rows[[40, 41]] = swapped_rows[[41, 40]]
    second = Vectors(second.words, swapped_rows)
    pairs = [(f"word{at}", f"word{at}2") for at in range(60)]
    page = report((first, second), pairs=pairs, limit=40).html
    data = data_of(page)
    assert data["mapped"] == 40
    assert data["sources"] == ["<made>.txt", "word vectors"]
    assert neighbors_of(data, "word5", "across")[0][0] == "word52"
    assert neighbors_of(data, "word52", "across")[0][0] == "word5"
    assert neighbors_of(data, "word5")[0][0] == first.neighbors("word5", 1)[0][0]
    worst = re.findall(r'data-word="([^"]+)" data-source="0"', page)
    swapped = {first.words[40], first.words[41]}
    assert set(worst[:2]) == swapped
    with pytest.raises(OptionError, match="have 8 and 3 dimensions"):
        report((first, space(dim=3)))


def test_report_shows_no_neighbors_of_zeros_and_nan() -> None:
    rows = np.zeros((5, 1), dtype=np.float32)
    rows[1] = np.nan
    rows[2:] = 1
    page = report(Vectors(list("abcde"), rows)).html
    data = data_of(page)
    assert neighbors_of(data, "a") == neighbors_of(data, "b") == []
    assert np.isfinite(data["x"]).all()
    assert re.search(r"rows with NaN or infinity</bdi></th><td class=.number.>1<", page)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_report_accepts_every_type_of_rows(dtype: str) -> None:
    import ml_dtypes

    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    vectors = Vectors(space().words, space().matrix.astype(kind))
    assert len(neighbors_of(data_of(report(vectors).html), "word3")) == 10


def test_report_of_empty_vectors_makes_a_page() -> None:
    assert data_of(report(Vectors([], np.zeros((0, 3), dtype=np.float32))).html)["mapped"] == 0


def test_report_is_a_sandboxed_frame_in_notebooks(tmp_path: Path) -> None:
    found = report(space(), title='A "title"')
    frame = found._repr_html_()
    assert frame.startswith("<iframe ")
    assert re.findall(r'(\w+)="', frame.split("srcdoc")[0]) == ["title"]
    srcdoc = re.search(r'srcdoc="([^"]*)"', frame)
    assert srcdoc is not None
    assert unescape(srcdoc[1]) == found.html
    assert 'sandbox="allow-scripts allow-downloads"' in frame
    found.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == found.html
    with pytest.raises(OptionError, match=r"does not end in \.html or \.htm"):
        found.save(tmp_path / "page.pdf")


@pytest.mark.parametrize("layout", ["umap", "tsne"])
def test_umap_and_tsne_give_the_same_points_for_the_same_seed(layout: Any) -> None:
    pytest.importorskip({"umap": "umap", "tsne": "sklearn"}[layout])
    rows = space(40).matrix
    first = place(rows, layout, 3)
    assert first.shape == (40, 2)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, place(rows, layout, 3))
    assert not np.array_equal(first, place(rows, layout, 4))
    assert place(rows[:3], layout).shape == (3, 2)


@pytest.mark.parametrize(("count", "dim"), [(40, 6), (6, 40), (5, 1), (1, 4), (0, 3)])
def test_pca_finds_the_axes_of_greatest_variance(count: int, dim: int) -> None:
    rows = np.random.default_rng(1).normal(size=(count, dim)).astype(np.float32)
    points = place(rows)
    assert points.shape == (count, 2)
    if count > 1:
        values = np.linalg.svd((rows - rows.mean(axis=0)).astype(np.float64), compute_uv=False)
        expected = np.resize(np.append(values, [0, 0])[:2], 2)
        np.testing.assert_allclose(np.linalg.norm(points, axis=0), expected, atol=1e-3)


def test_labels_go_to_specific_words_before_stop_words_and_punctuation() -> None:
    rng = np.random.default_rng(0)
    topics = rng.normal(size=(20, 30)) * 3
    specific = np.repeat(topics, 12, axis=0) + rng.normal(size=(240, 30))
    general = topics.mean(axis=0) + rng.normal(size=(10, 30)) * 0.6 + 0.5
    rows = np.concatenate([general, specific]) + 0.3
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    words = [*(f"the{'x' * at}" for at in range(8)), ",", "12", *(f"topic{chr(97 + at % 26)}{at}" for at in range(240))]
    near = np.sort(rows @ rows.T - 2 * np.eye(250), axis=1)[:, -10:]
    order = label_order(words, np.arange(250) + 1, rows, near)
    assert sorted(order.tolist()) == list(range(250))
    assert set(order[-2:].tolist()) == {8, 9}
    assert set(order[:20].tolist()) & set(range(8)) == set()


def test_html_keeps_template_marks_in_the_data() -> None:
    page = html("{{script}} {{data}}", [], {}, made_by="{{style}}")
    assert "<title>{{script}} {{data}}</title>" in page
    assert "<footer>{{style}}</footer>" in page


def test_report_with_invalid_layout_or_limit_raises_before_writing(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="layout='circle' is not one of 'pca', 'umap', 'tsne'"):
        report(space(), tmp_path / "page.html", layout="circle")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="limit=0 leaves nothing to show"):
        report(space(), tmp_path / "page.html", limit=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("package", "layout", "extra"),
    [("bokeh", "pca", "report"), ("umap", "umap", "umap"), ("sklearn", "tsne", "sklearn")],
)
def test_missing_package_is_reported_with_its_extra(
    package: str, layout: Any, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(vecload.errors.MissingDependencyError, match=rf"vecload\[{extra}\]"):
        report(space(), tmp_path / "page.html", layout=layout)
    assert list(tmp_path.iterdir()) == []


def test_files_of_the_page_are_used_and_below_400_lines() -> None:
    from vecload.reports import page

    folder = Path(page.__file__).parent
    own = {
        path.name: path.read_text(encoding="utf-8")
        for path in folder.iterdir()
        if path.suffix in (".js", ".css", ".html")
    }
    assert set(own) == {*page.SCRIPTS, "explorer.css", "explorer.html"}
    assert {name: text.count("\n") for name, text in own.items() if text.count("\n") >= 400} == {}


def test_readme_shows_a_small_picture_of_the_page() -> None:
    root = Path(vecload.__file__).parent.parent
    picture = root / "docs" / "explorer.png"
    if not picture.exists():
        pytest.skip("not a checkout")
    assert "(docs/explorer.png)" in (root / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    assert picture.stat().st_size < 300_000
