"""Text files read line by line: texts to count, and lists of one word a line.

Only a line feed ends a line, so a word may hold U+0085 or U+2028; a carriage return before it is dropped.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vecload.errors import FormatError, VocabularyError
from vecload.sources import open_source

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator


def read_lines(path: str | os.PathLike[str], *, progress: bool | None = None) -> Iterator[str]:
    """The lines of a text file, plain or compressed, as they are read.

    Parameters
    ----------
    path
        As for `vecload.sources.open_source`.
    progress
        Whether to show a bar; None when standard error is a terminal.
    """
    from tqdm import tqdm

    hidden = not (sys.stderr.isatty() if progress is None else progress)
    with (
        open_source(path) as source,
        tqdm(total=source.progress()[1], unit="B", unit_scale=True, desc=Path(path).name, disable=hidden) as bar,
    ):
        for raw in source.lines():
            yield raw.removesuffix(b"\r").decode("utf-8", "surrogateescape")
            bar.update(source.progress()[0] - bar.n)


def read_words(path: str | os.PathLike[str]) -> list[str]:
    """The words of a file with one a line.

    Raises
    ------
    FormatError
        For an empty line, or a word that comes twice.
    """
    words: dict[str, int] = {}
    for line, word in enumerate(read_lines(path, progress=False), start=1):
        if not word:
            raise FormatError("an empty line", file=str(path), line=line, expected="a word")
        if word in words:
            found = f"it on line {words[word]} too"
            raise FormatError(f"{word!r} comes twice", file=str(path), line=line, found=found)
        words[word] = line
    return list(words)


def as_lines(words: Iterable[str]) -> str:
    r"""Write one word a line.

    Raises
    ------
    VocabularyError
        For a word that a line cannot hold.

    Examples
    --------
    >>> as_lines(["cat", "New York"])
    'cat\nNew York\n'
    """
    lines = []
    for word in words:
        if "\n" in word or word.endswith("\r") or not word:
            raise VocabularyError(f"{word!r} cannot stand on a line of its own: save as .json")
        lines.append(word + "\n")
    return "".join(lines)
