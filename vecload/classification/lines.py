"""Texts as packed lines, the form in which the kernels read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vecload.errors import OptionError

if TYPE_CHECKING:
    import numpy.typing as npt

_NEWLINE = 10


class Lines(NamedTuple):
    """Lines in one buffer: `data` uint8, read-only, and `starts` and `stops` int64, shape (n,)."""

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]


def pack_line(text: str) -> Lines:
    """Return one text as a line.

    Raises
    ------
    OptionError
        If it contains a newline, or cannot be encoded.
    """
    if not isinstance(text, str) or "\n" in text:
        return pack_lines([text])  # raises
    raw = _encoded(text)
    return Lines(np.frombuffer(raw, dtype=np.uint8), np.zeros(1, dtype=np.int64), np.array([len(raw)]))


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
    ([0, 4, 5], [3, 4, 6])
    """
    listed = list(texts)
    for at, text in enumerate(listed):
        if not isinstance(text, str):
            raise OptionError(f"texts must be strings, got {type(text).__name__} at {at}")
    data = np.frombuffer(_encoded("\n".join(listed)), dtype=np.uint8)
    ends = np.flatnonzero(data == _NEWLINE)
    if len(ends) > max(len(listed) - 1, 0):
        at = next(at for at, text in enumerate(listed) if "\n" in text)
        raise OptionError(
            f"text {at} contains a newline, and a model takes one line at a time: split it, or replace it by a space"
        )
    if not listed:
        return Lines(data, ends, ends)
    return Lines(data, np.concatenate([[0], ends + 1]), np.concatenate([ends, [len(data)]]))


def _encoded(text: str) -> bytes:
    # Lone surrogates stand for bytes that are not valid UTF-8, as in all of vecload; others have no bytes.
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise OptionError(f"a text has a surrogate that cannot be encoded: {error}") from error
