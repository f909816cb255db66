"""Tests of the catalog's entries, of names instead of files, and of the cache."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import vecload
from tests.serving import Site, cut, serving, status, whole
from vecload import catalog
from vecload.catalog import listing
from vecload.catalog.listing import MARKS, Digest, Entry, close_names, parse
from vecload.cli import app
from vecload.errors import DownloadError, FormatError, OptionError, VocabularyError

EMPTY = hashlib.sha256(b"").hexdigest()
WORDS = [f"w{at}" for at in range(3000)]
TEXTS = {
    dim: "".join(
        f"{word} " + " ".join(f"{at * dim + column / 8}" for column in range(dim)) + "\n"
        for at, word in enumerate(WORDS)
    )
    for dim in (2, 3)
}


# ------------------------------------------------------------------------------------------------------------ the facts


def test_catalog_has_every_family() -> None:
    for name in (
        "glove.6B.50d glove.6B.100d glove.6B.200d glove.6B.300d glove.42B.300d glove.840B.300d glove.twitter.27B.25d "
        "glove.2024.dolma.300d glove.2024.wikigiga.300d GoogleNews-vectors-negative300 wiki-news-300d-1M "
        "wiki-news-300d-1M-subword crawl-300d-2M crawl-300d-2M-subword crawl-300d-2M-subword.bin fasttext:cc.ja.300 "
        "fasttext:cc.en.300.bin fasttext:wiki.ja fasttext:wiki.de.bin wiki.fr.align numberbatch-19.08 "
        "numberbatch-en-19.08 jawiki_20180420_300d enwiki_20180420_win10_500d chive-1.3-mc90 chive-1.1-mc90-aunit "
        "jawiki.word_vectors.200d gensim:glove-wiki-gigaword-50 gensim:word2vec-google-news-300 "
        "gensim:word2vec-ruscorpora-300 facebook/fasttext-ja-vectors"
    ).split():
        assert catalog.get(name) is not None, name


@pytest.mark.parametrize(
    ("template", "languages"),
    [
        ("cc.{lang}.300", 158),  # the page's 157 and English, whose file it names above the table
        ("cc.{lang}.300.bin", 158),
        ("facebook/fasttext-{lang}-vectors", 158),
        ("wiki.{lang}", 294),
        ("wiki.{lang}.align", 44),
        ("{lang}wiki_20180420_{dim}d", 12),
        ("muse.en-{lang}{part}", 44),
        ("muse.{lang}-en{part}", 44),
    ],
)
def test_families_have_as_many_languages_as_the_publisher_lists(template: str, languages: int) -> None:
    assert len({entry.languages for entry in catalog.entries() if entry.template == template}) == languages


TEMPLATES = sorted({entry.template for entry in catalog.entries()})


@pytest.mark.parametrize("template", TEMPLATES)
def test_entries_of_a_family_are_consistent(template: str) -> None:
    for entry in catalog.entries():
        if entry.template == template:
            check(entry)


def check(entry: Entry) -> None:
    assert all(url.startswith("https://") for url in entry.urls)  # the one http site is a note, not an address
    assert entry.urls or entry.page
    assert EMPTY not in (entry.sha256, entry.md5)
    assert set(entry.marks.values()) <= set(MARKS)
    facts = ("urls", "words", "size", "file_size", "about", "member", "sha256", "md5", "notes")
    assert {name for name in facts if getattr(entry, name)} <= set(entry.marks), "a fact without a mark"
    assert entry.license == "unknown" or entry.marks["license"] == "V"
    assert (entry.license in ("unknown", "own terms")) == (entry.license_url == "")
    assert "{" not in f"{entry.name}{entry.urls}{entry.file}{entry.member}{entry.languages}"
    assert catalog.get(entry.full_name) is entry
    if entry.family == "evaluation":
        assert entry.dim is None
        assert entry.format in ("word pairs", "analogies", "dictionary")
    else:
        assert entry.dim in (16, 25, 50, 100, 200, 300, 500)


def test_files_that_share_an_archive_agree() -> None:
    by_file: dict[tuple[str, str], set[object]] = {}
    for entry in catalog.entries():
        by_file.setdefault((entry.family, entry.file), set()).add(
            (entry.urls, entry.size, entry.sha256, entry.container)
        )
    assert [file for file, facts in by_file.items() if len(facts) > 1] == []


def test_known_hashes_are_those_of_published_lists() -> None:
    """177 of a project's 180 hashes are used: three are the hash of an empty file, for unpublished names."""
    known = [entry for entry in catalog.entries() if entry.template == "wiki.{lang}" and entry.sha256]
    assert len(known) == 173
    names = {"glove.6B.zip", "glove.42B.300d.zip", "glove.840B.300d.zip", "glove.twitter.27B.zip"}
    assert len({entry.sha256 for entry in catalog.entries() if entry.file in names}) == 4
    assert all(catalog.get(f"wiki.{lang}") is None for lang in ("cbk", "dty", "yue"))
    japanese = catalog.get("wiki.ja")
    assert japanese is not None
    assert japanese.sha256 == "b44b2eef8bdcf0739c971c4ff7fcae7a300b5e06cf0e50c5787082957ad9d998"
    assert japanese.checked_by == "sha256 from other projects"
    small = catalog.get("glove-wiki-gigaword-50")
    assert small is not None
    assert (small.digest, small.size) == (Digest("md5", "c289bc5d7f2f02c6dc9f2f9b67641813"), 69182535)
    assert small.checked_by == "md5 from the publisher's list"
    pinned = catalog.get("cc.ja.300")
    assert pinned is not None
    assert pinned.checked_by == "pinned on first download"


@pytest.mark.parametrize(
    ("kind", "value"), [("sha256", EMPTY), ("md5", hashlib.md5(b"").hexdigest()), ("md5", EMPTY), ("sha256", "x" * 64)]
)
def test_digest_refuses_hashes_of_an_empty_file(kind: str, value: str) -> None:
    with pytest.raises(OptionError, match=r"empty file|is not"):
        Digest(kind, value)  # type: ignore[arg-type]


TOY = """
[[entry]]
family = "toy"
name = "{name}"
languages = ["en"]
dim = 2
urls = ["https://127.0.0.1/"]
file = "{file}"
format = "GloVe text"
license = "unknown"
"""


def test_parse_refuses_invalid_catalogs() -> None:
    def toy(name: str, file: str = "f", more: str = "") -> str:
        return TOY.format(name=name, file=file) + more

    with pytest.raises(OptionError, match="two files named 'toy:a'"):
        parse(toy("a") + toy("a"))
    for path in ("../f", "/etc/passwd", ".hidden", "a/b", ""):
        with pytest.raises(OptionError, match="not a plain file name"):
            parse(toy("a", path))
    with pytest.raises(OptionError, match="sha256 of an empty file"):
        parse(toy("a", more=f'sha256 = "{EMPTY}"'))
    with pytest.raises(TypeError, match="unexpected keyword argument 'licensed'"):
        parse(toy("a", more='licensed = "MIT"'))


def test_find_matches_all_words_of_a_query() -> None:
    assert [entry.name for entry in catalog.find("GLOVE 840b")] == ["glove.840B.300d"]
    assert {entry.languages for entry in catalog.find(lang="ja")} == {("ja",), ("en", "ja"), ("ja", "en")}
    assert "gensim:glove-twitter-25" in [entry.full_name for entry in catalog.find("lower-cased twitter")]
    assert [entry.full_name for entry in catalog.find("fasttext:cc.ja.300")] == ["fasttext:cc.ja.300"]
    assert catalog.find("no such thing") == []
    assert close_names("glove.6B.50d.txt") == ["glove.6B.50d"]
    assert close_names("nothing.txt") == []


# ---------------------------------------------------------------------------------------------- names in place of files


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "VECLOAD_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VECLOAD_CACHE", str(tmp_path / "cache"))
    clock = SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic)  # no pauses between tries
    monkeypatch.setattr("vecload.catalog.http.time", clock)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def archive(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serve a zip archive of two files, which the catalog lists as toy.2d and toy.3d."""
    with zipfile.ZipFile(tmp_path / "toy.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for dim, text in TEXTS.items():
            made.writestr(f"toy.{dim}d.txt", text)
    data = (tmp_path / "toy.zip").read_bytes()
    (tmp_path / "toy.zip").unlink()
    with serving(Site(data)) as site:
        listed(
            monkeypatch,
            f"""
            [[entry]]
            family = "toy"
            name = "toy.{{dim}}d"
            over = {{ dim = "2 3" }}
            languages = ["en"]
            dim = "{{dim}}"
            words = 3000
            urls = ["{site.url}"]
            file = "toy.zip"
            container = "zip"
            member = "toy.{{dim}}d.txt"
            format = "GloVe text"
            license = "unknown"
            sha256 = "{hashlib.sha256(data).hexdigest()}"
            marks = {{ words = "R" }}
            """,
        )
        yield site


def listed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Replace the catalog by the given text."""
    toys = parse(text)
    monkeypatch.setattr(listing, "entries", lambda: toys)


def test_load_of_a_name_downloads_once(archive: Site, cache: Path) -> None:
    vectors = vecload.load("toy.3d")
    assert (len(vectors.words), vectors.matrix.shape) == (3000, (3000, 3))
    assert (cache / "toy" / "toy.zip").read_bytes() == archive.data
    assert not list(cache.rglob("*.txt"))  # nothing is unpacked
    again = vecload.load("toy:toy.2d")  # of the same archive
    assert again.matrix.shape == (3000, 2)
    assert len(archive.asked) == 1


def test_license_and_page_of_a_name_travel(archive: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toys = [replace(toy, license="MIT", page="https://example.org/toy") for toy in listing.entries()]
    monkeypatch.setattr(listing, "entries", lambda: toys)
    stated = {"license": "MIT", "source": "https://example.org/toy"}
    assert stated.items() <= vecload.load("toy.3d").meta.items()
    assert vecload.info("toy.3d").attribution == stated
    vecload.convert("toy.3d", tmp_path / "toy.npz", limit=10)
    assert stated.items() <= vecload.load(tmp_path / "toy.npz").meta.items()


def test_load_of_few_words_streams_from_the_server(archive: Site, cache: Path) -> None:
    vectors = vecload.load("toy.2d", vocab=["w7", "w2999", "absent"])
    assert list(vectors.words) == ["w7", "w2999"]
    assert vectors["w2999"].tolist() == [5998.0, 5998.125]
    assert all(archive.from_bytes)  # never the whole file
    assert not cache.exists() or not [file for file in cache.rglob("*") if file.is_file()]
    aligned = vecload.align("toy.3d", vecload.Vocab.from_words(["w1", "w0"]))
    assert aligned.matrix[0].tolist() == [3.0, 3.125, 3.25]


def test_streaming_survives_broken_connections(archive: Site) -> None:
    expected = vecload.load("toy.3d", vocab=WORDS[::2]).matrix
    archive.always = cut(2000)
    again = vecload.load("toy.3d", vocab=WORDS[::2])
    assert np.array_equal(again.matrix, expected)
    archive.always = None
    archive.plan.extend([status(503), status(500)])
    assert np.array_equal(vecload.load("toy.3d", vocab=WORDS[::2]).matrix, expected)


def test_load_of_few_words_downloads_if_the_server_has_no_ranges(archive: Site, cache: Path) -> None:
    archive.ranges = False
    assert vecload.load("toy.2d", vocab=["w7"])["w7"].tolist() == [14.0, 14.125]
    assert (cache / "toy" / "toy.zip").exists()
    archive.plan.append(status(404))
    assert len(vecload.load("toy.2d", vocab=["w8"]).words) == 1  # from the cache


def test_streaming_a_damaged_archive_raises(archive: Site) -> None:
    good = archive.data
    archive.data = b"not a zip archive" * 1000
    with pytest.raises(FormatError, match="cannot read the zip archive"):
        vecload.load("toy.2d", vocab=["w7"])
    archive.data = good.replace(b"toy.2d", b"toy.9d")
    with pytest.raises(FormatError, match="no such member"):
        vecload.load("toy.2d", vocab=["w7"])
    damaged = bytearray(good)
    damaged[5000] ^= 255
    archive.data = bytes(damaged)
    with pytest.raises(FormatError, match="damaged"):
        vecload.load("toy.2d", vocab=["w7"], errors="skip")


def test_streaming_a_changed_file_raises(archive: Site) -> None:
    def change(handler: object) -> None:
        archive.etag = '"two"'
        cut(100)(handler)  # type: ignore[arg-type]

    archive.plan.extend([cut(10**9), change])
    with pytest.raises(DownloadError, match="changed while it was read"):
        vecload.load("toy.2d", vocab=["w7"])


def test_existing_file_takes_precedence_over_a_name(archive: Site, tmp_path: Path) -> None:
    (tmp_path / "toy.2d").write_text("mine 1 2\n")
    assert list(vecload.load("toy.2d").words) == ["mine"]
    assert list(vecload.load("toy:toy.2d", vocab=["w0"]).words) == ["w0"]
    assert vecload.info("toy.2d").words == ("mine",)


def test_unknown_name_suggests_similar_names(cache: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"the catalog has glove\.6B\.50d"):
        vecload.load("glove.6B.50")
    with pytest.raises(FileNotFoundError, match=r"fasttext:cc\.ja\.300\.bin"):
        vecload.info("fasttext:cc.ja.300.vec")
    with pytest.raises(FileNotFoundError, match="no such file"):
        vecload.load("nothing.txt")


def test_info_and_convert_accept_names(archive: Site, tmp_path: Path) -> None:
    assert vecload.info("toy.2d").dim == 2
    assert vecload.convert("toy.2d", tmp_path / "toy.vec").written == 3000


@pytest.fixture
def sets(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serve a dictionary whose content is not a file of vectors."""
    data = "".join(f"w{at} w{at}\n" for at in range(20)).encode()
    with serving(Site(data)) as site:
        listed(
            monkeypatch,
            f"""
            [[entry]]
            family = "evaluation"
            name = "toy.en-de.txt"
            languages = ["en", "de"]
            urls = ["{site.url}"]
            file = "toy.en-de.txt"
            format = "dictionary"
            license = "unknown"
            sha256 = "{hashlib.sha256(data).hexdigest()}"
            """,
        )
        yield site


def test_data_sets_are_found_by_name(sets: Site, cache: Path, tmp_path: Path, run: Callable[..., str]) -> None:
    from vecload.evaluation import find
    from vecload.mapping import read_dictionary

    assert read_dictionary("toy.en-de.txt")[:2] == [("w0", "w0"), ("w1", "w1")]
    assert find("evaluation:toy.en-de.txt") == str(cache / "evaluation" / "toy.en-de.txt")
    assert len(sets.asked) == 1
    vectors = vecload.Vectors(vecload.Words.from_strings(WORDS[:30]), np.eye(30, dtype=np.float32))
    vectors.save(tmp_path / "v.safetensors")
    out = run("map", "v.safetensors", "v.safetensors", "-d", "toy.en-de.txt", "-o", "m.safetensors")
    assert "procrustes from 20 pairs" in out
    (tmp_path / "toy.en-de.txt").write_text("mine too\n")
    assert read_dictionary("toy.en-de.txt") == [("mine", "too")]


def test_results_use_the_catalog_name_of_a_data_set(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The name in the results is not that of the file in the archive."""
    with zipfile.ZipFile(tmp_path / "toy.zip", "w") as made:
        made.writestr("inner/combined.tab", "Word 1\tWord 2\tHuman\nw1\tw2\t3.5\nw2\tw3\t1.5\n")
    data = (tmp_path / "toy.zip").read_bytes()
    with serving(Site(data)) as site:
        listed(
            monkeypatch,
            f"""
            [[entry]]
            family = "evaluation"
            name = "Toy-2"
            languages = ["en"]
            urls = ["{site.url}"]
            file = "toy.zip"
            container = "zip"
            member = "inner/combined.tab"
            format = "word pairs"
            license = "unknown"
            sha256 = "{hashlib.sha256(data).hexdigest()}"
            """,
        )
        vectors = vecload.Vectors(vecload.Words.from_strings(WORDS[:5]), np.eye(5, dtype=np.float32))
        (figure,) = vecload.evaluate(vectors, ["Toy-2"]).similarities
    assert (figure.dataset, figure.used, figure.total) == ("Toy-2", 2, 2)


def test_load_of_a_data_set_raises(sets: Site) -> None:
    with pytest.raises(FormatError, match=r"found dictionary, expected vectors.*Pass it to `vecload evaluate`"):
        vecload.load("toy.en-de.txt")
    assert sets.asked == []
    with pytest.raises(OptionError, match="`vecload catalog evaluation` lists more"):
        vecload.evaluation.find("toy.en-fr.txt")


def test_load_prefers_the_native_form(archive: Site, cache: Path) -> None:
    done = CliRunner().invoke(app, ["download", "toy.3d", "--native"])
    assert done.exit_code == 0, done.output
    native = cache / "toy" / "toy.3d.safetensors"
    before = native.stat().st_mtime_ns
    (cache / "toy" / "toy.zip").unlink()
    assert "native" in vecload.load("toy.3d").meta["format"]
    assert CliRunner().invoke(app, ["download", "toy.3d", "--native"]).exit_code == 0
    assert native.stat().st_mtime_ns == before


@pytest.mark.parametrize("few", [None, ["w7"]])
def test_offline_forbids_downloads(archive: Site, monkeypatch: pytest.MonkeyPatch, few: list[str] | None) -> None:
    monkeypatch.setenv("VECLOAD_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"toy:toy.2d is not in the cache, .*VECLOAD_OFFLINE forbids"):
        vecload.load("toy.2d", vocab=few)
    assert archive.asked == []
    monkeypatch.setenv("VECLOAD_OFFLINE", "0")
    vecload.load("toy.2d")
    monkeypatch.setenv("VECLOAD_OFFLINE", "1")
    assert vecload.load("toy.2d", vocab=few).matrix.shape[1] == 2


def test_ambiguous_name_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    listed(monkeypatch, TOY.format(name="a", file="f") + TOY.format(name="a", file="g").replace('"toy"', '"other"'))
    with pytest.raises(VocabularyError, match="several files are named 'a'; use a full name: toy:a, other:a"):
        vecload.load("a")


def test_download_of_a_file_without_address_names_its_page(cache: Path) -> None:
    with pytest.raises(DownloadError, match=r"must be downloaded manually from https://github\.com/hottolink"):
        vecload.load("hottosns-w2v")


# ------------------------------------------------------------------------------------------------------------ the cache


@pytest.fixture
def unhashed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serve a file without a known hash over http, which is normally refused: that check is disabled here."""
    from vecload.catalog import http

    request = http.request
    monkeypatch.setattr(
        http, "request", lambda *given, hash_known, policy: request(*given, hash_known=True, policy=policy)
    )
    with serving(Site(b"w0 1 2\n")) as site:
        listed(monkeypatch, TOY.format(name="free", file="free.txt").replace("https://127.0.0.1/", site.url))
        yield site


def test_file_without_a_hash_is_pinned_on_first_download(unhashed: Site, cache: Path) -> None:
    vecload.load("free")
    receipt = json.loads((cache / "toy" / "free.txt.json").read_text())
    assert receipt["sha256"] == hashlib.sha256(b"w0 1 2\n").hexdigest()
    assert [file.state for file in catalog.cached()] == ["pinned on first download"]
    assert catalog.remove("free") == [cache / "toy" / "free.txt"]
    vecload.load("free")  # the same again
    catalog.remove("free.txt")
    unhashed.data = b"w0 2 2\n"
    with pytest.raises(FormatError, match=r"To accept the new file, delete .*free.txt.json"):
        vecload.load("free")
    (cache / "toy" / "free.txt.json").unlink()
    assert vecload.load("free")["w0"].tolist() == [2.0, 2.0]


def test_verify_reports_changed_files(archive: Site, cache: Path) -> None:
    vecload.load("toy.2d")
    ((file, wrong),) = catalog.verify()
    assert (file.path, wrong, file.state) == (cache / "toy" / "toy.zip", "", "verified: sha256")
    assert file.names == ("toy:toy.2d", "toy:toy.3d")
    file.path.write_bytes(archive.data[:-1] + b"x")
    ((_, wrong),) = catalog.verify("toy.3d")
    assert wrong.startswith("changed since it was downloaded")
    (cache / "toy" / "toy.zip.json").unlink()
    ((_, wrong),) = catalog.verify("toy.zip")
    assert wrong.startswith("not the catalog's file")
    with pytest.raises(VocabularyError, match="nothing in the cache"):
        catalog.verify("other")


def test_remove_deletes_all_files_of_an_entry(archive: Site, cache: Path) -> None:
    archive.plan.append(whole(b"PK\x03\x04 wrong"))
    with pytest.raises(FormatError):
        vecload.load("toy.2d")
    assert [(file.path.name, file.state) for file in catalog.cached()] == [
        ("toy.zip.rejected", "not the requested file")
    ]
    archive.plan.extend([cut(100), status(404)])
    with pytest.raises(DownloadError):
        vecload.load("toy.2d")
    assert {file.path.name for file in catalog.cached()} == {"toy.zip.rejected", "toy.zip.part"}
    catalog.remove("toy.2d")
    assert [file.name for file in (cache / "toy").iterdir() if not file.name.startswith(".")] == []
    assert vecload.load("toy.2d").matrix.shape == (3000, 2)
    catalog.remove("toy.zip")
    assert catalog.cached() == []
    assert not (cache / "toy" / "toy.zip.json").exists()


# ----------------------------------------------------------------------------------------------------- the command line


@pytest.fixture
def run(cache: Path) -> Callable[..., str]:
    def invoke(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == code, done.output
        return done.output

    return invoke


def test_catalog_command_lists_and_shows_entries(run: Callable[..., str]) -> None:
    everything = run("catalog").splitlines()
    assert len(everything) < 100  # families are one line
    assert any(line.startswith("fasttext:cc.{lang}.300 ") and "158 files: af als am" in line for line in everything)
    japanese = run("catalog", "fasttext", "--lang", "ja")
    assert "fasttext:cc.ja.300.bin" in japanese
    assert "cc.de" not in japanese
    one = run("catalog", "glove.6B.50d")
    assert "words        400,000\n" in one
    assert "size         862,182,613  [stated by other projects that had the file]" in one
    assert "verified by  sha256 from other projects" in one
    assert "in the cache" not in one
    (entry,) = json.loads(run("catalog", "glove.840B", "--json"))
    assert entry["marks"]["size"] == "3p"
    assert json.loads(run("catalog", "nonsense", "--json")) == []
    assert "no file matches" in run("catalog", "nonsense")


def test_download_and_cache_commands_work_together(archive: Site, run: Callable[..., str], cache: Path) -> None:
    assert "toy.zip (unknown; sha256 from other projects)" in run("download", "toy.2d", "toy.3d")
    assert len(archive.asked) == 1
    assert "in the cache" in run("catalog", "toy.2d")
    assert "verified: sha256" in run("cache", "ls")
    assert "as downloaded, verified: sha256" in run("cache", "verify")
    (cache / "toy" / "toy.zip").write_bytes(b"other")
    assert "changed since" in run("cache", "verify", "toy.2d", code=1)
    assert "removed" in run("cache", "rm", "toy.2d")
    assert run("cache", "ls").split()[0] == "0"


def test_error_for_an_unknown_name_is_one_paragraph() -> None:
    done = subprocess.run([sys.executable, "-m", "vecload.cli", "download", "glove.7B"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "vecload: the catalog has no 'glove.7B'; `vecload catalog` lists all names\n"


def test_catalog_is_part_of_the_package() -> None:
    assert Path(catalog.__file__).with_name("catalog.toml").exists()
