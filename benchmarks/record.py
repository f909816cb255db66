"""Tables of measured figures: print them while a topic runs, and keep them in results/TOPIC.json.

A script lists its parts in `arguments`, opens its `topic`, and calls `title` and `row` for each table. Cells are texts
as they are printed. The columns say which of them are figures, and whether lower or higher ones are better.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

RESULTS = Path(__file__).parent / "results"


@dataclasses.dataclass(frozen=True)
class Column:
    """Heading of a column, and how `compare.py` reads its cells.

    Parameters
    ----------
    name
        Heading, with the unit.
    kind
        "label": the labels of a row identify it. "info": not compared. "lower" and "higher": figures of vecload, and
        which are better. "ahead": a time of another library divided by that of vecload.
    portable
        Whether the figures of two machines can be compared, as ratios and shares can.
    """

    name: str
    kind: Literal["label", "info", "lower", "higher", "ahead"] = "label"
    portable: bool = False


def info(name: str) -> Column:
    return Column(name, "info")


def lower(name: str, *, portable: bool = False) -> Column:
    return Column(name, "lower", portable)


def higher(name: str, *, portable: bool = False) -> Column:
    return Column(name, "higher", portable)


def ahead(name: str) -> Column:
    return Column(name, "ahead", portable=True)


@dataclasses.dataclass
class Table:
    """A table of a topic.

    Parameters
    ----------
    key
        Name that stays the same when sizes in the title change.
    title
        Heading in Markdown.
    columns
        Columns, with different names.
    rows
        Cells of each row, as they are printed.
    notes
        Sentences below the table.
    run
        Date, commit, machine and versions; see `machine`.
    """

    key: str
    title: str
    columns: list[Column]
    rows: list[list[str]] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    run: dict[str, Any] = dataclasses.field(default_factory=dict)


# Tables of the running topic, in the order of measurement. A script runs one topic.
_tables: list[Table] = []


def arguments(doc: str | None, parts: Sequence[str], quick: str, file: str | None = None) -> argparse.Namespace:
    """Read the command line of a topic. `only` has the parts to measure: all by default."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if file:
        parser.add_argument("file", nargs="?", type=Path, metavar=file)
    parser.add_argument("--quick", action="store_true", help=f"{quick}; the figures are not kept")
    parser.add_argument("--only", action="append", choices=parts, help="measure this part; may be repeated")
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help="folder for the figures (default: benchmarks/results)"
    )
    found = parser.parse_args()
    found.only = found.only or list(parts)
    return found


@contextmanager
def topic(name: str, chosen: argparse.Namespace, *packages: str) -> Iterator[None]:
    """Collect the tables of the block, and replace tables of the same keys in NAME.json, unless the run is quick."""
    measured = machine(packages)
    print("; ".join(describe(measured)))
    _tables.clear()
    yield
    if not chosen.quick:
        for table in _tables:
            table.run = measured
        save(chosen.out / f"{name}.json", _tables)


def title(key: str, text: str, *columns: str | Column) -> None:
    """Begin a table. Columns given as text are labels."""
    made = [Column(one) if isinstance(one, str) else one for one in columns]
    if len({one.name for one in made}) < len(made):
        raise ValueError(f"columns of {key} have the same name")
    if key in {table.key for table in _tables}:
        raise ValueError(f"two tables with the key {key}")
    _tables.append(Table(key, text, made))
    print(f"\n{head(_tables[-1])}", flush=True)


def row(*cells: object) -> None:
    """Add a row to the table that was begun last."""
    table = _tables[-1]
    if len(cells) != len(table.columns):
        raise ValueError(f"{len(cells)} cells in a row of {table.key}, which has {len(table.columns)} columns")
    table.rows.append([str(cell) for cell in cells])
    print(line(table.rows[-1]), flush=True)


def note(text: str) -> None:
    """Add a sentence below the table that was begun last."""
    _tables[-1].notes.append(text)
    print(f"\n{text}", flush=True)


def line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def head(table: Table) -> str:
    """Return the heading of a table and its first two lines."""
    names = [column.name for column in table.columns]
    return f"### {table.title}\n\n{line(names)}\n{line(['---'] * len(names))}"


def markdown(table: Table) -> str:
    lines = "\n".join([head(table), *map(line, table.rows)])
    return "\n\n".join([lines, *table.notes])


def machine(packages: Iterable[str]) -> dict[str, Any]:
    """Return the date, the commit, the machine and the versions of packages; "+" after a commit is a change since."""
    git = ["git", "-C", str(Path(__file__).parent)]
    commit = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], check=False, capture_output=True, text=True)
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "../vecload"], check=False, capture_output=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip() + "+" * (changed.returncode == 1) or None,
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
    }


def processor() -> str:
    """Return the model of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [text.partition(":")[2].strip() for text in lines if text.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def describe(run: dict[str, Any]) -> list[str]:
    """Return texts about a run: its date, its commit if known, the machine, the system, and versions."""
    versions = [f"Python {run['python']}", *(f"{name} {version}" for name, version in run["packages"].items())]
    return [
        run["date"],
        *([f"commit {run['commit']}"] if run["commit"] else []),
        f"{run['processor']}, {run['cores']} cores, {run['memory']}",
        run["system"],
        ", ".join(versions),
    ]


def save(path: Path, tables: Iterable[Table]) -> None:
    """Write tables to a file, in which they replace tables with the same keys."""
    kept = {table.key: table for table in read(path.read_text(encoding="utf-8"))} if path.exists() else {}
    kept |= {table.key: table for table in tables}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dumps(kept.values()), encoding="utf-8")


def dumps(tables: Iterable[Table]) -> str:
    """Return tables as JSON, with one line per row, so that a diff shows the rows that changed."""
    objects = []
    for table in tables:
        fields = []
        for name, value in dataclasses.asdict(table).items():
            items = [json.dumps(item, ensure_ascii=False) for item in value] if isinstance(value, list) else []
            text = "[\n   " + ",\n   ".join(items) + "\n  ]" if items else json.dumps(value, ensure_ascii=False)
            fields.append(f'  "{name}": {text}')
        objects.append(" {\n" + ",\n".join(fields) + "\n }")
    return "[\n" + ",\n".join(objects) + "\n]\n"


def read(text: str) -> list[Table]:
    """Return the tables of a file."""
    return [Table(**{**fields, "columns": [Column(**one) for one in fields["columns"]]}) for fields in json.loads(text)]
