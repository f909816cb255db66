"""Parse lines of plain decimal numbers: nearly all rows of nearly all text files.

A *plain* row is a word without separators and `dim` values, each of the form ``d.ddd``: one digit before the decimal
point, 1 to 12 digits after it, and an optional minus sign, with a single space or tab between fields. The digits of
such a value form an integer of at most 13 digits, which a double represents exactly, as it does the power of ten. One
division of two exact doubles is correctly rounded (W. D. Clinger, "How to Read Floating Point Numbers Accurately",
PLDI 1990), so the result equals that of C's ``strtod`` and Python's ``float``. All other rows are left to
`vecload.kernels.text_rows`.

An ordinary parser reads a value, finds its end, and continues there. The processor then waits for each value before it
can begin the next one, and it mispredicts branches that depend on the digits. Here each row is processed by three loops
in which no iteration waits for the previous one, and in which no branch depends on the digits:

1. `_find_separators` finds the separators 64 bytes at a time and lists their offsets, as simdjson does (Langdale and
   Lemire, "Parsing Gigabytes of JSON per Second", VLDB Journal 28, 2019).
2. `_load_values` loads 16 bytes after each separator. The longest plain value has 15 characters: a minus sign, a digit,
   the point and 12 digits. Loading a fixed size without looking at it first needs no branch; unused bytes are
   masked later.
3. `_convert` checks and converts the loaded bytes with integer arithmetic only, eight digits in one 64-bit word, so
   LLVM processes several values in one vector register.

A *chunk* is a uint8 array of whole lines, followed by at least `PADDING` readable bytes. Because of the padding, no
load of 64 bytes from a position inside a line and no load of 16 bytes after a separator reads outside the array,
whatever the bytes are. No further bounds checks are needed.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vecload.kernels import inline, kernel
from vecload.kernels.intrinsics import below64, equal64, load8, load64, set_bits, trailing_zeros
from vecload.row_status import PARSED, UNPARSED

_FEED: Final = 10
_RETURN: Final = 13
_MINUS: Final = np.uint64(45)
_SPACE: Final = 32
_TAB: Final = 9

# Separators stored at a time. A value has 6 characters or more in most files, so 64 bytes hold at most 10 separators.
_BURST: Final = 10

_ZEROS: Final = np.uint64(0x3030303030303030)
_POINT: Final = np.uint64(0x2E30)  # "0." as a little-endian number
_CARRY: Final = np.uint64(0x7676767676767676)  # added to a byte, sets its top bit unless the byte is 0 to 9
_TOPS: Final = np.uint64(0x8080808080808080)
_ALL64: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_U0, _U1, _U3, _U4, _U7, _U8, _U9, _U10 = (np.uint64(v) for v in (0, 1, 3, 4, 7, 8, 9, 10))
_U16, _U32, _U48, _U56, _U255, _U65535 = (np.uint64(v) for v in (16, 32, 48, 56, 255, 65535))


@inline
def _first_bits(count):  # type: ignore[no-untyped-def]
    """Return a uint64 whose lowest `count` bits are set, for a count of 1 to 64."""
    return _ALL64 >> np.uint64(64 - count)


@kernel
def find_lines(buffer, stop, ends):  # type: ignore[no-untyped-def]
    """Write the offsets of the line feeds in ``buffer[:stop]`` to `ends` (int32), and return their number.

    `buffer` is a chunk, and `ends` has at least `stop` entries.
    """
    count = 0
    for at in range(0, stop, 64):
        feeds = equal64(buffer, at, _FEED)
        if feeds != _U0:
            feeds &= _first_bits(min(64, stop - at))
            while feeds != _U0:
                ends[count] = at + trailing_zeros(feeds)
                count += 1
                feeds &= feeds - _U1  # clear the lowest set bit
    return count


@inline
def _find_separators(buffer, start, stop, dim, separators):  # type: ignore[no-untyped-def]
    """Write the offsets of the separators in ``buffer[start:stop]``, then `stop`; return whether there are `dim`.

    Also returns False if the line holds a control character other than a tab.
    """
    # Each 64 bytes become a bit mask, and offsets are read from the mask in bursts of `_BURST`. A burst also stores
    # entries for bits that are not set; later entries overwrite them. Storing a fixed number of entries is faster than
    # a branch on the number of set bits, which the processor would often predict wrong. The stores stay in range
    # because `separators` has `dim + 1 + _BURST` entries, and the count never exceeds `dim` before a burst.
    count = 0
    invalid = _U0
    for at in range(start, stop, 64):
        valid = _first_bits(min(64, stop - at))
        mask = (equal64(buffer, at, _SPACE) | equal64(buffer, at, _TAB)) & valid
        invalid |= (below64(buffer, at, _SPACE) & valid) & ~mask
        found = set_bits(mask)
        if count + found > dim:
            return False
        for burst in range(0, found, _BURST):
            for offset in range(_BURST):
                separators[count + burst + offset] = at + trailing_zeros(mask)
                mask &= mask - _U1
        count += found
    separators[count] = stop
    return count == dim and invalid == _U0


@inline
def _load_values(buffer, separators, firsts, seconds):  # type: ignore[no-untyped-def]
    """Load the 16 bytes after each separator: a plain value, and whatever follows it."""
    for column in range(len(firsts)):
        begin = np.int64(separators[column]) + 1
        firsts[column] = load64(buffer, begin)
        seconds[column] = load64(buffer, begin + 8)


@inline
def _convert(separators, firsts, seconds, row, most):  # type: ignore[no-untyped-def]
    """Convert the loaded bytes to the values of a row; return whether all values were plain.

    `most`, 8 or 12, is the largest number of digits after the decimal point. It is a constant at each call, so each
    call compiles to code without the branches on it.
    """
    # The loop has no branches, so that LLVM turns it into vector instructions.
    #
    # Bytes after the end of a value are masked to zero, which is the digit 0 after the exclusive or. So every value
    # becomes an integer with the same number of decimal places, 8 or 12, and is divided by the same power of ten.
    #
    # The exclusive or with "00000000" turns digits into 0 to 9. Adding `_CARRY` then sets the top bit of every byte
    # above 9, and `| word` catches bytes whose sum wrapped around. A carry can reach the byte above, but only from a
    # byte that is marked itself, so the test for any marked byte is exact.
    #
    # Three multiplications add up eight digits: pairs of digits, pairs of pairs, and the two halves (D. Lemire,
    # "Quickly parsing eight digits", lemire.me, 2018-10-03; also section 4 of "Number Parsing at a Gigabyte per
    # Second", Software: Practice and Experience 51, 2021).
    invalid = _U0
    for column in range(len(row)):
        first, second = firsts[column], seconds[column]
        negative = first & _U255 == _MINUS
        length = np.uint64(separators[column + 1] - separators[column] - 1) - np.uint64(negative)
        first = first >> _U8 | second << _U56 if negative else first
        second = second >> _U8 if negative else second
        head = (first & _U65535) - _POINT
        # Number of digits after the decimal point, minus one. It wraps around to a huge number if there are no digits.
        more = length - _U3
        invalid |= np.uint64((head > _U9) | (more >= np.uint64(most)))
        word = ((first >> _U16 | second << _U48) ^ _ZEROS) & (_ALL64 >> (_U56 - min(more, _U7) * _U8))
        invalid |= ((word + _CARRY) | word) & _TOPS
        word = word * _U10 + (word >> _U8)
        word = (
            (word & np.uint64(0x000000FF000000FF)) * np.uint64(0x000F424000000064)
            + ((word >> _U16) & np.uint64(0x000000FF000000FF)) * np.uint64(0x0000271000000001)
        ) >> _U32
        word += head * np.uint64(10**8)
        if most > 8:
            tail = ((second >> _U16) ^ _ZEROS) & ~(_ALL64 << (min(max(more, _U7) - _U7, _U4) * _U8))
            invalid |= ((tail + _CARRY) | tail) & _TOPS
            tail = tail * _U10 + (tail >> _U8)
            word = word * np.uint64(10**4) + (tail & _U255) * np.uint64(100) + ((tail >> _U16) & _U255)
        value = np.float64(np.int64(word)) / (1e12 if most > 8 else 1e8)
        row[column] = -value if negative else value
    return invalid == _U0


@kernel
def parse_plain(buffer, starts, stops, rows, word_starts, word_stops, status):  # type: ignore[no-untyped-def]
    """Parse the lines of a chunk that are plain rows; return the number of lines that are not.

    Parameters
    ----------
    buffer : uint8 (n,)
        The chunk.
    starts, stops : int32 (k,)
        Bounds of the lines, without line feeds.
    rows : float32 or float64 (k, dim), C order
        Filled. Rows of lines that are not `PARSED` hold arbitrary values.
    word_starts, word_stops : int32 (k,)
        Filled with the bounds of the words in `buffer`.
    status : uint8 (k,)
        Filled with `PARSED` or `UNPARSED`.
    """
    dim = rows.shape[1]
    separators = np.empty(dim + 1 + _BURST, dtype=np.int32)
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
        if _find_separators(buffer, start, stop, dim, separators) and separators[0] > start:
            _load_values(buffer, separators, firsts, seconds)
            row = rows[line]
            # Most files have at most 8 decimal places, for which half of the arithmetic is enough.
            if _convert(separators, firsts, seconds, row, 8) or _convert(separators, firsts, seconds, row, 12):
                word_starts[line] = start
                word_stops[line] = separators[0]
                status[line] = PARSED
        left += status[line] == UNPARSED
    return left
