"""The report: what it shows, that it needs no network, and how a real browser lays it out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import numpy as np
import pytest

import vecload
from vecload import OptionError, Vectors, Vocab, Words
from vecload.reports import report

pytest.importorskip("matplotlib")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
).split()


def space(count: int = 120, dim: int = 8, seed: int = 0) -> Vectors:
    words = ["</script><b>", "$x$", "a&b", "caf\udcff", *(f"word{at}" for at in range(count - 4))]
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return Vectors(Words.from_strings(words), rows, {"source": "<made>.txt", "format": "GloVe text"})


def aligned() -> vecload.Aligned:
    counts = {f"word{at}": 200 - at for at in range(90)} | {"Word3": 50, "nowhere": 77, "absent": 3}
    return vecload.align(space(), Vocab.from_counter(counts, specials=["<pad>"]), oov=["casefold", "normal"])


def neighbors_in(page: str) -> list:
    found = re.search(r'id="neighbors">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


def test_a_file(tmp_path: Path) -> None:
    vectors = space()
    report(vectors, tmp_path / "page.html", limit=50, pictures=tmp_path / "png")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in (tmp_path / "png").iterdir()) == ["norms.png", "plane.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "png").iterdir())
    assert "<h1>&lt;made&gt;.txt</h1>" in page
    shown = neighbors_in(page)
    assert len(shown) == 50 == len(re.findall(r"<use ", page.split('id="plane-points-0"')[1].split("</g>")[0]))
    for word, near in shown[4:10]:
        expected = [other for other, _ in vectors.neighbors(word, 8)]
        assert [other for other, _ in near] == [other.replace("\udcff", "\\xff") for other in expected]
    assert shown[3][0] == "caf\\xff"


@pytest.mark.parametrize("subject", ["vectors", "aligned", "spaces"])
def test_nothing_is_fetched(subject: str, tmp_path: Path) -> None:
    given = {"vectors": space(), "aligned": aligned(), "spaces": (space(), space(seed=1))}[subject]
    report(given, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for address in re.findall(r"https?://[^\"'<> ]*", page):
        assert address.startswith("http://www.w3.org/"), address  # names of XML vocabularies
    assert not re.findall(r"<(?:link|img|iframe)|\ssrc=|@import|url\((?!#)", page)
    assert page.count("<script") == 2  # no word opened or ended one
    assert (tmp_path / "page.html").stat().st_size < 1_500_000


def test_an_alignment(tmp_path: Path) -> None:
    given = aligned()
    report(given, tmp_path / "page.html", title="My words")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h1>My words</h1>" in page
    for count in given.coverage.counts:
        assert f"<td>{count.origin}</td><td class=number>{count.types}</td>" in page
    assert "<td>nowhere</td><td class=number>77</td>" in page
    assert {word for word, _ in neighbors_in(page)} == set(given.vocab.words) - {"<pad>"}


def test_two_spaces(tmp_path: Path) -> None:
    first = space()
    second = Vectors(first.words, first.matrix + np.float32(0.1))
    report((first, second), tmp_path / "page.html", limit=40)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    shown = neighbors_in(page)
    assert len(shown) == 40
    assert shown[10][1][0][0] == shown[10][0]  # its counterpart is its neighbour in the other space
    with pytest.raises(OptionError, match="have 8 and 3 dimensions"):
        report((first, space(dim=3)), tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()


def test_odd_vectors(tmp_path: Path) -> None:
    rows = np.zeros((5, 1), dtype=np.float32)
    rows[1] = np.nan
    report(Vectors(list("abcde"), rows), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<td>rows that are not finite</td><td class=number>1</td>" in page
    other = Vectors(list("abcde"), np.ones((5, 1), dtype=np.float32))
    report((Vectors(list("abcde"), rows), other), tmp_path / "both.html")
    assert "<td>pairs</td><td class=number>4</td>" in (tmp_path / "both.html").read_text(encoding="utf-8")


def browse(page: Path, probe: str, *flags: str) -> dict:
    """What a script in the page finds out, in a headless browser."""
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    script = f"<script>document.title = JSON.stringify((() => {{ {probe} }})());</script></body>"
    copy = page.with_name("probe.html")
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    profile = page.with_name("profile")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *flags, "--dump-dom", copy.as_uri()]
    return titled(subprocess.run(command, capture_output=True, text=True, timeout=120))


def titled(done: subprocess.CompletedProcess[str]) -> dict:
    """What the page's title says, which a script put there."""
    found = re.search(r"<title>(\{.*?)</title>", done.stdout, re.DOTALL)
    assert found is not None, done.stdout[:500] + done.stderr[-2000:]
    return json.loads(unescape(found[1]))


LOOK = """
const card = document.querySelector("section").getBoundingClientRect();
const point = document.querySelectorAll('[id^="plane-points-"] use')[7];
point.dispatchEvent(new PointerEvent("pointerenter", {bubbles: true}));
const label = document.querySelector('svg text');
return {wide: document.documentElement.scrollWidth, window: document.documentElement.clientWidth,
  cards: new Set([...document.querySelectorAll("section")].map((s) => Math.round(s.getBoundingClientRect().left))).size,
  paper: getComputedStyle(document.body).backgroundColor, ink: getComputedStyle(label).fill,
  letters: label.getBoundingClientRect().height, tip: document.getElementById("tip").innerText,
  shown: getComputedStyle(document.getElementById("tip")).display};
"""


@pytest.mark.parametrize("subject", ["vectors", "aligned", "spaces"])
def test_in_a_browser(subject: str, tmp_path: Path) -> None:
    given = {"vectors": space(), "aligned": aligned(), "spaces": (space(), space(seed=1))}[subject]
    report(given, tmp_path / "page.html")
    shown = neighbors_in((tmp_path / "page.html").read_text(encoding="utf-8"))[7]
    seen = browse(tmp_path / "page.html", LOOK, "--window-size=1200,900")
    assert seen["wide"] <= seen["window"] == 1200
    assert seen["cards"] >= 2  # side by side
    assert seen["shown"] == "block"
    assert seen["tip"].split("\n")[0] == shown[0]
    assert all(other in seen["tip"] for other, _ in shown[1])
    assert (seen["paper"], seen["ink"]) == ("rgb(255, 255, 255)", "rgb(31, 41, 55)")


def test_on_a_phone_and_in_the_dark(tmp_path: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    report(aligned(), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    probe = f"<script>parent.postMessage(JSON.stringify((() => {{ {LOOK} }})()), '*')</script></body>"
    (tmp_path / "page.html").write_text(page.replace("</body>", probe), encoding="utf-8")
    frame = tmp_path / "phone.html"  # a window has a least width; a frame has not
    frame.write_text(
        "<title></title><script>onmessage = (event) => { document.title = event.data; };</script>"
        f'<iframe style="width:360px;height:700px;border:0" src="{(tmp_path / "page.html").as_uri()}"></iframe>'
    )
    flags = [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"]
    command = [CHROMIUM, *flags, "--blink-settings=preferredColorScheme=0", "--dump-dom", frame.as_uri()]
    seen = titled(subprocess.run(command, capture_output=True, text=True, timeout=120))
    assert seen["wide"] <= seen["window"] == 360
    assert seen["cards"] == 1  # one below the other
    assert seen["letters"] >= 9  # pixels: the axes can still be read
    assert (seen["paper"], seen["ink"]) == ("rgb(17, 24, 39)", "rgb(229, 231, 235)")
