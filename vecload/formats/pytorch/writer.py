"""Write the tuple ``(itos, stoi, vectors, dim)`` of torchtext's caches; ``torch.load(weights_only=True)`` opens it."""

from __future__ import annotations

import tempfile
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from vecload.arrays import as_tensor
from vecload.formats.writing.values import as_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from vecload.formats.contract import RowStream, WriteOptions


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:  # noqa: ARG001 - this format has no options
    """Write words and vectors with ``torch.save``. Types of values are kept.

    Rows are first written to a temporary file, which is then mapped: memory holds the words and a batch of rows.
    """
    import torch

    with tempfile.TemporaryFile(dir=path.parent) as spool:
        count = 0
        for batch in table.batches():
            spool.write(as_bytes(batch.rows.astype(table.dtype.newbyteorder("="), copy=False)).data)
            count += len(batch.rows)
        spool.flush()
        shape = count, table.dim
        # Operating systems cannot map zero bytes, and NumPy has no maps of bfloat16.
        raw = np.memmap(spool, dtype=np.uint8, mode="r") if count else np.empty(0, dtype=np.uint8)
        matrix = raw.view(table.dtype.newbyteorder("=")).reshape(shape)
        words = list(table.words)
        value = words, {word: row for row, word in enumerate(words)}, as_tensor(matrix), table.dim
        # Given a path, torch would name the folder in the archive after it, and the path is a temporary one.
        with path.open("wb") as file:
            torch.save(value, file)
    return Counter()
