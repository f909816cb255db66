"""A word2vec .bin, converted once, then shared by the workers of a DataLoader: one copy in memory for all of them.

    python examples/share_vectors.py [FILE]

FILE is a .bin as GoogleNews-vectors-negative300.bin.gz, or a name as word2vec:GoogleNews-vectors-negative300. Without
it one is made: 50,000 words of 100 random values. vecload's own form is mapped, not read: opening it takes
milliseconds, whatever its size, and the pages that workers touch are the same memory in all of them.
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
    """Texts as the mean of their words' vectors.

    The file is opened where it is used: a worker maps it on its first text.
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
    """By how many bytes a worker's own memory grows when it opens the file and reads all of it."""

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
    """Bytes of this process that no other shares and no file backs; 0 where the system does not say."""
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
        assert not vectors.matrix.flags.writeable  # it is the file

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
    """Write random vectors as word2vec does."""
    rng = np.random.default_rng(0)
    words = vecload.Words.from_strings([f"word_{at}" for at in range(50_000)])
    vecload.Vectors(words, rng.normal(size=(len(words), 100)).astype(np.float32)).save(file, format="word2vec-binary")
    return file


if __name__ == "__main__":
    main()
