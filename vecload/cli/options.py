"""Options that several commands have, with one meaning everywhere, and lists given by commas or repeats."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

Limit = Annotated[int | None, typer.Option(metavar="N", help="Read only the first N rows.")]
VocabPath = Annotated[
    str,
    typer.Option("--vocab", metavar="WORDS", help="Words: one per line, with or without counts, or JSON."),
]
OptionalVocab = Annotated[
    str | None,
    typer.Option("--vocab", metavar="WORDS", help="Only these words: one per line, or any other word list."),
]
Oov = Annotated[
    list[str],
    typer.Option(
        "--oov",
        metavar="STEPS",
        help="What to try for words without a row, in this order: nfc, nfkc, strip, casefold, separators, digits, nfd; "
        "then one of normal, uniform, xavier, kaiming, zeros, mean.",
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of everything that is random.")]


def split_list(values: Iterable[str]) -> list[str]:
    """Return the items of an option that takes lists, given by commas, by repeats, or by both.

    A value that is an existing file is one item, even if its name has commas.

    Examples
    --------
    >>> split_list(["casefold, nfc", "normal"])
    ['casefold', 'nfc', 'normal']
    """
    parts = [part for value in values for part in ([value] if os.path.lexists(value) else value.split(","))]
    return [part.strip() for part in parts if part.strip()]


def output_of(positional: Path | None, option: Path | None, name: str) -> Path:
    """Return the output that is given as an argument or by --output, which must not both be given.

    Raises
    ------
    OptionError
        If there are none or two.
    """
    from vecload.errors import OptionError

    if positional is not None and option is not None:
        raise OptionError(f"two outputs, {positional} and --output {option}; give {name} once")
    chosen = positional or option
    if chosen is None:
        raise OptionError(f"missing output; pass --output {name} (-o)")
    return chosen


def dictionary_files(dictionary: str) -> list[str]:
    """Return the file that --dictionary names, if it names one and not a way to find pairs or a file of the catalog."""
    return [dictionary] if Path(dictionary).exists() else []
