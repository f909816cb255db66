"""GloVe's own binary vectors (``vectors.bin``): all parameters as doubles, whose words are in ``vocab.txt``.

::

    vectors.bin     float64, little-endian: a row for each word, then a row for each word as context; the last value of
                    a row is its bias
    vocab.txt       a word and its count on each line, in the order of the rows

GloVe's text files have the sum of both rows of a word, without biases (``-model 2``, the default). The result here is
the same sum. There is no header, so the number of values in a row follows from the size of the file and the number of
words.

Source: ``save_params`` in GloVe's ``glove.c``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.errors import FormatError
from vecload.formats.array_reader import ArrayReader
from vecload.formats.format import Format
from vecload.formats.matrices.word_sources import read_words_of_rows
from vecload.saved import MAX_DIM

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest
    from vecload.sources import Source

NAME: Final = "GloVe binary"
VOCAB: Final = "vocab.txt"

_DOUBLE: Final = np.dtype("<f8")
# Parameters of a model are mostly between these magnitudes. Bytes of other types, read as doubles, hardly ever are.
_SMALLEST: Final = 1e-6
_LARGEST: Final = 1e3
_SHARE: Final = 0.95


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 40 for bytes that are doubles of usual magnitudes: there is no magic number."""
    values = np.frombuffer(head[: len(head) // _DOUBLE.itemsize * _DOUBLE.itemsize], dtype=_DOUBLE)
    with np.errstate(invalid="ignore"):
        sizes = np.abs(values)
    usual = np.count_nonzero((sizes > _SMALLEST) & (sizes < _LARGEST))
    return 40 if len(values) and usual >= _SHARE * len(values) else 0


def side_files(name: str, names: Collection[str]) -> list[str]:  # noqa: ARG001 - all formats share this signature
    """Return the file of the words."""
    return [other for other in names if other == VOCAB]


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read the vectors; words are those of the request, or of ``vocab.txt`` in the same folder.

    Raises
    ------
    FormatError
        If the words are missing, or their number does not fit the size of the file.
    """
    words = request.word_list
    if words is None:
        words = read_words_of_rows(_vocab_beside(source))
    data = source.mapped()
    row = 2 * _DOUBLE.itemsize * max(1, len(words))
    width, rest = divmod(len(data), row)
    if rest or not len(words) or not 1 < width <= MAX_DIM + 1:
        found = f"{len(data):,} bytes for {len(words):,} words"
        hint = f"The words must be those of the {VOCAB} that the vectors were trained with."
        raise FormatError("the size does not fit the words", file=source.name, found=found, hint=hint)
    source.position += len(data)
    values = np.frombuffer(data, dtype=_DOUBLE).reshape(2, len(words), width)
    return ArrayReader(source.name, words, _Sums(values), request, meta={"format": NAME})


def _vocab_beside(source: Source) -> Path:
    path = None if source.path is None else source.path.with_name(VOCAB)
    if path is None or not path.is_file():
        hint = f'Put {VOCAB} beside the file, or pass words="{VOCAB}" (--words {VOCAB}).'
        raise FormatError(
            "binary vectors of GloVe without their words", file=source.name, found=f"no {VOCAB}", hint=hint
        )
    return path


class _Sums:
    """Sums of the rows of a word and of the word as context, without biases, made on demand."""

    def __init__(self, values: npt.NDArray[np.float64]) -> None:
        self._values = values
        self.shape = values.shape[1], values.shape[2] - 1
        self.dtype = np.dtype(np.float64)

    def __getitem__(self, at: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        sums: npt.NDArray[Any] = self._values[0, at, :-1] + self._values[1, at, :-1]
        return sums


FORMAT: Final = Format(
    name=NAME, detect=detect, read=read, side_files=side_files, shared_suffixes=(".bin",), read_options=("words",)
)
