"""Time fresh processes from their start to the first vector, and measure processes that share a native file.

    python benchmarks/starting.py glove.6B.50d.txt [--quick]

Without a file, one with the shape of glove.6B.50d is generated. The page cache is warm, and modules and kernels are
compiled. The fastText model is trained by the official library on the Lee corpus that gensim ships, with 2,000,000
buckets of 100 values.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from fasttext_models import made_up, train
from measure import best_of, generate
from record import ahead, arguments, lower, row, title, topic

import vecload

WORDS = 1000
PROCESSES = 8
NATIVE = "glove.safetensors"
COMPOSE = {
    "vecload": "vecload.load(sys.argv[1], vocab=[]).ngrams.vectors(words)",
    "fastText": "model = fasttext.load_model(sys.argv[1]); np.array([model.get_word_vector(word) for word in words])",
}
# The process waits until all of them have looked up their words, so that pages are shared by all.
CHILD = """
import sys, time
import vecload
vectors = vecload.load(sys.argv[1])
words = [vectors.words[row] for row in range(0, len(vectors), len(vectors) // 1000)][:1000]
found = vectors[words]
seconds = time.process_time()
print("ready", flush=True)
sys.stdin.readline()
memory = dict(line.split(":") for line in open("/proc/self/smaps_rollup").read().splitlines()[1:])
part, mapped = 0, False
for line in open("/proc/self/smaps"):
    if "-" in line.split()[0]:
        mapped = line.rstrip().endswith(sys.argv[1])
    elif mapped and line.startswith("Pss:"):
        part += int(line.split()[1])
print(seconds, 1024 * part, 1024 * int(memory["Pss"].split()[0]), flush=True)
sys.stdin.readline()
"""
FIRST = "import vecload; vectors = vecload.load({!r}); vectors[vectors.words[0]]"


def first_vectors(folder: Path, glove: Path, turns: int) -> None:
    some = vecload.load(glove, limit=1500)
    some.save(folder / "small.safetensors")
    some.save(folder / "small.txt")
    files = {
        "native file, 1,500 words": folder / "small.safetensors",
        "native file, all words": folder / NATIVE,
        "GloVe text, 1,500 words": folder / "small.txt",
        "GloVe text, all words": glove,
    }
    cases = {"Python alone": "pass", "import numpy": "import numpy"}
    cases |= {name: FIRST.format(str(path)) for name, path in files.items()}
    title("first", "Fresh process to the first vector", "", lower("seconds"), lower("beyond import numpy, s"))
    best = {name: best_of(turns, sys.executable, "-c", code) for name, code in cases.items()}
    for name, seconds in best.items():
        row(name, f"{seconds:.2f}", f"{seconds - best['import numpy']:.2f}")


def composed(folder: Path, bucket: int, count: int, turns: int) -> None:
    import gensim

    corpus = Path(gensim.__file__).parent / "test" / "test_data" / "lee_background.cor"
    model, words = train(folder / "lee.bin", corpus, bucket=bucket), folder / "words.json"
    words.write_text(json.dumps(made_up(count, seed=0)))
    title(
        "composed",
        f"Fresh process: open a fastText model of {bucket:,} buckets, and compose {count:,} words",
        "", lower("seconds"), ahead("times vecload's"),
    )  # fmt: skip
    best = {}
    for name, use in COMPOSE.items():
        package = "vecload" if name == "vecload" else "fasttext, numpy as np"
        code = f"import json, sys, {package}; words = json.load(open(sys.argv[2])); {use}"
        best[name] = best_of(turns, sys.executable, "-c", code, str(model), str(words))
    for name, seconds in best.items():
        row(name, f"{seconds:.2f}", f"{seconds / best['vecload']:.1f}")


def shared(folder: Path) -> None:
    native = folder / NATIVE
    title(
        "shared",
        f"{PROCESSES} processes look up {WORDS:,} words each in a native file of {native.stat().st_size / 1e6:.0f} MB",
        "process", lower("processor seconds"), lower("file, MB (PSS)"), lower("process, MB (PSS)"),
    )  # fmt: skip
    command = [sys.executable, "-c", CHILD, str(native)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    running = [subprocess.Popen(command, text=True, **pipes) for _ in range(PROCESSES)]
    for process in running:
        process.stdout.readline()
    # No process ends before all have read their memory.
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    seen = [[float(part) for part in process.stdout.readline().split()] for process in running]
    for process in running:
        process.communicate("\n")
    for number, (seconds, part, whole) in enumerate(seen, start=1):
        row(number, f"{seconds:.2f}", f"{part / 1e6:.1f}", f"{whole / 1e6:.0f}")
    seconds, part, whole = (sum(column) for column in zip(*seen, strict=True))
    row("all", f"{seconds:.1f}", f"{part / 1e6:.1f}", f"{whole / 1e6:.0f}")


def main() -> None:
    chosen = arguments(__doc__, ("first", "composed", "shared"), "small files, one turn", "glove.6B.50d.txt")
    turns = 1 if chosen.quick else 7
    with (
        topic("starting", chosen, "vecload", "numpy", "numba", "fasttext-numpy2"),
        tempfile.TemporaryDirectory() as name,
    ):
        folder = Path(name)
        glove = chosen.file or generate(folder / "glove.6B.50d.txt", 20_000 if chosen.quick else 400_000, 50, 5)
        if {"first", "shared"} & set(chosen.only):
            vecload.convert(glove, folder / NATIVE)
        if "first" in chosen.only:
            first_vectors(folder, glove, turns)
        if "composed" in chosen.only:
            composed(folder, 200_000 if chosen.quick else 2_000_000, 10_000 if chosen.quick else 100_000, turns)
        if "shared" in chosen.only:
            shared(folder)


if __name__ == "__main__":
    main()
