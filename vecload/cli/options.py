"""Arguments and options that several commands share, so that each has one meaning everywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

# The choices are the ones of `vecload.load`. They are repeated here because importing `vecload.reading` imports NumPy,
# for which `--help` and completion would have to wait; a test compares them.
_DType = Literal["float16", "bfloat16", "float32", "float64"]
_OnError = Literal["raise", "skip"]
_Tokens = Literal["raw", "surface"]

File = Annotated[str, typer.Argument(metavar="FILE", help="A file of word vectors.")]
WordsOfRows = Annotated[
    str | None,
    typer.Option("--words", metavar="WORDS", help="Words of the rows, for a matrix without words: text, .npy, JSON."),
]
Tensor = Annotated[str | None, typer.Option(metavar="NAME", help="Name of the matrix in a file of several.")]
Encoding = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Encoding of the words, such as cp1252. [UTF-8, UTF-16 or UTF-32]"),
]
Tokens = Annotated[
    _Tokens,
    typer.Option(metavar="HOW", help="Tokens of a model's folder: raw, or surface: the text that they stand for."),
]
Limit = Annotated[int | None, typer.Option(metavar="N", min=1, help="Read only the first N rows.")]
Dtype = Annotated[
    _DType | None,
    typer.Option(metavar="TYPE", help="Type of the values: float16, bfloat16, float32 or float64. [as in the file]"),
]
Errors = Annotated[_OnError, typer.Option(metavar="HOW", help="For malformed rows: raise an error, or skip them.")]
OptionalVocab = Annotated[
    str | None,
    typer.Option("--vocab", metavar="WORDS", help="Use only these words: one per line, with or without counts; JSON."),
]
VocabPath = Annotated[
    str,
    typer.Option("--vocab", metavar="WORDS", help="The vocabulary: one word per line, with or without counts; JSON."),
]
Oov = Annotated[
    list[str],
    typer.Option(
        "--oov",
        metavar="STEPS",
        help="Steps to try, in this order, for words without a row: nfc, nfkc, strip, casefold, separators, digits, "
        "nfd, aliases:FILE (two columns: word, its name there), ngrams, mean-of-parts; then one of normal, uniform, "
        "xavier, kaiming, zeros, mean.",
    ),
]
TextColumn = Annotated[
    str, typer.Option(metavar="NAME", help="Field or column that holds the texts in JSON lines and Parquet.")
]
Tokenize = Annotated[
    str, typer.Option(metavar="NAME", help="How texts are split: whitespace, basic_english, sudachi or fugashi.")
]
Lowercase = Annotated[bool, typer.Option("--lowercase", help="Convert texts to lower case first.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed for all random choices.")]


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
    """Return the output, which the user gives either as an argument or by --output.

    Raises
    ------
    OptionError
        If the user gives both or neither.
    """
    from vecload.errors import OptionError

    if positional is not None and option is not None:
        raise OptionError(f"two outputs, {positional} and --output {option}; give {name} once")
    chosen = positional or option
    if chosen is None:
        raise OptionError(f"missing output; pass --output {name} (-o)")
    return chosen


def dictionary_files(dictionary: str) -> list[str]:
    """Return the file that --dictionary names; none for a way to find pairs, or for a name of the catalog."""
    return [dictionary] if Path(dictionary).exists() else []
