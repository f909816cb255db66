"""floret's tables: against the slow reference and spaCy; round trips; broken ones."""

import io
from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.reference import fasttext as slow
from vecload.errors import FormatError, OptionError
from vecload.ngrams import NgramTable
from vecload.vectors import Vectors
from vecload.words import Words

MATRIX = np.random.default_rng(0).normal(size=(50, 7)).astype("float32")
HEADER = "50 7 2 5 3 2166136261 < >"
WORDS = ["cat", "der", "北海道", "🙂", "</s>", "", "a b", "\udcff"]


def text(header: str = HEADER, matrix: np.ndarray = MATRIX) -> bytes:
    rows = (f"{number} " + " ".join(map(str, row.tolist())) + " \n" for number, row in enumerate(matrix.astype(float)))
    return f"{header}\n".encode() + "".join(rows).encode()


def load(raw: bytes, **options: object) -> Vectors:
    return vecload.load(io.BytesIO(raw), **options)


def expected(word: str, matrix: np.ndarray = MATRIX) -> np.ndarray:
    rows = slow.floret_rows(word.encode("utf-8", "surrogateescape"), 2, 5, 50, 3)
    return slow.mean([matrix[row] for row in rows]) if rows else np.zeros(7)


def test_any_word_has_a_vector() -> None:
    vectors = load(text())
    assert len(vectors) == 0
    assert vectors.dim == 7
    assert vectors.meta["format"] == "floret"
    np.testing.assert_allclose(vectors.ngrams.vectors(WORDS), [expected(word) for word in WORDS], atol=1e-6)


def test_spacy_agrees(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy")
    vocab = spacy.vocab.Vocab()
    vocab.vectors = spacy.vectors.Vectors(
        data=MATRIX, mode="floret", minn=2, maxn=5, hash_count=3, hash_seed=2166136261, bow="<", eow=">"
    )
    table = load(text()).ngrams
    for word in WORDS[:4]:
        np.testing.assert_allclose(table[word], vocab.get_vector(word), atol=1e-6)


def test_other_marks_and_types() -> None:
    vectors = load(text("50 7 3 3 1 7 « [END]"), dtype="float16")
    assert (vectors.ngrams.bow, vectors.ngrams.eow, vectors.ngrams.seed) == ("«", "[END]", 7)
    assert vectors.ngrams.rows.take(np.arange(50), sparse=False).tolist() == MATRIX.astype("float16").tolist()


def test_round_trip(tmp_path: Path) -> None:
    vectors = load(text())
    vectors.save(tmp_path / "table.floret")
    back = vecload.load(tmp_path / "table.floret")
    assert back.ngrams.settings == vectors.ngrams.settings
    assert np.array_equal(back.ngrams.rows.matrix, MATRIX)
    assert (tmp_path / "table.floret").read_text().splitlines()[0] == HEADER


def test_converted_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    way = [("v.safetensors", None), ("v", "spacy"), ("v.floret", None)]
    source: object = io.BytesIO(text())
    for name, form in way:
        done = vecload.convert(source, tmp_path / name, format=form)  # type: ignore[arg-type]
        assert (done.rows, done.written) == (0, 0)
        source = tmp_path / name
    assert not caplog.records
    again = vecload.load(tmp_path / "v.floret")
    assert np.array_equal(again.ngrams.vectors(WORDS), load(text()).ngrams.vectors(WORDS))
    for target, form in (("v.vec", None), ("v.bin", "fasttext")):
        with pytest.raises(OptionError, match="cannot store n-grams, and there are no words"):
            vecload.convert(source, tmp_path / target, format=form)  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="cannot store n-grams, and there are no words"):
            again.save(tmp_path / target, form)
        assert not (tmp_path / target).exists()


def test_what_is_no_table_is_not_written(tmp_path: Path) -> None:
    words, matrix = Words.from_strings(["cat"]), MATRIX[:1]
    with pytest.raises(OptionError, match="have none"):
        Vectors(words, matrix, ngrams=NgramTable(MATRIX, minn=3, maxn=6)).save(tmp_path / "x.floret")
    with pytest.raises(OptionError, match="no words"):
        Vectors(words, matrix, ngrams=load(text()).ngrams).save(tmp_path / "x.floret")
    assert not list(tmp_path.iterdir())


def test_line_ends() -> None:
    assert np.array_equal(load(text()).ngrams.rows.matrix, MATRIX)
    assert np.array_equal(load(text().removesuffix(b"\n")).ngrams.rows.matrix, MATRIX)
    assert np.array_equal(load(text().replace(b"\n", b"\r\n")).ngrams.rows.matrix, MATRIX)


def test_info() -> None:
    told = vecload.info(io.BytesIO(text()))
    assert (told.format, told.rows, told.dim, told.words) == ("floret", 0, 7, ())
    assert told.header == HEADER


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (text().replace(b"\n7 ", b"\n8 "), "line 9.*out of order"),
        (text().replace(b"\n9 ", b"\n9 x "), "line 11"),
        (text().replace(b"\n9 ", b"\n9 nan "), "line 11"),
        (text() + b"50 1 2 3 4 5 6 7\n", "sizes are wrong"),
        (text(matrix=MATRIX[:49]), "sizes are wrong|invalid sizes"),
        (text("50 7 2 5 3 9999999999 < >"), "seed|sizes"),
        (text("2000000000 7 2 5 3 2166136261 < >"), "invalid sizes"),
        (text("50 7 2 5555 3 2166136261 < >"), "invalid sizes"),
        (text("0 7 2 5 3 2166136261 < >"), "invalid sizes"),
    ],
)
def test_broken_tables(raw: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        load(raw)


def test_cut_short_at_every_byte() -> None:
    raw = text(matrix=MATRIX[:4], header="4 7 2 5 3 2166136261 < >").rstrip(b" \n")
    for stop in range(1, len(raw)):
        if raw[stop:].count(b" ") or raw[stop - 1 : stop] == b" ":  # a last value may be cut without a trace
            with pytest.raises(FormatError):
                vecload.load(io.BytesIO(raw[:stop]), format="floret")


def test_vectors_without_words_can_be_aligned() -> None:
    aligned = vecload.align(load(text()), vecload.Vocab.from_tokens(["cat", "der"]), oov=["ngrams"])
    np.testing.assert_allclose(aligned.matrix, [expected("cat"), expected("der")], atol=1e-6)
