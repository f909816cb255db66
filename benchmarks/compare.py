"""Compare two runs of the benchmarks, and exit with 1 if a figure is more than 15% worse.

    python benchmarks/compare.py OLD [NEW] [--all]

OLD and NEW are folders of results, JSON files in them, or git revisions; NEW is the working tree by default. If the
processors differ, only ratios and shares are compared: a ratio to another library that ran on the same machine depends
less on the machine than seconds do. A change counts only as far as it cannot be due to rounding in both runs.
"""

from __future__ import annotations

import argparse
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from record import RESULTS, Column, Table, line, read

LIMIT = 0.15
# Rows of other libraries and of other ways, whose own figures are not compared.
PEERS = (
    "gensim", "polars", "torch", "spaCy", "fastText", "pandas", "json.load", "safetensors", "model2vec", "Static",
    "nn.Embedding", "masked gradient", "PEFT", "zlib", "isal", "rapidgzip", "read only", "random",
)  # fmt: skip
NUMBER = re.compile(r"(-?\d[\d,]*)(?:\.(\d+))?%?|nan|-?inf")


class Figure(NamedTuple):
    """A number as it is printed, half a unit of its last digit, and its column."""

    text: str
    value: float
    rounding: float
    column: Column


class Change(NamedTuple):
    """Figures of the two runs, the new value divided by the old one, and the verdict."""

    name: str
    old: str
    new: str
    ratio: str
    verdict: str


def figure(text: str, column: Column) -> Figure | None:
    """Return the number of a cell, or None if it has another text, as "not installed"."""
    found = NUMBER.fullmatch(text.strip())
    if not found:
        return None
    digits = found[2]
    return Figure(text, float(text.strip().rstrip("%").replace(",", "")), 0.5 * 10.0 ** -len(digits or ""), column)


def figures(tables: list[Table]) -> dict[str, Figure]:
    """Return the figures to compare by table, row and column."""
    found = {}
    for table in tables:
        for cells in table.rows:
            pairs = list(zip(table.columns, cells, strict=True))
            label = ", ".join(cell for column, cell in pairs if column.kind == "label" and cell)
            ours, peer = label.startswith("vecload"), label.startswith(PEERS)
            for column, cell in pairs:
                if column.kind in ("label", "info") or (ours if column.kind == "ahead" else peer):
                    continue
                one = figure(cell, column)
                if one is not None:
                    found[f"{table.key}: {label}: {column.name}"] = one
    return found


def verdict(old: Figure, new: Figure) -> tuple[str, str]:
    """Return the ratio of two figures as text, and "worse", "better", "not comparable" or nothing."""
    if not math.isfinite(old.value):
        return "", "not comparable"
    if not math.isfinite(new.value):
        return "", "worse"
    if old.value < 0 or new.value < 0:
        return "", "not comparable"
    ratio = f"{new.value / old.value:.2f}" if old.value else ""
    # Half a unit of the last digit is the least by which figures may differ from the measured ones.
    grown = max(new.value - new.rounding, 0.0) / (old.value + old.rounding) > 1 + LIMIT
    shrunk = max(old.value - old.rounding, 0.0) / (new.value + new.rounding) > 1 + LIMIT
    if not grown and not shrunk:
        return ratio, ""
    return ratio, "worse" if grown == (new.column.kind == "lower") else "better"


def differ(old: Table, new: Table) -> bool:
    """Return whether two tables were measured on different machines."""
    return any(old.run.get(name) != new.run.get(name) for name in ("processor", "cores"))


def compare(old: dict[str, list[Table]], new: dict[str, list[Table]]) -> list[Change]:
    """Return the changes of all figures of two runs, given as tables by topic, and tables that only one run has."""
    changes = []
    for topic in sorted(old.keys() & new.keys()):
        before, after = ({table.key: table for table in run[topic]} for run in (old, new))
        for key in before | after:
            if key not in before or key not in after:
                changes.append(Change(f"{topic}/{key}", "", "", "", "missing" if key in before else "new"))
            else:
                portable = differ(before[key], after[key])
                changes += compare_tables(topic, before[key], after[key], portable=portable)
    return changes


def compare_tables(topic: str, old: Table, new: Table, *, portable: bool) -> list[Change]:
    """Return the changes of a table. With `portable`, compare only ratios and shares."""
    before, after = figures([old]), figures([new])
    changes = []
    for name in [*before, *(name for name in after if name not in before)]:
        if portable and not (after.get(name) or before[name]).column.portable:
            continue
        full = f"{topic}/{name}"
        if name not in after:
            changes.append(Change(full, before[name].text, "", "", "missing"))
        elif name not in before:
            changes.append(Change(full, "", after[name].text, "", "new"))
        else:
            changes.append(Change(full, before[name].text, after[name].text, *verdict(before[name], after[name])))
    return changes


def load(source: str) -> dict[str, list[Table]]:
    """Return the tables by topic of a folder, a file or a git revision."""
    path = Path(source)
    if path.exists():
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        found = {file.stem: read(file.read_text(encoding="utf-8")) for file in files}
    else:
        names = git("ls-tree", "--name-only", source, "results/").splitlines()
        found = {Path(name).stem: read(git("show", f"{source}:./{name}")) for name in names if name.endswith(".json")}
    if not found:
        raise SystemExit(f"{source} has no results: pass a folder, a JSON file, or a revision with benchmarks/results")
    return found


def git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"no such file or folder, and git says: {done.stderr.strip()}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="a folder, a JSON file or a git revision")
    parser.add_argument("new", nargs="?", default=str(RESULTS), help="likewise; benchmarks/results by default")
    parser.add_argument("--all", action="store_true", help="also list figures that changed less")
    options = parser.parse_args()
    old, new = load(options.old), load(options.new)
    for topic in sorted(old.keys() ^ new.keys()):
        print(f"{topic}: only in {options.old if topic in old else options.new}")
    changes = compare(old, new)
    if any(differ(a, b) for topic in old.keys() & new.keys() for a in old[topic] for b in new[topic] if a.key == b.key):
        print("The processors differ for some tables: of these, only ratios and shares are compared.")
    shown = changes if options.all else [change for change in changes if change.verdict]
    if shown:
        print("\n".join(map(line, [("figure", "old", "new", "new / old", ""), ["---"] * 5, *shown])))
    worse = sum(change.verdict == "worse" for change in changes)
    print(f"{len(changes)} comparisons, {worse} more than {LIMIT:.0%} worse.")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
