"""Write text vectors: a kernel formats batches on threads, and the lines are written in order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.errors import FormatError, OptionError
from vecload.formats.text.grammar import BOM
from vecload.formats.writing.counted import open_counted
from vecload.formats.writing.word_policy import WordPolicy
from vecload.message_text import quote
from vecload.sources import detect_compression
from vecload.threads import Pool
from vecload.words import read_only

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import RowStream, WriteOptions
    from vecload.formats.table import Batch
    from vecload.sources import OutputStream

HEADERS: Final = {"glove": False, "word2vec": True, "word2vec text": True, "vec": True}
"""Whether a file has a header line, by the alias that says so. Without an alias, files are written with a header."""

_BAD_BYTES: Final = b" \n\t\r\0"
_FLOAT32_BYTES: Final = 4


def write(output: Path | OutputStream, table: RowStream, options: WriteOptions) -> Counter[str]:
    """Write text vectors: a word and its values on each line, with a space before each value.

    Parameters
    ----------
    output
        Path of the file, or a stream.
    table
        The rows to write.
    options
        The alias "glove" omits the header line of rows and dimension. `precision` is 0 to 9. `unencodable` applies to
        words with a space, tab, line feed, carriage return or NUL, and to the empty word.

    Returns
    -------
    Counter
        Number of dropped rows, by cause.
    """
    from vecload.kernels import workers

    check_options(options)
    header = HEADERS.get(options.alias, True)
    policy = WordPolicy("text", _BAD_BYTES, options.unencodable)
    pending: deque[Future[tuple[npt.NDArray[np.uint8], int]]] = deque()

    def first_line(rows: int) -> bytes:
        return f"{rows} {table.dim}\n".encode() if header else b""

    # The header has the row count, which is unknown in advance if the source is a stream or words may be dropped.
    exact = table.rows is not None and options.unencodable != "skip"
    with open_counted(output, table.expected, first_line, exact=exact) as file, Pool(workers()) as pool:
        batches: Iterator[Batch] = map(policy.apply, table.batches())
        first = not header
        while True:
            # One batch more than there are threads, so that no thread waits while this one writes.
            while len(pending) <= workers() and (batch := next(batches, None)) is not None:
                if first and len(batch.rows):
                    _check_first(batch)
                    first = False
                pending.append(pool.submit(format_lines, batch, options.precision))
            if not pending:
                return policy.dropped
            file.write(*pending.popleft().result())


def check_options(options: WriteOptions) -> None:
    """Raise OptionError for a number of digits out of range."""
    precision = options.precision
    if precision is None:
        return
    from vecload.kernels.float_formatting import MAX_DECIMALS

    if not 0 <= precision <= MAX_DECIMALS:
        raise OptionError(f"precision={precision} is not in 0 to {MAX_DECIMALS} digits after the decimal point")


def _check_first(batch: Batch) -> None:
    """Refuse a first word that would make readers mistake the file for something else.

    Readers drop a byte order mark, and decompress a file that begins with the magic number of a compression.
    """
    # Only the first word is at the start of the file, and only if there is no header.
    word = batch.words.bytes(0)
    kind = detect_compression(word)
    if kind is not None:
        problem = f"the first word, {quote(word)}, begins like a file compressed with {kind}"
        raise FormatError(problem, hint="Write it with a header: format='word2vec'.")
    if word.startswith(BOM):
        problem = "the first word begins with U+FEFF, which readers treat as the byte order mark of a file"
        raise FormatError(problem, hint="Write it with a header: format='word2vec'.")


def format_lines(batch: Batch, precision: int | None) -> tuple[npt.NDArray[np.uint8], int]:
    """Return the lines of a batch as bytes, and their number."""
    if batch.rows.dtype.itemsize > _FLOAT32_BYTES:
        return _format_doubles(batch, precision), len(batch.rows)
    from vecload.kernels import float_formatting

    # float16 and bfloat16 become float32, which is exact. The buffer has space for the longest spelling of every value;
    # the kernel returns the number of bytes it used.
    rows = np.ascontiguousarray(batch.rows, dtype=np.float32)
    out = np.empty(len(batch.data) + rows.size * float_formatting.MAX_VALUE_BYTES + len(rows), dtype=np.uint8)
    decimals = -1 if precision is None else precision
    packed = read_only(batch.data), read_only(batch.offsets)
    count = float_formatting.format_rows(*packed, read_only(rows), read_only(rows.view(np.uint32)), decimals, out)
    return out[:count], len(rows)


def _format_doubles(batch: Batch, precision: int | None) -> npt.NDArray[np.uint8]:
    """Return the lines of float64 rows. They are rare enough for Python's own shortest decimals."""
    spell = repr if precision is None else f"{{:.{precision}f}}".format
    found = batch.words
    rows = enumerate(batch.rows.tolist())
    lines = [found.bytes(at) + f" {' '.join(map(spell, row))}\n".encode() for at, row in rows]
    return np.frombuffer(b"".join(lines), dtype=np.uint8)
