"""The command line. Arguments are read first; the rooms that do the work are imported after.

One file a group of commands, each with a tuple `COMMANDS` of plain functions; this file joins them and turns errors
into one paragraph. Exit codes: 0 done, 1 the file or the data is not what it should be, 2 the command was used wrongly.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings

import typer

from vecload.cli import catalog, check, files, mapping, pool, spaces

app = typer.Typer(
    name="vecload",
    help="""Files of pretrained word vectors, ready for a model.

    FILE is anything that `vecload formats` lists, plain or packed with gzip, bzip2, xz, zstd, zip or tar; what it is,
    is told from its bytes. `-` is standard input, `archive.zip/member` one file of several, and a name of `vecload
    catalog` brings that file.
    """,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (files, check, spaces, mapping, pool, catalog):
    for command in group.COMMANDS:
        app.command()(command)
app.add_typer(catalog.cache, name="cache")

_BAD_DATA = 1
_BAD_USE = 2


class _Terminated(BaseException):
    """Raised in the main thread by a signal that asks the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> None:
    """Run the command line, with errors as one paragraph."""
    from vecload.errors import MissingDependencyError, OptionError, VecloadError, VecloadWarning

    # On the command line, a warning is one line of text without the place in the code that issued it.
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", VecloadWarning)
    _raise_on_signals()
    try:
        app()
    except _Terminated as ended:  # everything is removed now; end as the signal would have ended the process
        signal.signal(ended.number, signal.SIG_DFL)
        os.kill(os.getpid(), ended.number)
    except (OptionError, MissingDependencyError) as error:
        _stop(error, _BAD_USE)
    except VecloadError as error:
        _stop(error, _BAD_DATA)
    except BrokenPipeError:  # `vecload info ... | head`: nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_BAD_DATA)
    except OSError as error:
        _stop(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), _BAD_USE)


def _raise_on_signals() -> None:
    """Clean up on SIGTERM and on a closed terminal as on Ctrl-C. A signal that is ignored, as under nohup, stays so."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminate)


def _terminate(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # so that a second one does not interrupt the clean-up
    raise _Terminated(number)


def _show_warning(message: Warning | str, *_place: object, **_options: object) -> None:
    typer.echo(f"vecload: warning: {message}", err=True)


def _stop(error: object, code: int) -> None:
    typer.echo(f"vecload: {error}", err=True)
    sys.exit(code)
