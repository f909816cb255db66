"""Convert a word2vec .bin file once, then share one copy in memory among the workers of a DataLoader.

    python examples/share_vectors.py [FILE]

FILE is a file such as GoogleNews-vectors-negative300.bin.gz, or a catalog name such as
word2vec:GoogleNews-vectors-negative300. Without it, the example writes 50,000 words with 100 random values each. A
file in vecload's native format is memory-mapped: it opens in milliseconds at any size, and all workers share its
pages.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

import vecload

WORKERS = 2


class Means(Dataset[torch.Tensor]):
    """Dataset of texts as means of their word vectors.

    Each worker maps the file when it reads its first text.
    """

    def __init__(self, file: Path, texts: list[str]) -> None:
        self.file = file
        self.texts = texts
        self.vectors: vecload.Vectors | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, at: int) -> torch.Tensor:
        if self.vectors is None:
            self.vectors = vecload.load(self.file)
        words = [word for word in self.texts[at].split() if word in self.vectors]
        return torch.from_numpy(self.vectors[words].mean(axis=0))


class Grown(Dataset[int]):
    """Dataset that measures the bytes by which a worker's private memory grows when it reads the whole file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __len__(self) -> int:
        return WORKERS

    def __getitem__(self, at: int) -> int:
        before = own_memory()
        vectors = vecload.load(self.file)
        vectors.matrix.sum()
        return own_memory() - before


def own_memory() -> int:
    """Return the bytes of private memory that no file backs, or 0 where the system does not report them."""
    rollup = Path("/proc/self/smaps_rollup")
    if not rollup.exists():
        return 0
    fields = dict(line.split(":") for line in rollup.read_text().splitlines()[1:])
    return 1024 * int(fields["Private_Dirty"].split()[0])


def main() -> None:
    """Run the example."""
    with tempfile.TemporaryDirectory() as folder:
        source = sys.argv[1] if sys.argv[1:] else made(Path(folder) / "random.bin")
        native = Path(folder) / "vectors.safetensors"
        done = vecload.convert(source, native)
        begin = time.perf_counter()
        vectors = vecload.load(native)
        opened = time.perf_counter() - begin
        print(f"converted: {done.written:,} rows")
        print(f"opened in {1000 * opened:.1f} ms: {len(vectors):,} words x {vectors.dim}")
        assert not vectors.matrix.flags.writeable  # the matrix is the mapped file

        words = list(vectors.words[:1000])
        texts = [" ".join(words[at : at + 5]) for at in range(995)]
        batches = DataLoader(Means(native, texts), batch_size=199, num_workers=WORKERS)
        means = torch.cat(list(batches))
        print(f"{len(means)} texts pooled by {WORKERS} workers")
        assert np.allclose(means[7], vectors[words[7:12]].mean(axis=0), atol=1e-6)

        grown = [int(bytes_) for bytes_ in DataLoader(Grown(native), batch_size=None, num_workers=WORKERS)]
        print(f"the matrix is {vectors.matrix.nbytes / 1e6:.0f} MB; a worker that read it all has", end=" ")
        print(f"{max(grown) / 1e6:.0f} MB more of its own")


def made(file: Path) -> Path:
    """Write random vectors in the binary format of word2vec."""
    rng = np.random.default_rng(0)
    words = vecload.Words.from_strings([f"word_{at}" for at in range(50_000)])
    vecload.Vectors(words, rng.normal(size=(len(words), 100)).astype(np.float32)).save(file, format="word2vec-binary")
    return file


if __name__ == "__main__":
    main()
