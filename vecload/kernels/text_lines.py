"""Compute the hidden vectors of lines of supervised fastText models, exactly as fastText does.

A line is split into tokens at white space and NUL; "</s>" ends it, in the text or at its end. The hidden vector is the
mean of the rows of all tokens: a known word's own row, the rows of character n-grams, and those of n-grams of words
(``Dictionary::getLine``, ``addSubwords``, ``addWordNgrams`` and ``Model::computeHidden``). Sums are in float32 in
fastText's order.

No number from a file is trusted: ids are found by comparing bytes, and rows outside the matrices are skipped.
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import inline, kernel
from vecload.kernels.intrinsics import FNV_BASIS, fnv1a

_WORD_PRIME = np.uint64(116049371)
_SPREAD = np.int64(0x9E3779B1)  # 2**32 divided by the golden ratio: spreads equal distances over the table
_OPEN, _CLOSE = np.uint8(60), np.uint8(62)  # < and >


@kernel
def fill_slots(data, offsets, slots):  # type: ignore[no-untyped-def]
    """Fill a hash table with the numbers of dictionary entries; the last of equal entries wins, as in fastText.

    Parameters
    ----------
    data : uint8, read-only
    offsets : int64 (n + 1,), read-only
        The packed entries.
    slots : int32, a power of two above n
        Initially -1.
    """
    mask = np.uint64(len(slots) - 1)
    for entry in range(len(offsets) - 1):
        state = FNV_BASIS
        for at in range(offsets[entry], offsets[entry + 1]):
            state = fnv1a(state, data[at])
        slot = state & mask
        while slots[slot] >= 0 and not _equal(data, offsets, slots[slot], data, offsets[entry], offsets[entry + 1]):
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = entry


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
def _add(total, row, dense, codes, centroids, width, norm_codes, norm_centroids):  # type: ignore[no-untyped-def]
    """Add a row of a dense or product-quantized matrix to `total`; return 1, or 0 if there is no such row."""
    if len(codes) == 0:
        if not 0 <= row < len(dense):
            return 0
        values = dense[row]
        for column in range(len(total)):
            total[column] += values[column]
        return 1
    if not 0 <= row < len(codes):
        return 0
    factor = norm_centroids[norm_codes[row]] if len(norm_codes) else np.float32(1)
    for part in range(codes.shape[1]):
        first = part * width
        size = min(width, len(total) - first)
        source = 256 * first + np.int64(codes[row, part]) * size
        for column in range(size):
            total[first + column] += factor * centroids[source + column]
    return 1


@inline
def _is_space(byte):  # type: ignore[no-untyped-def]
    """Return whether fastText splits at a byte: NUL, space, or the control characters 9 to 13."""
    return byte == 0 or byte == 32 or 9 <= byte <= 13


@inline
def _add_token(  # type: ignore[no-untyped-def]
    total, source, begin, end, entry, is_end, words, minn, maxn, eos_ngrams, bucket, kept, pruned, dense, codes,
    centroids, width, norm_codes, norm_centroids,
):  # fmt: skip
    """Add the rows of a token to `total`, its own and those of its n-grams, and return their number."""
    count = 0
    if entry >= 0:
        count += _add(total, entry, dense, codes, centroids, width, norm_codes, norm_centroids)
    if maxn <= 0 or bucket <= 0 or (is_end and (entry < 0 or not eos_ngrams)):
        return count
    size = end - begin + 2  # with the marks < and >
    for first in range(size):
        if 0 < first < size - 1 and source[begin + first - 1] & 0xC0 == 0x80:
            continue  # a continuation byte: no character begins here
        state = FNV_BASIS
        stop = first
        characters = 0
        while stop < size and characters < maxn:
            mark = _OPEN if stop == 0 else _CLOSE
            state = fnv1a(state, source[begin + stop - 1] if 0 < stop < size - 1 else mark)
            stop += 1
            while stop < size - 1 and source[begin + stop - 1] & 0xC0 == 0x80:
                state = fnv1a(state, source[begin + stop - 1])
                stop += 1
            characters += 1
            if characters < minn or (characters == 1 and (first == 0 or stop == size)):
                continue
            row = _bucket_row(np.int64(state % np.uint64(bucket)), kept, pruned)
            if row >= 0:
                count += _add(total, words + row, dense, codes, centroids, width, norm_codes, norm_centroids)
    return count


@kernel
def fill_kept(keys, rows, kept):  # type: ignore[no-untyped-def]
    """Fill a hash table from buckets to rows, for pruned models.

    Parameters
    ----------
    keys, rows : int32 (n,), read-only
        Kept buckets, and the row of each.
    kept : int64, a power of two above n
        Receives a bucket in the upper and a row in the lower half of each number; initially -1.
    """
    mask = np.int64(len(kept) - 1)
    for at in range(len(keys)):
        key = np.int64(keys[at])
        slot = (key * _SPREAD) & mask
        while kept[slot] >= 0:
            slot = (slot + 1) & mask
        kept[slot] = (key << 32) | np.int64(rows[at])


@inline
def _bucket_row(key, kept, pruned):  # type: ignore[no-untyped-def]
    """Return the row of a bucket: the same number, or in a pruned model the row it was moved to, -1 if dropped.

    A hash table takes one access to memory, where the binary search of `bucket_row` takes many.
    """
    if not pruned:
        return key
    mask = np.int64(len(kept) - 1)
    slot = (key * _SPREAD) & mask
    while kept[slot] >= 0:
        if kept[slot] >> 32 == key:
            return kept[slot] & np.int64(0xFFFFFFFF)
        slot = (slot + 1) & mask
    return np.int64(-1)


@kernel
def word_sums(  # type: ignore[no-untyped-def]
    data, offsets, words, eos, minn, maxn, eos_ngrams, bucket, kept, pruned, dense, codes, centroids, width, norm_codes,
    norm_centroids, begin, end, sums, counts,
):  # fmt: skip
    """Compute the sum of the rows of the words `begin` to `end`, and the number of rows.

    The parameters are those of `hidden_vectors`; `sums` float32 (end - begin, dim) and `counts` int32 (end - begin,)
    receive the results, zeros before.
    """
    for entry in range(begin, end):
        start, stop = offsets[entry], offsets[entry + 1]
        is_end = stop - start == len(eos) and _starts_with(data, start, stop, eos)
        counts[entry - begin] = _add_token(
            sums[entry - begin], data, start, stop, entry, is_end, words, minn, maxn, eos_ngrams, bucket, kept, pruned,
            dense, codes, centroids, width, norm_codes, norm_centroids,
        )  # fmt: skip


@kernel
def hidden_vectors(  # type: ignore[no-untyped-def]
    text, starts, stops, slots, prefix, length, data, offsets, words, eos, minn, maxn, eos_ngrams, bucket, kept, pruned,
    dense, codes, centroids, width, norm_codes, norm_centroids, sums, sum_counts, hidden, counts,
):  # fmt: skip
    """Compute the mean row of each line.

    Parameters
    ----------
    text : uint8, read-only
    starts, stops : int64 (n,), read-only
        The lines, without their ends.
    slots
        Hash table of the dictionary: see `fill_slots`.
    prefix : uint8, read-only
        Beginning of labels.
    length : int
        Number of words in the longest n-gram of words.
    data, offsets, words
        Entries of the dictionary, words before labels, and number of words.
    eos : uint8, read-only
        "</s>".
    minn, maxn, eos_ngrams, bucket
        Character n-grams, as for `vecload.kernels.ngrams.fasttext_rows`.
    kept, pruned
        Rows of the kept buckets: see `fill_kept`; and whether the model is pruned.
    dense : float32 (rows, dim), read-only
        Input matrix; empty if it is quantized.
    codes, centroids, width, norm_codes, norm_centroids
        Quantized input matrix, as for `vecload.kernels.ngrams.add_codes`; `codes` is empty if it is dense.
    sums, sum_counts : float32 (m, dim) and int32 (m,), read-only
        Sums of the rows of the first words, and the number of rows in each: see `word_sums`. They may be empty.
    hidden : float32 (n, dim)
        Receives the means; zeros before.
    counts : int64 (n,)
        Receives the number of rows in each mean.
    """
    longest = 0
    for line in range(len(starts)):
        longest = max(longest, stops[line] - starts[line])
    # Tokens are separated, so there is at most one for every two bytes, and the end of the line.
    hashes = np.empty(longest // 2 + 2, dtype=np.uint64)
    for line in range(len(starts)):
        total = hidden[line]
        count = tokens = 0
        at, last = starts[line], stops[line]
        ended = False
        while not ended:
            while at < last and _is_space(text[at]):
                at += 1
            source, begin, end = text, at, at
            if at >= last:
                source, begin, end, ended = eos, 0, len(eos), True
            else:
                while end < last and not _is_space(text[end]):
                    end += 1
                at = end
            state = FNV_BASIS
            for position in range(begin, end):
                state = fnv1a(state, source[position])
            entry = _find(state, data, offsets, slots, source, begin, end)
            is_end = end - begin == len(eos) and _starts_with(source, begin, end, eos)
            ended = ended or is_end
            if entry >= words or (entry < 0 and _starts_with(source, begin, end, prefix)):
                continue  # a label
            # C++ stores the hash as int32, so it is sign-extended here.
            hashes[tokens] = np.uint64(np.int64(np.int32(state)))
            tokens += 1
            if 0 <= entry < len(sums):
                row_sum = sums[entry]
                for column in range(len(total)):
                    total[column] += row_sum[column]
                count += sum_counts[entry]
                continue
            count += _add_token(
                total, source, begin, end, entry, is_end, words, minn, maxn, eos_ngrams, bucket, kept, pruned, dense,
                codes, centroids, width, norm_codes, norm_centroids,
            )  # fmt: skip
        if bucket > 0:
            for first in range(tokens):
                state = hashes[first]
                for other in range(first + 1, min(first + length, tokens)):
                    state = state * _WORD_PRIME + hashes[other]
                    row = _bucket_row(np.int64(state % np.uint64(bucket)), kept, pruned)
                    if row >= 0:
                        count += _add(total, words + row, dense, codes, centroids, width, norm_codes, norm_centroids)
        counts[line] = count
        if count > 0:
            factor = np.float32(1.0 / count)
            for column in range(len(total)):
                total[column] *= factor
