"""Schemas as values: the type, shape and range of everything in a saved file, and the functions that check them.

A reader never uses a value from a file before it has passed these checks, so the code after them, compiled code above
all, can rely on types, shapes and ranges.
"""

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
"""Maximum number of values in a vector, in every format. The widest published vectors have a few thousand."""

MAX_ROWS: Final = (1 << 32) - 2
"""Maximum number of rows: hash tables store row numbers plus one in 32 bits, and 0 marks a free slot."""

LONGEST_NGRAM: Final = 1024
"""Maximum number of characters in an n-gram, longer than the words of any language."""
LONGEST_MARK: Final = 16
"""Maximum number of characters in a boundary mark, which is added to both ends of every word."""

_SHOWN: Final = 60
_DIMENSION = re.compile(r"(?:(\d+)\*)?([a-z ]+?)(?:\+(\d+))?")

Arrays = Mapping[str, "npt.NDArray[Any]"]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Tensor:
    """Requirements for one stored array.

    Parameters
    ----------
    dtypes
        Names of the allowed dtypes, separated by spaces.
    shape
        Sizes of the dimensions: numbers, or names. Dimensions with the same name have the same size; "rows+1" and
        "256*dim" are computed from a named size.
    required
        Whether the array must be present.
    """

    dtypes: str
    shape: tuple[int | str, ...]
    required: bool = True


@dataclass(frozen=True)
class Setting:
    """Requirements for one stored setting.

    Parameters
    ----------
    kinds
        Allowed types; ``float`` includes whole numbers, ``int`` excludes ``bool``.
    low, high
        Range of a number, or of the length of a string or list.
    choices
        Allowed values.
    items
        Requirements for each item of a list, or each value of a dict.
    required
        Whether the setting must be present.
    """

    kinds: tuple[type, ...]
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] | None = None
    items: Setting | None = None
    required: bool = True


@dataclass(frozen=True)
class Rule:
    """Condition on tensors and settings together, and the message of the error if it does not hold."""

    problem: str
    holds: Callable[[Arrays, Settings], bool]


@dataclass(frozen=True)
class Schema:
    """Complete description of one kind of file.

    Parameters
    ----------
    mark, version
        Values of "format" and "version" in the metadata.
    tensors, settings
        Arrays and settings, by name.
    sizes
        Smallest and largest size of named dimensions; other dimensions are 0 to `MAX_ROWS`.
    rules
        Further conditions, checked after types, shapes and ranges.
    """

    mark: str
    version: str
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()


def check_saved(schema: Schema, arrays: Arrays, settings: object, file: str) -> None:
    """Check the tensors, settings and rules of one file.

    Raises
    ------
    FormatError
        If a tensor or setting is missing, unknown or invalid, or a rule does not hold. The error names the first.
    """
    check_tensors(schema, arrays, file)
    check_rules(schema, arrays, check_settings(schema.settings, settings, file), file)


def check_tensors(schema: Schema, arrays: Arrays, file: str, known: Mapping[str, int] | None = None) -> dict[str, int]:
    """Check names, dtypes and shapes, and return the sizes of the named dimensions.

    `known` has sizes that are fixed already. Values are not read, so a mapped file stays on disk.
    """
    unknown = sorted(arrays.keys() - schema.tensors.keys())
    if unknown:
        raise FormatError(f"unknown tensor {unknown[0][:_SHOWN]!r}", file=file, expected=", ".join(schema.tensors))
    sizes = dict(known or {})
    for name, tensor in schema.tensors.items():
        if name not in arrays:
            if tensor.required:
                raise FormatError(f"missing tensor {name!r}", file=file, found=", ".join(arrays)[:_SHOWN] or "none")
            continue
        array = arrays[name]
        if array.dtype.name not in tensor.dtypes.split() or not _fits(array.shape, tensor.shape, sizes, schema.sizes):
            raise FormatError(
                f"invalid tensor {name!r}",
                file=file,
                found=f"{array.dtype} of shape {array.shape}",
                expected=f"{' or '.join(tensor.dtypes.split())} of shape {_shown(tensor.shape, sizes)}",
            )
    return sizes


def _fits(
    shape: tuple[int, ...],
    wanted: tuple[int | str, ...],
    sizes: dict[str, int],
    bounds: Mapping[str, tuple[int, int]],
) -> bool:
    """Compare a shape with the wanted one, and record the sizes of dimension names that are new in `sizes`."""
    if len(shape) != len(wanted):
        return False
    # The first tensor with a named dimension determines its size; all later ones have to agree.
    for size, dimension in zip(shape, wanted, strict=True):
        if isinstance(dimension, int):
            if size != dimension:
                return False
            continue
        factor, name, more = parse_dimension(dimension)
        value, rest = divmod(size - more, factor)
        low, high = bounds.get(name, (0, MAX_ROWS))
        if rest or not low <= value <= high or sizes.setdefault(name, value) != value:
            return False
    return True


def parse_dimension(dimension: str) -> tuple[int, str, int]:
    """Split a dimension of a schema into factor, name and summand.

    Examples
    --------
    >>> parse_dimension("256*dim"), parse_dimension("rows+1")
    ((256, 'dim', 0), (1, 'rows', 1))
    """
    match = _DIMENSION.fullmatch(dimension)
    assert match is not None, dimension
    factor, name, more = match.groups()
    return int(factor or 1), name, int(more or 0)


def _shown(wanted: tuple[int | str, ...], sizes: Mapping[str, int]) -> str:
    """Return a shape as text, with numbers in place of the names whose sizes are known."""
    parts = []
    for dimension in wanted:
        factor, name, more = (1, "", dimension) if isinstance(dimension, int) else parse_dimension(dimension)
        known = more if not name else factor * sizes[name] + more if name in sizes else None
        parts.append(str(dimension) if known is None else f"{known}")
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def check_settings(
    wanted: Mapping[str, Setting], settings: object, file: str, *, closed: bool = True
) -> dict[str, Any]:
    """Check types and ranges and return the settings.

    Parameters
    ----------
    wanted
        Requirements, by name.
    settings
        Parsed JSON of the file; anything but a dict is an error.
    file
        Name of the file, for error messages.
    closed
        Whether other settings are an error.

    Raises
    ------
    FormatError
        If a setting is missing, unknown or invalid.
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
    """Describe the invalid part of a value, or return None if it is valid."""
    # type() instead of isinstance, because True is an instance of int.
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
            # Python refuses to format whole numbers of thousands of digits, and a message should stay short.
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
    """Check the rules of a schema; call this after types, shapes and ranges have been checked.

    Raises
    ------
    FormatError
        If a rule does not hold.
    """
    for rule in schema.rules:
        if not rule.holds(arrays, settings):
            raise FormatError(rule.problem, file=file)
