"""Write sentence vectors to files: `pool_file`, which joins `SentencePooler` with one of three writers."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from vecload.errors import OptionError, require, warn
from vecload.message_text import sample
from vecload.pooling.encoding import BATCH_SIZE, stream
from vecload.saved import safetensors_header
from vecload.saved.npy import npy_header
from vecload.sources import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from vecload.pooling.sentence_pooler import SentencePooler

COLUMN = "vector"
"""Column of the sentence vectors in Parquet files and Arrow tables."""

_FLOAT = np.dtype("<f4")
_SAFETENSORS_HEADER = 256  # bytes before the rows


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
        Path of the file, which is written completely or not at all: ``.npy``, shape (n, dim); ``.safetensors``, the
        same in a tensor "vectors"; ``.parquet``, a column "vector" of lists of a fixed size.
    progress
        Whether to show a progress bar; None shows one if standard error is a terminal.

    Raises
    ------
    OptionError
        For any other suffix.
    """
    kind = suffix_of(output)
    count = tokens = 0
    # The first texts are kept for the warning that no text has a known word.
    remaining = iter(texts)
    head = list(islice(remaining, 3))
    batches = stream(
        pooler.tokenizer, pooler.lookup, pooler, chain(head, remaining), batch_size=BATCH_SIZE, progress=progress
    )
    with atomic_write(output) as part, _WRITERS[kind](part, pooler.output_dim) as writer:
        for batch, pooled in batches:
            writer.write(batch)
            count += len(batch)
            tokens += int(pooled.sum())
    if count and not tokens:
        begins = (
            f"the texts begin with {sample(map(str, head))}, the words of the vectors with {sample(pooler.words or ())}"
        )
        warn(f"{output}: no word of the {count:,} texts has a vector: {begins}; check the language and the case")
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
    if kind not in _WRITERS:
        raise OptionError(f"{os.fspath(output)}: choose an output that ends in {', '.join(_WRITERS)}")
    if kind == ".parquet":
        require("pyarrow.parquet", "arrow")
    return kind


class _Writer(Protocol):
    def __enter__(self) -> _Writer: ...
    def __exit__(self, *_: object) -> None: ...
    def write(self, rows: npt.NDArray[Any]) -> None: ...


class _RawWriter:
    """Rows after a header that is written again once their number is known.

    Parameters
    ----------
    header
        Function from the number of rows and of columns to a header, whose length must not depend on the rows.
    """

    def __init__(self, path: Path, dim: int, header: Callable[[int, int], bytes]) -> None:
        self._dim = dim
        self._header = header
        self._count = 0
        self._file: IO[bytes] = path.open("wb")
        self._file.write(header(0, dim))

    def __enter__(self) -> _RawWriter:
        return self

    def write(self, rows: npt.NDArray[Any]) -> None:
        self._file.write(np.ascontiguousarray(rows, dtype=_FLOAT).data)
        self._count += len(rows)

    def __exit__(self, *_: object) -> None:
        self._file.seek(0)
        self._file.write(self._header(self._count, self._dim))
        self._file.close()


def _npy(count: int, dim: int) -> bytes:
    # NumPy pads the header for any number of rows, so that files can grow in place.
    return npy_header((count, dim), _FLOAT)


def _safetensors(count: int, dim: int) -> bytes:
    # The header has the same length for any number of rows. By the first name in it, other functions recognize a file
    # of sentence vectors.
    return safetensors_header({"vectors": (_FLOAT, (count, dim))}, {}, page=_SAFETENSORS_HEADER)


class _ParquetWriter:
    def __init__(self, path: Path, dim: int) -> None:
        self._arrow: Any = require("pyarrow", "arrow")
        parquet: Any = require("pyarrow.parquet", "arrow")
        self._kind = self._arrow.list_(self._arrow.float32(), dim)
        self._schema = self._arrow.schema([(COLUMN, self._kind)])
        self._writer = parquet.ParquetWriter(path, self._schema)

    def __enter__(self) -> _ParquetWriter:
        return self

    def write(self, rows: npt.NDArray[Any]) -> None:
        self._writer.write_table(self._arrow.Table.from_arrays([column_of(rows)], schema=self._schema))

    def __exit__(self, *_: object) -> None:
        self._writer.close()


_WRITERS: dict[str, Callable[[Path, int], _Writer]] = {
    ".npy": partial(_RawWriter, header=_npy),
    ".parquet": _ParquetWriter,
    ".safetensors": partial(_RawWriter, header=_safetensors),
}


def column_of(rows: npt.NDArray[Any]) -> Any:
    """Return vectors, shape (n, dim), as an Arrow array of lists of a fixed size, without a copy."""
    arrow: Any = require("pyarrow", "arrow")
    flat = arrow.array(np.ascontiguousarray(rows, dtype=np.float32).reshape(-1))
    return arrow.FixedSizeListArray.from_arrays(flat, rows.shape[1])
