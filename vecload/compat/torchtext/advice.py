"""Advice on moving a script from torchtext's names to vecload's."""

from __future__ import annotations

from vecload.errors import warn

given: set[str] = set()


def advise(name: str, replacement: str) -> None:
    """Warn how to write the same with vecload, once per name and process.

    Parameters
    ----------
    name
        Class of `vecload.compat.torchtext`.
    replacement
        Code that does the same in new scripts.
    """
    if name not in given:
        given.add(name)
        warn(f"vecload.compat.torchtext.{name} keeps torchtext scripts running; in new code, use {replacement}")
