"""A walk over the instructions of a pickle, before anything is made of them.

A pickle is a program for a stack machine without jumps, so one pass sees all of it. The pass makes sure that every
argument lies within the bytes, that memo numbers are those a pickler gives (an index of four billion would make the
unpickler reserve 32 GB), that nothing is popped from an empty stack, and that no tuple is so large, counted as the tree
it is, that hashing it as the key of a dict would take for ever or overflow the C stack. What the values mean is the
business of `vecload.formats.unpickling`.

The tables are indexed by opcode: `argument` int8, the bytes behind the opcode or one of the kinds below; `takes` int8,
the items popped (those down to the mark not counted); `marked` bool, whether the items down to the mark are popped too;
`leaves` int8, the items pushed.
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import kernel

REFUSED, LINE, TWO_LINES, PREFIX1, PREFIX4, PREFIX8 = -1, -2, -3, -4, -5, -6
FINE, NOT_ADMITTED, CUT_SHORT, BAD_MEMO, EMPTY_STACK, TOO_NESTED = 0, 1, 2, 3, 4, 5
LARGEST_TUPLE = 256
"""Items in a tuple, items of its items included. The largest that gensim's classes need has fewer than 20."""

_STOP, _MARK, _DUP = ord("."), ord("("), ord("2")
_TUPLE, _TUPLE1, _TUPLE2, _TUPLE3, _FROZENSET = ord("t"), 0x85, 0x86, 0x87, 0x91
_GET, _BINGET, _LONG_BINGET = ord("g"), ord("h"), ord("j")
_PUT, _BINPUT, _LONG_BINPUT, _MEMOIZE = ord("p"), ord("q"), ord("r"), 0x94
_FIRST = 1 << 12


@kernel
def walk(data, argument, takes, marked, leaves):  # type: ignore[no-untyped-def]
    """Status, the byte of the instruction it is about, and the byte behind the last instruction.

    `data` is uint8, the pickle; the tables are as above.
    """
    sizes = np.empty(_FIRST, dtype=np.int64)  # of each item on the stack: 1, or that of a tuple as a tree
    marks = np.empty(_FIRST, dtype=np.int64)
    memo = np.empty(_FIRST, dtype=np.int64)
    top = depth = known = count = 0  # items, marks, memo numbers, instructions
    at = np.int64(0)
    end = np.int64(len(data))
    while at < end:
        begin = at
        code = data[at]
        at += 1
        count += 1
        kind = argument[code]
        number = np.int64(0)
        if kind >= 0:
            if kind > end - at:
                return CUT_SHORT, begin, end
            for offset in range(min(kind, 4)):
                number |= np.int64(data[at + offset]) << (8 * offset)
            at += kind
        elif kind in (LINE, TWO_LINES):
            for _ in range(1 if kind == LINE else 2):
                number = np.int64(0)
                while at < end and data[at] != 10:
                    digit = np.int64(data[at]) - 48
                    number = number * 10 + digit if 0 <= digit <= 9 and number < end else end
                    at += 1
                if at == end:
                    return CUT_SHORT, begin, end
                at += 1
        elif kind == REFUSED:
            return NOT_ADMITTED, begin, at
        else:
            width = 1 if kind == PREFIX1 else 4 if kind == PREFIX4 else 8
            if width > end - at:
                return CUT_SHORT, begin, end
            length = np.uint64(0)
            for offset in range(width):
                length |= np.uint64(data[at + offset]) << np.uint64(8 * offset)
            at += width
            if length > np.uint64(end - at):
                return CUT_SHORT, begin, end
            at += np.int64(length)

        if code == _STOP:
            return FINE if top == 1 and depth == 0 else EMPTY_STACK, begin, at
        if code == _MARK:
            if depth == len(marks):
                marks = np.concatenate((marks, np.empty_like(marks)))
            marks[depth] = top
            depth += 1
            continue
        if code in (_PUT, _BINPUT, _LONG_BINPUT, _MEMOIZE):
            if top == 0 or (depth and top == marks[depth - 1]):
                return EMPTY_STACK, begin, at
            if code == _MEMOIZE:
                number = np.int64(known)
            if number > count:
                return BAD_MEMO, begin, at
            while number >= len(memo):
                memo = np.concatenate((memo, np.empty_like(memo)))
            while known <= number:
                memo[known] = 1
                known += 1
            memo[number] = sizes[top - 1]
            continue

        floor = marks[depth - 1] if depth else 0
        size = np.int64(1)
        if marked[code]:
            if depth == 0:
                return EMPTY_STACK, begin, at
            for item in range(floor, top):
                size += sizes[item]
            top = floor
            depth -= 1
            floor = marks[depth - 1] if depth else 0
        if top - floor < takes[code]:
            return EMPTY_STACK, begin, at
        for _ in range(takes[code]):
            top -= 1
            size += sizes[top]
        if code in (_TUPLE, _TUPLE1, _TUPLE2, _TUPLE3, _FROZENSET):
            if size > LARGEST_TUPLE:
                return TOO_NESTED, begin, at
        elif code == _DUP:
            size = sizes[top]
        elif code in (_GET, _BINGET, _LONG_BINGET):
            if number >= known:
                return BAD_MEMO, begin, at
            size = memo[number]
        else:
            size = np.int64(1)
        for _ in range(leaves[code]):
            if top == len(sizes):
                sizes = np.concatenate((sizes, np.empty_like(sizes)))
            sizes[top] = size
            top += 1
    return CUT_SHORT, end, end
