"""Normalizers: steps that look for a word under another spelling."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from vecload.oov.steps import Spelling
from vecload.words import Words

_SEPARATORS = re.compile(r"[\s_\-\u2010-\u2015]+")
_DIGIT = re.compile(r"\d")
_MOST_STRIPPED = 4  # characters on one side that are removed one by one


def _cases(word: str) -> Sequence[str]:
    return word.lower(), word.title(), word.upper()


def _nfc(word: str) -> Sequence[str]:
    return (unicodedata.normalize("NFC", word),)


def _nfd(word: str) -> Sequence[str]:
    return (unicodedata.normalize("NFD", word),)


def _nfkc(word: str) -> Sequence[str]:
    return (unicodedata.normalize("NFKC", word),)


def _digits(word: str) -> Sequence[str]:
    return (_DIGIT.sub("#", word), _DIGIT.sub("0", word)) if _DIGIT.search(word) else ()


def _strip(word: str) -> Sequence[str]:
    """Return the word without the punctuation around it, removing as few characters as possible first."""
    if word.isalnum():  # true for nearly every word, and fast
        return ()
    kept = [at for at, char in enumerate(word) if not _surrounds(char)]
    if not kept:
        return ()
    begins = _cuts(kept[0])
    ends = _cuts(len(word) - 1 - kept[-1])
    cuts = sorted(product(begins, ends), key=sum)[1:]
    return [word[begin : len(word) - end] for begin, end in cuts]


def _cuts(most: int) -> Sequence[int]:
    """Return the numbers of characters to try to remove from one side."""
    return range(most + 1) if most <= _MOST_STRIPPED else (0, most)


def _surrounds(char: str) -> bool:
    """Return whether a character is punctuation, a symbol, a space or invisible."""
    category = unicodedata.category(char)
    return category[0] in "PSZ" or category in ("Cc", "Cf")


def _separators(word: str) -> Sequence[str]:
    parts = [part for part in _SEPARATORS.split(word) if part]
    return [mark.join(parts) for mark in ("_", "-", " ", "")] if len(parts) > 1 else ()


# In the order in which they are recommended together: each step builds on the spellings before it.
SPELLINGS = {
    "nfc": Spelling("nfc", _nfc),
    "nfkc": Spelling("nfkc", _nfkc),
    "strip": Spelling("strip", _strip),
    "casefold": Spelling("casefold", _cases),
    "separators": Spelling("separators", _separators),
    "digits": Spelling("digits", _digits),
    # Last, because changing the case of decomposed words goes wrong: "việt".title() in NFD ends in a capital T.
    "nfd": Spelling("nfd", _nfd),
}


def respellings(word: str, steps: Sequence[Spelling]) -> dict[str, int]:
    """Return other spellings of a word in the order to try them, each with the number of its step.

    Examples
    --------
    >>> respellings("Ｃａｔ", [SPELLINGS["nfkc"], SPELLINGS["casefold"]])
    {'Cat': 0, 'ｃａｔ': 1, 'ＣＡＴ': 1, 'cat': 1, 'CAT': 1}
    >>> respellings('"U.S.,', [SPELLINGS["strip"]])
    {'"U.S.': 0, 'U.S.,': 0, '"U.S': 0, 'U.S.': 0, 'U.S': 0}
    """
    tried = {word: -1}
    for number, step in enumerate(steps):
        for known in list(tried):  # each step builds on all spellings before it
            for spelling in step.respell(known):
                tried.setdefault(spelling, number)
    del tried[word]
    return tried


def find_spellings(there: Words, words: Iterable[str], steps: Sequence[Spelling]) -> Iterator[tuple[int, int]]:
    """Yield, for each word, the row of its first spelling that is `there` and the number of its step, or (-1, -1)."""
    tried = [respellings(word, steps) for word in words]
    rows = there.lookup([spelling for some in tried for spelling in some]).tolist()
    end = 0
    for some in tried:
        begin, end = end, end + len(some)
        hits = zip(rows[begin:end], some.values(), strict=True)
        yield next((hit for hit in hits if hit[0] >= 0), (-1, -1))
