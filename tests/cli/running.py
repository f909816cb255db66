"""Run commands of the command line."""

from __future__ import annotations

import subprocess
import sys

from typer.testing import CliRunner

from vecload.cli import app

PROGRAM = [sys.executable, "-m", "vecload"]


def run(*arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run a command in a process of its own; return its exit code, standard output and standard error."""
    done = subprocess.run([*PROGRAM, *map(str, arguments)], input=stdin, capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def run_here(*arguments: str) -> tuple[int, str, str]:
    """Run a command in this process, which is faster; return 0 or 1, standard output, and the error."""
    done = CliRunner().invoke(app, arguments)
    error = "" if done.exception is None or isinstance(done.exception, SystemExit) else str(done.exception)
    return done.exit_code, done.stdout, error + done.stderr
