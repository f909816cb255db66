"""Read and write rows of word2vec binary files: a word, a space, the bytes of the values, and often a line feed.

Arrays of bytes are uint8. Rows have no length field and words have no fixed length, so rows can only be found one after
the other; copying their values is a separate kernel, which runs on several threads. No kernel reads after the `stop`
that it is given, whatever the bytes are.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from vecload.kernels import kernel

_FEED: Final = 10
_SPACE: Final = 32
_EXPONENT: Final = np.uint32(0x7F800000)


@intrinsic
def copy_bytes(typingctx: Any, target: Any, at: Any, source: Any, begin: Any, count: Any) -> Any:
    """Copy ``source[begin:begin + count]`` to ``target[at:at + count]`` with C's memcpy, ten times as fast as a loop.

    Both are C-contiguous arrays of bytes of any shape; offsets count bytes from their start.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to = context.make_array(signature.args[0])(context, builder, args[0]).data
        origin = context.make_array(signature.args[2])(context, builder, args[2]).data
        cgutils.raw_memcpy(builder, builder.gep(to, [args[1]]), builder.gep(origin, [args[3]]), args[4], 1)
        return ir.Constant(ir.IntType(32), 0)

    return types.int32(target, types.int64, source, types.int64, types.int64), codegen


@kernel
def find_rows(data, start, stop, width, longest, starts, stops):  # type: ignore[no-untyped-def]
    """Find the rows in ``data[start:stop]``, and write the bounds of their words to `starts` and `stops` (int64).

    `width` is the number of bytes of a row's values, which begin after the space at ``stops[i]``. Line feeds before a
    word are skipped. At most ``len(starts)`` rows are found. The search ends early at an incomplete row, and at a word
    of more than `longest` bytes.

    Returns the number of rows and the offset after the last one.
    """
    count = 0
    end = start
    while count < len(starts):
        # word2vec.c writes a line feed after each row and gensim writes none, so line feeds before a word are optional.
        at = end
        while at < stop and data[at] == _FEED:
            at += 1
        begin = at
        last = min(stop, begin + longest + 1)
        while at < last and data[at] != _SPACE:
            at += 1
        if at == last or stop - at - 1 < width:
            break
        starts[count] = begin
        stops[count] = at
        end = at + 1 + width
        count += 1
    return count, end


@kernel
def copy_rows(data, begins, rows):  # type: ignore[no-untyped-def]
    """Copy the bytes of each row from ``begins[i]`` (int64) in `data` to ``rows[i]`` (uint8, C order)."""
    # `find_rows` has checked that `width` bytes after each word are inside the data.
    width = rows.shape[1]
    for i in range(len(begins)):
        copy_bytes(rows, i * width, data, begins[i], width)


@kernel
def first_nonfinite(bits):  # type: ignore[no-untyped-def]
    """Return the number of the first row that contains NaN or infinity, or the number of rows if no row does.

    `bits` are the floats as uint32, shape (n, dim), C order.
    """
    # All bits of the exponent are set in NaN and infinity, and only in them (IEEE 754). The inner loop has no exit, so
    # that LLVM vectorizes it.
    for i in range(bits.shape[0]):
        bad = False
        for column in range(bits.shape[1]):
            bad |= (bits[i, column] & _EXPONENT) == _EXPONENT
        if bad:
            return i
    return bits.shape[0]


@kernel
def write_rows(data, offsets, rows, out):  # type: ignore[no-untyped-def]
    """Write each row to `out`: the word, a space, the bytes of the values (uint8, C order), and a line feed."""
    width = rows.shape[1]
    at = 0
    for i in range(len(rows)):
        length = offsets[i + 1] - offsets[i]
        copy_bytes(out, at, data, offsets[i], length)
        at += length
        out[at] = _SPACE
        copy_bytes(out, at + 1, rows, i * width, width)
        at += 1 + width
        out[at] = _FEED
        at += 1
