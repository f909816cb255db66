"""The command line.

Each module of this package has a tuple `COMMANDS` of plain functions that parse arguments, call public functions and
print. This module collects them and prints errors as one paragraph. Commands import the rest of vecload when they run,
so that help and completion are fast. Exit codes: 0 for success, 1 for an invalid file or invalid data, 2 for incorrect
usage.
"""

from __future__ import annotations

import difflib
import logging
import os
import shutil
import signal
import sys
import warnings
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand
from typer.main import get_command

from vecload.cli import (
    catalog,
    checking,
    converting,
    evaluating,
    looking,
    mapping,
    pooling,
    predicting,
    reporting,
    sharing,
    shrinking,
    training,
    transferring,
)

_TASKS: Final = {
    "Look": ("info", "check", "neighbors", "analogy", "report", "formats"),
    "Convert": ("convert", "transform", "map", "shrink"),
    "Train": ("embed", "pool", "transfer", "predict", "demo"),
    "Compare": ("compare", "evaluate"),
    "Fetch": ("catalog", "download", "cache"),
    "Share": ("push",),
}
"""Heading in the help → its commands, in the order of the help."""

app = typer.Typer(
    name="vecload",
    help="""Use files of pretrained word vectors: look at them, convert them, prepare a model.

    FILE is a path, a URL, or a name from the catalog of public files, which is downloaded once. `-` is standard input,
    and `archive.zip/member` is one file in an archive. The format is detected from the content of the file, which may
    be compressed with gzip, bzip2, xz, lzma, lz4, zstd, zip or tar.

    Example: vecload neighbors glove.6B.50d frog toad
    """,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_NARROW = 60  # columns
_BAD_DATA = 1
_BAD_USE = 2
# typer contains a copy of click, and does not export the base class of usage errors.
_UsageError: Final[type[Exception]] = typer.BadParameter.__mro__[1]


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if value:
        from vecload._version import __version__

        typer.echo(f"vecload {__version__}")
        raise typer.Exit


@app.callback()
def _start(
    context: typer.Context,
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _add_commands() -> None:
    commands = {
        command.__name__: command
        for group in (
            looking,
            checking,
            reporting,
            converting,
            mapping,
            shrinking,
            training,
            transferring,
            pooling,
            predicting,
            evaluating,
            catalog,
            sharing,
        )
        for command in group.COMMANDS
    }
    for panel, names in _TASKS.items():
        for name in names:
            if name in commands:
                app.command(name, rich_help_panel=panel)(commands.pop(name))
    if commands:
        raise AssertionError(f"commands without a task: {', '.join(commands)}")
    app.add_typer(catalog.cache, name="cache", rich_help_panel="Fetch")


_add_commands()


class _Terminated(BaseException):
    """Raised in the main thread by a signal that asks the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _program() -> Any:
    program = get_command(app)
    columns = shutil.get_terminal_size().columns
    if columns < _NARROW:
        # The tables of rich cut off long words, even the names of options, where columns are narrow. Plain help wraps
        # them. Lists of commands stay tables of rich, because they have headings, and plain help cuts summaries off.
        # Without terminal_width, plain help is never narrower than 50 columns.
        program.context_settings["terminal_width"] = columns
        for command in program.commands.values():  # type: ignore[attr-defined]
            if isinstance(command, TyperCommand):
                command.rich_markup_mode = None
    return program


def main() -> None:
    """Run the command line, and print errors as one paragraph."""
    from vecload.errors import MissingDependencyError, OptionError, VecloadError, VecloadWarning

    # On the command line, a warning is one line of text, without the line of code that issued it.
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", VecloadWarning)
    logging.basicConfig(format="vecload: %(message)s")
    _raise_on_signals()
    try:
        sys.exit(_program()(prog_name="vecload", standalone_mode=False))
    except _Terminated as ended:  # temporary files are removed; now end as the signal would have ended the process
        signal.signal(ended.number, signal.SIG_DFL)
        os.kill(os.getpid(), ended.number)
    except _UsageError as error:
        _stop(_usage(error), _BAD_USE)
    except (OptionError, MissingDependencyError) as error:
        _stop(error, _BAD_USE)
    except VecloadError as error:
        _stop(error, _BAD_DATA)
    except typer.Abort:  # the input ended where an answer was expected
        _stop("aborted", _BAD_USE)
    except BrokenPipeError:  # `vecload info ... | head` closes the pipe early
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_BAD_DATA)
    except OSError as error:
        _stop(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), _BAD_USE)


def _usage(error: Exception) -> str:
    """Return the text of a usage error, with the command whose help to read."""
    found: Any = error
    text = found.format_message().replace("Value error, ", "")  # from the check of a choice
    if getattr(found, "possibilities", None):
        nearest = difflib.get_close_matches(found.option_name, found.possibilities, n=1, cutoff=0)[0]
        text = f"no such option: {found.option_name}; did you mean {nearest}?"
    context = found.ctx
    command = context.command_path if context is not None else "vecload"
    return f"{text}\nTry '{command} --help'."


def _raise_on_signals() -> None:
    """Clean up on SIGTERM and when the terminal closes, as on Ctrl-C.

    A signal that is ignored stays ignored: nohup relies on that.
    """
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminate)


def _terminate(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second signal must not interrupt the cleanup
    raise _Terminated(number)


def _show_warning(message: Warning | str, *_place: object, **_options: object) -> None:
    typer.echo(f"vecload: warning: {message}", err=True)


def _stop(error: object, code: int) -> None:
    typer.echo(f"vecload: {error}", err=True)
    sys.exit(code)
