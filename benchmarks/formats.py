"""Time reading word2vec binary, native files and spaCy folders, `convert`, writing, and gzip; compare with others.

    python benchmarks/formats.py [glove.6B.50d.txt] [--quick]

Every case runs in a separate process, several times and alternating with the other libraries. A time is the best of all
runs of the whole call, with a warm page cache. --quick uses a tenth of the rows and skips the file of 2 GB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from load_text import PEERS as TEXT
from load_text import packed
from measure import copied_or_generated, generate, in_turn, run
from record import ahead, arguments, info, lower, row, title, topic

import vecload

FRESH = """
import os, time, vecload
target = path + '.safetensors'

def prepare():
    if os.path.exists(target):
        os.unlink(target)
        time.sleep(0.1)  # the system is still freeing the pages of the file

"""
PEERS = {
    "vecload": "import vecload; run = lambda: vecload.load(path)",
    "gensim, binary": "from gensim.models import KeyedVectors; "
    "run = lambda: KeyedVectors.load_word2vec_format(path, binary=True)",
    "convert": FRESH + "run = lambda: vecload.convert(path, target)",
    "convert, over an older file": "import vecload; run = lambda: vecload.convert(path, path + '.safetensors')",
    "convert, float16": FRESH + "run = lambda: vecload.convert(path, target, dtype='float16')",
    "vecload, text out": "import vecload; vectors = vecload.load(path); "
    "run = lambda: vectors.save(path + '.out', 'word2vec')",
    "vecload, 6 decimals": "import vecload; vectors = vecload.load(path); "
    "run = lambda: vectors.save(path + '.out', 'word2vec', precision=6)",
    "gensim, text out": "from gensim.models import KeyedVectors\n"
    "vectors = KeyedVectors.load_word2vec_format(path, binary=True)\n"
    "run = lambda: vectors.save_word2vec_format(path + '.out', binary=False)",
    "vecload, binary out": "import vecload; vectors = vecload.load(path); "
    "run = lambda: vectors.save(path + '.out', 'word2vec binary')",
    "gensim, binary out": "from gensim.models import KeyedVectors\n"
    "vectors = KeyedVectors.load_word2vec_format(path, binary=True)\n"
    "run = lambda: vectors.save_word2vec_format(path + '.out', binary=True)",
}

SHARED = {
    "vecload": "import vecload; run = lambda: vecload.load(path)",
    "vecload, native": "import vecload; run = lambda: vecload.load(path + '.safetensors')",
    "vecload, and a row for each word": "import vecload; run = lambda: vecload.load(path).matrix",
    "spaCy": "from spacy.vocab import Vocab; run = lambda: Vocab().from_disk(path)",
    "vecload, CSLS of all words": "import vecload; from vecload.search import csls\n"
    "vectors = vecload.load(path); run = lambda: csls(vectors, vectors, k=1, progress=False)",
}

REOPEN = """
import json, sys, time, vecload.loading
path, word = sys.argv[1:]
times = []
for _ in range(6):
    begin = time.perf_counter()
    vector = vecload.load(path)[word]
    times.append(time.perf_counter() - begin)
print(json.dumps([times[0], min(times[1:])]))
"""


def binary(path: Path, rows: int, dim: int) -> Path:
    """Write a word2vec binary file without line feeds, as gensim does."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(f"{rows} {dim}\n".encode())
        for begin in range(0, rows, 10_000):
            block = rng.normal(0, 0.4, (min(10_000, rows - begin), dim)).astype("<f4")
            file.write(b"".join(b"w%d " % (begin + at) + line.tobytes() for at, line in enumerate(block)))
    return path


def shared(path: Path, words: int, rows: int, dim: int) -> Path:
    """Write a spaCy folder whose words share rows, of the size of ``en_core_web_md``, and the same as a native file."""
    rng = np.random.default_rng(0)
    ids = np.concatenate([np.arange(rows), rng.integers(0, rows, words - rows)])
    stored = rng.normal(0, 0.4, (rows, dim)).astype(np.float32)
    vectors = vecload.Vectors([f"w{at}" for at in range(words)], stored, row_ids=ids)
    vectors.save(path, "spacy")
    vectors.save(f"{path}.safetensors")
    return path


def peers(rounds: dict[str, int]) -> dict[str, tuple[str, int]]:
    """Return the setup code and number of rounds of each named case."""
    return {name: ({**TEXT, **PEERS}[name], count) for name, count in rounds.items()}


def against(best: dict[str, float]) -> None:
    """Print a row for each case, with its time and the ratio to the first case."""
    first = next(iter(best.values()))
    for name, seconds in best.items():
        row(name, f"{seconds:.3f}", f"{seconds / first:.1f}")


def word2vec(vectors: Path, rows: int, turns: int) -> None:
    title("word2vec", f"word2vec binary, {rows:,} × 50 → Vectors", "", lower("seconds"), ahead("× vecload"))
    against(in_turn(peers({"vecload": 5, "gensim, binary": 1}), vectors, 50, turns))


def reopen(vectors: Path, folder: Path, rows: int) -> None:
    title(
        "reopen",
        "Native file to the first vector",
        *("rows × 50", lower("milliseconds, first in the process"), lower("again")),
    )
    for count in (rows, 5 * rows):
        source = vectors if count == rows else binary(folder / "more.bin", count, 50)
        run(PEERS["convert"], source, 50, 1)
        command = [sys.executable, "-c", REOPEN, f"{source}.safetensors", f"w{count - 1}"]
        runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(5)]
        row(f"{count:,}", *(f"{1000 * min(column):.2f}" for column in zip(*runs, strict=True)))


def converting(glove: Path, turns: int) -> None:
    title(
        "convert",
        f"{glove.name}, {glove.stat().st_size:,} bytes → native file",
        *("", lower("seconds"), lower("× load", portable=True)),
    )
    cases = {"vecload": 3, "convert": 3, "convert, over an older file": 3, "convert, float16": 3}
    against(in_turn(peers(cases), glove, 50, 2 * turns))


def memory(glove: Path, folder: Path, *, quick: bool) -> None:
    title("memory", "convert: peak memory above the imports'", info("bytes in"), "rows", lower("MB"))
    files = [(glove, 50)] if quick else [(glove, 50), (generate(folder / "wide.txt", 750_000, 300), 300)]
    for path, dim in files:
        _, peak, _ = run(PEERS["convert"], path, dim, 1)
        with Path(f"{path}.safetensors").open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        row(f"{path.stat().st_size:,}", f"{header['matrix']['shape'][0]:,}", f"{peak / 1e6:.0f}")


def spacy_folder(folder: Path, words: int, rows: int) -> None:
    title(
        "spacy",
        f"spaCy folder, {words:,} words on {rows:,} rows of 300 values",
        *("", lower("seconds"), lower("peak MB")),
    )
    source = shared(folder / "md", words, rows, 300)
    for name, setup in SHARED.items():
        seconds, peak, _ = run(setup, source, 300, 1)
        row(name, f"{seconds:.3f}", f"{peak / 1e6:.0f}")


def writing(vectors: Path, rows: int) -> None:
    title("writing", f"Writing {rows:,} × 50", "", lower("seconds"), ahead("× vecload"))
    against(in_turn(peers({"vecload, text out": 2, "vecload, 6 decimals": 2, "gensim, text out": 1}), vectors, 50, 1))
    against(in_turn(peers({"vecload, binary out": 3, "gensim, binary out": 1}), vectors, 50, 1))


def decompression(glove: Path, turns: int) -> None:
    title("gzip", "gzip: decompression alone, and to Vectors", "", lower("seconds"), lower("× isal", portable=True))
    against(in_turn(peers({"isal": 3, "zlib": 1, "vecload": 3}), packed(glove, "gz"), 50, turns))


def main() -> None:
    parts = ("word2vec", "reopen", "convert", "memory", "spacy", "writing", "gzip")
    chosen = arguments(__doc__, parts, "small tables, one turn per case", file="glove.6B.50d.txt")
    turns, part = (1, 10) if chosen.quick else (3, 1)
    rows = 400_000 // part
    packages = ("vecload", "numpy", "numba", "gensim", "safetensors", "isal")
    with topic("formats", chosen, *packages), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        glove = copied_or_generated(chosen.file, folder, rows)
        vectors = binary(folder / "vectors.bin", rows, 50)
        # Compile kernels that are not in the cache yet.
        for name in ("convert", "vecload, text out", "vecload, binary out"):
            run(PEERS[name], binary(folder / "tiny.bin", 200, 50), 50, 1)
        measures = {
            "word2vec": lambda: word2vec(vectors, rows, turns),
            "reopen": lambda: reopen(vectors, folder, rows),
            "convert": lambda: converting(glove, turns),
            "memory": lambda: memory(glove, folder, quick=chosen.quick),
            "spacy": lambda: spacy_folder(folder, 684_830 // part, 20_000 // part),
            "writing": lambda: writing(vectors, rows),
            "gzip": lambda: decompression(glove, turns),
        }
        for name in chosen.only:
            measures[name]()


if __name__ == "__main__":
    main()
