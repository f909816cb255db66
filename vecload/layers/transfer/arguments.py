"""Check which arguments a method needs, and which it uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vecload.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def check_given(choice: str, needed: Collection[str], optional: Collection[str], given: Mapping[str, Any]) -> None:
    """Check the arguments that were given with a choice.

    Parameters
    ----------
    choice
        The choice, for messages, such as ``method='focus'``.
    needed, optional
        Names of the arguments that it needs, and of others that it uses.
    given
        Arguments by name; None for those that were not given.

    Raises
    ------
    OptionError
        If an argument is missing, or is not used.

    Examples
    --------
    >>> check_given("method='omp'", ["donor"], [], {"donor": None})
    Traceback (most recent call last):
    vecload.errors.OptionError: method='omp' needs donor=
    """
    for name, value in given.items():
        if value is None and name in needed:
            raise OptionError(f"{choice} needs {name}=")
        if value is not None and name not in (*needed, *optional):
            raise OptionError(f"{choice} does not use {name}=; leave it out")
