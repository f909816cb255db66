"""Schemas as values: the type, shape and range of everything a saved file holds, and the one function that checks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vecload.errors import FormatError

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_DIM: Final = 1 << 20
"""Most values in a vector, in every format. The widest published vectors have a few thousand."""

MAX_ROWS: Final = (1 << 32) - 2
"""Most rows of a table: row numbers have 32 bits in hash tables, where 0 marks a free slot."""

LONGEST_NGRAM: Final = 1024
"""Characters in the longest n-gram a table may ask for: more than any word of any language has."""
LONGEST_MARK: Final = 16
"""Characters in the longest boundary mark; each is put around every word."""

_SHOWN: Final = 60
_SIDE = re.compile(r"(?:(\d+)\*)?([a-z ]+?)(?:\+(\d+))?")

Arrays = Mapping[str, "npt.NDArray[Any]"]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Tensor:
    """One stored array.

    Parameters
    ----------
    dtypes
        Names of its possible types, separated by spaces.
    sides
        Its shape: numbers, or names. Sides with the same name are equal; "rows+1" and "256*dim" are relations.
    required
        Whether it has to be there.
    """

    dtypes: str
    sides: tuple[int | str, ...]
    required: bool = True


@dataclass(frozen=True)
class Setting:
    """One stored setting.

    Parameters
    ----------
    kinds
        Its possible types; ``float`` includes whole numbers, ``int`` excludes ``bool``.
    low, high
        Range of a number, or of the length of a string or list.
    choices
        Possible values.
    items
        What each item of a list, or each value of a dict, is.
    required
        Whether it has to be there.
    """

    kinds: tuple[type, ...]
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] | None = None
    items: Setting | None = None
    required: bool = True


@dataclass(frozen=True)
class Rule:
    """A relation between tensors and settings that must hold, and the problem if it does not."""

    problem: str
    holds: Callable[[Arrays, Settings], bool]


@dataclass(frozen=True)
class Schema:
    """All that a file of one kind holds.

    Parameters
    ----------
    mark, version
        What the metadata say under "format" and "version".
    tensors, settings
        Its arrays and its settings, by name.
    sides
        Least and greatest value of named sides; others are 0 to `MAX_ROWS`.
    rules
        Further relations, checked when types, shapes and ranges are right.
    """

    mark: str
    version: str
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    sides: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()


def check_saved(schema: Schema, arrays: Arrays, settings: object, file: str) -> None:
    """Check tensors, settings and rules of one file.

    Raises
    ------
    FormatError
        Names the first tensor, setting or rule that is wrong.
    """
    check_tensors(schema, arrays, file)
    check_rules(schema, arrays, check_settings(schema.settings, settings, file), file)


def check_tensors(schema: Schema, arrays: Arrays, file: str, known: Mapping[str, int] | None = None) -> dict[str, int]:
    """Check names, types and shapes, and return the named sides; `known` are sides that are settled already.

    Nothing but the shapes is looked at, so that a mapped file is not read.
    """
    unknown = sorted(arrays.keys() - schema.tensors.keys())
    if unknown:
        raise FormatError(f"unknown tensor {unknown[0][:_SHOWN]!r}", file=file, expected=", ".join(schema.tensors))
    sides = dict(known or {})
    for name, tensor in schema.tensors.items():
        if name not in arrays:
            if tensor.required:
                raise FormatError(f"missing tensor {name!r}", file=file, found=", ".join(arrays)[:_SHOWN] or "none")
            continue
        array = arrays[name]
        if array.dtype.name not in tensor.dtypes.split() or not _fits(array.shape, tensor.sides, sides, schema.sides):
            raise FormatError(
                f"invalid tensor {name!r}",
                file=file,
                found=f"{array.dtype} of shape {array.shape}",
                expected=f"{' or '.join(tensor.dtypes.split())} of shape {_shown(tensor.sides, sides)}",
            )
    return sides


def _fits(
    shape: tuple[int, ...],
    wanted: tuple[int | str, ...],
    sides: dict[str, int],
    bounds: Mapping[str, tuple[int, int]],
) -> bool:
    """Compare a shape with the wanted one, and note the named sides that occur in it for the first time."""
    if len(shape) != len(wanted):
        return False
    for size, side in zip(shape, wanted, strict=True):
        if isinstance(side, int):
            if size != side:
                return False
            continue
        factor, name, more = _parsed(side)
        value, rest = divmod(size - more, factor)
        low, high = bounds.get(name, (0, MAX_ROWS))
        if rest or not low <= value <= high or sides.setdefault(name, value) != value:
            return False
    return True


def _parsed(side: str) -> tuple[int, str, int]:
    match = _SIDE.fullmatch(side)
    assert match is not None, side
    factor, name, more = match.groups()
    return int(factor or 1), name, int(more or 0)


def _shown(wanted: tuple[int | str, ...], sides: Mapping[str, int]) -> str:
    """Return a shape for people, with the sizes of the sides that are known."""
    parts = []
    for side in wanted:
        factor, name, more = (1, "", side) if isinstance(side, int) else _parsed(side)
        known = more if not name else factor * sides[name] + more if name in sides else None
        parts.append(str(side) if known is None else f"{known}")
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def check_settings(
    wanted: Mapping[str, Setting], settings: object, file: str, *, closed: bool = True
) -> dict[str, Any]:
    """Check types and ranges and return the settings.

    Parameters
    ----------
    wanted
        The settings a file has.
    settings
        What the file says: a dict, else it is an error.
    file
        Name of the file.
    closed
        Whether other settings are refused.
    """
    if not isinstance(settings, dict):
        raise FormatError("the settings are not a JSON object", file=file, found=type(settings).__name__)
    unknown = sorted(settings.keys() - wanted.keys()) if closed else []
    if unknown:
        raise FormatError(f"unknown setting {unknown[0][:_SHOWN]!r}", file=file, expected=", ".join(wanted))
    for name, setting in wanted.items():
        if name in settings:
            problem = _problem(settings[name], setting)
            if problem is not None:
                raise FormatError(f"invalid setting {name!r}", file=file, found=problem, expected=_described(setting))
        elif setting.required:
            raise FormatError(f"missing setting {name!r}", file=file)
    return settings


def _problem(value: Any, setting: Setting) -> str | None:
    """Return what is wrong with a value, or None."""
    # type() instead of isinstance: True is an int in Python.
    kind = type(value)
    if kind not in setting.kinds and not (kind is int and float in setting.kinds):
        return f"a {kind.__name__}" if kind in (list, dict) else repr(value)[:_SHOWN]
    if setting.choices is not None and value not in setting.choices:
        return repr(value)[:_SHOWN]
    measured = value if kind in (int, float) else len(value) if kind in (str, list, dict) else None
    if measured is not None:
        if kind is float and not math.isfinite(value):
            return repr(value)
        if (setting.low is not None and measured < setting.low) or (
            setting.high is not None and measured > setting.high
        ):
            # A whole number of thousands of digits cannot be shown.
            return f"{measured:.6g}" if abs(measured) < 1e300 else "a huge number"
    if setting.items is not None and kind in (list, dict):
        items = value.values() if kind is dict else value
        return next((problem for item in items if (problem := _problem(item, setting.items)) is not None), None)
    return None


def _described(setting: Setting) -> str:
    if setting.choices is not None:
        return " or ".join(map(repr, setting.choices))
    names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in setting.kinds)
    items = "" if setting.items is None else f" of {_described(setting.items)}"
    low, high = (None if bound is None else f"{bound:,}" for bound in (setting.low, setting.high))
    length = (
        "" if {int, float} & set(setting.kinds) else " items" if {list, dict} & set(setting.kinds) else " characters"
    )
    if low is None and high is None:
        return f"{names}{items}"
    bounds = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"
    return f"{names}{items}, {bounds}{length}"


def check_rules(schema: Schema, arrays: Arrays, settings: Settings, file: str) -> None:
    """Check the relations of a schema; types, shapes and ranges must have been checked before."""
    for rule in schema.rules:
        if not rule.holds(arrays, settings):
            raise FormatError(rule.problem, file=file)
