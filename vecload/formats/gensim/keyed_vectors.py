"""Models and ``KeyedVectors`` saved by gensim (``.model``, ``.kv``): a pickle, and ``.npy`` files of large arrays.

``save(path)`` writes one pickle of the object. Arrays of more than 10 million values are stored in separate files such
as ``path.wv.vectors.npy``, named after the attributes (``.npz`` with the array ``val`` if the name of the pickle ends
in ``.gz`` or ``.bz2``), and the attribute ``__numpys`` lists them. If the object is saved to an open file, the pickle
contains everything. The attributes with the words and vectors depend on the version:

=============  ==================================  =================================  ==================
gensim words vectors stored in
=============  ==================================  =================================  ==================
up to 0.13     ``index2word``                      ``syn0``                           the model itself
1.0 to 3.2     ``index2word``                      ``syn0``                           ``wv``, ``kv``
3.3 to 3.8     ``index2word``, ``index2entity``    ``vectors``                        ``wv``, ``kv``
4              ``index_to_key``                    ``vectors``                        ``wv``, ``kv``
4 fastText     ``index_to_key``                    composed from ``vectors_vocab``    ``wv``
                                                   and ``vectors_ngrams``, as in
                                                   fastText
=============  ==================================  =================================  ==================

`restricted_unpickler` reads the pickle without running anything in it, and gensim is not needed. Only the word vectors
of a Doc2Vec model are read. Vectors are written as a ``KeyedVectors`` of gensim 4 (`pickle_writer`).

Sources: gensim's ``utils.SaveLoad``, ``models/keyedvectors.py`` and ``models/fasttext.py``.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from vecload.errors import FormatError, OptionError, VocabularyError
from vecload.formats.array_reader import ArrayReader
from vecload.formats.format import Format
from vecload.formats.gensim.pickle_writer import BESIDE, write
from vecload.formats.pickles.joblib_files import MARK, read_joblib
from vecload.formats.pickles.pickled_types import (
    KeyValuePairs,
    PickledObject,
    describe_exception,
    describe_value,
)
from vecload.formats.pickles.restricted_unpickler import unpickle
from vecload.formats.pickles.tables import find_word_rows
from vecload.formats.table import Table
from vecload.ngrams import NgramTable
from vecload.saved import MAX_DIM
from vecload.saved.npy import open_npy, read_npy
from vecload.sources import ZIP_DAMAGE
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from vecload.formats.array_reader import Rows
    from vecload.formats.contract import ReadRequest
    from vecload.sources import Source

NAME: Final = "gensim"

# Protocols 2 and later begin with the instruction PROTO. Protocols 0 and 1 have no signature: there, a pickle of a
# gensim object begins with a call of copyreg._reconstructor, or with the name of a class of gensim.
_PICKLE: Final = re.compile(rb"\x80[\x02-\x05]|c(copy_reg|copyreg)\n_reconstructor\n|\(i?c?gensim\.")
_KEYS: Final = ("index_to_key", "index2word", "index2entity")
_MATRICES: Final = ("vectors", "syn0")
_INNER: Final = ("wv", "kv")
# Document tags may be integers. Formatting an integer of n digits takes n² steps, so their size is bounded.
_INTEGERS: Final = range(-(1 << 63), 1 << 63)
_BUCKETS: Final = range(1 << 31)
# A pickle may contain one long string and refer to it a million times. The number of characters of all words together
# is therefore bounded by the size of the file: a fixed number, and a number per byte.
_FREE_CHARACTERS: Final = 1 << 20
_CHARACTERS_PER_BYTE: Final = 4
_PIECE: Final = 1 << 20
_EXPORT: Final = "Export it with the library that wrote it, for example as text: a word and its values on each line."


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 95 for any pickle; errors of the reader describe those that are not gensim's."""
    return 95 if _PICKLE.match(head) else 0


def side_files(name: str, names: Collection[str]) -> list[str]:
    """Return the array files of a model, which are named after it."""
    return [other for other in names if other.startswith(f"{name}.") and other.endswith((".npy", ".npz"))]


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read the word vectors of a gensim object.

    Raises
    ------
    FormatError
        If the pickle does not contain word vectors of gensim, or refers to a class or function that gensim's files do
        not contain.
    """
    data = source.mapped()
    joblib = any(MARK in data[begin : begin + 2 * _PIECE].tobytes() for begin in range(0, len(data), _PIECE))
    value = read_joblib(data, source.name) if joblib else unpickle(data, source.name)
    source.position += len(data)
    if not isinstance(value, PickledObject):
        found = find_word_rows(value, request, source.name)
        return ArrayReader(source.name, found.words, found.matrix, request, meta={"format": "pickle"})
    holder, prefix = _holder(value)
    arrays = _ArrayAttributes(source.name, source.path, prefix)
    longest = _FREE_CHARACTERS + _CHARACTERS_PER_BYTE * len(data)
    words, rows, ngrams, skipped = _parts(holder, arrays, longest)
    meta = {"format": f"gensim {value.kind.rpartition('.')[2]}"}
    if ngrams is None and "FastText" in holder.kind:
        meta["ngrams"] = "dropped: this version of gensim did not use fastText's hash"
    return ArrayReader(source.name, words, rows, request, meta=meta, ngrams=ngrams, skipped=skipped)


def from_gensim(model: object) -> Table:
    """Return the vectors of a gensim object, sharing its matrix.

    Parameters
    ----------
    model
        A ``KeyedVectors`` or ``FastTextKeyedVectors``, or a ``Word2Vec``, ``FastText``, ``Doc2Vec`` or
        ``PoincareModel``. It is recognized by its attributes, so gensim is not imported.

    Raises
    ------
    FormatError
        If the object does not have word vectors.

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
    holder, prefix = _holder(_LiveObject(model))
    words, rows, ngrams, _ = _parts(holder, _ArrayAttributes(name, None, prefix), None)
    return Table(words, np.asarray(rows), {"format": f"gensim {type(model).__name__}"}, ngrams)


class _Holder(Protocol):
    """Object with attributes: a `PickledObject`, or an object of gensim in memory."""

    kind: str

    def get(self, name: str) -> Any:
        """Return an attribute, or None if it is missing."""


class _LiveObject:
    """Object of gensim in memory, with the interface of a `PickledObject`."""

    def __init__(self, value: object) -> None:
        self._value = value
        self.kind = type(value).__name__

    def get(self, name: str) -> Any:
        # By name, because gensim is an optional package, and its versions differ in their classes and attributes.
        value = getattr(self._value, name, None)
        return _LiveObject(value) if name in _INNER and value is not None else value


def _holder(value: _Holder) -> tuple[_Holder, str]:
    """Return the object with the words, and the prefix of its attributes in the names of array files."""
    for inner in _INNER:
        held = value.get(inner)
        if isinstance(held, (PickledObject, _LiveObject)) and _keys(held) is not None:
            return held, f"{inner}."
    return value, ""


def _keys(holder: _Holder) -> list[object] | None:
    return next((keys for name in _KEYS if isinstance(keys := holder.get(name), list)), None)


def _parts(
    holder: _Holder, arrays: _ArrayAttributes, longest: int | None
) -> tuple[Words, Rows, NgramTable | None, Counter[str]]:
    """Return the words, rows and n-grams, and the number of skipped rows by cause.

    `longest` is the maximum number of characters of all words together.
    """
    keys = _keys(holder)
    if keys is None:
        raise FormatError("a gensim object without word vectors", file=arrays.name, found=f"a {holder.kind}")
    words, skipped = _words(keys, arrays.name, longest)
    ngrams = _ngrams(holder, arrays)
    # FastText models of gensim 4 store the words' own rows and the n-gram rows, but not the vectors composed from them.
    rows: Rows | None = next((found for name in _MATRICES if (found := arrays.array(holder, name)) is not None), None)
    own = None if rows is not None else arrays.array(holder, "vectors_vocab")
    if own is not None and ngrams is not None:
        arrays.check("vectors", own, (len(keys), ngrams.dim))
        rows = _ComposedRows(words, own, ngrams)
    if rows is None:
        raise FormatError("a gensim object without word vectors", file=arrays.name, found=f"a {holder.kind}")
    if isinstance(rows, np.ndarray):
        arrays.check("vectors", rows, (len(keys), None if ngrams is None else ngrams.dim))
    if skipped:
        rows = rows[np.array([at for at, key in enumerate(keys) if key is not None], dtype=np.int64)]
    return words, rows, ngrams, skipped


def _ngrams(holder: _Holder, arrays: _ArrayAttributes) -> NgramTable | None:
    """Return the n-grams of a fastText model, or None if it does not use fastText's hash.

    Before version 3.7, gensim hashed characters beyond ASCII differently from fastText.
    """
    if holder.get("compatible_hash") is not True:
        return None
    matrix = arrays.array(holder, "vectors_ngrams")
    if matrix is None:
        return None
    arrays.check("n-gram rows", matrix, (None, None))
    sizes = {name: holder.get(name) for name in ("min_n", "max_n", "bucket")}
    if not all(type(size) is int and size in _BUCKETS for size in sizes.values()):
        found = "a value of min_n, max_n or bucket that is not an integer from 0 to 2147483647"
        raise FormatError("invalid sizes of n-grams", file=arrays.name, found=found)
    kept = _kept(holder.get("hash2index"), arrays.name)
    try:
        settings = {"minn": sizes["min_n"], "maxn": sizes["max_n"], "bucket": sizes["bucket"]}
        # gensim does not treat </s> specially, unlike fastText.
        return NgramTable(matrix, **settings, kept=kept, eos_ngrams=True)
    except OptionError as error:
        raise FormatError(f"invalid n-gram table ({error})", file=arrays.name) from error


def _kept(packed: object, name: str) -> npt.NDArray[np.int32] | None:
    """Return the kept buckets and their rows: int32, shape (k, 2). None if the table is not pruned."""
    if packed is None:
        return None
    pairs = list(packed.items()) if isinstance(packed, (dict, KeyValuePairs)) else [(packed, None)]
    if not all(isinstance(part, (int, np.integer)) and part in _BUCKETS for pair in pairs for part in pair):
        raise FormatError("invalid n-gram table", file=name, found="buckets or rows that are not valid numbers")
    # The last row of a bucket wins, as in a dict. Sorting takes n log n steps for any keys; hashing might take n².
    backwards = np.array(pairs, dtype=np.int64).reshape(-1, 2)[::-1]
    return backwards[np.unique(backwards[:, 0], return_index=True)[1]].astype(np.int32)


class _ComposedRows:
    """Rows of a fastText model: the means of the rows of words and of their n-grams, computed on demand."""

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
    """Pack the keys, which are words, integers (document tags), or None.

    If a word occurred twice in a file, gensim's ``load_word2vec_format`` left rows without a key at the end.
    """
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


class _ArrayAttributes:
    """Attributes of an object that are arrays, in the pickle or in a separate file."""

    def __init__(self, name: str, path: Path | None, prefix: str) -> None:
        self.name = name
        self._prefix = prefix
        self._path = path or Path(name)  # compressed files and streams have a name only

    def array(self, holder: _Holder, attribute: str) -> npt.NDArray[Any] | None:
        """Return an attribute of the object that is an array, or None if it is missing.

        The name of a separate file consists of the name of the pickle and of the attribute. Nothing in the pickle can
        change it, so a pickle cannot make vecload read any other file.
        """
        value = holder.get(attribute)
        if isinstance(value, np.ndarray):
            return value
        separate = holder.get("__numpys")
        if value is not None or not isinstance(separate, list) or attribute not in separate:
            return None
        compressed = self._path.suffix in (".gz", ".bz2")
        path = self._path.with_name(f"{self._path.name}.{self._prefix}{attribute}.{'npz' if compressed else 'npy'}")
        if not path.is_file():
            hint = f"gensim saved this model in several files. Unpack them, keep {path.name} in the same folder, "
            hint += "and pass the path of the model."
            raise FormatError("a file with its vectors is missing", file=self.name, found="no " + path.name, hint=hint)
        return _read_npz(path) if compressed else open_npy(path)

    def check(self, what: str, matrix: npt.NDArray[Any], shape: tuple[int | None, int | None]) -> None:
        """Check that an array is a matrix of floating-point numbers of the given shape."""
        fits = matrix.ndim == 2 and all(want in (None, have) for want, have in zip(shape, matrix.shape, strict=True))
        if not fits or not 0 < matrix.shape[1] <= MAX_DIM or matrix.dtype.kind != "f" or matrix.dtype.itemsize > 8:
            rows, dim = ("any number of" if size is None else f"{size:,}" for size in shape)
            found = f"shape {matrix.shape} of {matrix.dtype}"
            raise FormatError(f"invalid {what}", file=self.name, found=found, expected=f"{rows} rows of {dim} floats")


def _read_npz(path: Path) -> npt.NDArray[Any]:
    """Read the array ``val`` of an ``.npz``."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("val.npy") as member:
            return read_npy(member, archive.getinfo("val.npy").file_size)
    except (*ZIP_DAMAGE, KeyError, RuntimeError, OverflowError) as error:
        raise FormatError(f"the array is damaged ({describe_exception(error)})", file=str(path)) from error


FORMAT: Final = Format(
    name=NAME,
    aliases=("pickle",),
    detect=detect,
    read=read,
    side_files=side_files,
    write=write,
    suffixes=(".kv",),
    written_beside=(BESIDE,),
    read_options=("words", "tensor"),
)
