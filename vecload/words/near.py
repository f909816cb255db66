"""Suggest similar words for a missing one, in error messages."""

from __future__ import annotations

import difflib
import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from vecload.errors import MissingWordError
from vecload.message_text import sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vecload.words.packed import Words

_SEARCHED = 400_000  # words that are compared byte by byte
_COMPARED = 100  # words that are compared by difflib
_LONGEST = 40  # characters
_CUTOFF = 0.7
_BYTES_CUTOFF = 0.5  # lower than _CUTOFF, because a letter outside ASCII has several bytes
_SHOWN = 5  # number of missing words to name in a message and to make suggestions for


def near_words(words: Words, word: str, k: int = 3) -> list[str]:
    """Return up to `k` words that look like a given word, the most similar first.

    Other spellings of the same word (case, Unicode normal form) come first. The others are ordered by the ratio of
    `difflib.SequenceMatcher`, at least 0.7, and then by their rows.

    Parameters
    ----------
    words
        Words to search. Only the first 400,000 are compared, so that the time is bounded.
    word
        The missing word. For one of more than 40 characters, only other spellings are returned.
    k
        Maximum number of words.

    Examples
    --------
    >>> from vecload.words import Words
    >>> near_words(Words.from_strings(["frog", "Paris", "fog", "toad"]), "frogs")
    ['frog', 'fog']
    >>> near_words(Words.from_strings(["frog", "Paris"]), "PARIS")
    ['Paris']
    """
    spellings = [word.lower(), word.title(), word.upper(), word.strip()]
    spellings += [unicodedata.normalize("NFC", word), unicodedata.normalize("NFKC", word)]
    found = [spelling for spelling in dict.fromkeys(spellings) if spelling != word and spelling in words]
    if 0 < len(word) <= _LONGEST and len(found) < k:
        found += [other for other in _alike(words, word) if other not in found]
    return found[:k]


def list_missing(missing: Sequence[str], count: int) -> str:
    """Describe which of `count` words are missing, for an error message.

    Examples
    --------
    >>> print(list_missing(["cow"], 1))
    'cow' is missing
    >>> print(list_missing(["cow", "ox"], 3))
    2 of 3 words are missing: 'cow', 'ox'
    """
    shown = sample(missing) + (", …" if len(missing) > _SHOWN else "")
    if count == 1:
        return f"{shown} is missing"
    return f"{len(missing):,} of {count:,} words are missing: {shown}"


def missing_word(words: Words, missing: Sequence[str], message: str) -> MissingWordError:
    """Return the error for missing words, whose text names near words.

    Parameters
    ----------
    words
        The words that were searched.
    missing
        The words that were not found.
    message
        Error message. Suggestions are computed only when the message is shown, because code that catches the error
        for many words should not wait for them.
    """

    def suggest() -> str:
        near = [(word, near_words(words, word)) for word in missing[:_SHOWN]]
        if len(missing) == 1 and near[0][1]:
            return f"near words: {sample(near[0][1])}"
        return ", ".join(f"near {sample([word])}: {sample(others)}" for word, others in near if others)

    return MissingWordError(message, missing, suggest=suggest)


def _alike(words: Words, word: str) -> list[str]:
    """Return words with nearly the same letters as a given word, the most similar first."""
    wanted = word.lower()
    raw = np.frombuffer(wanted.encode("utf-8", "surrogatepass"), dtype=np.uint8)
    offsets = words.offsets[: _SEARCHED + 1]
    data = words.data[: offsets[-1]]
    capital = (data >= ord("A")) & (data <= ord("Z"))
    data = np.where(capital, data + np.uint8(32), data)
    lengths = np.diff(offsets)
    # The letters that two words share, in any order, bound difflib's ratio from above (its `quick_ratio`). This bound
    # is computed for all words at once, with bytes instead of letters, and leaves few words for difflib to compare. The
    # running counts of a byte fit in eight bits: they wrap around, but their differences are right for words of up to
    # 255 bytes, and longer words cannot be similar.
    shared = np.zeros(len(lengths), dtype=np.int64)
    before = np.zeros(len(data) + 1, dtype=np.uint8)
    for byte, count in zip(*np.unique(raw, return_counts=True), strict=True):
        np.cumsum(data == byte, dtype=np.uint8, out=before[1:])
        shared += np.minimum(before[offsets[1:]] - before[offsets[:-1]], count)
    bounds = 2 * shared / np.maximum(lengths + len(raw), 1)
    rows = np.flatnonzero(bounds >= _BYTES_CUTOFF)
    rows = rows[np.argsort(-bounds[rows], kind="stable")[:_COMPARED]]
    matcher = difflib.SequenceMatcher(b=wanted, autojunk=False)
    ratios = []
    for row in rows.tolist():
        other = words[row]
        matcher.set_seq1(other.lower())
        ratios.append((-matcher.ratio(), row, other))
    return [other for ratio, _, other in sorted(ratios) if -ratio >= _CUTOFF and other != word]
