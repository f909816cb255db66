"""Write a pickle of gensim's ``KeyedVectors`` from its instructions.

Neither gensim nor the matrix in memory is needed: rows are copied to the file as they are read. `pickletools` documents
the instructions; ``python -m pickletools file.kv`` shows them.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import numpy_dtype
from vecload.formats.writing.counted import open_counted

if TYPE_CHECKING:
    from pathlib import Path

    from vecload.formats.contract import RowStream, WriteOptions

_BLOCK: Final = 1 << 14  # words written at a time
_NPY_HEADER: Final = 128
# An item of the dict from words to row numbers: the word from the memo, then the row number.
_ENTRY: Final = [("get", "S1"), ("memo", "<u4"), ("int", "S1"), ("row", "<i4")]


BESIDE: Final = ".vectors.npy"
"""End of the name of the file with a large matrix, after the name of the pickle."""
SEPARATE_FROM: int = 10 << 20
"""Number of values from which gensim stores an array in a file of its own (``sep_limit``)."""


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:  # noqa: ARG001 - this format has no options
    """Write a ``KeyedVectors`` of gensim 4, for ``KeyedVectors.load``.

    A large matrix is a file of its own, as in gensim, so that ``KeyedVectors.load(path, mmap="r")`` maps it. bfloat16,
    which NumPy's pickles do not have, becomes float32. N-gram tables are not stored.
    """
    dtype = numpy_dtype(table.dtype).newbyteorder("<")
    with path.open("wb") as file:
        # PROTO 4; an empty KeyedVectors (GLOBAL, EMPTY_TUPLE, NEWOBJ); EMPTY_DICT and MARK for its attributes.
        file.write(b"\x80\x04cgensim.models.keyedvectors\nKeyedVectors\n)\x81}(")
        if table.expected * table.dim >= SEPARATE_FROM:
            rows = _write_matrix(path.with_name(path.name + BESIDE), table, dtype)
            file.write(_text("__numpys") + b"](" + _text("vectors") + b"e")
            file.write(b"".join(_text(name) + b"]" for name in ("__scipys", "__ignoreds", "__recursive_saveloads")))
        else:
            rows = _pickle_matrix(file, table, dtype)
        file.write(_text("vector_size") + _number(table.dim))
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
    return Counter()


def _pickle_matrix(file: IO[bytes], table: RowStream, dtype: np.dtype[Any]) -> int:
    """Write the attribute "vectors" into the pickle; return the number of rows."""
    rows = 0
    file.write(_text("vectors"))
    # An empty array by _reconstruct, whose state is (version, shape, dtype, order, bytes). The shape and the length of
    # the bytes (BINBYTES8) are written again when the number of rows is known.
    file.write(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01")
    shape = file.tell()
    file.write(_number(rows) + _number(table.dim) + b"\x86")
    file.write(b"cnumpy\ndtype\n" + _text(dtype.str[1:]) + b"\x89\x88\x87R(K\x03" + _text("<") + b"NNN")
    file.write(_number(-1) + _number(-1) + b"K\x00tb\x89\x8e")
    length = file.tell()
    file.write(struct.pack("<Q", 0))
    for batch in table.batches():
        file.write(np.ascontiguousarray(batch.rows, dtype=dtype).data)
        rows += len(batch.rows)
    # TUPLE and BUILD complete the array.
    file.write(b"tb")
    end = file.tell()
    file.seek(shape)
    file.write(_number(rows))
    file.seek(length)
    file.write(struct.pack("<Q", rows * table.dim * dtype.itemsize))
    file.seek(end)
    return rows


def _write_matrix(path: Path, table: RowStream, dtype: np.dtype[Any]) -> int:
    """Write the matrix as ``.npy``; return the number of rows."""
    rows = 0

    def header(count: int) -> bytes:
        # NumPy pads headers to a multiple of 64 bytes; one length for any count keeps the rows in place.
        text = repr({"descr": dtype.str, "fortran_order": False, "shape": (count, table.dim)})
        return (
            b"\x93NUMPY\x01\x00" + struct.pack("<H", _NPY_HEADER - 10) + text.ljust(_NPY_HEADER - 11).encode() + b"\n"
        )

    with open_counted(path, table.expected, header, exact=False) as file:
        for batch in table.batches():
            file.write(np.ascontiguousarray(batch.rows, dtype=dtype).view(np.uint8).reshape(-1), len(batch.rows))
            rows += len(batch.rows)
    return rows


def _text(string: str) -> bytes:
    """Return the instruction that pushes a string (BINUNICODE)."""
    raw = string.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def _number(number: int) -> bytes:
    """Return the instruction that pushes an integer (BININT), which always has five bytes and can be overwritten."""
    return b"J" + struct.pack("<i", number)
