"""Read a pickle as data: arrays, strings, numbers and plain containers. Nothing in it is run.

A pickle is a program: it can name any function and call it. Reading one safely takes three measures.

1. Names are never imported. `pickle.Unpickler` asks `find_class` for every name, which returns a replacement from
   `pickled_types` for the names listed below and refuses all others
   (https://docs.python.org/3/library/pickle.html#restricting-globals). Instructions that take values from outside the
   file (persistent ids, the extension registry, out-of-band buffers) are refused too.
2. All instructions are checked before the first one is executed (`vecload.kernels.pickles`), because even without
   calling anything, an unpickler can be made to overflow the stack, or to allocate gigabytes for a memo.
3. Everything the instructions allocate, hash, copy or pack is subtracted from one budget, which is proportional to the
   size of the file, so a small file cannot ask for gigabytes of memory or hours of time.

The names that gensim's files need were collected from the files of its test suite. The effect of each instruction on
the stack is taken from `pickletools`.
"""

from __future__ import annotations

import itertools
import pickle
import pickletools
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from vecload.errors import FormatError
from vecload.formats.pickles.pickled_types import (
    Budget,
    DroppedDict,
    KeyValuePairs,
    NDArrayName,
    PickledArray,
    PickledDType,
    PickledFunction,
    PickledObject,
    Refused,
    array_view,
    describe_exception,
    describe_value,
    empty_bytes,
    encode_latin1,
    number,
    reconstruct_object,
    scalar,
)
from vecload.words import read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

_HINT: Final = (
    "Nothing in the file was run. If you trust it, open it with the library that wrote it and save its vectors alone."
)

_BASE: Final = 16 << 20
_PER_BYTE: Final = 24
"""Budget for values, in bytes: a fixed amount, and an amount per byte of the file.

The instruction for a short string or a small number takes two to ten bytes of the file and about 50 bytes of memory;
models of gensim's test suite stay below the factor.
"""

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
    # Parts of a model other than its vectors. They become a `PickledObject` that nothing reads.
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
    for module in ("collections", "UserString")  # Python 3.4 wrote the second name for the first in protocol 2
    for name in ("Counter", "OrderedDict", "defaultdict")
}
_NUMPY: Final = ("numpy.core", "numpy._core")  # NumPy 1 and NumPy 2
_NEXT_BUFFER: Final = 0x97

# Memory that the object made by an instruction takes on a 64-bit CPython, in bytes. `_SLOT` is added for its place on
# the stack or in a container.
_COSTS: Final = {
    "list": 88,
    "dict": 96,
    "set": 248,
    "frozenset": 248,
    "tuple": 72,
    "object": 200,
    "text": 72,
    "number": 48,
}
_SLOT: Final = 16


class _Stream:
    """File object for `pickle.Unpickler` over mapped bytes; copies only the requested bytes.

    `pairs` are the offsets of instructions that create a dict with keys other than text. They are replaced by
    NEXT_BUFFER, which makes the unpickler push the next item of its ``buffers`` argument, here a `KeyValuePairs`. The
    instructions that then set items work on it through ``__setitem__``, so such keys are never hashed.
    """

    def __init__(self, data: npt.NDArray[np.uint8], pairs: npt.NDArray[np.int64]) -> None:
        self._view = data.data
        self._pairs = pairs
        self._at = 0

    # The unpickler reads ahead if a file has peek(); otherwise it would call read() for every instruction.
    def peek(self, count: int) -> bytes:
        piece = bytes(self._view[self._at : self._at + count])
        if not len(self._pairs):
            return piece
        first, last = np.searchsorted(self._pairs, (self._at, self._at + len(piece)))
        changed = np.frombuffer(piece, dtype=np.uint8).copy()
        changed[self._pairs[first:last] - self._at] = _NEXT_BUFFER
        return changed.tobytes()

    def read(self, count: int) -> bytes:
        piece = self.peek(count)
        self._at += len(piece)
        return piece

    def readinto(self, buffer: memoryview) -> int:
        piece = self._view[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def readline(self) -> bytes:
        size = 1 << 8
        while True:
            piece = self.peek(size)
            end = piece.find(b"\n") + 1
            if end or len(piece) < size:
                self._at += end or len(piece)
                return piece[:end] if end else piece
            size *= 2


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickler that replaces every name, and refuses names that are not listed in this module."""

    def __init__(self, data: npt.NDArray[np.uint8], pairs: npt.NDArray[np.int64], budget: Budget) -> None:
        made = (KeyValuePairs() for _ in itertools.count())
        # Python 2 pickled bytes as text. Latin-1 maps each byte to one character, so no byte is lost.
        super().__init__(_Stream(data, pairs), encoding="latin1", buffers=made)
        self._budget = budget
        self._known: dict[tuple[str, str], object] = {}

    def find_class(self, module: str, name: str) -> object:
        """Return the replacement for a name in the pickle."""
        if (module, name) not in self._known:
            self._known[module, name] = self._replacement(module, name)
        return self._known[module, name]

    def _replacement(self, module: str, name: str) -> object:
        """Return the replacement for a name, or refuse it."""
        # Classes are created for each pickle, so that a pickle cannot change a class that another pickle uses.
        if name in _HELD.get(module, "").split():
            return type(name, (PickledObject,), {"__slots__": (), "kind": f"{module}.{name}"})
        if (module, name) in _TABLES:
            return type(name, (DroppedDict,), {"__slots__": ()})
        if (module, name) == ("numpy", "ndarray"):
            return type(name, (NDArrayName,), {"__slots__": ()})
        calls: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "dtype"): PickledDType,
            ("_codecs", "encode"): self._encode,
            ("copy_reg", "_reconstructor"): reconstruct_object,
            ("copyreg", "_reconstructor"): reconstruct_object,
            **{
                (builtins, kind): self._set for builtins in ("__builtin__", "builtins") for kind in ("frozenset", "set")
            },
            ("__builtin__", "bytes"): empty_bytes,
            **{("numpy", kind): number for kind in ("float16", "float32", "float64", "int32", "int64")},
        }
        package = module.rpartition(".")[0]
        if package in _NUMPY:
            calls[f"{package}.multiarray", "_reconstruct"] = self._reconstruct
            calls[f"{package}.multiarray", "scalar"] = scalar
            calls[f"{package}.numeric", "_frombuffer"] = self._frombuffer
        call = calls.get((module, name))
        if call is None:
            raise Refused(f"the name {module[:100]}.{name[:100]}")
        return PickledFunction(call)

    def persistent_load(self, _: object) -> NoReturn:
        """Refuse objects outside the pickle."""
        raise Refused("a reference to an object outside the file")

    def _encode(self, text: object, encoding: object) -> bytes:
        """Replace ``_codecs.encode(text, "latin1")``, which Python 3 writes for bytes in protocol 2."""
        if not isinstance(encoding, str) or encoding not in ("latin1", "latin-1") or not isinstance(text, str):
            raise Refused(f"text in the encoding {describe_value(encoding)}")
        self._budget.spend(len(text))
        return encode_latin1(text)

    def _set(self, items: object = ()) -> frozenset[str]:
        """Replace ``set(items)``, keeping only text: hashing other items could take quadratic time."""
        if not isinstance(items, (list, tuple)):
            raise Refused(f"a set made of {describe_value(items)}")
        self._budget.spend(_COSTS["set"] * len(items))
        return frozenset(item for item in items if isinstance(item, str))

    def _reconstruct(self, kind: object, *_: object) -> PickledArray:
        """Replace ``numpy.core.multiarray._reconstruct``, which creates an empty array that is then given a state."""
        if not (isinstance(kind, type) and issubclass(kind, NDArrayName)):
            raise Refused("an array of an unknown class")
        return PickledArray(self._budget)

    def _frombuffer(self, raw: object, dtype: object, shape: object, order: object) -> PickledArray:
        """Replace ``numpy.core.numeric._frombuffer``, which NumPy writes for arrays in protocol 5."""
        fortran = isinstance(order, str) and order == "F"
        return PickledArray(self._budget, array_view(raw, dtype, shape, fortran=fortran))


def _tables(*, persistent: bool) -> tuple[npt.NDArray[Any], ...]:
    """Return arguments, operands, results and costs of each opcode, as tables for `vecload.kernels.pickles`.

    `persistent` admits references to objects outside the pickle, which PyTorch writes for the values of tensors.
    """
    from vecload.kernels import pickles

    prefixes = {
        pickletools.TAKEN_FROM_ARGUMENT1: pickles.PREFIX1,
        pickletools.TAKEN_FROM_ARGUMENT4: pickles.PREFIX4,
        pickletools.TAKEN_FROM_ARGUMENT4U: pickles.PREFIX4,
        pickletools.TAKEN_FROM_ARGUMENT8U: pickles.PREFIX8,
        pickletools.UP_TO_NEWLINE: pickles.LINE,
    }
    kinds = {
        "str": (pickles.TEXT, "text"),
        "bytes": (pickles.TEXT, "text"),
        "bytes_or_str": (pickles.TEXT, "text"),
        "tuple": (pickles.TUPLE, "tuple"),
        "list": (pickles.LIST, "list"),
        "dict": (pickles.DICT, "dict"),
        "set": (pickles.SET, "set"),
        "frozenset": (pickles.SET, "frozenset"),
        "any": (pickles.OBJECT, "object"),
    }
    argument = np.full(256, pickles.REFUSED, dtype=np.int8)
    takes = np.zeros(256, dtype=np.int8)
    makes = np.full(256, pickles.NOTHING, dtype=np.int8)
    marked = np.zeros(256, dtype=np.bool_)
    costs = np.full(256, _SLOT, dtype=np.int64)
    for opcode in pickletools.opcodes:
        if opcode.name == "BINPERSID" and not persistent:
            continue
        if opcode.name in ("EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER", "PERSID"):
            continue  # these push values from outside the file
        code = ord(opcode.code)
        size = opcode.arg.n if opcode.arg else 0
        argument[code] = size if size >= 0 else prefixes[size]
        marked[code] = pickletools.markobject in opcode.stack_before
        takes[code] = len([item for item in opcode.stack_before if item.name not in ("mark", "stackslice")])
        if opcode.stack_after:
            makes[code], cost = kinds.get(opcode.stack_after[0].name, (pickles.NUMBER, "number"))
            costs[code] += _COSTS[cost]
        # pickletools describes these less precisely than the kernel needs: two lines as one argument, names as objects.
        if opcode.name in ("GLOBAL", "INST"):
            argument[code] = pickles.TWO_LINES
        if opcode.name in ("GLOBAL", "STACK_GLOBAL"):
            makes[code] = pickles.NAME
        if opcode.name == "OBJ":  # pickletools counts its class separately, but it is an item above the mark
            takes[code] = 0
        # These change or push an object that exists already.
        if opcode.name in ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD", "GET", "BINGET"):
            costs[code] = _SLOT
        if opcode.name in ("LONG_BINGET", "DUP", "NONE", "NEWTRUE", "NEWFALSE", "GLOBAL", "STACK_GLOBAL"):
            costs[code] = _SLOT
    return tuple(read_only(table) for table in (argument, takes, marked, makes, costs))


def unpickle(
    data: npt.NDArray[np.uint8],
    name: str,
    *,
    unpickler: type[RestrictedUnpickler] = RestrictedUnpickler,
    persistent: bool = False,
) -> Any:
    """Return the value of a pickle, which consists of `PickledObject`, arrays, numbers, strings and plain containers.

    Arrays are `PickledArray`, and dicts with keys other than text are `KeyValuePairs`.

    Parameters
    ----------
    data
        The pickle: uint8, shape (bytes,). Bytes after the STOP instruction are ignored.
    name
        Name of the file, for error messages.
    unpickler
        Class that knows the names that the pickle may have.
    persistent
        Whether the pickle may refer to objects outside of it, which `unpickler` then provides.

    Raises
    ------
    FormatError
        If the pickle names anything that is not listed in this module, would take far more memory than the file, is
        cut short or damaged, or is not a pickle.

    Examples
    --------
    >>> raw = pickle.dumps({"dim": 2, "rows": np.eye(2)}, protocol=4)
    >>> unpickle(np.frombuffer(raw, dtype=np.uint8), "example")["rows"].value.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    >>> unpickle(np.frombuffer(pickle.dumps(len), dtype=np.uint8), "example")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    vecload.errors.FormatError: example: refused to read the pickle: found the name builtins.len. ...
    """
    from vecload.kernels import pickles

    budget = _BASE + _PER_BYTE * len(data)
    status, at, rest, pairs = pickles.walk(read_only(data), budget, *_tables(persistent=persistent))
    problems = {
        pickles.NOT_ADMITTED: ("refused to read the pickle", "an instruction that gensim's files do not have"),
        pickles.CUT_SHORT: ("the pickle is cut short", f"{len(data):,} bytes"),
        pickles.BAD_MEMO: ("the pickle is damaged", "a reference to a missing value"),
        pickles.EMPTY_STACK: ("the pickle is damaged", "an instruction without its operands"),
        pickles.WRONG_KIND: ("refused to read the pickle", "an instruction that does not fit the type of its operand"),
        pickles.BAD_KEY: ("refused to read the pickle", "dict keys or set items that are not text"),
        pickles.OVER_BUDGET: ("refused to read the pickle", "values that take far more memory than the file"),
    }
    if status != pickles.ACCEPTED:
        problem, found = problems[status]
        hint = _HINT if problem.startswith("refused") else None
        raise FormatError(problem, file=name, byte=int(at), found=found, hint=hint)
    # Replacements may use the part of the budget that the instructions did not use.
    try:
        return unpickler(data, pairs, Budget(int(rest))).load()
    except Refused as error:
        raise FormatError("refused to read the pickle", file=name, found=str(error), hint=_HINT) from None
    except MemoryError:
        raise
    # The unpickler raises exceptions of many types on damaged bytes, none of which means anything to a user.
    except Exception as error:
        raise FormatError(f"the pickle is damaged ({describe_exception(error)})", file=name) from error
