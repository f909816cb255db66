r"""Accept regular expressions from a saved pooler only if no text can make them backtrack exponentially.

Python's engine tries every way to match, and a pattern like ``(?:\w+\s?)*;`` has exponentially many. A pattern is
accepted here if each of its alternatives is *deterministic* (one-unambiguous: Brüggemann-Klein and Wood,
"One-unambiguous regular languages", Information and Computation 142, 1998): after every character there is at most one
way to read the next one. Then a text has only one path through the pattern, and the engine can backtrack along it only
once. Matching takes at most quadratic time in the length of a text, and usually linear time.

Usual patterns are deterministic: ``\w+``, ``\b\w\w+\b``, ``\w+(?:[-']\w+)*|[^\w\s]``, ``\d+(?:\.\d+)?``.
"""

from __future__ import annotations

import re
import sys
from itertools import combinations
from re import _parser  # type: ignore[attr-defined]
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from vecload.errors import OptionError

_FLAGS: Final = re.ASCII | re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE | re.UNICODE
_LONGEST: Final = 1000
_MOST_POSITIONS: Final = 32
_MOST_ITEMS: Final = 64
_MOST_SETS: Final = 16
_SHOWN: Final = 60
_CATEGORIES: Final = {
    "DIGIT": r"\d", "NOT_DIGIT": r"\D", "SPACE": r"\s", "NOT_SPACE": r"\S", "WORD": r"\w", "NOT_WORD": r"\W",
}  # fmt: skip


class _Part(NamedTuple):
    """A part of a pattern as Glushkov's construction needs it: the characters it can begin and end with."""

    first: tuple[int, ...]
    last: tuple[int, ...]
    empty: bool


class _Unsafe(Exception):  # noqa: N818 - caught in this module, never shown
    """Reason not to accept a pattern."""


def safe_pattern(pattern: object, flags: object) -> re.Pattern[str]:
    r"""Compile a pattern from a file.

    Raises
    ------
    OptionError
        If it is invalid, or might take exponential time for some text.

    Examples
    --------
    >>> safe_pattern(r"\w+|[^\w\s]", 0).findall("don't!")
    ['don', "'", 't', '!']
    >>> safe_pattern(r"(?:a+)+b", 0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    vecload.errors.OptionError: the saved pattern '(?:a+)+b' might take exponential time (two ways to read the same ...
    """
    if not isinstance(pattern, str) or type(flags) is not int or flags & ~int(_FLAGS):
        raise OptionError("the saved tokenizer has an invalid pattern or invalid flags")
    shown = repr(pattern[:_SHOWN]) + ("..." if len(pattern) > _SHOWN else "")
    hint = "pass tokenize=re.compile(...) if you trust the file"
    if len(pattern) > _LONGEST:
        raise OptionError(f"the saved pattern {shown} has more than {_LONGEST} characters; {hint}")
    try:
        parsed = _parser.parse(pattern, flags)
        state = parsed.state.flags
        characters = _Characters(state)
        for alternative in _alternatives(parsed):
            _Checker(characters).check(alternative)
        return re.compile(pattern, flags)
    except _Unsafe as error:
        raise OptionError(f"the saved pattern {shown} might take exponential time ({error}); {hint}") from None
    except (re.error, RecursionError, OverflowError, ValueError) as error:
        raise OptionError(f"the saved pattern {shown} is invalid: {str(error)[:_SHOWN]}") from error


def _alternatives(parsed: Any) -> list[Any]:
    """Return the alternatives of the whole pattern, which are tried one after the other and checked one by one."""
    items = list(parsed)
    if len(items) == 1 and str(items[0][0]) == "BRANCH":
        return list(items[0][1][1])
    return [items]


class _Characters:
    """Cache of the characters that a pattern of one character matches, found with the engine itself."""

    def __init__(self, flags: int) -> None:
        # A class such as \w has no simple definition in Unicode, so its characters are found by matching it against all
        # of them. Verbose mode would drop the space from the pattern.
        self._flags = flags & int(_FLAGS & ~re.VERBOSE)
        self._all = np.arange(sys.maxunicode + 1, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
        self._known: dict[str, npt.NDArray[np.bool_]] = {}

    def of(self, source: str) -> npt.NDArray[np.bool_]:
        """Return a mask over all characters, bool, shape (sys.maxunicode + 1,)."""
        if source not in self._known:
            if len(self._known) == _MOST_SETS:
                raise _Unsafe(f"it has more than {_MOST_SETS} different characters or sets")
            mask = np.zeros(len(self._all), dtype=np.bool_)
            # One match for each run of characters, because there are far fewer runs than characters.
            for run in re.finditer(f"(?:{source})+", self._all, self._flags):
                mask[run.start() : run.end()] = True
            self._known[source] = mask
        return self._known[source]


# The checker builds the position automaton of the pattern (Glushkov, "The abstract theory of automata", Russian
# Mathematical Surveys 16, 1961): one state for each character class in the pattern, and for each state the states that
# can follow it. The pattern is deterministic if no two successors of a state accept the same character.
class _Checker:
    """Checker of one alternative of a pattern; it refuses patterns with two ways to read a character."""

    def __init__(self, characters: _Characters) -> None:
        self._characters = characters
        self._masks: list[npt.NDArray[np.bool_]] = []
        self._follow: dict[int, list[int]] = {}

    def check(self, items: Any) -> None:
        """Raise `_Unsafe` unless the sequence is deterministic."""
        part = self._sequence(items)
        for ways in (list(part.first), *self._follow.values()):
            for one, other in combinations(ways, 2):
                if one == other or (self._masks[one] & self._masks[other]).any():
                    raise _Unsafe("two ways to read the same character")

    def _sequence(self, items: Any) -> _Part:
        whole = _Part((), (), empty=True)
        for op, argument in items:
            part = self._part(str(op), argument)
            for position in whole.last:
                self._follow[position].extend(part.first)
            whole = _Part(
                (*whole.first, *part.first) if whole.empty else whole.first,
                (*part.last, *whole.last) if part.empty else part.last,
                whole.empty and part.empty,
            )
        return whole

    def _part(self, op: str, argument: Any) -> _Part:
        if op in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
            return self._character(op, argument)
        if op == "AT":  # a position such as a word boundary
            return _Part((), (), empty=True)
        if op == "SUBPATTERN":
            group, added, removed, items = argument
            if group is not None or added or removed:
                raise _Unsafe("it has groups that capture or change flags")
            return self._sequence(items)
        if op == "BRANCH":
            parts = [self._sequence(items) for items in argument[1]]
            if sum(part.empty for part in parts) > 1:
                raise _Unsafe("it may be empty in two ways")
            return _Part(
                tuple(position for part in parts for position in part.first),
                tuple(position for part in parts for position in part.last),
                any(part.empty for part in parts),
            )
        if op in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, items = argument
            part = self._sequence(items)
            # Two ways to match the empty string also multiply, once for every iteration of a loop around them.
            if part.empty and (int(most) > 1 or int(least) == 0):
                raise _Unsafe("it repeats a part that may be empty")
            if int(most) > 1:
                for position in part.last:
                    self._follow[position].extend(part.first)
            return part._replace(empty=part.empty or int(least) == 0)
        raise _Unsafe(f"it uses {op.lower().replace('_', ' ')}")

    def _character(self, op: str, argument: Any) -> _Part:
        if len(self._masks) == _MOST_POSITIONS:
            raise _Unsafe(f"it has more than {_MOST_POSITIONS} characters in a row")
        position = len(self._masks)
        self._masks.append(self._characters.of(_source(op, argument)))
        self._follow[position] = []
        return _Part((position,), (position,), empty=False)


def _source(op: str, argument: Any) -> str:
    """Return the pattern of one character again from its parsed form."""
    if op == "ANY":
        return "."
    if op == "LITERAL":
        return re.escape(chr(argument))
    if op == "NOT_LITERAL":
        return f"[^{re.escape(chr(argument))}]"
    if len(argument) > _MOST_ITEMS:
        raise _Unsafe(f"it has a set of more than {_MOST_ITEMS} items")
    made = ""
    for kind, value in argument:
        if str(kind) == "NEGATE":
            made += "^"
        elif str(kind) == "LITERAL":
            made += re.escape(chr(value))
        elif str(kind) == "RANGE":
            made += f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
        else:
            made += _CATEGORIES[str(value).removeprefix("CATEGORY_")]
    return f"[{made}]"
