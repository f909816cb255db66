"""Steps that look for a word under another spelling."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from vecload.oov.kinds import Spelling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vecload.words import Words


def _cases(word: str) -> Sequence[str]:
    return word.lower(), word.title(), word.upper()


def _nfc(word: str) -> Sequence[str]:
    return (unicodedata.normalize("NFC", word),)


def _nfkc(word: str) -> Sequence[str]:
    return (unicodedata.normalize("NFKC", word),)


def _digits(word: str) -> Sequence[str]:
    return re.sub(r"\d", "#", word), re.sub(r"\d", "0", word)


SPELLINGS = {
    "casefold": Spelling("casefold", _cases),
    "nfc": Spelling("nfc", _nfc),
    "nfkc": Spelling("nfkc", _nfkc),
    "digits": Spelling("digits", _digits),
}


def respellings(word: str, steps: Sequence[Spelling]) -> list[tuple[str, int]]:
    """Other spellings of a word in the order to try them, each with the number of its step.

    Examples
    --------
    >>> respellings("Ｃａｔ", [SPELLINGS["nfkc"], SPELLINGS["casefold"]])
    [('Cat', 0), ('ｃａｔ', 1), ('ＣＡＴ', 1), ('cat', 1), ('CAT', 1)]
    """
    tried = {word: -1}
    for number, step in enumerate(steps):
        for known in list(tried):  # each step builds on all spellings before it
            for spelling in step.respell(known):
                tried.setdefault(spelling, number)
    del tried[word]
    return list(tried.items())


def find(there: Words, words: Iterable[str], steps: Sequence[Spelling]) -> Iterator[tuple[int, int]]:
    """For each word the row of its first spelling that is `there` and the number of its step; (-1, -1) for none."""
    tried = [respellings(word, steps) for word in words]
    looked_up = iter(there.lookup([spelling for some in tried for spelling, _ in some]).tolist())
    for some in tried:
        hits = [(next(looked_up), number) for _, number in some]
        yield next((hit for hit in hits if hit[0] >= 0), (-1, -1))
