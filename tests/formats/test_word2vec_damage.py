"""word2vec binary files whose words and values are misaligned: errors, and doubts in ``meta``."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.formats.test_word2vec import file_of

DIM = 50
ADVICE = re.compile(r"errors='skip'|--errors skip|allow_nonfinite")


def rows_of(count: int, seed: int = 0) -> list[tuple[bytes, list[float]]]:
    rng = np.random.default_rng(seed)
    return [(b"w%d" % at, rng.normal(size=DIM).tolist()) for at in range(count)]


def sent_as_text(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def sent_back_as_text(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


def row_short(data: bytes, row: int, missing: int) -> bytes:
    at = data.index(b"\nw%d " % (row + 1))
    return data[: at - missing] + data[at:]


def load_result(data: bytes, **options: object) -> tuple[str | None, str | None]:
    """Load data and return the text of the error and the doubt, either of which may be None."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            doubt = vecload.load(io.BytesIO(data), format="word2vec binary", **options).meta.get("doubt")  # type: ignore[arg-type]
        except vecload.errors.FormatError as error:
            return str(error), None
    assert bool(doubt) == any(issubclass(warning.category, vecload.VecloadWarning) for warning in caught)
    return None, doubt


@pytest.mark.parametrize("feed", [b"\n", b""])
def test_load_undamaged_file_has_no_doubt(feed: bytes) -> None:
    data = file_of(rows_of(3000), DIM, feed=feed)
    assert load_result(data, strict=True) == (None, None)
    looked = vecload.info(io.BytesIO(data))
    assert looked.doubt is None


def test_load_word_with_leading_line_feed_has_no_doubt() -> None:
    rows = rows_of(300)
    rows[7] = (b"\nabc", rows[7][1])  # gensim does not write line feeds between rows, so this one belongs to the word
    assert load_result(file_of(rows, DIM, feed=b""), strict=True) == (None, None)


@pytest.mark.parametrize("options", [{}, {"errors": "skip"}, {"allow_nonfinite": True}, {"strict": True}])
@pytest.mark.parametrize("count", [300, 3000])
def test_load_file_sent_in_text_mode_raises(options: dict[str, object], count: int) -> None:
    error, _ = load_result(sent_as_text(file_of(rows_of(count), DIM)), **options)
    assert error is not None
    assert "words and values are misaligned" in error
    assert "in binary mode: it may have been sent as text" in error
    assert not ADVICE.search(error)


@pytest.mark.parametrize("row", [5, 1500, 2990])
@pytest.mark.parametrize("missing", [1, 4, 5, 8, 100])
def test_load_file_with_short_row_has_doubt_or_raises(row: int, missing: int) -> None:
    data = row_short(file_of(rows_of(3000), DIM), row, missing)
    error, doubt = load_result(data)
    assert "the file may be damaged" in (error or doubt or "")
    assert not ADVICE.search(error or "")
    error, _ = load_result(data, strict=True)
    assert error is not None
    assert not ADVICE.search(error)


@pytest.mark.parametrize("feed", [b"\n", b""])
def test_load_file_with_phrase_has_doubt_or_raises(feed: bytes) -> None:
    rows = rows_of(300)
    rows[150] = (b"New York", rows[150][1])
    data = file_of(rows, DIM, feed=feed)
    error, doubt = load_result(data)
    assert "the file may be damaged" in (error or doubt or "")
    assert not ADVICE.search(error or "")
    error, _ = load_result(data, strict=True)
    assert error is not None
    assert not ADVICE.search(error)


def test_load_file_without_its_carriage_returns_raises() -> None:
    rows = rows_of(300)
    values = np.array(rows[150][1], dtype="<f4")
    values.view(np.uint8)[40:42] = (13, 10)
    rows[150] = (b"w150", values.tolist())
    data = sent_back_as_text(file_of(rows, DIM))
    error, doubt = load_result(data)
    assert "the file may be damaged" in (error or doubt or "")
    assert not ADVICE.search(error or "")


def test_load_nonfinite_value_in_undamaged_file_has_usual_hint() -> None:
    rows = rows_of(300)
    rows[150] = (b"w150", [float("nan"), *rows[150][1][1:]])
    error, _ = load_result(file_of(rows, DIM))
    assert error is not None
    assert ADVICE.search(error)


def test_load_skip_drops_rows_after_single_damage() -> None:
    rows = rows_of(300)
    rows[150] = (b"w150", [float("nan"), *rows[150][1][1:]])
    data = row_short(file_of(rows, DIM), 150, 4)
    error, _ = load_result(data)
    assert error is not None
    assert "misaligned" in error
    _, doubt = load_result(data, errors="skip")
    assert doubt is not None
    assert "no preceding line feed, unlike the others" in doubt


def test_load_counts_words_with_control_characters() -> None:
    rows = rows_of(300)
    rows[3] = (b"a\x01b", rows[3][1])
    rows[4] = (b"tab\tbed", rows[4][1])
    error, doubt = load_result(file_of(rows, DIM))
    assert error is None
    assert doubt == r"2 of 300 words have control characters, such as 'a\x01b': the file may be damaged"
    assert vecload.info(io.BytesIO(file_of(rows, DIM))).doubt == doubt
    error, _ = load_result(file_of(rows, DIM), strict=True)
    assert error is not None
    assert "2 of 300 words have control characters" in error


def test_load_words_cut_by_word2vec_have_no_doubt() -> None:
    rows = rows_of(300)
    for at in (3, 4, 5):
        rows[at] = (("x" * at + "あ" * 50).encode()[:98], rows[at][1])
    assert load_result(file_of(rows, DIM), strict=True) == (None, None)
    rows[3:5] = [(b"caf\xe9", rows[3][1]), (b"na\xefve", rows[4][1])]
    assert "2 of 300 words have bytes that are not UTF-8" in (load_result(file_of(rows, DIM))[1] or "")


def test_convert_file_sent_in_text_mode_raises(tmp_path: Path) -> None:
    target = tmp_path / "out.vec"
    with pytest.raises(vecload.errors.FormatError, match="misaligned"):
        vecload.convert(io.BytesIO(sent_as_text(file_of(rows_of(300), DIM))), target)
    assert not target.exists()


@pytest.mark.parametrize("missing", [2, 30, 5 * (4 * DIM + 6)])
def test_load_strict_with_too_few_rows_raises_despite_skip(missing: int) -> None:
    data = file_of(rows_of(20), DIM)[:-missing]
    error, _ = load_result(data, strict=True, errors="skip")
    assert error is not None
    assert "the header's count is wrong: found" in error
    assert ADVICE.search(error) is None
    assert load_result(data, errors="skip") == (None, None)
