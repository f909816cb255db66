"""Read a pickle as data: arrays, strings, numbers and plain containers; nothing in it is run.

A pickle may name any function and have it called. Here a name means nothing unless it is listed below, and the listed
ones are not looked up: each stands for a small class of this file. gensim's classes become `Held`, which keeps a state
and does nothing; numpy's become arrays over the pickle's own bytes, their shapes checked against those bytes, never of
objects. Everything else is refused by name.

The instructions are checked before the first is carried out (`vecload.kernels.pickles`), and what a few of them could
multiply (one string encoded a million times) is counted, so the objects take no more than a fixed multiple of the bytes
of the file.

Which names gensim's files need was taken from the files of its test suite; what instructions do, from `pickletools`.
"""

from __future__ import annotations

import pickle
import pickletools
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from vecload.errors import FormatError
from vecload.words import read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

_HINT: Final = "Nothing in the file was run. If you trust it, open it with gensim and save its vectors alone."

_HELD: Final[Mapping[str, str]] = {
    "gensim.models.doc2vec": "Doc2Vec Doc2VecTrainables Doc2VecVocab Doctag DocvecsArray",
    "gensim.models.fasttext": "FastText FastTextKeyedVectors FastTextTrainables FastTextVocab",
    "gensim.models.keyedvectors": (
        "BaseKeyedVectors CompatVocab Doc2VecKeyedVectors EuclideanKeyedVectors FastTextKeyedVectors KeyedVectors "
        "KeyedVectorsBase SimpleVocab Vocab Word2VecKeyedVectors WordEmbeddingsKeyedVectors"
    ),
    "gensim.models.poincare": "NegativesBuffer PoincareKeyedVectors PoincareModel",
    "gensim.models.word2vec": "Vocab Word2Vec Word2VecTrainables Word2VecVocab",
    "gensim.models.wrappers.fasttext": "FastText FastTextKeyedVectors",
    "gensim.models.deprecated.doc2vec": "Doc2Vec DocvecsArray Doctag",
    "gensim.models.deprecated.fasttext": "FastText",
    "gensim.models.deprecated.fasttext_wrapper": "FastText FastTextKeyedVectors",
    "gensim.models.deprecated.keyedvectors": "EuclideanKeyedVectors FastTextKeyedVectors KeyedVectors Vocab",
    "gensim.models.deprecated.word2vec": "Vocab Word2Vec",
    # What a model keeps beside its vectors: held, never made.
    "gensim.utils": "call_on_class_only identity",
    "numpy.random": "RandomState __RandomState_ctor mtrand",
    "numpy.random.mtrand": "RandomState",
    "numpy.random._pickle": "__bit_generator_ctor __generator_ctor __randomstate_ctor",
    "numpy.random._mt19937": "MT19937",
    "numpy.random.bit_generator": "__pyx_unpickle_SeedSequence SeedSequence",
    "__builtin__": "hash int long float str unicode object",
    "builtins": "hash int float str object",
}
_TABLES: Final = {
    (module, name)
    for module in ("collections", "UserString")  # protocol 2 of Python 3.4 writes the second for the first
    for name in ("Counter", "OrderedDict", "defaultdict")
}
_NUMPY: Final = ("numpy.core", "numpy._core")
_PLAIN: Final = "fiub"  # kinds of numbers: floating, integers with and without sign, truth values


class _Refused(Exception):  # noqa: N818 - becomes a FormatError with the file's name
    """Why a pickle is not read."""


class Held:
    """An object of a class that is known by name only: its `kind` and the `state` it was pickled with."""

    __slots__ = ("state",)
    kind: str

    def __new__(cls, *_: object) -> Held:  # noqa: D102
        held = super().__new__(cls)
        held.state = {}
        return held

    def __init__(self, *_: object) -> None:  # its arguments mean nothing here
        pass

    def __setstate__(self, state: object) -> None:
        self.state = state

    def get(self, name: str) -> Any:
        """An attribute of the pickled object, None where it has none."""
        value = self.state.get(name) if isinstance(self.state, dict) else None
        return value.value if isinstance(value, Array) else value


class _Table(dict[Any, Any]):
    """A dict of some other name, without what made it special."""

    def __new__(cls, *_: object) -> _Table:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _DType:
    """A dtype in the making: ``numpy.dtype(name, False, True)``, then a state with the byte order."""

    __slots__ = ("dtype",)

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str) or len(name) > 3:  # also names of objects, records and dates
            raise _Refused(f"an array of {str(name)[:20]!r} values")
        try:
            self.dtype = np.dtype(name)
        except TypeError:
            raise _Refused(f"an array of {name!r} values") from None

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise _Refused(f"an array with byte order {str(order)[:20]!r}")
        self.dtype = self.dtype.newbyteorder(order)


class _NDArray:
    """The name ``numpy.ndarray``, as `_reconstruct` is given it."""

    __slots__ = ()


class Array:
    """An array: made empty, then given its shape, dtype, order and bytes. Its `value` is None if it holds objects."""

    __slots__ = ("_unpickler", "value")

    def __init__(self, unpickler: _Unpickler, value: npt.NDArray[Any] | None = None) -> None:
        self._unpickler = unpickler
        self.value = value

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise _Refused("an array whose state is none")
        shape, dtype, fortran, raw = state[-4:]
        if isinstance(raw, list):
            return  # objects: never made into an array
        if isinstance(raw, str):  # from Python 2
            raw = self._unpickler.encode(raw, "latin1")
        self.value = _view(raw, dtype, shape, fortran=bool(fortran))


def _view(raw: object, dtype: object, shape: object, *, fortran: bool) -> npt.NDArray[Any]:
    """Bytes of the pickle as an array, not copied."""
    if not isinstance(dtype, _DType) or not isinstance(raw, (bytes, bytearray)):
        raise _Refused("an array without bytes")
    if dtype.dtype.kind not in _PLAIN:
        raise _Refused(f"an array of {dtype.dtype} values")
    if not isinstance(shape, tuple) or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise _Refused("an array whose shape is none")
    count = 1
    for side in shape:
        count *= side
    if len(shape) > 8 or count * dtype.dtype.itemsize != len(raw):
        raise _Refused(f"an array of shape {str(shape)[:60]} {dtype.dtype} in {len(raw):,} bytes")
    return np.frombuffer(raw, dtype=dtype.dtype).reshape(shape, order="F" if fortran else "C")


class _Named:
    """A function that is known by name: calls one of this file's."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        try:
            return self._call(*arguments)
        except (TypeError, ValueError, OverflowError) as error:
            raise _Refused(f"a call that cannot be ({error})") from None

    def __setstate__(self, state: object) -> NoReturn:  # a pickle may "build" anything, names included
        raise _Refused("a name with a state")


class _Stream:
    """The pickle's bytes as the file that `pickle.Unpickler` wants: nothing is copied but what it asks for."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self._view = data.data
        self._at = 0

    def read(self, count: int) -> bytes:
        piece = bytes(self._view[self._at : self._at + count])
        self._at += len(piece)
        return piece

    def peek(self, count: int) -> bytes:  # with it the unpickler reads ahead, without it every instruction is a call
        return bytes(self._view[self._at : self._at + count])

    def readinto(self, buffer: memoryview) -> int:
        piece = self._view[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def readline(self) -> bytes:
        size = 1 << 8
        while True:
            piece = bytes(self._view[self._at : self._at + size])
            end = piece.find(b"\n") + 1
            if end or len(piece) < size:
                self._at += end or len(piece)
                return piece[:end] if end else piece
            size *= 2


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        super().__init__(_Stream(data), encoding="latin1")  # Python 2 kept arrays as text
        self._budget = len(data)
        self._known: dict[tuple[str, str], object] = {}

    def find_class(self, module: str, name: str) -> object:
        """What a name in the pickle stands for here."""
        if (module, name) not in self._known:
            self._known[module, name] = self._stand_in(module, name)
        return self._known[module, name]

    def _stand_in(self, module: str, name: str) -> object:
        if name in _HELD.get(module, "").split():
            return type(name, (Held,), {"__slots__": (), "kind": f"{module}.{name}"})
        if (module, name) in _TABLES:
            return type(name, (_Table,), {"__slots__": ()})
        house = module.rpartition(".")[0]
        if (module, name) == ("numpy", "ndarray"):
            return type(name, (_NDArray,), {"__slots__": ()})
        calls: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "dtype"): _DType,
            ("_codecs", "encode"): self.encode,
            ("copy_reg", "_reconstructor"): _reconstructor,
            ("copyreg", "_reconstructor"): _reconstructor,
            **{
                (builtins, kind): self._set for builtins in ("__builtin__", "builtins") for kind in ("frozenset", "set")
            },
            ("__builtin__", "bytes"): _no_bytes,
            **{("numpy", kind): _number for kind in ("float16", "float32", "float64", "int32", "int64")},
        }
        if house in _NUMPY:
            calls[f"{house}.multiarray", "_reconstruct"] = self._reconstruct
            calls[f"{house}.multiarray", "scalar"] = _scalar
            calls[f"{house}.numeric", "_frombuffer"] = self._frombuffer
        call = calls.get((module, name))
        if call is None:
            raise _Refused(f"the name {module}.{name}"[:200])
        return _Named(call)

    def persistent_load(self, _: object) -> NoReturn:
        raise _Refused("a reference to something outside")

    def encode(self, text: object, encoding: object) -> bytes:
        """``text.encode("latin1")``: how protocol 2 of Python 3 keeps bytes."""
        if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
            raise _Refused(f"text in the encoding {str(encoding)[:20]!r}")
        self._spend(len(text))
        try:
            return text.encode("latin1")
        except UnicodeEncodeError:
            raise _Refused("bytes that are none") from None

    def _set(self, items: object = ()) -> frozenset[str]:
        if not isinstance(items, (list, tuple)):
            raise _Refused("a set of something else than a list")
        self._spend(len(items))
        return frozenset(item for item in items if isinstance(item, str))

    def _reconstruct(self, kind: object, *_: object) -> Array:
        if not (isinstance(kind, type) and issubclass(kind, _NDArray)):
            raise _Refused("an array of a class of its own")
        return Array(self)

    def _frombuffer(self, raw: object, dtype: object, shape: object, order: object) -> Array:
        return Array(self, _view(raw, dtype, shape, fortran=order == "F"))

    def _spend(self, size: int) -> None:
        self._budget -= size
        if self._budget < 0:
            raise _Refused("values that take more room than the file")


def _reconstructor(kind: object, *_: object) -> Held:
    if not (isinstance(kind, type) and issubclass(kind, Held)):
        raise _Refused("an object of an unknown class")
    return kind()


def _no_bytes() -> bytes:
    """How protocols up to 2 of Python 3 keep an empty one."""
    return b""


def _scalar(dtype: object, raw: object = None) -> Any:
    if isinstance(raw, str):
        raw = raw.encode("latin1", "replace")
    return _view(raw, dtype, (), fortran=False).item()


def _number(value: object = 0) -> float:
    if not isinstance(value, (int, float)):
        raise _Refused("a number that is none")
    return value


def _tables() -> tuple[npt.NDArray[Any], ...]:
    """What each opcode takes and leaves, for `vecload.kernels.pickles`."""
    from vecload.kernels import pickles

    kinds = {
        pickletools.TAKEN_FROM_ARGUMENT1: pickles.PREFIX1,
        pickletools.TAKEN_FROM_ARGUMENT4: pickles.PREFIX4,
        pickletools.TAKEN_FROM_ARGUMENT4U: pickles.PREFIX4,
        pickletools.TAKEN_FROM_ARGUMENT8U: pickles.PREFIX8,
        pickletools.UP_TO_NEWLINE: pickles.LINE,
    }
    argument = np.full(256, pickles.REFUSED, dtype=np.int8)
    takes, leaves = np.zeros((2, 256), dtype=np.int8)
    marked = np.zeros(256, dtype=np.bool_)
    for opcode in pickletools.opcodes:
        if opcode.name in ("EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "PERSID", "BINPERSID"):
            continue  # what they mean lies outside the file
        code = ord(opcode.code)
        size = opcode.arg.n if opcode.arg else 0
        argument[code] = size if size >= 0 else kinds[size]
        if opcode.name in ("GLOBAL", "INST"):
            argument[code] = pickles.TWO_LINES
        marked[code] = pickletools.markobject in opcode.stack_before
        takes[code] = len([item for item in opcode.stack_before if item.name not in ("mark", "stackslice")])
        leaves[code] = len(opcode.stack_after)
        if opcode.name == "OBJ":  # its class is one of the items above the mark
            takes[code] = 0
    return tuple(read_only(table) for table in (argument, takes, marked, leaves))


def unpickle(data: npt.NDArray[np.uint8], name: str) -> Any:
    """The value of a pickle, made of `Held` objects, arrays, numbers, strings and plain containers.

    Parameters
    ----------
    data
        The pickle: uint8, shape (bytes,). What lies behind its last instruction is not looked at.
    name
        The file's name, for error messages.

    Raises
    ------
    FormatError
        When it names anything but what is listed in this file, is cut short, or is no pickle.

    Examples
    --------
    >>> raw = pickle.dumps({"dim": 2, "rows": np.eye(2)}, protocol=4)
    >>> unpickle(np.frombuffer(raw, dtype=np.uint8), "example")["rows"].value.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    >>> unpickle(np.frombuffer(pickle.dumps(print), dtype=np.uint8), "example")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    vecload.errors.FormatError: example: refused to read the pickle: found the name builtins.print. ...
    """
    from vecload.kernels import pickles

    status, at, _ = pickles.walk(read_only(data), *_tables())
    problems = {
        pickles.NOT_ADMITTED: ("refused to read the pickle", "an instruction that no gensim file has"),
        pickles.CUT_SHORT: ("the pickle is cut short", f"{len(data):,} bytes"),
        pickles.BAD_MEMO: ("the pickle is damaged", "a reference to nothing"),
        pickles.EMPTY_STACK: ("the pickle is damaged", "an instruction without its operands"),
        pickles.TOO_NESTED: ("refused to read the pickle", f"a tuple of more than {pickles.LARGEST_TUPLE} parts"),
    }
    if status != pickles.FINE:
        problem, found = problems[status]
        hint = _HINT if problem.startswith("refused") else None
        raise FormatError(problem, file=name, byte=int(at), found=found, hint=hint)
    try:
        return _Unpickler(data).load()
    except _Refused as error:
        raise FormatError("refused to read the pickle", file=name, found=str(error), hint=_HINT) from None
    except Exception as error:  # what an unpickler raises on damaged bytes is not limited to its own class
        raise FormatError(f"the pickle is damaged ({error})", file=name) from error
