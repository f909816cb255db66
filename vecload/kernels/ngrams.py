"""Find the n-gram rows of packed words, and sum them, exactly as fastText, floret and finalfusion do.

A word is put between its boundary marks ("<" and ">") and split into characters: a byte and the continuation bytes
(10xxxxxx) that follow it, whether that is valid UTF-8 or not. The n-grams are all sequences of minn to maxn characters,
except a boundary mark alone.

- fastText's rule is ``Dictionary::computeSubwords``: a 32-bit FNV-1a hash modulo the number of buckets. Its hash takes
  each byte as a *signed* char (``uint32_t(int8_t(byte))``), because the published models were trained that way.
- finalfusion's rule is ``FinalfusionHashIndexer``: a 64-bit FNV-1a hash of code points.
- floret's rule takes MurmurHash3_x64_128. Each of the first one to four 32-bit words of the hash selects a row, and the
  whole marked word is hashed in addition to its n-grams.

The rows of a block of words are written as one array of int64, with the end of each word's rows. If an n-gram occurs
twice, or two n-grams have the same row, the row is counted twice. Sums are computed in float32 in that order, as in
fastText, so that they agree to the last bit.

No index from a file is trusted: offsets are clamped to the arrays, and rows outside the table are skipped.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from vecload.kernels import inline, kernel
from vecload.kernels.intrinsics import FNV_BASIS, fnv1a

_AHEAD: Final = 12
"""Number of rows to prefetch before one is added: n-gram rows are at random positions of a table larger than caches."""
_LINE: Final = 64  # bytes of a cache line

_BASIS64 = np.uint64(0xCBF29CE484222325)
_PRIME64 = np.uint64(0x100000001B3)
_LOW32 = np.uint64(0xFFFFFFFF)
_WORD_PRIME = np.uint64(116049371)

_C1 = np.uint64(0x87C37B91114253D5)
_C2 = np.uint64(0x4CF5AD432745937F)
_ADD1 = np.uint64(0x52DCE729)
_ADD2 = np.uint64(0x38495AB5)
_FINAL1 = np.uint64(0xFF51AFD7ED558CCD)
_FINAL2 = np.uint64(0xC4CEB9FE1A85EC53)
_U0, _U5, _U8, _U32, _U33 = (np.uint64(v) for v in (0, 5, 8, 32, 33))


@intrinsic
def _prefetch(typingctx: Any, matrix: Any, row: Any, skip: Any) -> Any:
    """Start loading the cache line `skip` bytes into a row of a C-contiguous matrix.

    A prefetch is a hint to the processor. It never faults, so the row need not be in range.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        stride = builder.extract_value(array.strides, 0)
        start = builder.add(builder.ptrtoint(array.data, ir.IntType(64)), builder.mul(args[1], stride))
        byte = ir.IntType(8).as_pointer()
        pointer = builder.inttoptr(builder.add(start, args[2]), byte)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        # The arguments of llvm.prefetch: for reading (0), keep in all caches (3), data and not instructions (1).
        builder.call(ask, [pointer, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.none(matrix, types.int64, types.int64), codegen


@inline
def _row(key, keys, key_rows, pruned):  # type: ignore[no-untyped-def]
    """Return the row of bucket `key`: the same number, or in a pruned table the row it was moved to, -1 if dropped."""
    if not pruned:
        return key
    # Binary search: `keys` is sorted.
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    if low < len(keys) and keys[low] == key:
        return np.int64(key_rows[low])
    return np.int64(-1)


@inline
def _mark(data, offsets, word, bow, eow, marked):  # type: ignore[no-untyped-def]
    """Write the word between its boundary marks to `marked`; return its length and the length of the bare word."""
    # Offsets may come from an untrusted file, so they are clamped to the data, and the word to the length of `marked`.
    start = min(max(offsets[word], 0), len(data))
    stop = min(max(offsets[word + 1], start), len(data))
    stop = min(stop, start + max(0, len(marked) - len(bow) - len(eow)))
    at = 0
    for byte in bow:
        marked[at] = byte
        at += 1
    for position in range(start, stop):
        marked[at] = data[position]
        at += 1
    for byte in eow:
        marked[at] = byte
        at += 1
    return at, stop - start


@inline
def _is_line_end(marked, length):  # type: ignore[no-untyped-def]
    """Return whether the marked word is ``<</s>>``, fastText's end of line; it has had no n-grams since late 2017."""
    return length == 6 and marked[1] == 60 and marked[2] == 47 and marked[3] == 115 and marked[4] == 62


@kernel
def fasttext_rows(  # type: ignore[no-untyped-def]
    data, offsets, begin, end, bow, eow, minn, maxn, bucket, keys, key_rows, pruned, eos_ngrams, marked, rows, ends
):
    """Write the rows of the n-grams of words begin to end to `rows` (int64), and return their number.

    The rows of word i end at ``ends[i - begin]``. `marked` (uint8) needs the length of the longest word and its marks,
    and `rows` one entry for every possible n-gram; n-grams that do not fit are dropped. `eos_ngrams` says whether
    ``</s>`` has n-grams.
    """
    count = 0
    for word in range(begin, end):
        length, _ = _mark(data, offsets, word, bow, eow, marked)
        if bucket > 0 and (eos_ngrams or not _is_line_end(marked, length)):
            for start in range(length):
                if marked[start] & 0xC0 == 0x80:  # a continuation byte: no character begins here
                    continue
                # All n-grams from one character share a prefix, so one running hash serves all of them.
                state = FNV_BASIS
                stop = start
                size = 0
                while stop < length and size < maxn:
                    state = fnv1a(state, marked[stop])
                    stop += 1
                    while stop < length and marked[stop] & 0xC0 == 0x80:
                        state = fnv1a(state, marked[stop])
                        stop += 1
                    size += 1
                    if size < minn or (size == 1 and (start == 0 or stop == length)):
                        continue
                    row = _row(np.int64(state % np.uint64(bucket)), keys, key_rows, pruned)
                    if row >= 0 and count < len(rows):
                        rows[count] = row
                        count += 1
        ends[word - begin] = count
    return count


@kernel
def phrase_rows(data, offsets, length, bucket, keys, key_rows, pruned, rows):  # type: ignore[no-untyped-def]
    """Write the rows of the n-grams of 2 to `length` words of one line to `rows` (int64), and return their number.

    This is fastText's ``Dictionary::addWordNgrams``, which stores hashes as signed 32-bit numbers, so they are
    sign-extended to 64 bits before they are combined.
    """
    # The conversion through int32 extends the sign: C++ does the same when it widens the stored int32_t to uint64_t.
    words = len(offsets) - 1
    hashes = np.empty(max(words, 0), dtype=np.uint64)
    for word in range(words):
        state = FNV_BASIS
        for at in range(max(offsets[word], 0), min(offsets[word + 1], len(data))):
            state = fnv1a(state, data[at])
        hashes[word] = np.uint64(np.int64(np.int32(state)))
    count = 0
    if bucket > 0:
        for start in range(words):
            state = hashes[start]
            for at in range(start + 1, min(start + length, words)):
                state = state * _WORD_PRIME + hashes[at]
                row = _row(np.int64(state % np.uint64(bucket)), keys, key_rows, pruned)
                if row >= 0 and count < len(rows):
                    rows[count] = row
                    count += 1
    return count


@inline
def _hash_number(state, number, size):  # type: ignore[no-untyped-def]
    """Return the next state of the 64-bit FNV-1a hash, for the bytes of a number."""
    for byte in range(size):
        state = (state ^ ((number >> np.uint64(8 * byte)) & np.uint64(255))) * _PRIME64
    return state


@inline
def _code_points(marked, length, points):  # type: ignore[no-untyped-def]
    """Write the code points of the characters of a marked word to `points` (uint64), and return their number."""
    count = 0
    for at in range(length):
        byte = np.uint64(marked[at])
        if byte & np.uint64(0xC0) == np.uint64(0x80) and count > 0:
            points[count - 1] = (points[count - 1] << np.uint64(6)) | (byte & np.uint64(0x3F))
            continue
        # The first byte of a character of two, three or four bytes has its bits after two, three or four ones.
        mask = 0x7F if byte < 0xC0 else 0x1F if byte < 0xE0 else 0x0F if byte < 0xF0 else 0x07
        points[count] = byte & np.uint64(mask)
        count += 1
    return count


@kernel
def finalfusion_rows(data, offsets, begin, end, bow, eow, minn, maxn, bucket, marked, rows, ends):  # type: ignore[no-untyped-def]
    """Write rows as `fasttext_rows` does, by finalfusion's rule: the longest n-gram of each character first.

    The hash is 64-bit FNV-1a of the number of characters (uint64) and of their code points (uint32). Boundary marks
    alone are n-grams, too.
    """
    count = 0
    points = np.empty(len(marked), dtype=np.uint64)
    for word in range(begin, end):
        length, _ = _mark(data, offsets, word, bow, eow, marked)
        characters = _code_points(marked, length, points)
        if bucket > 0:
            for start in range(characters):
                for size in range(min(maxn, characters - start), max(minn, 1) - 1, -1):
                    state = _hash_number(_BASIS64, np.uint64(size), 8)
                    for at in range(start, start + size):
                        state = _hash_number(state, points[at], 4)
                    if count < len(rows):
                        rows[count] = np.int64(state % np.uint64(bucket))
                        count += 1
        ends[word - begin] = count
    return count


@inline
def _rotate(value, by):  # type: ignore[no-untyped-def]
    return (value << np.uint64(by)) | (value >> np.uint64(64 - by))


@inline
def _finish(value):  # type: ignore[no-untyped-def]
    value = (value ^ (value >> _U33)) * _FINAL1
    value = (value ^ (value >> _U33)) * _FINAL2
    return value ^ (value >> _U33)


@inline
def _load(data, start, stop):  # type: ignore[no-untyped-def]
    """Return up to eight bytes as a little-endian number, or 0 for no bytes."""
    value = _U0
    for at in range(max(0, stop - start)):
        value |= np.uint64(data[start + at]) << (_U8 * np.uint64(at))
    return value


@inline
def _murmur(data, start, stop, seed):  # type: ignore[no-untyped-def]
    """Return MurmurHash3_x64_128 of ``data[start:stop]`` as two 64-bit words (A. Appleby, ``MurmurHash3.cpp``)."""
    one = two = np.uint64(seed)
    at = start
    while at + 16 <= stop:
        one ^= _rotate(_load(data, at, at + 8) * _C1, 31) * _C2
        one = (_rotate(one, 27) + two) * _U5 + _ADD1
        two ^= _rotate(_load(data, at + 8, at + 16) * _C2, 33) * _C1
        two = (_rotate(two, 31) + one) * _U5 + _ADD2
        at += 16
    two ^= _rotate(_load(data, at + 8, stop) * _C2, 33) * _C1
    one ^= _rotate(_load(data, at, min(at + 8, stop)) * _C1, 31) * _C2
    one ^= np.uint64(stop - start)
    two ^= np.uint64(stop - start)
    one += two
    two += one
    one = _finish(one)
    two = _finish(two)
    one += two
    return one, two + one


@kernel
def floret_rows(data, offsets, begin, end, bow, eow, minn, maxn, bucket, hashes, seed, marked, rows, ends):  # type: ignore[no-untyped-def]
    """Write rows as `fasttext_rows` does, by floret's rule: `hashes` rows per n-gram and for the whole word."""
    count = 0
    for word in range(begin, end):
        length, bare = _mark(data, offsets, word, bow, eow, marked)
        if bucket > 0 and bare > 0:
            for start in range(-1, length):  # -1 is the whole word
                if start >= 0 and marked[start] & 0xC0 == 0x80:
                    continue
                stop = length if start < 0 else start
                size = 0
                while start < 0 or (stop < length and size < maxn):
                    if start >= 0:
                        stop += 1
                        while stop < length and marked[stop] & 0xC0 == 0x80:
                            stop += 1
                        size += 1
                    if start < 0 or (size >= minn and not (size == 1 and (start == 0 or stop == length))):
                        one, two = _murmur(marked, max(start, 0), stop, seed)
                        for number in range(hashes):
                            half = one if number < 2 else two
                            key = half >> _U32 if number % 2 else half & _LOW32
                            if count < len(rows):
                                rows[count] = np.int64(key % np.uint64(bucket))
                                count += 1
                    if start < 0:
                        break
        ends[word - begin] = count
    return count


@kernel
def add_rows(matrix, rows, ends, sums):  # type: ignore[no-untyped-def]
    """Add the n-gram rows of each word, from `matrix` (float32 or float64), to the word's row of `sums` (float32)."""
    # Rows are prefetched `_AHEAD` additions before they are needed, so that several loads from memory overlap. Every
    # cache line of a row is prefetched, because processors predict only the following lines, not the next row.
    begin = 0
    width = matrix.shape[1] * matrix.itemsize
    for word in range(len(ends)):
        total = sums[word]
        for at in range(begin, ends[word]):
            if at + _AHEAD < len(rows):
                for skip in range(0, width, _LINE):
                    _prefetch(matrix, rows[at + _AHEAD], skip)
            row = rows[at]
            if 0 <= row < len(matrix):
                values = matrix[row]
                for column in range(len(total)):
                    total[column] += np.float32(values[column])
        begin = ends[word]


@kernel
def add_codes(codes, centroids, width, norm_codes, norm_centroids, rows, ends, sums):  # type: ignore[no-untyped-def]
    """Add rows as `add_rows` does, for product-quantized rows.

    This is fastText's ``ProductQuantizer::addcode``. `codes` (uint8) has a byte for each group of `width` columns; the
    last group may be narrower. `centroids` (float32) holds the 256 possible values of each group, group by group.
    `norm_codes` (uint8, one per row, or empty) give the index of each row's factor in `norm_centroids`.
    """
    # The centroids of a group are stored one after the other, so code c of the group that begins at column `first`
    # starts at ``256 * first + c * size``. Callers have checked that the array of centroids has this size.
    dim = sums.shape[1]
    begin = 0
    for word in range(len(ends)):
        total = sums[word]
        for at in range(begin, ends[word]):
            row = rows[at]
            if 0 <= row < len(codes):
                factor = norm_centroids[norm_codes[row]] if len(norm_codes) else np.float32(1)
                for part in range(codes.shape[1]):
                    first = part * width
                    size = min(width, dim - first)
                    source = 256 * first + np.int64(codes[row, part]) * size
                    for column in range(size):
                        total[first + column] += factor * centroids[source + column]
        begin = ends[word]


@kernel
def divide(sums, counts):  # type: ignore[no-untyped-def]
    """Divide sums (float32) by counts: multiply by the float32 nearest to 1 / count, as fastText's ``mul`` does."""
    for word in range(len(counts)):
        if counts[word] > 0:
            factor = np.float32(1.0 / counts[word])
            for column in range(sums.shape[1]):
                sums[word, column] *= factor
