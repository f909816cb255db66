"""`save`: write words and rows in memory to a file or folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vecload.arrays import IndexedRows
from vecload.errors import OptionError
from vecload.formats.history import History
from vecload.formats.outputs import choose_output
from vecload.formats.table import Table
from vecload.ngrams import NgramTable
from vecload.sources import OutputStream, open_target
from vecload.words import Words

if TYPE_CHECKING:
    from collections import Counter

    import numpy as np
    import numpy.typing as npt

    from vecload.formats.contract import RowStream
    from vecload.formats.outputs import Output

_log = logging.getLogger("vecload")


class Saveable(Protocol):
    """Words and their rows in memory, as `vecload.Vectors` has them."""

    @property
    def words(self) -> Words:
        """The words, each once."""

    @property
    def unique_rows(self) -> npt.NDArray[Any]:
        """Rows as they are stored, shape (m, dim)."""

    @property
    def row_ids(self) -> npt.NDArray[np.int64] | None:
        """Number of each word's row in `unique_rows`; None if word i has row i."""

    @property
    def meta(self) -> Mapping[str, Any]:
        """Description of the source."""

    @property
    def ngrams(self) -> NgramTable | None:
        """Character n-grams that compose vectors of other words."""

    @property
    def history(self) -> History:
        """Training and transforms of the vectors."""


def save(
    vectors: Saveable,
    path: str | os.PathLike[str],
    format: str | None = None,  # noqa: A002 - the field's word
    *,
    precision: int | None = None,
    unencodable: str = "raise",
) -> None:
    """Write the vectors to a file or folder, completely or not at all.

    Parameters
    ----------
    vectors
        Vectors to write.
    path
        Target: a file, or a folder for formats that consist of several files. The suffix selects the format and the
        compression.
    format
        Name of the format, if the suffix does not select it; ``vecload formats`` lists the names.
    precision
        Digits after the decimal point in text formats; None writes the fewest that read back to the same value.
    unencodable
        Policy for words that the format cannot represent: "raise" an error, "skip" the row, or "escape": write
        the word percent-encoded.

    Raises
    ------
    FormatError
        If the format cannot represent a word.
    OptionError
        If the format cannot be inferred, an option is invalid, or `path` cannot be replaced.

    Examples
    --------
    >>> import tempfile
    >>> from vecload import Vectors, load
    >>> target = Path(tempfile.mkdtemp()) / "vectors.txt"
    >>> Vectors(["cat", "dog"], [[0.5, 1], [2, 3]]).save(target)
    >>> print(target.read_text(), end="")
    2 2
    cat 0.5 1.0
    dog 2.0 3.0
    """
    output = choose_output(path, format, precision=precision, unencodable=unencodable)
    ids = vectors.row_ids
    rows = vectors.unique_rows if ids is None else IndexedRows(vectors.unique_rows, ids)
    write_table(output, Table(vectors.words, rows, vectors.meta, vectors.ngrams, vectors.history))


def write_table(output: Output, table: RowStream) -> tuple[Counter[str], int]:
    """Write the whole table or nothing; return the number of dropped rows, by cause, and the bytes written."""
    form = output.form
    if table.ngrams is not None and table.ngrams.kind not in form.ngram_kinds:
        if not table.expected:
            raise OptionError(f"{form.name} cannot store n-grams, and there are no words to write")
        _log.warning("%s: %s cannot store n-grams; they were dropped", output.path, form.name)
    folder, streams, compression = output.folder, output.streams, output.compression
    beside = form.written_beside
    with open_target(output.path, folder=folder, streams=streams, compression=compression, beside=beside) as to:
        if isinstance(to, OutputStream):
            assert form.write_stream is not None  # `choose_output` refuses other formats
            dropped = form.write_stream(to, table, output.options)
        else:
            assert form.write is not None  # likewise
            dropped = form.write(to, table, output.options)
    if isinstance(to, OutputStream):
        return dropped, to.written
    return dropped, sum(_size(Path(f"{output.path}{suffix}")) for suffix in ("", *beside))


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())
