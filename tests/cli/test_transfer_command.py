"""The command `transfer`, on tiny models in folders."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.cli.running import run
from tests.tokenizer_builders import wrapped
from vecload import Vectors, map_spaces, transfer_embedding
from vecload.cli import transferring
from vecload.tokenizers.token_forms import token_forms

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: Any) -> Path:
    """Return a folder with a model, a donor, tokenizers, vectors and a map."""
    root = tmp_path_factory.mktemp("models")
    source, target = wrapped("bytes"), wrapped("unigram", texts="second", size=330)
    for name, tokenizer in (("model", source), ("donor", target)):
        torch.manual_seed(0)
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        config = transformers.LlamaConfig(vocab_size=len(tokenizer), num_key_value_heads=2, **sizes)
        transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    target.save_pretrained(root / "target")
    names = [token for token in token_forms(target).tokens if token]
    vectors = Vectors(names, np.random.default_rng(0).normal(size=(len(names), 6)).astype(np.float32))
    vectors.save(root / "vectors.safetensors")
    map_spaces(vectors, vectors, pairs="identical", method="procrustes").save(root / "map.safetensors")
    (root / "empty").mkdir()
    return root


def options(folders: Path) -> dict[str, list[Any]]:
    vectors = ["--vectors", folders / "vectors.safetensors"]
    return {
        "focus": vectors,
        "wechsel": [*vectors, "--source-vectors", vectors[1], "--map", folders / "map.safetensors", "-k", "3"],
        "omp": ["--donor", folders / "donor", "-k", "8"],
        "subwords": [],
        "mean": [],
        "normal": ["--seed", "3"],
    }


@pytest.mark.parametrize("method", ["focus", "wechsel", "omp", "subwords", "mean", "normal"])
def test_transfer_writes_a_model_with_its_new_tokenizer(folders: Path, tmp_path: Path, method: str) -> None:
    out = tmp_path / "out"
    given = [folders / "model", "--target-tokenizer", folders / "target", "--method", method, "-o", out]
    code, shown, err = run("transfer", *given, *options(folders)[method], "--pad-to-multiple-of", "8")
    assert (code, err) == (0, ""), err
    assert shown.splitlines()[0].startswith("origin")
    assert "not copied: " in shown
    rows = -(-len(wrapped("unigram", texts="second", size=330)) // 8) * 8
    assert shown.splitlines()[-1] == f"{out}: {rows} x 16 bfloat16"
    model = transformers.AutoModelForCausalLM.from_pretrained(out, dtype="auto")
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert model.dtype == torch.bfloat16
    assert model.config.eos_token_id == tokenizer.eos_token_id == 2
    if method == "subwords":
        old = transformers.AutoModelForCausalLM.from_pretrained(folders / "model", dtype="auto")
        transfer_embedding(old, folders / "model", folders / "target", "subwords", pad_to_multiple_of=8)
        assert torch.equal(old.get_input_embeddings().weight, model.get_input_embeddings().weight)
        assert torch.equal(old.lm_head.weight, model.lm_head.weight)


def test_transfer_prints_json(folders: Path, tmp_path: Path) -> None:
    given = [folders / "model", "--target-tokenizer", folders / "target", "--method", "mean"]
    code, shown, _ = run("transfer", *given, "-o", tmp_path / "out", "--json")
    result = json.loads(shown)
    assert (code, result["dim"], result["output"]) == (0, 16, str(tmp_path / "out"))
    assert {count["origin"] for count in result["coverage"]["counts"]} == {"copied", "mean"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "--method", "focus"], "method='focus' needs vectors="),
        (["model", "--method", "mean", "-k", "0"], "k must be 1 or more"),
        (["empty", "--method", "mean", "--source-tokenizer", "model"], "has no config.json"),
        (["missing", "--method", "mean"], "source_tokenizer: "),
        (["model", "--method", "mean", "--target-tokenizer", "empty"], "target_tokenizer: "),
        (["donor", "--method", "mean", "--source-tokenizer", "model"], "source_tokenizer has"),
        (["model", "--method", "mean", "-o", "model"], "is not empty"),
        (["model", "--method", "omp", "--donor", "empty"], "has no config.json"),
    ],
)
def test_transfer_refuses_before_it_writes(folders: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    names = {"model", "donor", "target", "empty", "missing"}
    given = [folders / one if one in names else one for one in arguments]
    for option, default in (("--target-tokenizer", folders / "target"), ("-o", tmp_path / "out")):
        if option not in given:
            given += [option, default]
    code, shown, err = run("transfer", *given)
    assert (code, shown) == (2, "")
    assert message in err
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.iterdir()) == []


def test_damaged_model_is_reported_and_nothing_is_written(folders: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in (folders / "model").iterdir():
        (broken / file.name).write_bytes(file.read_bytes()[: 2000 if file.suffix == ".safetensors" else None])
    given = [broken, "--target-tokenizer", folders / "target", "--method", "mean", "-o", tmp_path / "out"]
    code, _, err = run("transfer", *given)
    assert code == 1
    assert "the model cannot be loaded" in err
    assert [file.name for file in tmp_path.iterdir()] == ["broken"]


def test_class_that_transformers_does_not_have_is_named(folders: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in (folders / "model").iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"architectures": ["NoSuchModel"]}))
    given = [other, "--target-tokenizer", folders / "target", "--method", "mean", "-o", tmp_path / "out"]
    code, _, err = run("transfer", *given)
    assert code == 2
    assert "has no class NoSuchModel" in err


def test_choices_are_those_of_the_function() -> None:
    hints = typing.get_type_hints(transfer_embedding)
    shown = typing.get_type_hints(transferring.transfer)
    assert typing.get_args(shown["method"]) == typing.get_args(hints["method"])
    assert set(typing.get_args(shown["overlap"])) == set(typing.get_args(typing.get_args(hints["overlap"])[0]))
