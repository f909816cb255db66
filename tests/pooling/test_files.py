"""Test `pool_file` and ``vecload pool``, which write the vectors of texts to files."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vecload import VecloadWarning, Vectors, load
from vecload.errors import FormatError, OptionError
from vecload.pooling import SentencePooler, files

TEXTS = ["the cat", "", "cat dog", "no words", "the the"]

VECTORS = Vectors(["the", "cat", "dog"], np.array([[0.5, 0.5], [3, 4], [1, 0]], dtype=np.float32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "glove.txt").write_text("the 0.5 0.5\ncat 3 4\ndog 1 0\n")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    lines = [json.dumps({"id": at, "body": text}) for at, text in enumerate(TEXTS)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "texts.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    parquet.write_table(arrow.table({"id": [1, 2, 3, 4, 5], "body": TEXTS}), tmp_path / "texts.parquet")
    return tmp_path


def read(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False)
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return load_file(path)["vectors"]
    import pyarrow.parquet

    return np.array(pyarrow.parquet.read_table(path)["vector"].to_pylist(), dtype=np.float32)


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".parquet"])
@pytest.mark.parametrize("count", [0, 1, 40_000])
def test_pool_file_writes_the_vectors_of_encode(tmp_path: Path, suffix: str, count: int) -> None:
    pooler = SentencePooler(VECTORS)
    texts = (TEXTS * (count // 5 + 1))[:count]
    assert files.pool_file(pooler, iter(texts), tmp_path / f"out{suffix}") == count
    assert np.array_equal(read(tmp_path / f"out{suffix}").reshape(-1, 2), pooler.encode(texts))


def test_pool_file_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> object:
        yield "the cat"
        raise FormatError("broken")

    for suffix in (".npy", ".parquet"):
        with pytest.raises(FormatError, match="broken"):
            files.pool_file(SentencePooler(VECTORS), broken(), tmp_path / f"out{suffix}")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OptionError, match=r"out\.csv: choose an output that ends in \.npy, \.parquet, \.safetensors"):
        files.pool_file(SentencePooler(VECTORS), [], tmp_path / "out.csv")


def run(*arguments: object) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-m", "vecload.cli", *map(str, arguments)], capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_pool_command_on_one_file(folder: Path) -> None:
    out = folder / "out.npy"
    code, shown, error = run("pool", folder / "glove.txt", folder / "texts.txt", "-o", out)
    assert (code, error) == (0, "")
    assert shown == f"{out}: 5 x 2 float32\n"
    assert np.array_equal(np.load(out), SentencePooler(load(folder / "glove.txt")).encode(TEXTS))
    code, _, error = run(
        "pool", folder / "glove.txt", folder / "texts.parquet", "-o", folder / "sif.npy", "--mode", "sif",
        "--text-column", "body",
    )  # fmt: skip
    assert code == 0
    assert "mode 'sif' removes 1 of 3 directions" in error
    with pytest.warns(VecloadWarning, match="fit it on at least 4"):
        expected = SentencePooler(load(folder / "glove.txt"), "sif").fit(TEXTS).encode(TEXTS)
    np.testing.assert_allclose(np.load(folder / "sif.npy"), expected, atol=1e-6)


def test_pool_command_with_a_saved_pooler(folder: Path) -> None:
    pooler = SentencePooler(VECTORS, "sif", normalize=True).fit(["the the cat", "the dog", "cat", "dog cat"])
    pooler.save(folder / "pooler")
    command = ["pool", folder / "pooler", folder / "texts.txt", "-o", folder / "out.parquet"]
    code, _, error = run(*command)
    assert (code, error) == (0, "")
    assert np.array_equal(read(folder / "out.parquet"), pooler.encode(TEXTS))
    code, _, error = run(*command, "--mode", "mean", "--force")
    assert code == 2
    assert "is a pooler with mode 'sif'; leave out --mode" in error


def test_pool_command_on_several_files_resumes(folder: Path) -> None:
    out = folder / "vectors"
    more = folder / "more.txt"
    more.write_text("dog\n")
    command = ["pool", folder / "glove.txt", folder / "texts.txt", more, "-o", out, "--format", "safetensors"]
    assert run(*command)[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["more.txt.safetensors", "pool.json", "texts.txt.safetensors"]
    (out / "more.txt.safetensors").unlink()
    kept = (out / "texts.txt.safetensors").stat()
    code, shown, _ = run(*command)
    assert code == 0
    assert shown.splitlines() == ["1 of 2 files exist already", f"{out / 'more.txt.safetensors'}: 1 x 2 float32"]
    assert (out / "texts.txt.safetensors").stat().st_mtime_ns == kept.st_mtime_ns
    assert read(out / "more.txt.safetensors").tolist() == [[1, 0]]
    assert run(*command)[1] == "2 of 2 files exist already\n"
    code, _, error = run(*command, "--mode", "max")
    assert code == 2
    assert "were written with other settings" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("texts.txt", "-o", "out.csv"), "out.csv: choose an output that ends in .npy"),
        (("texts.txt", "-o", "out.npy", "--mode", "nope"), "unknown mode 'nope'; choose from: mean, sum"),
        (("texts.txt", "-o", "out.npy", "--mode", "attention"), "has to be trained"),
        (("none.txt", "-o", "out.npy"), "no such file"),
        (("texts.txt", "./texts.txt", "-o", "folder"), "two of the TEXTS have the same file name"),
    ],
)
def test_pool_command_refuses_invalid_arguments(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    given = [folder / part if "." in part and not part.startswith("-") else part for part in arguments]
    code, _, error = run("pool", folder / "glove.txt", *given)
    assert code == 2
    assert message in error
