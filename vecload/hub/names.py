"""Names of repositories."""

from __future__ import annotations

import re
from typing import Final

from vecload.errors import OptionError
from vecload.message_text import shorten

_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def check_repository(name: str) -> None:
    """Check the name of a repository.

    Raises
    ------
    OptionError
        If it is not ``org/name``.

    Examples
    --------
    >>> check_repository("hf://org/name")
    Traceback (most recent call last):
    vecload.errors.OptionError: 'hf://org/name' is not the name of a repository: write org/name
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise OptionError(f"{shorten(repr(name))} is not the name of a repository: write org/name")
