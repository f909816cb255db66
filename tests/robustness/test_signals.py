"""SIGTERM at random moments of every command that writes: outputs are old or new, without leftover files."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

if os.name != "posix":
    pytest.skip("needs SIGTERM", allow_module_level=True)

COMMANDS = {
    "convert": "convert a.vec out/o.safetensors",
    "convert compressed": "convert a.vec out/o.vec.gz",
    "embed": "embed a.vec --vocab words.txt -o out/o.safetensors",
    "transform": "transform a.vec out/o.vec --step unit",
    "pool": "pool a.vec texts.txt -o out/o.npy --mode sif",
    "map": "map a.vec a.vec -o out/o.vec --report",
    "report": "report a.vec -o out/o.html",
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    rows = np.random.default_rng(0).normal(size=(20_000, 50)).round(4)
    lines = (f"w{at} {' '.join(map(str, row))}\n" for at, row in enumerate(rows.tolist()))
    (folder / "a.vec").write_text("".join(lines))
    (folder / "words.txt").write_text("".join(f"w{at}\n" for at in range(0, 40_000, 3)))
    (folder / "texts.txt").write_text("".join(f"w{at} w{at + 1} w{at + 2}\n" for at in range(50_000)))
    return folder


@pytest.mark.campaign
@pytest.mark.parametrize("name", COMMANDS)
def test_sigterm_at_random_moments_leaves_whole_outputs_only(name: str, inputs: Path, tmp_path: Path) -> None:
    for file in inputs.iterdir():
        (tmp_path / file.name).symlink_to(file)
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-m", "vecload.cli", *COMMANDS[name].split(), "--force"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    begin = time.monotonic()
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=120, check=True)
    whole = time.monotonic() - begin
    written = {path.name: path.read_bytes() for path in out.iterdir()}
    rng = random.Random(name)
    ended = 0
    for _ in range(8):
        for path in out.iterdir():
            path.write_text("old")
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=-3, stderr=subprocess.PIPE) as process:
            time.sleep(rng.uniform(0.2, 1.0) * whole)
            process.send_signal(signal.SIGTERM)
            _, error = process.communicate(timeout=30)
        assert b"Traceback" not in error
        assert sorted(path.name for path in out.iterdir()) == sorted(written)
        assert all(path.read_bytes() in (b"old", written[path.name]) for path in out.iterdir())
        assert process.returncode in (0, -signal.SIGTERM)
        ended += process.returncode != 0
    assert ended
