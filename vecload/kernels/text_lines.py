"""Compute the hidden vectors of lines of supervised fastText models, exactly as fastText does.

A line is split into tokens at white space and NUL, and the first "</s>" ends it. The hidden vector is the mean of the
rows of all tokens: a known word's own row, the rows of character n-grams, and those of n-grams of words
(``Dictionary::getLine``, ``addSubwords``, ``addWordNgrams`` and ``Model::computeHidden``). Sums are in float32 in
fastText's order.

Rows are at random positions of a matrix that no cache holds. They are therefore queued and prefetched first, and added
when the line is complete or the queue is full, so that many loads from memory overlap.

No number from a file is trusted: ids are found by comparing bytes, and rows outside the matrices are skipped.

Several parameters are tuples, which the kernels have in common:

- `dictionary`: hash table of the entries (see `vecload.kernels.text_tables`); beginning of labels, uint8; number of
  words in the longest n-gram of words; bytes and offsets of the entries, words before labels; number of words.
- `grams`: minn, maxn, whether "</s>" has n-grams, number of buckets (at least 1), whether words have n-grams, rows of
  the kept buckets and their filter (see `vecload.kernels.text_tables`), and whether the model is pruned.
- `matrix`: input matrix, float32 (rows, dim), C-contiguous, empty if it is quantized; codes, centroids, width, norm
  codes and norm centroids of a quantized one, as for `vecload.kernels.ngrams.add_codes`. Codes are empty if it is
  dense.
- `known`: sums of the rows of the first words, float32 (m, dim), C-contiguous, and the number of rows in each, int32
  (m,): see `word_sums`. They may be empty.

All arrays in tuples are read-only.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vecload.kernels import inline, kernel
from vecload.kernels.intrinsics import FNV_BASIS, add8, borrowed, fnv1a, load8, prefetch
from vecload.kernels.text_tables import SPREAD

_WORD_PRIME = np.uint64(116049371)
_OPEN, _SLASH, _S, _CLOSE = 60, 47, 115, 62  # the characters of "</s>"
_QUEUE: Final = 256  # rows
_LINE: Final = 16  # float32 values in a cache line


@inline
def _equal(data, offsets, entry, text, start, stop):  # type: ignore[no-untyped-def]
    """Return whether an entry has the bytes ``text[start:stop]``."""
    begin = offsets[entry]
    if offsets[entry + 1] - begin != stop - start:
        return False
    for at in range(stop - start):
        if data[begin + at] != text[start + at]:
            return False
    return True


@inline
def _find(state, data, offsets, slots, text, start, stop):  # type: ignore[no-untyped-def]
    """Return the number of the entry with the bytes ``text[start:stop]`` and the hash `state`, or -1."""
    mask = np.uint64(len(slots) - 1)
    slot = state & mask
    while slots[slot] >= 0:
        if _equal(data, offsets, slots[slot], text, start, stop):
            return np.int64(slots[slot])
        slot = (slot + np.uint64(1)) & mask
    return np.int64(-1)


@inline
def _starts_with(text, start, stop, prefix):  # type: ignore[no-untyped-def]
    if stop - start < len(prefix):
        return False
    for at in range(len(prefix)):
        if text[start + at] != prefix[at]:
            return False
    return True


@inline
def _add(total, source, row):  # type: ignore[no-untyped-def]
    """Add a row: eight columns at a time, then the remaining ones."""
    whole = len(total) & ~7
    for column in range(0, whole, 8):
        add8(total, column, source, row * len(total) + column, np.float32(1))
    for column in range(whole, len(total)):
        total[column] += source[row, column]


@inline
def _borrowed(matrix, known):  # type: ignore[no-untyped-def]
    """Return both tuples without reference counts."""
    dense, codes, centroids, width, norm_codes, norm_centroids = matrix
    lent = borrowed(norm_codes), borrowed(norm_centroids)
    return (borrowed(dense), borrowed(codes), borrowed(centroids), width, *lent), (
        borrowed(known[0]),
        borrowed(known[1]),
    )


@inline
def _add_code(total, row, codes, centroids, width, norm_codes, norm_centroids):  # type: ignore[no-untyped-def]
    """Add a product-quantized row."""
    factor = norm_centroids[norm_codes[row]] if len(norm_codes) else np.float32(1)
    for part in range(codes.shape[1]):
        first = part * width
        size = min(width, len(total) - first)
        source = 256 * first + np.int64(codes[row, part]) * size
        for column in range(size):
            total[first + column] += factor * centroids[source + column]


@inline
def _flush(queue, size, matrix, known, total):  # type: ignore[no-untyped-def]
    """Add the queued rows to `total`. Negative numbers are words of `known`."""
    dense, codes, centroids, width, norm_codes, norm_centroids = matrix
    sums = known[0]
    for at in range(size):
        row = queue[at]
        if row < 0:
            _add(total, sums, -1 - row)
        elif len(codes) == 0:
            _add(total, dense, row)
        else:
            _add_code(total, row, codes, centroids, width, norm_codes, norm_centroids)


@inline
def _queue(row, queue, size, matrix, known, total):  # type: ignore[no-untyped-def]
    """Queue a row, and return the length of the queue; a row outside the matrix is skipped."""
    dense, codes = matrix[0], matrix[1]
    dim = len(total)
    if row < 0:
        for column in range(0, dim, _LINE):
            prefetch(known[0], (-1 - row) * dim + column)
    elif row < len(dense):
        for column in range(0, dim, _LINE):
            prefetch(dense, row * dim + column)
        prefetch(dense, row * dim + dim - 1)
    elif row < len(codes):
        prefetch(codes, row * codes.shape[1])
    else:
        return size
    if size == len(queue):
        _flush(queue, size, matrix, known, total)
        size = 0
    queue[size] = row
    return size + 1


@inline
def _is_end(source, begin, end):  # type: ignore[no-untyped-def]
    """Return whether a token is "</s>"."""
    return (
        end - begin == 4
        and source[begin] == _OPEN
        and source[begin + 1] == _SLASH
        and source[begin + 2] == _S
        and source[begin + 3] == _CLOSE
    )


@inline
def _is_space(byte):  # type: ignore[no-untyped-def]
    """Return whether fastText splits at a byte: NUL, space, or the control characters 9 to 13."""
    return byte == 0 or byte == 32 or 9 <= byte <= 13


@inline
def _bucket_row(key, kept, filled, pruned):  # type: ignore[no-untyped-def]
    """Return the row of a bucket: the same number, or in a pruned model the row it was moved to, -1 if dropped.

    Most n-grams of texts were dropped. `filled` shows that for nearly all of them, and caches hold it.
    """
    if not pruned:
        return key
    bit = key & (8 * len(filled) - 1)
    if not (load8(filled, bit >> 3) >> (bit & 7)) & 1:
        return np.int64(-1)
    mask = np.int64(len(kept) - 1)
    slot = (key * SPREAD) & mask
    while kept[slot] >= 0:
        if kept[slot] >> 32 == key:
            return kept[slot] & np.int64(0xFFFFFFFF)
        slot = (slot + 1) & mask
    return np.int64(-1)


@inline
def _queue_ngrams(marked, length, words, grams, queue, size, matrix, known, total):  # type: ignore[no-untyped-def]
    """Queue the rows of the n-grams of a word between its marks; return their number, and the length of the queue."""
    minn, maxn, _, bucket, _, kept, filled, pruned = grams
    inverse = 1.0 / bucket
    rows = max(len(matrix[0]), len(matrix[1]))
    count = 0
    for first in range(length):
        if load8(marked, first) & 0xC0 == 0x80:
            continue  # a continuation byte: no character begins here
        state = FNV_BASIS
        stop = first
        characters = 0
        while stop < length and characters < maxn:
            state = fnv1a(state, load8(marked, stop))
            stop += 1
            while stop < length and load8(marked, stop) & 0xC0 == 0x80:
                state = fnv1a(state, load8(marked, stop))
                stop += 1
            characters += 1
            if characters < minn or (characters == 1 and (first == 0 or stop == length)):
                continue
            # The remainder, without a division: float64 holds 32-bit numbers exactly, so the quotient is wrong by at
            # most one.
            key = np.int64(state) - np.int64(np.float64(state) * inverse) * bucket
            if key < 0:
                key += bucket
            elif key >= bucket:
                key -= bucket
            row = _bucket_row(key, kept, filled, pruned)
            if row >= 0 and words + row < rows:
                size = _queue(words + row, queue, size, matrix, known, total)
                count += 1
    return count, size


@inline
def _mark(source, begin, end, marked):  # type: ignore[no-untyped-def]
    """Write a word between its marks to `marked`, and return its length."""
    marked[0] = _OPEN
    for at in range(end - begin):
        marked[at + 1] = source[begin + at]
    marked[end - begin + 1] = _CLOSE
    return end - begin + 2


@inline
def _word_sum(entry, dictionary, grams, matrix, known, queue, marked, total):  # type: ignore[no-untyped-def]
    """Compute the sum of the rows of a word, and return the number of rows."""
    _, _, _, data, offsets, words = dictionary
    minn, maxn, eos_ngrams, bucket, has_ngrams, kept, filled, pruned = grams
    data, offsets, queue, marked, total = (
        borrowed(data),
        borrowed(offsets),
        borrowed(queue),
        borrowed(marked),
        borrowed(total),
    )
    grams = minn, maxn, eos_ngrams, bucket, has_ngrams, borrowed(kept), borrowed(filled), pruned
    matrix, known = _borrowed(matrix, known)
    count = size = 0
    if entry < max(len(matrix[0]), len(matrix[1])):
        size = _queue(entry, queue, size, matrix, known, total)
        count = 1
    if has_ngrams and (eos_ngrams or not _is_end(data, offsets[entry], offsets[entry + 1])):
        length = _mark(data, offsets[entry], offsets[entry + 1], marked)
        found, size = _queue_ngrams(marked, length, words, grams, queue, size, matrix, known, total)
        count += found
    _flush(queue, size, matrix, known, total)
    return count


@kernel
def word_sums(dictionary, grams, matrix, known, begin, end, sums, counts):  # type: ignore[no-untyped-def]
    """Compute the sum of the rows of the words `begin` to `end`, and the number of rows.

    `sums` float32 (end - begin, dim), zeros before, and `counts` int32 (end - begin,) receive the results.
    """
    offsets = dictionary[4]
    longest = 0
    for entry in range(begin, end):
        longest = max(longest, offsets[entry + 1] - offsets[entry])
    queue, marked = np.empty(_QUEUE, dtype=np.int64), np.empty(longest + 2, dtype=np.uint8)
    for entry in range(begin, end):
        total = sums[entry - begin]
        counts[entry - begin] = _word_sum(entry, dictionary, grams, matrix, known, queue, marked, total)


@inline
def _mean(  # type: ignore[no-untyped-def]
    text, start, last, dictionary, grams, matrix, known, hashes, queue, marked, total
):
    """Compute the mean row of a line, and return the number of rows."""
    slots, prefix, length, data, offsets, words = dictionary
    minn, maxn, eos_ngrams, bucket, has_ngrams, kept, filled, pruned = grams
    slots, prefix, data, offsets, kept = (
        borrowed(slots),
        borrowed(prefix),
        borrowed(data),
        borrowed(offsets),
        borrowed(kept),
    )
    hashes, queue, marked, total = borrowed(hashes), borrowed(queue), borrowed(marked), borrowed(total)
    filled = borrowed(filled)
    grams = minn, maxn, eos_ngrams, bucket, has_ngrams, kept, filled, pruned
    matrix, known = _borrowed(matrix, known)
    rows = max(len(matrix[0]), len(matrix[1]))
    count = tokens = size = 0
    at = start
    ended = False
    while not ended:
        while at < last and _is_space(text[at]):
            at += 1
        if at >= last:
            break
        begin = at
        state = FNV_BASIS
        while at < last and not _is_space(text[at]):
            state = fnv1a(state, text[at])
            at += 1
        entry = _find(state, data, offsets, slots, text, begin, at)
        ended = _is_end(text, begin, at)
        if entry >= words or (entry < 0 and _starts_with(text, begin, at, prefix)):
            continue  # a label
        # C++ stores the hash as int32, so it is sign-extended here.
        hashes[tokens] = np.uint64(np.int64(np.int32(state)))
        tokens += 1
        if 0 <= entry < len(known[0]):
            size = _queue(-1 - entry, queue, size, matrix, known, total)
            count += known[1][entry]
            continue
        if 0 <= entry < rows:
            size = _queue(entry, queue, size, matrix, known, total)
            count += 1
        if has_ngrams and not (ended and (entry < 0 or not eos_ngrams)):
            marks = _mark(text, begin, at, marked)
            found, size = _queue_ngrams(marked, marks, words, grams, queue, size, matrix, known, total)
            count += found
    for first in range(tokens if length > 1 else 0):
        state = hashes[first]
        for other in range(first + 1, min(first + length, tokens)):
            state = state * _WORD_PRIME + hashes[other]
            row = _bucket_row(np.int64(state % np.uint64(bucket)), kept, filled, pruned)
            if row >= 0 and words + row < rows:
                size = _queue(words + row, queue, size, matrix, known, total)
                count += 1
    _flush(queue, size, matrix, known, total)
    if count > 0:
        factor = np.float32(1.0 / count)
        for column in range(len(total)):
            total[column] *= factor
    return count


@kernel
def hidden_vectors(text, starts, stops, dictionary, grams, matrix, known, hidden, counts):  # type: ignore[no-untyped-def]
    """Compute the mean row of each line.

    Parameters
    ----------
    text : uint8, read-only
    starts, stops : int64 (n,), read-only
        The lines. Each should end in "</s>".
    dictionary, grams, matrix, known
        The model: see the module.
    hidden : float32 (n, dim)
        Receives the means; zeros before.
    counts : int64 (n,)
        Receives the number of rows in each mean.
    """
    longest = 0
    for line in range(len(starts)):
        longest = max(longest, stops[line] - starts[line])
    # Tokens are separated, so there is at most one for every two bytes.
    hashes, queue = np.empty(longest // 2 + 1, dtype=np.uint64), np.empty(_QUEUE, dtype=np.int64)
    marked = np.empty(longest + 2, dtype=np.uint8)
    for line in range(len(starts)):
        counts[line] = _mean(
            text, starts[line], stops[line], dictionary, grams, matrix, known, hashes, queue, marked, hidden[line]
        )


@kernel
def hidden_vector(text, dictionary, grams, matrix, known, hidden, counts):  # type: ignore[no-untyped-def]
    """Compute the mean row of one line, a bytes object, as `hidden_vectors` does."""
    hashes, queue = np.empty(len(text) // 2 + 1, dtype=np.uint64), np.empty(_QUEUE, dtype=np.int64)
    marked = np.empty(len(text) + 2, dtype=np.uint8)
    counts[0] = _mean(text, 0, len(text), dictionary, grams, matrix, known, hashes, queue, marked, hidden[0])
