"""Check the instructions of a pickle before any of them is executed.

A pickle is a program for a stack machine without jumps (the opcodes are documented in CPython's ``pickletools``). So
one pass sees every instruction exactly once, in the order in which it would be executed, and can track every value on
the stack: its kind, its size, and for a dict the instruction that made it. The pass makes sure that

- every argument is inside the bytes, and nothing is popped from an empty stack;
- memo numbers are those that a pickler assigns (an index of four billion would make the unpickler reserve 32 GB);
- only results of calls receive a state, only lists are appended to, and so on. An unpickler accepts a state of
  None for anything, which would hide from this pass what a tuple contains;
- only strings and a few small numbers are hashed. Tuples may be nested so deeply that the C stack overflows, or contain
  one another so often that hashing never ends, and integers can be chosen to collide. Dicts with keys other than
  strings are reported, so that the unpickler makes a list of pairs instead;
- the total cost of the instructions (bytes of memory, bytes hashed, arguments packed again) stays below a given budget.

The unpickler of the gensim reader interprets the values, and accepts only known names.

The tables of opcodes are indexed by opcode. `argument` (int8) is the number of bytes after the opcode, or one of the
constants below. `takes` (int8) is the number of items popped, not counting those above the mark. `marked` (bool) says
whether the items down to the mark are popped too. `makes` (int8) is the kind of the item pushed, or NOTHING. `costs`
(int64) is the number of bytes of memory that executing the instruction takes, not counting its arguments.
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import kernel

REFUSED, LINE, TWO_LINES, PREFIX1, PREFIX4, PREFIX8 = -1, -2, -3, -4, -5, -6
NOTHING, NUMBER, TEXT, TUPLE, LIST, DICT, SET, NAME, OBJECT = -1, 0, 1, 2, 3, 4, 5, 6, 7
ACCEPTED, NOT_ADMITTED, CUT_SHORT, BAD_MEMO, EMPTY_STACK, WRONG_KIND, BAD_KEY, OVER_BUDGET = 0, 1, 2, 3, 4, 5, 6, 7

NUMBERS_HASHED = 1024
"""Limit on the numbers that are hashed in sets and in dicts of protocol 0: n colliding numbers can take n² steps."""
_NUMBER_HASHED = 16  # bytes of the longest number that may be hashed
_PAIR = 64  # bytes of memory for an entry of a dict
_PAIRS = 256  # bytes of memory for a list of pairs
_PART = 8  # bytes of memory for an item of a tuple or list

_STOP, _MARK, _DUP, _BUILD = ord("."), ord("("), ord("2"), ord("b")
_APPEND, _APPENDS, _SETITEM, _SETITEMS, _ADDITEMS = ord("a"), ord("e"), ord("s"), ord("u"), 0x90
_DICT, _FROZENSET, _STACK_GLOBAL, _OBJ = ord("d"), 0x91, 0x93, ord("o")
_REDUCE, _NEWOBJ, _NEWOBJ_EX = ord("R"), 0x81, 0x92
_GET, _BINGET, _LONG_BINGET = ord("g"), ord("h"), ord("j")
_PUT, _BINPUT, _LONG_BINPUT, _MEMOIZE = ord("p"), ord("q"), ord("r"), 0x94
_FIRST = 1 << 12
# Sizes are capped here. A tuple that contains the previous tuple twice doubles in size, so 63 of them would overflow an
# int64.
_LARGEST = np.int64(1) << 48


@kernel
def walk(data, budget, argument, takes, marked, makes, costs):  # type: ignore[no-untyped-def]
    """Return a status, the offset of the instruction it is about, the remaining budget, and the dicts to replace.

    `data` (uint8) is the pickle; the tables are described above. The last result (int64, shape (dicts,)) holds, in
    order, the offset of the instruction that makes each dict that must become a list of pairs.
    """
    # The machine is simulated with one number per item on its stack: kind + 8 * value. The value is the number of a
    # dict, or else the size of the item in bytes; a tuple counts every item inside it, however often it occurs. The
    # arrays below double in length when they are full, so no index is out of range.
    items = np.empty(_FIRST, dtype=np.int64)  # on the stack
    memo = np.empty(_FIRST, dtype=np.int64)
    marks = np.empty(_FIRST, dtype=np.int64)
    made = np.empty(_FIRST, dtype=np.int64)  # for each dict, the offset of its instruction, or -1
    paired = np.zeros(_FIRST, dtype=np.bool_)  # for each dict, whether it must become a list of pairs
    nowhere = np.empty(0, dtype=np.int64)
    top = depth = known = count = dicts = hashed = 0  # items, marks, memo numbers, instructions, dicts, numbers hashed
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
                return CUT_SHORT, begin, budget, nowhere
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
                    return CUT_SHORT, begin, budget, nowhere
                at += 1
        elif kind == REFUSED:
            return NOT_ADMITTED, begin, budget, nowhere
        else:
            width = 1 if kind == PREFIX1 else 4 if kind == PREFIX4 else 8
            if width > end - at:
                return CUT_SHORT, begin, budget, nowhere
            length = np.uint64(0)
            for offset in range(width):
                length |= np.uint64(data[at + offset]) << np.uint64(8 * offset)
            at += width
            if length > np.uint64(end - at):
                return CUT_SHORT, begin, budget, nowhere
            at += np.int64(length)
        weight = at - begin
        budget -= costs[code] + weight

        if code == _STOP:
            if top != 1 or depth:
                return EMPTY_STACK, begin, budget, nowhere
            return ACCEPTED, begin, budget, made[:dicts][paired[:dicts]]
        if code == _MARK:
            if depth == len(marks):
                marks = np.concatenate((marks, np.empty_like(marks)))
            marks[depth] = top
            depth += 1
            continue
        if code in (_PUT, _BINPUT, _LONG_BINPUT, _MEMOIZE):
            if top == 0 or (depth and top == marks[depth - 1]):
                return EMPTY_STACK, begin, budget, nowhere
            if code == _MEMOIZE:
                number = np.int64(known)
            if number > count:
                return BAD_MEMO, begin, budget, nowhere
            while number >= len(memo):
                memo = np.concatenate((memo, np.empty_like(memo)))
            while known <= number:
                memo[known] = NOTHING
                known += 1
            memo[number] = items[top - 1]
            continue

        # The items from `first` to `top` are popped, except for the value that the instruction changes.
        first = marks[depth - 1] if depth else 0
        taken = takes[code]
        if marked[code]:
            if depth == 0:
                return EMPTY_STACK, begin, budget, nowhere
            depth -= 1
            below = marks[depth - 1] if depth else 0
        else:
            below = first
            first = top
        if first - below < taken:
            return EMPTY_STACK, begin, budget, nowhere
        first -= taken
        result = np.int64(makes[code])
        if result in (TUPLE, OBJECT, NAME):
            for part in range(first, top):
                item = items[part]
                weight = min(weight + (1 if item & 7 == DICT else item >> 3), _LARGEST)
        origin = np.int64(-1)

        # Keys of a new dict, of a dict on the stack, or of a set are hashed, so each of them is checked.
        keys, step = top, 2
        if code in (_SETITEM, _SETITEMS) and items[first] & 7 == DICT:
            keys = first + 1
            origin = items[first] >> 3
        elif code == _DICT:
            keys = first
        elif code in (_FROZENSET, _ADDITEMS):
            keys, step = first + (1 if code == _ADDITEMS else 0), 1
        for key in range(keys, top, step):
            item = items[key]
            if item & 7 == TEXT:
                budget -= (item >> 3) + _PAIR
                if budget < 0:
                    return OVER_BUDGET, begin, budget, nowhere
            elif origin >= 0 and made[origin] >= 0:
                budget -= 2 * _PART + (0 if paired[origin] else _PAIRS)
                paired[origin] = True
            else:
                hashed += 1
                if item & 7 != NUMBER or item >> 3 > _NUMBER_HASHED or hashed > NUMBERS_HASHED:
                    return BAD_KEY, begin, budget, nowhere

        if code in (_APPEND, _APPENDS, _SETITEM, _SETITEMS, _ADDITEMS, _BUILD):
            wanted = DICT if code in (_SETITEM, _SETITEMS) else SET if code == _ADDITEMS else LIST
            changed = items[first] & 7
            if changed != OBJECT and (code == _BUILD or changed != wanted):
                return WRONG_KIND, begin, budget, nowhere
            budget -= _PART * (top - first)
            top = first + 1
            if budget < 0:
                return OVER_BUDGET, begin, budget, nowhere
            continue

        if code in (_REDUCE, _NEWOBJ, _NEWOBJ_EX, _OBJ):
            if top == first or items[first] & 7 != NAME or (code != _OBJ and items[first + 1] & 7 != TUPLE):
                return WRONG_KIND, begin, budget, nowhere
        elif code == _STACK_GLOBAL:
            if items[first] & 7 != TEXT or items[first + 1] & 7 != TEXT:
                return WRONG_KIND, begin, budget, nowhere
        elif code in (_GET, _BINGET, _LONG_BINGET) and (number >= known or memo[number] == NOTHING):
            return BAD_MEMO, begin, budget, nowhere
        elif result == DICT:
            if dicts == len(made):
                made = np.concatenate((made, np.empty_like(made)))
                paired = np.concatenate((paired, np.zeros_like(paired)))
            origin = np.int64(dicts)
            made[dicts] = -1 if code == _DICT else begin
            dicts += 1
        if result in (OBJECT, NAME):
            budget -= weight  # the unpickler copies the arguments once more
            weight = np.int64(1)
        elif marked[code] or taken:
            budget -= _PART * (top - first)
        pushed = result + 8 * (origin if result == DICT else weight)
        if code == _DUP:
            pushed = items[first]
        elif code in (_GET, _BINGET, _LONG_BINGET):
            pushed = memo[number]
        top = first
        for _ in range(2 if code == _DUP else 0 if result == NOTHING else 1):
            if top == len(items):
                items = np.concatenate((items, np.empty_like(items)))
            items[top] = pushed
            top += 1
        if budget < 0:
            return OVER_BUDGET, begin, budget, nowhere
    return CUT_SHORT, end, budget, nowhere
