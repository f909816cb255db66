"""Build and search the hash table of packed words.

**Layout.** Packed words are concatenated in a uint8 array `data`; word ``i`` is ``data[offsets[i]:offsets[i + 1]]``.
The table uses open addressing with linear probing (Knuth, The Art of Computer Programming 3, section 6.4): an array of
uint64 `slots` whose length is a power of two. A free slot is 0. A taken slot holds a *tag*, the upper 32 bits of the
word's hash, above the word's row number plus one. A search starts at the slot given by the low bits of the hash and
continues with the next slot until it finds the word or a free slot. Because of the tag, nearly every missing word is
rejected without reading the bytes of any word.

**First row wins.** A repeated word keeps the row where it occurred first, as in gensim. Files are sorted by frequency,
so the first row is usually the one that was trained most. The rule also lets the table be built in a single pass,
because no entry changes after it is written.

**Untrusted tables.** The words of a file may have been chosen so that their hashes collide, which would make the time
quadratic. The table of a memory-mapped file can be overwritten by another process at any time, even between two reads.
So a search gives up after `_MAX_PROBES` slots, and a row is compared only if the row and its bytes are inside the
arrays.

**Why 512 probes.** At most two thirds of the slots are taken. The longest run of taken slots is then about 200 for
millions of words, and a run of 512 has a probability below 1e-9, so ordinary words never reach the bound. Building a
table gives up if a word reaches it. Words with equal tags must be compared byte by byte, so they count as several
probes. The caller then builds the table again with a secret `key`.

**Why SipHash with a key.** The hash without a key is fast and part of the native file format, but anyone can compute
words that collide under it. Mixing a secret start value into the same hash would not help: it is easy to construct
words that collide for every start value. SipHash is designed so that collisions cannot be found without the key
(Aumasson and Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012). SipHash-1-3 is the variant that CPython
uses for strings since version 3.11 (PEP 456 introduced SipHash).

A key is an array of two uint64, or None. numba compiles each kernel separately for both types, so the branch on it
costs nothing. `vecload.words.hashing` has the same hashes and the same search in plain Python, for single words; a test
compares both.
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
_MAX_PROBES = 512
_SAME_TAG_COST = 64  # while a table is built, a different word with the same tag counts as this many probes
_GAVE_UP = np.int64(-2)
_ABSENT = np.int64(-1)
_BLOCK = 128
"""Number of words whose searches advance together, step by step; their cache lines fit in the L1 cache."""
_AHEAD = 16
"""Number of words to prefetch before they are copied."""


@inline
def _head(text, at, stop):  # type: ignore[no-untyped-def]
    """Return up to eight bytes of ``text[at:stop]`` as a little-endian number.

    Eight bytes at `at` must be readable, even if `stop` is closer.
    """
    word = load64(text, at)
    return word if stop - at >= 8 else word & ((_ONE << np.uint64(8 * (stop - at))) - _ONE)


@inline
def _word_at(data, at, stop):  # type: ignore[no-untyped-def]
    """Return up to eight bytes of ``data[at:stop]`` as a little-endian number; read nothing after the end of `data`."""
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
    """Return the SipHash-1-3 of ``data[start:stop]``."""
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
    """Return a 64-bit hash of the bytes ``data[start:stop]``, keyed if there is a key."""
    if key is not None:
        return _siphash(data, start, stop, key)
    # Eight bytes at a time are mixed in by a multiplication and a shift, in the way of MurmurHash3's 64-bit finalizer
    # (see D. Stafford, "Better Bit Mixing", zimbry.blogspot.com, 2011; the multiplier is that of the "degski64" mixer).
    # The shift brings the well-mixed high bits down to the low bits, which choose the slot.
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
def _find(hashed, text, start, stop, data, offsets, slots, tag_cost):  # type: ignore[no-untyped-def]
    """Return the slot and the row of the word ``text[start:stop]``.

    If the word is missing, the row is `_ABSENT`, and the slot is the free one where the word can be inserted. After
    `_MAX_PROBES` slots the row is `_GAVE_UP`. Every different word with the same tag counts as `tag_cost` more slots.
    """
    # The row number is read from an untrusted table, so it and its offsets are checked before bytes are compared. The
    # checks are one flat expression on purpose: with more branches or exits, numba can no longer prove that the arrays
    # stay alive, and counts references inside the loop, which makes building a table three times as slow.
    mask = np.uint64(len(slots) - 1)
    slot = hashed & mask
    left = _MAX_PROBES
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
            left -= tag_cost
        slot = (slot + _ONE) & mask
        left -= 1
    return slot, _GAVE_UP


@inline
def _hash_ahead(text, offsets, begin, end, slots, key, hashes):  # type: ignore[no-untyped-def]
    """Write the hashes of a block of words to `hashes`, and prefetch their slots, which are at random addresses."""
    mask = np.uint64(len(slots) - 1)
    for word in range(begin, end):
        hashed = _hash(text, offsets[word], offsets[word + 1], key)
        prefetch(slots, np.int64(hashed & mask))
        hashes[word - begin] = hashed


@kernel
def build_table(data, offsets, slots, key, repeated):  # type: ignore[no-untyped-def]
    """Insert every word into the zeroed `slots`; skip words that occurred before, and mark them in `repeated` (bool).

    Returns the number of repeated words, or -1 if too many words collide under this key. The table keeps the first row
    of a repeated word.
    """
    # Nearly every slot is a cache miss. Prefetching the slots of a block of words before the first one is needed lets
    # the misses overlap, instead of waiting for each.
    count = 0
    hashes = np.empty(_BLOCK, dtype=np.uint64)
    for begin in range(0, len(offsets) - 1, _BLOCK):
        end = min(begin + _BLOCK, len(offsets) - 1)
        _hash_ahead(data, offsets, begin, end, slots, key, hashes)
        for row in range(begin, end):
            hashed = hashes[row - begin]
            slot, found = _find(hashed, data, offsets[row], offsets[row + 1], data, offsets, slots, _SAME_TAG_COST)
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
    """Insert the words `first` to ``total - 1`` into `slots`, which hold `count` words already; drop repeated words.

    Words after a dropped one are moved forward to close the gap, so `data` and `offsets` stay packed. ``fresh[i]``
    (bool) says whether word ``first + i`` was new. Returns the new count, and the first word that was not inserted:
    `total`, or a word that collides with too many others under this key.
    """
    # Words are hashed ahead in blocks, as in `build_table`. Packing in place is safe, because a word moves only towards
    # the beginning, and never over a word that was not read yet.
    end = offsets[count]
    hashes = np.empty(_BLOCK, dtype=np.uint64)
    for begin in range(first, total, _BLOCK):
        last = min(begin + _BLOCK, total)
        _hash_ahead(data, offsets, begin, last, slots, key, hashes)
        for row in range(begin, last):
            hashed = hashes[row - begin]
            start, stop = offsets[row], offsets[row + 1]
            slot, found = _find(hashed, data, start, stop, data, offsets, slots, _SAME_TAG_COST)
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
    """Write the row number of each word ``text[starts[i]:stops[i]]`` to `rows` (int64), -1 where it is missing."""
    for i in range(len(starts)):
        start, stop = np.int64(starts[i]), np.int64(stops[i])
        rows[i] = _ABSENT
        if 0 <= start <= stop <= len(text):
            hashed = _hash(text, start, stop, key)
            _, row = _find(hashed, text, start, stop, data, offsets, slots, 0)
            rows[i] = max(row, _ABSENT)


@kernel
def match_first_fields(text, starts, stops, data, offsets, slots, key, kept):  # type: ignore[no-untyped-def]
    """Write the numbers of the lines whose first field is in the table to `kept` (int64), and return how many.

    The first field of a line ends at a space, a tab or the end of the line. Bounds are those of `find_lines`, so they
    are inside `text`.
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
    """Return the offset where the token at `at` ends: at the first ASCII white space, or at `end`."""
    # Eight bytes at a time: the expression sets the top bit of bytes below 33. A borrow can also mark a byte above a
    # marked one, but the lowest mark is exact (the "haszero" and "hasless" tricks of S. E. Anderson, "Bit Twiddling
    # Hacks"). The byte it finds may also be a control character that is not white space; then the search continues.
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
    """Return whether ``text[start:stop]`` equals the bytes of `data` at `begin`; both can be read eight at a time."""
    for at in range(start, stop, 8):
        if _head(text, at, stop) != _head(data, begin + at - start, begin + stop - start):
            return False
    return True


@kernel
def lookup_tokens(text, begin, end, data, offsets, slots, key, rows, starts, stops, bags):  # type: ignore[no-untyped-def]
    """Find the tokens in the lines ``text[begin:end]`` and their rows; return the numbers of tokens and of lines.

    Tokens are separated by ASCII white space. A line ends at a line feed or at `end`, and eight bytes after `end` must
    be readable. Token ``i`` is ``text[starts[i]:stops[i]]`` (int64) and has the row ``rows[i]`` (int64), -1 if it is
    missing. Line ``k`` has the tokens ``bags[k]:bags[k + 1]`` (int64). The arrays need ``(end - begin + 1) // 2``
    entries, because each token takes at least one byte and one separator.
    """
    # A search waits for memory three times: for the slot, for the offset of the word, and for its bytes. Instead of
    # waiting for each token in turn, a block of tokens goes through the three steps together, and each step prefetches
    # what the next one needs, so that the waits overlap. A row from the table is checked against the arrays before its
    # offset is read, and the offsets before the bytes.
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
            left = _MAX_PROBES
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
                start, stop, word_start, word_stop = starts[i], stops[i], offsets[row], offsets[row + 1]
                same = word_stop - word_start == stop - start and word_start >= 0 and word_stop <= len(data)
                if same and word_start + ((stop - start + 7) & ~7) <= len(data):
                    same = _same_padded(text, start, stop, data, word_start)
                elif same:  # one of the last words: no eight bytes can be read after it
                    same = _same(text, start, data, word_start, stop - start)
                if not same:  # a different word with the same tag: search from the beginning
                    _, row = _find(hashes[i - done], text, start, stop, data, offsets, slots, 0)
                    rows[i] = max(row, _ABSENT)
        if at >= end:
            break
    lines += 1
    bags[lines] = count
    return count, lines


@kernel
def copy_words(text, starts, data, offsets):  # type: ignore[no-untyped-def]
    """Copy the words that begin at ``starts[i]`` in `text` to ``data[offsets[i]:offsets[i + 1]]``.

    Returns False at a word that is not inside both arrays.
    """
    # Words are copied eight bytes at a time while both arrays have eight bytes left. The last step of a word may copy
    # too many; the next word overwrites them. Words may be far apart in `text`, so they are prefetched.
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
