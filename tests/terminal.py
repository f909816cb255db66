"""Run a command in a pseudo-terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def run_in_terminal(
    command: Sequence[str | Path],
    *,
    typed: str = "",
    columns: int = 80,
    timeout: float = 120,
    **variables: str,
) -> tuple[int, str]:
    """Return the exit code and all output of a command.

    Parameters
    ----------
    command
        Program and arguments.
    typed
        Text that is typed before the program asks for it.
    columns
        Width of the terminal.
    timeout
        Seconds after which the program is killed.
    **variables
        Environment variables, in addition to those of this process.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    dropped = {"NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS", "COLUMNS", "TERM"}
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment |= {"TERM": "xterm-256color", **variables}
    shown = bytearray()
    with subprocess.Popen(
        list(map(str, command)), stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as running:
        os.close(theirs)
        os.write(ours, typed.encode())
        end = time.monotonic() + timeout
        # Linux reports an error when the program has closed the terminal.
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                if select.select([ours], [], [], 0.2)[0]:
                    piece = os.read(ours, 1 << 16)
                    if not piece:
                        break
                    shown += piece
                elif running.poll() is not None:
                    break
        if running.poll() is None and time.monotonic() >= end:
            running.kill()
    os.close(ours)
    return running.returncode, shown.decode()


def without_codes(text: str) -> str:
    """Drop the escape sequences of colors and cursor movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
