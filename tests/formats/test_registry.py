"""The registry of formats: names, detection, registration, formats of installed packages."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import vecload
from tests.formats.documented import blocks, documented_format, entry_points
from vecload import formats
from vecload.errors import FormatError, OptionError
from vecload.formats import Format
from vecload.sources import open_source

DETECTABLE = [form for form in formats.all_formats() if form.detect is not None]


@pytest.fixture
def register() -> Iterator[list[Format]]:
    """Register formats for the time of a test."""
    registered: list[Format] = []
    yield registered
    for form in registered:
        formats.unregister(form.name)


def never_read(*_: object) -> vecload.formats.Reader:  # type: ignore[name-defined]
    raise AssertionError("the reader is called")


@pytest.mark.parametrize("form", DETECTABLE, ids=lambda form: form.name)
def test_detect_answers_0_to_100_for_any_bytes(form: Format) -> None:
    assert form.detect is not None
    for head in (b"", b"\0" * 64, b"\xff" * 64, b"1 1\n", b"a 1 2\n", bytes(range(256))):
        assert 0 <= form.detect(head, "any.bin") <= 100


def test_every_format_is_found_by_its_names() -> None:
    for form in formats.all_formats():
        assert formats.format_by_name(form.name.upper()) == (form, "")
        for alias in form.aliases:
            assert formats.format_by_name(alias.replace(" ", "_")) == (form, alias)


@pytest.mark.parametrize(
    ("name", "rows"), [("glove", 2), ("GloVe", 2), ("word2vec-text", 1), ("Word2Vec_Text", 1), ("text", 1)]
)
def test_load_ignores_case_and_punctuation_of_format_names(name: str, rows: int) -> None:
    assert len(vecload.load(io.BytesIO(b"1 1\ncat 3\n"), format=name)) == rows


def test_load_with_an_unknown_format_lists_the_known_ones() -> None:
    known = "'native', 'vecload', 'safetensors', 'DL4J', 'deeplearning4j', 'text', 'glove'"
    with pytest.raises(OptionError, match=f"format='nothing' is not one of {known}"):
        vecload.load(io.BytesIO(b"cat 1 2\n"), format="nothing")


def test_detect_format_stops_at_the_first_sure_answer(register: list[Format]) -> None:
    asked: list[str] = []

    def detect(name: str, answer: int) -> Format:
        def answers(head: bytes, _: str) -> int:
            if head != b"signature":
                return 0
            asked.append(name)
            return answer

        return Format(name=name, detect=answers, read=never_read)

    for form in (detect("unsure", 50), detect("sure", formats.SURE), detect("later", 100)):
        formats.register(form)
        register.append(form)
    assert formats.detect_format(open_source(io.BytesIO(b"signature"))).name == "sure"
    assert asked == ["unsure", "sure"]


def test_text_with_regular_first_lines_is_detected_for_certain() -> None:
    detect = formats.format_by_name("text")[0].detect
    assert detect is not None
    assert detect(b"cat 1 2\ndog 3 4\nNew York 5 6\n", "") == formats.SURE
    assert detect(b"3 2\ncat 1 2\ndog 3 4\nNew York 5 6\n", "") == formats.SURE
    assert detect(b"cat 1 2\ndog 3\ncow 5 6\n", "") < formats.SURE
    assert detect(b"cat 1 2\ndog\0 3 4\ncow 5 6\n", "") < formats.SURE


@pytest.mark.parametrize("name", ["GLOVE", "word2vec_text", "mine"])
def test_register_refuses_a_name_that_is_taken(name: str, register: list[Format]) -> None:
    mine = Format(name="mine", aliases=("my own",), read=never_read)
    formats.register(mine)
    register.append(mine)
    for form in (Format(name=name, read=never_read), Format(name="other", aliases=(name,), read=never_read)):
        with pytest.raises(OptionError, match="is taken by the format"):
            formats.register(form)


def test_unregister_refuses_formats_of_vecload() -> None:
    with pytest.raises(OptionError, match="was not added with register"):
        formats.unregister("text")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "has neither read nor write"),
        ({"read": never_read, "suffixes": ("mine",)}, "suffix 'mine' must begin with"),
        ({"read": never_read, "shared_suffixes": (".Mine",)}, "suffix '.Mine' must begin with"),
        ({"read": never_read, "options": ("speed",)}, "unknown options speed"),
    ],
)
def test_format_refuses_invalid_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Format(name="mine", **arguments)  # type: ignore[arg-type]


def build_wheel(folder: Path) -> Path:
    """Write the documented format as a wheel: a package that declares it, and one that declares a broken format."""
    points = entry_points()
    points["vecload.formats"]["broken"] = "json_pairs:MISSING"
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in of.items()) for group, of in points.items()
    ]
    info = "json_pairs-1.0.dist-info"
    files = {
        "json_pairs.py": blocks("python")[0],
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: json-lines\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "\n".join(lines),
    }
    record = []
    wheel = folder / "json_pairs-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(text.encode())}\n")
        archive.writestr(f"{info}/RECORD", "".join(record) + f"{info}/RECORD,,\n")
    return wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder into which pip installed the documented format."""
    # Importing pip, or asking for its spec, makes setuptools give up its distutils, which torch's compiler then needs.
    try:
        metadata.version("pip")
    except metadata.PackageNotFoundError:
        pytest.skip("pip is not installed")
    folder = tmp_path_factory.mktemp("installed")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-index",
        "--no-deps",
        "--target",
        str(folder / "site"),
    ]
    subprocess.run([*command, str(build_wheel(folder))], check=True, capture_output=True)
    return folder / "site"


def run_with(site: Path, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.path.append({str(site)!r})\n{code}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder)


def test_format_of_an_installed_package_is_known_without_a_call(installed: Path, tmp_path: Path) -> None:
    code = (
        "import json, numpy as np, vecload\n"
        "vectors = vecload.Vectors(['cat', 'dog'], np.eye(2, dtype='float32'))\n"
        "vectors.save('vectors.pairs')\n"
        "vecload.convert('vectors.pairs', 'vectors.vec')\n"
        "loaded = vecload.load('vectors.pairs')\n"
        "print(json.dumps([loaded.meta['format'], list(loaded), vecload.formats.all_formats()[-1].name]))\n"
    )
    done = run_with(installed, code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["JSON pairs", ["cat", "dog"], "JSON pairs"]
    assert (tmp_path / "vectors.vec").read_bytes() == b"2 2\ncat 1.0 0.0\ndog 0.0 1.0\n"


def test_broken_format_of_an_installed_package_is_a_warning(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text("cat 1 2\n")
    code = "import vecload; vecload.formats.all_formats(); print(len(vecload.load('glove.txt')))"
    done = run_with(installed, code, tmp_path)
    assert done.stdout == "1\n"
    assert "the format 'broken' (json_pairs:MISSING) cannot be used" in done.stderr


def test_documented_use_of_the_format_runs(installed: Path, tmp_path: Path) -> None:
    (use,) = blocks("py")
    (tmp_path / "json_pairs.py").write_text(blocks("python")[0])
    done = subprocess.run([sys.executable, "-c", use], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "vectors.pairs").exists()


def test_documented_format_has_about_forty_lines() -> None:
    code = [line for line in blocks("python")[0].splitlines() if line.strip()]
    assert len(code) <= 42


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('["cat"]\n["dog"', "not a JSON list of a word and a vector"),
        ('["cat", [1, 2]]', "the file is cut short: found 1 row"),
        ("[0]", "vectors must be lists of numbers"),
    ],
)
def test_documented_format_refuses_damaged_files(line: str, message: str, register: list[Format]) -> None:
    form = documented_format()
    formats.register(form)
    register.append(form)
    with pytest.raises(FormatError, match=message):
        vecload.load(io.BytesIO(line.encode() + b"\n"))
