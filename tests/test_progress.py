"""Progress bars: shown in terminals after a second, gone at the end, hidden elsewhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vecload.progress import progress_bar

SLOW = """
import sys, time
from vecload.progress import hide, progress_bar
if "quiet" in sys.argv: hide()
with progress_bar(20, unit="rounds", name="work") as bar:
    for number in range(20):
        time.sleep(float(sys.argv[1]))
        bar.note(f"round {number}")
        bar.reach(number + 1)
print("end")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("seconds", "appears"), [("0.1", True), ("0.01", False)])
def test_bar_appears_in_a_terminal_only_when_work_takes_over_a_second(seconds: str, appears: bool) -> None:
    from tests.terminal import run_in_terminal

    code, shown = run_in_terminal([sys.executable, "-c", SLOW, seconds])
    assert code == 0
    assert ("work:" in shown) is appears
    # The last thing before the result is a blank line in place of the bar.
    assert shown.split("\r")[-2].strip(" \n") in ("", "end")
    assert shown.endswith("end\r\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_bar_is_hidden_on_request() -> None:
    from tests.terminal import run_in_terminal

    assert run_in_terminal([sys.executable, "-c", SLOW, "0.1", "quiet"]) == (0, "end\r\n")


def test_bar_is_hidden_in_pipes() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW, "0.1"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("end\n", "")


def test_hidden_bar_accepts_all_calls() -> None:
    with progress_bar(None, shown=False) as bar:
        bar.advance(1)
        bar.reach(2)
        bar.note("text")
