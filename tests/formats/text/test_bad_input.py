"""Damaged files: an error gives the position and a hint, or malformed rows are skipped and counted."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

import vecload

GOOD = b"the 0.1 0.2 0.3\nof 0.4 0.5 0.6\n"


def refused(data: bytes, **options: object) -> vecload.errors.FormatError:
    with pytest.raises(vecload.errors.FormatError) as caught:
        vecload.load(io.BytesIO(data), **options)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"cat 0.1 0.2", "line 3, byte 31: too few values: found 2 values, expected 3."),
        (b"cat", "line 3, byte 31: too few values: found 0 values, expected 3."),
        (
            b"cat 0.1 0.2 0.3 0.4",
            "line 3, byte 35: too many values: found 4 values, expected 3. "
            "If the word does end in a number, put a tab between word and values.",
        ),
        (b"cat 0.1 zwei 0.3", "line 3, byte 39: a value that is not a number: found 'zwei', expected 3 numbers."),
        (b"cat 0.1 0,2 0.3", "line 3, byte 39: a value that is not a number: found '0,2', expected 3 numbers."),
        (b" 0.1 0.2 0.3", "line 3, byte 31: an empty word: found a line that begins with a separator."),
        (b"c\0t 0.1 0.2 0.3", "line 3, byte 32: a NUL byte. The file is damaged, or is not text."),
        (b"", "line 3, byte 31: an empty line."),
    ],
)
def test_malformed_line_is_refused_with_its_position_or_skipped(line: bytes, message: str) -> None:
    data = GOOD + line + b"\nand 0.7 0.8 0.9\n"
    error = refused(data)
    assert str(error) == "<stream>, " + message
    assert error.line == 3
    vectors = vecload.load(io.BytesIO(data), errors="skip")
    assert list(vectors.words) == ["the", "of", "and"]
    assert vectors.meta["skipped"] == {error.problem: 1}


def test_line_number_of_an_error_counts_the_header_and_all_chunks() -> None:
    rows = b"".join(b"w%d 0.25 0.5 0.75\n" % at for at in range(100_000))
    error = refused(b"100001 3\n" + rows + b"bad 1 x 2\n")
    assert (error.line, error.byte) == (100_002, len(rows) + 9 + 6)


@pytest.mark.parametrize("cut", range(len(GOOD) - 13, len(GOOD) - 5))
def test_file_cut_in_the_middle_of_a_row_is_refused_with_a_hint(cut: int) -> None:
    error = refused(GOOD[:cut])
    assert error.line == 2
    assert "download or copy it again" in str(error)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "the file is empty"),
        (b"\n\n  \n", "the file holds no rows"),
        (b"10 3\n", "a header without rows"),
        (b"0 3\ncat 1 2 3\n", "invalid sizes in the header: found 0 rows of 3 values"),
        (b"-5 3\ncat 1 2 3\n", "invalid sizes in the header: found -5 rows"),
        (b"2 0\ncat 1 2 3\n", "invalid sizes in the header: found 2 rows of 0 values"),
        (b"1000000000000000 3\ncat 1 2 3\n", "invalid sizes in the header"),
        (b"2 99999999\ncat 1 2 3\n", "invalid sizes in the header"),
        (b"hello world\nthis is prose\n", "no vectors in the first lines"),
    ],
)
def test_file_without_rows_is_refused(data: bytes, part: str) -> None:
    assert part in str(refused(data))


def test_absurd_count_in_the_header_allocates_no_memory() -> None:
    data = b"999999999999 1000\n" + b"cat" + b" 0.5" * 1000 + b"\n"
    assert len(vecload.load(io.BytesIO(data))) == 1  # the count is allowed, but not allocated


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!DOCTYPE html>\n<html><title>404 Not Found</title>", "an HTML page"),
        (b"<html><body>Service unavailable", "an HTML page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b"2 10\ncat 1:0.5 7:0.25\ndog 2:0.5\n", "sparse vectors"),
        (b"cat 1:0.5 7:0.25\ndog 2:0.5\n", "sparse vectors"),
        (
            gzip.compress(gzip.compress(GOOD, mtime=0), mtime=0),
            "a gzip stream inside",
        ),  # a fixed time keeps the name of the test the same
        (b"GGUF\x03\0\0\0" + bytes(100), "a GGUF model"),
        (b"\x1f\x9d\x90" + bytes(100), "a file of Unix compress (.Z)"),
        (b"LZIP\x01" + bytes(100), "an lzip file"),
        (bytes(range(256)) * 20, "binary data"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a Git LFS pointer"),
        (b'{"cats": {"x": 0.1}}', "a JSON document"),
        (b'{"model_type": "bert", "hidden_size": 768}', "the settings of a model"),
        (b'{"version": "1.0", "truncation": null, "added_tokens": []}', "a tokenizer"),
        (b'["cat", "dog"]', "a JSON list of strings"),
        (b'{"cat": 0, "dog": 1}', "a JSON object of numbers"),
    ],
)
def test_error_names_the_kind_of_other_files(data: bytes, what: str) -> None:
    assert str(refused(data)).startswith(f"<stream>: not a file of word vectors: found {what}")


def test_line_longer_than_the_limit_is_refused() -> None:
    error = refused(b"cat 0.5 0.5\n" + b"x" * 10_000_000)
    assert "the line is too long" in str(error)
    assert "the line is too long" in str(refused(b"1 " * 5_000_000))


def test_load_refuses_other_folders_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(vecload.errors.FormatError, match="a directory, not a file"):
        vecload.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no such file.*nothing\.txt"):
        vecload.load(tmp_path / "nothing.txt")


@pytest.mark.parametrize("cut", [20, 100, 1000, -9, -1])
def test_compressed_file_cut_short_is_refused(cut: int) -> None:
    data = b"".join(b"w%d 0.%d 0.5\n" % (at, at * at) for at in range(2_000))
    error = refused(gzip.compress(data)[:cut])
    assert "the gzip stream is cut short" in str(error)


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(GOOD * 100))
    packed[15:20] = b"\xff" * 5
    assert "gzip stream is damaged" in str(refused(bytes(packed)))
    file = tmp_path / "v.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("v.txt", GOOD)
    raw = file.read_bytes()
    file.write_bytes(raw.replace(b"0.5", b"0.6"))
    with pytest.raises(vecload.errors.FormatError, match="zip member is damaged"):
        vecload.load(file)
    file.write_bytes(raw[:60])
    with pytest.raises(vecload.errors.FormatError, match="cut short or damaged"):
        vecload.load(file)


def test_claimed_size_of_an_archive_member_allocates_no_memory(tmp_path: Path) -> None:
    member = tarfile.TarInfo("v.txt")
    member.size = 1 << 44
    path = tmp_path / "v.tar"
    path.write_bytes(member.tobuf() + GOOD * 5_000)
    with pytest.raises(vecload.errors.FormatError, match="tar member is damaged"):
        vecload.load(path / "v.txt")


def test_file_with_malformed_lines_only_is_refused_even_if_they_are_skipped() -> None:
    error = refused(b"3 2\nx y z\na b c\nd e f\n", errors="skip")
    assert "no line could be read" in str(error)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8"}, "dtype='int8' is not one of 'float16', 'bfloat16', 'float32', 'float64'"),
        ({"errors": "ignore"}, "errors='ignore' is not one of 'raise', 'skip'"),
        ({"limit": -1}, "limit=-1 is negative"),
        ({"vocab": "cat"}, "vocab must be a list of strings, not one string: found 'cat'; pass ['cat']"),
    ],
)
def test_load_refuses_invalid_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(vecload.errors.OptionError) as caught:
        vecload.load(io.BytesIO(GOOD), **options)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_load_refuses_files_opened_in_text_mode() -> None:
    with pytest.raises(vecload.errors.OptionError, match="open it with mode 'rb'"):
        vecload.load(io.StringIO("cat 1 2"))  # type: ignore[arg-type]


def test_format_error_keeps_its_position_when_pickled() -> None:
    error = refused(b"a 1 2\nb 1 x\n")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.line, again.byte) == (str(error), error.line, error.byte)
