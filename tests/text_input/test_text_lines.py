"""Encodings, byte order marks and line ends of text files."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecload.errors import FormatError
from vecload.text_input import lines as module
from vecload.text_input import read_lines

LINES = ["the cat", "", "Größe ﬁn", "犬 猫", "a\u0085b\u2028c", "😀", "x\ty"]
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


def read(content: bytes) -> list[str]:
    return list(read_lines(io.BytesIO(content), progress=False))


@pytest.mark.parametrize("encoding", MARKS)
@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_read_lines_returns_the_same_lines_in_every_encoding(encoding: str, marked: bool, end: str, last: bool) -> None:
    text = end.join(LINES) + (end if last else "")
    assert read(MARKS[encoding] * marked + text.encode(encoding)) == LINES


@pytest.mark.parametrize("encoding", MARKS)
@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"]), max_size=8), max_size=8))
def test_read_lines_returns_any_text_with_a_byte_order_mark(encoding: str, lines: list[str]) -> None:
    content = MARKS[encoding] + "".join(line + "\n" for line in lines).encode(encoding)
    assert read(content) == lines


@given(st.lists(st.binary(max_size=8).filter(lambda raw: not {0, 10, 13} & set(raw)), min_size=1, max_size=8))
def test_read_lines_keeps_invalid_utf8(raws: list[bytes]) -> None:
    expected = [raw.decode("utf-8", "surrogateescape") for raw in raws]
    content = b"\xef\xbb\xbf" + b"".join(raw + b"\n" for raw in raws)
    for packed in (content, gzip.compress(content)):
        assert read(packed) == expected


def test_read_lines_keeps_carriage_returns_inside_lines() -> None:
    assert read(b"a\rb\nc\r\nd\r\r\n") == ["a\rb", "c", "d"]
    assert read(b"a\r") == ["a"]


def test_read_lines_drops_a_byte_order_mark_only_at_the_start() -> None:
    assert read("\ufeff\ufeffa\n\ufeffb\n".encode()) == ["\ufeffa", "\ufeffb"]


def test_read_lines_returns_lines_longer_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_SIZE", 7)
    for encoding in MARKS:
        for end in ("\n", "\r\n", "\r"):
            assert read(MARKS[encoding] + end.join(LINES).encode(encoding)) == LINES, (encoding, end)


def test_read_lines_of_truncated_utf16_raises() -> None:
    with pytest.raises(FormatError, match="invalid UTF-16-LE"):
        read("cat\n".encode("utf-16")[:-1])


@pytest.mark.parametrize("content", [b"a\0b\n", b"\0\x01\x02\n", b"ab\0\0\ncd", "犬猫".encode("utf-16-le")])
def test_detect_encoding_of_ambiguous_bytes_is_utf8(content: bytes) -> None:
    assert module.detect_encoding(content) == "utf-8"


def test_read_lines_accepts_every_kind_of_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    content = "\ufeffcat\r\ndog\r\n".encode()
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        archive.writestr("a.txt", content)
        archive.writestr("b.txt", b"")
    (tmp_path / "packed").write_bytes(bz2.compress(content))
    (tmp_path / "plain").write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    for source in (tmp_path / "many.zip" / "a.txt", str(tmp_path / "packed"), tmp_path / "plain", Path("-")):
        assert list(read_lines(source, progress=False)) == ["cat", "dog"]


@given(st.text("ab\r\n é犬"), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.integers(1, 9))
def test_read_lines_does_not_depend_on_the_block_size(text: str, encoding: str, block: int) -> None:
    content = text.encode(encoding)
    expected = read(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_SIZE", block)
        assert read(content) == expected


def test_read_lines_accepts_a_long_line_of_a_compressed_json_list() -> None:
    generator = random.Random(0)
    words = [f"{generator.getrandbits(64):x}" for _ in range(600_000)]
    content = json.dumps(words).encode()
    assert len(content) > 1 << 23
    assert read(gzip.compress(content, 1)) == [content.decode()]


def test_read_lines_accepts_lines_of_any_length_in_plain_files() -> None:
    assert [len(line) for line in read(b"x" * 10_000_000)] == [10_000_000]


def test_read_lines_refuses_an_endless_compressed_line() -> None:
    with pytest.raises(FormatError, match=r"a line is too long: found no line end in 8,388,608 bytes"):
        read(gzip.compress(b"x" * 20_000_000))
