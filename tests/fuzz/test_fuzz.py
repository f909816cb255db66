"""Tests of the fuzzer: a short run with a fixed seed, and its parts."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.campaign import Counts, keep, kept
from tests.fuzz.children import Outcome
from tests.fuzz.inputs import Input, from_folder
from tests.fuzz.mutation import mutate, mutate_bytes, mutate_safetensors

ROOT = Path(__file__).parent.parent.parent


def fuzz(*arguments: str, finds: Path) -> str:
    command = [sys.executable, "-m", "tests.fuzz", "--finds", str(finds), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def test_short_campaign_finds_nothing(tmp_path: Path) -> None:
    assert "| all |" in fuzz("--inputs", "20", "--seed", "1", finds=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.campaign
def test_long_campaign_finds_nothing(tmp_path: Path) -> None:
    fuzz("--seconds", "600", "--seed", "2", finds=tmp_path)


def test_counts_of_several_processes_are_added() -> None:
    counts = Counts()
    counts.inputs["gensim"] += 3
    counts.finds["gensim"] += 1
    counts.add(counts.to_json())
    assert "| gensim | 6 | 0 | 0 | 0 | 2 |" in counts.table()


def test_equal_seeds_give_equal_inputs() -> None:
    given = Input("any", {"a": b"cat 1 2\ndog 3 4\n", "b": b'{"a": [1, 2]}'}, "a")
    one, other = ([mutate(given, [given], random.Random(seed)) for seed in range(50)] for _ in range(2))
    assert one == other
    assert Counter(found.digest for found in one).most_common(1)[0][1] < 10


@pytest.mark.parametrize("data", [b"", b"a", b"{}", b"PK", b"\x80\x04", b"\x1f\x8b", b"\x93NUMPY\1\0"])
def test_mutation_of_tiny_files_never_fails(data: bytes) -> None:
    for seed in range(300):
        assert isinstance(mutate_bytes(data, random.Random(seed)), bytes)


def test_mutation_of_mutated_headers_stays_small() -> None:
    """Offsets that an earlier mutation made huge do not ask for gigabytes of padding."""
    header = {"a": {"dtype": "F32", "shape": [2, 2**20], "data_offsets": [0, 2**31]}}
    text = json.dumps(header).encode()
    data = struct.pack("<Q", len(text)) + text + bytes(16)
    for seed in range(300):
        assert len(mutate_safetensors(data, random.Random(seed))) < 10_000


def test_stored_inputs_are_read_as_they_were_written(tmp_path: Path) -> None:
    given = Input("gensim", {"m.kv": b"1", "m.kv.vectors.npy": b"2"}, "m.kv")
    path = keep(given, Outcome("raw exception", "here"), tmp_path)
    assert list(kept(tmp_path)) == [(path.name, given)]
    assert from_folder("gensim", path / "input", "m.kv") == given
