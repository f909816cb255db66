"""Write files of records: a kernel formats the values of a batch on a thread, then each record gets its word."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from typing import TYPE_CHECKING

import numpy as np

from vecload.formats.text.writer import check_options, format_lines
from vecload.formats.writing.counted import open_counted
from vecload.threads import Pool

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from vecload.formats.contract import RowStream, WriteOptions
    from vecload.formats.table import Batch
    from vecload.sources import OutputStream


def write_records(
    output: Path | OutputStream,
    table: RowStream,
    options: WriteOptions,
    *,
    mark: bytes,
    first: bytes,
    record: Callable[[bytes, bytes], bytes],
    last: bytes = b"",
    between: bytes = b"",
) -> Counter[str]:
    """Write a record for each row.

    Parameters
    ----------
    output
        Path of the file, or a stream.
    table
        The rows to write.
    options
        `precision` is that of text vectors.
    mark
        Byte between values.
    first, last
        Bytes before the first record, and after the last one.
    record
        Function of a word and its spelled values that returns the record.
    between
        Bytes between records.

    Returns
    -------
    Counter
        An empty counter: no row is dropped.
    """
    from vecload.kernels import workers

    check_options(options)
    pending: deque[Future[bytes]] = deque()
    batches = table.batches()

    def spell(batch: Batch) -> bytes:
        return between.join(_records(batch, options.precision, mark, record))

    with open_counted(output, 0, lambda _: first, exact=True) as file, Pool(workers()) as pool:
        follows = False
        while True:
            while len(pending) <= workers() and (batch := next(batches, None)) is not None:
                if len(batch.rows):
                    pending.append(pool.submit(spell, batch))
            if not pending:
                break
            file.write(between + pending[0].result() if follows else pending[0].result(), 0)
            pending.popleft()
            follows = True
        file.write(last, 0)
    return Counter()


def _records(batch: Batch, precision: int | None, mark: bytes, record: Callable[[bytes, bytes], bytes]) -> list[bytes]:
    """Return the records of a batch."""
    # The kernel of text vectors writes lines of a word and values after spaces; with empty words, of values only.
    nameless = batch._replace(data=np.empty(0, dtype=np.uint8), offsets=np.zeros(len(batch.rows) + 1, dtype=np.int64))
    lines = format_lines(nameless, precision)[0].tobytes().replace(b" ", mark).split(b"\n")
    raw, ends = batch.data.tobytes(), batch.offsets.tolist()
    words = (raw[begin:end] for begin, end in itertools.pairwise(ends))
    return [record(word, line[len(mark) :]) for word, line in zip(words, lines, strict=False)]
