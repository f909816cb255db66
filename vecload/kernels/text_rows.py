"""Parse the lines that are not plain rows: words with spaces, exponents, signs, any number of digits.

`vecload.kernels.plain_rows` runs first, parses most lines, and defines what a chunk is.

Decimal text becomes the nearest double, the same that C's ``strtod`` and Python's ``float`` return, in one of two ways.
If the digits fit in 53 bits and the power of ten is at most 22, both are exact doubles, and one multiplication or
division of them is correctly rounded (W. D. Clinger, "How to Read Floating Point Numbers Accurately", PLDI 1990).
Otherwise the 128-bit product of the Eisel-Lemire algorithm decides (D. Lemire, "Number Parsing at a Gigabyte per
Second", Software: Practice and Experience 51, 2021). Numbers that neither way can handle (20 digits or more, ``nan``,
``1_0``) are left to the caller: the status of their line is `UNPARSED`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from vecload.kernels import inline, kernel
from vecload.kernels.intrinsics import as_double, leading_zeros, load8, load64, trailing_zeros
from vecload.row_status import BLANK, PARSED, UNPARSED

_SPACE: Final = 32
_TAB: Final = 9

_MAX_DIGITS: Final = 19  # any number of 19 digits fits in 64 bits
_SMALLEST_POWER: Final = -342
_LARGEST_POWER: Final = 308


def _powers_of_five() -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return 5^q, for every q that a double can need, as the (high, low) words of a 128-bit number.

    The numbers are scaled so that the top bit is set, and truncated, or rounded up for negative q, as section 5 of
    Lemire's paper requires.
    """
    rows = []
    for q in range(_SMALLEST_POWER, _LARGEST_POWER + 1):
        power = 5 ** abs(q)
        if q >= 0:
            shift = 128 - power.bit_length()
            bits = power << shift if shift >= 0 else power >> -shift
        else:
            length = (power - 1).bit_length()
            bits = (1 << (length + 127 if q >= -27 else 2 * length + 128)) // power + 1
            bits >>= max(0, bits.bit_length() - 128)
        rows.append((bits >> 64, bits & (2**64 - 1)))
    return np.array(rows, dtype=np.uint64)


# numba compiles the values of global arrays into the machine code of the kernels that use them.
_FIVES = _powers_of_five()
_TENS = np.array([10.0**q for q in range(23)])
_SCALES = np.array([10**q for q in range(9)], dtype=np.uint64)

_ZEROS: Final = np.uint64(0x3030303030303030)
_CARRY: Final = np.uint64(0x7676767676767676)
_TOPS: Final = np.uint64(0x8080808080808080)
_LOW32: Final = np.uint64(0xFFFFFFFF)
_ALL64: Final = np.uint64(0xFFFFFFFFFFFFFFFF)
_U0, _U1, _U3, _U8, _U32, _U64 = (np.uint64(v) for v in (0, 1, 3, 8, 32, 64))
_BIT52: Final = np.uint64(1 << 52)
_BIT53: Final = np.uint64(1 << 53)


@inline
def _multiply(a, b):  # type: ignore[no-untyped-def]
    """Return the high and low words of the 128-bit product of two uint64, by schoolbook multiplication of halves."""
    a0, a1 = a & _LOW32, a >> _U32
    b0, b1 = b & _LOW32, b >> _U32
    middle = a1 * b0 + ((a0 * b0) >> _U32)
    cross = a0 * b1 + (middle & _LOW32)
    return a1 * b1 + (middle >> _U32) + (cross >> _U32), a * b


@inline
def nearest_double(digits, power):  # type: ignore[no-untyped-def]
    """Return the double nearest to digits x 10^power, and whether the algorithm could determine it."""
    # The Eisel-Lemire algorithm; steps and bounds follow sections 5 to 9 of Lemire's paper. Because 10^q = 5^q 2^q, the
    # result is digits x 5^q with another binary exponent. The top 64 bits of 5^q nearly always suffice to find the 53
    # bits of the result: only if the low 9 bits of the product's high word are all ones can the omitted lower bits
    # still change it, and then the lower word of 5^q is used too. Very rarely even that is not enough.
    if digits == _U0 or power < _SMALLEST_POWER:
        return 0.0, True
    if power > _LARGEST_POWER:
        return np.inf, True
    shift = leading_zeros(digits)
    digits = digits << np.uint64(shift)
    high, low = _multiply(digits, _FIVES[power - _SMALLEST_POWER, 0])
    if (high & np.uint64(0x1FF)) == np.uint64(0x1FF):
        more, _ = _multiply(digits, _FIVES[power - _SMALLEST_POWER, 1])
        low = low + more
        if low < more:
            high = high + _U1
    if low == _ALL64 and (power < -27 or power > 55):
        return 0.0, False
    top = high >> np.uint64(63)
    dropped = top + np.uint64(9)
    mantissa = high >> dropped
    # (217706 * q) >> 16 is the largest integer up to q * log2(10), for every q in range (section 5 of the paper).
    exponent = ((217706 * power) >> 16) + 63 + np.int64(top) - shift + 1023
    if exponent <= 0:  # subnormal, or zero
        if exponent < -62:
            return 0.0, True
        mantissa = mantissa >> np.uint64(1 - exponent)
        mantissa = (mantissa + (mantissa & _U1)) >> _U1
        # If rounding up gives the smallest normal number, the carry sets the exponent bit.
        return as_double(mantissa), True
    # A number exactly between two doubles rounds to the one with an even mantissa. That is only possible for powers
    # from -4 to 23 (section 6 of the paper), so the round bit is cleared for even mantissas in that case.
    if low <= _U1 and -4 <= power <= 23 and (mantissa & _U3) == _U1 and (mantissa << dropped) == high:
        mantissa = mantissa & ~_U1
    mantissa = (mantissa + (mantissa & _U1)) >> _U1
    if mantissa >= _BIT53:
        mantissa = _BIT52
        exponent += 1
    if exponent >= 0x7FF:
        return np.inf, True
    return as_double((mantissa & ~_BIT52) | (np.uint64(exponent) << np.uint64(52))), True


@inline
def _parse_digits(buffer, at, value):  # type: ignore[no-untyped-def]
    """Append the digits that begin at `at` to `value`; return the new value and the offset after the digits."""
    # Eight bytes at a time, as in `plain_rows`: the exclusive or turns digits into 0 to 9, and adding `_CARRY` sets
    # the top bit of other bytes. The lowest such bit is exact and gives the number of digits. Shifting the digits to
    # the top of the word adds leading zeros, and three multiplications add them up (D. Lemire, "Quickly
    # parsing eight digits", lemire.me, 2018-10-03).
    while True:
        word = load64(buffer, at) ^ _ZEROS
        count = trailing_zeros(((word + _CARRY) | word) & _TOPS) >> 3
        if count == 0:
            return value, at
        word = word << np.uint64(64 - 8 * count)
        word = word * np.uint64(10) + (word >> _U8)
        word = (
            (word & np.uint64(0x000000FF000000FF)) * np.uint64(0x000F424000000064)
            + ((word >> np.uint64(16)) & np.uint64(0x000000FF000000FF)) * np.uint64(0x0000271000000001)
        ) >> _U32
        value = value * _SCALES[count] + word
        at += count
        if count < 8:
            return value, at


@inline
def _parse_values(buffer, at, stop, row, dim, limit):  # type: ignore[no-untyped-def]
    """Parse `dim` fields that begin at `at` into `row`; return whether all could be parsed and they end at `stop`."""
    # Loads may pass `stop` by up to 16 bytes, which the padding of the chunk makes safe. Characters are ASCII codes:
    # 43 and 45 are the signs, 46 is the point, 48 to 57 are digits, and 101 is "e".
    for column in range(dim):
        # Computed without a branch: signs are random, so a branch would be predicted wrong half of the time.
        negative = load8(buffer, at) == 45
        at += negative | (load8(buffer, at) == 43)
        begin = first = at
        # Nearly every value has one digit before the point, so this branch is predicted well.
        if load8(buffer, at + 1) == 46 and 48 <= load8(buffer, at) <= 57:
            digits = np.uint64(load8(buffer, at) - 48)
            at += 1
        else:
            digits, at = _parse_digits(buffer, at, _U0)
        count = at - begin
        power = 0
        if load8(buffer, at) == 46:
            at += 1
            begin = at
            digits, at = _parse_digits(buffer, at, digits)
            power = begin - at
            count -= power
        if count == 0:
            return False
        if count > _MAX_DIGITS:
            # Leading zeros do not make the integer larger, so they are not counted.
            while load8(buffer, first) == 48 or load8(buffer, first) == 46:
                count -= load8(buffer, first) == 48
                first += 1
            if count > _MAX_DIGITS:
                return False
        if load8(buffer, at) | 32 == 101:
            at += 1
            sign = load8(buffer, at) == 45
            if sign or load8(buffer, at) == 43:
                at += 1
            begin = at
            exponent, at = _parse_digits(buffer, at, _U0)
            if at == begin or at - begin > 9:
                return False
            power += -np.int64(exponent) if sign else np.int64(exponent)  # type: ignore[assignment]
        if at > stop or (at < stop and load8(buffer, at) != _SPACE and load8(buffer, at) != _TAB):
            return False
        if digits <= _BIT53 and -22 <= power <= 22:
            value = np.float64(digits)
            value = value * _TENS[power] if power >= 0 else value / _TENS[-power]
        else:
            value, sure = nearest_double(digits, power)
            if not sure:
                return False
        if value >= limit:  # rounds to infinity in the dtype of the row
            return False
        row[column] = -value if negative else value
        while at < stop and (load8(buffer, at) == _SPACE or load8(buffer, at) == _TAB):
            at += 1
    return at == stop


@inline
def _is_separator(byte):  # type: ignore[no-untyped-def]
    return byte in (_SPACE, _TAB)


@inline
def _first_value(buffer, start, stop, dim):  # type: ignore[no-untyped-def]
    """Return the offset of the last `dim` fields of a line, or `start` if it has fewer fields."""
    at = stop
    for _ in range(dim):
        while at > start and not _is_separator(buffer[at - 1]):
            at -= 1
        if _ < dim - 1:
            while at > start and _is_separator(buffer[at - 1]):
                at -= 1
    return at


@kernel
def parse_lines(buffer, starts, stops, limit, rows, word_starts, word_stops, status):  # type: ignore[no-untyped-def]
    """Parse the lines that are not plain rows, one into each row.

    Parameters
    ----------
    buffer : uint8 (n,)
        The chunk.
    starts, stops : int32 (k,)
        Bounds of the lines, without line feeds.
    limit : float
        Smallest absolute value that rounds to infinity in the dtype of `rows`.
    rows : float32 or float64 (k, dim), C order
        Filled. Rows of lines that are not `PARSED` hold arbitrary values.
    word_starts, word_stops : int32 (k,)
        Filled with the bounds of the words in `buffer`.
    status : uint8 (k,)
        Read, and filled with `PARSED`, `BLANK` or `UNPARSED`.

    Notes
    -----
    Lines that are `PARSED` already are skipped. A line is first split after its first field. If the rest is not `dim`
    numbers, the last `dim` fields are the values, and the word is everything before them. A word that contains a
    separator and whose last field looks like a number may be a row with too many values, so the line stays `UNPARSED`.
    So does a line with a NUL byte in its word. The caller handles both.
    """
    dim = rows.shape[1]
    for line in range(len(starts)):
        if status[line] == PARSED:
            continue
        start = np.int64(starts[line])
        stop = np.int64(stops[line])
        if stop > start and buffer[stop - 1] == 13:
            stop -= 1
        while stop > start and _is_separator(buffer[stop - 1]):
            stop -= 1
        if stop == start:
            status[line] = BLANK
            continue
        status[line] = UNPARSED
        at = start
        while at < stop and not _is_separator(buffer[at]):
            if buffer[at] == 0:
                break
            at += 1
        if at in (start, stop) or buffer[at] == 0:
            if at == start:
                # The line begins with a separator: the word is a separator itself, or begins with one, or is empty.
                first = _first_value(buffer, start, stop, dim)
                if first > start + 1 and _parse_values(buffer, first, stop, rows[line], dim, limit):
                    word_starts[line] = start
                    word_stops[line] = first - 1
                    if buffer[first - 2] == _SPACE or buffer[first - 2] == _TAB:
                        status[line] = PARSED
            continue
        if not _is_separator(buffer[at + 1]) and _parse_values(buffer, at + 1, stop, rows[line], dim, limit):
            word_starts[line] = start
            word_stops[line] = at
            status[line] = PARSED
            continue
        first = _first_value(buffer, start, stop, dim)
        if first <= at + 1:
            continue
        if not _parse_values(buffer, first, stop, rows[line], dim, limit):
            continue
        word_starts[line] = start
        word_stops[line] = first - 1
        last = first - 1
        nul = False
        while last > at and not _is_separator(buffer[last - 1]):
            last -= 1
        for offset in range(at, first - 1):
            nul |= buffer[offset] == 0
        head = buffer[last]
        like_number = (48 <= head <= 57) or head == 43 or head == 45 or head == 46
        if not nul and (buffer[first - 1] == _TAB or not like_number):
            status[line] = PARSED
