"""Fuzzing campaign: change, read and use inputs until time is up; minimize and keep inputs that violate a guarantee."""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import shutil
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.children import Child, Outcome, settle
from tests.fuzz.inputs import Input, from_folder
from tests.fuzz.mutation import mutate
from tests.fuzz.seeds import seeds
from tests.fuzz.use import use

FINDS = Path(__file__).parent / "finds"

_CORPUS = 200  # inputs kept per reader: those that load, and those refused with a new error
_LARGEST = 1 << 17  # bytes of one of them
_MINIMIZE = 20.0  # seconds


@dataclass
class Counts:
    """Counts of a campaign, per reader."""

    inputs: Counter[str] = field(default_factory=Counter)
    loaded: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    finds: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    """Distinct errors of refused inputs."""

    def to_json(self) -> str:
        """Return the counts as JSON."""
        return json.dumps({name: dict(counts) for name, counts in vars(self).items()})

    def add(self, other: str) -> None:
        """Add the counts of another process, as JSON."""
        for name, counts in json.loads(other).items():
            getattr(self, name).update(counts)

    def table(self) -> str:
        """Return a table for docs/robustness.md."""
        lines = [
            "| reader | inputs | loaded and used | refused | kinds of errors | finds |",
            "|---|--:|--:|--:|--:|--:|",
        ]
        rows = [(name, *(counts[name] for counts in self._columns())) for name in sorted(self.inputs)]
        rows.append(("all", *(counts.total() for counts in self._columns())))
        return "\n".join([*lines, *(f"| {name} | " + " | ".join(f"{n:,}" for n in row) + " |" for name, *row in rows)])

    def _columns(self) -> tuple[Counter[str], ...]:
        return self.inputs, self.loaded, self.refused, self.errors, self.finds


def warm_up(readers: list[str]) -> None:
    """Use every seed in this process, so that children forked from it have compiled kernels.

    A seed that does not load is an error of the fuzzer and ends it.
    """
    import tempfile

    quiet = contextlib.redirect_stderr(io.StringIO())
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), quiet:
        warnings.simplefilter("ignore")
        for reader in readers:
            for seed in seeds(reader):
                try:
                    use(seed.write(Path(folder) / "input"), seed, lambda _: None)
                except Exception as error:
                    error.add_note(f"the seed {seed.entry or 'folder'} of {reader}")
                    raise


class Campaign:
    """Fuzzing loop over some readers, with one child process at a time.

    Parameters
    ----------
    readers
        Their names, as in `seeds`.
    seed
        Seed of the random generators. Equal seeds and equal seed files give equal inputs.
    finds
        Folder for minimized finds, or None to keep none.
    """

    def __init__(self, readers: list[str], seed: int, finds: Path | None = FINDS) -> None:
        self.counts = Counts()
        self.found: list[tuple[Input, Outcome]] = []
        self._readers = readers
        self._seed = seed
        self._finds = finds
        self._corpus: dict[str, tuple[list[Input], ...]] = {reader: (list(seeds(reader)), [], []) for reader in readers}
        self._seen: set[tuple[str, str]] = set()
        self._signatures: set[tuple[str, str, str]] = set()
        self._child: Child | None = None

    def run(self, seconds: float | None = None, inputs: int | None = None) -> None:
        """Run for a duration, or for a number of inputs per reader."""
        end = None if seconds is None else time.monotonic() + seconds
        with contextlib.closing(self):
            for round_ in range(sys.maxsize if inputs is None else inputs):
                for reader in self._readers:
                    if end is not None and time.monotonic() > end:
                        return
                    self._one(reader, random.Random(f"{self._seed}/{reader}/{round_}"))

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.close()

    def _one(self, reader: str, rng: random.Random) -> None:
        good, loaded, refused = self._corpus[reader]
        chosen = rng.choice([good, good, good, loaded or good, refused or good])
        given = mutate(rng.choice(chosen), good, rng)
        outcome = self._run(given)
        if outcome.found:
            outcome = settle(use, given)
        self.counts.inputs[reader] += 1
        self.counts.loaded[reader] += outcome.kind == "loaded"
        self.counts.refused[reader] += outcome.kind == "refused"
        # A new error means that new code was reached: a cheap replacement for measuring coverage.
        kind = re.sub(r"[0-9]+|'.*?'|\(.*\)|found .*", "", outcome.text)
        if outcome.kind == "refused" and (reader, kind) not in self._seen:
            self._seen.add((reader, kind))
            self.counts.errors[reader] += 1
            _keep(refused, given, rng)
        elif outcome.kind == "loaded" and rng.random() < 0.05:
            _keep(loaded, given, rng)
        signature = (reader, outcome.kind, outcome.where)
        if outcome.found and signature not in self._signatures:
            self._signatures.add(signature)
            self.counts.finds[reader] += 1
            small = self._minimized(given, outcome)
            self.found.append((small, outcome))
            print(f"{reader}: {outcome.kind} in {outcome.where}\n{outcome.text}", flush=True)
            if self._finds is not None:
                print(f"kept in {keep(small, outcome, self._finds)}", flush=True)

    def _run(self, given: Input) -> Outcome:
        if self._child is None or not self._child.alive:
            self._child = Child(use)
        return self._child.run(given)

    def _minimized(self, given: Input, outcome: Outcome) -> Input:
        """Return a smaller input that ends the same way."""
        end = time.monotonic() + _MINIMIZE
        for name in sorted(given.files):
            size = len(given.files[name])
            while size:
                size //= 2
                at = 0
                while size and at < len(given.files[name]):
                    if time.monotonic() > end:
                        return given
                    data = given.files[name]
                    smaller = given.replaced(name, data[:at] + data[at + size :])
                    again = self._run(smaller)
                    if (again.kind, again.where) == (outcome.kind, outcome.where):
                        given = smaller
                    else:
                        at += size
        return given


def _keep(corpus: list[Input], given: Input, rng: random.Random) -> None:
    """Add an input to those that are changed further, or replace one of them."""
    if given.size > _LARGEST:
        return
    if len(corpus) < _CORPUS:
        corpus.append(given)
    else:
        corpus[rng.randrange(_CORPUS)] = given


def keep(given: Input, outcome: Outcome, folder: Path) -> Path:
    """Write a finding to a new folder, with a description."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"{given.reader} {outcome.kind} {given.digest}".lower())
    path = folder / slug
    shutil.rmtree(path, ignore_errors=True)
    given.write(path / "input")
    about = {"reader": given.reader, "entry": given.entry, "kind": outcome.kind, "where": outcome.where}
    (path / "find.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return path


def kept(folder: Path = FINDS) -> Iterator[tuple[str, Input]]:
    """Yield the name and the input of every finding."""
    for path in sorted(folder.glob("*/find.json")):
        about = json.loads(path.read_text(encoding="utf-8"))
        found = from_folder(about["reader"], path.parent / "input", about["entry"])
        yield path.parent.name, found
