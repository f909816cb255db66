"""Use an installed vecload as a new user does, with nothing but the package and its dependencies.

    python tests/smoke.py [PACKAGE...]

The named packages are treated as missing. Without torch, the embedding layer is skipped.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


class Missing(importlib.abc.MetaPathFinder):
    """Finder that makes packages missing."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = set(names)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def use(folder: Path, *, layers: bool) -> None:
    """Load, look up, align, search, save and convert."""
    import numpy as np

    import vecload

    text = folder / "vectors.txt"
    rng = np.random.default_rng(0)
    words = ["the", "cat", "sat", "北海道", *(f"word{number}" for number in range(200))]
    rows = rng.normal(size=(len(words), 8)).round(4)
    lines = (" ".join([word, *map(str, row)]) for word, row in zip(words, rows.tolist(), strict=True))
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    vectors = vecload.load(text)
    assert list(vectors) == words
    np.testing.assert_array_equal(vectors.matrix, rows.astype(np.float32))
    assert vectors.neighbors("cat", 3)[0][0] != "cat"
    for name in ("copy.safetensors", "copy.bin", "copy.npz", "copy.txt.gz"):
        vectors.save(folder / name)
        assert vecload.load(folder / name)["北海道"].tobytes() == vectors["北海道"].tobytes(), name
    vecload.convert(text, folder / "converted.safetensors")
    assert vecload.info(folder / "converted.safetensors").rows == len(words)
    vocab = vecload.Vocab.from_texts(["The cat sat"], specials=["<pad>", "<unk>"])
    aligned = vecload.align(text, vocab, oov=["casefold", "normal"])
    assert aligned.coverage.found >= 0.5
    if layers:
        layer = aligned.embedding("finetune")
        assert layer.weight.shape == (len(vocab), 8)
        assert vecload.SentencePooler(vectors, "mean").encode(["the cat", ""]).shape == (2, 8)


def main(missing: Sequence[str]) -> None:
    sys.meta_path.insert(0, Missing(missing))
    with tempfile.TemporaryDirectory() as folder:
        use(Path(folder), layers="torch" not in missing)
    loaded = sorted(set(missing) & {name.partition(".")[0] for name in sys.modules})
    assert not loaded, loaded
    print("vecload works" + (f" without {', '.join(missing)}" if missing else ""))


if __name__ == "__main__":
    main(sys.argv[1:])
