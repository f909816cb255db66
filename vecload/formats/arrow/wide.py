"""Wide tables: a column of words, and one column of floats for each value, as pandas writes a DataFrame."""

from __future__ import annotations

from typing import Any

import numpy as np

from vecload.errors import require

_ROWS = 512  # rows that are transposed together, so that they stay in the processor's cache


def find_values(kinds: dict[str, Any], word: str | None) -> tuple[list[str], np.dtype[Any]] | None:
    """Return the columns of values of a wide table, and the type that holds them; None if it is not one.

    All columns but the word must be floats.
    """
    types = require("pyarrow", "arrow").types
    names = [name for name in kinds if name != word]
    if word is None or not names or not all(types.is_floating(kinds[name]) for name in names):
        return None
    return names, np.result_type(*(float_dtype(kinds[name]) for name in names))


def float_dtype(kind: Any) -> np.dtype[Any]:
    """Return NumPy's type for a type of floats; pyarrow's own method imports pandas in some versions."""
    return np.dtype(f"f{kind.bit_width // 8}")


def join_values(batch: Any, word: str, names: list[str], vector: str, dtype: np.dtype[Any]) -> Any:
    """Return a record batch with the column of words and one column of lists, whose values may be null."""
    pa = require("pyarrow", "arrow")
    # Buffers that are too short would be read out of bounds.
    batch.validate(full=True)
    columns = [batch.column(name) for name in names]
    missing = any(column.null_count for column in columns)
    arrays = [column.to_numpy(zero_copy_only=False) for column in columns]
    rows = np.empty((batch.num_rows, len(names)), dtype=dtype)
    for begin in range(0, len(rows), _ROWS):
        np.stack([array[begin : begin + _ROWS] for array in arrays], axis=1, out=rows[begin : begin + _ROWS])
    mask = None
    if missing:
        mask = np.stack([column.is_null().to_numpy(zero_copy_only=False) for column in columns], axis=1).reshape(-1)
    values = pa.array(rows.reshape(-1), mask=mask)
    words = batch.column(word)
    if pa.types.is_integer(words.type):
        words = words.cast(pa.large_string())
    return pa.record_batch([words, pa.FixedSizeListArray.from_arrays(values, len(names))], names=[word, vector])
