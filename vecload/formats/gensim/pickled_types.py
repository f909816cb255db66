"""Stand-ins for the classes and functions that a pickle may name: nothing a file contains is ever imported or run.

gensim's classes become `Held`, which keeps a state and does nothing. NumPy's become `Array`, a view of the pickle's own
bytes, never of objects. A dict with keys other than text becomes `Pairs`.

Everything a pickle passes to these functions may be huge, deep, or the same object many times over. It is therefore
checked for its type before it is compared, formatted, multiplied or copied, and only text is ever formatted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

_PLAIN: Final = "fiub"  # kinds of numbers: floating, integers with and without sign, truth values
_KNOWN: Final = _PLAIN + "?cOSUVMm"  # kinds of values an array may have; those beyond `_PLAIN` are refused or left out
_SIDES: Final = 8
_LARGEST_SIDE: Final = 1 << 48
_LARGEST_SCALAR: Final = 16  # bytes
_QUOTED: Final = 60  # characters


class Refused(Exception):  # noqa: N818 - becomes a FormatError with the file's name
    """Why a pickle is not read."""


def shown(value: object) -> str:
    """Return a short text for an error: text is quoted, everything else is named by its type.

    Examples
    --------
    >>> shown("x" * 1000)[-4:], shown([["deep"]])
    ("xxx'", 'a list')
    """
    return repr(value[:_QUOTED]) if isinstance(value, str) else f"a {type(value).__name__}"


def cause(error: BaseException) -> str:
    """Return the text of an exception, without the values it was raised for.

    Examples
    --------
    >>> cause(KeyError(["anything"])), cause(ValueError("too long"))
    ('KeyError', 'ValueError: too long')
    """
    return ": ".join([type(error).__name__, *(part[:200] for part in error.args if isinstance(part, str))])


class Budget:
    """Bytes that may still be spent on the values of a pickle."""

    __slots__ = ("_rest",)

    def __init__(self, size: int) -> None:
        self._rest = size

    def spend(self, size: int) -> None:
        """Take `size` bytes off, or refuse the pickle. Called before the work, not after it."""
        self._rest -= size
        if self._rest < 0:
            raise Refused("values that take far more memory than the file")


class Held:
    """An object of a class that is known by name only: its `kind` and the `state` it was pickled with."""

    __slots__ = ("state",)
    kind: str

    def __new__(cls, *_: object) -> Held:  # noqa: D102
        held = super().__new__(cls)
        held.state = None
        return held

    def __init__(self, *_: object) -> None:  # a class is called with arguments, which mean nothing here
        pass

    def __setstate__(self, state: object) -> None:
        self.state = state

    def get(self, name: str) -> Any:
        """Return an attribute of the pickled object, or None if it is missing."""
        value = self.state.get(name) if type(self.state) is dict else None
        return value.value if isinstance(value, Array) else value


class Table(dict[Any, Any]):
    """A Counter, OrderedDict or defaultdict. No reader needs their items, so they are dropped."""

    def __new__(cls, *_: object) -> Table:  # noqa: D102
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class Pairs:
    """A dict with keys other than text: its items in order, as they were set. Nothing is hashed."""

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


class DType:
    """A dtype under construction: ``numpy.dtype(name, False, True)``, then a state with the byte order."""

    __slots__ = ("dtype",)

    def __init__(self, name: object, *_: object) -> None:
        # Short names only: those of records and of types with parameters are longer.
        if not isinstance(name, str) or len(name) > 3 or name.lstrip("<>=|")[:1] not in _KNOWN:
            raise Refused(f"an array of {shown(name)} values")
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
                raise Refused(f"an array with byte order {shown(order)}")


class NDArray:
    """The name ``numpy.ndarray``, as `_reconstruct` is given it."""

    __slots__ = ()


class Array:
    """An array: made empty, then given its shape, dtype, order and bytes. Its `value` is None if it holds objects."""

    __slots__ = ("_budget", "value")

    def __init__(self, budget: Budget, value: npt.NDArray[Any] | None = None) -> None:
        self._budget = budget
        self.value = value

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise Refused("an array with an invalid state")
        shape, dtype, fortran, raw = state[-4:]
        if isinstance(raw, list):
            return  # objects: never made into an array
        if isinstance(raw, str):  # from Python 2
            self._budget.spend(len(raw))
            raw = latin1(raw)
        self.value = view(raw, dtype, shape, fortran=fortran in (True, 1) if isinstance(fortran, int) else False)


class Named:
    """A function that a pickle calls by name: calls one of this package's."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:  # noqa: D102
        try:
            return self._call(*arguments)
        except (TypeError, ValueError, OverflowError) as error:
            raise Refused(f"an invalid call ({cause(error)})") from None

    def __setstate__(self, state: object) -> NoReturn:
        raise Refused("a name with a state")


def latin1(text: str) -> bytes:
    """Return the bytes that a pickle holds as text, one character for each."""
    try:
        return text.encode("latin1")
    except UnicodeEncodeError:
        raise Refused("bytes written as text, with a character beyond Latin-1") from None


def view(raw: object, dtype: object, shape: object, *, fortran: bool) -> npt.NDArray[Any]:
    """Return bytes of the pickle as an array, not copied."""
    if not isinstance(dtype, DType) or not isinstance(raw, (bytes, bytearray)):
        raise Refused("an array without bytes")
    if dtype.dtype.kind not in _PLAIN:
        raise Refused(f"an array of {dtype.dtype} values")
    if not isinstance(shape, tuple) or len(shape) > _SIDES:
        raise Refused("an array with an invalid shape")
    if not all(isinstance(side, int) and 0 <= side <= _LARGEST_SIDE for side in shape):
        raise Refused("an array with an invalid shape")
    count = 1
    for side in shape:
        count *= side
    if count * dtype.dtype.itemsize != len(raw):
        raise Refused(f"an array of shape {shape} {dtype.dtype} in {len(raw):,} bytes")
    # An array without values may claim sides whose product exceeds what NumPy can count.
    if not count and max(shape) > len(raw) and len([side for side in shape if side]) > 1:
        raise Refused(f"an array of shape {shape} {dtype.dtype} in {len(raw):,} bytes")
    return np.frombuffer(raw, dtype=dtype.dtype).reshape(shape, order="F" if fortran else "C")


def reconstructed(kind: object, *_: object) -> Held:
    """``copyreg._reconstructor(class, base, state)``: an object of a class that is held."""
    if not (isinstance(kind, type) and issubclass(kind, Held)):
        raise Refused("an object of an unknown class")
    return kind()


def no_bytes() -> bytes:
    """``bytes()``: how protocols up to 2 of Python 3 keep an empty value."""
    return b""


def scalar(dtype: object, raw: object = None) -> Any:
    """``numpy.core.multiarray.scalar(dtype, bytes)``: a number."""
    if not isinstance(raw, (str, bytes)) or len(raw) > _LARGEST_SCALAR:
        raise Refused("a number without bytes")
    return view(latin1(raw) if isinstance(raw, str) else raw, dtype, (), fortran=False).item()


def number(value: object = 0) -> float:
    """``numpy.float32(value)`` and the like: the value."""
    if not isinstance(value, (int, float)):
        raise Refused(f"a number made of {shown(value)}")
    return value
