"""Chunks of lines: rows are reserved only for as many lines as the bytes can hold."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload.formats.text import chunks


def peak_of_loading(data: bytes, **options: Any) -> int:
    """Return the most bytes that Python and NumPy had allocated while the text was loaded."""
    tracemalloc.start()
    try:
        with pytest.raises(vecload.errors.FormatError):
            vecload.load(io.BytesIO(data), **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dim", [300, 32_768, 1_000_000])
@pytest.mark.parametrize("vocab", [None, ["w1", "w2", "w399"]])
def test_load_of_short_lines_after_a_wide_header_reserves_no_row_for_each(dim: int, vocab: list[str] | None) -> None:
    lines = b"".join(b"w%d 1 2\n" % row for row in range(400)) * 50
    data = b"20000 %d\n" % dim + lines
    vecload.load(io.BytesIO(b"1 2\nw 1 2\n"))  # kernels are compiled outside the measurement
    for options in ({"errors": "skip"}, {}):
        assert peak_of_loading(data, vocab=vocab, **options) < 40 << 20


LINES = st.lists(st.sampled_from(["w 1 2 3", "v 4 5 6", "u", "", " ", "\t \r", "y 7 8 nine", "z 1 2\r"]), max_size=40)


@given(LINES, st.booleans(), st.sampled_from(["float32", "float64"]))
def test_text_with_short_lines_gives_the_rows_and_errors_of_one_line_at_a_time(
    lines: list[str], ended: bool, dtype: Any
) -> None:
    """With chunks of one line each, no chunk has both short lines and rows."""
    # More line feeds than carriage returns: files with Macintosh line ends are refused.
    data = ("first 1 2 3\n" * 42 + "\n".join(lines)).encode() + b"\n" * ended
    results, errors = [], []
    for size in (chunks.CHUNK_BYTES, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chunks, "CHUNK_BYTES", size)
            vectors = vecload.load(io.BytesIO(data), errors="skip", format="glove", dtype=dtype)
            results.append((list(vectors.words), vectors.matrix.tolist(), vectors.meta))
            try:
                vecload.load(io.BytesIO(data), format="glove", dtype=dtype)
                errors.append("")
            except vecload.errors.FormatError as error:
                errors.append(str(error))
    assert results[0] == results[1]
    assert errors[0] == errors[1]
