"""floret tables compared with a slow reference and spaCy; round trips; malformed files."""

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


def test_load_composes_vectors_of_any_word() -> None:
    vectors = load(text())
    assert len(vectors) == 0
    assert vectors.dim == 7
    assert vectors.meta["format"] == "floret"
    np.testing.assert_allclose(vectors.ngrams.vectors(WORDS), [expected(word) for word in WORDS], atol=1e-6)


def test_load_equals_spacy(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy")
    vocab = spacy.vocab.Vocab()
    vocab.vectors = spacy.vectors.Vectors(
        data=MATRIX, mode="floret", minn=2, maxn=5, hash_count=3, hash_seed=2166136261, bow="<", eow=">"
    )
    table = load(text()).ngrams
    for word in WORDS[:4]:
        np.testing.assert_allclose(table[word], vocab.get_vector(word), atol=1e-6)


def test_load_table_with_other_marks_and_dtype() -> None:
    vectors = load(text("50 7 3 3 1 7 « [END]"), dtype="float16")
    assert (vectors.ngrams.bow, vectors.ngrams.eow, vectors.ngrams.seed) == ("«", "[END]", 7)
    assert vectors.ngrams.rows.take(np.arange(50), sparse=False).tolist() == MATRIX.astype("float16").tolist()


def test_save_and_load_keeps_the_table(tmp_path: Path) -> None:
    vectors = load(text())
    vectors.save(tmp_path / "table.floret")
    back = vecload.load(tmp_path / "table.floret")
    assert back.ngrams.settings == vectors.ngrams.settings
    assert np.array_equal(back.ngrams.rows.matrix, MATRIX)
    assert (tmp_path / "table.floret").read_text().splitlines()[0] == HEADER


def test_convert_table_keeps_ngrams_or_raises(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
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


def test_save_vectors_that_are_not_a_table_raises(tmp_path: Path) -> None:
    words, matrix = Words.from_strings(["cat"]), MATRIX[:1]
    with pytest.raises(OptionError, match="do not have one"):
        Vectors(words, matrix, ngrams=NgramTable(MATRIX, minn=3, maxn=6)).save(tmp_path / "x.floret")
    with pytest.raises(OptionError, match="cannot store words"):
        Vectors(words, matrix, ngrams=load(text()).ngrams).save(tmp_path / "x.floret")
    assert not list(tmp_path.iterdir())


def test_load_table_with_other_line_ends() -> None:
    assert np.array_equal(load(text()).ngrams.rows.matrix, MATRIX)
    assert np.array_equal(load(text().removesuffix(b"\n")).ngrams.rows.matrix, MATRIX)
    assert np.array_equal(load(text().replace(b"\n", b"\r\n")).ngrams.rows.matrix, MATRIX)


def test_info_describes_table() -> None:
    info = vecload.info(io.BytesIO(text()))
    assert (info.format, info.rows, info.dim, info.words) == ("floret", 0, 7, ())
    assert info.header == HEADER


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (text().replace(b"\n7 ", b"\n8 "), "line 9.*out of order"),
        (text().replace(b"\n9 ", b"\n9 x "), "line 11"),
        (text().replace(b"\n9 ", b"\n9 nan "), "line 11"),
        (text() + b"50 1 2 3 4 5 6 7\n", "wrong sizes in the header"),
        (text(matrix=MATRIX[:49]), "wrong sizes|invalid sizes"),
        (text("50 7 2 5 3 9999999999 < >"), "seed|sizes"),
        (text("2000000000 7 2 5 3 2166136261 < >"), "invalid sizes in the header"),
        (text("50 7 2 5555 3 2166136261 < >"), "invalid sizes in the header"),
        (text("0 7 2 5 3 2166136261 < >"), "invalid sizes in the header"),
    ],
)
def test_load_malformed_table_raises(raw: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        load(raw)


def test_load_table_cut_at_any_byte_raises() -> None:
    raw = text(matrix=MATRIX[:4], header="4 7 2 5 3 2166136261 < >").rstrip(b" \n")
    for stop in range(1, len(raw)):
        if raw[stop:].count(b" ") or raw[stop - 1 : stop] == b" ":  # the last value may be cut without leaving a sign
            with pytest.raises(FormatError):
                vecload.load(io.BytesIO(raw[:stop]), format="floret")


def test_align_with_table_composes_every_word() -> None:
    aligned = vecload.align(load(text()), vecload.Vocab.from_tokens(["cat", "der"]), oov=["ngrams"])
    np.testing.assert_allclose(aligned.matrix, [expected("cat"), expected("der")], atol=1e-6)
