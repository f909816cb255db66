"""Readers raise only documented errors: FormatError, or errors of the operating system and of memory."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.errors import TypingError

import vecload
from tests.strategies import NESTED_VALUES
from vecload import formats
from vecload.errors import FormatError, OptionError, VocabularyError, as_format_errors
from vecload.formats import Format, Preview, opening, text
from vecload.formats.contract import ReadRequest
from vecload.message_text import shorten
from vecload.sources import open_source

GOOD = b"cat 1 2\ndog 3 4\n"
UNEXPECTED = [
    tokenize.TokenError("EOF in multi-line statement"),
    TypeError("unhashable"),
    IndexError("index 7"),
    KeyError("header"),
    OverflowError("int too large"),
    RecursionError("maximum recursion depth exceeded"),
    np.linalg.LinAlgError("singular matrix"),
    TypingError("no implementation"),
    ValueError("unhappy"),
    AssertionError(),
]
EXPECTED = [
    FormatError("wrong"),
    OptionError("wrong"),
    VocabularyError("wrong"),
    OSError(5, "Input/output error"),
    MemoryError("Unable to allocate 8.00 EiB"),
    KeyboardInterrupt(),
]


class Broken:
    """Text reader that fails in one of its calls."""

    def __init__(self, source: Any, request: ReadRequest, call: str, error: BaseException) -> None:
        self._reader = text.read(source, request)
        self._call, self._error = call, error

    def __getattr__(self, name: str) -> Any:
        if name == self._call:
            raise self._error
        return getattr(self._reader, name)

    def __iter__(self) -> Iterator[Any]:
        yield from self._reader
        if self._call == "iteration":
            raise self._error

    def read_into(self, buffer: Any) -> Iterator[Any]:
        yield from self._reader.read_into(buffer)
        if self._call == "iteration":
            raise self._error


@pytest.fixture
def fail() -> Iterator[Any]:
    """Register a format whose reader fails the first time, and reads text after that."""

    def install(call: str, error: BaseException) -> None:
        failures = [error]

        def read(source: Any, request: ReadRequest) -> Any:
            if not failures:
                return text.read(source, request)
            failures.clear()
            if call == "read":
                raise error
            return Broken(source, request, call, error)

        formats.register(Format(name="broken", detect=lambda *_: 100, read=read, preview=text.FORMAT.preview))

    yield install
    with contextlib.suppress(OptionError):  # some tests skip before they install it
        formats.unregister("broken")


def use(verb: str, tmp_path: Path) -> None:
    if verb == "load":
        vecload.load(io.BytesIO(GOOD))
    elif verb == "info":
        vecload.info(io.BytesIO(GOOD))
    else:
        vecload.convert(io.BytesIO(GOOD), tmp_path / "v.safetensors")


@pytest.mark.parametrize("verb", ["load", "info", "convert"])
@pytest.mark.parametrize("call", ["read", "iteration", "meta", "dim"])
@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
def test_unexpected_error_of_a_reader_becomes_format_error(
    verb: str, call: str, error: Exception, fail: Any, tmp_path: Path
) -> None:
    if (verb, call) == ("info", "iteration"):
        pytest.skip("info reads its sample of a text without iterating")
    fail(call, error)
    with pytest.raises(FormatError, match=r"<stream>: the file cannot be read: found \w+Error") as caught:
        use(verb, tmp_path)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("call", ["read", "iteration", "meta"])
@pytest.mark.parametrize("error", EXPECTED, ids=lambda error: type(error).__name__)
def test_expected_error_of_a_reader_is_not_converted(call: str, error: Exception, fail: Any) -> None:
    fail(call, error)
    with pytest.raises(type(error)) as caught:
        vecload.load(io.BytesIO(GOOD))
    assert caught.value is error


def test_errors_are_not_converted_if_the_environment_says_so(fail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECLOAD_RAW_ERRORS", "1")
    fail("read", IndexError("index 7"))
    with pytest.raises(IndexError):
        vecload.load(io.BytesIO(GOOD))


def test_error_of_a_progress_callback_is_not_converted() -> None:
    def report(_done: int, _total: int | None) -> None:
        raise IndexError("in the caller's own code")

    with pytest.raises(IndexError, match="own code"):
        vecload.load(io.BytesIO(GOOD), progress=report)


def test_error_while_opening_an_archive_becomes_format_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise IndexError("string index out of range")

    monkeypatch.setattr("vecload.sources.opening.detect_archive", fails)
    with pytest.raises(FormatError, match="found IndexError"):
        open_source(io.BytesIO(GOOD))


@pytest.mark.parametrize(("size", "text"), [(1 << 40, "1,099,511,627,776 bytes"), (None, "unknown size")])
def test_memory_error_without_a_size_names_the_size_of_the_file(size: int | None, text: str) -> None:
    with (
        pytest.raises(MemoryError, match=f"not enough memory to read v.bin, a file of {text}"),
        as_format_errors("v.bin", size),
    ):
        raise MemoryError


def test_matrix_that_does_not_fit_in_memory_names_its_size() -> None:
    with pytest.raises(MemoryError, match=r"Unable to allocate .*shape"), as_format_errors("v.bin"):
        np.empty((1 << 40, 1 << 15))


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a child")
def test_stream_larger_than_memory_names_the_size(tmp_path: Path) -> None:
    path = tmp_path / "v.bin.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"100000 1000\n")
        for number in range(100_000):
            file.write(b"w%d " % number + bytes(4000))
    code = (
        "import resource, sys, io, vecload\n"
        "vecload.load(io.BytesIO(b'2 1\\ncat \\0\\0\\x80\\x3fdog \\0\\0\\x80\\x3f'))\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), resource.RLIM_INFINITY))\n"
        "try:\n    vecload.load(sys.argv[1])\n"
        "except MemoryError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, timeout=60)
    assert re.search(r"shape \(\d+, 1000\)", done.stdout), done.stdout


def test_format_without_preview_has_an_empty_preview() -> None:
    mine = Format(name="mine", read=text.read)
    assert opening.preview_source(mine, open_source(io.BytesIO(b"x"))) == Preview()


@given(NESTED_VALUES | st.integers(min_value=10**300), st.integers(min_value=10, max_value=300))
def test_shorten_bounds_the_length_of_any_value(value: object, longest: int) -> None:
    shown = shorten(value, longest)
    assert len(shown) <= longest
    if isinstance(value, str) and len(value) <= longest:
        assert shown == value


def test_shorten_takes_no_time_for_huge_values() -> None:
    nested: list[object] = []
    for _ in range(60):  # written out, 2**60 items
        nested = [nested, nested]
    for value in (nested, 1 << 10_000_000, "x" * 10_000_000, [10**5000] * 10_000):
        assert len(shorten(value)) <= 200


@pytest.mark.parametrize("part", ["file", "found", "expected"])
def test_parts_of_a_message_are_cut_to_200_characters(part: str) -> None:
    error = FormatError("wrong", **{part: "a" + "x" * 1_000_000 + "z"})  # type: ignore[arg-type]
    assert len(getattr(error, part)) == 200
    assert getattr(error, part)[0] == "a"
    assert getattr(error, part)[-1] == "z"
    assert len(str(error)) < 250


def test_problem_and_hint_of_a_message_are_cut() -> None:
    assert len(str(FormatError("x" * 1_000_000, hint="y" * 1_000_000))) < 3000


@pytest.mark.parametrize("kind", ["vocab", "map", "aligned", "pooler"])
def test_unexpected_error_while_opening_a_saved_object_becomes_format_error(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "saved"
    vectors = vecload.Vectors(["cat", "dog"], np.eye(2, dtype=np.float32))
    calls = {
        "vocab": (vecload.Vocab.load, "vecload.vocab.vocab.text_input.read_document"),
        "map": (vecload.SpaceMap.load, "vecload.saved.files.read_saved"),
        "aligned": (vecload.Aligned.load, "vecload.saved.files.read_saved"),
        "pooler": (vecload.SentencePooler.load, "vecload.pooling.saving.read_json"),
    }
    if kind == "pooler":
        vecload.SentencePooler(vectors).save(path)
    load, name = calls[kind]

    def fails(*_: object, **__: object) -> None:
        raise IndexError("index 7")

    monkeypatch.setattr(name, fails)
    with pytest.raises(FormatError, match=r"saved: the file cannot be read: found IndexError"):
        load(path)
