"""Helpers for arrays."""

from __future__ import annotations

import numpy as np
import pytest

from vecload.arrays import scale_to_unit


@pytest.mark.parametrize("factor", [1e-35, 1e-25, 1e-16, 1e-15, 1, 1e15, 1e18, 1e19, 1e30])
def test_rows_of_any_length_are_scaled_to_unit_length(factor: float) -> None:
    rows = (factor * np.random.default_rng(0).normal(size=(2100, 7))).astype(np.float32)
    rows[5] = 0
    wide = rows.astype(np.float64)
    scale_to_unit(rows)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    np.testing.assert_allclose(rows, wide / np.where(lengths > 0, lengths, 1), rtol=0, atol=3e-7)
    assert not rows[5].any()
