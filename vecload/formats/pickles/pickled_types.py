"""Replacements for the classes and functions that a pickle may name, so that nothing in it is imported or run.

gensim's classes become `PickledObject`, which only keeps a state. NumPy arrays become `PickledArray`, a view of bytes
in the pickle, never an array of objects. A dict with keys other than text becomes `KeyValuePairs`.

Values from a pickle can be huge, deeply nested, or contain one object many times. The type of every argument is
therefore checked before the argument is compared, formatted, multiplied or copied, and only strings are ever formatted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

# Codes of `numpy.dtype.kind`. Arrays of the first become arrays here. The others occur in models too, in attributes
# that are not read: NumPy makes a dtype of them without harm, but no array.
_NUMBERS: Final = "fiub"
_KNOWN: Final = _NUMBERS + "?cOSUVMm"
# Bounds for a shape, so that multiplying its numbers takes constant time.
_MOST_DIMENSIONS: Final = 8
_LARGEST_DIMENSION: Final = 1 << 48
_LARGEST_SCALAR: Final = 16  # bytes
_QUOTED: Final = 60  # characters


class Refused(Exception):  # noqa: N818 - becomes a FormatError with the file's name
    """Reason to refuse a pickle."""


def describe_value(value: object) -> str:
    """Describe a value in an error message: a string by its beginning, everything else by its type.

    Examples
    --------
    >>> describe_value("x" * 1000)[-4:], describe_value([["deep"]])
    ("xxx'", 'a list')
    """
    return repr(value[:_QUOTED]) if isinstance(value, str) else f"a {type_name(value)}"


def type_name(value: object) -> str:
    """Return the name of a value's type, for error messages."""
    if isinstance(value, PickledArray):
        return "NumPy array"
    return "dict" if isinstance(value, (KeyValuePairs, DroppedDict)) else type(value).__name__


def describe_exception(error: BaseException) -> str:
    """Describe an exception by its type and message, without other values that it carries.

    Examples
    --------
    >>> describe_exception(KeyError(["anything"])), describe_exception(ValueError("too long"))
    ('KeyError', 'ValueError: too long')
    """
    return ": ".join([type(error).__name__, *(part[:200] for part in error.args if isinstance(part, str))])


class Budget:
    """Bytes of memory that may still be used for the values of a pickle."""

    __slots__ = ("_rest",)

    def __init__(self, size: int) -> None:
        self._rest = size

    def spend(self, size: int) -> None:
        """Reserve `size` bytes, or refuse the pickle. Call this before allocating."""
        self._rest -= size
        if self._rest < 0:
            raise Refused("values that take far more memory than the file")


class PickledObject:
    """An object whose class is not imported: `kind` is the name of the class, `state` the pickled state."""

    __slots__ = ("state",)
    kind: str

    def __new__(cls, *_: object) -> PickledObject:  # noqa: D102
        held = super().__new__(cls)
        held.state = None
        return held

    # A pickle may call a class with any arguments, which only the real class could interpret.
    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.state = state

    def get(self, name: str) -> Any:
        """Return an attribute of the pickled object, or None if it is missing."""
        # Only a dict made by the unpickler itself, whose keys are text: see `KeyValuePairs`.
        value = self.state.get(name) if type(self.state) is dict else None
        return value.value if isinstance(value, PickledArray) else value


class DroppedDict(dict[Any, Any]):
    """A Counter, OrderedDict or defaultdict without its items, which no reader needs."""

    def __new__(cls, *_: object) -> DroppedDict:  # noqa: D102
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class KeyValuePairs:
    """Items of a dict with keys other than text, in the order in which they were set.

    Keys are stored in a list instead of being hashed. A file could contain integers whose hashes all collide, or tuples
    that contain each other many times. Hashing them would take quadratic time or overflow the stack.
    """

    __slots__ = ("_keys", "_values")

    def __init__(self) -> None:
        self._keys: list[object] = []
        self._values: list[object] = []

    def __setitem__(self, key: object, value: object) -> None:
        self._keys.append(key)
        self._values.append(value)

    def __len__(self) -> int:
        return len(self._keys)

    def items(self) -> Iterator[tuple[object, object]]:
        """Iterate over (key, value); a key may occur more than once."""
        return zip(self._keys, self._values, strict=True)


class PickledDType:
    """A dtype: pickled as the call ``numpy.dtype(name, False, True)`` and a state that has the byte order."""

    __slots__ = ("dtype",)

    def __init__(self, name: object, *_: object) -> None:
        # Names of numbers have up to three characters ("<f4"). Longer names describe records, which NumPy would parse.
        if not isinstance(name, str) or len(name) > 3 or name.lstrip("<>=|")[:1] not in _KNOWN:
            raise Refused(f"an array of {describe_value(name)} values")
        try:
            self.dtype = np.dtype(name)
        except TypeError:
            raise Refused(f"an array of {name!r} values") from None

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        match order:
            case "<" | ">" | "|" | "=":
                self.dtype = self.dtype.newbyteorder(order)
            case _:
                raise Refused(f"an array with byte order {describe_value(order)}")


class NDArrayName:
    """The class ``numpy.ndarray``, as an argument of ``_reconstruct``; never instantiated."""

    __slots__ = ()


class PickledArray:
    """An array: created empty, then given a state of shape, dtype, order and bytes.

    `value` is None for an array of objects.
    """

    __slots__ = ("_budget", "value")

    def __init__(self, budget: Budget, value: npt.NDArray[Any] | None = None) -> None:
        self._budget = budget
        self.value = value

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise Refused("an array with an invalid state")
        shape, dtype, fortran, raw = state[-4:]
        if isinstance(raw, list):
            return  # an array of objects; no attribute that is read has one
        if isinstance(raw, str):  # Python 2 pickled bytes as text
            self._budget.spend(len(raw))
            raw = encode_latin1(raw)
        self.value = array_view(raw, dtype, shape, fortran=fortran in (True, 1) if isinstance(fortran, int) else False)


class PickledFunction:
    """A callable in place of a function that a pickle names; calls a function of vecload."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:  # noqa: D102
        try:
            return self._call(*arguments)
        except (TypeError, ValueError, OverflowError) as error:
            raise Refused(f"an invalid call ({describe_exception(error)})") from None

    def __setstate__(self, state: object) -> NoReturn:
        raise Refused("a function with a state")


def encode_latin1(text: str) -> bytes:
    """Encode bytes that are pickled as text, one character per byte."""
    try:
        return text.encode("latin1")
    except UnicodeEncodeError:
        raise Refused("bytes written as text, with a character beyond Latin-1") from None


def array_view(raw: object, dtype: object, shape: object, *, fortran: bool) -> npt.NDArray[Any]:
    """Return an array on bytes of the pickle, without copying them.

    Only arrays of numbers are made, and only if shape and dtype match the number of bytes, because NumPy computes with
    the shape before it looks at the bytes.
    """
    if not isinstance(dtype, PickledDType) or not isinstance(raw, (bytes, bytearray)):
        raise Refused("an array without bytes")
    if dtype.dtype.kind not in _NUMBERS:
        raise Refused(f"an array of {dtype.dtype} values")
    if not isinstance(shape, tuple) or len(shape) > _MOST_DIMENSIONS:
        raise Refused("an array with an invalid shape")
    if not all(isinstance(size, int) and 0 <= size <= _LARGEST_DIMENSION for size in shape):
        raise Refused("an array with an invalid shape")
    count = 1
    for size in shape:
        count *= size
    if count * dtype.dtype.itemsize != len(raw):
        raise Refused(f"an array of shape {shape} {dtype.dtype} in {len(raw):,} bytes")
    # A shape with a zero needs no bytes, but the product of its other numbers may overflow in NumPy.
    if not count and max(shape) > len(raw) and len([size for size in shape if size]) > 1:
        raise Refused(f"an array of shape {shape} {dtype.dtype} in {len(raw):,} bytes")
    return np.frombuffer(raw, dtype=dtype.dtype).reshape(shape, order="F" if fortran else "C")


def reconstruct_object(kind: object, *_: object) -> PickledObject:
    """Replace ``copyreg._reconstructor(class, base, state)``, which protocols 0 and 1 write for objects."""
    if not (isinstance(kind, type) and issubclass(kind, PickledObject)):
        raise Refused("an object of an unknown class")
    return kind()


def empty_bytes() -> bytes:
    """Replace ``bytes()``, which Python 3 writes for empty bytes in protocols up to 2."""
    return b""


def scalar(dtype: object, raw: object = None) -> Any:
    """Replace ``numpy.core.multiarray.scalar(dtype, bytes)``: return the number."""
    if not isinstance(raw, (str, bytes)) or len(raw) > _LARGEST_SCALAR:
        raise Refused("a number without bytes")
    return array_view(encode_latin1(raw) if isinstance(raw, str) else raw, dtype, (), fortran=False).item()


def number(value: object = 0) -> float:
    """Replace ``numpy.float32(value)`` and the like: return the value."""
    if not isinstance(value, (int, float)):
        raise Refused(f"a number made of {describe_value(value)}")
    return value
