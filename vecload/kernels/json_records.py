"""Split JSON into records, and rewrite each record as a line for the kernels of text rows.

A *record* is an entry of an object, ``"word": [...]``, or an object with a word and a list. As for CSV
(`vecload.kernels.delimited`), one thread finds the records of a chunk (`vecload.kernels.json_bounds`), and many threads
find and rewrite the word and the values of each record with `locate_json`. Words are copied without escapes. The sizes
of the buffers for words and lines, and the reasons why they suffice, are the same as for CSV: an escape is never
shorter than the bytes that it stands for.

Records that are unusual in any way get the status `UNPARSED`, and are parsed in plain Python. That includes all invalid
records, so errors are worded in one place.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from vecload.kernels import inline, kernel
from vecload.kernels.intrinsics import equal64, load8, trailing_zeros
from vecload.row_status import BLANK, PARSED, UNPARSED

ENTRIES: Final = 0
"""Kind of record: an entry ``"word": [...]`` of an object."""
OBJECTS: Final = 1
"""Kind of record: an object with a word and a list."""

_FEED: Final = 10
_RETURN: Final = 13
_SPACE: Final = 32
_TAB: Final = 9
_QUOTE: Final = 34
_COMMA: Final = 44
_COLON: Final = 58
_BACKSLASH: Final = 92
_OPEN_LIST: Final = 91
_CLOSE_LIST: Final = 93
_OPEN_OBJECT: Final = 123
_CLOSE_OBJECT: Final = 125
_MARK: Final = 120  # "x", in place of the word
_U0, _U1 = np.uint64(0), np.uint64(1)


def _escapes() -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the characters that escapes of two characters stand for, by the second character; 0 for others."""
    table = np.zeros(128, dtype=np.int64)
    for escape, character in zip('"\\/bfnrt', '"\\/\b\f\n\r\t', strict=True):
        table[ord(escape)] = ord(character)
    return table


_ESCAPES = _escapes()


@inline
def _is_blank(byte):  # type: ignore[no-untyped-def]
    return byte in (_SPACE, _FEED, _RETURN, _TAB)


@inline
def _skip_blanks(buffer, at, stop):  # type: ignore[no-untyped-def]
    while at < stop and _is_blank(buffer[at]):
        at += 1
    return at


@inline
def _copy_values(buffer, at, stop, out, end):  # type: ignore[no-untyped-def]
    """Copy values as a line; return the end of the line in `out`, or -1 if the values are unusual."""
    out[end] = _MARK
    out[end + 1] = _SPACE
    end += 2
    inside = False  # the current item has begun
    closed = False  # and white space follows it
    while at < stop:
        byte = buffer[at]
        if byte == _COMMA:
            if not inside:
                return -1
            out[end] = _SPACE
            end += 1
            inside = closed = False
        elif byte <= _SPACE:
            if not _is_blank(byte):
                return -1
            closed = inside
        elif closed:
            return -1
        else:
            inside = True
            out[end] = byte
            end += 1
        at += 1
    return end if inside else -1


@inline
def _after_string(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Return the offset after the string that begins at `at`, or -1 if it does not end before `stop`."""
    at += 1
    while at < stop:
        byte = buffer[at]
        if byte == _QUOTE:
            return at + 1
        at += 2 if byte == _BACKSLASH else 1
    return -1


@inline
def _hex4(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Return the number that four hexadecimal digits spell, or -1."""
    if at + 4 > stop:
        return np.int64(-1)
    value = np.int64(0)
    for offset in range(4):
        byte = np.int64(buffer[at + offset])
        if 48 <= byte <= 57:
            digit = byte - 48
        elif 97 <= byte | 32 <= 102:
            digit = (byte | 32) - 87
        else:
            return np.int64(-1)
        value = value * 16 + digit
    return value


@inline
def _put_character(code, out, end):  # type: ignore[no-untyped-def]
    """Write a character as UTF-8, and the surrogate of a byte as that byte; return the offset after it."""
    if code < 0x80:
        out[end] = code
        return end + 1
    if code < 0x800:
        out[end] = 0xC0 | code >> 6
        out[end + 1] = 0x80 | code & 0x3F
        return end + 2
    if 0xDC80 <= code <= 0xDCFF:
        out[end] = code - 0xDC00
        return end + 1
    if code < 0x10000:
        out[end] = 0xE0 | code >> 12
        out[end + 1] = 0x80 | code >> 6 & 0x3F
        out[end + 2] = 0x80 | code & 0x3F
        return end + 3
    out[end] = 0xF0 | code >> 18
    out[end + 1] = 0x80 | code >> 12 & 0x3F
    out[end + 2] = 0x80 | code >> 6 & 0x3F
    out[end + 3] = 0x80 | code & 0x3F
    return end + 4


@inline
def _copy_string(buffer, at, stop, out, end):  # type: ignore[no-untyped-def]
    """Copy the string that begins at `at` without its escapes; return the offsets after it, the first -1 if invalid.

    An escape of six bytes becomes at most three, and two of them at most four, so the copy is never longer.
    """
    at += 1
    while at < stop:
        byte = np.int64(buffer[at])
        at += 1
        if byte == _QUOTE:
            return at, end
        if byte < _SPACE:
            return np.int64(-1), end
        if byte != _BACKSLASH:
            out[end] = byte
            end += 1
            continue
        if at >= stop:
            return np.int64(-1), end
        byte = np.int64(buffer[at])
        at += 1
        if byte < 128 and _ESCAPES[byte] > 0:
            code = np.int64(_ESCAPES[byte])
        elif byte == 117:
            code = _hex4(buffer, at, stop)
            if code < 0:
                return np.int64(-1), end
            at += 4
            if 0xD800 <= code <= 0xDBFF:
                low = np.int64(-1)
                if at + 6 <= stop and buffer[at] == _BACKSLASH and buffer[at + 1] == 117:
                    low = _hex4(buffer, at + 2, stop)
                if low < 0xDC00 or low > 0xDFFF:
                    return np.int64(-1), end
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                at += 6
            elif 0xDC00 <= code <= 0xDFFF and not 0xDC80 <= code <= 0xDCFF:
                return np.int64(-1), end
        else:
            return np.int64(-1), end
        end = _put_character(code, out, end)
    return np.int64(-1), end


@inline
def _is_key(buffer, at, stop, key):  # type: ignore[no-untyped-def]
    """Return whether ``buffer[at:stop]``, a string with its quotes, spells `key`."""
    if stop - at - 2 != len(key):
        return False
    for offset in range(len(key)):
        if load8(buffer, at + 1 + offset) != key[offset]:
            return False
    return True


@inline
def _after_value(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Return the offset of the comma or bracket after the value that begins at `at`, or -1 if it is missing."""
    depth = 0
    while at < stop:
        byte = buffer[at]
        if byte == _QUOTE:
            at = _after_string(buffer, at, stop)
            if at < 0:
                return np.int64(-1)
            continue
        if byte in (_OPEN_LIST, _OPEN_OBJECT):
            depth += 1
        elif byte in (_CLOSE_LIST, _CLOSE_OBJECT):
            if depth == 0:
                return at
            depth -= 1
        elif byte == _COMMA and depth == 0:
            return at
        at += 1
    return np.int64(-1)


@inline
def _after_list(buffer, at, stop):  # type: ignore[no-untyped-def]
    """Return the offset of the bracket that ends the flat list that begins at `at`, or -1 if it is not flat."""
    at += 1
    while at < stop:
        mask = (
            equal64(buffer, at, _CLOSE_LIST)
            | equal64(buffer, at, _OPEN_LIST)
            | equal64(buffer, at, _QUOTE)
            | equal64(buffer, at, _OPEN_OBJECT)
            | equal64(buffer, at, _CLOSE_OBJECT)
        )
        at += trailing_zeros(mask)
        if mask != _U0:
            break
    return at if at < stop and buffer[at] == _CLOSE_LIST else np.int64(-1)


@kernel
def locate_json(  # type: ignore[no-untyped-def]
    buffer, starts, stops, kind, word_key, vector_key, words, word_ends, out, line_starts, line_stops, status
):
    """Find the word and the values of JSON records.

    Parameters
    ----------
    buffer, starts, stops
        A chunk and the bounds of its records.
    kind : int
        `ENTRIES` or `OBJECTS`.
    word_key, vector_key : uint8
        Keys of the word and the vector in objects; both are empty for `ENTRIES`.
    words, word_ends, out, line_starts, line_stops, status
        As in `locate_delimited`.
    """
    used = end = 0
    for row in range(len(starts)):
        at = _skip_blanks(buffer, np.int64(starts[row]), np.int64(stops[row]))
        stop = np.int64(stops[row])
        word_ends[row] = used
        line_starts[row] = line_stops[row] = end
        status[row] = UNPARSED
        while stop > at and _is_blank(buffer[stop - 1]):
            stop -= 1
        if at == stop:
            status[row] = BLANK
            continue
        after = np.int64(-1)
        first = last = np.int64(-1)
        if kind == ENTRIES:
            if buffer[at] != _QUOTE:
                continue
            at, after = _copy_string(buffer, at, stop, words, used)
            if at < 0:
                continue
            at = _skip_blanks(buffer, at, stop)
            if at >= stop or buffer[at] != _COLON:
                continue
            at = _skip_blanks(buffer, at + 1, stop)
            if at >= stop or buffer[at] != _OPEN_LIST or buffer[stop - 1] != _CLOSE_LIST:
                continue
            first, last = at + 1, _after_list(buffer, at, stop)
            if last != stop - 1:
                continue
        else:
            if buffer[at] != _OPEN_OBJECT or buffer[stop - 1] != _CLOSE_OBJECT:
                continue
            fine = True
            while fine:
                # Here `at` is the offset of the opening bracket, or of a comma.
                at = _skip_blanks(buffer, at + 1, stop)
                fine = at < stop and buffer[at] == _QUOTE
                if not fine:
                    break
                name = at
                at = _after_string(buffer, at, stop)
                fine = at >= 0
                if not fine:
                    break
                name_stop = at
                at = _skip_blanks(buffer, at, stop)
                fine = at < stop and buffer[at] == _COLON
                if not fine:
                    break
                at = _skip_blanks(buffer, at + 1, stop)
                if at >= stop:
                    fine = False
                elif _is_key(buffer, name, name_stop, word_key):
                    fine = after < 0 and buffer[at] == _QUOTE  # type: ignore[assignment]
                    if fine:
                        at, after = _copy_string(buffer, at, stop, words, used)
                        fine = at >= 0
                elif _is_key(buffer, name, name_stop, vector_key):
                    fine = last < 0 and buffer[at] == _OPEN_LIST  # type: ignore[assignment]
                    if fine:
                        first, last = at + 1, _after_list(buffer, at, stop)
                        fine = last >= 0
                        at = last + 1
                else:
                    # Values of other keys are skipped; whether they are valid JSON makes no difference.
                    at = _after_value(buffer, at, stop)
                    fine = at >= 0
                if fine:
                    at = _skip_blanks(buffer, at, stop)
                    if at == stop - 1 and buffer[at] == _CLOSE_OBJECT:
                        break
                    fine = at < stop and buffer[at] == _COMMA
            if not fine or after < 0 or last < 0:
                continue
        line = _copy_values(buffer, first, last, out, end)
        if line >= 0:
            line_stops[row] = end = line
            word_ends[row] = used = after  # type: ignore[assignment]
            status[row] = PARSED
