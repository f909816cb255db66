"""Lines, and the rows of plain decimals among them: nearly all of nearly every file.

A *plain* row is a word without separators and `dim` values, each of the form ``d.ddd`` with one digit before the point,
1 to 12 behind it and perhaps a minus in front, all set apart by single separators. Such a value is a number of at most
13 digits, which a double holds exactly, divided by a power of ten, which it holds too; and one division of exact
doubles is correctly rounded (Clinger 1990). So the result is what C's ``strtod`` and Python's ``float`` give. Any other
row is left to `vecload.kernels.text_rows`.

A parser that reads a value, sees where it ends and goes on from there waits for itself at each value, and its branches
depend on the digits. Here three loops run over a row instead, none of which waits for its previous round and none of
which branches on what a value looks like:

1. the separators, found 64 bytes at a time (as simdjson does: Langdale and Lemire, "Parsing Gigabytes of JSON per
   Second", VLDB Journal 28, 2019), become a list of places;
2. from each place, the bytes that can hold a value's digits are loaded, whatever they are;
3. arithmetic alone checks and converts them, eight digits in a 64-bit word and several values in a vector register.

A *chunk* is a uint8 array that holds whole lines and at least `PADDING` readable bytes behind the last one, so that
neither 64 bytes from within a line nor the loads of a value ever leave it, whatever the bytes are.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vecload.kernels import inline, kernel
from vecload.kernels.intrinsics import below64, equal64, load8, load64, set_bits, trailing_zeros

PADDING: Final = 64
"""Readable bytes that every chunk must have behind its last line."""
PARSED: Final = 0
"""Line status: the row and its word are there."""
BLANK: Final = 1
"""Line status: nothing but spaces, tabs and a carriage return."""
UNPARSED: Final = 2
"""Line status: somebody else must look at the line."""

_FEED: Final = 10
_RETURN: Final = 13
_MINUS: Final = np.uint64(45)
_SPACE: Final = 32
_TAB: Final = 9

_BURST: Final = 10  # places stored together: more than 64 bytes of most files hold

_ZEROS: Final = np.uint64(0x3030303030303030)
_POINT: Final = np.uint64(0x2E30)  # "0." as a little-endian number
_CARRY: Final = np.uint64(0x7676767676767676)
_TOPS: Final = np.uint64(0x8080808080808080)
_ALL64: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_U0, _U1, _U3, _U4, _U7, _U8, _U9, _U10 = (np.uint64(v) for v in (0, 1, 3, 4, 7, 8, 9, 10))
_U16, _U32, _U48, _U56, _U255, _U65535 = (np.uint64(v) for v in (16, 32, 48, 56, 255, 65535))


@inline
def _first_bits(count):  # type: ignore[no-untyped-def]
    """A uint64 whose lowest `count` bits are set, 1 to 64 of them."""
    return _ALL64 >> np.uint64(64 - count)


@kernel
def find_lines(buffer, stop, ends):  # type: ignore[no-untyped-def]
    """Positions of the line feeds in ``buffer[:stop]``, a chunk, into `ends` (int32); returns their number."""
    count = 0
    for at in range(0, stop, 64):
        feeds = equal64(buffer, at, _FEED)
        if feeds != _U0:
            feeds &= _first_bits(min(64, stop - at))
            while feeds != _U0:
                ends[count] = at + trailing_zeros(feeds)
                count += 1
                feeds &= feeds - _U1
    return count


@inline
def _find_fields(buffer, start, stop, dim, places):  # type: ignore[no-untyped-def]
    """Places of the separators in ``buffer[start:stop]``, then `stop`; whether there are `dim` and nothing is odd.

    Bits beyond the last one are stored too, to be overwritten: a burst of fixed length costs less than a branch that
    depends on the number of bits. A control character that is no tab is odd, wherever it is.
    """
    count = 0
    odd = _U0
    for at in range(start, stop, 64):
        valid = _first_bits(min(64, stop - at))
        separators = (equal64(buffer, at, _SPACE) | equal64(buffer, at, _TAB)) & valid
        odd |= (below64(buffer, at, _SPACE) & valid) & ~separators
        found = set_bits(separators)
        if count + found > dim:
            return False
        for burst in range(0, found, _BURST):
            for offset in range(_BURST):
                places[count + burst + offset] = at + trailing_zeros(separators)
                separators &= separators - _U1
        count += found
    places[count] = stop
    return count == dim and odd == _U0


@inline
def _load_values(buffer, places, firsts, seconds):  # type: ignore[no-untyped-def]
    """The sixteen bytes behind each place but the last: a plain value and what happens to follow it."""
    for column in range(len(firsts)):
        begin = np.int64(places[column]) + 1
        firsts[column] = load64(buffer, begin)
        seconds[column] = load64(buffer, begin + 8)


@inline
def _convert(places, firsts, seconds, row, most):  # type: ignore[no-untyped-def]
    """The values of a row; whether all were plain and had at most `most` digits behind the point, 8 or 12.

    A loop without a branch, for LLVM to put into vector registers. What a value is not made of becomes zeros behind its
    digits, which do not count, because all are digits of the same number of places. The exclusive or makes digits 0..9;
    a byte that is none gets its top bit set by the carry. Three multiplications add up eight digits: neighbours, pairs,
    fours (section 4 of Lemire, "Number Parsing at a Gigabyte per Second", 2021).
    """
    odd = _U0
    for column in range(len(row)):
        first, second = firsts[column], seconds[column]
        negative = first & _U255 == _MINUS
        length = np.uint64(places[column + 1] - places[column] - 1) - np.uint64(negative)
        first = first >> _U8 | second << _U56 if negative else first
        second = second >> _U8 if negative else second
        head = (first & _U65535) - _POINT
        more = length - _U3  # digits behind the point after the first; huge where there is none
        odd |= np.uint64((head > _U9) | (more >= np.uint64(most)))
        word = ((first >> _U16 | second << _U48) ^ _ZEROS) & (_ALL64 >> (_U56 - min(more, _U7) * _U8))
        odd |= ((word + _CARRY) | word) & _TOPS
        word = word * _U10 + (word >> _U8)
        word = (
            (word & np.uint64(0x000000FF000000FF)) * np.uint64(0x000F424000000064)
            + ((word >> _U16) & np.uint64(0x000000FF000000FF)) * np.uint64(0x0000271000000001)
        ) >> _U32
        word += head * np.uint64(10**8)
        if most > 8:
            tail = ((second >> _U16) ^ _ZEROS) & ~(_ALL64 << (min(max(more, _U7) - _U7, _U4) * _U8))
            odd |= ((tail + _CARRY) | tail) & _TOPS
            tail = tail * _U10 + (tail >> _U8)
            word = word * np.uint64(10**4) + (tail & _U255) * np.uint64(100) + ((tail >> _U16) & _U255)
        value = np.float64(np.int64(word)) / (1e12 if most > 8 else 1e8)
        row[column] = -value if negative else value
    return odd == _U0


@kernel
def parse_plain(buffer, starts, stops, rows, word_starts, word_stops, status):  # type: ignore[no-untyped-def]
    """Parse the plain rows among the lines of a chunk, one into each row; returns the number of lines left.

    Parameters
    ----------
    buffer : uint8 (n,)
        The chunk.
    starts, stops : int32 (k,)
        The lines, without their line feed.
    rows : float32 or float64 (k, dim), C order
        Filled. Rows of lines that are not `PARSED` hold nothing of use.
    word_starts, word_stops : int32 (k,)
        Filled with the words' places in `buffer`.
    status : uint8 (k,)
        Filled with `PARSED` or `UNPARSED`.
    """
    dim = rows.shape[1]
    places = np.empty(dim + 1 + _BURST, dtype=np.int32)
    firsts = np.empty(dim, dtype=np.uint64)
    seconds = np.empty_like(firsts)
    left = 0
    for line in range(len(starts)):
        start = np.int64(starts[line])
        stop = np.int64(stops[line])
        if stop > start and load8(buffer, stop - 1) == _RETURN:
            stop -= 1
        while stop > start and (load8(buffer, stop - 1) == _SPACE or load8(buffer, stop - 1) == _TAB):
            stop -= 1
        status[line] = UNPARSED
        if _find_fields(buffer, start, stop, dim, places) and places[0] > start:
            _load_values(buffer, places, firsts, seconds)
            row = rows[line]
            if _convert(places, firsts, seconds, row, 8) or _convert(places, firsts, seconds, row, 12):
                word_starts[line] = start
                word_stops[line] = places[0]
                status[line] = PARSED
        left += status[line] == UNPARSED
    return left
