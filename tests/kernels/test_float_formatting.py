"""Compare formatted floats of every exponent with NumPy's shortest digits and C's fixed decimals."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecload.kernels import float_formatting


def format_floats(values: np.ndarray, decimals: int = -1) -> list[str]:
    rows = np.ascontiguousarray(values, dtype=np.float32).reshape(-1, 1)
    rows.flags.writeable = False
    data, offsets = np.zeros(0, dtype=np.uint8), np.zeros(len(rows) + 1, dtype=np.int64)
    data.flags.writeable = offsets.flags.writeable = False
    out = np.full(len(rows) * (float_formatting.MAX_VALUE_BYTES + 1) + 8, 255, dtype=np.uint8)
    count = float_formatting.format_rows(data, offsets, rows, rows.view(np.uint32), decimals, out)
    assert (out[count:][-8:] == 255).all()
    return out[:count].tobytes().decode().split()


def every_exponent() -> np.ndarray:
    rng = np.random.default_rng(0)
    powers = np.arange(255) << 23
    near = np.concatenate([powers + step for step in range(-3, 4)]).clip(0)
    middle = rng.integers(0, 1 << 23, (255, 200)) + powers[:, None]
    bits = np.unique(np.concatenate([near, middle.ravel(), np.arange(300)])).astype(np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    decimal = (rng.integers(-(10**7), 10**7, 20_000) / 10.0 ** rng.integers(0, 9, 20_000)).astype(np.float32)
    return np.concatenate([values, -values, decimal])


def significant(text: str) -> str:
    return re.sub(r"e.*", "", text).replace(".", "").lstrip("-0").rstrip("0")


def test_shortest_digits_equal_those_of_numpy_and_read_back() -> None:
    values = every_exponent()
    texts = format_floats(values)
    assert [significant(text) for text in texts] == [significant(str(value)) for value in values]
    again = np.array([np.float32(float(text)) for text in texts])
    assert again.tobytes() == values.tobytes()


@given(st.floats(width=32))
def test_shortest_digits_read_back_for_any_float(value: float) -> None:
    [text] = format_floats(np.array([value]))
    assert np.array_equal(np.float32(float(text)), np.float32(value), equal_nan=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (-0.418, "-0.418"),
        (1e-4, "1e-04"),
        (0.00012, "0.00012"),
        (16777216.0, "16777216.0"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1e-45, "1e-45"),
        (3.4028235e38, "3.4028235e+38"),
        (np.nan, "nan"),
        (-np.inf, "-inf"),
    ],
)
def test_format_rows_writes_floats_as_python_does(value: float, text: str) -> None:
    assert format_floats(np.array([value])) == [text]


@pytest.mark.parametrize("decimals", range(10))
def test_fixed_decimals_equal_those_of_c(decimals: int) -> None:
    values = every_exponent()
    values = np.concatenate([values[np.abs(values) < 2**31], np.arange(-64, 64) / 32, np.arange(-9, 9) + 0.5])
    expected = [f"{value:.{decimals}f}" for value in values.astype(np.float32).tolist()]
    assert format_floats(values, decimals) == expected


def test_fixed_decimals_write_large_values_in_full() -> None:
    assert format_floats(np.array([2.0**31, -3e38]), 2) == ["2147483600.0", "-3e+38"]
