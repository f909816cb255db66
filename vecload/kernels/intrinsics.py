"""Processor instructions that Python cannot express, as numba intrinsics that emit LLVM IR.

Plain indexing such as ``buffer[index]`` adds a test for negative indices, and NumPy has no unaligned load of eight
bytes, no count of trailing zeros and no prefetch. Each intrinsic here is one LLVM instruction or a fixed sequence of
them, without any bounds check: the calling kernel says why its indices are in range.

The hash of fastText's dictionary, which its file format fixes, is here as well.

Kernels of several files use this module, although numba's cache does not notice changes to it. That is safe because the
meaning of an instruction, and of a file format, never changes. After changing code here, delete the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from vecload.kernels import inline

FNV_BASIS = np.uint64(2166136261)
"""Initial state of the 32-bit FNV-1a hash."""

_PRIME = np.uint64(16777619)
_LOW32 = np.uint64(0xFFFFFFFF)
_SIGN = np.uint64(0xFFFFFF00)


@intrinsic
def load64(typingctx: Any, buffer: Any, index: Any) -> Any:
    """Load eight bytes of a contiguous uint8 array as a little-endian uint64, in one unaligned load."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        word = ir.IntType(64)
        pointer = builder.bitcast(builder.gep(array.data, [args[1]]), word.as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(buffer, types.int64), codegen


@intrinsic
def store64(typingctx: Any, buffer: Any, index: Any, word: Any) -> Any:
    """Store a uint64 as eight bytes of a contiguous uint8 array, in little-endian order, in one unaligned store."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = builder.bitcast(builder.gep(array.data, [args[1]]), ir.IntType(64).as_pointer())
        builder.store(args[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(buffer, types.int64, types.uint64), codegen


@intrinsic
def load8(typingctx: Any, buffer: Any, index: Any) -> Any:
    """Load one byte as an int64, without the test for a negative index that ``buffer[index]`` makes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.zext(builder.load(builder.gep(array.data, [args[1]])), ir.IntType(64))

    return types.int64(buffer, types.int64), codegen


@intrinsic
def trailing_zeros(typingctx: Any, value: Any) -> Any:
    """Return the number of zero bits below the lowest set bit of a uint64; 64 for zero."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@intrinsic
def leading_zeros(typingctx: Any, value: Any) -> Any:
    """Return the number of zero bits above the highest set bit of a uint64; 64 for zero."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@intrinsic
def set_bits(typingctx: Any, value: Any) -> Any:
    """Return the number of set bits of a uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen


def _compare(relation: str) -> Any:
    """Make an intrinsic that compares 64 bytes with one byte, and returns the results as the bits of a uint64.

    It uses a vector of 64 bytes, which LLVM splits into the vector registers that the processor has.
    """

    def mask(typingctx: Any, buffer: Any, index: Any, byte: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            block, integer = ir.VectorType(ir.IntType(8), 64), ir.IntType(32)
            pointer = builder.bitcast(builder.gep(array.data, [args[1]]), block.as_pointer())
            # Insert the byte into an empty vector, then copy that element to all 64: LLVM's idiom for a broadcast.
            nothing = ir.Constant(block, ir.Undefined)
            one = builder.insert_element(nothing, builder.trunc(args[2], ir.IntType(8)), integer(0))
            all64 = builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(integer, 64), None))
            found = builder.icmp_unsigned(relation, builder.load(pointer, align=1), all64)
            return builder.bitcast(found, ir.IntType(64))

        return types.uint64(buffer, types.int64, types.int64), codegen

    return intrinsic(mask)


equal64 = _compare("==")
"""``equal64(buffer, index, byte)``: bit mask of the 64 bytes from `index` on that equal `byte`."""
below64 = _compare("<")
"""``below64(buffer, index, byte)``: bit mask of the 64 bytes from `index` on that are smaller than `byte`."""


@intrinsic
def replace64(typingctx: Any, source: Any, begin: Any, target: Any, at: Any, byte: Any, other: Any) -> Any:
    """Copy the 64 bytes from `begin` of a contiguous uint8 array to `at` of another one, with `other` for `byte`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block, integer = ir.VectorType(ir.IntType(8), 64), ir.IntType(32)
        nothing = ir.Constant(block, ir.Undefined)

        def pointer(kind: Any, array: Any, index: Any) -> Any:
            data = context.make_array(kind)(context, builder, array).data
            return builder.bitcast(builder.gep(data, [index]), block.as_pointer())

        def all64(value: Any) -> Any:
            one = builder.insert_element(nothing, builder.trunc(value, ir.IntType(8)), integer(0))
            return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(integer, 64), None))

        loaded = builder.load(pointer(signature.args[0], args[0], args[1]), align=1)
        found = builder.icmp_unsigned("==", loaded, all64(args[4]))
        changed = builder.select(found, all64(args[5]), loaded)
        builder.store(changed, pointer(signature.args[2], args[2], args[3]), align=1)
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64, types.int64, types.int64), codegen


@intrinsic
def as_double(typingctx: Any, bits: Any) -> Any:
    """Return the double that has the bit pattern of a uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.uint64), codegen


@intrinsic
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Start loading the cache line of a flat `index` into a contiguous array.

    A prefetch is a hint to the processor. It never faults, so any index is allowed.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = builder.bitcast(builder.gep(view.data, [args[1]]), ir.IntType(8).as_pointer())
        integer = ir.IntType(32)
        hint = ir.FunctionType(ir.VoidType(), [pointer.type, integer, integer, integer])
        function = cgutils.get_or_insert_function(builder.module, hint, "llvm.prefetch.p0i8")
        # LLVM has no builder method for this intrinsic, so it is declared by name.
        # The arguments of llvm.prefetch: for reading (0), keep in all caches (3), data and not instructions (1).
        builder.call(function, [pointer, integer(0), integer(3), integer(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


@intrinsic
def borrowed(typingctx: Any, array: Any) -> Any:
    """Return the same array without its reference count, for as long as the caller holds the array.

    numba counts references with atomic instructions whenever an array is passed to another function, inlined or not.
    In an inner loop, that takes longer than the work itself.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, args[0])
        view.meminfo = ir.Constant(view.meminfo.type, None)
        view.parent = ir.Constant(view.parent.type, None)
        return view._getvalue()

    return array(array), codegen


@intrinsic
def add8(typingctx: Any, target: Any, at: Any, source: Any, begin: Any, weight: Any) -> Any:
    """Compute ``target[at:at + 8] += weight * source[begin:begin + 8]`` for contiguous float32 arrays, in flat indices.

    Every product and every sum is rounded separately, as in a loop over single values, so the result has the same bits.
    LLVM vectorizes such a loop too, but in steps of up to 32 values, and computes up to 31 remaining columns of each
    row one by one.
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


@inline
def fnv1a(state, byte):  # type: ignore[no-untyped-def]
    """Return the next state of the 32-bit FNV-1a hash, for a byte taken as signed."""
    value = np.uint64(byte)
    if byte >= 128:
        value |= _SIGN
    return ((state ^ value) * _PRIME) & _LOW32
