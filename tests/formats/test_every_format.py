"""The battery over every format that is written; a format that is registered and is not listed here is noticed."""

from __future__ import annotations

import subprocess
import sys
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
from vecload import Vectors, Words, formats
from vecload.errors import FormatError

CASES = {
    "word2vec text": Case("word2vec text", exact=False),
    "glove": Case("glove", exact=False),
    "word2vec binary": Case("word2vec binary"),
    "fasttext": Case("fasttext"),
    "gensim": Case("gensim"),
    "native": Case("native"),
    "npz": Case("npz"),
    "Arrow": Case("Arrow"),
    "Parquet": Case("Parquet"),
    "spaCy": Case("spaCy", raw=False, folder=True),
    "sentence-transformers": Case("sentence-transformers", raw=False, folder=True),
    "model2vec": Case("model2vec", raw=False, folder=True),
}
FILES = [case for case in CASES.values() if not case.folder]
BINARY = [case for case in FILES if case.exact]
ELSEWHERE = {"floret": "holds rows of n-grams, and no words", "TensorBoard": "is not read"}
"""Writers that cannot stand the battery, and why."""
FORMS = {formats.format_by_name(name)[0].name for name in CASES}
WORDS = ["the", "cat", "北海道", "a\u00a0b", "\u0085", "x" * 300, "é", "🙂", "e\u0301", "0", "\u3000", "w5", "w7"]


def test_every_writer_is_here() -> None:
    writers = {form.name for form in formats.all_formats() if form.write is not None}
    assert writers - set(ELSEWHERE) == FORMS


@pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_round_trips(case: Case, data: st.DataObject, tmp_path: Path) -> None:
    battery.check_round_trip(case, data.draw(strategies.vectors(raw=case.raw)), tmp_path)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_every_way_in(case: Case, tmp_path: Path) -> None:
    words = [*WORDS, "\udcff\udc80"] if case.raw else WORDS
    battery.check_every_way_in(case, small_vectors(words), tmp_path)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.name)
def test_cut_anywhere(case: Case, tmp_path: Path) -> None:
    battery.check_cuts(case, small_vectors(["the", "北海", "x"], dim=3), tmp_path)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_smallest_tables(case: Case, tmp_path: Path) -> None:
    battery.check_small(case, tmp_path)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_doubles_are_written_as_they_are_or_not_at_all(case: Case, tmp_path: Path) -> None:
    large = Vectors(Words.from_strings(["a", "b"]), np.array([[0.5, 2], [1e300, 1]]))
    try:
        path = case.write(large, tmp_path)
    except FormatError as error:
        assert "which holds float32: found one in the row of 'b'" in str(error)
        assert not list(tmp_path.iterdir())
        return
    assert np.array_equal(vecload.load(path, dtype="float64").matrix, large.matrix)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_many_batches(case: Case, tmp_path: Path) -> None:
    """More rows than a batch of any reader or writer holds."""
    vectors = small_vectors([f"w{at}" for at in range(9000)], dim=60)
    path = case.write(vectors, tmp_path)
    again = vecload.load(path)
    assert again.words == vectors.words
    assert np.array_equal(again.matrix, vectors.matrix)


@pytest.mark.parametrize("case", BINARY, ids=lambda case: case.name)
def test_mutated_files_never_crash(case: Case, tmp_path: Path) -> None:
    """In a process of its own: a crash would not be an exception."""
    path = case.write(small_vectors([f"w{at}" for at in range(120)], dim=4), tmp_path)
    code = (
        "from pathlib import Path; from tests.formats import battery\n"
        f"data = Path({str(path)!r}).read_bytes()\n"
        f"for other in battery.mutated(data, 300, seed=1): battery.use(other, {case.name!r})"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
