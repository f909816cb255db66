"""Write sentence vectors to files."""

from __future__ import annotations

import json
import os
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from vecload.errors import OptionError, require, sample, warn
from vecload.pooling import encoding
from vecload.sources import atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from vecload.pooling.sentence_pooler import SentencePooler

_HEADER = 256  # bytes of a header that waits for the number of rows
COLUMN = "vector"


def pool_file(
    pooler: SentencePooler,
    texts: Iterable[str],
    output: str | os.PathLike[str],
    *,
    progress: bool | None = None,
) -> int:
    """Write the vectors of texts to a file, batch by batch, and return their number.

    Parameters
    ----------
    pooler
        The pooler.
    texts
        Any iterable of texts.
    output
        ``.npy`` (n, dim); ``.safetensors``, the same under "vectors"; ``.parquet``, a column "vector" of lists of a
        fixed size. It appears whole or not at all.
    progress
        Whether to show a bar; None when standard error is a terminal.

    Raises
    ------
    OptionError
        For any other suffix.
    """
    kind = suffix_of(output)
    count = tokens = 0
    stream = iter(texts)
    head = list(islice(stream, 3))
    with atomic_write(output) as part, _SINKS[kind](part, pooler.output_dim) as sink:
        for batch, pooled in encoding.stream(pooler, chain(head, stream), progress=progress):
            sink.write(batch)
            count += len(batch)
            tokens += int(pooled.sum())
    if count and not tokens:
        sides = (
            f"the texts begin with {sample(map(str, head))}; the words there begin with {sample(pooler.words or ())}"
        )
        warn(f"{output}: no word of the {count:,} texts has a vector: {sides}; check the language and the case")
    return count


def suffix_of(output: str | os.PathLike[str]) -> str:
    """Return the suffix of an output, which selects its format.

    Raises
    ------
    OptionError
        For a suffix that is not written.
    MissingDependencyError
        If a package that writes the format is not installed.
    """
    kind = Path(output).suffix
    if kind not in _SINKS:
        raise OptionError(f"{os.fspath(output)}: choose an output that ends in {', '.join(_SINKS)}")
    if kind == ".parquet":
        require("pyarrow.parquet", "arrow")
    return kind


class _Sink(Protocol):
    def __enter__(self) -> _Sink: ...
    def __exit__(self, *_: object) -> None: ...
    def write(self, rows: npt.NDArray[Any]) -> None: ...


class _Raw:
    """Rows one behind the other; the header is written in front, into its room, when their number is known."""

    def __init__(self, path: Path, dim: int, header: Callable[[int, int], bytes]) -> None:
        self._dim = dim
        self._header = header
        self._count = 0
        self._file: IO[bytes] = path.open("wb")
        self._file.write(b"\0" * _HEADER)

    def __enter__(self) -> _Raw:
        return self

    def write(self, rows: npt.NDArray[Any]) -> None:
        self._file.write(np.ascontiguousarray(rows, dtype="<f4").data)
        self._count += len(rows)

    def __exit__(self, *_: object) -> None:
        self._file.seek(0)
        self._file.write(self._header(self._count, self._dim))
        self._file.close()


def _npy(count: int, dim: int) -> bytes:
    """Version 1 of ``numpy.lib.format``: magic, two bytes of length, a dictionary ended by a line feed."""
    described = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {dim}), }}"
    length = _HEADER - 10
    return b"\x93NUMPY\x01\x00" + length.to_bytes(2, "little") + described.ljust(length - 1).encode() + b"\n"


def _safetensors(count: int, dim: int) -> bytes:
    """A header of one tensor, filled up with spaces."""
    entry = {"dtype": "F32", "shape": [count, dim], "data_offsets": [0, 4 * count * dim]}
    length = _HEADER - 8
    return length.to_bytes(8, "little") + json.dumps({"vectors": entry}).ljust(length).encode()


class _Parquet:
    def __init__(self, path: Path, dim: int) -> None:
        self._arrow: Any = require("pyarrow", "arrow")
        parquet: Any = require("pyarrow.parquet", "arrow")
        self._kind = self._arrow.list_(self._arrow.float32(), dim)
        self._schema = self._arrow.schema([(COLUMN, self._kind)])
        self._writer = parquet.ParquetWriter(path, self._schema)

    def __enter__(self) -> _Parquet:
        return self

    def write(self, rows: npt.NDArray[Any]) -> None:
        self._writer.write_table(self._arrow.Table.from_arrays([column_of(rows)], schema=self._schema))

    def __exit__(self, *_: object) -> None:
        self._writer.close()


_SINKS: dict[str, Callable[[Path, int], _Sink]] = {
    ".npy": partial(_Raw, header=_npy),
    ".parquet": _Parquet,
    ".safetensors": partial(_Raw, header=_safetensors),
}


def column_of(rows: npt.NDArray[Any]) -> Any:
    """Vectors, (n, dim), as an Arrow array of lists of a fixed size, without a copy."""
    arrow: Any = require("pyarrow", "arrow")
    flat = arrow.array(np.ascontiguousarray(rows, dtype=np.float32).reshape(-1))
    return arrow.FixedSizeListArray.from_arrays(flat, rows.shape[1])
