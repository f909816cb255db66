"""The battery over every format that is read and written, and over the one that docs/adding-a-format.md defines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vecload
from tests import strategies
from tests.builders import small_vectors
from tests.formats import battery
from tests.formats.battery import Case
from tests.formats.documented import documented_format
from vecload import formats

DOCUMENTED = documented_format()
CASES = battery.cases([*formats.all_formats(), DOCUMENTED])
FILES = [case for case in CASES.values() if not case.folder]
BINARY = [case for case in FILES if case.exact]
WORDS = ["the", "cat", "北海道", "a\u00a0b", "\u0085", "x" * 300, "é", "🙂", "e\u0301", "0", "\u3000", "w5", "w7"]


@pytest.fixture(autouse=True, scope="module")
def documented_format_is_registered() -> Iterator[None]:
    formats.register(DOCUMENTED)
    yield
    formats.unregister(DOCUMENTED.name)


@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_saved_vectors_are_equal_when_loaded(case: Case, data: st.DataObject, tmp_path: Path) -> None:
    battery.check_round_trip(case, data.draw(strategies.vectors(raw=case.raw)), tmp_path)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_load_reads_every_kind_of_source(case: Case, tmp_path: Path) -> None:
    words = [*WORDS, "\udcff\udc80"] if case.raw else WORDS
    battery.check_every_source(case, small_vectors(words), tmp_path)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_load_refuses_or_skips_values_too_large_for_the_type(case: Case, tmp_path: Path) -> None:
    battery.check_overflow(case, tmp_path)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_load_refuses_a_file_cut_at_any_byte(case: Case, tmp_path: Path) -> None:
    battery.check_truncation(case, small_vectors(["the", "北海", "x"], dim=3), tmp_path)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_smallest_tables_are_kept_or_refused(case: Case, tmp_path: Path) -> None:
    battery.check_small(case, tmp_path)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_float64_values_are_stored_exactly_or_refused(case: Case, tmp_path: Path) -> None:
    battery.check_float64(case, tmp_path)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_vectors_of_many_batches_are_equal_when_loaded(case: Case, tmp_path: Path) -> None:
    vectors = small_vectors([f"w{at}" for at in range(9000)], dim=60)
    path = case.write(vectors, tmp_path)
    again = vecload.load(path)
    assert again.words == vectors.words
    assert np.array_equal(again.matrix, vectors.matrix)


@pytest.mark.parametrize("case", BINARY, ids=lambda case: case.name)
def test_damaged_files_never_crash(case: Case, tmp_path: Path) -> None:
    """The files are loaded in a separate process, because a crash is not an exception."""
    path = case.write(small_vectors([f"w{at}" for at in range(120)], dim=4), tmp_path)
    code = (
        "from pathlib import Path; from tests.formats import battery, documented; from vecload import formats\n"
        "formats.register(documented.documented_format())\n"
        f"data = Path({str(path)!r}).read_bytes()\n"
        f"for other in battery.mutated(data, 300, seed=1): battery.use(other, {case.name!r})"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
