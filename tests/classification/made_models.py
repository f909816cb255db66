"""Small models in fastText's binary format, byte by byte, the same on every processor."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

WORDS = ["cat", "dog", "the", "日本", "unseen", "café", "</s>", "<", "😀"]
TEXTS = ["", "the cat", "unseen dogs 日本語", "cat dog cat the dog", "😀 café </s> dog", "__label__1 the"]
KNOWN = ["</s>", "the", "cat", "dog", "日本", "café"]
LABELS = 5
MODELS: dict[str, dict[str, Any]] = {
    "softmax": {"loss": 3},
    "hierarchical softmax, n-grams of three words": {"loss": 1, "phrases": 3},
    "one-vs-all, n-grams of characters": {"loss": 4, "minn": 2, "maxn": 4},
    "negative sampling, n-grams of both kinds": {"loss": 2, "phrases": 2, "minn": 1, "maxn": 3},
    "skipgram": {"loss": 2, "model": 2, "minn": 3, "maxn": 6},
    "cbow": {"loss": 2, "model": 1, "minn": 1, "maxn": 2},
}


def made_model(*, loss: int, model: int = 3, phrases: int = 1, minn: int = 0, maxn: int = 0) -> bytes:
    """Return a model whose matrices have small multiples of 1/64, so that sums are exact in float32."""
    dim, bucket = 6, 50 if phrases > 1 or maxn else 0
    labels = [f"__label__{number}" for number in range(LABELS)] if model == 3 else []
    settings = (dim, 5, 1, 1, 5, phrases, loss, model, bucket, minn, maxn, 100)
    parts = [struct.pack("<2i12id", 793712314, 12, *settings, 1e-4)]
    parts.append(struct.pack("<3i2q", len(KNOWN) + len(labels), len(KNOWN), len(labels), 1000, -1))
    for kind, names in enumerate((KNOWN, labels)):
        for at, name in enumerate(names):
            parts.append(name.encode() + b"\0" + struct.pack("<qb", 100 - 7 * at, kind))
    rng = np.random.Generator(np.random.PCG64(7))
    for rows in (len(KNOWN) + bucket, len(labels) or len(KNOWN)):
        matrix = rng.integers(-128, 128, size=(rows, dim)).astype("<f4") / np.float32(64)
        parts.append(struct.pack("<?2q", False, rows, dim) + matrix.tobytes())
    return b"".join(parts)
