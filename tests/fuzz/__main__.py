"""``python -m tests.fuzz``: run a campaign, or replay inputs for tests."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

# Forked children cannot use threads that their parent started, neither those of OpenMP nor those of BLAS.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["MALLOC_ARENA_MAX"] = "2"
os.environ["VECLOAD_RAW_ERRORS"] = "1"  # do not convert unexpected errors: they are the findings

from tests.fuzz.campaign import FINDS, Campaign, Counts, kept, warm_up  # noqa: E402
from tests.fuzz.children import settle  # noqa: E402
from tests.fuzz.inputs import Input  # noqa: E402
from tests.fuzz.seeds import readers  # noqa: E402
from tests.fuzz.use import BROKEN, break_promise, use  # noqa: E402


def main() -> int:
    """Parse the arguments, and return 1 if a guarantee was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, help="duration of the campaign in seconds")
    parser.add_argument("--inputs", type=int, help="number of inputs for each reader, instead of a duration")
    parser.add_argument(
        "--format", action="append", default=[], help="prefix of a reader's name (default: all readers)"
    )
    parser.add_argument("--seed", type=int, default=None, help="seed of the random generator (default: the time)")
    parser.add_argument("--jobs", type=int, default=1, help="number of processes")
    parser.add_argument("--finds", type=Path, default=FINDS, help="folder for findings")
    parser.add_argument("--json", type=Path, help="file for the counts")
    parser.add_argument("--replay", action="store_true", help="run inputs named on standard input, as JSON lines")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    known = readers()
    chosen = [name for name in known if any(map(_folded(name).startswith, map(_folded, options.format)))]
    if options.format and not chosen:
        parser.error(f"unknown reader; choose from: {', '.join(map(_folded, known))}")
    if options.replay:
        return _replay()
    seed = int(time.time()) if options.seed is None else options.seed
    counts = _jobs(options, seed) if options.jobs > 1 else _campaign(chosen or known, options, seed)
    print(f"seed {seed}\n\n{counts.table()}")
    if options.json:
        options.json.write_text(counts.to_json(), encoding="utf-8")
    return int(bool(counts.finds.total()))


def _folded(name: str) -> str:
    return name.casefold().replace(" ", "-")


def _campaign(chosen: list[str], options: argparse.Namespace, seed: int) -> Counts:
    begin = time.monotonic()
    warm_up(chosen)
    campaign = Campaign(chosen, seed, options.finds)
    print(f"{len(chosen)} readers, kernels compiled in {time.monotonic() - begin:.0f} s", flush=True)
    campaign.run(options.seconds if options.inputs is None else None, options.inputs)
    return campaign.counts


def _jobs(options: argparse.Namespace, seed: int) -> Counts:
    """Run several processes of this program with different seeds."""
    counts = Counts()
    with tempfile.TemporaryDirectory() as folder:
        running = []
        for job in range(options.jobs):
            command = [
                sys.executable,
                "-m",
                "tests.fuzz",
                "--seed",
                str(seed * 1000 + job),
                "--finds",
                str(options.finds),
            ]
            command += ["--json", f"{folder}/{job}"]
            command += [part for name in options.format for part in ("--format", name)]
            command += [
                part
                for name in ("seconds", "inputs")
                if (value := getattr(options, name))
                for part in (f"--{name}", str(value))
            ]
            running.append(subprocess.Popen(command))
        for job, process in enumerate(running):
            if process.wait() not in (0, 1):
                raise SystemExit(f"job {job} failed")
            counts.add(Path(folder, str(job)).read_text(encoding="utf-8"))
    return counts


def _replay() -> int:
    """Run every nth input of each source named on standard input, and answer with a line of JSON for each."""
    from tests.robustness.hostile import classes

    warm_up(readers())
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        source, step = json.loads(line)
        with tempfile.TemporaryDirectory() as folder:
            sources = {
                "classes": lambda folder=folder: classes.inputs(Path(folder)),
                "finds": kept,
                "broken": lambda: ((name, Input("broken", {"how": name.encode()}, "how")) for name in BROKEN),
            }
            for name, given in itertools.islice(
                sources.get(source, lambda source=source: classes.shared(Path(source)))(), 0, None, step
            ):
                outcome = settle(break_promise, given, 2.0) if source == "broken" else settle(use, given)
                print(json.dumps({"name": name, **dataclasses.asdict(outcome)}), flush=True)
        print(json.dumps({"done": True}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
