"""Find words and their vectors in the value of a pickle: dictionaries, pairs, and tables with names.

These shapes are common in tutorials, caches and old projects:

- ``{word: vector}``, with lists or arrays;
- ``(words, matrix)`` in any order, with other values beside them: torchtext's ``(itos, stoi, vectors, dim)``;
- ``{"vectors": matrix, "words": words}`` under any names, as ``emb`` and ``vocab`` of Stanza, ``vectors`` and ``dico``
  of MUSE;
- ``{name: tensor}``, the state of a model, whose words are in another file.

Words are a list of strings, a dictionary ``{word: row}`` or ``{row: word}``, or an object that has one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from vecload.errors import FormatError, VocabularyError
from vecload.formats.matrices.tensors import choose_tensor
from vecload.formats.matrices.word_sources import requested_words
from vecload.formats.pickles.pickled_types import KeyValuePairs, PickledArray, PickledObject, type_name
from vecload.saved import MAX_DIM
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest

_SHOWN: Final = 10
_WORDS_INSIDE: Final = ("_id2unit", "_unit2id", "id2word", "word2id", "itos", "stoi", "words", "index_to_key")
"""Names under which objects of other libraries hold their words, in the order to look for them."""
_DEEPEST: Final = 4


class WordRows(NamedTuple):
    """Words and their rows."""

    words: Words
    matrix: npt.NDArray[Any]
    tensor: str | None
    """Name of the matrix, if it has one."""


def find_word_rows(value: Any, request: ReadRequest, name: str) -> WordRows:
    """Return the words and the matrix in the value of a pickle.

    Raises
    ------
    FormatError
        If the value has no words or no vectors, or the choice is not clear. The error describes the value.
    """
    entries = _named(value)
    if isinstance(value, dict) and request.tensor is None:
        rows = _dictionary_of_vectors(value)
        if rows is not None:
            return WordRows(_pack(value.keys(), name), rows, None)
    matrices = {key: array for key, item in entries if (array := _matrix(item)) is not None}
    if not matrices:
        hint = "Save a dictionary {word: vector}, or a pair of a list of words and a matrix."
        raise FormatError("no matrix of vectors", file=name, found=_describe(value, entries), hint=hint)
    shapes = {key: array.shape for key, array in matrices.items()}
    chosen = choose_tensor(shapes, request.tensor, name)
    matrix = matrices[chosen]
    tensor = chosen if isinstance(value, dict) else None
    if request.word_list is not None:
        return WordRows(requested_words(request, len(matrix), name), matrix, tensor)
    for _, item in entries:
        words = _words(item)
        if words is not None and len(words) == len(matrix):
            return WordRows(_pack(words, name), matrix, tensor)
    return WordRows(requested_words(request, len(matrix), name), matrix, tensor)  # raises: there are no words


def _named(value: Any) -> list[tuple[str, Any]]:
    """Return the parts of a container with their names; parts of a tuple or list are numbered."""
    if isinstance(value, PickledObject):
        value = value.state
    if isinstance(value, dict):
        return [(str(key), item) for key, item in value.items()]
    if isinstance(value, KeyValuePairs):
        return [(key, item) for key, item in value.items() if isinstance(key, str)]
    if isinstance(value, (tuple, list)) and len(value) <= _SHOWN:
        return [(str(at), item) for at, item in enumerate(value)]
    return [("0", value)]


def _dictionary_of_vectors(value: dict[str, Any]) -> npt.NDArray[Any] | None:
    """Return the vectors of a dictionary ``{word: vector}`` as a matrix; None for any other dictionary."""
    rows: list[npt.NDArray[Any]] = []
    for item in value.values():
        row = _array(item)
        if row is None and isinstance(item, (list, tuple)) and all(type(part) in (int, float) for part in item):
            row = _numbers(item)
        if row is None or row.ndim != 1 or (rows and row.shape != rows[0].shape):
            return None
        rows.append(row)
    if not rows or not 0 < len(rows[0]) <= MAX_DIM:
        return None
    return np.stack(rows) if rows[0].dtype.kind == "f" else np.stack(rows).astype(np.float32)


def _numbers(items: Any) -> npt.NDArray[np.float64] | None:
    try:
        return np.array(items, dtype=np.float64)
    except OverflowError:  # an integer beyond float64
        return None


def _array(item: Any) -> npt.NDArray[Any] | None:
    value = item.value if isinstance(item, PickledArray) else item
    return value if isinstance(value, np.ndarray) else None


def _matrix(item: Any) -> npt.NDArray[Any] | None:
    """Return an item that is a matrix of floating-point numbers: an array, or a list of lists of one length."""
    array = _array(item)
    if array is not None:
        fits = array.ndim == 2 and (array.dtype.kind == "f" or array.dtype.name == "bfloat16")
        return array if fits and 0 < array.shape[1] <= MAX_DIM else None
    if not isinstance(item, list) or not item or not all(isinstance(row, list) for row in item):
        return None
    width = len(item[0])
    if not 0 < width <= MAX_DIM or not all(len(row) == width for row in item):
        return None
    if not all(type(number) in (int, float) for row in item for number in row):
        return None
    return _numbers(item)


def _words(item: Any, depth: int = 0) -> list[str] | None:
    """Return the words that an item holds, in row order; None if it is anything else."""
    if isinstance(item, PickledObject):
        item = item.state
    if isinstance(item, (list, tuple)) and item and all(isinstance(word, str) for word in item):
        return list(item)
    pairs: Iterable[tuple[Any, Any]] | None = None
    if isinstance(item, (dict, KeyValuePairs)):
        pairs = list(item.items())
        for words in (_by_row(pairs), _by_row((row, word) for word, row in pairs)):
            if words is not None:
                return words
        if depth < _DEEPEST:
            inside = {key: part for key, part in pairs if isinstance(key, str)}
            for name in _WORDS_INSIDE:
                words = _words(inside.get(name), depth + 1)
                if words is not None:
                    return words
    return None


def _by_row(pairs: Iterable[tuple[Any, Any]]) -> list[str] | None:
    """Return the words of pairs (word, row) in row order; None unless the rows are 0 to n - 1."""
    listed = list(pairs)
    if not listed or not all(isinstance(word, str) and type(row) is int for word, row in listed):
        return None
    words: list[str | None] = [None] * len(listed)
    for word, row in listed:
        if not 0 <= row < len(words) or words[row] is not None:
            return None
        words[row] = word
    return [word for word in words if word is not None]


def _pack(words: Iterable[str], name: str) -> Words:
    try:
        return Words.from_strings(list(words))
    except VocabularyError as error:
        raise FormatError(str(error), file=name) from error


def _describe(value: Any, entries: list[tuple[str, Any]]) -> str:
    """Describe a container by its type and the types of its parts."""
    if len(entries) == 1 and entries[0][1] is value:
        return f"a pickled {type_name(value)}"
    shown = ", ".join(f"{key[:40]}: {_kind(item)}" for key, item in entries[:_SHOWN])
    return f"a {type_name(value)} of {shown}" + (f" and {len(entries) - _SHOWN:,} more" * (len(entries) > _SHOWN))


def _kind(item: Any) -> str:
    array = _array(item)
    return type_name(item) if array is None else f"{array.dtype} {array.shape}"
