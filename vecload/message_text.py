"""Values of users and files as short, printable text for messages."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from itertools import islice

_LONGEST_QUOTE = 60
_LONGEST_PART = 200
_SAMPLE = 5


def sample(words: Iterable[str]) -> str:
    """Return the first words of an iterable in quotes, for a message.

    Examples
    --------
    >>> print(sample(["the cat", "x" * 70]))
    'the cat', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
    """
    return ", ".join(quote(word.encode("utf-8", "surrogatepass")) for word in islice(words, _SAMPLE)) or "none"


class _Bounded(reprlib.Repr):
    """`repr` in bounded time and length, whatever the value holds."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxstring = self.maxother = self.maxlong = _LONGEST_QUOTE

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write integers of more than 4300 digits, and needs quadratic time for shorter ones.
        if x.bit_length() > _LONGEST_PART:
            return f"an integer of {x.bit_length():,} bits"
        return super().repr_int(x, level)


def shorten(value: object, longest: int = _LONGEST_PART) -> str:
    """Return a value as text of at most `longest` characters, cut in the middle.

    Examples
    --------
    >>> shorten("catalog"), shorten("abcdefghijklmnop", 9)
    ('catalog', 'abc...nop')
    >>> shorten((1, 10**5000))
    '(1, an integer of 16,610 bits)'
    """
    text = value if isinstance(value, str) else _Bounded().repr(value)
    if len(text) <= longest:
        return text
    kept = longest - 3
    return f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"


def quote(raw: bytes) -> str:
    r"""Show bytes of a file in an error message: printable, short, in quotes.

    Examples
    --------
    >>> quote(b"caf\xc3\xa9"), quote(b"\xff\x00")
    ("'café'", "'\\udcff\\x00'")
    """
    text = raw[: 4 * _LONGEST_QUOTE].decode("utf-8", "surrogateescape")
    shown = ascii(text) if any(0xDC80 <= ord(char) <= 0xDCFF for char in text) else repr(text)
    return shown if len(shown) <= _LONGEST_QUOTE else shown[: _LONGEST_QUOTE - 4] + "...'"


def number_of(count: int, noun: str) -> str:
    """Return a number and its noun, in the plural unless the number is one.

    Examples
    --------
    >>> number_of(1, "row"), number_of(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return the choice nearest to a mistyped name as the end of a sentence, or an empty string.

    >>> did_you_mean("casfold", ["casefold", "nfc"]), did_you_mean("x", ["casefold"])
    ("; did you mean 'casefold'?", '')
    """
    near = difflib.get_close_matches(name, choices, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
