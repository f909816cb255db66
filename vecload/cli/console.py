"""Print results, messages that --quiet omits, tables, and scores with bars."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print results and errors only: no messages, warnings or progress.")
]

_NARROWEST = 8  # columns; narrower bars are not drawn
_EIGHTHS = " ▏▎▍▌▋▊▉"


def messages(*, quiet: bool, instead: bool = False, err: bool = False) -> Callable[[object], None]:
    """Return the function that prints the messages of a command.

    Parameters
    ----------
    quiet
        Whether to hide messages, warnings and progress bars, so that only results and errors are printed.
    instead
        Whether to print only the result and no messages, as with --json.
    err
        Whether to print messages to standard error, because the result is written to standard output.
    """
    if quiet:
        from vecload import progress
        from vecload.errors import VecloadWarning

        progress.hide()
        warnings.simplefilter("ignore", VecloadWarning)
    if quiet or instead:
        return lambda _text: None
    return lambda text: typer.echo(str(text), err=err)


def print_json(value: Any) -> None:
    """Print a value as JSON, with words that are not valid UTF-8 as escapes."""
    # A word that is not valid UTF-8 has lone surrogates, which no terminal or file can encode.
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if any("\ud800" <= char <= "\udfff" for char in text):
        text = json.dumps(value, indent=2)
    typer.echo(text)


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return rows as aligned columns. A wide character, such as a Japanese one, takes two columns of a terminal.

    Parameters
    ----------
    rows
        Cells; the first row is the heading.
    right
        Numbers of the columns to align on the right.

    Examples
    --------
    >>> print(table([["word", "count"], ["猫", "7"]], right=[1]))
    word  count
    猫        7
    """
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            gap = " " * (width - cell_len(cell))
            cells.append(gap + cell if number in right else cell + gap)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def scores(found: Sequence[tuple[str, float]], *, largest: float | None = None) -> str:
    """Return words and scores as lines with bars that fit the terminal.

    Parameters
    ----------
    found
        Words and their scores.
    largest
        Score of a full bar; None for the largest of the scores.
    """
    from rich.cells import cell_len, set_cell_size

    columns = shutil.get_terminal_size().columns
    whole = largest or max((abs(score) for _, score in found), default=0) or 1
    numbers = [f"{score:.4f}" for _, score in found]
    # A line is two spaces, the word, two spaces, the score, two spaces and the bar. The last column of a terminal stays
    # empty, because some terminals wrap a line that fills it. Long words are cut first, and then bars are left out.
    number_width = max(map(len, numbers), default=0)
    width = max((cell_len(word) for word, _ in found), default=0)
    width = max(1, min(width, columns - number_width - 6))
    bar_width = min(40, columns - width - number_width - 7)
    lines = []
    for (word, score), number in zip(found, numbers, strict=True):
        shown = set_cell_size(word, width) if cell_len(word) <= width else set_cell_size(word, width - 1) + "…"
        bar = "  " + _bar(score / whole, bar_width) if bar_width >= _NARROWEST else ""
        lines.append(f"  {shown}  {number:>{number_width}}{bar}".rstrip())
    return "\n".join(lines)


def is_terminal() -> bool:
    """Return whether standard output is a terminal that can show more than plain text."""
    return sys.stdout.isatty()


def _bar(share: float, columns: int) -> str:
    # Unicode has blocks of one to seven eighths of a column, so a bar shows eight times as many lengths as columns.
    eighths = round(8 * columns * min(1.0, max(0.0, share)))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
