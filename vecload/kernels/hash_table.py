"""The hash table of packed words.

Words lie one behind the other in a uint8 array `data`; word ``i`` is ``data[offsets[i]:offsets[i + 1]]``. A table is an
array of uint64 `slots`, a power of two of them. A slot is 0 when free, else the upper half of the word's hash over its
row number plus one; a word begins at the slot its hash's low bits name and moves on by one while slots are taken by
others. So nearly every word that is absent is refused without looking at a word's bytes.

Tables are not trusted. A file may hold words whose hashes collide, and the table of a mapped file may be overwritten by
another process at any time. So a probe ends after `_MOST_PROBES` slots, and a row is compared only if it and its bytes
are inside the arrays. With at most two thirds of the slots taken, the longest run of taken slots is near 200 for
millions of words and 512 has a chance below 1e-9, so honest words never meet the bound. Building a table gives up when
a word meets it, or a few other words with the same hash tag, which agree in 32 bits and have to be compared byte by
byte. The caller then builds the table with a secret `key`, under which nobody can choose words that collide.

A key is two uint64, or None; kernels are compiled for each. The hash without a key is part of the native file format. A
secret start value would not do: words that collide from every start value are easy to construct. So keyed tables use
SipHash-1-3, as Python does for its strings.

`vecload.words` holds the same hashes and the same probe in plain Python for single words; a test keeps both equal.
"""

from __future__ import annotations

import numpy as np

from vecload.kernels import inline, kernel
from vecload.kernels.intrinsics import load64, prefetch, store64, trailing_zeros

_SEED = np.uint64(0x9E3779B97F4A7C15)
_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_SIP0, _SIP1 = np.uint64(0x736F6D6570736575), np.uint64(0x646F72616E646F6D)
_SIP2, _SIP3 = np.uint64(0x6C7967656E657261), np.uint64(0x7465646279746573)
_SHIFT = np.uint64(32)
_TAG = np.uint64(0xFFFFFFFF00000000)
_ROW = np.uint64(0x00000000FFFFFFFF)
_FREE = np.uint64(0)
_ONE = np.uint64(1)
_TOPS = np.uint64(0x8080808080808080)
_SPACES = np.uint64(0x2121212121212121)
_MOST_PROBES = 512
_TWIN = 64  # slots that another word with the same tag counts for while a table is built
_GAVE_UP = np.int64(-2)
_ABSENT = np.int64(-1)
_BLOCK = 128
"""Words that take each step of a look-up together: their cache lines fit in the nearest cache."""
_AHEAD = 16
"""Words asked for before they are copied."""


@inline
def _head(text, at, stop):  # type: ignore[no-untyped-def]
    """Up to eight bytes of ``text[at:stop]``, the first one lowest."""
    word = load64(text, at)
    return word if stop - at >= 8 else word & ((_ONE << np.uint64(8 * (stop - at))) - _ONE)


@inline
def _word_at(data, at, stop):  # type: ignore[no-untyped-def]
    """Up to eight bytes of ``data[at:stop]`` as a little-endian number; nothing past the end of `data` is read."""
    if at + 8 <= len(data):
        return _head(data, at, stop)
    word = _FREE
    for offset in range(stop - at):
        word |= np.uint64(data[at + offset]) << np.uint64(8 * offset)
    return word


@inline
def _rotate(value, by):  # type: ignore[no-untyped-def]
    return (value << np.uint64(by)) | (value >> np.uint64(64 - by))


@inline
def _sip_round(v0, v1, v2, v3):  # type: ignore[no-untyped-def]
    v0 += v1
    v2 += v3
    v1 = _rotate(v1, 13) ^ v0
    v3 = _rotate(v3, 16) ^ v2
    v0 = _rotate(v0, 32) + v3
    v2 += v1
    v1 = _rotate(v1, 17) ^ v2
    v3 = _rotate(v3, 21) ^ v0
    return v0, v1, _rotate(v2, 32), v3


@inline
def _siphash(data, start, stop, key):  # type: ignore[no-untyped-def]
    """SipHash-1-3 of ``data[start:stop]`` (Aumasson and Bernstein, 2012; the hash of CPython's strings)."""
    v0, v1 = key[0] ^ _SIP0, key[1] ^ _SIP1
    v2, v3 = key[0] ^ _SIP2, key[1] ^ _SIP3
    whole = stop - (stop - start) % 8
    for at in range(start, whole, 8):
        word = _word_at(data, at, stop)
        v3 ^= word
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
        v0 ^= word
    word = np.uint64(stop - start) << np.uint64(56)
    if whole < stop:
        word |= _word_at(data, whole, stop)
    v3 ^= word
    v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    v0 ^= word
    v2 ^= np.uint64(255)
    for _ in range(3):
        v0, v1, v2, v3 = _sip_round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@inline
def _hash(data, start, stop, key):  # type: ignore[no-untyped-def]
    """64 bits of the bytes ``data[start:stop]``: eight at a time, each mixed in by a multiplication and a fold.

    The mixer is the xorshift-multiply of Mueller and Stafford's variants of MurmurHash3's finaliser.
    """
    if key is not None:
        return _siphash(data, start, stop, key)
    state = _SEED ^ np.uint64(stop - start)
    for at in range(start, stop, 8):
        state = (state ^ _word_at(data, at, stop)) * _FACTOR
        state ^= state >> _SHIFT
    state *= _FACTOR
    return state ^ (state >> _SHIFT)


@inline
def _same(a, a_start, b, b_start, length):  # type: ignore[no-untyped-def]
    for offset in range(length):
        if a[a_start + offset] != b[b_start + offset]:
            return False
    return True


@inline
def _find(hashed, text, start, stop, data, offsets, slots, twin):  # type: ignore[no-untyped-def]
    """Slot and row of the word ``text[start:stop]``; `_ABSENT` and the free slot where it belongs if it is missing.

    The row is `_GAVE_UP` after `_MOST_PROBES` slots. Another word with the same hash tag counts as `twin` slots more.

    Written with three exits and one flat condition: with more, numba no longer proves that the arrays stay alive, and
    counts references in the loop, which makes building a table three times as slow.
    """
    mask = np.uint64(len(slots) - 1)
    slot = hashed & mask
    left = _MOST_PROBES
    while left > 0:
        entry = slots[slot]
        if entry == _FREE:
            return slot, _ABSENT
        if (entry ^ hashed) & _TAG == _FREE:
            row = np.int64(entry & _ROW) - 1
            inside = (row >= 0) & (row < len(offsets) - 1)
            row = row if inside else np.int64(0)
            begin, end = offsets[row], offsets[row + inside]
            fits = inside & (end - begin == stop - start) & (begin >= 0) & (end <= len(data))
            if fits and _same(text, start, data, begin, stop - start):
                return slot, row
            left -= twin
        slot = (slot + _ONE) & mask
        left -= 1
    return slot, _GAVE_UP


@inline
def _hash_ahead(text, offsets, begin, end, slots, key, hashes):  # type: ignore[no-untyped-def]
    """Hashes of some words into `hashes`; their slots, which lie all over the memory, are asked for."""
    mask = np.uint64(len(slots) - 1)
    for word in range(begin, end):
        hashed = _hash(text, offsets[word], offsets[word + 1], key)
        prefetch(slots, np.int64(hashed & mask))
        hashes[word - begin] = hashed


@kernel
def build_table(data, offsets, slots, key, repeated):  # type: ignore[no-untyped-def]
    """Enter every word into the zeroed `slots`; a word seen before is marked in `repeated` (bool) and left out.

    Returns the number of repeated words, or -1 if too many words collide under this key. The first row of a word is the
    one the table keeps. The slots of some words are asked for together before the first of them is looked at.
    """
    count = 0
    hashes = np.empty(_BLOCK, dtype=np.uint64)
    for begin in range(0, len(offsets) - 1, _BLOCK):
        end = min(begin + _BLOCK, len(offsets) - 1)
        _hash_ahead(data, offsets, begin, end, slots, key, hashes)
        for row in range(begin, end):
            hashed = hashes[row - begin]
            slot, found = _find(hashed, data, offsets[row], offsets[row + 1], data, offsets, slots, _TWIN)
            if found == _ABSENT:
                slots[slot] = (hashed & _TAG) | np.uint64(row + 1)
            elif found == _GAVE_UP:
                return -1
            else:
                repeated[row] = True
                count += 1
    return count


@kernel
def add_words(data, offsets, slots, key, count, first, total, fresh):  # type: ignore[no-untyped-def]
    """Enter the words `first` to ``total - 1`` into the `slots` of the `count` words kept before; drop known words.

    Words after a dropped one move up, so `data` and `offsets` are packed again. ``fresh[i]`` (bool) says whether word
    ``first + i`` was new. Returns the new count, and the first word that was not entered: `total`, or a word that
    collides with too many others under this key.
    """
    end = offsets[count]
    hashes = np.empty(_BLOCK, dtype=np.uint64)
    for begin in range(first, total, _BLOCK):  # in blocks, as in `build_table`
        last = min(begin + _BLOCK, total)
        _hash_ahead(data, offsets, begin, last, slots, key, hashes)
        for row in range(begin, last):
            hashed = hashes[row - begin]
            start, stop = offsets[row], offsets[row + 1]
            slot, found = _find(hashed, data, start, stop, data, offsets, slots, _TWIN)
            if found == _GAVE_UP:
                return count, row
            fresh[row - first] = found == _ABSENT
            if found == _ABSENT:
                if end < start:
                    for at in range(start, stop):
                        data[end + at - start] = data[at]
                end += stop - start
                count += 1
                offsets[count] = end
                slots[slot] = (hashed & _TAG) | np.uint64(count)
    return count, total


@kernel
def lookup(text, starts, stops, data, offsets, slots, key, rows):  # type: ignore[no-untyped-def]
    """Row number of each word ``text[starts[i]:stops[i]]`` into `rows` (int64), -1 where it is absent."""
    for i in range(len(starts)):
        start, stop = np.int64(starts[i]), np.int64(stops[i])
        rows[i] = _ABSENT
        if 0 <= start <= stop <= len(text):
            hashed = _hash(text, start, stop, key)
            _, row = _find(hashed, text, start, stop, data, offsets, slots, 0)
            rows[i] = max(row, _ABSENT)


@kernel
def match_first_fields(text, starts, stops, data, offsets, slots, key, kept):  # type: ignore[no-untyped-def]
    """Numbers of the lines whose first field is in the table, into `kept` (int64); returns how many.

    A first field ends at a space, a tab or the line's end.
    """
    count = 0
    for i in range(len(starts)):
        start = np.int64(starts[i])
        stop = start
        while stop < stops[i] and text[stop] != 32 and text[stop] != 9:
            stop += 1
        hashed = _hash(text, start, stop, key)
        _, row = _find(hashed, text, start, stop, data, offsets, slots, 0)
        if row >= 0:
            kept[count] = i
            count += 1
    return count


@inline
def _token_end(text, at, end):  # type: ignore[no-untyped-def]
    """Where the token at `at` ends: the first ASCII white space, or `end`.

    Eight bytes are looked at together: the subtraction borrows from bytes below 33, of which the lowest is marked
    rightly. Of those, some control characters are no white space.
    """
    while at < end:
        word = load64(text, at)
        low = (word - _SPACES) & ~word & _TOPS
        if low == _FREE:
            at += 8
            continue
        at += trailing_zeros(low) >> 3
        if at >= end or text[at] == 32 or 9 <= text[at] <= 13:
            break
        at += 1
    return min(at, end)


@inline
def _same_padded(text, start, stop, data, begin):  # type: ignore[no-untyped-def]
    """Whether ``text[start:stop]`` is in `data` at `begin`, where eight bytes more can be read."""
    for at in range(start, stop, 8):
        if _head(text, at, stop) != _head(data, begin + at - start, begin + stop - start):
            return False
    return True


@kernel
def lookup_tokens(text, begin, end, data, offsets, slots, key, rows, starts, stops, bags):  # type: ignore[no-untyped-def]
    """Row number of each token in the lines ``text[begin:end]``; returns the numbers of tokens and of lines.

    Tokens are what ASCII white space parts; a line feed ends a line, and so does `end`, behind which eight bytes can be
    read. Token ``i`` is ``text[starts[i]:stops[i]]`` (int64), its row ``rows[i]`` (int64), -1 where it is absent; those
    of line ``k`` are ``bags[k]:bags[k + 1]`` (int64). With room for ``(end - begin + 1) // 2`` tokens, the arrays never
    run over.

    A look-up waits for memory three times (slot, offset, the word's bytes). So tokens take the three steps in blocks,
    each step asking for the cache lines of the next before they are needed.
    """
    hashes = np.empty(_BLOCK, dtype=np.uint64)
    mask = np.uint64(len(slots) - 1)
    count, lines = 0, 0
    bags[0] = 0
    at = begin
    while True:
        done = count
        while count - done < _BLOCK:
            while at < end and (text[at] == 32 or 9 <= text[at] <= 13):
                if text[at] == 10:
                    lines += 1
                    bags[lines] = count
                at += 1
            if at >= end:
                break
            stop = _token_end(text, at, end)
            starts[count], stops[count] = at, stop
            hashed = _hash(text, at, stop, key)
            hashes[count - done] = hashed
            prefetch(slots, np.int64(hashed & mask))
            count += 1
            at = stop
        for i in range(done, count):
            hashed = hashes[i - done]
            slot = hashed & mask
            entry = slots[slot]
            left = _MOST_PROBES
            while entry != _FREE and (entry ^ hashed) & _TAG != _FREE and left > 0:
                slot = (slot + _ONE) & mask
                entry = slots[slot]
                left -= 1
            row = np.int64(entry & _ROW) - 1
            rows[i] = row if left > 0 and row < len(offsets) - 1 else _ABSENT
            prefetch(offsets, rows[i])
        for i in range(done, count):
            prefetch(data, offsets[max(rows[i], 0)])
        for i in range(done, count):
            row = rows[i]
            if row >= 0:
                start, stop, place, behind = starts[i], stops[i], offsets[row], offsets[row + 1]
                same = behind - place == stop - start and place >= 0 and behind <= len(data)
                if same and place + ((stop - start + 7) & ~7) <= len(data):
                    same = _same_padded(text, start, stop, data, place)
                elif same:  # the last words: nothing to read behind them
                    same = _same(text, start, data, place, stop - start)
                if not same:  # another word with the same tag
                    _, row = _find(hashes[i - done], text, start, stop, data, offsets, slots, 0)
                    rows[i] = max(row, _ABSENT)
        if at >= end:
            break
    lines += 1
    bags[lines] = count
    return count, lines


@kernel
def copy_words(text, starts, data, offsets):  # type: ignore[no-untyped-def]
    """Copy words that begin at ``starts[i]`` in `text` to their places ``offsets[i]:offsets[i + 1]`` in `data`.

    Eight bytes at a time where there are so many on both sides: what is too much, the next word overwrites. Words lie
    far apart in `text`, so they are asked for ahead. Returns False at a word that is not inside both arrays.
    """
    for i in range(len(starts)):
        prefetch(text, starts[min(i + _AHEAD, len(starts) - 1)])
        begin, end = offsets[i], offsets[i + 1]
        shift = starts[i] - begin
        if begin < 0 or end < begin or end > len(data) or starts[i] < 0 or end + shift > len(text):
            return False
        for at in range(begin, end, 8):
            if at + 8 <= len(data) and at + shift + 8 <= len(text):
                store64(data, at, load64(text, at + shift))
            else:
                for rest in range(at, min(at + 8, end)):
                    data[rest] = text[rest + shift]
    return True
