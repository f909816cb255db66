"""gensim's saved models and key-vectors (``.model``, ``.kv``): a pickle, and arrays beside it.

``save(path)`` writes one pickle of the object. Arrays of more than 10 M values are left out of it and written beside it
as ``path.wv.vectors.npy``, each named by the attributes that lead to it (``.npz`` with the array ``val`` when the
pickle's name ends in ``.gz`` or ``.bz2``); the object's ``__numpys`` lists them. Saved to an open file, all is in the
pickle. Which attributes hold the words and the vectors changed with the versions:

=============  ==================================  =================================  ==================
gensim         words                               vectors                            where
=============  ==================================  =================================  ==================
up to 0.13     ``index2word``                      ``syn0``                           the model itself
1.0 to 3.2     ``index2word``                      ``syn0``                           ``wv``, ``kv``
3.3 to 3.8     ``index2word``, ``index2entity``    ``vectors``                        ``wv``, ``kv``
4              ``index_to_key``                    ``vectors``                        ``wv``, ``kv``
4 fastText     ``index_to_key``                    made of ``vectors_vocab`` and      ``wv``
                                                   ``vectors_ngrams``, as fastText
                                                   does
=============  ==================================  =================================  ==================

The pickle is read by `restricted_unpickler`, which runs nothing; gensim is not needed. Of a Doc2Vec model the
word vectors are read. What is written is a ``KeyedVectors`` of gensim 4 in a single file.

Sources: gensim's ``utils.SaveLoad``, ``models/keyedvectors.py`` and ``models/fasttext.py``.
"""

from __future__ import annotations

import re
import struct
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from vecload.errors import FormatError, OptionError, VocabularyError
from vecload.formats.array_reader import ArrayReader, open_npy, read_npy
from vecload.formats.contract import Table
from vecload.formats.format import Format
from vecload.formats.gensim.pickled_types import (
    KeyValuePairs,
    PickledObject,
    describe_exception,
    describe_value,
    type_name,
)
from vecload.formats.gensim.restricted_unpickler import unpickle
from vecload.ngrams import NgramTable
from vecload.saved import MAX_DIM
from vecload.sources import ZIP_DAMAGE
from vecload.words import Words

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.formats.array_reader import Rows
    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.sources import Source

NAME: Final = "gensim"

_PICKLE: Final = re.compile(rb"\x80[\x02-\x05]|c(copy_reg|copyreg)\n_reconstructor\n|\(i?c?gensim\.")
_KEYS: Final = ("index_to_key", "index2word", "index2entity")
_MATRICES: Final = ("vectors", "syn0")
_INNER: Final = ("wv", "kv")
_INTEGERS: Final = range(-(1 << 63), 1 << 63)  # document tags; turning a longer integer into text takes n² steps
_BUCKETS: Final = range(1 << 31)
_WORDS: Final = 1 << 20
_WORDS_PER_BYTE: Final = 4  # a pickle may hold one long string, and name it as a word a million times
_TOGETHER: Final = 1 << 14  # words written together
_ENTRY: Final = [("get", "S1"), ("memo", "<u4"), ("int", "S1"), ("row", "<i4")]  # of the dict of the words' rows
_EXPORT: Final = "Export it with the library that wrote it, for example as text: a word and its values on each line."


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - every format is asked the same way
    """Return 95 for any pickle; the reader names those that are not gensim's."""
    return 95 if _PICKLE.match(head) else 0


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read the word vectors of a gensim object.

    Raises
    ------
    FormatError
        If the pickle does not hold gensim's word vectors, or would run anything.
    """
    data = source.mapped()
    value = unpickle(data, source.name)
    source.position += len(data)
    if not isinstance(value, PickledObject):
        found = f"a pickled {type_name(value)}"
        raise FormatError("a pickle without gensim's vectors", file=source.name, found=found, hint=_EXPORT)
    holder, prefix = _holder(value)
    beside = _Beside(source.name, source.path, prefix)
    words, rows, ngrams, skipped = _parts(holder, beside, _WORDS + _WORDS_PER_BYTE * len(data))
    meta = {"format": f"gensim {value.kind.rpartition('.')[2]}"}
    if ngrams is None and "FastText" in holder.kind:
        meta["ngrams"] = "left out: made by a version of gensim whose hash was not fastText's"
    return ArrayReader(source.name, words, rows, request, meta=meta, ngrams=ngrams, skipped=skipped)


def from_gensim(model: object) -> Table:
    """The vectors of gensim's ``KeyedVectors``, or of a model that has some, sharing the matrix.

    Parameters
    ----------
    model
        A ``KeyedVectors`` or ``FastTextKeyedVectors``, or a ``Word2Vec``, ``FastText``, ``Doc2Vec`` or
        ``PoincareModel``. Known by its attributes, so nothing is imported.

    Raises
    ------
    FormatError
        When it has no word vectors.

    Examples
    --------
    >>> from gensim.models import KeyedVectors
    >>> kept = KeyedVectors(2)
    >>> kept.add_vectors(["cat", "dog"], np.eye(2, dtype=np.float32))
    >>> table = from_gensim(kept)
    >>> list(table.words), np.shares_memory(table.matrix, kept.vectors)
    (['cat', 'dog'], True)
    """
    name = f"the {type(model).__name__}"
    holder, prefix = _holder(_Live(model))
    words, rows, ngrams, _ = _parts(holder, _Beside(name, None, prefix), None)
    return Table(words, np.asarray(rows), {"format": f"gensim {type(model).__name__}"}, ngrams)


class _Holder(Protocol):
    """An object with attributes: pickled (`PickledObject`) or alive."""

    kind: str

    def get(self, name: str) -> Any:
        """An attribute, None where there is none."""


class _Live:
    def __init__(self, value: object) -> None:
        self._value = value
        self.kind = type(value).__name__

    def get(self, name: str) -> Any:
        value = getattr(self._value, name, None)
        return _Live(value) if name in _INNER and value is not None else value


def _holder(value: _Holder) -> tuple[_Holder, str]:
    """The object that has the words, and the name that leads to it."""
    for inner in _INNER:
        held = value.get(inner)
        if isinstance(held, (PickledObject, _Live)) and _keys(held) is not None:
            return held, f"{inner}."
    return value, ""


def _keys(holder: _Holder) -> list[object] | None:
    return next((keys for name in _KEYS if isinstance(keys := holder.get(name), list)), None)


def _parts(
    holder: _Holder, beside: _Beside, longest: int | None
) -> tuple[Words, Rows, NgramTable | None, Counter[str]]:
    """Return the words, rows and n-grams, and the number of rows left out by cause.

    `longest` bounds the characters of all words together.
    """
    keys = _keys(holder)
    if keys is None:
        raise FormatError("a gensim object without word vectors", file=beside.name, found=f"a {holder.kind}")
    words, skipped = _words(keys, beside.name, longest)
    ngrams = _ngrams(holder, beside)
    rows: Rows | None = next((found for name in _MATRICES if (found := beside.array(holder, name)) is not None), None)
    own = None if rows is not None else beside.array(holder, "vectors_vocab")
    if own is not None and ngrams is not None:
        beside.check("vectors", own, (len(keys), ngrams.dim))
        rows = _Composed(words, own, ngrams)
    if rows is None:
        raise FormatError("a gensim object without word vectors", file=beside.name, found=f"a {holder.kind}")
    if isinstance(rows, np.ndarray):
        beside.check("vectors", rows, (len(keys), None if ngrams is None else ngrams.dim))
    if skipped:
        rows = rows[np.array([at for at, key in enumerate(keys) if key is not None], dtype=np.int64)]
    return words, rows, ngrams, skipped


def _ngrams(holder: _Holder, beside: _Beside) -> NgramTable | None:
    """The n-grams of a fastText model whose hash is fastText's: before 3.7 gensim's was another beyond ASCII."""
    if holder.get("compatible_hash") is not True:
        return None
    matrix = beside.array(holder, "vectors_ngrams")
    if matrix is None:
        return None
    beside.check("n-gram rows", matrix, (None, None))
    sizes = {name: holder.get(name) for name in ("min_n", "max_n", "bucket")}
    if not all(type(size) is int and size in _BUCKETS for size in sizes.values()):
        found = "min_n, max_n or bucket that is not a number from 0 to 2147483647"
        raise FormatError("invalid sizes of n-grams", file=beside.name, found=found)
    kept = _kept(holder.get("hash2index"), beside.name)
    try:
        settings = {"minn": sizes["min_n"], "maxn": sizes["max_n"], "bucket": sizes["bucket"]}
        return NgramTable(matrix, **settings, kept=kept, eos_ngrams=True)  # gensim makes no exception of </s>
    except OptionError as error:
        raise FormatError(f"an invalid n-gram table ({error})", file=beside.name) from error


def _kept(packed: object, name: str) -> npt.NDArray[np.int32] | None:
    """Return the bucket and row of each n-gram of a pruned table: int32, shape (k, 2). None for a table of all."""
    if packed is None:
        return None
    pairs = list(packed.items()) if isinstance(packed, (dict, KeyValuePairs)) else [(packed, None)]
    if not all(isinstance(part, (int, np.integer)) and part in _BUCKETS for pair in pairs for part in pair):
        raise FormatError("an invalid n-gram table", file=name, found="buckets or rows that are not row numbers")
    # The last row of a bucket counts, as in a dict. Its keys are the file's choice, so they are sorted, not hashed.
    backwards = np.array(pairs, dtype=np.int64).reshape(-1, 2)[::-1]
    return backwards[np.unique(backwards[:, 0], return_index=True)[1]].astype(np.int32)


class _Composed:
    """Rows of words and of their n-grams, put together as fastText does when they are asked for."""

    def __init__(self, words: Words, own: npt.NDArray[Any], ngrams: NgramTable) -> None:
        self._words = words
        self._own = own
        self._ngrams = ngrams
        self.shape = own.shape
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, at: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        words = self._words.take(at)
        sums = self._own[at].astype(np.float32)
        self._ngrams.compose(words.data, words.offsets, sums, own=1)
        return sums

    def __array__(self, *_: object, **__: object) -> npt.NDArray[np.float32]:
        return self[np.arange(len(self._own))]


def _words(keys: list[object], name: str, longest: int | None) -> tuple[Words, Counter[str]]:
    """Pack the keys. Where a word occurred twice in its input, gensim leaves None at the end; tags may be numbers."""
    skipped: Counter[str] = Counter()
    strings = []
    for key in keys:
        if key is None:
            skipped["a row without a word"] += 1
        elif isinstance(key, str):
            strings.append(key)
        elif isinstance(key, int) and key in _INTEGERS:
            strings.append(str(key))
        else:
            found = "an integer of more than 64 bits" if isinstance(key, int) else describe_value(key)
            raise FormatError("a word that is not text", file=name, found=found)
    if longest is not None and sum(map(len, strings)) > longest:
        raise FormatError("words longer than the file", file=name, found=f"more than {longest:,} characters")
    try:
        return Words.from_strings(strings), skipped
    except VocabularyError as error:
        raise FormatError(str(error), file=name) from error


class _Beside:
    """Attributes that are arrays, in the pickle or in a side file."""

    def __init__(self, name: str, path: Path | None, prefix: str) -> None:
        self.name = name
        self._prefix = prefix
        self._path = path or Path(name)  # what is compressed has a name only

    def array(self, holder: _Holder, attribute: str) -> npt.NDArray[Any] | None:
        """Return an attribute of the object that is an array, or None if it is missing.

        The name of a side file is the pickle's, then the attribute's: nothing in the pickle changes it.
        """
        value = holder.get(attribute)
        if isinstance(value, np.ndarray):
            return value
        apart = holder.get("__numpys")
        if value is not None or not isinstance(apart, list) or attribute not in apart:
            return None
        packed = self._path.suffix in (".gz", ".bz2")
        path = self._path.with_name(f"{self._path.name}.{self._prefix}{attribute}.{'npz' if packed else 'npy'}")
        if not path.is_file():
            hint = f"gensim saved it in pieces: keep {path.name} in the same folder, both unpacked, "
            hint += "and name the file by its path."
            raise FormatError("a file with its vectors is missing", file=self.name, found="no " + path.name, hint=hint)
        return _packed(path) if packed else open_npy(path)

    def check(self, what: str, matrix: npt.NDArray[Any], shape: tuple[int | None, int | None]) -> None:
        """Refuse an array that is not a matrix of floating-point numbers of this shape."""
        fits = matrix.ndim == 2 and all(want in (None, have) for want, have in zip(shape, matrix.shape, strict=True))
        if not fits or not 0 < matrix.shape[1] <= MAX_DIM or matrix.dtype.kind != "f" or matrix.dtype.itemsize > 8:
            rows, dim = ("any number of" if side is None else f"{side:,}" for side in shape)
            found = f"shape {matrix.shape} of {matrix.dtype}"
            raise FormatError(f"invalid {what}", file=self.name, found=found, expected=f"{rows} rows of {dim} floats")


def _packed(path: Path) -> npt.NDArray[Any]:
    """Return the array ``val`` of an ``.npz``."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("val.npy") as member:
            return read_npy(member, archive.getinfo("val.npy").file_size)
    except (*ZIP_DAMAGE, KeyError, RuntimeError, OverflowError) as error:
        raise FormatError(f"the array is damaged ({describe_exception(error)})", file=str(path)) from error


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:  # noqa: ARG001 - it has no options
    """Write a ``KeyedVectors`` of gensim 4 as one file, for ``KeyedVectors.load``.

    The pickle is put together from its instructions, so neither gensim nor room for the matrix is needed. bfloat16,
    which numpy's pickles do not know, becomes float32. An n-gram table has no place in it.
    """
    dtype = np.dtype(np.float32) if table.dtype.name == "bfloat16" else table.dtype
    rows = 0
    with path.open("wb") as file:
        file.write(b"\x80\x04cgensim.models.keyedvectors\nKeyedVectors\n)\x81}(" + _text("vectors"))
        file.write(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01")
        shape = file.tell()
        file.write(_number(rows) + _number(table.dim) + b"\x86")
        file.write(b"cnumpy\ndtype\n" + _text(dtype.str[1:]) + b"\x89\x88\x87R(K\x03" + _text("<") + b"NNN")
        file.write(_number(-1) + _number(-1) + b"K\x00tb\x89\x8e")
        length = file.tell()
        file.write(struct.pack("<Q", 0))
        for batch in table.batches():
            file.write(np.ascontiguousarray(batch.rows, dtype=dtype.newbyteorder("<")).data)
            rows += len(batch.rows)
        file.write(b"tb" + _text("vector_size") + _number(table.dim))
        file.write(_text("index_to_key") + b"](")
        for begin in range(0, rows, _TOGETHER):
            file.write(b"".join(_text(word) + b"\x94" for word in table.words[begin : begin + _TOGETHER]))
        file.write(b"e" + _text("key_to_index") + b"}(")
        for begin in range(0, rows, _TOGETHER):
            entries = np.empty(min(_TOGETHER, rows - begin), dtype=_ENTRY)
            entries["get"], entries["int"] = b"j", b"J"
            entries["memo"] = entries["row"] = np.arange(begin, begin + len(entries))
            file.write(entries.tobytes())
        file.write(b"u" + _text("next_index") + _number(rows) + _text("expandos") + b"}" + _text("norms") + b"Nub.")
        file.seek(shape)
        file.write(_number(rows))
        file.seek(length)
        file.write(struct.pack("<Q", rows * table.dim * dtype.itemsize))
    return Counter()


def _text(string: str) -> bytes:
    """The instruction that makes a string."""
    raw = string.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def _number(number: int) -> bytes:
    """The instruction that makes a whole number: always as long, so it can be written again."""
    return b"J" + struct.pack("<i", number)


FORMAT: Final = Format(name=NAME, detect=detect, read=read, write=write, suffixes=(".kv",))
