"""Helpers of the benchmarks: time cases in separate processes, alternate between libraries, and generate files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

# Child processes keep compiled modules, as users' processes do. Otherwise each one would compile vecload's modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

CHILD = """
import json, sys, time, resource
path, dim, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
prepare = lambda: None  # before each run, not timed

def peak_memory():
    try:  # on Linux, ru_maxrss starts at the memory of the parent
        with open('/proc/self/status') as file:
            return next(int(line.split()[1]) for line in file if line.startswith('VmHWM'))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

{setup}
if 'vecload' in sys.modules:  # load numba and the kernels first; the table "Starting" shows their cost
    import io
    vecload.load(io.BytesIO(b"a 1 2\\n" * 100))
base = peak_memory()
times = []
for _ in range(rounds):
    prepare()
    begin = time.perf_counter()
    result = run()
    times.append(time.perf_counter() - begin)
peak = peak_memory()
size = result.matrix.nbytes + result.words.nbytes if hasattr(result, 'matrix') else 0
print(json.dumps([times, 1024 * (peak - base), size]))
"""


def run(setup: str, path: Path, dim: int, rounds: int) -> tuple[float, int, int]:
    """Return the best time of `run`, which `setup` defines, its peak memory without imports, and the result's bytes."""
    command = [sys.executable, "-c", CHILD.format(setup=setup), str(path), str(dim), str(rounds)]
    times, peak, size = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return min(times), peak, size


def in_turn(cases: dict[str, tuple[str, int]], path: Path, dim: int, turns: int) -> dict[str, float]:
    """Return the best time of each case, given as (setup, rounds).

    All rounds of a case run in one process. The cases alternate, for several turns.
    """
    best = dict.fromkeys(cases, float("inf"))
    for _ in range(turns):
        for name, (setup, rounds) in cases.items():
            best[name] = min(best[name], run(setup, path, dim, rounds)[0])
    return best


def generate(path: Path, rows: int, dim: int, digits: int = 6) -> Path:
    """Write normally distributed vectors with a fixed number of decimals, as GloVe does."""
    rng = np.random.default_rng(0)
    line = "w%d " + " ".join([f"%.{digits}f"] * dim) + "\n"
    with path.open("w") as file:
        for begin in range(0, rows, 1000):
            block = rng.normal(0, 0.4, (min(1000, rows - begin), dim))
            file.writelines(line % (begin + at, *row) for at, row in enumerate(block.tolist()))
    return path


def generate_large(path: Path, rows: int, dim: int) -> Path:
    """Write a file of any size quickly: the words differ, and the vectors repeat after a thousand rows."""
    rng = np.random.default_rng(0)
    vectors = [" ".join(f"{value:.5f}" for value in row) for row in rng.normal(0, 0.4, (1000, dim)).tolist()]
    with path.open("w") as file:
        file.writelines(f"w{row} {vectors[row % len(vectors)]}\n" for row in range(rows))
    return path


def copied_or_generated(file: Path | None, folder: Path, rows: int) -> Path:
    """Return a copy of the real GloVe file in a folder, or without one a generated file of its shape."""
    target = folder / "glove.6B.50d.txt"
    if file is None:
        return generate(target, rows, 50, 5)
    return Path(shutil.copy(file, target))


def best_of(count: int, *command: str) -> float:
    """Return the best wall-clock time of a command, process start included."""
    best = float("inf")
    for _ in range(count):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        best = min(best, time.perf_counter() - begin)
    return best
