"""word2vec binary files: those of gensim's tests, and ones with invalid headers or values."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
from pathlib import Path

import gensim
import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import assume, given
from hypothesis import strategies as st

import vecload
from tests.strategies import FINITE_FLOAT32, WORD2VEC_WORDS
from vecload.formats import word2vec

GENSIM = Path(gensim.__file__).parent / "test" / "test_data"


def file_of(rows: list[tuple[bytes, list[float]]], dim: int, *, feed: bytes = b"\n") -> bytes:
    body = b"".join(word + b" " + struct.pack(f"<{dim}f", *values) + feed for word, values in rows)
    return f"{len(rows)} {dim}\n".encode() + body


ROWS = [(b"cat", [0.1, -2.0]), (b"caf\xe9", [1e-30, 3.0]), ("北 海".replace(" ", "\u3000").encode(), [0.0, -0.0])]


@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
@pytest.mark.parametrize(
    "name", ["euclidean_vectors.bin", "poincare_vectors.bin", "w2v_keyedvectors_load_test.modeldata"]
)
def test_load_equals_gensim_on_the_files_of_its_tests(name: str) -> None:
    binary = (GENSIM / name).suffix == ".bin"
    theirs = KeyedVectors.load_word2vec_format(GENSIM / name, binary=binary, unicode_errors="ignore")
    ours = vecload.load(GENSIM / name)
    raws = [ours.words.bytes(row) for row in range(len(ours))]
    assert [raw.decode(errors="ignore") for raw in raws] == theirs.index_to_key
    assert np.array_equal(ours.matrix, theirs.vectors)
    assert not binary or ours.meta["format"] == "word2vec binary"


@pytest.mark.parametrize("feed", [b"\n", b"", b"\n\n"])
def test_load_reads_rows_with_and_without_line_feeds(feed: bytes) -> None:
    vectors = vecload.load(io.BytesIO(file_of(ROWS, 2, feed=feed)))
    assert [vectors.words.bytes(row) for row in range(3)] == [word for word, _ in ROWS]
    assert vectors.matrix.tobytes() == np.array([values for _, values in ROWS], dtype="f4").tobytes()


@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
@given(
    st.lists(
        st.tuples(WORD2VEC_WORDS, st.lists(FINITE_FLOAT32, min_size=3, max_size=3)),
        min_size=1,
    )
)
def test_load_keeps_any_words_and_floats(rows: list[tuple[bytes, list[float]]]) -> None:
    # A space that all words share is removed; other tests check that.
    words = {word for word, _ in rows}
    assume(not all(word[-1:] in b" \t" for word in words) and not all(word[:1] in b" \t" for word in words))
    vectors = vecload.load(io.BytesIO(file_of(rows, 3)), format="word2vec binary")
    unique = dict(reversed(rows))
    assert [vectors.words.bytes(row) for row in range(len(vectors))] == list(dict.fromkeys(word for word, _ in rows))
    expected = np.array([unique[word] for word in dict(rows)], dtype="f4")
    assert vectors.matrix.tobytes() == expected.tobytes()


class Trickle:
    """A stream that returns a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self.rest, self.step = data, step

    def read(self, count: int = -1) -> bytes:
        piece, self.rest = self.rest[: min(count, self.step)], self.rest[min(count, self.step) :]
        return piece


@pytest.mark.filterwarnings("ignore:.*not UTF-8:vecload.VecloadWarning")
@pytest.mark.parametrize("chunk", [1, 5, 16, 100])
def test_rows_may_cross_the_borders_of_batches_anywhere(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word2vec, "BATCH_BYTES", chunk)
    monkeypatch.setattr(word2vec, "MAX_WORD_BYTES", 9)
    data = file_of(ROWS * 30, 2)
    for source in (io.BytesIO(data), io.BytesIO(gzip.compress(data)), Trickle(data, 7)):
        vectors = vecload.load(source)
        assert [vectors.words.bytes(row) for row in range(3)] == [word for word, _ in ROWS]
        assert vectors.meta["duplicates"] == 87


def test_vocab_and_limit_select_rows() -> None:
    data = file_of(ROWS, 2)
    assert list(vecload.load(io.BytesIO(data), vocab=["北\u3000海", "dog"]).words) == ["北\u3000海"]
    assert len(vecload.load(io.BytesIO(data), limit=2)) == 2
    assert len(vecload.load(io.BytesIO(data[:-9]), limit=2)) == 2
    assert vecload.load(io.BytesIO(data), dtype="float64").matrix[0, 1] == -2.0


@pytest.mark.parametrize("stream", [False, True])
def test_file_cut_at_any_byte_is_refused_or_its_last_row_skipped(stream: bool) -> None:
    data = file_of(ROWS, 2, feed=b"")
    for cut in range(4, len(data)):
        file = Trickle(data[:cut], 64) if stream else io.BytesIO(data[:cut])
        with pytest.raises(vecload.errors.FormatError, match=r"cut short|shorter than its header"):
            vecload.load(file, format="word2vec binary")
    partial = vecload.load(io.BytesIO(data[:-1]), errors="skip")
    assert list(partial.words) == ["cat", "caf\udce9"]
    assert partial.meta["skipped"] == {"a row cut short": 1}


@pytest.mark.parametrize("header", [b"999999999999 300\n", b"2 900000\n", b"5 999999999\n", b"0 2\n", b"2 0\n"])
@pytest.mark.parametrize("stream", [False, True])
def test_load_allocates_no_more_than_the_file_holds_whatever_its_header_claims(header: bytes, stream: bool) -> None:
    data = header + b"cat " + bytes(64)
    vecload.load(io.BytesIO(file_of(ROWS[:1], 2)))  # kernels are compiled outside the measurement
    tracemalloc.start()
    with pytest.raises(vecload.errors.FormatError, match=r"shorter than its header|invalid sizes|cut short"):
        vecload.load(Trickle(data, 64) if stream else io.BytesIO(data), format="word2vec binary")
    assert tracemalloc.get_traced_memory()[1] < 40_000_000
    tracemalloc.stop()


def test_nonfinite_values_are_refused_unless_allowed() -> None:
    data = file_of([(b"a", [1.0, 2.0]), (b"b", [float("nan"), 1.0]), (b"c", [float("inf"), 1.0])], 2)
    with pytest.raises(
        vecload.errors.FormatError, match=r"byte 17: a value that is not finite in float32: .* row of 'b'"
    ):
        vecload.load(io.BytesIO(data))
    with pytest.raises(vecload.errors.FormatError, match="not finite in float16"):  # 65520 and more round to infinity
        vecload.load(io.BytesIO(file_of([(b"a", [1e6, 2.0])], 2)), dtype="float16")
    assert vecload.load(io.BytesIO(data), errors="skip").meta["skipped"] == {"a value that is not finite in float32": 2}
    assert len(vecload.load(io.BytesIO(data), allow_nonfinite=True)) == 3


def test_bytes_after_the_last_row_are_a_doubt_and_refused_if_strict() -> None:
    data = b"1 2\n" + file_of(ROWS, 2).split(b"\n", 1)[1]
    with pytest.warns(vecload.VecloadWarning, match="there are bytes after the 1 row of the header, from byte 16"):
        vectors = vecload.load(io.BytesIO(data))
    assert len(vectors) == 1
    assert "bytes after" in vectors.meta["doubt"]
    with pytest.raises(vecload.errors.FormatError, match="bytes after the last row"):
        vecload.load(io.BytesIO(data), strict=True)


def test_word_longer_than_the_limit_is_refused() -> None:
    data = b"2 2\ncat " + bytes(8) + b"x" * 200_000
    with pytest.raises(vecload.errors.FormatError, match="the word is too long: found no space in 65,536 bytes"):
        vecload.load(io.BytesIO(data))


def test_text_with_a_header_is_not_detected_as_binary() -> None:
    for text in (b"2 3\ncat 0.1 0.2 0.3\ndog 1 2 3\n", "1 2\nна 1 2\n".encode(), b"2 2\nx y\nz 1\n", b"1 2\ncat 1\n"):
        assert word2vec.detect(text, "vectors.bin") == 0
    assert word2vec.detect(file_of(ROWS, 2), "vectors.txt") == 95


def test_info_reads_the_header(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(file_of(ROWS, 2))
    look = vecload.info(path)
    assert (look.rows, look.dim, look.values, look.words[0], look.header) == (3, 2, "float32", "cat", "3 2")
