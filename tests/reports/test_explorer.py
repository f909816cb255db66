"""The page of a report in a headless Chromium: actions of a reader, and their effects."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.browser import PATIENCE, Browser, browsing
from vecload import Vectors, Vocab
from vecload.reports import report

pytest.importorskip("bokeh")

HOSTILE = [
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    'say "hi"',
    "it's",
    "a,b;c",
    "nul\0here",
    "עברית",
    "\u202egnirts",
    "caf\udcff",
    "100%",
    "c++",
    "a&b=c#d",
    "日本語",
    "かえる",
    "\\n{{data}}",
]
SHOWN = [word.replace("\udcff", "\\xff") for word in HOSTILE]


def space(count: int = 400, prefix: str = "", seed: int = 0) -> Vectors:
    """Return words in twenty clusters, hostile words among them."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(20, 12)) * 2
    rows = (
        centers[np.arange(count) % 20] + rng.normal(size=(count, 12)) + np.random.default_rng(seed).normal(size=12) / 50
    )
    plain = [f"{prefix}frog", f"{prefix}fruit", *(f"{prefix}word{at}" for at in range(count))]
    words = [*plain[:20], *HOSTILE, *plain[20:]][:count]
    return Vectors(words, rows.astype(np.float32), {"source": f"{prefix or 'made'}.vec"})


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    counts = {f"word{at}": 500 - at for at in range(200)} | {"Word7": 90, "nowhere": 77} | dict.fromkeys(HOSTILE, 5)
    aligned = vecload.align(space(), Vocab.from_counter(counts, specials=["<pad>"]), oov=["casefold", "normal"])
    pairs = [(f"word{at}", f"mot-word{at}") for at in range(100)]
    report(space(), folder / "file.html")
    report(space(), folder / "small.html", limit=100)
    report(aligned, folder / "aligned.html", vocab_name="words.txt")
    report((space(), space(prefix="mot-", seed=1)), folder / "both.html", pairs=pairs)
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def session() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture
def browser(session: Browser) -> Iterator[Browser]:
    yield session
    assert session.errors() == []
    assert session.requests() == []
    assert not session.run("window.hacked")


def word_shown(browser: Browser) -> str:
    return browser.run("document.querySelector('#panel-word h2')?.textContent ?? ''")


def wait_for_word(browser: Browser, word: str) -> None:
    browser.wait(f"document.querySelector('#panel-word h2')?.textContent === {json.dumps(word)}")


def place_of(browser: Browser, word: str) -> tuple[float, float]:
    """Return the pixel of a word on the screen."""
    return tuple(
        browser.run(
            "(() => { const {map, data} = explorer, at = data.find("
            f"{json.dumps(word)}), view = map.scales(), box = map.element.getBoundingClientRect();"
            "return [box.left + map.element.clientLeft + view.toX(data.x[at]),"
            " box.top + map.element.clientTop + view.toY(data.y[at])]; })()"
        )
    )


def click_on(browser: Browser, selector: str) -> None:
    browser.run(f"document.querySelector({json.dumps(selector)}).click()")


def test_search_finds_word_by_its_first_letters(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["file"])
    browser.press("/")
    assert browser.run("document.activeElement.id") == "search"
    browser.type("FR")
    browser.wait("document.querySelectorAll('#suggestions li').length === 2")
    options = browser.run("[...document.querySelectorAll('#suggestions bdi')].map((one) => one.textContent)")
    assert options == ["frog", "fruit"]
    browser.press("ArrowDown")
    browser.press("ArrowDown")
    assert browser.run("document.getElementById('search').getAttribute('aria-activedescendant')") == "option-1"
    browser.press("Enter")
    wait_for_word(browser, "fruit")
    assert browser.run("location.hash") == "#word=fruit"
    browser.press("/")
    browser.type("zzz")
    browser.wait("document.getElementById('suggestions').textContent.startsWith('Not among the first 10,000')")
    browser.press("Escape")
    assert browser.run("document.getElementById('suggestions').hidden")


def test_neighbors_are_links_with_cosines_and_back_returns(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["file"])
    browser.run("location.hash = '#word=frog'")
    wait_for_word(browser, "frog")
    seen = browser.run(
        "[...document.querySelectorAll('ol.near li')].map((one) => [one.querySelector('a').textContent,"
        " one.querySelector('.cosine').textContent])"
    )
    assert [tuple(one) for one in seen] == [
        (word.replace("\udcff", "\\xff"), f"{cosine:.4f}") for word, cosine in space().neighbors("frog", 10)
    ]
    click_on(browser, "ol.near a")
    wait_for_word(browser, seen[0][0])
    click_on(browser, "#panel-word button")
    wait_for_word(browser, "frog")
    assert browser.run("location.hash") == "#word=frog"


def test_link_opens_the_page_at_its_word(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["file"].as_uri() + "#word=frog")
    wait_for_word(browser, "frog")
    x, y = place_of(browser, "frog")
    box = browser.run(
        "(() => { const b = explorer.map.element.getBoundingClientRect(); return [b.x, b.y, b.right, b.bottom]; })()"
    )
    assert box[0] < x < box[2]
    assert box[1] < y < box[3]
    browser.open(pages["file"].as_uri() + "#word=unicorn")
    browser.wait("document.getElementById('panel-word').textContent.includes('“unicorn” is not among the words')")


@pytest.mark.parametrize("word", SHOWN)
def test_hostile_word_is_shown_as_text_and_can_be_linked(word: str, browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["file"])
    browser.run(f"explorer.navigation.go(explorer.data.find({json.dumps(word)}))")
    wait_for_word(browser, word)
    browser.run("history.back()")
    browser.wait("location.hash === ''")
    address = browser.run(f"explorer.navigation.address(explorer.data.find({json.dumps(word)}))")
    browser.open(pages["file"].as_uri() + address)
    wait_for_word(browser, word)


def test_search_finds_words_that_are_not_on_the_map(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["small"])
    browser.press("/")
    browser.type("word300")
    browser.wait("document.querySelector('#suggestions small')?.textContent.endsWith('not on the map')")
    browser.press("Enter")
    wait_for_word(browser, "word300")
    assert "not on the map" in browser.run("document.getElementById('panel-word').textContent")
    assert browser.run("document.querySelectorAll('ol.near li').length") == 10


def test_click_near_a_point_shows_its_word(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["small"])
    browser.run("explorer.map.reveal(0); for (let n = 0; n < 4; n++) explorer.map.zoom(0.6)")
    browser.run("explorer.map.look(explorer.data.x[0], explorer.data.y[0], explorer.map.unit)")
    x, y = place_of(browser, "frog")
    browser.mouse("mouseMoved", x + 5, y + 5)
    browser.wait("document.getElementById('tip').textContent === 'frog'")
    browser.click(x + 8, y + 8)
    wait_for_word(browser, "frog")


def test_wheel_zooms_and_dragging_pans(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["file"])
    before = browser.run("explorer.map.middle()")
    x, y = place_of(browser, "frog")
    browser.mouse("mouseMoved", x, y)
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-240)
    browser.wait(f"explorer.map.middle().unit < {before['unit']} * 0.95")
    zoomed = browser.run("explorer.map.middle()")
    browser.drag((400, 400), (440, 430), (500, 480), (500, 480))
    browser.wait(f"explorer.map.middle().x < {zoomed['x']} - 50 * {zoomed['unit']}")
    click_on(browser, "#fit")
    assert browser.run("explorer.map.middle().unit") == pytest.approx(before["unit"])


def test_labels_never_overlap_and_more_appear_after_zooming_in(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["file"])
    probe = (
        "(() => { const {map, data} = explorer, view = map.scales(); return map.labeled.map((at) => ["
        "view.toX(data.x[at]), view.toY(data.y[at]), map.placer.width(at), at]); })()"
    )
    seen = set()
    for _ in range(3):
        browser.run("explorer.map.label()")
        labels = browser.run(probe)
        assert len(labels) >= 15
        for place, (x, y, width, _) in enumerate(labels):
            for other_x, other_y, other_width, _ in labels[place + 1 :]:
                apart = x + 6 + width <= other_x + 6 or other_x + 6 + other_width <= x + 6
                assert apart or abs(y - other_y) >= 16
        seen.add(tuple(label[3] for label in labels))
        browser.run("explorer.map.zoom(0.5)")
    assert len(seen) == 3


def test_lasso_selects_words_to_copy_and_download(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    browser.open(pages["aligned"])
    click_on(browser, "#lasso")
    box = browser.run(
        "(() => { const b = explorer.map.element.getBoundingClientRect(); return [b.x, b.y, b.right, b.bottom]; })()"
    )
    left, top, right, bottom = box[0] + 5, box[1] + 5, box[2] - 5, box[3] - 5
    middle = (left + right) / 2
    browser.drag((left, top), (middle, top), (middle, bottom), (left, bottom), (left, top + 3))
    browser.wait("explorer.selection.words.length > 0")
    chosen = browser.run("explorer.selection.words.map((at) => explorer.data.words[at])")
    inside = browser.run(
        "(() => { const {map, data} = explorer, view = map.scales(); return map.shown.filter((at) =>"
        f" view.toX(data.x[at]) < {middle - left - 2}).map((at) => data.words[at]); }})()"
    )
    assert set(inside) <= set(chosen)
    assert len(chosen) < browser.run("explorer.data.mapped")
    assert browser.run("document.getElementById('tab-selection').getAttribute('aria-selected')") == "true"
    assert browser.run("document.querySelectorAll('#panel-selection ul a').length") == len(chosen)
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for name in ("Download list", "Download CSV"):
        browser.run(
            f"[...document.querySelectorAll('#panel-selection button')].find((b) => b.textContent === {name!r}).click()"
        )
        ending = "words.txt" if name == "Download list" else "words.csv"
        content = downloaded(tmp_path, ending).decode("utf-8")
        if ending == "words.txt":
            assert content == "".join(f"{word}\n" for word in chosen)
        else:
            rows = list(csv.DictReader(io.StringIO(content, newline="")))
            assert [row["word"] for row in rows] == chosen
            assert {row["origin"] for row in rows} <= {"exact", "casefold", "normal"}
    browser.run(
        "[...document.querySelectorAll('#panel-selection button')].find((b) => b.textContent === 'Copy').click()"
    )
    browser.wait("document.getElementById('status').textContent.endsWith('words copied')")
    browser.run(
        "[...document.querySelectorAll('#panel-selection button')].find((b) => b.textContent === 'Clear').click()"
    )
    assert browser.run("explorer.map.points.selected.indices.length") == 0


def downloaded(folder: Path, ending: str) -> bytes:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = [path for path in folder.iterdir() if path.name.endswith(ending) and path.stat().st_size]
        if found:
            return found[0].read_bytes()
        time.sleep(0.05)
    raise AssertionError(f"no {ending} among {list(folder.iterdir())}")


def test_view_is_saved_as_png(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    browser.open(pages["file"])
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    click_on(browser, "#png")
    assert downloaded(tmp_path, ".png").startswith(b"\x89PNG")


def test_selection_works_without_a_pointer(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["file"].as_uri() + "#word=frog")
    wait_for_word(browser, "frog")
    click_on(browser, "#panel-word button:nth-child(2)")
    assert browser.run("explorer.selection.words.length") == 11


def test_filters_hide_words_and_origins_have_one_color(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["aligned"])
    total = browser.run("explorer.map.shown.length")
    names = browser.run("[...document.querySelectorAll('#filters label')].map((one) => one.textContent)")
    assert names[:2] == ["Origin", "Frequency rank"]
    at = next(place for place, name in enumerate(names) if name.startswith("exact ("))
    browser.run(f"document.querySelectorAll('#filters label input')[{at}].click()")
    assert 0 < browser.run("explorer.map.shown.length") < total
    assert browser.run("explorer.map.shown.every((one) => explorer.data.groups[explorer.data.group[one]] !== 'exact')")
    browser.run(f"document.querySelectorAll('#filters label input')[{at}].click()")
    assert browser.run("explorer.map.shown.length") == total
    colors = browser.run(
        "(() => { const out = {}; for (const name of ['exact', 'casefold', 'normal']) {"
        " const style = (one) => getComputedStyle(one).backgroundColor;"
        " const labels = [...document.querySelectorAll('#filters label')];"
        " const legend = labels.find((one) => one.textContent.startsWith(name));"
        " const row = [...document.querySelectorAll('#panel-coverage th')].find((one) => one.textContent === name);"
        " const at = explorer.data.groups.indexOf(name);"
        " const place = explorer.map.shown.findIndex((one) => explorer.data.group[one] === at);"
        " const dot = explorer.map.points.data.color[place];"
        " const probe = document.createElement('i'); probe.style.backgroundColor = dot; document.body.append(probe);"
        " out[name] = [style(legend.querySelector('.swatch')), style(row.querySelector('.swatch')), style(probe)]; }"
        " return out; })()"
    )
    assert all(len(set(found)) == 1 for found in colors.values()), colors
    assert len({found[0] for found in colors.values()}) == 3
    browser.run("document.querySelectorAll('#filters input[type=radio]')[1].click()")
    assert browser.run("explorer.map.points.data.color.length") == total


def test_panels_beside_the_map_can_be_reached_by_keys(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["aligned"])
    browser.run("document.getElementById('tab-word').focus()")
    seen = []
    for _ in range(6):
        seen.append(browser.run("document.activeElement.textContent"))
        shown = browser.run(
            "[...document.querySelectorAll('[role=tabpanel]')].filter((one) => !one.hidden).map((one) => one.id)"
        )
        assert len(shown) == 1
        browser.press("ArrowRight")
    assert seen == ["Word", "Selection", "Coverage", "Not found", "Norms", "About"]
    assert "words.txt" in browser.run("document.getElementById('panel-about').textContent")
    click_on(browser, "#tab-coverage")
    browser.wait("document.querySelector('#chart-coverage > *')?.shadowRoot !== null")
    click_on(browser, "#tab-missing")
    browser.run(
        "[...document.querySelectorAll('#panel-missing a.word')].find((one) => one.textContent === 'nowhere').click()"
    )
    wait_for_word(browser, "nowhere")


def test_keys_pan_and_zoom_the_map(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["file"])
    browser.run("explorer.map.element.focus()")
    before = browser.run("explorer.map.middle()")
    browser.press("ArrowRight")
    assert browser.run("explorer.map.middle().x") > before["x"]
    browser.press("+")
    assert browser.run("explorer.map.middle().unit") < before["unit"]
    browser.press("0")
    assert browser.run("explorer.map.middle().unit") == pytest.approx(before["unit"])


def test_two_spaces_show_translations_and_worst_pairs(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["both"].as_uri() + "#word=word30&space=1")
    wait_for_word(browser, "word30")
    titles = browser.run("[...document.querySelectorAll('#panel-word h3')].map((one) => one.textContent)")
    assert titles == ["Nearest in made.vec", "Translations: nearest in mot-.vec"]
    assert browser.run("document.querySelectorAll('ol.near')[1].querySelector('a').textContent") == "mot-word30"
    click_on(browser, "#tab-pairs")
    assert browser.run("document.querySelectorAll('#panel-pairs a.word').length") == 100
    click_on(browser, "#panel-pairs tr:nth-child(2) td a.word")
    browser.wait("document.querySelector('#panel-word h2').textContent.startsWith('mot-')")
    assert browser.run("location.hash.endsWith('&space=2')")


@pytest.mark.parametrize("dark", [False, True])
def test_page_follows_the_light_or_dark_theme(dark: bool, browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["file"], dark=dark)
    light, black = "rgb(255, 255, 255)", "rgb(17, 24, 39)"
    probe = "[getComputedStyle(document.body).backgroundColor, explorer.map.plot.background_fill_color]"
    seen = browser.run(probe)
    assert seen[0] == (black if dark else light)
    click_on(browser, "#theme")
    switched = browser.run(probe)
    assert switched[0] == (light if dark else black)
    assert switched[1] != seen[1]


def test_phone_has_one_column_large_targets_and_taps(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["aligned"], width=360, height=740, phone=True)
    assert browser.run("document.documentElement.scrollWidth") <= 360
    boxes = browser.run(
        "(() => { document.getElementById('options').open = true; explorer.navigation.go(3); return ["
        "...document.querySelectorAll('button, #filters label, #search, a.word, summary')]"
        ".filter((one) => one.offsetParent).map((one) => { const b = one.getBoundingClientRect();"
        " return [one.textContent, b.width, b.height, b.right]; }); })()"
    )
    assert len(boxes) > 15
    assert [box for box in boxes if box[1] < 24 or box[2] < 24 or box[3] > 361] == []
    browser.run("explorer.map.look(explorer.data.x[0], explorer.data.y[0], explorer.map.least / 30)")
    word = browser.run("explorer.data.words[0]")
    x, y = place_of(browser, word)
    browser.tap(x + 11, y + 11)
    wait_for_word(browser, word)


def test_every_control_has_a_name_for_screen_readers(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["both"].as_uri() + "#word=word30")
    wait_for_word(browser, "word30")
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    controls = ("button", "link", "tab", "checkbox", "radio", "combobox", "application", "img", "searchbox")
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node.get("ignored") and node.get("role", {}).get("value") in controls
    ]
    assert len(named) > 20
    assert [one for one in named if not one[1]] == []
    assert ("combobox", "Search for a word") in named
    assert browser.run("document.getElementById('status').textContent").startswith("word30: 10 neighbors")


def test_japanese_words_are_drawn_and_found(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["file"])
    browser.press("/")
    browser.type("日")
    browser.wait("document.querySelectorAll('#suggestions li').length === 1")
    browser.press("Enter")
    wait_for_word(browser, "日本語")
    assert browser.run("explorer.map.labels.data.text.includes('日本語')")


def test_notebook_frame_can_be_explored_without_an_address(browser: Browser, tmp_path: Path) -> None:
    frame = report(space(), title="Cell")._repr_html_()
    (tmp_path / "cell.html").write_text(
        f"<!doctype html><meta charset=utf-8><title>cell</title>{frame}", encoding="utf-8"
    )
    browser.renew()
    browser.send("Page.navigate", url=(tmp_path / "cell.html").as_uri())
    browser.wait("document.querySelector('iframe') !== null")
    until = time.monotonic() + PATIENCE
    while in_frame(browser, "document.documentElement?.dataset.ready") != "true":
        assert time.monotonic() < until
        time.sleep(0.1)
    in_frame(browser, "explorer.navigation.go(0)")
    assert in_frame(browser, "document.querySelector('#panel-word h2').textContent") == "frog"
    first = in_frame(browser, "document.querySelector('ol.near a').textContent")
    in_frame(browser, "document.querySelector('ol.near a').click()")
    assert in_frame(browser, "document.querySelector('#panel-word h2').textContent") == first
    in_frame(browser, "document.querySelector('#panel-word button').click()")
    assert in_frame(browser, "document.querySelector('#panel-word h2').textContent") == "frog"


def in_frame(browser: Browser, expression: str) -> object:
    """Run an expression in the frame of the page."""
    tree = browser.send("Page.getFrameTree")["frameTree"]
    child = tree["childFrames"][0]["frame"]["id"]
    made = [one["params"]["context"] for one in browser.events if one["method"] == "Runtime.executionContextCreated"]
    context = [one["id"] for one in made if one["auxData"].get("frameId") == child and one["auxData"]["isDefault"]][-1]
    answer = browser.send("Runtime.evaluate", expression=expression, contextId=context, returnByValue=True)
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    return answer["result"].get("value")
