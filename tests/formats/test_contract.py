"""Every format keeps the contract of `vecload.formats`, and names find their format."""

from __future__ import annotations

import io

import ml_dtypes
import numpy as np
import pytest

import vecload
from vecload import formats
from vecload.arrays import narrowed, type_of
from vecload.errors import OptionError
from vecload.formats import Format

READABLE = [form for form in formats.all_formats() if form.detect is not None]


@pytest.mark.parametrize("form", READABLE, ids=lambda form: form.name)
def test_detect_answers_0_to_100_for_any_bytes(form: Format) -> None:
    assert form.detect is not None
    for head in (b"", b"\0" * 64, b"\xff" * 64, b"1 1\n", b"a 1 2\n", bytes(range(256))):
        assert 0 <= form.detect(head, "any.bin") <= 100


def test_every_format_is_found_by_its_names() -> None:
    for form in formats.all_formats():
        assert formats.format_by_name(form.name.upper()) == (form, "")
        for alias in form.aliases:
            assert formats.format_by_name(alias.replace(" ", "_")) == (form, alias)


@pytest.mark.parametrize(
    ("name", "rows"), [("glove", 2), ("GloVe", 2), ("word2vec-text", 1), ("Word2Vec_Text", 1), ("text", 1)]
)
def test_format_names_are_spelt_freely(name: str, rows: int) -> None:
    assert len(vecload.load(io.BytesIO(b"1 1\ncat 3\n"), format=name)) == rows


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(OptionError, match="format='nothing' is not one of 'text', 'glove'"):
        vecload.load(io.BytesIO(b"cat 1 2\n"), format="nothing")


def test_bfloat16_is_rounded_once() -> None:
    rng = np.random.default_rng(0)
    halves = rng.integers(0, 0x7F00, 5000).astype(np.uint16).view(ml_dtypes.bfloat16).astype(np.float64)
    ups = (halves.astype(ml_dtypes.bfloat16).view(np.uint16) + 1).view(ml_dtypes.bfloat16).astype(np.float64)
    middles = (halves + ups) / 2
    above, below = np.nextafter(middles, np.inf), np.nextafter(middles, 0)
    dtype = type_of("bfloat16")
    assert np.array_equal(narrowed(above, dtype).astype(float), ups)
    assert np.array_equal(narrowed(below, dtype).astype(float), halves)
    assert np.array_equal(narrowed(-above, dtype).astype(float), -ups)
    file = io.BytesIO(b"".join(b"w%d %.17e\n" % pair for pair in enumerate(above.tolist())))
    assert np.array_equal(vecload.load(file, dtype="bfloat16").matrix[:, 0].astype(float), ups)
