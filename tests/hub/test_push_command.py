"""The command `push`."""

import json
from pathlib import Path

import numpy as np
import pytest

import vecload
from tests.cli.running import run_here
from tests.hub_server import Hub


@pytest.fixture
def vectors() -> vecload.Vectors:
    return vecload.Vectors(["cat", "dog"], np.eye(2, 3, dtype=np.float32))


def test_push_command_uploads_file_and_prints_address(signed_in: Hub, tmp_path: Path, vectors) -> None:
    vectors.save(tmp_path / "v.txt", format="glove")
    options = ["--private", "--license", "mit", "-m", "First", "--revision", "next"]
    code, shown, error = run_here("push", str(tmp_path / "v.txt"), "org/name", *options)
    assert code == 0, error
    repo = signed_in.repos["org/name"]
    assert shown == f"{signed_in.url}/org/name/commit/{repo.refs['next']}\n"
    assert repo.private
    assert repo.messages[-1] == "First"
    assert list(vecload.load("hf://org/name@next").words) == ["cat", "dog"]


def test_push_command_recognizes_poolers_and_aligned_matrices(signed_in: Hub, tmp_path: Path, vectors) -> None:
    vecload.SentencePooler(vectors).save(tmp_path / "pooler")
    vecload.align(vectors, ["dog"]).save(tmp_path / "aligned.safetensors")
    for name in ("pooler", "aligned.safetensors"):
        code, shown, error = run_here("push", str(tmp_path / name), f"org/{name}", "--json")
        assert code == 0, error
        assert json.loads(shown)["url"].startswith(signed_in.url)
    assert len(vecload.SentencePooler.load("hf://org/pooler").encode(["cat"])) == 1
    assert len(vecload.Aligned.load("hf://org/aligned.safetensors")) == 1


def test_push_command_without_token_asks_to_log_in(hub: Hub, tmp_path: Path, vectors) -> None:
    vectors.save(tmp_path / "v.safetensors")
    code, shown, error = run_here("push", str(tmp_path / "v.safetensors"), "org/name")
    assert (code, shown) == (1, "")
    assert "hf auth login" in error
