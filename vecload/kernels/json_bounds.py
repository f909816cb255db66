"""Find the records of a JSON document: entries of an object, or objects in a list.

Numbers are most of such a file. `split_json` looks only at the brackets, quotes, and the commas between records. Inside
a record it skips everything else 64 bytes at a time, with bit masks, as simdjson does (Langdale and Lemire, "Parsing
Gigabytes of JSON per Second", VLDB Journal 28, 2019). Loads of 64 bytes stay in range because the chunk is padded.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vecload.kernels import inline, kernel
from vecload.kernels.intrinsics import equal64, set_bits, trailing_zeros

MISMATCH: Final = -1
"""Result of `split_json`: a bracket closes what another kind of bracket opened, or follows the end of the document."""

_FEED: Final = 10
_RETURN: Final = 13
_SPACE: Final = 32
_TAB: Final = 9
_QUOTE: Final = 34
_COMMA: Final = 44
_BACKSLASH: Final = 92
_OPEN_LIST: Final = 91
_CLOSE_LIST: Final = 93
_OPEN_OBJECT: Final = 123
_CLOSE_OBJECT: Final = 125
_U0, _U1 = np.uint64(0), np.uint64(1)


@inline
def _is_blank(byte):  # type: ignore[no-untyped-def]
    return byte in (_SPACE, _FEED, _RETURN, _TAB)


@inline
def _skip_blanks(buffer, at, stop):  # type: ignore[no-untyped-def]
    while at < stop and _is_blank(buffer[at]):
        at += 1
    return at


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


@kernel
def split_json(buffer, stop, state, starts, stops, lines):  # type: ignore[no-untyped-def]
    """Find the records of a JSON object or list; return their number and the offset of the first byte after them.

    Parameters
    ----------
    buffer : uint8 (n,)
        A chunk, with `PADDING` readable bytes after `stop`.
    stop : int
        Number of bytes in the chunk.
    state : int64 (4,)
        Number of open brackets of the document (0 or 1) at the start of the chunk, the byte that opens a document,
        the byte that closes it, and whether a record must follow (1 after a comma). Updated.
    starts, stops, lines : int32
        Filled with the bounds of each record, and the number of line feeds before it. They have at least `stop`
        entries: a comma or bracket follows each record.

    Returns
    -------
    count, consumed : int
        `count` is `MISMATCH` for an unexpected bracket or other text outside of the document; it begins at `consumed`.
    """
    count = at = begin = feeds = first_feeds = 0
    outer = state[0]
    depth = outer
    while at < stop:
        byte = buffer[at]
        if depth > 1 and byte not in (_QUOTE, _CLOSE_LIST, _CLOSE_OBJECT):
            # Skip numbers: go to the next quote or bracket.
            mask = (
                equal64(buffer, at, _QUOTE)
                | equal64(buffer, at, _OPEN_LIST)
                | equal64(buffer, at, _CLOSE_LIST)
                | equal64(buffer, at, _OPEN_OBJECT)
                | equal64(buffer, at, _CLOSE_OBJECT)
            )
            skip = trailing_zeros(mask)
            new_feeds = equal64(buffer, at, _FEED)
            if skip < 64:
                new_feeds &= (_U1 << np.uint64(skip)) - _U1
            at += skip
            if at >= stop:
                break
            feeds += set_bits(new_feeds)
            if skip == 64:
                continue
            byte = buffer[at]
        if byte == _QUOTE and depth > 0:
            after = _after_string(buffer, at, stop)
            if after < 0:
                break
            at = after
            continue
        if byte in (_OPEN_LIST, _OPEN_OBJECT):
            if depth == 0:
                if byte != state[1]:
                    return MISMATCH, at
                begin = at + 1
                first_feeds = feeds
                outer = 1
                state[3] = 0
            depth += 1
        elif byte in (_CLOSE_LIST, _CLOSE_OBJECT):
            depth -= 1
            if depth < 0 or (depth == 0 and byte != state[2]):
                return MISMATCH, at
            if depth == 0:
                if state[3] != 0 or _skip_blanks(buffer, begin, at) < at:
                    starts[count] = begin
                    stops[count] = at
                    lines[count] = first_feeds
                    count += 1
                state[3] = 0
                outer = 0
                begin = at + 1
        elif depth == 1 and byte == _COMMA:
            starts[count] = begin
            stops[count] = at
            lines[count] = first_feeds
            count += 1
            begin = at + 1
            first_feeds = feeds
            state[3] = 1
        elif byte == _FEED:
            feeds += 1
        elif depth == 0 and not _is_blank(byte):
            return MISMATCH, at
        at += 1
    state[0] = outer
    # Between documents everything is consumed. Inside one, the last record may continue in the next chunk.
    return count, begin if outer else stop
