"""Equal values are saved as equal bytes, in every process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.saved.samples import SAMPLES
from vecload.saved import plain, to_json


def digests(path: Path) -> dict[str, str]:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


WRITE = """
import sys
from pathlib import Path
from tests.saved.samples import SAMPLES, place
from tests.saved.test_same_bytes import digests
for number, (name, sample) in enumerate(SAMPLES.items()):
    folder = Path(sys.argv[1], str(number))
    folder.mkdir()
    path = place(name, folder)
    sample.save(path)
    print(name, digests(path))
"""


def test_every_kind_has_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    outputs = set()
    for seed in ("1", "2", "3"):
        (tmp_path / seed).mkdir()
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", WRITE, str(tmp_path / seed)],
            capture_output=True, text=True, check=True, env=environment, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert len(done.stdout.splitlines()) == len(SAMPLES)
        outputs.add(done.stdout)
    assert len(outputs) == 1


@pytest.mark.parametrize("name", ["Aligned", "SpaceMap"])
def test_loaded_value_is_saved_as_the_same_bytes(name: str, tmp_path: Path) -> None:
    SAMPLES[name].save(tmp_path / "first.safetensors")
    getattr(vecload, name).load(tmp_path / "first.safetensors").save(tmp_path / "second.safetensors")
    assert (tmp_path / "second.safetensors").read_bytes() == (tmp_path / "first.safetensors").read_bytes()


def test_native_file_saved_again_keeps_all_but_its_origin(tmp_path: Path) -> None:
    SAMPLES["native with quantized n-grams"].save(tmp_path / "v.safetensors")
    for at in ("a", "b"):
        vecload.load(tmp_path / "v.safetensors").save(tmp_path / f"{at}.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


class Unprintable:
    """Value whose text contains its address, which differs in every process."""


def test_json_does_not_depend_on_order_or_memory_addresses() -> None:
    assert to_json({"b": 1, "a": {3, 1, 2}}) == to_json({"a": {2, 3, 1}, "b": 1}) == '{"a":[1,2,3],"b":1}'
    assert plain({"x": Unprintable()}) == {"x": "Unprintable"}
    assert plain([np.float64(1), np.arange(2), Path("a"), (1, None), {1: True}]) == [
        1.0,
        [0, 1],
        "a",
        [1, None],
        {"1": True},
    ]
