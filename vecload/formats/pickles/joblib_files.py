"""Files of joblib: a pickle with the bytes of each array right after the instruction that builds its description.

The pickle is followed instruction by instruction. At each array, the part before it is read to learn shape and type,
and the bytes are left out, so that the remaining instructions are an ordinary pickle.

Source: joblib's ``numpy_pickle.py`` (``NumpyArrayWrapper``).
"""

from __future__ import annotations

import pickletools
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.errors import FormatError
from vecload.formats.pickles.mapped_bytes import MappedBytes
from vecload.formats.pickles.pickled_types import PickledArray, PickledDType, Refused, array_view
from vecload.formats.pickles.restricted_unpickler import RestrictedUnpickler, unpickle

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

MARK: Final = b"NumpyArrayWrapper"
"""Name of the class of array descriptions, which only files of joblib have."""

_CLASS: Final = ("joblib.numpy_pickle", MARK.decode())
_MOST_BUILDS: Final = 50
_FRAME: Final = 9  # bytes of a FRAME instruction
_PROTOCOL: Final = 2  # bytes of the first instruction
_MARK: Final = b"("
_PUT: Final = b"r"
_GET: Final = b"j"
_POP_MARK: Final = b"1"
_STOP: Final = b"."


class JoblibArray(PickledArray):
    """Description of an array, which becomes the next array of the file."""

    __slots__ = ("state",)
    arrays: Iterator[npt.NDArray[Any]]

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, dict) else {}
        self.value = next(self.arrays, None)


class JoblibUnpickler(RestrictedUnpickler):
    """Unpickler for files of joblib, given the arrays in the order of their descriptions."""

    arrays: Iterator[npt.NDArray[Any]]

    def _replacement(self, module: str, name: str) -> object:
        if (module, name) == _CLASS:
            return type(name, (JoblibArray,), {"__slots__": (), "arrays": self.arrays})
        return super()._replacement(module, name)


def read_joblib(data: npt.NDArray[np.uint8], name: str) -> Any:
    """Return the value of a file of joblib; its arrays are `PickledArray`.

    Raises
    ------
    FormatError
        If the file is damaged, has arrays of objects or many arrays, or the pickle is refused.

    Examples
    --------
    >>> import io
    >>> import joblib
    >>> file = io.BytesIO()
    >>> _ = joblib.dump((["cat", "dog"], np.eye(2)), file)
    >>> words, rows = read_joblib(np.frombuffer(file.getvalue(), dtype=np.uint8), "example")
    >>> words, rows.value.tolist()
    (['cat', 'dog'], [[1.0, 0.0], [0.0, 1.0]])
    """
    arrays: list[npt.NDArray[Any]] = []
    scan = _Scan(data, name)
    while not scan.next_build():
        described = _unpickled(scan.top_item(), arrays, name)
        if isinstance(described, JoblibArray):
            array, scan.at = _array(data, scan.at, described.state, name)
            arrays.append(array)
    return _unpickled(bytes(scan.pickle), arrays, name)


class _Scan:
    """Follow the instructions of a file, and collect them without the bytes of arrays.

    Instructions that divide a pickle into frames are left out, because frames end at arrays.
    """

    def __init__(self, data: npt.NDArray[np.uint8], name: str) -> None:
        self._data = data
        self._name = name
        self.pickle = bytearray()
        self.at = 0
        """Offset of the next instruction."""
        self._marks = 0  # on the stack
        self._count = 0  # of instructions, without frames
        self._builds = 0

    def next_build(self) -> bool:
        """Go to the end of the next instruction that may build a description; return whether it is the last of all."""
        file: Any = MappedBytes(self._data, self.at)
        begin, before = self.at, ""
        self._builds += 1
        # The pickle so far is read for each of them.
        if self._builds > _MOST_BUILDS:
            hint = "Load it with joblib.load, and pass its words and rows to vecload.Vectors."
            problem = f"more than {_MOST_BUILDS} arrays and objects in a file of joblib"
            raise FormatError(problem, file=self._name, hint=hint)
        try:
            for opcode, _, position in pickletools.genops(file):
                place = int(position or 0)
                self._count += opcode.name != "FRAME"
                self._marks += (opcode.name == "MARK") - (pickletools.markobject in opcode.stack_before)
                if opcode.name == "FRAME":
                    self.pickle += self._data[begin:place].tobytes()
                    begin = place + _FRAME
                elif opcode.name == "STOP" or (opcode.name == "BUILD" and before == "SETITEMS"):
                    self.at = place + 1
                    self.pickle += self._data[begin : self.at].tobytes()
                    return opcode.name == "STOP"
                before = opcode.name
        # `pickletools` raises errors of many types on damaged bytes.
        except Exception as error:
            raise FormatError(f"a damaged pickle ({type(error).__name__})", file=self._name, byte=self.at) from error
        raise FormatError("the file is cut short", file=self._name, byte=self.at)

    def top_item(self) -> bytes:
        """Return a pickle of the item that is on top of the stack after the instructions so far."""
        # A mark is put below all items. The top item is put into the memo, and fetched after all marks were popped.
        number = struct.pack("<I", self._count)
        below, above = self.pickle[:_PROTOCOL], self.pickle[_PROTOCOL:]
        ends = _PUT + number + _POP_MARK * (self._marks + 1) + _GET + number + _STOP
        return bytes(below) + _MARK + bytes(above) + ends


def _unpickled(raw: bytes, arrays: list[npt.NDArray[Any]], name: str) -> Any:
    unpickler = type("Unpickler", (JoblibUnpickler,), {"arrays": iter(arrays)})
    return unpickle(np.frombuffer(raw, dtype=np.uint8), name, unpickler=unpickler)


def _array(data: npt.NDArray[np.uint8], at: int, state: dict[str, Any], name: str) -> tuple[npt.NDArray[Any], int]:
    """Return the array at an offset, and the offset after it."""
    shape, dtype = state.get("shape"), state.get("dtype")
    whole = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
    if not whole or not isinstance(dtype, PickledDType) or not isinstance(shape, tuple):
        raise FormatError("an array without shape or type", file=name, byte=at)
    if state.get("numpy_array_alignment_bytes") is not None:
        at += 1 + int(data[at]) if at < len(data) else 1
    count = 1
    for size in shape:
        count *= size
    end = at + count * dtype.dtype.itemsize
    if end > len(data):
        found = f"{max(0, len(data) - at):,} bytes"
        raise FormatError("the file is shorter than its array", file=name, byte=at, found=found)
    try:
        return array_view(data[at:end].tobytes(), dtype, shape, fortran=state.get("order") == "F"), end
    except Refused as error:
        raise FormatError(f"an array that cannot be read ({error})", file=name, byte=at) from None
