"""Results of the benchmarks: RESULTS.md is made from them, runs are merged, and two runs can be compared."""

from __future__ import annotations

import argparse
import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.meta.checkout import ROOT, file_of_checkout

MACHINE = {"date": "2026-01-02", "commit": None, "processor": "A", "cores": 2, "memory": "1 GiB", "system": "Linux"}
RUN = MACHINE | {"python": "3.11", "packages": {}}


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType, ModuleType]:
    """Return the modules record, report and compare."""
    file_of_checkout("benchmarks/record.py")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    record, report, compare = (importlib.import_module(name) for name in ("record", "report", "compare"))
    return record, report, compare


def made(record: ModuleType, rows: list[list[str]], key: str = "speed", **run: Any) -> Any:
    columns = [
        record.Column(""),
        record.info("bytes"),
        record.lower("seconds"),
        record.higher("share", portable=True),
        record.ahead("× vecload"),
    ]
    return record.Table(key, "Speed", columns, rows, [], RUN | run)


OURS = ["vecload", "1,000", "1.00", "90.0%", "1.0"]
THEIRS = ["gensim", "1,000", "9.00", "50.0%", "9.0"]


@pytest.fixture
def changes(benchmarks: tuple[ModuleType, ...]) -> Any:
    """Return a function that compares two lists of rows and returns the verdict on each figure."""
    record, _, compare = benchmarks

    def verdicts(old: list[list[str]], new: list[list[str]], **run: Any) -> dict[str, str]:
        tables = {"t": [made(record, old)]}, {"t": [made(record, new, **run)]}
        return {change.name.removeprefix("t/speed: "): change.verdict for change in compare.compare(*tables)}

    return verdicts


def test_results_md_is_made_from_the_results(benchmarks: tuple[ModuleType, ...]) -> None:
    record, report, _ = benchmarks
    remedy = "run `python benchmarks/report.py`"
    assert report.make(record.RESULTS) == file_of_checkout("benchmarks/RESULTS.md"), remedy


def test_results_are_stored_as_they_would_be_written(benchmarks: tuple[ModuleType, ...]) -> None:
    record, _, _ = benchmarks
    for path in sorted(record.RESULTS.glob("*.json")):
        text = path.read_text(encoding="utf-8")
        assert record.dumps(record.read(text)) == text, path.name


def test_stored_tables_are_measured_by_the_scripts(benchmarks: tuple[ModuleType, ...]) -> None:
    record, _, _ = benchmarks
    for path in sorted(record.RESULTS.glob("*.json")):
        script = file_of_checkout(f"benchmarks/{path.stem}.py")
        for table in record.read(path.read_text(encoding="utf-8")):
            assert f'"{table.key}"' in script, f"{path.name}: {table.key}"


def test_equal_runs_have_no_verdicts(changes: Any) -> None:
    assert changes([OURS, THEIRS], [OURS, THEIRS]) == {
        "vecload: seconds": "",
        "vecload: share": "",
        "gensim: × vecload": "",
    }


@pytest.mark.parametrize(
    ("figure", "cell", "value", "verdict"),
    [
        ("vecload: seconds", 2, "1.16", ""),  # may be 1.155 / 1.005
        ("vecload: seconds", 2, "1.17", "worse"),
        ("vecload: seconds", 2, "0.80", "better"),
        ("vecload: seconds", 2, "0.00", "better"),
        ("vecload: seconds", 2, "nan", "worse"),
        ("vecload: seconds", 2, "-1.00", "not comparable"),
        ("vecload: seconds", 2, "not installed", "missing"),
        ("vecload: share", 3, "70.0%", "worse"),
        ("vecload: share", 3, "79.0%", ""),
        ("vecload: share", 3, "0.0%", "worse"),
    ],
)
def test_change_of_one_figure_has_verdict(changes: Any, figure: str, cell: int, value: str, verdict: str) -> None:
    new = [*OURS]
    new[cell] = value
    found = changes([OURS], [new])
    assert found.pop(figure) == verdict
    assert set(found.values()) == {""}


def test_small_figures_differ_only_beyond_rounding(changes: Any) -> None:
    one, two, four = (["vecload", "1", text, "1%", "1"] for text in ("0.001", "0.002", "0.004"))
    assert changes([one], [two])["vecload: seconds"] == ""
    assert changes([one], [four])["vecload: seconds"] == "worse"


def test_zero_and_nan_before_do_not_fail(changes: Any) -> None:
    zero, unknown = (["vecload", "1", text, "1%", "1"] for text in ("0.00", "nan"))
    assert changes([zero], [zero])["vecload: seconds"] == ""
    assert changes([zero], [OURS])["vecload: seconds"] == "worse"
    assert changes([unknown], [OURS])["vecload: seconds"] == "not comparable"


def test_time_of_another_library_counts_only_as_a_ratio(changes: Any) -> None:
    slower = ["gensim", "2,000", "20.00", "10.0%", "9.0"]
    nearer = ["gensim", "1,000", "9.00", "50.0%", "4.5"]
    assert changes([THEIRS], [slower]) == {"gensim: × vecload": ""}
    assert changes([THEIRS], [nearer]) == {"gensim: × vecload": "worse"}


def test_other_machine_compares_only_ratios_and_shares(changes: Any) -> None:
    new = [["vecload", "1,000", "5.00", "90.0%", "1.0"], ["gensim", "1,000", "9.00", "50.0%", "1.8"]]
    found = changes([OURS, THEIRS], new, processor="B")
    assert found == {"vecload: share": "", "gensim: × vecload": "worse"}


def test_missing_and_new_rows_and_tables_are_listed(changes: Any, benchmarks: tuple[ModuleType, ...]) -> None:
    assert changes([OURS, THEIRS], [THEIRS])["vecload: seconds"] == "missing"
    assert changes([THEIRS], [OURS, THEIRS])["vecload: seconds"] == "new"
    record, _, compare = benchmarks
    old, new = ({"t": [made(record, [THEIRS], key)]} for key in ("one", "two"))
    assert [change.verdict for change in compare.compare(old, new)] == ["missing", "new"]


@pytest.mark.parametrize(("seconds", "status"), [("1.00", 0), ("2.00", 1)])
def test_compare_exits_with_1_if_a_figure_is_worse(
    benchmarks: tuple[ModuleType, ...], tmp_path: Path, seconds: str, status: int
) -> None:
    record, _, _ = benchmarks
    record.save(tmp_path / "old" / "t.json", [made(record, [OURS])])
    record.save(tmp_path / "new" / "t.json", [made(record, [["vecload", "1", seconds, "90.0%", "1.0"]])])
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/compare.py", tmp_path / "old", tmp_path / "new/t.json"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr
    assert ("| t/speed: vecload: seconds | 1.00 | 2.00 | 2.00 | worse |" in done.stdout) == bool(status)


def test_compare_reads_results_of_git_revisions(benchmarks: tuple[ModuleType, ...], tmp_path: Path) -> None:
    record, _, _ = benchmarks
    folder = tmp_path / "benchmarks"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "init", "-q"], check=True)
    for seconds in ("1.00", "2.00"):
        record.save(folder / "results" / "t.json", [made(record, [["vecload", "1", seconds, "90.0%", "1.0"]])])
        for name in ("compare.py", "record.py"):
            shutil.copy(ROOT / "benchmarks" / name, folder)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-q", "-m", seconds], check=True)
    for sources, status in ((["HEAD~1", "HEAD"], 1), (["HEAD~1"], 1), (["HEAD"], 0)):
        done = subprocess.run([sys.executable, folder / "compare.py", *sources], capture_output=True, text=True)
        assert done.returncode == status, done.stderr


def test_source_without_results_is_an_error(benchmarks: tuple[ModuleType, ...], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="has no results"):
        benchmarks[2].load(str(tmp_path))
    with pytest.raises(SystemExit, match="no such file"):
        benchmarks[2].load("no-such-revision")


def measure(record: ModuleType, folder: Path, key: str, *cells: str, quick: bool = False) -> None:
    with record.topic("t", argparse.Namespace(quick=quick, out=folder), "numpy"):
        record.title(key, "Speed", "", record.lower("seconds"))
        record.row("vecload", "1.0", *cells)


def test_run_replaces_only_the_tables_that_it_measured(benchmarks: tuple[ModuleType, ...], tmp_path: Path) -> None:
    record, _, _ = benchmarks
    record.save(tmp_path / "t.json", [made(record, [OURS], "one"), made(record, [OURS], "two")])
    measure(record, tmp_path, "one")
    one, two = record.read((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert (one.rows, two.rows) == ([["vecload", "1.0"]], [OURS])
    assert set(one.run) == set(two.run)
    assert "numpy" in one.run["packages"]


def test_quick_or_failed_run_writes_nothing(benchmarks: tuple[ModuleType, ...], tmp_path: Path) -> None:
    record, _, _ = benchmarks
    measure(record, tmp_path, "one", quick=True)
    with pytest.raises(ValueError, match="3 cells"):
        measure(record, tmp_path, "one", "too many")
    assert list(tmp_path.iterdir()) == []


def test_report_places_tables_and_names_what_is_missing(benchmarks: tuple[ModuleType, ...], tmp_path: Path) -> None:
    record, report, _ = benchmarks
    prose = tmp_path / "prose.md"
    record.save(tmp_path / "t.json", [made(record, [OURS], key) for key in ("one", "two")])
    record.save(tmp_path / "t.json", [made(record, [THEIRS], "later", date="2026-02-03")])
    prose.write_text("{{t}}\n\nThen:\n\n{{t/one}}\n", encoding="utf-8")
    machine, tables = report.make(tmp_path).removeprefix(report.NOTICE).split("\n\n", 1)
    assert machine == "2026-01-02; A, 2 cores, 1 GiB; Linux; Python 3.11."
    assert tables.index("This table: 2026-02-03.") < tables.index("Then:")
    assert tables.count("### Speed") == 3
    prose.write_text("{{t/one}}\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="needs a line"):
        report.make(tmp_path)
    prose.write_text("{{t}}\n\n{{t/three}}\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="t/three"):
        report.make(tmp_path)
