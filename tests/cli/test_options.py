"""Options have one meaning in all commands: outputs, lists, JSON, --quiet, `-`."""

from __future__ import annotations

import json
import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

import vecload
from tests.cli.running import run_here as run
from tests.fasttext_training import train_supervised
from vecload.cli import app, options
from vecload.cli.options import split_list

WORDS = [f"w{at}" for at in range(30)]
COMMANDS: dict[str, object] = dict(get_command(app).commands)  # type: ignore[attr-defined]
# `demo` prints a text, and `cache` is a group of commands.
NO_RESULT = {"demo", "cache"}
# These write a folder, which is never replaced.
FOLDERS = {"transfer"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("vecload.progress.hidden", False)
    rows = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
    vecload.Vectors(WORDS, rows).save(tmp_path / "a.vec", "glove")
    vecload.Vectors(WORDS, rows[:, ::-1]).save(tmp_path / "b.vec", "glove")
    (tmp_path / "words.txt").write_text("w1\nW2\nzyz\n")
    (tmp_path / "texts.txt").write_text("w1 w2\nw3\n")
    (tmp_path / "judged.tsv").write_text("w1\tw2\t3\nw3\tw4\t1\nw5\tw6\t2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


RESULTS = {
    "info": ["info", "a.vec"],
    "check": ["check", "a.vec", "--vocab", "words.txt"],
    "neighbors": ["neighbors", "a.vec", "w1"],
    "analogy": ["analogy", "a.vec", "w1", "w2", "w3"],
    "report": ["report", "a.vec", "-o", "r.html"],
    "formats": ["formats"],
    "convert": ["convert", "a.vec", "o.safetensors"],
    "transform": ["transform", "a.vec", "-o", "t.vec", "--step", "center,int8", "--evaluate", "judged.tsv"],
    "map": ["map", "a.vec", "b.vec", "-o", "m.vec"],
    "embed": ["embed", "a.vec", "--vocab", "words.txt", "-o", "e.safetensors"],
    "pool": ["pool", "a.vec", "texts.txt", "-o", "p.npy"],
    "compare": ["compare", "a.vec", "b.vec"],
    "evaluate": ["evaluate", "a.vec", "--data", "judged.tsv"],
    "catalog": ["catalog", "glove"],
    "download": ["download"],
    "push": ["push", "a.vec", "org/name"],
    "predict": ["predict", "labels.bin", "one.txt"],
    "shrink": ["shrink", "ngrams.bin", "-o", "s.bin", "--words", "5"],
    "transfer": ["transfer", "model", "--target-tokenizer", "model", "--method", "mean", "-o", "moved"],
}


def prepare(name: str) -> None:
    """Write the inputs that only one command needs."""
    if name == "predict":
        Path("corpus.txt").write_text("__label__a w1 w2\n__label__b w3 w4\n" * 10)
        trained = train_supervised("corpus.txt", dim=2, epoch=1, bucket=10)
        trained.save_model("labels.bin")
        Path("one.txt").write_text("w1 w2\n")
    elif name == "shrink":
        table = vecload.NgramTable(np.ones((20, 4), dtype=np.float32), minn=3, maxn=4)
        vecload.Vectors(WORDS, np.eye(30, 4), ngrams=table).save("ngrams.bin", "fasttext")
    elif name == "transfer":
        transformers = pytest.importorskip("transformers")
        from tests.tokenizer_builders import wrapped

        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
        config = transformers.LlamaConfig(vocab_size=len(wrapped("bytes")), num_key_value_heads=2, **sizes)
        transformers.LlamaForCausalLM(config).save_pretrained("model")
        wrapped("bytes").save_pretrained("model")


def test_every_command_that_prints_a_result_has_json() -> None:
    assert set(RESULTS) == set(COMMANDS) - NO_RESULT
    for name in RESULTS:
        options = {option for parameter in COMMANDS[name].params for option in parameter.opts}  # type: ignore[attr-defined]
        assert "--json" in options, name
        if {"--output", "--force"} & options and name not in FOLDERS:
            assert {"--output", "-o", "--force", "--quiet", "-q"} <= options, name


@pytest.mark.parametrize("name", sorted(set(RESULTS) - {"download", "push"}))
def test_json_is_all_of_standard_output(name: str, folder: Path) -> None:
    prepare(name)
    code, shown, error = run(*RESULTS[name], "--json")
    assert (code, error) == (0, "")
    assert json.loads(shown)


def test_json_of_report_of_a_vocabulary_has_no_explanation_before_it(folder: Path) -> None:
    command = ["report", "a.vec", "-o", "r.html", "--vocab", "words.txt", "--oov", "normal"]
    assert "under another spelling" in run(*command)[1]
    assert json.loads(run(*command, "--force", "--json")[1]) == {"output": "r.html"}


@pytest.mark.parametrize("name", ["convert", "transform", "map", "embed", "pool"])
def test_quiet_command_prints_nothing(name: str, folder: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "vecload", *RESULTS[name], "--quiet"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("command", [["convert", "a.vec"], ["transform", "a.vec", "--step", "unit"]])
def test_output_may_be_an_argument_or_an_option_but_not_both(command: list[str], folder: Path) -> None:
    code, _, error = run(*command)
    assert code == 1
    assert "output" in error or "what to write" in error
    assert run(*command, "-o", "x.vec")[0] == 0
    position = [command[0], command[1], "y.vec", *command[2:]]
    assert run(*position)[0] == 0
    assert (folder / "x.vec").read_bytes() == (folder / "y.vec").read_bytes()


def test_transform_refuses_two_outputs(folder: Path) -> None:
    assert (
        "two outputs, y.vec and --output x.vec"
        in run("transform", "a.vec", "y.vec", "-o", "x.vec", "--step", "unit")[2]
    )


def test_lists_take_commas_and_repeats(folder: Path) -> None:
    made = []
    for number, steps in enumerate((["center,unit"], ["center", "unit"], ["center, unit,"])):
        given = [argument for step in steps for argument in ("--step", step)]
        assert run("transform", "a.vec", f"{number}.vec", *given)[0] == 0
        made.append((folder / f"{number}.vec").read_bytes())
    assert len(set(made)) == 1
    for number, steps in enumerate((["casefold,zeros"], ["casefold", "zeros"])):
        given = [argument for step in steps for argument in ("--oov", step)]
        assert run("embed", "a.vec", "--vocab", "words.txt", "-o", f"{number}.safetensors", *given)[0] == 0
        assert vecload.Aligned.load(f"{number}.safetensors").coverage.found == pytest.approx(2 / 3)
    for given in (["unit,center"], ["unit", "--normalize", "center"]):
        assert run("map", "a.vec", "b.vec", "-o", "m.vec", "--force", "--normalize", *given)[0] == 0


def test_existing_file_is_one_item_of_a_list(folder: Path) -> None:
    (folder / "a,b.tsv").write_text((folder / "judged.tsv").read_text())
    assert split_list(["a,b.tsv", "x,y"]) == ["a,b.tsv", "x", "y"]
    assert run("evaluate", "a.vec", "--data", "a,b.tsv")[0] == 0


def test_vectors_pass_through_pipes(folder: Path) -> None:
    source = (folder / "a.vec").read_bytes()
    command = [sys.executable, "-m", "vecload", "convert", "-", "-o", "-", "--format", "glove"]
    done = subprocess.run(command, input=source, capture_output=True, check=True)
    assert done.stdout == source
    assert b"30 of 30 rows" in done.stderr


def test_transform_writes_vectors_to_a_pipe(folder: Path) -> None:
    command = [sys.executable, "-m", "vecload", "transform", "a.vec", "-", "--step", "unit", "--format", "glove"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert run("transform", "a.vec", "u.txt", "--step", "unit", "--format", "glove")[0] == 0
    assert done.stdout == (folder / "u.txt").read_bytes()
    assert b"30 x 4 float32" in done.stderr


READING = {
    "neighbors": ["a.vec", "w1", "--json"],
    "analogy": ["a.vec", "w1", "w2", "w3", "--json"],
    "report": ["a.vec", "-o", "r.html"],
    "convert": ["a.vec", "o.safetensors"],
    "transform": ["a.vec", "o.safetensors", "--step", "unit"],
    "map": ["a.vec", "b.vec", "-o", "o.safetensors"],
    "embed": ["a.vec", "--vocab", "words.txt", "-o", "o.safetensors"],
    "pool": ["a.vec", "texts.txt", "-o", "o.npy"],
    "compare": ["a.vec", "b.vec"],
    "evaluate": ["a.vec", "--data", "judged.tsv"],
}


@pytest.mark.parametrize("name", READING)
def test_command_that_reads_rows_has_limit_dtype_and_errors(name: str, folder: Path) -> None:
    with (folder / "a.vec").open("a") as file:
        file.write("zyz 1 2\n")
    arguments = READING[name]
    code, _, error = run(name, *arguments)
    assert code == 1
    assert "line 31" in error
    assert run(name, *arguments, "--errors", "skip", "--dtype", "float16", "--limit", "20")[0] == 0


def test_choices_of_shared_options_are_the_ones_of_load() -> None:
    hints = typing.get_type_hints(vecload.load)
    assert typing.get_args(options.Dtype)[0] == hints["dtype"]
    assert typing.get_args(options.Errors)[0] == hints["errors"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--dtype", "int8", "is not one of 'float16'"),
        ("--errors", "ignore", "is not one of 'raise', 'skip'"),
        ("--limit", "0", "Invalid value for '--limit'"),
    ],
)
def test_invalid_choice_names_the_choices(option: str, value: str, message: str, folder: Path) -> None:
    command = [sys.executable, "-m", "vecload", "pool", "a.vec", "texts.txt", "-o", "p.npy", option, value]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"Invalid value for '{option}': " in done.stderr
    assert message in done.stderr


def test_tokenizer_is_an_option_of_pool_and_check(folder: Path) -> None:
    (folder / "texts.txt").write_text("W1, w2!\n")
    assert run("pool", "a.vec", "texts.txt", "-o", "p.npy", "--tokenize", "basic_english")[0] == 0
    expected = vecload.SentencePooler(vecload.load("a.vec"), tokenize="basic_english").encode(["W1, w2!"])
    assert np.load("p.npy").tolist() == expected.tolist()
    assert np.load("p.npy").any()
    shown = run("check", "a.vec", "--texts", "texts.txt", "--tokenize", "basic_english", "--json")[1]
    assert json.loads(shown)["found"] == 0.5
    assert "did you mean 'sudachi'?" in run("pool", "a.vec", "texts.txt", "-o", "q.npy", "--tokenize", "sudach")[2]


def test_saved_pooler_refuses_options_for_reading(folder: Path) -> None:
    vecload.SentencePooler(vecload.load("a.vec")).save("pooler")
    assert run("pool", "pooler", "texts.txt", "-o", "p.npy")[0] == 0
    code, _, error = run("pool", "pooler", "texts.txt", "-o", "q.npy", "--limit", "3")
    assert code == 1
    assert "leave out --tokenize, --lowercase, --limit, --dtype and --errors" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embed", "a.vec", "--vocab", "words.txt", "-o", "-"], "so it cannot be standard output"),
        (["transform", "a.vec", "-o", "-", "--step", "unit"], "cannot infer a format"),
        (
            ["transform", "a.vec", "-o", "-", "--step", "unit", "--format", "native"],
            "is an open file, which this output cannot be written to",
        ),
        (["report", "a.vec", "-o", "-"], "so it cannot be standard output"),
        (["map", "a.vec", "b.vec", "-o", "-"], "its suffix determines the format"),
        (["pool", "a.vec", "texts.txt", "-o", "-"], "cannot be standard output; name a file"),
        (["convert", "a.vec", "-o", "-", "--format", "glove", "--json"], "cannot hold both the vectors and --json"),
        (["transform", "a.vec", "-", "--step", "unit", "--format", "glove", "--json"], "cannot hold both the vectors"),
        (["embed", "-", "--vocab", "-", "-o", "x.safetensors"], "standard input (-) is used for two inputs"),
        (["compare", "-", "-"], "standard input (-) is used for two inputs"),
        (["map", "-", "b.vec", "-o", "x.vec"], "map reads its input more than once"),
        (["pool", "a.vec", "-", "-o", "x.npy", "--mode", "sif"], "reads the texts twice, which is impossible with -"),
        (["neighbors", "-"], "standard input cannot be both the vectors and the words"),
    ],
)
def test_dash_is_refused_with_the_reason_where_streams_do_not_work(
    arguments: list[str], message: str, folder: Path
) -> None:
    before = sorted(folder.iterdir())
    code, _, error = run(*arguments)
    assert code == 1
    assert message in error
    assert sorted(folder.iterdir()) == before


def test_vocabulary_is_read_from_standard_input(folder: Path) -> None:
    command = [sys.executable, "-m", "vecload", "embed", "a.vec", "--vocab", "-", "-o", "x.safetensors"]
    subprocess.run(command, input=b"w1\nw2\n", check=True, capture_output=True)
    assert list(vecload.Aligned.load(folder / "x.safetensors").vocab) == ["w1", "w2"]
