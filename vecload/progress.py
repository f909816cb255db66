"""The one progress bar: it appears when work takes over a second, and vanishes at the end."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_DELAY = 1.0  # seconds
hidden = False


class Bar:
    """Handle of a progress bar that may be hidden.

    Parameters
    ----------
    shown
        The bar of tqdm; None for a hidden one.
    """

    def __init__(self, shown: Any | None = None) -> None:
        self._shown = shown

    def advance(self, count: int) -> None:
        """Add to the work that is done."""
        if self._shown is not None:
            self._shown.update(count)

    def reach(self, done: int) -> None:
        """Set the work that is done."""
        if self._shown is not None:
            self._shown.update(done - self._shown.n)

    def note(self, text: str) -> None:
        """Show a text after the bar, from the next update on."""
        if self._shown is not None:
            self._shown.set_postfix_str(text, refresh=False)


def hide() -> None:
    """Hide all bars of this process, as ``--quiet`` asks for."""
    global hidden  # noqa: PLW0603 - a setting of the process, as the level of a logger is
    hidden = True


@contextlib.contextmanager
def progress_bar(
    total: int | None, *, unit: str = "B", name: str = "", shown: bool | None = None, initial: int = 0
) -> Iterator[Bar]:
    """Show a progress bar on standard error while the block runs.

    Parameters
    ----------
    total
        Amount of work; None if unknown.
    unit
        Unit of the work; "B" shows KB, MB and GB.
    name
        Text before the bar.
    shown
        Whether to show the bar; None shows it if standard error is a terminal.
    initial
        Amount of work that is done already.

    Examples
    --------
    >>> with progress_bar(3, unit="texts", shown=False) as bar:
    ...     bar.advance(3)
    """
    if hidden or not (sys.stderr.isatty() if shown is None else shown):
        yield Bar()
        return
    # Importing tqdm takes 20 ms, which commands without a terminal can save.
    from tqdm import tqdm

    divisor = 1024 if unit == "B" else 1000
    unit = unit if unit == "B" else f" {unit}"
    with tqdm(
        total=total,
        initial=initial,
        unit=unit,
        unit_scale=True,
        unit_divisor=divisor,
        desc=name or None,
        delay=_DELAY,
        leave=False,
        dynamic_ncols=True,
    ) as bar:
        yield Bar(bar)
