from __future__ import annotations

import subprocess
import sys

import pytest

from vecload import VecloadWarning
from vecload.errors import OptionError, refuse_string, warn


@pytest.mark.parametrize("value", ["the cat", b"the cat", ""])
def test_refuse_string_given_one_string_raises(value: str | bytes) -> None:
    with pytest.raises(OptionError, match=r"tokens must be a list of strings, not one string: found '.*'; pass \['"):
        refuse_string("tokens", value)


@pytest.mark.parametrize("value", [[], ["the"], ("the",), {"the": 1}, iter(["the"])])
def test_refuse_string_given_a_collection_returns(value: object) -> None:
    refuse_string("tokens", value)


def test_warn_points_at_the_caller() -> None:
    with pytest.warns(VecloadWarning, match="doubtful") as caught:
        warn("doubtful")
    assert caught[0].filename == __file__


def test_warnings_on_the_command_line_are_one_line() -> None:
    code = (
        "import sys; sys.argv = ['vecload', 'shout']\n"
        "import vecload.cli as cli; from vecload.errors import warn\n"
        "@cli.app.command()\ndef shout() -> None: warn('once'); warn('twice')\ncli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "vecload: warning: once\nvecload: warning: twice\n"
