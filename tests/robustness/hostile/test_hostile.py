"""Hostile files, and inputs found by fuzzing: each must end within its limits, in a separate process.

The limits are 2 s of processor time with compiled kernels, and 64 MB plus twice the size of the file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
SHARED = ROOT.parent / "shared" / "cases" / "hostile"


class Replay:
    """Start a process that compiles the kernels and forks a child for each input."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz", "--replay"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._answer() == {"ready": True}

    def outcomes(self, source: str, step: int = 1) -> dict[str, dict[str, object]]:
        """Run every nth input of a source: "classes", "finds", "broken", or a folder of cases."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([source, step]) + "\n")
        self._process.stdin.flush()
        outcomes = {}
        while (answer := self._answer()) != {"done": True}:
            outcomes[answer["name"]] = answer
        return outcomes

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)

    def _answer(self) -> dict[str, object]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process of the replay ended"
        return json.loads(line)


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    process = Replay()
    yield process
    process.close()


def broken(outcomes: Iterable[dict[str, object]]) -> list[str]:
    """Return a line for each input that violated a guarantee."""
    found = [one for one in outcomes if one["kind"] not in ("loaded", "refused")]
    return [f"{one['name']}: {one['kind']}, {one['where']}\n{one['text']}" for one in found]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/cases/hostile next to the checkout")
def test_hostile_cases_end_within_limits(replay: Replay) -> None:
    outcomes = replay.outcomes(str(SHARED))
    assert len(outcomes) > 90
    assert broken(outcomes.values()) == []


def test_sample_of_hostile_inputs_ends_within_limits(replay: Replay) -> None:
    outcomes = replay.outcomes("classes", step=20)
    assert len(outcomes) > 150
    assert broken(outcomes.values()) == []


@pytest.mark.campaign
def test_hostile_inputs_of_every_class_end_within_limits(replay: Replay) -> None:
    outcomes = replay.outcomes("classes")
    assert len(outcomes) > 3000
    assert broken(outcomes.values()) == []


def test_inputs_found_by_fuzzing_no_longer_fail(replay: Replay) -> None:
    assert broken(replay.outcomes("finds").values()) == []


def test_replay_reports_an_input_that_violates_a_guarantee(replay: Replay) -> None:
    """Report inputs that crash, hang, exhaust memory or raise: the checks above can fail."""
    outcomes = replay.outcomes("broken")
    kinds = {name: outcome["kind"] for name, outcome in outcomes.items()}
    assert kinds == {"crash": "crash", "hang": "hang", "memory": "memory", "raise": "raw exception", "fine": "loaded"}
