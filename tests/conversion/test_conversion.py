"""`convert` and `save`: written rows, reported omissions, and files that are written completely or not at all."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import fasttext
import numpy as np
import pytest
from gensim.models import KeyedVectors

import vecload
from vecload import Vectors, Words, conversion
from vecload.errors import FormatError, OptionError
from vecload.formats.writing.counted import CountedFile
from vecload.ngrams import NgramTable

TEXT = b"cat 3 4\ndog 0 0.5\ncat 1 1\nbad 1\ncow 1 2\n"


def vectors_of(words: list[str], dim: int = 3, dtype: str = "float32") -> Vectors:
    matrix = np.random.default_rng(0).normal(size=(len(words), dim)).astype(dtype)
    return Vectors(Words.from_strings(words), matrix)


def test_convert_reports_rows_that_were_left_out(tmp_path: Path) -> None:
    done = vecload.convert(io.BytesIO(TEXT), tmp_path / "v.txt", errors="skip")
    assert (done.rows, done.written, done.dropped) == (5, 3, {"duplicates": 1, "too few values": 1})
    text = (tmp_path / "v.txt").read_bytes()
    assert text == b"3 2\ncat 3.0 4.0\ndog 0.0 0.5\ncow 1.0 2.0\n"
    assert done.size == len(text)
    assert str(done).startswith(
        f"{tmp_path / 'v.txt'} (text): 3 of 5 rows, 1 dropped: duplicates, 1 dropped: too few values; 40 bytes in "
    )


def test_convert_applies_options_of_reading_and_writing(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    data = TEXT.replace(b"bad 1\n", b"")

    def written(**options: object) -> bytes:
        vecload.convert(io.BytesIO(data), path, **options)  # type: ignore[arg-type]
        return path.read_bytes()

    assert written(format="glove", precision=2) == b"cat 3.00 4.00\ndog 0.00 0.50\ncow 1.00 2.00\n"
    assert written(vocab=["cow", "dog"]) == b"2 2\ndog 0.0 0.5\ncow 1.0 2.0\n"
    assert written(limit=1) == b"1 2\ncat 3.0 4.0\n"
    assert written(normalize=True, limit=2) == b"2 2\ncat 0.6 0.8\ndog 0.0 1.0\n"
    assert written(prefix="c") == b"2 2\nat 3.0 4.0\now 1.0 2.0\n"
    assert written(prefix="c", vocab=["at"]) == b"1 2\nat 3.0 4.0\n"


def test_convert_keeps_rows_of_zeros_when_normalizing(tmp_path: Path) -> None:
    vecload.convert(io.BytesIO(b"a 0 0\nb 3e-30 4e-30\n"), tmp_path / "v.txt", normalize=True)
    assert vecload.load(tmp_path / "v.txt").matrix.tolist() == [[0, 0], [np.float32(0.6), np.float32(0.8)]]


def test_save_applies_the_policy_for_unencodable_words(tmp_path: Path) -> None:
    vectors = vectors_of(["New York", "100%", "a\nb", "plain", "no\u00a0break"])
    path = tmp_path / "v.txt"
    with pytest.raises(
        FormatError,
        match=r"a word that text cannot represent: found 'New York'\. unencodable='skip' .* 'escape' writes",
    ):
        vectors.save(path)
    assert not list(tmp_path.iterdir())
    vectors.save(path, unencodable="skip")
    assert list(vecload.load(path).words) == ["100%", "plain", "no\u00a0break"]
    vectors.save(path, unencodable="escape")
    assert list(vecload.load(path).words) == ["New%20York", "100%25", "a%0Ab", "plain", "no\u00a0break"]
    with pytest.raises(OptionError, match="unencodable='ignore' is not one of 'raise', 'skip', 'escape'"):
        vectors.save(path, unencodable="ignore")
    with pytest.raises(
        FormatError,
        match=r"cannot represent: found ''\. unencodable='skip' \(--unencodable skip\) leaves such words out; or",
    ):
        vectors_of(["a", ""]).save(path, unencodable="escape")
    for policy in ("raise", "escape"):  # escaping is not advised for words that cannot be escaped
        with pytest.raises(
            FormatError, match=r"found '.udcff'\. unencodable='skip' \(--unencodable skip\) leaves such words out; or"
        ):
            vectors_of(["\udcff"]).save(tmp_path / "folder", "projector", unencodable=policy)


def test_save_of_a_word_like_a_byte_order_mark_needs_a_header(tmp_path: Path) -> None:
    vectors = vectors_of(["\ufeffcat", "dog"])
    with pytest.raises(FormatError, match=r"U\+FEFF"):
        vectors.save(tmp_path / "v.txt", "glove")
    vectors.save(tmp_path / "v.txt")
    assert list(vecload.load(tmp_path / "v.txt").words) == ["\ufeffcat", "dog"]


def test_gensim_reads_saved_files(tmp_path: Path) -> None:
    vectors = vectors_of([f"w{at}é" for at in range(300)], dim=7)
    vectors.save(tmp_path / "v.txt")
    vectors.save(tmp_path / "v.bin", "word2vec binary")
    for name in ("v.txt", "v.bin"):
        theirs = KeyedVectors.load_word2vec_format(tmp_path / name, binary=name.endswith("bin"))
        assert theirs.index_to_key == list(vectors.words)
        assert np.array_equal(theirs.vectors, vectors.matrix)


@pytest.mark.parametrize(("guess", "rows"), [(0, 0), (99, 100), (100, 99), (9, 123456), (5, 5)])
def test_header_has_the_row_count_if_it_is_known_only_at_the_end(guess: int, rows: int, tmp_path: Path) -> None:
    with CountedFile(tmp_path / "f", guess, lambda count: b"%d\n" % count) as file:
        for at in range(rows):
            file.write(b"%d," % at, 1)
    assert (tmp_path / "f").read_bytes() == b"%d\n" % rows + b"".join(b"%d," % at for at in range(rows))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_text_of_every_dtype_is_read_back(dtype: str, tmp_path: Path) -> None:
    data = b"".join(b"w%d %r %r\n" % (at, at / 7 - 5, 2.0 ** (at - 40)) for at in range(50))
    vectors = vecload.load(io.BytesIO(data), dtype=dtype)  # type: ignore[arg-type]
    vectors.save(tmp_path / "v.txt")
    again = vecload.load(tmp_path / "v.txt", dtype=dtype)  # type: ignore[arg-type]
    assert again.matrix.tobytes() == vectors.matrix.tobytes()


def test_convert_with_invalid_options_raises(tmp_path: Path) -> None:
    for name, form, message in (
        (
            "v.xyz",
            None,
            r"cannot infer a format from '.*v\.xyz'; pass format= \(--format\) or use one of: \.safetensors, \.txt, ",
        ),
        ("v.txt", "nothing", "format='nothing' is not one of 'native'"),
        ("v.bin", "word2vec binary", "precision=3 has no meaning for word2vec binary"),
    ):
        with pytest.raises(OptionError, match=message):
            vecload.convert(io.BytesIO(TEXT), tmp_path / name, format=form, precision=3)
    with pytest.raises(OptionError, match=r"precision=12 is not in 0 to 9"):
        vectors_of(["a"]).save(tmp_path / "v.txt", precision=12)
    with pytest.raises(FormatError, match="no word of the vocabulary was found"):
        vecload.convert(io.BytesIO(TEXT), tmp_path / "v.txt", vocab=["horse"])
    assert not list(tmp_path.iterdir())


def test_convert_reads_the_given_source_format(tmp_path: Path) -> None:
    source = tmp_path / "ambiguous.txt"
    source.write_bytes(b"1 2\n3 4\n")  # a header and a row, or two rows
    done = vecload.convert(source, tmp_path / "o.vec", source_format="glove")
    assert (done.rows, (tmp_path / "o.vec").read_bytes()) == (2, b"2 1\n1 2.0\n3 4.0\n")
    vecload.formats.register(vecload.formats.Format(name="written only", write=lambda *_: Counter[str]()))
    try:
        for form, message in (("written only", "is written, not read"), ("nothing", "format='nothing' is not one of")):
            with pytest.raises(OptionError, match=message):
                vecload.convert(source, tmp_path / "o.vec", source_format=form)
    finally:
        vecload.formats.unregister("written only")


def test_convert_of_several_files_checks_all_targets_first(tmp_path: Path) -> None:
    pairs = conversion.targets_in(tmp_path / "out", ["a/x.txt.gz", "y.zip/y.vec", "plain"], "word2vec-binary")
    assert [target.name for _, target in pairs] == ["x.bin", "y.bin", "plain.bin"]
    for name, suffix in (("vec", ".vec"), ("GloVe", ".txt"), ("feather", ".feather"), ("fasttext", "")):
        assert conversion.targets_in(tmp_path, ["x.txt"], name) == [("x.txt", tmp_path / f"x{suffix}")]
    with pytest.raises(OptionError, match=r"2 of the files would become .*x\.bin"):
        conversion.targets_in(tmp_path, ["a/x.txt", "b/x.vec"], "word2vec binary")
    with pytest.raises(OptionError, match="name their format"):
        conversion.targets_in(tmp_path, ["a"], None)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("old", [None, "old"])
def test_killed_conversion_leaves_the_old_file(old: str | None, tmp_path: Path) -> None:
    source, target = tmp_path / "v.txt", tmp_path / "out" / "v.vec"
    target.parent.mkdir()
    if old:
        target.write_text(old)
    source.write_bytes(b"".join(b"w%d 0.25 0.5\n" % at for at in range(600_000)))
    code = f"import vecload; vecload.convert({str(source)!r}, {str(target)!r})"
    for wait in (0.0, 0.02, 0.1):
        process = subprocess.Popen([sys.executable, "-c", code])
        deadline = time.monotonic() + 60
        while not list(target.parent.glob(".*.part")) and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if target.exists() and target.read_text() != old:
            assert len(vecload.load(target)) == 600_000  # it was quicker
    vecload.convert(source, target)
    assert [file.name for file in target.parent.iterdir()] == ["v.vec"]
    assert len(vecload.load(target)) == 600_000


def test_dropped_ngrams_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = vectors_of(["a", "b"])
    vectors = Vectors(plain.words, plain.matrix, {}, NgramTable(np.ones((9, 3), dtype=np.float32), minn=3, maxn=6))
    vectors.save(tmp_path / "v.safetensors")
    assert not caplog.records
    vecload.convert(tmp_path / "v.safetensors", tmp_path / "v.txt")
    assert "text cannot store n-grams; they were dropped" in caplog.text


def test_prefix_is_stripped_in_all_chunks() -> None:
    """Rows with other prefixes are removed, so no row remains at the position to which the reader parsed it."""
    lines = [b"%s%d %d.5 -%d.25\n" % ((b"/c/en/", b"/c/de/", b"x")[at % 3], at, at, at) for at in range(200_000)]
    vectors = vecload.load(io.BytesIO(b"".join(lines)), prefix="/c/en/")
    numbers = np.arange(0, 200_000, 3)
    assert list(vectors.words) == [str(number) for number in numbers]
    assert np.array_equal(vectors.matrix, np.stack([numbers + 0.5, -(numbers + 0.25)], axis=1).astype(np.float32))
    few = vecload.load(io.BytesIO(b"".join(lines)), prefix="/c/en/", vocab=["9", "12", "10", "x2"])
    assert few.matrix.tolist() == [[9.5, -9.25], [12.5, -12.25]]


def test_fasttext_accepts_saved_vectors_as_pretrained(tmp_path: Path) -> None:
    words = ["cat", "dog", "北海道", "a\u00a0b", "x"]
    vectors = vectors_of(words, dim=7)
    vectors.save(tmp_path / "v.vec")
    (tmp_path / "corpus.txt").write_text((" ".join(words) + "\n") * 20, encoding="utf-8")
    model = fasttext.train_unsupervised(  # nothing is learnt at this rate
        str(tmp_path / "corpus.txt"), dim=7, lr=0.0, epoch=1, minCount=1, minn=0, maxn=0, thread=1, verbose=0,
        pretrainedVectors=str(tmp_path / "v.vec"),
    )  # fmt: skip
    for word in words:
        assert np.array_equal(model.get_word_vector(word), vectors[word])
