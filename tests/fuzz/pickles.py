"""Change the instructions of a pickle."""

from __future__ import annotations

import pickletools
import random
import struct

_MAKES = [
    b"N", b"K\0", b"K\5", b"J\xff\xff\xff\xff", b"]", b"}", b")", b"\x8f", b"(", b"\x88", b"G\x7f\xf8\0\0\0\0\0\0",
    b"X\1\0\0\0a", b"C\4abcd", b"\x8a\x09\0\0\0\0\0\0\0\0\1", b"X\2\0\0\0\xc4\x80",
]  # fmt: skip
_CHANGES = [
    b"2", b"0", b"1", b"b", b"Nb", b"a", b"e", b"s", b"u", b"t", b"l", b"d", b"\x85", b"\x86", b"\x87", b"\x90",
    b"\x91", b"\x94", b"R", b"\x81", b"\x92", b"o", b"h\0", b"h\1", b"q\0", b"h\0h\0\x86q\0", b"](h\0h\0eq\0", b"Ns",
    b"\x93",
]  # fmt: skip
_NAMES = [
    b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n",
    b"cnumpy.core.multiarray\nscalar\n", b"c_codecs\nencode\n", b"c__builtin__\nset\n", b"ccollections\nOrderedDict\n",
    b"cnumpy.core.numeric\n_frombuffer\n", b"ccopy_reg\n_reconstructor\n", b"cgensim.models.word2vec\nVocab\n",
    b"cgensim.models.keyedvectors\nKeyedVectors\n", b"cos\nsystem\n", b"cnumpy\nfloat64\n", b"c__builtin__\nobject\n",
]  # fmt: skip
_SIZES = [0, 1, 2, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1]


def mutate_pickle(data: bytes, rng: random.Random) -> bytes:
    """Remove, repeat, replace or insert instructions, or change an argument."""
    starts = _starts(data)
    pieces = [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(pieces))
        action = rng.randrange(10)
        if action == 0:
            del pieces[at]
        elif action == 1:
            pieces[at:at] = [pieces[at]] * rng.choice([1, 1, 3, 300])
        elif action == 2:
            other = rng.randrange(len(pieces))
            pieces[at], pieces[other] = pieces[other], pieces[at]
        elif action in (3, 4):
            pieces[at] = _argument(pieces[at], rng)
        elif action == 5:
            pieces[at:at] = [rng.choice(_NAMES)]
        elif action == 6:
            pieces[at] = rng.choice([rng.choice(_MAKES), rng.choice(_NAMES)])
        elif action == 7:
            pieces[at:at] = [rng.choice(_CHANGES)] * rng.choice([1, 1, 2, 60, 500])
        elif action == 8:
            pieces[at:at] = [rng.choice(_MAKES) + rng.choice(_CHANGES)] * rng.choice([1, 2, 300])
        else:
            pieces[at:at] = pieces[rng.randrange(len(pieces)) :][: rng.randint(1, 9)]
        if not pieces:
            pieces = [b"N."]
    return b"".join(pieces)


def _starts(data: bytes) -> list[int]:
    """Return the offsets of the instructions, up to the first malformed one."""
    starts: list[int] = []
    try:
        for _, _, at in pickletools.genops(data):
            starts.append(at or 0)
    except Exception:
        pass
    return starts or [0]


def _argument(piece: bytes, rng: random.Random) -> bytes:
    """Change the argument of an opcode: a length, a number, or text."""
    if len(piece) == 1:
        return piece
    if piece[:1] in b"XBTr\x8d\x8e\x96jG" and len(piece) >= 5 and rng.random() < 0.5:
        return piece[:1] + struct.pack("<I", rng.choice(_SIZES) % 2**32) + piece[5:]
    at = rng.randrange(1, len(piece))
    return piece[:at] + bytes([rng.choice([0, 1, 10, 127, 128, 255, rng.randrange(256)])]) + piece[at + 1 :]
