"""Split CSV into rows, and rewrite each row as a line for the kernels of text rows.

Two steps handle a chunk of rows (see `vecload.kernels.plain_rows`):

1. `split_delimited` finds where rows begin and end. This depends on all earlier bytes, because quoted words may contain
   line feeds, so it runs on one thread. It looks at 64 bytes at a time.
2. `locate_delimited` finds the word and the values of each row, on many threads. The word is copied without its quotes.
   The values are copied as a *line*: ``x``, a space, and the values with a single space between them. The kernels
   `plain_rows.parse_plain` and `text_rows.parse_lines` parse these lines as they parse text files, so values follow the
   same rule of exactness.

The chunk itself is not changed. Rows that are unusual in any way get the status `UNPARSED`, and are parsed in plain
Python. That includes all invalid rows, so errors are worded in one place.

A word is never longer than its field, and a line never longer than its fields, plus two bytes for its beginning. The
caller allocates buffers of ``stop`` bytes for words and ``stop + 2 * rows + PADDING`` bytes for lines, so all writes
are in range. Reads are, because rows end at `stop` and the chunk is padded.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vecload.kernels import inline, kernel
from vecload.kernels.intrinsics import below64, equal64, replace64, trailing_zeros
from vecload.row_status import BLANK, PARSED, UNPARSED

_FEED: Final = 10
_RETURN: Final = 13
_SPACE: Final = 32
_TAB: Final = 9
_QUOTE: Final = 34
_COMMA: Final = 44
_OPEN_LIST: Final = 91
_CLOSE_LIST: Final = 93
_MARK: Final = 120  # "x", in place of the word
_U0, _U1 = np.uint64(0), np.uint64(1)
_ALL64: Final = np.uint64(0xFFFFFFFFFFFFFFFF)


@inline
def _is_blank(byte):  # type: ignore[no-untyped-def]
    return byte in (_SPACE, _FEED, _RETURN, _TAB)


@inline
def _skip_blanks(buffer, at, stop):  # type: ignore[no-untyped-def]
    while at < stop and _is_blank(buffer[at]):
        at += 1
    return at


@kernel
def split_delimited(buffer, stop, delimiter, ended, starts, stops, lines):  # type: ignore[no-untyped-def]
    """Find the rows of CSV; return their number, and the offset of the first byte after them.

    Parameters
    ----------
    buffer : uint8 (n,)
        A chunk that begins with a row, with `PADDING` readable bytes after `stop`.
    stop : int
        Number of bytes in the chunk.
    delimiter : int
        Byte between fields, or -1 if quotes have no meaning (JSON lines).
    ended : bool
        Whether the file ends at `stop`, so that the last row needs no line feed.
    starts, stops, lines : int32
        Filled with the bounds of each row, without the line feed, and the number of line feeds before it. They have at
        least as many entries as the chunk has line feeds, plus one.

    Notes
    -----
    As in RFC 4180, a quote opens a quoted field only at the start of a field. Inside it, two quotes are one.
    """
    count = start = feeds = 0
    inside = False
    skipped = -1  # offset of a quote that belongs to the pair before
    for block in range(0, stop, 64):
        mask = equal64(buffer, block, _FEED)
        if delimiter >= 0:
            mask |= equal64(buffer, block, _QUOTE)
        if stop - block < 64:
            mask &= _ALL64 >> np.uint64(64 - (stop - block))
        while mask != _U0:
            at = block + trailing_zeros(mask)
            mask &= mask - _U1
            if buffer[at] == _FEED:
                if not inside:
                    starts[count] = start
                    stops[count] = at
                    lines[count] = feeds
                    count += 1
                    start = at + 1
                    # The line feeds inside the quoted fields of this row were counted before.
                    feeds += 1
                else:
                    feeds += 1
            elif at == skipped:
                continue
            elif not inside:
                inside = at == start or buffer[at - 1] == delimiter
            elif at + 1 < stop and buffer[at + 1] == _QUOTE:
                skipped = at + 1
            else:
                inside = False
    if ended and start < stop:
        starts[count] = start
        stops[count] = stop
        lines[count] = feeds
        for at in range(start, stop):
            if inside and buffer[at] == _FEED:
                lines[count] -= 1
        count += 1
        start = stop
    return count, start


@inline
def _copy_values(buffer, at, stop, delimiter, listed, out, end):  # type: ignore[no-untyped-def]
    """Copy values as a line; return the end of the line in `out`, or -1 if the values are unusual.

    `listed` allows white space instead of the delimiter. Otherwise it may only surround values.
    """
    out[end] = _MARK
    out[end + 1] = _SPACE
    end += 2
    inside = False  # the current field has begun
    closed = False  # and white space follows it
    while at < stop:
        byte = buffer[at]
        if byte == delimiter:
            if not inside:
                return -1
            out[end] = _SPACE
            end += 1
            inside = closed = False
        elif byte <= _SPACE:
            if not _is_blank(byte):
                return -1
            closed = inside
        else:
            if closed:
                if not listed:
                    return -1
                out[end] = _SPACE
                end += 1
                closed = False
            if byte == _QUOTE:
                return -1
            inside = True
            out[end] = byte
            end += 1
        at += 1
    return end if inside else -1


@inline
def _copy_plain(buffer, at, stop, delimiter, out, end):  # type: ignore[no-untyped-def]
    """Do the same as `_copy_values` for fields without white space; return -1 if there is any, or an empty field."""
    if at >= stop or buffer[stop - 1] == delimiter:
        return -1
    out[end] = _MARK
    out[end + 1] = _SPACE
    end += 2
    bad = _U0
    # A delimiter after another one ends an empty field; one is before the first value.
    before = _U1
    for block in range(at, stop, 64):
        valid = _ALL64 if stop - block >= 64 else _ALL64 >> np.uint64(64 - (stop - block))
        marks = equal64(buffer, block, delimiter) & valid
        bad |= ((below64(buffer, block, _SPACE + 1) & ~marks) | equal64(buffer, block, _QUOTE)) & valid
        bad |= marks & (marks << _U1 | before)
        before = marks >> np.uint64(63)
        # Both arrays are padded. Bytes after the end of the line are overwritten by the next one.
        replace64(buffer, block, out, end + (block - at), delimiter, _SPACE)
    return -1 if bad != _U0 else end + (stop - at)


@inline
def _copy_quoted(buffer, at, stop, out, end):  # type: ignore[no-untyped-def]
    """Copy a quoted field that begins at `at`; return the offsets after it, the first -1 if it does not end."""
    at += 1
    while at < stop:
        byte = buffer[at]
        at += 1
        if byte == _QUOTE:
            if at == stop or buffer[at] != _QUOTE:
                return at, end
            at += 1
        out[end] = byte
        end += 1
    return -1, end


@kernel
def locate_delimited(  # type: ignore[no-untyped-def]
    buffer, starts, stops, delimiter, skip, listed, words, word_ends, out, line_starts, line_stops, status
):
    """Find the word and the values of rows of CSV.

    Parameters
    ----------
    buffer, starts, stops
        A chunk and the bounds of its rows.
    delimiter : int
        Byte between fields.
    skip : int
        Number of fields before the word.
    listed : bool
        Whether the values are one field, a list in brackets.
    words : uint8
        Filled with the words, concatenated.
    word_ends : int64 (rows,)
        Filled with the offset in `words` after each word. The word of a row that is not `PARSED` is empty.
    out : uint8
        Filled with the lines.
    line_starts, line_stops : int32 (rows,)
        Filled with the bounds of the lines in `out`.
    status : uint8 (rows,)
        Filled with `PARSED`, `BLANK` or `UNPARSED`.
    """
    used = end = 0
    for row in range(len(starts)):
        at = np.int64(starts[row])
        stop = np.int64(stops[row])
        if stop > at and buffer[stop - 1] == _RETURN:
            stop -= 1
        word_ends[row] = used
        line_starts[row] = line_stops[row] = end
        status[row] = UNPARSED
        if at == stop:
            status[row] = BLANK
            continue
        after = used
        for _field in range(skip + 1):
            after = used
            if at < stop and buffer[at] == _QUOTE:
                at, after = _copy_quoted(buffer, at, stop, words, after)
            else:
                while at < stop and buffer[at] != delimiter:
                    words[after] = buffer[at]
                    after += 1
                    at += 1
            if at < 0 or at >= stop or buffer[at] != delimiter:
                at = -1  # type: ignore[assignment]
                break
            at += 1
        if at < 0:
            continue
        comma = delimiter
        if listed:
            at = _skip_blanks(buffer, at, stop)
            while stop > at and _is_blank(buffer[stop - 1]):
                stop -= 1
            if stop - at > 2 and buffer[at] == _QUOTE and buffer[stop - 1] == _QUOTE:
                at += 1
                stop -= 1
            if stop - at < 3 or buffer[at] != _OPEN_LIST or buffer[stop - 1] != _CLOSE_LIST:
                continue
            at += 1
            stop -= 1
            comma = _COMMA
        last = -1 if listed else _copy_plain(buffer, at, stop, delimiter, out, end)
        if last < 0:
            last = _copy_values(buffer, at, stop, comma, listed, out, end)
        if last >= 0:
            line_stops[row] = end = last
            word_ends[row] = used = after
            status[row] = PARSED
