"""Help, version, completion and usage errors of the command line."""

from __future__ import annotations

import re
import sys

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import vecload
from tests.cli.running import PROGRAM, run
from tests.terminal import run_in_terminal, without_codes
from vecload.cli import app
from vecload.oov.composers import COMPOSITIONS
from vecload.oov.initializers import FILLINGS
from vecload.oov.normalizers import SPELLINGS
from vecload.pooling.modes import NAMES

TERMINAL = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
PANELS = ["Look", "Convert", "Train", "Compare", "Fetch", "Share"]
COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]
CODES = re.compile(r"\x1b\[")


def test_version_is_that_of_the_package() -> None:
    assert run("--version") == (0, f"vecload {vecload.__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_groups_commands_by_task(arguments: tuple[str, ...]) -> None:
    code, shown, _ = run(*arguments)
    assert code == 0
    places = [shown.index(f"─ {panel} ─") for panel in PANELS]
    assert places == sorted(places)
    listed = re.findall(r"^│ (\w+) ", shown, flags=re.M)
    assert sorted(listed) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"], env={"TERM": "dumb"})
    assert done.exit_code == 0
    assert f"Example: vecload {command}" in done.output


@TERMINAL
def test_help_has_colors_only_in_terminals_that_allow_them() -> None:
    command = [*PROGRAM, "--help"]
    assert CODES.search(run_in_terminal(command)[1])
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown = run_in_terminal(command, **variables)[1]
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]", shown)
        assert "neighbors" in shown
    assert not CODES.search(run("--help")[1])


@TERMINAL
@pytest.mark.parametrize("command", ["convert", "check"])
def test_help_fits_a_terminal_of_40_columns(command: str) -> None:
    code, shown = run_in_terminal([*PROGRAM, command, "--help"], columns=40)
    assert code == 0
    assert max(map(len, without_codes(shown).splitlines())) <= 40
    # Names of options and choices are complete.
    assert "…" not in shown


@TERMINAL
def test_help_in_a_terminal_of_40_columns_lists_commands_with_whole_summaries() -> None:
    code, shown = run_in_terminal([*PROGRAM, "--help"], columns=40)
    lines = without_codes(shown).splitlines()
    assert code == 0
    assert max(map(len, lines)) <= 40
    commands = lines[next(number for number, line in enumerate(lines) if "─ Look ─" in line) :]
    assert "neighbors" in "".join(commands)
    assert not any("…" in line for line in commands)


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("embed", [*SPELLINGS, *COMPOSITIONS, *FILLINGS]),
        ("report", [*SPELLINGS, *COMPOSITIONS, *FILLINGS]),
        ("check", SPELLINGS),
        ("pool", [name for name in NAMES if name != "attention"]),
    ],
)
def test_help_names_every_step_and_mode(command: str, names: list[str]) -> None:
    _, shown, _ = run(command, "--help")
    assert [name for name in names if not re.search(rf"\b{name}\b", shown)] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_lists_commands(shell: str) -> None:
    completion = {
        "bash": {"COMP_WORDS": "vecload conv", "COMP_CWORD": "1", "_VECLOAD_COMPLETE": "complete_bash"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "vecload conv", "_VECLOAD_COMPLETE": "complete_zsh"},
        "fish": {
            "_TYPER_COMPLETE_ARGS": "vecload conv",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "_VECLOAD_COMPLETE": "complete_fish",
        },
    }
    done = CliRunner().invoke(app, [], env=completion[shell], prog_name="vecload")
    assert "convert" in done.output
    assert "neighbors" not in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["neighbours", "x"], "No such command 'neighbours'. Did you mean 'neighbors'?\nTry 'vecload --help'."),
        (["convert", "--limt", "3"], "no such option: --limt; did you mean --limit?\nTry 'vecload convert --help'."),
        (["info"], "Missing argument 'FILE...'.\nTry 'vecload info --help'."),
        (["convert", "a", "b", "--limit", "x"], "Invalid value for '--limit'"),
    ],
)
def test_usage_error_names_the_nearest_spelling_and_the_help(arguments: list[str], message: str) -> None:
    code, shown, error = run(*arguments)
    assert (code, shown) == (2, "")
    assert error.startswith("vecload: ")
    assert message in error
