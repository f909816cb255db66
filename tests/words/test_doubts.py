"""Check the words of a table as a whole, in every reader and for every writer."""

from __future__ import annotations

import gzip
import io
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import vecload
from vecload.words import Words
from vecload.words.doubts import SharedSpaces, find_doubt

ORDINARY = {
    "common English words": "the , . of to and in a \" 's for - that on is was said with he as it by at ( )".split(),
    "punctuation only": [*", . : ; ! ? ' \" ( ) [ ] -- ... '' `` , , :) :-( \"\" ,, ::".split()],
    "Japanese": "の 、 。 に は を た が で て 「 」 北海道 東京 ， ： ＂".split(),
    "words with wide spaces": ["a\u3000b", "c\u00a0d", "\u0085", "\u00a0e"],
    "node2vec": [str(node) for node in range(400)],
    "negative whole numbers": [str(node) for node in range(-200, 200)],
    "emoji": ["😀", "😃", "👍🏽", "❤️", "🇯🇵", "👨\u200d👩\u200d👧"],
    "names of emoji": [":smile:", ":heart:", ":+1:", ":100:", ":8ball:"],
    "phrases that end in a number": ["area 51", "route 66", "apollo 11"],
    "phrases": ["New York", "San Francisco", "ice cream", "2 guns", "10 downing street"],
    "URIs": ["/c/en/cat", "/c/en/dog", "/c/en/new_york"],
    "years and versions": ["1.0", "2.1", "python", "3.11", "windows", "95"],
    "hashtags": ["#1", "#cat", "@home", "user_17", "user_18"],
    "one odd word": ["the,", "cat", "dog", "mat"],
    "one word": ["the,"],
    "no words": [],
    "the empty word": ["", ""],
    "sub-word pieces": ["▁the", "##ing", "Ġcat", "</s>", "<unk>", "[PAD]"],
}


@pytest.mark.parametrize("words", ORDINARY.values(), ids=ORDINARY)
def test_find_doubt_finds_nothing_in_ordinary_words(words: list[str]) -> None:
    packed = Words.from_strings(words)
    assert find_doubt(packed) is None
    assert SharedSpaces.of(packed) == SharedSpaces()


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("{}, ", "end in a space"),
        ("{},", "end in a comma"),
        ("{}:", "end in a colon"),
        ('"{}"', "are in quotes"),
        ("'{}'", "are in quotes"),
        ("{} 1061396", "end in a number"),
        ("{}\t-0.25", "end in a number"),
        ("7\t{}", "begin with a number"),
        ("7 {}", "begin with a number"),
        ("NN\t{}", "contain tabs"),
        ("{}\rdog", "contain carriage returns"),
        (" {}", "begin with a space"),
        ("{} ", "end in a space"),
        ("\x01{}", "contain control characters"),
        ("{}\ndog", "contain control characters"),
    ],
)
@pytest.mark.parametrize("count", [5, 19, 20, 3000])
def test_find_doubt_reports_the_property_of_nearly_all_words(form: str, text: str, count: int) -> None:
    shaped = [form.format(f"w{at}x") for at in range(count)]
    found = find_doubt(Words.from_strings(shaped))
    assert found is not None
    assert text in found.text
    few = max(2, count // 10)
    assert find_doubt(Words.from_strings([*shaped, *(f"cat{at}x" for at in range(few))])) is None
    if count >= 1000:
        assert find_doubt(Words.from_strings([*shaped, "cat"])) is not None


@pytest.mark.parametrize("text", [" {}x", '"{}', "'{}'", "{} {}x", ",{}", "{}\t"])
@pytest.mark.parametrize("unit", ["1", "'", "1,", " ", "1e"])
def test_find_doubt_takes_linear_time_for_long_words(text: str, unit: str) -> None:
    long = [text.format(unit * 100_000, unit)] * 60
    begin = time.perf_counter()
    find_doubt(Words.from_strings(long))
    assert time.perf_counter() - begin < 2


def test_find_doubt_reports_decimal_numbers_but_not_integers() -> None:
    numbers = [f"{value:.4f}" for value in np.random.default_rng(0).normal(size=500)]
    found = find_doubt(Words.from_strings(numbers))
    assert found is not None
    assert "are decimal numbers (500 of 500 checked" in found.text
    assert find_doubt(Words.from_strings([*numbers[:10], *map(str, range(490))])) is None


def test_find_doubt_checks_the_encoding_of_non_ascii_words() -> None:
    ascii_words = [b"w%d" % at for at in range(5000)]
    latin = ["été", "naïve", "über"] * 20
    found = find_doubt(Words.from_bytes([*ascii_words, *(word.encode("latin-1") for word in latin)]))
    assert found is not None
    assert "not valid UTF-8 (60 of 60 non-ASCII words checked" in found.text
    assert find_doubt(Words.from_bytes([*ascii_words, *(word.encode() for word in latin), b"\xff"])) is None


@pytest.mark.parametrize(
    ("words", "stripped"),
    [
        (["cat ", "dog  "], ["cat", "dog"]),
        ([" cat", "\tdog"], ["cat", "dog"]),
        ([" cat ", " dog "], ["cat", "dog"]),
        ([" cat", "dog"], [" cat", "dog"]),
        ([" ", " a"], [" ", " a"]),
        (["  ", " a"], ["  ", " a"]),
        ([" cat"], [" cat"]),
        (["", ""], ["", ""]),
    ],
)
def test_shared_spaces_are_removed_only_if_all_words_have_them(words: list[str], stripped: list[str]) -> None:
    packed = Words.from_strings(words)
    assert list(SharedSpaces.of(packed).strip(packed)) == stripped


def text_of(form: str, count: int = 300) -> bytes:
    rng = np.random.default_rng(0)
    rows = (form.format(f"w{at}") + " ".join(f"{value:.4f}" for value in rng.normal(size=4)) for at in range(count))
    return "".join(row + "\n" for row in rows).encode()


PLAIN = vecload.load(io.BytesIO(text_of("{} ")))


@pytest.mark.parametrize(("form", "side"), [("{}  ", "ended in"), (" {} ", "began with"), ("{}\t ", "ended in")])
@pytest.mark.parametrize("header", [b"", b"300 4\n"])
def test_load_removes_spaces_that_all_words_share(form: str, side: str, header: bytes) -> None:
    data = header + text_of(form)
    with pytest.warns(vecload.VecloadWarning, match=f"all words checked {side} a space, which was removed"):
        vectors = vecload.load(io.BytesIO(data))
    assert vectors.meta["doubt"] == f"all words checked {side} a space, which was removed"
    assert vectors.words == PLAIN.words
    assert np.array_equal(vectors.matrix, PLAIN.matrix)
    with pytest.warns(vecload.VecloadWarning):
        some = vecload.load(io.BytesIO(data), vocab=["w299", "w7", "absent"])
    assert list(some.words) == ["w7", "w299"]
    with pytest.warns(vecload.VecloadWarning):
        assert list(vecload.load(io.BytesIO(data), limit=2).words) == ["w0", "w1"]
    with pytest.warns(vecload.VecloadWarning):
        assert list(vecload.load(io.BytesIO(data), prefix="w29").words)[:2] == ["", "0"]
    with pytest.raises(vecload.errors.FormatError, match="the words are doubtful: found all words checked"):
        vecload.load(io.BytesIO(data), strict=True)
    look = vecload.info(io.BytesIO(data))
    assert look.words[0] == "w0"
    assert look.doubt == vectors.meta["doubt"]
    assert "doubt        all words checked" in str(look)


def test_load_strips_lines_that_need_the_slow_parser() -> None:
    data = text_of("{}  ") + b"odd one  0.12345678901234567890123 1_0 1 1\n"
    with pytest.warns(vecload.VecloadWarning):
        vectors = vecload.load(io.BytesIO(data))
    assert vectors["odd one"][1] == 10


def test_load_keeps_the_spaces_of_a_single_word() -> None:
    data = text_of("{} ") + b"cat  1 2 3 4\n dog 1 2 3 4\n"
    vectors = vecload.load(io.BytesIO(data), strict=True)
    assert "cat " in vectors
    assert " dog" in vectors


@pytest.mark.parametrize(
    ("form", "text"),
    [("{}, ", "end in a comma"), ('"{}" ', "in quotes"), ("17\t{}\t", "begin with a number"), ("{}: ", "a colon")],
)
def test_load_warns_of_doubtful_words(form: str, text: str) -> None:
    data = text_of(form)
    with pytest.warns(vecload.VecloadWarning, match=text):
        vectors = vecload.load(io.BytesIO(data))
    assert text in vectors.meta["doubt"]
    assert text in (vecload.info(io.BytesIO(data)).doubt or "")
    with pytest.raises(vecload.errors.FormatError, match=text):
        vecload.load(io.BytesIO(data), strict=True)


def test_load_of_selected_words_checks_the_first_words_if_none_match() -> None:
    data = text_of("{}, ")
    with pytest.warns(vecload.VecloadWarning, match="end in a comma"):
        assert not len(vecload.load(io.BytesIO(data), vocab=["w7"]))
    with pytest.warns(vecload.VecloadWarning, match="end in a comma"):
        assert not len(vecload.load(io.BytesIO(data), prefix="x"))
    numbers = text_of("{} ") + b"0.5 1 2 3 4\n1.5 1 2 3 4\n"
    assert len(vecload.load(io.BytesIO(numbers), vocab=["0.5", "1.5"], strict=True)) == 2


def numbers_of(dim: int, separator: str = "\t") -> bytes:
    matrix = np.random.default_rng(1).normal(size=(50, dim))
    return "".join(separator.join(f"{value:.4f}" for value in row) + "\n" for row in matrix).encode()


@pytest.mark.parametrize("separator", ["\t", " "])
def test_load_refuses_numbers_without_words(separator: str, tmp_path: Path) -> None:
    data = numbers_of(5, separator)
    with pytest.raises(vecload.errors.FormatError, match="numbers only, without words"):
        vecload.load(io.BytesIO(data))
    with pytest.raises(vecload.errors.FormatError, match="numbers only, without words"):
        vecload.convert(io.BytesIO(data), tmp_path / "out.vec")
    with pytest.raises(vecload.errors.FormatError, match="--source-format glove"):
        vecload.check(io.BytesIO(data), ["cat"])
    assert not (tmp_path / "out.vec").exists()
    assert "decimal numbers" in (vecload.info(io.BytesIO(data)).doubt or "")
    with pytest.warns(vecload.VecloadWarning, match="decimal numbers"):  # format= reads them anyway
        assert vecload.load(io.BytesIO(data), format="glove").dim == 4
    with pytest.raises(vecload.errors.FormatError, match="The row holds numbers only: its word is missing"):
        vecload.load(io.BytesIO(b"50 5\n" + data))
    pandas = separator.join(["0.6046", "0.3611", "-1.0777"]) + "\n"  # pandas takes the first row for column names
    pandas += "".join(separator.join(["0", f"{row}.5", "1.8574", "-0.1410"]) + "\n" for row in range(3))
    with pytest.raises(vecload.errors.FormatError, match="The row holds numbers only: its word is missing"):
        vecload.load(io.BytesIO(pandas.encode()))


def test_load_refuses_the_vectors_file_of_a_tensorboard_folder(tmp_path: Path) -> None:
    PLAIN.save(tmp_path / "board", format="tensorboard")
    file = tmp_path / "board" / "vectors.tsv"
    (tmp_path / "board" / "metadata.tsv").unlink()
    with pytest.raises(vecload.errors.FormatError, match="numbers only"):
        vecload.load(file)


def test_native_file_stores_the_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native = tmp_path / "kept.safetensors"
    with pytest.warns(vecload.VecloadWarning, match="end in a comma"):
        vecload.convert(io.BytesIO(text_of("{}, ")), native)
    raw = native.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert "end in a comma" in json.loads(header["__metadata__"]["meta"])["doubt"]
    monkeypatch.setattr("vecload.reading.find_doubt", lambda _: pytest.fail("opening a native file scanned it"))
    monkeypatch.setattr("vecload.inspection.find_doubt", lambda _: pytest.fail("opening a native file scanned it"))
    with pytest.warns(vecload.VecloadWarning, match="end in a comma"):
        vectors = vecload.load(native)
    again = tmp_path / "again.safetensors"
    vectors.save(again)
    assert "end in a comma" in (vecload.info(again).doubt or "")
    with pytest.raises(vecload.errors.FormatError, match="end in a comma"):
        vecload.load(again, strict=True)
    for doubt in (["a"], "x" * 5000):
        with pytest.raises(vecload.errors.OptionError, match="doubt"):
            vecload.Vectors(vectors.words, vectors.matrix, {"doubt": doubt}).save(again)
    PLAIN.save(native)
    assert "doubt" not in vecload.load(native, strict=True).meta


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "bin", "parquet"])
def test_convert_strips_and_reports_like_load(suffix: str, tmp_path: Path) -> None:
    target = tmp_path / f"out.{suffix}"
    with pytest.warns(vecload.VecloadWarning, match="all words checked began with a space"):
        vecload.convert(io.BytesIO(text_of(" {} ")), target)
    with warnings.catch_warnings():
        if suffix == "safetensors":
            warnings.simplefilter("ignore", vecload.VecloadWarning)
        assert vecload.load(target).words == PLAIN.words
    with pytest.raises(vecload.errors.FormatError, match="all words checked began with a space"):
        vecload.convert(io.BytesIO(text_of(" {} ")), tmp_path / f"strict.{suffix}", strict=True)
    assert not (tmp_path / f"strict.{suffix}").exists()


def test_load_keeps_a_later_word_without_the_shared_space() -> None:
    """The first words decide, because words are stripped while the file is read; the report does not claim more."""
    data = text_of(" {} ", 30_000) + b"last 0.1 0.2 0.3 0.4\n w7 0 0 0 0\n"
    with pytest.warns(vecload.VecloadWarning, match="all words checked began with a space"):
        vectors = vecload.load(io.BytesIO(data))
    assert vectors.words[-1] == "last"
    assert len(vectors) == 30_001
    assert vectors.meta["duplicates"] == 1


@pytest.mark.parametrize("suffix", ["npz", "parquet", "arrow"])
def test_load_checks_tables_that_are_not_text(suffix: str, tmp_path: Path) -> None:
    words = Words.from_strings([f" w{at}" for at in range(300)])
    vecload.Vectors(words, PLAIN.matrix).save(tmp_path / f"out.{suffix}")
    with pytest.warns(vecload.VecloadWarning, match="all words checked began with a space"):
        vectors = vecload.load(tmp_path / f"out.{suffix}")
    assert vectors.words == PLAIN.words
    assert np.array_equal(vectors.matrix, PLAIN.matrix)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("header", [b"", b"300 4\r"])
def test_load_names_lone_carriage_returns(packed: bool, header: bytes) -> None:
    data = header + text_of("{} ").replace(b"\n", b"\r")
    data = gzip.compress(data) if packed else data
    with pytest.raises(vecload.errors.FormatError, match="lines end in carriage returns, not in line feeds"):
        vecload.load(io.BytesIO(data))
    with pytest.raises(vecload.errors.FormatError, match="lines end in carriage returns"):
        vecload.info(io.BytesIO(data))


def test_load_reads_carriage_returns_before_line_feeds() -> None:
    assert vecload.load(io.BytesIO(text_of("{} ").replace(b"\n", b"\r\n"))).words == PLAIN.words


def test_load_names_commas_after_values() -> None:
    data = b"".join(b"w%d, 0.5, -1.25, 3\n" % at for at in range(9))
    with pytest.raises(vecload.errors.FormatError, match=r"commas after the values: found 'w0, 0\.5, -1\.25, 3'"):
        vecload.load(io.BytesIO(data), format="glove")
    assert vecload.load(io.BytesIO(data)).matrix.shape == (9, 3), "without format=, it is CSV"
    assert list(vecload.load(io.BytesIO(b"cat, dog 1\ncat 0.5\n"), strict=True).words) == ["cat, dog", "cat"]


@pytest.mark.parametrize("text", [b"400000 7\ncat 3\ndog 4\n", b"400000 1\ncat 3\ndog 4\n"])
def test_load_reports_an_ambiguous_header_as_a_doubt(text: bytes) -> None:
    with pytest.warns(vecload.VecloadWarning, match="was read as a row"):
        assert "was read as a row" in vecload.load(io.BytesIO(text)).meta["doubt"]
    with pytest.raises(vecload.errors.FormatError, match="was read as a row"):
        vecload.load(io.BytesIO(text), strict=True)
    assert "doubt" not in vecload.load(io.BytesIO(text), format="glove", strict=True).meta


def test_load_finds_no_doubt_in_real_glove_words(real_glove: Path) -> None:
    assert "doubt" not in vecload.load(real_glove, strict=True).meta
