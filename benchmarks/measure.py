"""What the benchmarks share: cases timed in processes of their own, peers in turn, tables in Markdown."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

CHILD = """
import json, sys, time, resource
path, dim, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
prepare = lambda: None  # before each run, not timed
{setup}
if 'vecload' in sys.modules:  # numba and the kernels are loaded once a process: "Starting" shows what that takes
    import io
    vecload.load(io.BytesIO(b"a 1 2\\n" * 100))
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
times = []
for _ in range(rounds):
    prepare()
    begin = time.perf_counter()
    result = run()
    times.append(time.perf_counter() - begin)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
size = result.matrix.nbytes + result.words.nbytes if hasattr(result, 'matrix') else 0
print(json.dumps([times, 1024 * (peak - base), size]))
"""


def versions(*names: str) -> str:
    """Interpreter, processors and the versions of packages, as the first line of a report."""
    found = {name: importlib.metadata.version(name) for name in names}
    return f"Python {platform.python_version()}, {os.cpu_count()} processors, {found}"


def run(setup: str, path: Path, dim: int, rounds: int) -> tuple[float, int, int]:
    """Best time, peak memory above the imports' and bytes of the result of `run`, which `setup` defines."""
    command = [sys.executable, "-c", CHILD.format(setup=setup), str(path), str(dim), str(rounds)]
    times, peak, size = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return min(times), peak, size


def in_turn(cases: dict[str, tuple[str, int]], path: Path, dim: int, turns: int) -> dict[str, float]:
    """Best time of each case (its set-up and rounds): all rounds in one process, the cases in turn, several turns."""
    best = dict.fromkeys(cases, float("inf"))
    for _ in range(turns):
        for name, (setup, rounds) in cases.items():
            best[name] = min(best[name], run(setup, path, dim, rounds)[0])
    return best


def generate(path: Path, rows: int, dim: int, digits: int = 6) -> Path:
    """A file of normal vectors printed with so many decimals, as GloVe prints them."""
    rng = np.random.default_rng(0)
    line = "w%d " + " ".join([f"%.{digits}f"] * dim) + "\n"
    with path.open("w") as file:
        for begin in range(0, rows, 1000):
            block = rng.normal(0, 0.4, (min(1000, rows - begin), dim))
            file.writelines(line % (begin + at, *row) for at, row in enumerate(block.tolist()))
    return path


def best_of(count: int, *command: str) -> float:
    """Best wall time of a whole process, by its own clock outside."""
    best = float("inf")
    for _ in range(count):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        best = min(best, time.perf_counter() - begin)
    return best


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def title(text: str, *columns: str) -> None:
    print(f"\n### {text}\n")
    row(*columns)
    row(*["---"] * len(columns))
