"""`PlainEngine` alone, on values that small models rarely have."""

from __future__ import annotations

import numpy as np
import pytest

from vecload.classification.plain import PlainEngine

TABLE = (1 / (1 + np.exp(-(np.arange(513) * 16 / 512 - 8)))).astype(np.float32)


@pytest.mark.parametrize("value", [-1e9, -8.01, -8, -7.99, -7.5, -0.01, 0, 0.01, 7.5, 7.99, 8, 8.01, 1e9])
def test_probabilities_are_those_of_the_table_of_fasttext(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = object.__new__(PlainEngine)
    monkeypatch.setattr(engine, "hidden", lambda _: (np.ones(1, dtype=np.float32), 1), raising=False)
    outputs = np.float32([[value]]), np.ones(1, dtype=np.float32), TABLE, False
    best = engine.best_labels(b"text", outputs, 1, np.float32(-1))
    assert best is not None
    # The function sigmoid of the class Loss in fastText's loss.cc, with its arithmetic in float32.
    exact = np.float32(value)
    place = int((exact + np.float32(8)) * np.float32(512) / np.float32(8) / np.float32(2)) if abs(value) <= 8 else 0
    expected = 0.0 if exact < -8 else 1.0 if exact > 8 else float(TABLE[place])
    assert best[1][0, 0] == np.float32(np.exp(np.float64(np.float32(np.log(expected + 1e-5)))))
