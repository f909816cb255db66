"""Format float32 values as decimal text: the shortest text that reads back unchanged, or a fixed number of decimals.

The shortest decimal is found as in R. Giulietti, "The Schubfach way to render doubles" (2020, revised 2022), with the
sizes of float32. A float is ``c * 2**q``, and the decimals that read back to it are those between the midpoints to its
two neighbors. The paper's idea is the pigeonhole principle ("Schubfachprinzip"): for the largest power of ten
``10**k`` that is not wider than this interval, at least one multiple of ``10**k`` is in the interval, and at most one
multiple of ``10**(k + 1)``. So only two candidates of each length have to be compared.

The comparisons use integers: ``10**-k`` is approximated by one 64-bit number, which section 9 of the paper proves to be
precise enough if products are rounded to odd (see `_scaled`). A test compares the digits with NumPy's for floats of
every exponent.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from vecload.kernels import inline, kernel

MAX_VALUE_BYTES: Final = 24
"""Maximum number of bytes that a value and the space before it take."""
MAX_DECIMALS: Final = 9
"""Maximum number of digits after the decimal point in the fixed notation, so that `_put_fixed` fits in 64 bits."""

_MINUS: Final = 45
_POINT: Final = 46
_ZERO: Final = 48
_U0, _U1, _U2, _U10, _U32 = (np.uint64(value) for value in (0, 1, 2, 10, 32))
_MAX_DIGITS: Final = 9  # digits that identify any float32
_LOW32: Final = np.uint64(0xFFFFFFFF)
_FRACTION: Final = np.uint64((1 << 23) - 1)
_IMPLICIT: Final = np.uint64(1 << 23)
_FIELD: Final = np.uint64(0xFF)
_LARGE: Final = 2.0**31  # values from here on always use the shortest notation
_SMALLEST_PLAIN: Final = 1e-4
_LARGEST_PLAIN: Final = 1e16


def _floor_log(base: int, numerator: int, denominator: int) -> int:
    """Return the largest e with ``base**e <= numerator / denominator``, computed exactly."""
    e = 0
    while numerator * base ** max(0, -e) < denominator * base ** max(0, e):
        e -= 1
    while numerator * base ** max(0, -(e + 1)) >= denominator * base ** max(0, e + 1):
        e += 1
    return e


def _scales() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the powers k, shifts h and scales g for each exponent field: 10**-k is about g * 2**(h - 64 - q).

    Row 1 is for powers of two. Their lower neighbor has a smaller exponent and is half as far away, so the interval is
    narrower: 3/4 of the usual width.
    """
    powers, shifts = np.zeros((2, 2, 255), dtype=np.int64)
    scales = np.zeros((2, 255), dtype=np.uint64)
    for field in range(255):
        q = max(field, 1) - 150
        for lower_is_near in (0, 1):
            width = (3, 4) if lower_is_near else (1, 1)
            k = _floor_log(10, width[0] << max(q, 0), width[1] << max(-q, 0))
            numerator, denominator = 10 ** max(0, -k), 10 ** max(0, k)
            log2 = _floor_log(2, numerator, denominator)
            powers[lower_is_near, field] = k
            shifts[lower_is_near, field] = q + log2 + 1
            scaled = (numerator << max(0, 63 - log2)) // (denominator << max(0, log2 - 63))
            scales[lower_is_near, field] = min(scaled + 1, 2**64 - 1)
    return powers, shifts, scales


# numba compiles the values of global arrays into the machine code of the kernels that use them.
_POWERS, _SHIFTS, _SCALES = _scales()
_TENS = np.array([10**power for power in range(20)], dtype=np.uint64)


@intrinsic
def put(typingctx: Any, buffer: Any, at: Any, byte: Any) -> Any:
    """Store one byte in a contiguous uint8 array, without the test for a negative index that ``buffer[at]`` makes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        builder.store(builder.trunc(args[2], ir.IntType(8)), builder.gep(array.data, [args[1]]))
        return ir.Constant(ir.IntType(32), 0)

    return types.int32(buffer, types.int64, types.uint64), codegen


@inline
def _scaled(scale, value):  # type: ignore[no-untyped-def]
    """Return ``scale * value / 2**64`` rounded to odd; `value` has at most 32 bits."""
    # Rounding to odd truncates, and sets the lowest bit if anything was cut off. The lowest bit then means "not
    # exact", so with two extra bits of precision the result can be compared or rounded again as if it were exact
    # (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", IEEE
    # Transactions on Computers 57, 2008). The fraction is compared with 1, not with 0, because `scale` is rounded up,
    # which can add 1 to an exact product (section 9 of Giulietti's paper).
    low = (scale & _LOW32) * value
    high = (scale >> _U32) * value + (low >> _U32)
    fraction = high & _LOW32
    return (high >> _U32) | np.uint64(fraction > _U1)


@inline
def _shortest(fraction, field):  # type: ignore[no-untyped-def]
    """Return digits d and power k of the shortest decimal ``d * 10**k`` that reads back to a positive float32.

    If several decimals are equally short, it is the nearest one.
    """
    # The float is multiplied by 4, so that the midpoints to its neighbors are integers too: then `value`, `lower` and
    # `upper` are in quarters of ``10**k``. An even float includes its midpoints, because ties round to even; for an odd
    # one, `odd` moves both bounds inward. Candidates with one digit less are tried first, then those with all digits.
    near = np.int64(fraction == _U0 and field > 1)
    c = fraction | _IMPLICIT if field else fraction
    k = _POWERS[near, field]
    shift = np.uint64(_SHIFTS[near, field])
    scale = _SCALES[near, field]
    odd = c & _U1
    quarters = c << _U2
    value = _scaled(scale, quarters << shift)
    lower = _scaled(scale, (quarters - (_U1 if near else _U2)) << shift) + odd
    upper = _scaled(scale, (quarters + _U2) << shift)
    digits = value >> _U2
    if digits >= _U10:
        tens = digits // _U10
        below = lower <= tens * np.uint64(40)
        above = tens * np.uint64(40) + np.uint64(40) + odd <= upper
        if below != above:
            return (tens if below else tens + _U1), k + 1
    below = lower <= digits << _U2
    above = ((digits + _U1) << _U2) + odd <= upper
    if below != above:
        return (digits if below else digits + _U1), k
    middle = (digits << _U2) + _U2
    up = value > middle or (value == middle and digits & _U1)
    return digits + np.uint64(up), k


@inline
def _count_digits(digits):  # type: ignore[no-untyped-def]
    length = 1
    while length < 20 and digits >= _TENS[length]:
        length += 1
    return length


@inline
def _put_digits(out, at, digits, count):  # type: ignore[no-untyped-def]
    """Write the last `count` digits of a number to ``out[at:at + count]``; return the offset after them."""
    position = at + count - 1
    while position >= at:
        rest = digits // _U10
        put(out, position, digits - rest * _U10 + np.uint64(_ZERO))
        digits = rest
        position -= 1
    return at + count


@inline
def _put_zeros(out, at, count):  # type: ignore[no-untyped-def]
    for _ in range(count):
        put(out, at, np.uint64(_ZERO))
        at += 1
    return at


@inline
def _put_shortest(out, at, fraction, field, value):  # type: ignore[no-untyped-def]
    """Write the shortest decimal as ``repr(float)`` does: with an exponent below 1e-4 and from 1e16 on."""
    digits, k = _shortest(fraction, field)
    while digits % np.uint64(1000) == _U0:
        digits //= np.uint64(1000)
        k += 3
    while digits % _U10 == _U0:
        digits //= _U10
        k += 1
    count = _MAX_DIGITS
    while digits < _TENS[count - 1]:
        count -= 1
    point = count + k
    if _SMALLEST_PLAIN <= value < _LARGEST_PLAIN:
        if point <= 0:
            put(out, at, np.uint64(_ZERO))
            put(out, at + 1, np.uint64(_POINT))
            at = _put_zeros(out, at + 2, -point)
            return _put_digits(out, at, digits, count)
        if k < 0:
            whole = digits // _TENS[-k]
            at = _put_digits(out, at, whole, point)
            put(out, at, np.uint64(_POINT))
            return _put_digits(out, at + 1, digits, -k)
        at = _put_zeros(out, _put_digits(out, at, digits, count), k)
        put(out, at, np.uint64(_POINT))
        put(out, at + 1, np.uint64(_ZERO))
        return at + 2
    at = _put_digits(out, at, digits // _TENS[count - 1], 1)
    if count > 1:
        put(out, at, np.uint64(_POINT))
        at = _put_digits(out, at + 1, digits, count - 1)
    exponent = point - 1
    put(out, at, np.uint64(101))
    put(out, at + 1, np.uint64(_MINUS if exponent < 0 else 43))
    return _put_digits(out, at + 2, np.uint64(abs(exponent)), 2)


@inline
def _put_fixed(out, at, fraction, field, decimals):  # type: ignore[no-untyped-def]
    """Write a value as C's ``%.*f`` does: the exact value is rounded, and ties go to even."""
    # The value is c * 2**q with c below 2**24. Times 10**decimals it is still below 2**54, so integer arithmetic is
    # exact, and the bits that the shift drops determine the rounding.
    c = fraction | _IMPLICIT if field else fraction
    q = max(field, 1) - 150
    scaled = c * _TENS[decimals]
    if q >= 0:
        scaled = scaled << np.uint64(q)
    elif q <= -63:
        scaled = _U0
    else:
        down = np.uint64(-q)
        half = _U1 << (down - _U1)
        rest = scaled & ((half << _U1) - _U1)
        scaled = scaled >> down
        scaled += np.uint64(rest > half or (rest == half and scaled & _U1))
    whole = scaled // _TENS[decimals]
    at = _put_digits(out, at, whole, _count_digits(whole))
    if decimals:
        put(out, at, np.uint64(_POINT))
        at = _put_digits(out, at + 1, scaled, decimals)
    return at


@inline
def _put_value(out, at, bits, value, decimals):  # type: ignore[no-untyped-def]
    """Write one value, or "nan", "inf" or "-inf"."""
    field = np.int64((bits >> np.uint64(23)) & _FIELD)
    fraction = bits & _FRACTION
    if field == 255 and fraction:
        put(out, at, np.uint64(110))
        put(out, at + 1, np.uint64(97))
        put(out, at + 2, np.uint64(110))
        return at + 3
    if bits >> np.uint64(31):
        put(out, at, np.uint64(_MINUS))
        at += 1
    if field == 255:
        put(out, at, np.uint64(105))
        put(out, at + 1, np.uint64(110))
        put(out, at + 2, np.uint64(102))
        return at + 3
    value = abs(value)
    if decimals >= 0 and value < _LARGE:
        return _put_fixed(out, at, fraction, field, decimals)
    if value == 0.0:
        put(out, at, np.uint64(_ZERO))
        put(out, at + 1, np.uint64(_POINT))
        put(out, at + 2, np.uint64(_ZERO))
        return at + 3
    return _put_shortest(out, at, fraction, field, value)


@kernel
def format_rows(data, offsets, rows, bits, decimals, out):  # type: ignore[no-untyped-def]
    """Write each row as a line: the word, then each value after a space.

    Parameters
    ----------
    data, offsets
        The packed words.
    rows : float32 (n, dim), C order
        The values.
    bits : uint32 (n, dim), C order
        The same memory.
    decimals : int
        Number of digits after the decimal point, 0 to `MAX_DECIMALS`; -1 for the shortest decimal. Absolute values
        from 2**31 on are always written as the shortest decimal.
    out : uint8
        Filled. Its length must be at least the length of all words, plus `MAX_VALUE_BYTES` for every value and 1 for
        every row, so that no write is out of range.

    Returns
    -------
    int
        Number of bytes written.
    """
    at = 0
    for i in range(len(rows)):
        for position in range(offsets[i], offsets[i + 1]):
            put(out, at, np.uint64(data[position]))
            at += 1
        for column in range(rows.shape[1]):
            put(out, at, np.uint64(32))
            at = _put_value(out, at + 1, np.uint64(bits[i, column]), np.float64(rows[i, column]), decimals)
        put(out, at, np.uint64(10))
        at += 1
    return at
