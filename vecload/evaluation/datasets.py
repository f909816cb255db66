"""Data sets of human judgments: word pairs, analogies and sentence pairs, read from their published files."""

from __future__ import annotations

import io
import os
import re
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vecload import text_input
from vecload.errors import OptionError
from vecload.message_text import did_you_mean
from vecload.resolving import resolve_dataset

SHIPPED = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt", "questions-words": "questions-words.txt"}
"""Data sets in gensim's test data: name → file."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of words or sentences with human judgments of their similarity.

    Parameters
    ----------
    name
        Name of the data set.
    left, right
        First and second word (or sentence) of each pair.
    gold
        Judgments, float64, shape (n,).
    """

    name: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    gold: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Analogies:
    """Analogies in sections.

    Parameters
    ----------
    name
        Name of the data set.
    sections
        Pairs of a title and the analogies of a section; each is four words, "a is to b as c is to d".
    """

    name: str
    sections: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...]


def find(dataset: str | os.PathLike[str]) -> str:
    """Return the file of a data set: a path, archive member, URL or ``-``, or a name from gensim or the catalog.

    Raises
    ------
    OptionError
        For a name that is neither a file nor known, and for gensim's data sets if gensim is not installed.

    Examples
    --------
    >>> find("wordsim353").rpartition("/")[2], find("wordsim.tar.gz/EN_RW.txt")
    ('wordsim353.tsv', 'wordsim.tar.gz/EN_RW.txt')
    """
    name = os.fspath(dataset)
    if name == "-" or "/" in name or Path(name).exists():
        return name
    if name not in SHIPPED:
        if (known := os.fspath(resolve_dataset(name))) != name:
            return known
        known = f"`vecload catalog evaluation` lists more{did_you_mean(name, SHIPPED)}"
        raise OptionError(f"{name!r} is neither a file nor a data set; choose from {', '.join(SHIPPED)}; {known}")
    gensim = find_spec("gensim")  # does not import it
    if gensim is None or gensim.origin is None:
        raise OptionError(f"{name} is part of gensim, which is not installed: pass a file, or pip install gensim")
    return str(Path(gensim.origin).parent / "test" / "test_data" / SHIPPED[name])


def read(dataset: str | os.PathLike[str]) -> Pairs | Analogies:
    """Read word pairs or analogies, recognized from the first two lines.

    Analogies have sections, or four words per line. ``-`` is standard input.
    """
    path, name = find(dataset), Path(dataset).stem
    # Standard input can be read only once, and its first lines are looked at before the rest is read.
    source: Any = io.BytesIO(sys.stdin.buffer.read()) if path == "-" else path
    head = list(islice(text_input.numbered_lines(source), 2))  # the first may be a header
    if path == "-":
        source.seek(0)
    words = [line.split() for _, line in head]
    if any(line.lstrip().startswith(":") for _, line in head) or (
        words and all(len(some) == 4 and not any(map(text_input.is_number, some[2:])) for some in words)
    ):
        return _analogies(source, name)
    return _pairs(source, name)


def read_pairs(dataset: str | os.PathLike[str]) -> Pairs:
    """Read word pairs with a score.

    SimLex-999 (its score is in column 4), WordSim-353, RW and MEN (``sun-n`` is the noun sun) are read as published,
    and so are tables exported with a header or line numbers: see `vecload.text_input.read_scored_pairs`.

    Raises
    ------
    FormatError
        If a line lacks two words or a finite score, or the columns cannot be identified.
    """
    return _pairs(find(dataset), Path(dataset).stem)


def read_analogies(dataset: str | os.PathLike[str]) -> Analogies:
    """Read analogies: four words per line, in sections that begin with a line ``: name``.

    Raises
    ------
    FormatError
        If a line does not have four words.
    """
    return _analogies(find(dataset), Path(dataset).stem)


def _pairs(source: text_input.Input, name: str) -> Pairs:
    left, right, gold = zip(*text_input.read_scored_pairs(source), strict=True)
    if all(re.search(r"-[nvja]$", word) for word in left + right):  # MEN's parts of speech
        left, right = (tuple(word[:-2] for word in words) for words in (left, right))
    return Pairs(name, left, right, np.array(gold))


def _analogies(source: text_input.Input, name: str) -> Analogies:
    sections = text_input.read_analogy_sections(source, untitled=name)
    return Analogies(name, tuple((title, tuple(quadruples)) for title, quadruples in sections))


def read_sentences(path: str | os.PathLike[str]) -> Pairs:
    """Read sentence pairs in tab-separated columns: two sentences and a score, or the STS benchmark's seven columns.

    Raises
    ------
    FormatError
        If a line does not have one of these forms.
    """
    left, right, gold = zip(*text_input.read_scored_sentences(path), strict=True)
    return Pairs(Path(path).stem, left, right, np.array(gold))
