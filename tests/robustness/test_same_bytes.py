"""Every writer writes equal bytes for equal values, in this process and in one with another hash seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vecload import Vectors, Words
from vecload.search import build_index

if os.name != "posix":
    pytest.skip("the writers are run by fork", allow_module_level=True)

from tests.robustness.writers import WRITERS, digest, write

PROGRAM = """
import json, sys
from pathlib import Path
from tests.robustness.writers import WRITERS, digest, write
folder, found = Path(sys.argv[1]), {}
for name in WRITERS:
    write(name, folder / name, 0)
    found[name] = digest(folder / name), digest(folder / f"{name}.pictures")
print(json.dumps(found))
"""


def digests(folder: Path, seed: str) -> dict[str, list[str]]:
    folder.mkdir()
    root = Path(__file__).parent.parent.parent
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_every_writer_gives_the_same_bytes_in_two_processes(tmp_path: Path) -> None:
    first = digests(tmp_path / "first", "1")
    time.sleep(1.1)  # timestamps in a file count seconds
    second = digests(tmp_path / "second", "2")
    assert set(first) == set(WRITERS)
    assert {name for name in first if first[name] != second[name]} == set()
    assert all(both[0] for both in first.values())


@pytest.mark.parametrize("name", ["native.safetensors", "spaCy", "word2vec-binary.bin", "text.vec.gz", "vocab.json"])
def test_different_values_give_different_bytes(name: str, tmp_path: Path) -> None:
    write(name, tmp_path / name, 0)
    before = digest(tmp_path / name)
    write(name, tmp_path / name, 1)
    assert digest(tmp_path / name) != before


def test_index_gives_the_same_bytes_twice(tmp_path: Path) -> None:
    index = build_index(Vectors(Words.from_strings(["a", "b"]), np.eye(2, dtype=np.float32)))
    for name in ("first.usearch", "second.usearch"):
        index.save(tmp_path / name)
    assert (tmp_path / "first.usearch").read_bytes() == (tmp_path / "second.usearch").read_bytes()
