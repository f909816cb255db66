"""Time loading text vectors with vecload, gensim and polars; measure memory, cold starts and growth.

    python benchmarks/load_text.py [glove.6B.50d.txt] [--quick]

Every case runs in a separate process, several times and alternating with the other libraries. A time is the best of all
runs of the whole call, with a warm page cache. Without a file, one with the shape of glove.6B.50d is generated.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import best_of, copied_or_generated, generate, generate_large, in_turn, run
from record import ahead, arguments, higher, info, lower, row, title, topic

PEERS = {
    "vecload": "import vecload; run = lambda: vecload.load(path)",
    "vecload, 5 000 words": "import vecload; words = json.load(open(path + '.words.json')); "
    "run = lambda: vecload.load(path, vocab=words)",
    "vecload, 100 000 words": "import vecload; words = json.load(open(path + '.100000.json')); "
    "run = lambda: vecload.load(path, vocab=words)",
    "vecload, aligned to 100 000 words": "import vecload; words = json.load(open(path + '.100000.json')); "
    "run = lambda: vecload.align(path, words, oov=['casefold', 'zeros']).matrix",
    "gensim": "from gensim.models import KeyedVectors; "
    "run = lambda: KeyedVectors.load_word2vec_format(path, no_header=True)",
    "polars": "import polars as pl, numpy as np\n"
    "def run():\n"
    "    table = pl.read_csv(path, separator=' ', has_header=False, quote_char=None)\n"
    "    return table['column_1'].to_list(), table[:, 1:].to_numpy(order='c').astype(np.float32)",
    "polars, given the types": "import polars as pl, numpy as np\n"
    "def run():\n"
    "    table = pl.read_csv(path, separator=' ', has_header=False, quote_char=None, "
    "schema_overrides={f'column_{at}': pl.Float32 for at in range(2, dim + 2)})\n"
    "    return table['column_1'].to_list(), np.ascontiguousarray(table[:, 1:].to_numpy())",
    "read only": "block = bytearray(1 << 20)\n"
    "def run():\n"
    "    with open(path, 'rb', buffering=0) as file:\n"
    "        while file.readinto(block): pass",
    "zlib": "import gzip, zlib\n"
    "def run():\n"
    "    engine = zlib.decompressobj(31)\n"
    "    with open(path, 'rb') as file:\n"
    "        while piece := file.read(1 << 15): engine.decompress(piece)",
    "isal": "from isal import isal_zlib\n"
    "def run():\n"
    "    engine = isal_zlib.decompressobj(31)\n"
    "    with open(path, 'rb') as file:\n"
    "        while piece := file.read(1 << 15): engine.decompress(piece)",
    "rapidgzip": "import rapidgzip\n"
    "def run():\n"
    "    with rapidgzip.open(path, parallelization=0) as file:\n"
    "        while file.read(1 << 20): pass",
}


def peers(rounds: dict[str, int]) -> dict[str, tuple[str, int]]:
    """Return the setup code and number of rounds of each named case."""
    return {name: (PEERS[name], count) for name, count in rounds.items()}


def wish(path: Path, words: list[str]) -> None:
    """Write the vocabulary of the case that loads 5,000 words."""
    step = max(1, len(words) // 5000)
    Path(f"{path}.words.json").write_text(json.dumps(words[::step][:5000]))


def first_call(path: Path, cache: str | None) -> tuple[float, float]:
    """Return the seconds of the import and of the first load, with kernels cached in `cache` (None: the default)."""
    code = (
        "import sys, time; begin = time.perf_counter(); from vecload import load; middle = time.perf_counter(); "
        "load(sys.argv[1]); print(middle - begin, time.perf_counter() - middle)"
    )
    environment = os.environ | ({} if cache is None else {"NUMBA_CACHE_DIR": cache})
    done = subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=True, capture_output=True)
    before, after = map(float, done.stdout.split())
    return before, after


def loading(glove: Path, turns: int, *, quick: bool) -> None:
    title(
        "loading",
        f"{glove.name}, {glove.stat().st_size:,} bytes → words and float32 matrix",
        *("", lower("seconds"), ahead("× vecload")),
    )
    cases = {"vecload": 5, "polars": 3, "polars, given the types": 3} | ({} if quick else {"gensim": 1})
    best = in_turn(peers(cases), glove, 50, turns)
    for name, seconds in best.items():
        row(name, f"{seconds:.3f}", f"{seconds / best['vecload']:.1f}")


def wide_rows(wide: Path, turns: int) -> None:
    size = wide.stat().st_size
    title("wide", f"100 000 × 300, {size:,} bytes", "", lower("seconds"), higher("GB/s"))
    best = in_turn(peers({"vecload": 5, "vecload, 5 000 words": 5, "read only": 5}), wide, 300, turns)
    for name, seconds in best.items():
        row(name, f"{seconds:.3f}", f"{size / seconds / 1e9:.2f}")


def large_files(folder: Path, rows: int) -> None:
    """Measure a file of the shape of glove.840B.300d, and one of a quarter of its rows."""
    names = [
        "read only",
        "vecload",
        "vecload, 5 000 words",
        "vecload, 100 000 words",
        "vecload, aligned to 100 000 words",
    ]
    for key, count in {"quarter": rows // 4, "large": rows}.items():
        path = generate_large(folder / f"{key}.txt", count, 300)
        size = path.stat().st_size
        title(
            key, f"{count:,} × 300, {size:,} bytes", "",
            *(lower("seconds"), higher("GB/s"), higher("of plain reading", portable=True)),
        )  # fmt: skip
        wish(path, [f"w{at}" for at in range(count)])
        # Half of them are in the file, a quarter are there after case folding, and a quarter are missing.
        letters, step = ("w", "W", "w", "x"), count // 100_000
        asked = [f"{letters[at % 4]}{at * step}" for at in range(100_000)]
        Path(f"{path}.100000.json").write_text(json.dumps(asked))
        best = in_turn(peers(dict.fromkeys(names, 2)), path, 300, 2)
        for name, seconds in best.items():
            row(name, f"{seconds:.3f}", f"{size / seconds / 1e9:.2f}", f"{best['read only'] / seconds:.2f}")
        path.unlink()


def memory(glove: Path, wide: Path) -> None:
    title(
        "memory",
        "Peak memory above the imports' (one call)",
        *("file", info("matrix + words, MB"), lower("peak, MB"), lower("more, MB")),
    )
    for path, dim in ((glove, 50), (wide, 300), (packed(glove, "gz"), 50), (packed(glove, "bz2"), 50)):
        _, peak, size = run(PEERS["vecload"], path, dim, 1)
        row(path.name, f"{size / 1e6:.0f}", f"{peak / 1e6:.0f}", f"{(peak - size) / 1e6:.0f}")


def decompression(glove: Path, turns: int) -> None:
    title("gzip", "gzip: decompression alone, and to Vectors", "", lower("seconds"))
    archive = packed(glove, "gz")
    for name in ("zlib", "isal", "rapidgzip", "vecload"):
        try:
            row(name, f"{in_turn(peers({name: 3}), archive, 50, turns)[name]:.3f}")
        except subprocess.CalledProcessError:
            row(name, "not installed")


def starting(glove: Path, folder: Path) -> None:
    title("starting", "Starting", "", lower("seconds"))
    tiny = generate(folder / "tiny.txt", 100, 50)
    python = sys.executable
    bare = best_of(5, python, "-c", "pass")
    row("import vecload, above bare Python", f"{best_of(5, python, '-c', 'import vecload') - bare:.3f}")
    whole = best_of(5, python, "-m", "vecload.cli", "info", str(glove))
    row(f"vecload info {glove.name}, whole process", f"{whole:.3f}")
    row("from vecload import load (numpy with it)", f"{min(first_call(tiny, None)[0] for _ in range(5)):.3f}")
    warm = min(first_call(tiny, None)[1] for _ in range(5))
    row("first load, 100 rows: numba and the kernels from their cache", f"{warm:.3f}")
    cold = min(first_call(tiny, str(folder / f"cache{at}"))[1] for at in range(2))
    row("the same without a compile cache", f"{cold:.3f}")


def growth(folder: Path, turns: int) -> None:
    title("growth", "Growth, dimension 50", "rows", lower("seconds"), lower("seconds per million rows"))
    for rows in (10_000, 100_000, 1_000_000):
        path = generate(folder / f"rows{rows}.txt", rows, 50)
        seconds = in_turn(peers({"vecload": 5}), path, 50, turns)["vecload"]
        row(f"{rows:,}", f"{seconds:.3f}", f"{1e6 * seconds / rows:.3f}")


def packed(path: Path, kind: str) -> Path:
    """Compress the file unless it is compressed already, and return the new path."""
    import bz2

    target = path.with_name(f"{path.name}.{kind}")
    if not target.exists():
        with path.open("rb") as plain, gzip.open(target, "wb", 6) if kind == "gz" else bz2.open(target, "wb") as out:
            shutil.copyfileobj(plain, out, 1 << 20)
    return target


def main() -> None:
    parts = ("loading", "wide", "large", "memory", "gzip", "starting", "growth")
    chosen = arguments(__doc__, parts, "one turn per case, without gensim", file="glove.6B.50d.txt")
    turns = 1 if chosen.quick else 3
    packages = ("vecload", "numpy", "numba", "gensim", "polars", "isal")
    with topic("load_text", chosen, *packages), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        glove = copied_or_generated(chosen.file, folder, 400_000)
        wide = generate(folder / "wide.txt", 100_000, 300)
        for path in (glove, wide):
            with path.open(encoding="utf-8") as file:
                wish(path, [line.partition(" ")[0] for line in file])
        run(PEERS["vecload, 5 000 words"], glove, 50, 1)  # compile kernels that are not in the cache yet
        measures = {
            "loading": lambda: loading(glove, turns, quick=chosen.quick),
            "wide": lambda: wide_rows(wide, turns),
            "large": lambda: large_files(folder, 440_000 if chosen.quick else 2_200_000),
            "memory": lambda: memory(glove, wide),
            "gzip": lambda: decompression(glove, turns),
            "starting": lambda: starting(glove, folder),
            "growth": lambda: growth(folder, turns),
        }
        for part in chosen.only:
            measures[part]()


if __name__ == "__main__":
    main()
