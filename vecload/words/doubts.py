"""Detect from the words of a table that its file was probably misread.

A row that was split at the wrong position gives a word that looks odd: `the,` or `"the"` or `0<TAB>the`. One such word
means nothing, because real files contain all of them. But if nearly every word looks odd in the same way, the file has
a different layout than the one it was read with.

Words are sampled at even distances, so the cost does not grow with the table.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vecload.message_text import quote
from vecload.words.packed import Words, pack

if TYPE_CHECKING:
    import numpy.typing as npt

_SAMPLE: Final = 1000
_WIDE_SAMPLE: Final = 1 << 14  # sample in which to look for words with non-ASCII characters
_NEARLY_ALL: Final = 0.95
_SMALL: Final = 20  # below this number of words, "nearly all" means all
_TAB: Final = 9
_SPACE: Final = 32
_SIDE: Final = 128  # bytes examined at each end of a word
_NUMBER: Final = rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_ODD = re.compile(rb"""[\x00-\x20\x7f]|[,:"'\d.]\Z""")  # every word of the kinds below
_WHOLE = re.compile(rb"[+-]?\d+")
_FRACTIONS: Final = 0.05


class Kind(NamedTuple):
    """One way in which words look odd: a pattern, what to say about it, and the fewest words that make it a finding."""

    pattern: re.Pattern[bytes]
    what: str
    meaning: str
    least: int = 2


NUMBERS: Final = Kind(re.compile(_NUMBER + rb"\Z"), "are decimal numbers", "the words may be in another file")
"""Kind for words that are all numbers, but not all integers, because node2vec uses integers as words."""
_NOT_UTF8: Final = "the file may be in another encoding (pass encoding=, --encoding), or its words cut short"

# The first kind that matches is reported. No pattern takes more than linear time. Patterns for columns require more
# words, because two or three names such as "area 51" and "route 66" are not a column of counts.
_KINDS: Final = (
    Kind(re.compile(rb"\d+\t|\d+ +\S", re.DOTALL), "begin with a number", "the first column may be an index", 5),
    Kind(re.compile(rb".*[ \t,;|]" + _NUMBER + rb"\Z", re.DOTALL), "end in a number", "rows may hold a count", 5),
    Kind(re.compile(rb"""(["'])["']*[^"'].*\1\Z""", re.DOTALL), "are in quotes", "the file may be CSV"),
    Kind(re.compile(rb".*[^\x00-\x2f],\Z", re.DOTALL), "end in a comma", "values may be separated by commas"),
    # Names of emoji have a colon on both sides.
    Kind(re.compile(rb"[^:].*:\Z", re.DOTALL), "end in a colon", "rows may be written as 'word: values'"),
    Kind(re.compile(rb"[^\t]*\t", re.DOTALL), "contain tabs", "rows may have one more column"),
    Kind(re.compile(rb"[^\r]*\r", re.DOTALL), "contain carriage returns", "lines may end in carriage returns"),
    Kind(re.compile(rb" ."), "begin with a space", "lookups need that space too"),
    Kind(re.compile(rb".* \Z", re.DOTALL), "end in a space", "lookups need that space too"),
    Kind(
        re.compile(rb"[^\x00-\x1f\x7f]*[\x00-\x1f\x7f]"),
        "contain control characters",
        "the file may be damaged, or not a file of word vectors",
    ),
)


class Doubt(NamedTuple):
    """A finding: its text, and its kind (None if the file is in another encoding)."""

    text: str
    kind: Kind | None


def find_doubt(words: Words) -> Doubt | None:
    """Return the odd property that nearly all words share, if there is one.

    Parameters
    ----------
    words
        The words of a whole table, or its first ones.

    Returns
    -------
    Doubt or None
        None for ordinary words. A single odd word is never a finding.

    Examples
    --------
    >>> find_doubt(Words.from_strings(["the,", "cat,"])).text
    "words end in a comma (2 of 2 checked, such as 'the,'): values may be separated by commas"
    >>> find_doubt(Words.from_strings(["the", ",", "cat,"])) is None
    True
    """
    sample = _spread(words, _SAMPLE)
    raws = [_sides(sample.bytes(row)) for row in range(len(sample))]
    return _find_shape(raws) or _find_encoding(_spread(words, _WIDE_SAMPLE))


def join_doubts(*doubts: str | None) -> str | None:
    """Join the texts of doubts; return None without any.

    Examples
    --------
    >>> join_doubts("the header is wrong", None, "words end in a comma")
    'the header is wrong; words end in a comma'
    """
    return "; ".join(filter(None, doubts)) or None


def _sides(raw: bytes) -> bytes:
    """Return the word, without its middle if it is very long, because no pattern examines the middle."""
    return raw if len(raw) <= 2 * _SIDE else raw[:_SIDE] + raw[-_SIDE:]


def _spread(words: Words, most: int) -> Words:
    """Return up to `most` of the words, at even distances."""
    count = len(words)
    return words if count <= most else words.take(np.linspace(0, count - 1, most, dtype=np.int64))


def _find_shape(sample: list[bytes]) -> Doubt | None:
    """Return the shape that nearly all of the words have."""
    # In a correct table, a few ordinary words near the beginning already rule out every kind.
    ordinary = (word for word in sample if not _ODD.search(word))
    most = len(sample) - _needed(sample)
    if len(list(itertools.islice(ordinary, most + 1))) > most:
        return None
    for kind in _KINDS:
        found = [word for word in sample if kind.pattern.match(word)]
        if len(found) >= max(kind.least, _needed(sample)):
            return Doubt(_text(kind.what, kind.meaning, found, sample), kind)
    numbers = [word for word in sample if NUMBERS.pattern.match(word)]
    fractions = [word for word in numbers if not _WHOLE.fullmatch(word)]
    if len(numbers) >= max(NUMBERS.least, _needed(sample)) and len(fractions) > _FRACTIONS * len(sample):
        return Doubt(_text(NUMBERS.what, NUMBERS.meaning, fractions, sample, count=len(numbers)), NUMBERS)
    return None


def _find_encoding(sample: Words) -> Doubt | None:
    """Return a finding if nearly all non-ASCII words are invalid UTF-8; ASCII is valid in nearly every encoding."""
    raws = [sample.bytes(row) for row in _non_ascii_rows(sample)[:_SAMPLE].tolist()]
    broken = [raw for raw in raws if not is_utf8(raw)]
    if len(broken) < max(2, _needed(raws)):
        return None
    return Doubt(_text("are not valid UTF-8", _NOT_UTF8, broken, raws, of="non-ASCII words "), None)


def _needed(sample: list[bytes]) -> int:
    """Return how many words of a sample count as nearly all of them."""
    return len(sample) if len(sample) < _SMALL else math.ceil(_NEARLY_ALL * len(sample))


def _text(
    what: str, meaning: str, found: list[bytes], sample: list[bytes], *, count: int | None = None, of: str = ""
) -> str:
    shares = f"{count or len(found):,} of {len(sample):,} {of}checked, such as {quote(found[0])}"
    return f"words {what} ({shares}): {meaning}"


def _non_ascii_rows(words: Words) -> npt.NDArray[np.int64]:
    """Return the row numbers of the words that contain a byte above 127."""
    offsets = words.offsets
    data = words.data[: offsets[-1]]
    filled = np.flatnonzero(offsets[1:] > offsets[:-1])  # `reduceat` cannot handle empty words
    if not len(filled):
        return filled
    return filled[np.maximum.reduceat(data, offsets[filled]) > 127]


def is_utf8(raw: bytes) -> bool:
    r"""Return whether bytes are valid UTF-8.

    Examples
    --------
    >>> is_utf8(b"caf\xc3\xa9"), is_utf8(b"caf\xe9")
    (True, False)
    """
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


class SharedSpaces(NamedTuple):
    """Record of whether all words begin, or end, with a space or a tab that belongs to the file's layout.

    Readers decide this from the first words, because they strip words before they have read the last one. A later word
    without the space is left as it is.

    Examples
    --------
    >>> words = Words.from_strings(["cat ", "dog "])
    >>> shared = SharedSpaces.of(words)
    >>> list(shared.strip(words)), shared.text
    (['cat', 'dog'], 'all words checked ended in a space, which was removed')
    """

    before: bool = False
    after: bool = False

    @classmethod
    def of(cls, words: Words) -> SharedSpaces:
        """Return which separators all words share.

        No separators are shared if there are fewer than two words, or if a word consists of separators only.
        """
        data, offsets = words.data, words.offsets
        starts, stops = offsets[:-1], offsets[1:]
        if len(words) < 2 or (stops - starts < 2).any():
            return cls()
        shared = cls(bool(_is_separator(data[starts]).all()), bool(_is_separator(data[stops - 1]).all()))
        if any(shared):
            starts, stops = shared.bounds(data, starts, stops)
            if (starts == stops).any():
                return cls()
        return shared

    def bounds(
        self, data: npt.NDArray[np.uint8], starts: npt.NDArray[Any], stops: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Move the bounds of the words ``data[starts[i]:stops[i]]`` past the shared spaces; int arrays, shape (n,)."""
        while self.after:
            spaced = (stops > starts) & _is_separator(data[stops - 1])
            if not spaced.any():
                break
            stops = stops - spaced
        while self.before:
            spaced = (stops > starts) & _is_separator(data[np.minimum(starts, len(data) - 1)])
            if not spaced.any():
                break
            starts = starts + spaced
        return starts, stops

    def strip(self, words: Words) -> Words:
        """Return the words without the shared spaces."""
        if not any(self):
            return words
        starts, stops = self.bounds(words.data, words.offsets[:-1], words.offsets[1:])
        return Words(*pack(words.data, starts, stops))

    @property
    def text(self) -> str | None:
        """Sentence for ``meta["doubt"]`` about the removed separators; None if none were removed."""
        sides = " and ".join(side for side, has in (("began", self.before), ("ended", self.after)) if has)
        verb = {"": "", "began": "began with", "ended": "ended in"}.get(sides, "began and ended with")
        return f"all words checked {verb} a space, which was removed" if sides else None


def _is_separator(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    separators: npt.NDArray[np.bool_] = (data == _SPACE) | (data == _TAB)
    return separators
