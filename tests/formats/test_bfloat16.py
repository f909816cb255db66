"""Rounding to bfloat16, which NumPy does not have: once, to the nearest, ties to even."""

from __future__ import annotations

import io

import ml_dtypes
import numpy as np

import vecload
from vecload.arrays import narrowed, type_of


def test_conversion_to_bfloat16_rounds_once() -> None:
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
