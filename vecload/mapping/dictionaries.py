"""Pairs of words with the same meaning: dictionary files, splits, and words that both spaces have."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from vecload import text_input
from vecload.errors import OptionError
from vecload.message_text import sample
from vecload.resolving import resolve_dataset
from vecload.vectors import Vectors

Pair = tuple[str, str]

SEEDS: Final = ("identical", "numerals", "unsupervised")
"""Names accepted instead of pairs."""

_NUMERAL = re.compile(r"[0-9]+([.,:/-][0-9]+)*")


class Pairing(NamedTuple):
    """Corresponding rows of two spaces, int64, shape (n,), and the number of pairs with a missing word."""

    source: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    absent: int


def read_dictionary(path: str | os.PathLike[str]) -> list[Pair]:
    r"""Read a dictionary in the form of MUSE and VecMap: a source and a target word per line.

    Words are separated by a tab or, in lines without one, by spaces. Empty lines are skipped, and repeated pairs are
    kept once. Names of the catalog's dictionaries work too: "muse.en-ja.0-5000.txt".

    Raises
    ------
    FormatError
        If a line does not have two words, or the first column holds line numbers.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "en-de.txt")
    >>> _ = file.write_text("cat Katze\ndog\tHund\n")
    >>> read_dictionary(file)
    [('cat', 'Katze'), ('dog', 'Hund')]
    """
    return text_input.read_word_pairs(resolve_dataset(path))


def split_pairs(pairs: Sequence[Pair], *, test: float = 0.2, seed: int = 0) -> tuple[list[Pair], list[Pair]]:
    """Split pairs into training and test pairs; all pairs of a source word are on the same side.

    Parameters
    ----------
    pairs
        The pairs.
    test
        Share of the source words in the test set.
    seed
        Random seed of the choice.

    Examples
    --------
    >>> train, held_out = split_pairs([("a", "A"), ("b", "B"), ("a", "AA"), ("c", "C")], test=0.5, seed=1)
    >>> len(train) + len(held_out), {s for s, _ in train} & {s for s, _ in held_out}
    (4, set())
    """
    if not 0 < test < 1:
        raise OptionError(f"test={test} is not between 0 and 1")
    pairs = text_input.list_of_pairs("pairs", pairs)
    # Splitting by pairs would leave translations of test words in the training set.
    words = list(dict.fromkeys(source for source, _ in pairs))
    if len(words) < 2:
        raise OptionError(f"{len(words)} source words cannot be split in two")
    count = min(max(1, round(test * len(words))), len(words) - 1)
    chosen = np.random.default_rng(seed).choice(len(words), count, replace=False)
    held_out = {words[at] for at in chosen.tolist()}
    return [pair for pair in pairs if pair[0] not in held_out], [pair for pair in pairs if pair[0] in held_out]


def find_pairs(source: Vectors, target: Vectors, pairs: Iterable[Pair] | str) -> Pairing:
    """Find the rows of pairs, or of words that both spaces share: "identical" for all, or "numerals".

    Raises
    ------
    OptionError
        If no pair has both words in the spaces.

    Examples
    --------
    >>> from vecload import Vectors, Words
    >>> a = Vectors(Words.from_strings(["cat", "7"]), np.eye(2, dtype="float32"))
    >>> b = Vectors(Words.from_strings(["7", "Katze"]), np.eye(2, dtype="float32"))
    >>> find_pairs(a, b, "numerals"), find_pairs(a, b, [("cat", "Katze"), ("dog", "Hund")]).absent
    (Pairing(source=array([1]), target=array([0]), absent=0), 1)
    """
    if isinstance(pairs, str):
        target_rows = target.words.lookup(source.words)
        # A lookup finds the first row of a word, so this is true for all rows but repeated words.
        first = source.words.lookup(source.words) == np.arange(len(source))
        rows = np.flatnonzero((target_rows >= 0) & first)
        if pairs == "numerals":
            rows = rows[[bool(_NUMERAL.fullmatch(source.words[row])) for row in rows.tolist()]]
        elif pairs != "identical":
            raise OptionError(f"pairs={pairs!r} is neither 'identical' nor 'numerals', nor pairs of words")
        found, absent = Pairing(rows, target_rows[rows], 0), 0
    else:
        listed = text_input.list_of_pairs("pairs", pairs)
        sources = source.words.lookup([one for one, _ in listed])
        targets = target.words.lookup([other for _, other in listed])
        both = (sources >= 0) & (targets >= 0)
        absent = int(np.count_nonzero(~both))
        found = Pairing(sources[both], targets[both], absent)
    if not len(found.source):
        what = f"none of the {absent:,} pairs has both words in the spaces" if absent else "no words in common"
        sides = f"the source begins with {sample(source.words)}, the target with {sample(target.words)}"
        if absent:
            sides += f"; the pairs begin with {sample(map(' '.join, listed))}"
        raise OptionError(f"{what}: {sides}; check the languages, their order and the case of the words")
    return found
