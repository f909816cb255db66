"""Judgements to measure vectors by: word pairs, analogies, sentence pairs, from the files they are published in."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vecload import catalog
from vecload.errors import FormatError, OptionError
from vecload.wordlists import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

SHIPPED = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt", "questions-words": "questions-words.txt"}
"""Sets that come with gensim, by name, with their files in its test data."""

_STS = 7  # columns of a line of the STS benchmark: genre, file, year, id, score, sentence, sentence


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of words or of sentences, and how alike people find them: `gold` float64, shape (n,)."""

    name: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    gold: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Analogies:
    """Quadruples a : b = c : d of words, in sections."""

    name: str
    sections: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...]


def find(dataset: str | os.PathLike[str]) -> str:
    """The file of a data set: what was given if it is a path, an archive's member or a URL, else gensim's of this name,
    else the catalogue's.

    Raises
    ------
    OptionError
        For a name that is neither a file nor known, or known when gensim is not installed.

    Examples
    --------
    >>> find("wordsim353").rpartition("/")[2], find("wordsim.tar.gz/EN_RW.txt")
    ('wordsim353.tsv', 'wordsim.tar.gz/EN_RW.txt')
    """
    name = os.fspath(dataset)
    if "/" in name or Path(name).exists():
        return name
    if name not in SHIPPED:
        if (known := os.fspath(catalog.dataset(name))) != name:
            return known
        known = "`vecload catalog evaluation` lists more"
        raise OptionError(f"{name!r} is neither a file nor a data set; there are {', '.join(SHIPPED)}; {known}")
    gensim = find_spec("gensim")  # does not import it
    if gensim is None or gensim.origin is None:
        raise OptionError(f"{name} comes with gensim, which is not installed: give a file, or pip install gensim")
    return str(Path(gensim.origin).parent / "test" / "test_data" / SHIPPED[name])


def read(dataset: str | os.PathLike[str]) -> Pairs | Analogies:
    """Read word pairs or analogies, whichever the file holds: analogies have sections, or four words a line."""
    path = find(dataset)
    head = [line for _, line in islice(_lines(path), 2)]  # the first may name columns
    words = [line.split() for line in head]
    if any(line.lstrip().startswith(":") for line in head) or (
        words and all(len(some) == 4 and not any(map(_is_number, some[2:])) for some in words)
    ):
        return read_analogies(dataset)
    return read_pairs(dataset)


def read_pairs(dataset: str | os.PathLike[str]) -> Pairs:
    """Read word pairs with a score: two words, then the first column that is a number.

    Columns are parted by tabs, commas or spaces, whichever a line has first in this order, so SimLex-999 (its score is
    in column 4), WordSim-353, RW and MEN (``sun-n`` is the noun sun) are read as they were published. A first line
    without a number names the columns; lines that begin with ``#`` are comments.

    Raises
    ------
    FormatError
        For another line without two words and a finite number.
    """
    path = find(dataset)
    rows: list[tuple[str, str, float]] = []
    for number, line in _lines(path):
        fields = [field.strip() for field in re.split("\t" if "\t" in line else "," if "," in line else r"\s+", line)]
        score = next((field for field in fields[2:] if _is_number(field)), None)
        if score is None and not rows:
            continue  # names of columns
        if score is None or not fields[0] or not fields[1] or not math.isfinite(float(score)):
            raise FormatError("no word pair", file=path, line=number, found=repr(line), expected="two words, a score")
        rows.append((fields[0], fields[1], float(score)))
    if not rows:
        raise FormatError("no word pairs", file=path, expected="two words and a score a line")
    left, right, gold = zip(*rows, strict=True)
    if all(re.search(r"-[nvja]$", word) for word in left + right):  # MEN's parts of speech
        left, right = (tuple(word[:-2] for word in words) for words in (left, right))
    return Pairs(Path(dataset).stem, left, right, np.array(gold))


def read_analogies(dataset: str | os.PathLike[str]) -> Analogies:
    """Read analogies: four words a line, sections behind lines ``: name``.

    Raises
    ------
    FormatError
        For a line of other than four words.
    """
    path = find(dataset)
    sections: list[tuple[str, list[tuple[str, str, str, str]]]] = []
    for number, line in _lines(path):
        if line.lstrip().startswith(":"):  # fastText's French file has blanks before some
            sections.append((line.lstrip()[1:].strip(), []))
            continue
        fields = line.split()
        if len(fields) != 4:
            raise FormatError("no analogy", file=path, line=number, found=repr(line), expected="four words")
        if not sections:
            sections.append((Path(dataset).stem, []))
        sections[-1][1].append((fields[0], fields[1], fields[2], fields[3]))
    if not any(quadruples for _, quadruples in sections):
        raise FormatError("no analogies", file=path, expected="four words a line")
    return Analogies(Path(dataset).stem, tuple((name, tuple(quadruples)) for name, quadruples in sections))


def read_sentences(path: str | os.PathLike[str]) -> Pairs:
    """Read sentence pairs, parted by tabs: two sentences and a score, or the seven columns of the STS benchmark.

    Raises
    ------
    FormatError
        For a line that is neither.
    """
    rows: list[tuple[str, str, float]] = []
    for number, line in _lines(os.fspath(path)):
        fields = line.split("\t")
        left, right, score = (*fields[5:7], fields[4]) if len(fields) >= _STS else (*fields, "", "", "")[:3]
        if not _is_number(score) or not math.isfinite(float(score)):
            known = "two sentences and a score, or the STS benchmark's columns"
            raise FormatError("no sentence pair", file=str(path), line=number, found=repr(line[:60]), expected=known)
        rows.append((left, right, float(score)))
    if not rows:
        raise FormatError("no sentence pairs", file=str(path))
    left_all, right_all, gold = zip(*rows, strict=True)
    return Pairs(Path(path).stem, left_all, right_all, np.array(gold))


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without comments and empty ones."""
    for number, line in enumerate(read_lines(path), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
