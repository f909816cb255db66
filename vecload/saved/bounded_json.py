"""JSON in files: the number of values is bounded before parsing, and equal values give equal bytes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Set
from typing import Any, Final

import numpy as np

# A value may take as few as two bytes of a file ("0,") but about 100 bytes of memory, so a small file could ask for 50
# times its size. Real files have few values per byte; the fixed part of the limit is enough for any small file.
_FREE_VALUES: Final = 500_000
_BYTES_PER_VALUE: Final = 50
_LONGEST_MESSAGE: Final = 200


def parse_json(text: str | bytes, *, size: int | None = None, most: int | None = None) -> Any:
    """Parse the JSON of a file, after checking that the number of values is reasonable.

    The limit is 500,000 values plus two for every hundred bytes of the file.

    Parameters
    ----------
    text
        UTF-8 bytes or a string.
    size
        Number of bytes of the whole file, if `text` is only a part of it.
    most
        Maximum number of values; None to derive it from the size.

    Raises
    ------
    ValueError
        If the JSON is invalid, a name occurs twice, values are nested too deeply, or there are too many values.

    Examples
    --------
    >>> parse_json('{"a": [1, 2]}')
    {'a': [1, 2]}
    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    ValueError: the name 'a' occurs twice
    """
    # Every value but the first is preceded by one of these marks. Marks inside strings count too, so this is an upper
    # bound that needs no parsing.
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    count = sum(raw.count(mark) for mark in (b",", b":", b"[", b"{"))
    limit = _FREE_VALUES + (len(raw) if size is None else size) // _BYTES_PER_VALUE if most is None else most
    if count > limit:
        raise ValueError(f"up to {count:,} values, at most {limit:,} are allowed in a file of this size")
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError("values are nested too deeply") from error
    except ValueError as error:
        raise ValueError(str(error)[:_LONGEST_MESSAGE]) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict, refusing names that occur twice: parsers differ in which of the two values they keep."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise ValueError(f"the name {twice[:_LONGEST_MESSAGE]!r} occurs twice")
    return found


def to_json(value: Any) -> str:
    """Return a value as JSON: ASCII, with sorted keys, so that equal values give equal text.

    Examples
    --------
    >>> to_json({"b": np.float32(0.5), "a": (1, {3, 2})})
    '{"a":[1,[2,3]],"b":0.5}'
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"))


def plain(value: Any) -> Any:
    """Convert a value to types that JSON can store; objects of unknown types become their text.

    Objects whose text only states their address in memory become the name of their type, because the address differs
    in every process.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float)) and type(value).__module__ == "builtins":
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, Set):
        return sorted((plain(part) for part in value), key=repr)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    kind: Any = type(value)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        return type(value).__qualname__
    return str(value)
