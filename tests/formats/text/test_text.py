"""Valid text files of every kind, compared with gensim and with the rules of docs/text-formats.md."""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import vecload

SMALL = b"cat 0.1 0.2\ndog 0.3 0.4\n"


def load(data: bytes, **options: object) -> vecload.Vectors:
    return vecload.load(io.BytesIO(data), **options)  # type: ignore[arg-type]


def words_of(data: bytes, **options: object) -> list[bytes]:
    vectors = load(data, **options)
    return [vectors.words.bytes(at) for at in range(len(vectors))]


@pytest.mark.parametrize(
    "data",
    [
        SMALL,
        b"2 2\n" + SMALL,
        b"2 2 \n" + SMALL.replace(b"\n", b" \n"),
        SMALL.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + SMALL,
        b"\xef\xbb\xbf2 2\n" + SMALL,
        SMALL.rstrip(),
        SMALL + b"\n\n \r\n",
        SMALL.replace(b" ", b"\t"),
        b"cat\t0.1 0.2\ndog\t0.3 0.4",
        b"cat 0.1  0.2\ndog 0.3\t 0.4",
        b"2\t2\r\n" + SMALL,
    ],
)
def test_load_accepts_every_spelling_of_the_same_file(data: bytes) -> None:
    vectors = load(data)
    assert list(vectors.words) == ["cat", "dog"]
    assert vectors.matrix.tobytes() == np.array([[0.1, 0.2], [0.3, 0.4]], dtype=np.float32).tobytes()
    assert "duplicates" not in vectors.meta


@pytest.mark.parametrize(
    "word",
    [
        "\u00a0",
        "a\u00a0b",
        "\u3000",
        "\u0085",
        "\u2028",
        "\x1c",
        "\x0b",
        ". . .",
        "at name@domain.com",
        "New York",
        "area 51",
        " ",
        "12",
        "0.5",
        "\ufeffx",
        "日本",
    ],
)
@pytest.mark.parametrize("header", [b"", b"3 3\n"])
def test_load_keeps_unusual_words_byte_for_byte(word: str, header: bytes) -> None:
    raw = word.encode()
    data = header + b"the 1.5 2.5 3.5\n" + raw + b" 0.25 0.5 -0.125\nof 1.5 2.5 3.5\n"
    assert words_of(data) == [b"the", raw, b"of"]
    assert load(data)[word].tolist() == [0.25, 0.5, -0.125]
    assert words_of(data, vocab=[word]) == [raw]


def test_load_keeps_words_of_invalid_utf8() -> None:
    with pytest.warns(vecload.VecloadWarning, match="not valid UTF-8"):
        vectors = load(b"\xff\xe6 1 2\ncaf\xc3 3 4\n")
    assert [word.encode("utf-8", "surrogateescape") for word in vectors.words] == [b"\xff\xe6", b"caf\xc3"]
    assert vectors["\udcff\udce6"].tolist() == [1, 2]


def test_first_line_of_two_whole_numbers_is_a_row_if_the_others_have_one_value() -> None:
    assert list(load(b"400000 0.5\ncat 0.25\ndog 0.75\n").words) == ["400000", "cat", "dog"]
    with pytest.warns(vecload.VecloadWarning, match="read as a row"):
        vectors = load(b"400000 7\ncat 3\ndog 4\n")
    assert list(vectors.words) == ["400000", "cat", "dog"]
    assert "read as a row" in vectors.meta["doubt"]
    assert list(load(b"2 1\ncat 3\ndog 4\n").words) == ["cat", "dog"]
    assert list(load(b"2 1\ncat 3\ndog 4\n", format="glove").words) == ["2", "cat", "dog"]
    assert list(load(b"400000 1\ncat 3\ndog 4\n", format="word2vec").words) == ["cat", "dog"]


def test_first_line_of_three_numbers_is_a_row() -> None:
    assert list(load(b"1 2 3\n4 5 6\n").words) == ["1", "4"]


@pytest.mark.parametrize("claimed", [1, 3, 400_000])
def test_wrong_header_count_is_logged_and_refused_if_strict(claimed: int, caplog: pytest.LogCaptureFixture) -> None:
    data = b"%d 2\n" % claimed + SMALL
    with caplog.at_level(logging.WARNING, logger="vecload"):
        assert len(load(data)) == 2
    assert f"the header says {claimed} rows, the file holds 2" in caplog.text
    with pytest.raises(
        vecload.errors.FormatError, match=f"header's count is wrong: found 2 rows, expected {claimed:,}"
    ):
        load(data, strict=True)


def test_load_keeps_first_row_of_duplicate_words() -> None:
    data = b"a 1 1\nb 2 2\na 3 3\nc 4 4\nb 5 5\n"
    vectors = load(data)
    assert list(vectors.words) == ["a", "b", "c"]
    assert vectors.matrix.tolist() == [[1, 1], [2, 2], [4, 4]]
    assert vectors.meta["duplicates"] == 2
    with pytest.raises(vecload.errors.FormatError, match="repeated words"):
        load(data, strict=True)


def test_limit_and_vocab_select_rows() -> None:
    data = b"".join(b"w%d %d 0.5\n" % (at, at) for at in range(50_000))
    everything = load(data)
    assert load(data, limit=7).matrix.tolist() == everything.matrix[:7].tolist()
    assert load(data, limit=0).matrix.shape == (0, 2)
    assert len(load(data, limit=10**9)) == 50_000
    wanted = ["w49999", "absent", "w3", "w3"]
    some = load(data, vocab=wanted)
    assert list(some.words) == ["w3", "w49999"]
    assert some.matrix.tolist() == everything[["w3", "w49999"]].tolist()
    assert list(load(data, vocab=wanted, limit=100).words) == ["w3"]
    assert len(load(data, vocab=[])) == 0
    assert list(load(data, vocab=everything.select(["w9"])).words) == ["w9"]
    assert list(load(data, vocab=vecload.Vocab.from_words(["w9"], pad_token="<pad>")).words) == ["w9"]


def test_vocab_skips_malformed_rows_of_other_words() -> None:
    assert list(load(b"cat 1 2\nbad x y\ndog 3 4\n", vocab=["dog"]).words) == ["dog"]


def test_rows_of_many_chunks_stay_in_order() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(30_000, 20)).astype(np.float32)
    data = b"".join(b"w%d " % at + " ".join(map(str, row.tolist())).encode() + b"\n" for at, row in enumerate(matrix))
    vectors = load(data)
    assert vectors.matrix.tobytes() == matrix.tobytes()
    assert [vectors.words[at] for at in (0, 12_345, 29_999)] == ["w0", "w12345", "w29999"]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtype_rounds_like_float(dtype: str) -> None:
    vectors = load(b"a 0.1 -0.0008546282343595379\n", dtype=dtype)
    assert vectors.dtype == dtype
    expected = np.array([float("0.1"), float("-0.0008546282343595379")]).astype(dtype)
    assert vectors["a"].tobytes() == expected.tobytes()


def test_nonfinite_values_are_refused_unless_allowed() -> None:
    data = b"a 1 2\nb nan -Infinity\nc 1e39 1.#QNAN\n"
    with pytest.raises(
        vecload.errors.FormatError, match="line 2, byte 8: a value that is not finite in float32: found 'nan'"
    ):
        load(data)
    kept = load(data, allow_nonfinite=True).matrix
    assert np.isnan(kept[1, 0])
    assert kept[1, 1] == -np.inf
    assert kept[2, 0] == np.inf
    assert np.isnan(kept[2, 1])
    assert load(data, errors="skip").meta["skipped"] == {"a value that is not finite in float32": 2}


COMPRESS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "plain": bytes,
}


def zst(data: bytes) -> bytes:
    return bytes(pytest.importorskip("zstandard").ZstdCompressor().compress(data))


@pytest.mark.parametrize("kind", [*COMPRESS, "zst"])
def test_compression_is_detected_from_content(kind: str, tmp_path: Path) -> None:
    data = b"".join(b"w%d 0.%d 0.5\n" % (at, at) for at in range(100_000))
    packed = COMPRESS.get(kind, zst)(data)
    file = tmp_path / "vectors.dat"
    file.write_bytes(packed)
    expected = load(data)
    for source in (file, str(file), io.BytesIO(packed)):
        vectors = vecload.load(source)
        assert vectors.words == expected.words
        assert vectors.matrix.tobytes() == expected.matrix.tobytes()
    with file.open("rb") as opened:
        assert len(vecload.load(opened)) == 100_000
        assert not opened.closed


def test_load_reads_several_gzip_streams_and_ignores_padding() -> None:
    packed = gzip.compress(b"cat 1 2\n") + gzip.compress(b"dog 3 4\n") + bytes(512)
    assert list(load(packed).words) == ["cat", "dog"]


def test_load_reads_members_of_zip_archives_by_path(tmp_path: Path) -> None:
    one, many = tmp_path / "one.zip", tmp_path / "many.zip"
    with zipfile.ZipFile(one, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/v.txt", SMALL)
    with zipfile.ZipFile(many, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("g.50d.txt", SMALL)
        archive.writestr("g.100d.txt", b"x 1 2 3\n")
    assert len(vecload.load(one)) == 2
    assert vecload.load(many / "g.100d.txt").dim == 3
    with pytest.raises(
        vecload.errors.FormatError, match=r"archive of 2 files.*many.zip/g.50d.txt, .*many.zip/g.100d.txt"
    ):
        vecload.load(many)
    with pytest.raises(vecload.errors.FormatError, match=r"no member 'g.txt'. It holds: g.50d.txt, g.100d.txt"):
        vecload.load(many / "g.txt")


def test_load_reads_standard_input() -> None:
    code = "import vecload; print(vecload.load('-'))"
    done = subprocess.run([sys.executable, "-c", code], input=gzip.compress(SMALL), capture_output=True, check=True)
    assert done.stdout.decode().strip() == "<Vectors: 2 words × 2 float32, GloVe text, <stdin>>"


def test_load_reads_a_stream_that_returns_few_bytes_at_a_time() -> None:
    class Drip(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.data = data

        def readable(self) -> bool:
            return True

        def readinto(self, view: memoryview) -> int:  # type: ignore[override]
            piece, self.data = self.data[: min(3, len(view))], self.data[min(3, len(view)) :]
            view[: len(piece)] = piece
            return len(piece)

    assert len(vecload.load(Drip(SMALL))) == 2  # type: ignore[arg-type]


def test_result_does_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(b"w%d 0.%d %d\n" % (at % 90_000, at, at) for at in range(120_000))
    results = []
    for count in (1, 2, 7):
        monkeypatch.setattr("vecload.kernels.workers", lambda count=count: count)
        results.append(load(data))
    assert all(one.words == results[0].words for one in results)
    assert len({one.matrix.tobytes() for one in results}) == 1


def test_progress_function_gets_bytes_done_and_total() -> None:
    seen: list[tuple[int, int | None]] = []
    load(SMALL, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(SMALL), len(SMALL))


gensim_data = pytest.importorskip("gensim.test.utils").datapath("") if sys.version_info < (3, 14) else ""


@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # gensim leaves the file open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not gensim_data, reason="gensim has no wheel for this Python")
@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("word2vec_pre_kv_c", True),
        ("test_glove.txt", False),
        ("crime-and-punishment.vec", True),
        ("toy-model.vec", True),
        ("lee_fasttext.vec", True),
        ("high_precision.kv.txt", True),
        ("pang_lee_polarity_fasttext.vec", True),
        ("EN.1-10.cbow1_wind5_hs0_neg10_size300_smpl1e-05.txt", True),
        ("IT.1-10.cbow1_wind5_hs0_neg10_size300_smpl1e-05.txt", True),
    ],
)
def test_load_equals_gensim_on_the_files_of_its_tests(name: str, header: bool) -> None:
    from gensim.models import KeyedVectors

    path = os.path.join(gensim_data, name)  # noqa: PTH118
    expected = KeyedVectors.load_word2vec_format(path, no_header=not header, unicode_errors="surrogateescape")
    vectors = vecload.load(path)
    assert list(vectors.words) == expected.index_to_key
    assert vectors.matrix.tobytes() == expected.vectors.tobytes()
    assert ("header" in vectors.meta) == header


def test_load_equals_float_on_the_real_glove_file(real_glove: Path) -> None:
    path = real_glove
    vectors = vecload.load(path)
    assert vectors.matrix.shape == (400_000, 50)
    assert vectors["the"][:3].tolist() == np.array([0.418, 0.24968, -0.41242], dtype=np.float32).tolist()
    lines = path.read_bytes().split(b"\n")
    for at in range(0, 400_000, 997):
        word, *cells = lines[at].split(b" ")
        assert vectors.words.bytes(at) == word
        assert vectors.matrix[at].tolist() == [np.float32(float(cell)) for cell in cells]


@pytest.mark.parametrize("declared", [b"", b"3 2\n", b"400 2\n", b"900 2\n"])
def test_rows_are_right_however_many_were_expected(declared: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are parsed in place, moved if lines before them are skipped, and copied if the matrix is full."""
    monkeypatch.setattr("vecload.formats.text.chunks.CHUNK_BYTES", 100)
    lines = [b"w%d %d.5 -0.%d" % (row % 350, row % 10, row) for row in range(400)]
    for at in (0, 7, 8, 250):
        lines.insert(at, b"bad 0.5 0.5x")
    vectors = vecload.load(io.BytesIO(declared + b"\n".join(lines) + b"\n\n\n"), errors="skip")
    assert list(vectors.words) == [f"w{row}" for row in range(350)]
    assert vectors.matrix.tolist() == [
        [np.float32(row % 10 + 0.5), np.float32(float(f"-0.{row}"))] for row in range(350)
    ]
    assert vectors.meta["duplicates"] == 50
    assert sum(vectors.meta["skipped"].values()) == 4


def test_leading_zeros_do_not_count_as_digits() -> None:
    cells = ["0.00012345678901234567", "-0.0000000000000000000000000000012345678901234567891", "0" * 30 + ".25"]
    cells += ["0." + "0" * 40, "000000000000000000000001234567890123456789.5", "0.00" + "9" * 25]
    vectors = vecload.load(io.BytesIO(f"w {' '.join(cells)}\n".encode() * 2), dtype="float64")
    assert vectors.matrix[0].tolist() == [float(cell) for cell in cells]


@pytest.mark.parametrize("word", [b"(\xb5/\xfd", b"BZhou"])
def test_save_refuses_a_first_word_that_looks_like_a_compressed_file(word: bytes, tmp_path: Path) -> None:
    vectors = vecload.Vectors(vecload.Words.from_bytes([word, b"cat"]), np.eye(2, dtype=np.float32))
    with pytest.raises(
        vecload.errors.FormatError, match=r"begins like a file compressed with \w+. Write it with a header"
    ):
        vectors.save(tmp_path / "first.txt", "glove")
    vectors.save(tmp_path / "first.txt", "word2vec")
    assert vecload.load(tmp_path / "first.txt").words == vectors.words
    vecload.Vectors(vectors.words.take([1, 0]), vectors.matrix).save(tmp_path / "second.txt", "glove")
    assert vecload.load(tmp_path / "second.txt").words.bytes(1) == word


def test_load_reads_the_text_of_starspace(tmp_path: Path) -> None:
    """StarSpace writes a tab after the word and after each value (``EmbedModel::saveTsv``), labels among the words."""
    rows = {"cat": [0.0125, -0.5], "__label__pets": [1e-05, 3], "New_York": [0.25, -0.125]}
    lines = [
        "".join(f"{field}\t" for field in (word, *map(repr, row))).removesuffix("\t") for word, row in rows.items()
    ]
    (tmp_path / "model.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    vectors = vecload.load(tmp_path / "model.tsv")
    assert {word: vectors[word].tolist() for word in vectors} == {
        word: np.array(row, dtype=np.float32).tolist() for word, row in rows.items()
    }
