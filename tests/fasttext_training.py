"""Training of supervised models by the official library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def train_supervised(corpus: Path | str, **options: Any) -> Any:
    """Return a model; training meets NaN at random on some processors, so it is tried again."""
    official = pytest.importorskip("fasttext")
    for _ in range(9):
        try:
            # With fewer than ten threads, fastText does not initialize all of its matrices.
            return official.train_supervised(str(corpus), thread=12, verbose=0, **options)
        except RuntimeError:
            continue
    pytest.skip("the official library meets NaN on this processor")
