"""Single instructions that Python has no word for, as numba intrinsics.

The one thing that kernels of several files share: an instruction does not change, so no cached kernel goes stale.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def load64(typingctx: Any, buffer: Any, index: Any) -> Any:
    """Eight bytes of a contiguous uint8 array as a little-endian uint64, in one unaligned load."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        word = ir.IntType(64)
        pointer = builder.bitcast(builder.gep(array.data, [args[1]]), word.as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(buffer, types.int64), codegen


@intrinsic
def store64(typingctx: Any, buffer: Any, index: Any, word: Any) -> Any:
    """Write a uint64 to eight bytes of a contiguous uint8 array, little end first, in one unaligned store."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        place = builder.bitcast(builder.gep(array.data, [args[1]]), ir.IntType(64).as_pointer())
        builder.store(args[2], place, align=1)
        return context.get_dummy_value()

    return types.void(buffer, types.int64, types.uint64), codegen


@intrinsic
def load8(typingctx: Any, buffer: Any, index: Any) -> Any:
    """One byte as an int64, without the test for a negative index that ``buffer[index]`` pays for."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.zext(builder.load(builder.gep(array.data, [args[1]])), ir.IntType(64))

    return types.int64(buffer, types.int64), codegen


@intrinsic
def trailing_zeros(typingctx: Any, value: Any) -> Any:
    """Number of zero bits below the lowest set bit of a uint64; 64 for zero."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@intrinsic
def leading_zeros(typingctx: Any, value: Any) -> Any:
    """Number of zero bits above the highest set bit of a uint64; 64 for zero."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@intrinsic
def set_bits(typingctx: Any, value: Any) -> Any:
    """Number of set bits of a uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen


def _compare(relation: str) -> Any:
    """Which of 64 bytes stand in a relation to a byte: a vector of LLVM's, which cuts it to what the processor has."""

    def mask(typingctx: Any, buffer: Any, index: Any, byte: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            block, integer = ir.VectorType(ir.IntType(8), 64), ir.IntType(32)
            pointer = builder.bitcast(builder.gep(array.data, [args[1]]), block.as_pointer())
            nothing = ir.Constant(block, ir.Undefined)
            one = builder.insert_element(nothing, builder.trunc(args[2], ir.IntType(8)), integer(0))
            all64 = builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(integer, 64), None))
            found = builder.icmp_unsigned(relation, builder.load(pointer, align=1), all64)
            return builder.bitcast(found, ir.IntType(64))

        return types.uint64(buffer, types.int64, types.int64), codegen

    return intrinsic(mask)


equal64 = _compare("==")
"""``equal64(buffer, index, byte)``: which of the 64 bytes from `index` on are `byte`, as the bits of a uint64."""
below64 = _compare("<")
"""``below64(buffer, index, byte)``: which of them are smaller."""


@intrinsic
def as_double(typingctx: Any, bits: Any) -> Any:
    """The double whose bit pattern is a uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.uint64), codegen


@intrinsic
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of a flat `index` into a contiguous array: a hint, which no address makes fail."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = builder.bitcast(builder.gep(view.data, [args[1]]), ir.IntType(8).as_pointer())
        integer = ir.IntType(32)
        hint = ir.FunctionType(ir.VoidType(), [pointer.type, integer, integer, integer])
        function = cgutils.get_or_insert_function(builder.module, hint, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, integer(0), integer(3), integer(1)])  # to read, into the nearest cache, data
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


@intrinsic
def add8(typingctx: Any, target: Any, at: Any, source: Any, begin: Any, weight: Any) -> Any:
    """``target[at:at + 8] += weight * source[begin:begin + 8]`` of contiguous float32 arrays, in flat indices.

    Each product and each sum is rounded, as one by one. LLVM makes such steps of a loop too, but leaves up to 31
    columns of a row to a slow rest.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        eight = ir.VectorType(ir.FloatType(), 8)
        into = context.make_array(signature.args[0])(context, builder, args[0])
        rows = context.make_array(signature.args[2])(context, builder, args[2])
        target_pointer = builder.bitcast(builder.gep(into.data, [args[1]]), eight.as_pointer())
        source_pointer = builder.bitcast(builder.gep(rows.data, [args[3]]), eight.as_pointer())
        one = builder.insert_element(ir.Constant(eight, ir.Undefined), args[4], ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), 8), [0] * 8)
        weights = builder.shuffle_vector(one, ir.Constant(eight, ir.Undefined), lanes)
        product = builder.fmul(builder.load(source_pointer, align=4), weights)
        total = builder.fadd(builder.load(target_pointer, align=4), product)
        builder.store(total, target_pointer, align=4)
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64, types.float32), codegen
