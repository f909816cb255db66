"""Texts as packed lines, the form in which the kernels read them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from vecload.errors import OptionError

if TYPE_CHECKING:
    import numpy.typing as npt

_NEWLINE = 10
END: Final = "</s>"
"""The token that fastText reads at the end of a line."""
_END: Final = f" {END}"
_SPACES: Final = re.compile("[\0\t-\r ]+")


class Lines(NamedTuple):
    """Lines in one buffer, each with its end `END`: `data` uint8, `starts` and `stops` int64, shape (n,); read-only."""

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]


def split_tokens(text: str) -> list[str]:
    r"""Return the tokens of a text as fastText splits it: at ASCII white space and NUL.

    Examples
    --------
    >>> split_tokens("a b\tc\xa0d ")
    ['a', 'b', 'c\xa0d']
    """
    return [token for token in _SPACES.split(text) if token]


def encode_line(text: str) -> bytes:
    """Return one text as a line with its end.

    Raises
    ------
    OptionError
        If it contains a newline, or cannot be encoded.
    """
    if not isinstance(text, str) or "\n" in text:
        pack_lines([text])  # raises
    return _encoded(text + _END)


def pack_lines(texts: Iterable[str]) -> Lines:
    """Return texts as lines.

    Raises
    ------
    OptionError
        If a text is not a string, contains a newline, or cannot be encoded.

    Examples
    --------
    >>> lines = pack_lines(["a b", "", "c"])
    >>> lines.starts.tolist(), lines.stops.tolist()
    ([0, 9, 15], [8, 14, 21])
    """
    listed = list(texts)
    for at, text in enumerate(listed):
        if not isinstance(text, str):
            raise OptionError(f"texts must be strings, got {type(text).__name__} at {at}")
    listed.append("")  # so that the last line has an end, too
    data = np.frombuffer(_encoded(f"{_END}\n".join(listed)), dtype=np.uint8)
    ends = np.flatnonzero(data == _NEWLINE)
    if len(ends) > len(listed) - 1:
        at = next(at for at, text in enumerate(listed) if "\n" in text)
        raise OptionError(
            f"text {at} contains a newline, and a model takes one line at a time: split it, or replace it by a space"
        )
    starts = np.zeros(len(ends), dtype=np.int64)
    starts[1:] = ends[:-1] + 1
    return Lines(data, starts, ends)


def _encoded(text: str) -> bytes:
    # Lone surrogates stand for bytes that are not valid UTF-8, as in all of vecload; others have no bytes.
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise OptionError(f"a text has a surrogate that cannot be encoded: {error}") from error
