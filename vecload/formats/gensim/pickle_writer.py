"""Write a pickle of gensim's ``KeyedVectors`` from its instructions.

Neither gensim nor the matrix in memory is needed: rows are copied to the file as they are read. `pickletools` documents
the instructions; ``python -m pickletools file.kv`` shows them.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from vecload.arrays import numpy_dtype

if TYPE_CHECKING:
    from pathlib import Path

    from vecload.formats.contract import RowStream, WriteOptions

_BLOCK: Final = 1 << 14  # words written at a time
# An item of the dict from words to row numbers: the word from the memo, then the row number.
_ENTRY: Final = [("get", "S1"), ("memo", "<u4"), ("int", "S1"), ("row", "<i4")]


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:  # noqa: ARG001 - this format has no options
    """Write a ``KeyedVectors`` of gensim 4 as one file, for ``KeyedVectors.load``.

    bfloat16, which NumPy's pickles do not have, becomes float32. N-gram tables are not stored.
    """
    dtype = numpy_dtype(table.dtype)
    rows = 0
    with path.open("wb") as file:
        # PROTO 4; an empty KeyedVectors (GLOBAL, EMPTY_TUPLE, NEWOBJ); EMPTY_DICT and MARK for its attributes.
        file.write(b"\x80\x04cgensim.models.keyedvectors\nKeyedVectors\n)\x81}(" + _text("vectors"))
        # The attribute "vectors": an empty array by _reconstruct, whose state is (version, shape, dtype, order, bytes).
        # The shape and the length of the bytes (BINBYTES8) are written again when the number of rows is known.
        file.write(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01")
        shape = file.tell()
        file.write(_number(rows) + _number(table.dim) + b"\x86")
        file.write(b"cnumpy\ndtype\n" + _text(dtype.str[1:]) + b"\x89\x88\x87R(K\x03" + _text("<") + b"NNN")
        file.write(_number(-1) + _number(-1) + b"K\x00tb\x89\x8e")
        length = file.tell()
        file.write(struct.pack("<Q", 0))
        for batch in table.batches():
            file.write(np.ascontiguousarray(batch.rows, dtype=dtype.newbyteorder("<")).data)
            rows += len(batch.rows)
        # TUPLE and BUILD complete the array.
        file.write(b"tb" + _text("vector_size") + _number(table.dim))
        file.write(_text("index_to_key") + b"](")
        # MEMOIZE gives word i the memo number i, by which key_to_index refers to it: each word is stored only once.
        for begin in range(0, rows, _BLOCK):
            file.write(b"".join(_text(word) + b"\x94" for word in table.words[begin : begin + _BLOCK]))
        file.write(b"e" + _text("key_to_index") + b"}(")
        for begin in range(0, rows, _BLOCK):
            entries = np.empty(min(_BLOCK, rows - begin), dtype=_ENTRY)
            entries["get"], entries["int"] = b"j", b"J"  # LONG_BINGET and BININT
            entries["memo"] = entries["row"] = np.arange(begin, begin + len(entries))
            file.write(entries.tobytes())
        file.write(b"u" + _text("next_index") + _number(rows) + _text("expandos") + b"}" + _text("norms") + b"Nub.")
        file.seek(shape)
        file.write(_number(rows))
        file.seek(length)
        file.write(struct.pack("<Q", rows * table.dim * dtype.itemsize))
    return Counter()


def _text(string: str) -> bytes:
    """Return the instruction that pushes a string (BINUNICODE)."""
    raw = string.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def _number(number: int) -> bytes:
    """Return the instruction that pushes an integer (BININT), which always has five bytes and can be overwritten."""
    return b"J" + struct.pack("<i", number)
