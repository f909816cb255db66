"""Reasons why vectors have a word under another spelling, each with the spellings to look for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from vecload.oov.normalizers import SPELLINGS
from vecload.provenance.explanation import UNSEPARATED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def _always(_missing: Sequence[str], _there: Sequence[str]) -> bool:
    return True


@dataclass(frozen=True, eq=False)
class Cause:
    """A reason why two sides spell a word differently.

    Parameters
    ----------
    name
        Short name for tables.
    respell
        Function that returns the spellings of a word without this difference.
    step
        Spelling step of the OOV chain that tries them; None if the words have to be read differently.
    remedy
        Advice where no step helps.
    group
        For encodings, which never change ASCII words: causes of one group are alternatives, so a spelling has at most
        one of them.
    applies
        Whether the cause is possible at all, judged by samples of the missing words and of those in the vectors.
    """

    name: str
    respell: Callable[[str], Sequence[str]]
    step: str | None = None
    remedy: str = ""
    group: str = ""
    applies: Callable[[Sequence[str], Sequence[str]], bool] = _always


_MARKS = ("\ufeff", "ï»¿")  # U+FEFF, and its bytes in UTF-8 read as Windows-1252
_NUMBER = r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?"
_NUMBER_LAST = re.compile(rf"(.*\S)(?:\s+|[,;:|]){_NUMBER}\s*\Z", re.DOTALL)
_NUMBER_FIRST = re.compile(r"\s*\d+(?:\s+|[,;:|])(\S.*)\Z", re.DOTALL)
# Japanese, Chinese, Thai, Lao, Burmese and Khmer are written without spaces between words.
_HAN = r"\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED = re.compile(rf"[{_HAN}\u3040-\u30ff\uff66-\uff9f\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_FIRST_HAN = re.compile(f"[{_HAN}]")
_PHRASE = 6  # characters of these scripts from which a word is probably a phrase or a sentence
_LONGEST_FIRST = 12  # characters of the first word of a phrase
_MOST_SPELLINGS = 200  # of one word, which only odd strings have
_LONGEST_LINE = 200  # characters: the patterns take quadratic time on long runs of separators


def _without_mark(word: str) -> Sequence[str]:
    return [word.removeprefix(mark) for mark in _MARKS if word.startswith(mark)]


def _without_count(word: str) -> Sequence[str]:
    if len(word) > _LONGEST_LINE:
        return ()
    return [match[1] for pattern in (_NUMBER_LAST, _NUMBER_FIRST) if (match := pattern.match(word))]


def _mostly_counts(missing: Sequence[str], _there: Sequence[str]) -> bool:
    """Return whether half of the words have a count: "Route 66" alone is not a word with its count."""
    return 2 * sum(bool(_without_count(word)) for word in missing) >= len(missing)


def _first_word(phrase: str) -> Sequence[str]:
    """Return possible first words of a phrase that is written without spaces, the longest first.

    Phrases of other scripts have none. One character is taken for a word only if it is Chinese, because most vectors
    have all kana as words.
    """
    if phrase.isascii() or not _PHRASE <= len(phrase) <= _LONGEST_LINE:
        return ()
    letters = len(_UNSPACED.findall(phrase))
    if letters < _PHRASE or 2 * letters < len(phrase):
        return ()
    shortest = 1 if _FIRST_HAN.match(phrase) else 2
    return [phrase[:length] for length in range(min(_LONGEST_FIRST, len(phrase) - 1), shortest - 1, -1)]


def _has_phrases(missing: Sequence[str], _there: Sequence[str]) -> bool:
    return any(_first_word(word) for word in missing)


# Bytes of UTF-8 read in one of these encodings are mojibake: "café" becomes "cafÃ©".
_MISREAD_AS = ("cp1252", "cp1251", "mac_roman", "cp932", "gb18030")
# Bytes in one of these encodings that are not valid UTF-8, and are kept as surrogate escapes or were read as cp1252.
_OTHER_ENCODINGS = ("cp1252", "cp1251", "cp932", "euc_jp", "gb18030", "big5", "euc_kr")
# Programs map the five bytes that Windows-1252 leaves undefined to control characters, as Latin-1 does.
_CP1252 = {
    ord(char): byte for byte in range(0x80, 0xA0) if (char := bytes([byte]).decode("cp1252", "replace")) != "\ufffd"
}
_FROM_CP1252 = {byte: char for char, byte in _CP1252.items()}


def _encoded(word: str, encoding: str) -> bytes:
    if encoding == "cp1252":
        return word.translate(_CP1252).encode("latin-1")
    return word.encode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")


def _decoded(raw: bytes, encoding: str, errors: str = "strict") -> str:
    if encoding == "cp1252":
        return raw.decode("latin-1").translate(_FROM_CP1252)
    return raw.decode(encoding, errors)


def _reread(word: str, *, written: str, read: str) -> Sequence[str]:
    """Return the word that was written in one encoding and read in another."""
    if word.isascii() or (read == "utf-8" and not _has_escapes(word)):
        return ()
    try:
        return (_decoded(_encoded(word, read), written),)
    except UnicodeError:
        return ()


def _misread(word: str, *, written: str, read: str) -> Sequence[str]:
    """Return the result of writing a word in one encoding and reading it in another."""
    if word.isascii():
        return ()
    try:
        return (_decoded(_encoded(word, written), read, "surrogateescape" if read == "utf-8" else "strict"),)
    except UnicodeError:
        return ()


def _has_escapes(word: str) -> bool:
    return any("\udc80" <= char <= "\udcff" for char in word)


def _there_misread(_missing: Sequence[str], there: Sequence[str], *, written: str, read: str) -> bool:
    """Return whether words of the vectors become other words if they are read in the encoding of their file."""
    return any(_reread(word, written=written, read=read) for word in there)


def _vocabulary_misread(written: str, read: str) -> Cause:
    if read == "utf-8":
        repair = _converted(written)
    else:
        repair = f"word.encode({read!r}).decode({written!r}) repairs words already read"
    return Cause(
        f"{written} read as {read}",
        partial(_reread, written=written, read=read),
        remedy=f"the vocabulary is in {written} but was read as {read}: open(path, encoding={written!r}), or {repair}",
        group="vocabulary read",
    )


def _vectors_misread(written: str, read: str) -> Cause:
    if read == "utf-8":
        remedy = f"the vectors are in {written}, not in UTF-8: convert the file, {_converted(written)}"
    else:
        remedy = f"the words of the vectors were read as {read} before they were saved: get the file from its source"
    return Cause(
        f"vectors: {written} read as {read}",
        partial(_misread, written=written, read=read),
        remedy=remedy,
        group="vectors read",
        applies=partial(_there_misread, written=written, read=read),
    )


def _converted(encoding: str) -> str:
    """Return the command that converts a file to UTF-8."""
    return f"iconv -f {encoding.replace('_', '-')} -t utf-8 FILE"


_NAMES = {
    "nfc": "Unicode form (NFC)",
    "nfkc": "Unicode form (NFKC)",
    "nfd": "Unicode form (NFD)",
    "strip": "punctuation",
    "casefold": "case",
    "separators": "hyphen/underscore/space",
    "digits": "digits",
}

CAUSES = (
    Cause(
        "byte order mark",
        _without_mark,
        remedy="read the vocabulary with vecload.Vocab.load(path), or open(path, encoding='utf-8-sig')",
    ),
    Cause(
        "count column",
        _without_count,
        remedy="the words hold counts: read 'word<TAB>count' lines with vecload.Vocab.load(path)",
        applies=_mostly_counts,
    ),
    *(_vocabulary_misread(written, "utf-8") for written in _OTHER_ENCODINGS),
    *(_vocabulary_misread("utf-8", read) for read in _MISREAD_AS),
    *(_vocabulary_misread(written, "cp1252") for written in _OTHER_ENCODINGS if written != "cp1252"),
    *(Cause(_NAMES.get(name, name), step.respell, step=name) for name, step in SPELLINGS.items()),
    *(_vectors_misread(written, "utf-8") for written in _OTHER_ENCODINGS),
    *(_vectors_misread("utf-8", read) for read in _MISREAD_AS),
    Cause(
        UNSEPARATED,
        _first_word,
        remedy='words are not separated: split Japanese with tokenize="sudachi" (--tokenize sudachi) or "fugashi", and '
        "other languages with a function that returns the words of a text",
        applies=_has_phrases,
    ),
)
"""All causes, in the order in which they are undone: how words were read, their spelling, how the vectors were read.

Phrases in place of words are last, because they are the least certain."""


def spellings(word: str, causes: Sequence[Cause]) -> list[tuple[str, tuple[Cause, ...]]]:
    """Return other spellings of a word, those with the fewest causes first.

    Each cause builds on the spellings before it, as the steps of the OOV chain do.

    Examples
    --------
    >>> [(spelling, [cause.name for cause in path]) for spelling, path in spellings("Cat,", CAUSES)][:3]
    [('Cat', ['punctuation']), ('cat,', ['case']), ('CAT,', ['case'])]
    """
    tried: dict[str, tuple[Cause, ...]] = {word: ()}
    for cause in causes:
        if len(tried) > _MOST_SPELLINGS:
            break
        for known, path in list(tried.items()):
            if cause.group and any(earlier.group == cause.group for earlier in path):
                continue
            for spelling in cause.respell(known):
                if len(path) + 1 < len(tried.get(spelling, causes)):
                    tried[spelling] = (*path, cause)
    del tried[word]
    return sorted(tried.items(), key=lambda item: len(item[1]))
