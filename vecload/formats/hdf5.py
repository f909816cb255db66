"""HDF5 files: a matrix whose words are in the same file or in another, such as ConceptNet Numberbatch's ``mini.h5``.

::

    mat/block0_values, mat/axis1    the values and the index of a table that pandas wrote (``DataFrame.to_hdf``)
    any name                        a matrix, and an array of strings of the same length if there is only one

Values may be whole numbers, as in ``mini.h5``; they become float32. Only the file itself is read: links to other
files, and data stored in them, are refused. The HDF5 library parses the file. It is written in C, and damaged files can
make it allocate much memory.

Sources: https://docs.h5py.org, and pandas' ``io/pytables.py``.
"""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.errors import FormatError, VecloadError, require
from vecload.formats.array_reader import ArrayReader
from vecload.formats.format import Format
from vecload.formats.matrices.tensors import choose_tensor
from vecload.formats.matrices.word_sources import check_count, requested_words
from vecload.saved import MAX_DIM
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest
    from vecload.sources import Source

NAME: Final = "HDF5"

_MAGIC: Final = b"\x89HDF\r\n\x1a\n"
_PANDAS_VALUES: Final = "block0_values"
_PANDAS_INDEX: Final = "axis1"
_MOST_NAMES: Final = 10_000
_WIDEST: Final = 8  # bytes of a number that NumPy has on every machine
_MOST_RATIO: Final = 1100  # of compressed to plain bytes; that of deflate is below 1,033
_SPARE: Final = 1 << 16


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 95 for the signature."""
    return 95 if head.startswith(_MAGIC) else 0


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read a matrix and its words.

    Raises
    ------
    FormatError
        If the matrix or the words are missing or ambiguous, or the file is damaged.
    MissingDependencyError
        If h5py is not installed.
    """
    h5py = require("h5py", "hdf5")
    with _as_format_errors(source.name):
        place = source.path or source.spooled()
        file = h5py.File(place, "r")
        datasets = _datasets(h5py, file, source.name)
        matrices = {name: one.shape for name, one in datasets.items() if one.ndim == 2 and one.dtype.kind in "fiu"}
        pandas = [name for name in matrices if name.endswith(f"/{_PANDAS_VALUES}")]
        name = pandas[0] if request.tensor is None and len(pandas) == 1 else None
        name = name or choose_tensor(matrices, request.tensor, source.name)
        dataset = _checked(datasets[name], f"{source.name}/{name}")
        words = request.word_list or _words(datasets, name, source.name)
        if words is None:
            words = requested_words(request, dataset.shape[0], source.name)
        check_count(words, dataset.shape[0], source.name)
    source.position += source.size or 0
    meta: dict[str, Any] = {"format": NAME, "tensor": name}
    if dataset.dtype.kind != "f":
        meta["quantized"] = dataset.dtype.name
    rows = _Rows(dataset, source.name)
    # The file is read until the last batch, and closed when the reader is no longer used.
    weakref.finalize(rows, _close, file, place)
    return ArrayReader(source.name, words, rows, request, meta=meta)


def _close(file: Any, place: Any) -> None:
    file.close()
    if hasattr(place, "close"):
        place.close()


@contextlib.contextmanager
def _as_format_errors(name: str) -> Iterator[None]:
    """Turn the errors of h5py into `FormatError`."""
    try:
        yield
    except VecloadError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise FormatError(f"cannot read the HDF5 file ({error})", file=name) from error


def _datasets(h5py: Any, file: Any, path: str) -> dict[str, Any]:
    """Return the arrays of a file, by name. Links, which could point to other files, are not followed."""
    names: list[str] = []

    def add(name: str) -> bool | None:
        names.append(name)
        return True if len(names) > _MOST_NAMES else None  # True ends the visit, which may be endless

    # `visititems`, which would return the arrays themselves, loops forever in some damaged files.
    if file.visit_links(add):
        raise FormatError("too many names", file=path, expected=f"{_MOST_NAMES:,} at most")
    hard = [name for name in names if isinstance(file.get(name, getlink=True), h5py.HardLink)]
    return {name: item for name in hard if isinstance(item := file[name], h5py.Dataset)}


def _checked(dataset: Any, name: str) -> Any:
    """Return a matrix if its values are in the file."""
    if dataset.external or dataset.is_virtual:
        raise FormatError("values that are stored in another file", file=name)
    numbers = dataset.dtype.kind in "fiu" and dataset.dtype.itemsize <= _WIDEST
    if dataset.ndim != 2 or not numbers or not 0 < dataset.shape[1] <= MAX_DIM:
        found = f"shape {dataset.shape} of {dataset.dtype}"
        raise FormatError("not a matrix of numbers", file=name, found=found)
    # Values that were never written take no space in the file, so a small file could claim any size.
    stored = dataset.id.get_storage_size()
    if dataset.size * dataset.dtype.itemsize > _MOST_RATIO * stored + _SPARE:
        raise FormatError("values that are missing in the file", file=name, found=f"{stored:,} bytes stored")
    return dataset


def _words(datasets: dict[str, Any], name: str, file: str) -> Words | None:
    """Return the words that belong to a matrix; None if they are not in the file."""
    group = name.rpartition("/")[0]
    rows = datasets[name].shape[0]
    index = datasets.get(f"{group}/{_PANDAS_INDEX}".lstrip("/"))
    if index is not None and name.endswith(_PANDAS_VALUES):
        return _strings(index, f"{file}/{index.name.lstrip('/')}")
    fitting = [one for one in datasets.values() if one.ndim == 1 and one.shape[0] == rows and one.dtype.kind in "SO"]
    return _strings(fitting[0], f"{file}/{fitting[0].name.lstrip('/')}") if len(fitting) == 1 else None


def _strings(dataset: Any, name: str) -> Words:
    """Return the strings of an array, as they are stored."""
    if dataset.external or dataset.is_virtual or dataset.ndim != 1:
        raise FormatError("words that are stored in another file", file=name)
    if dataset.dtype.kind == "S" or (dataset.dtype.kind == "O" and dataset.dtype.metadata is not None):
        stored = dataset.id.get_storage_size()
        if dataset.dtype.kind == "S" and dataset.size * dataset.dtype.itemsize > _MOST_RATIO * stored + _SPARE:
            raise FormatError("words that are missing in the file", file=name, found=f"{stored:,} bytes stored")
        values = dataset[:].tolist()
        if all(isinstance(value, (bytes, str)) for value in values):
            return Words.from_bytes([value.encode() if isinstance(value, str) else value for value in values])
    raise FormatError("words that are not text", file=name, found=str(dataset.dtype))


class _Rows:
    """Rows of a dataset, read when they are requested."""

    def __init__(self, dataset: Any, name: str) -> None:
        self._dataset = dataset
        self._name = name
        self.shape: tuple[int, ...] = dataset.shape
        whole = dataset.dtype.kind != "f"
        self.dtype = np.dtype(np.float32) if whole else dataset.dtype.newbyteorder("=")

    def __getitem__(self, at: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        if not len(at):
            return np.empty((0, self.shape[1]), dtype=self.dtype)
        # One request for a block of rows is much faster than one for scattered rows.
        begin = int(at[0])
        with _as_format_errors(self._name):
            block: npt.NDArray[Any] = self._dataset[begin : int(at[-1]) + 1]
        return block[at - begin].astype(self.dtype, copy=False)


FORMAT: Final = Format(
    name=NAME,
    aliases=("h5",),
    detect=detect,
    read=read,
    shared_suffixes=(".h5", ".hdf5"),
    read_options=("words", "tensor"),
)
