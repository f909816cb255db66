"""Change inputs: their bytes, and the structure of their format.

Each function takes bytes and a random generator and returns bytes. `mutate` recognizes the structure of a file by its
first bytes, so that a safetensors file in a zip archive in a folder is changed at every level.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence

from tests.fuzz.inputs import Input
from tests.fuzz.pickles import mutate_pickle

Mutator = Callable[[bytes, random.Random], bytes]

INTEGERS = [
    0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536, 99_999_999, 2**31 - 1, 2**31, 2**32 - 1,
    2**32, 2**40, 2**53, 2**59, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -1, -2, -(2**31), -(2**63),
]  # fmt: skip
"""Numbers at which sizes overflow, wrap around or become huge."""
VALUES = [
    None, True, False, 1.5, -0.5, 1e308, float("nan"), float("inf"), "", "a", "x" * 300, "\ud800", "北", "0", "(",
    "F32", [], {}, [[]], {"a": 1}, [1, "a", None], 10**400,
]  # fmt: skip
TOKENS = [
    b"nan", b"inf", b"-Infinity", b"1e39", b"abc", b"", b"--1", b"1e", b"0x10", b"1.#QNAN", b"\0", b"\x0b", b"1,5",
    b"1e999", b"\xd9\xa1", b"\xff\xfe", b"\xc2\xa0", b"\xe3\x80\x80", b"\r", b"\n", b"\n\n", b"\r\n", b"\t", b"  ",
    b" ", b"1" * 400, b"0.25", b"3.4e38", b"1e-45", b"\xef\xbb\xbf", b"\x1a", b"<unk>", b":", b"#", b'"', b"x" * 3000,
]  # fmt: skip


def number(rng: random.Random) -> int:
    """Draw a number that readers may not handle, or one close to it."""
    return rng.choice(INTEGERS) + rng.choice([0, 0, 0, 1, -1])


def mutate(given: Input, others: Sequence[Input], rng: random.Random) -> Input:
    """Change one or two files of an input; sometimes remove, swap or splice files."""
    names = sorted(given.files)
    if len(names) > 1 and rng.random() < 0.05:
        return _shuffled(given, names, rng)
    for _ in range(rng.choice([1, 1, 1, 2])):
        name = rng.choice(names)
        data = given.files[name]
        if rng.random() < 0.03:
            data = _splice(data, rng.choice(others), rng)
        given = given.replaced(name, mutate_bytes(data, rng))
    return given


def _shuffled(given: Input, names: list[str], rng: random.Random) -> Input:
    one, other = rng.sample(names, 2)
    files = dict(given.files)
    if rng.random() < 0.5 and one != given.entry:
        del files[one]
    else:
        files[one], files[other] = files[other], files[one]
    return Input(given.reader, files, given.entry)


def _splice(data: bytes, other: Input, rng: random.Random) -> bytes:
    """Return the beginning of one file followed by the end of another."""
    tail = rng.choice(sorted(other.files.values()))
    return data[: rng.randrange(len(data) + 1)] + tail[rng.randrange(len(tail) + 1) :]


def mutate_bytes(data: bytes, rng: random.Random, depth: int = 0) -> bytes:
    """Change the structure of a file if its format is known, else its bytes."""
    structured = _structure(data)
    if structured is not None and depth < 4 and rng.random() < 0.7:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile warns about duplicate names, which are intended here
                return structured(data, rng, depth)
        except Exception:
            pass
    for _ in range(rng.choice([1, 1, 2, 3, 5])):
        data = rng.choice(_BYTES)(data, rng)
    return data


def _structure(data: bytes) -> Callable[[bytes, random.Random, int], bytes] | None:
    if len(data) > 10 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data):
        return lambda data, rng, _: mutate_safetensors(data, rng)
    if data[:1] == b"\x80" or data.startswith((b"ccopy_reg\n", b"ccopyreg\n")):
        return lambda data, rng, _: mutate_pickle(data, rng)
    if data.startswith(b"\x93NUMPY"):
        return lambda data, rng, _: mutate_npy(data, rng)
    if data.startswith(b"PK"):
        return _mutate_zip
    for magic, unpack, pack in _PACKED:
        if data.startswith(magic):
            return lambda data, rng, depth: pack(mutate_bytes(unpack(data), rng, depth + 1))
    if data[257:262] == b"ustar":
        return _mutate_tar
    if data.lstrip()[:1] in (b"{", b"["):
        return lambda data, rng, _: mutate_json(data, rng)
    if b"\0" not in data[:1000] and b" " in data[:1000]:
        return lambda data, rng, _: mutate_text(data, rng)
    return None


# Bytes


def _set(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + bytes([rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])]) + data[at + 1 :]


def _flip(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :] if data else b"\1"


def _delete(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + rng.choice([1, 1, 2, 4, 8, rng.randint(1, 200)]) :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + rng.choice([rng.choice(TOKENS), rng.randbytes(rng.randint(1, 9))]) + data[at:]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    piece = data[at : at + rng.choice([1, 2, 4, 8, rng.randint(1, 100)])]
    return data[:at] + piece * rng.choice([2, 2, 3, 10, 300]) + data[at:]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: _place(data, rng)]


def _integer(data: bytes, rng: random.Random) -> bytes:
    """Write a number of 1 to 8 bytes over others."""
    size = rng.choice([1, 2, 4, 4, 8, 8])
    at = _place(data, rng)
    if rng.random() < 0.5:
        at -= at % size
    value = number(rng) % (1 << 8 * size)
    return data[:at] + value.to_bytes(size, rng.choice(["little", "little", "big"])) + data[at + size :]


def _add(data: bytes, rng: random.Random) -> bytes:
    """Change a number of 1 to 8 bytes a little."""
    size = rng.choice([1, 2, 4, 8])
    at = _place(data, rng)
    piece = data[at : at + size]
    value = (int.from_bytes(piece, "little") + rng.choice([1, -1, 2, -2, 16, -16])) % (1 << 8 * max(1, len(piece)))
    return data[:at] + value.to_bytes(max(1, len(piece)), "little") + data[at + size :]


def _move(data: bytes, rng: random.Random) -> bytes:
    """Copy a piece of the data over another piece."""
    at, to = _place(data, rng), _place(data, rng)
    piece = data[at : at + rng.choice([1, 4, 8, 16, rng.randint(1, 100)])]
    return data[:to] + piece + data[to + len(piece) :]


_BYTES: list[Mutator] = [_set, _set, _flip, _delete, _insert, _repeat, _cut, _integer, _integer, _add, _move]


def _place(data: bytes, rng: random.Random) -> int:
    """Draw an offset, often near the start or the end, where formats store sizes."""
    if not data:
        return 0
    near = min(len(data), 128)
    return rng.choice([rng.randrange(near), len(data) - 1 - rng.randrange(near), rng.randrange(len(data))])


# Text


def mutate_text(data: bytes, rng: random.Random) -> bytes:
    """Replace, remove or repeat lines and cells."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    action = rng.randrange(6)
    if action == 0:
        lines[at : at + 1] = [lines[at]] * rng.choice([0, 2, 3, 50])
    elif action == 1:
        lines[at], lines[0] = lines[0], lines[at]
    elif action == 2:
        lines[at] = b"%d %d" % (number(rng), number(rng))
    else:
        cells = re.split(rb"([ \t,])", lines[at])
        cell = rng.randrange(len(cells))
        cells[cell] = rng.choice([rng.choice(TOKENS), str(rng.choice([number(rng), 0.5])).encode()])
        if action == 3:
            del cells[cell]
        lines[at] = b"".join(cells)
    return b"\n".join(lines)


# JSON, safetensors and NumPy headers


def mutate_json(data: bytes, rng: random.Random) -> bytes:
    """Replace, remove or add a value somewhere in a document."""
    return _dumps(mutate_value(json.loads(data), rng))


def mutate_value(value: object, rng: random.Random) -> object:
    """Return a value with one change; text that contains JSON is changed inside."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        changed = dict(value)
        action = rng.random()
        if action < 0.08:
            del changed[key]
        elif action < 0.12:
            changed[rng.choice(["", "x", str(number(rng)), "__metadata__"])] = changed[key]
        else:
            changed[key] = mutate_value(changed[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        piece = rng.choice([[], [value[at]] * 2, [value[at]] * 300, [mutate_value(value[at], rng)]])
        return [*value[:at], *piece, *value[at + 1 :]]
    if isinstance(value, str) and value[:1] in ("{", "[") and rng.random() < 0.9:
        try:
            return json.dumps(mutate_value(json.loads(value), rng))
        except ValueError:
            return value[: len(value) // 2]
    if isinstance(value, int) and rng.random() < 0.5:
        return value + rng.choice([1, -1, 2, 64, -64])
    if isinstance(value, str) and rng.random() < 0.3:
        return rng.choice([value * 2, value[:-1], value.upper(), value + "\0", str(number(rng))])
    return rng.choice([number(rng), rng.choice(VALUES)])


def _dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode("ascii")


_DTYPES = ["F64", "F32", "F16", "BF16", "U64", "I64", "I32", "I16", "I8", "U8", "U16", "U32", "BOOL", "F8_E4M3", "C64"]


def mutate_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Change types, shapes, offsets and settings in the header, or the numbers of a tensor."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    tensors = [name for name in header if name != "__metadata__"]
    action = rng.random()
    if action < 0.3 and tensors:
        entry = header[rng.choice(tensors)]
        begin, end = entry["data_offsets"]
        piece = body[begin:end]
        if rng.random() < 0.5:
            for _ in range(rng.choice([1, 1, 2, 9])):
                piece = _integer(piece, rng)[: len(piece)]
        else:
            piece = rng.choice([_flip, _set, _add, _move])(piece, rng)[: len(piece)]
        # The offsets may be mutated ones, which claim gigabytes, so the size is that of the actual bytes.
        body = body[:begin] + piece.ljust(len(body[begin:end]), b"\0") + body[end:]
    elif action < 0.5 and tensors:
        entry = header[rng.choice(tensors)]
        entry["dtype"] = rng.choice(_DTYPES)
        if rng.random() < 0.7:  # the same bytes as another type
            begin, end = entry["data_offsets"]
            size = {"8": 1, "6": 2, "2": 4, "4": 8}.get(entry["dtype"][-1], 1)
            entry["shape"] = [(end - begin) // size, *entry["shape"][1:]] if rng.random() < 0.5 else entry["shape"]
            if len(entry["shape"]) == 2 and entry["shape"][1]:
                entry["shape"][0] = (end - begin) // size // entry["shape"][1]
    elif action < 0.6 and tensors:  # another number of items, with the bytes for them
        entry = header[rng.choice(tensors)]
        begin, end = entry["data_offsets"]
        row = len(body[begin:end]) // max(1, entry["shape"][0]) if entry["shape"] else 0
        count = rng.choice([0, 1, entry["shape"][0] + 1 if entry["shape"] else 1, 3])
        entry["shape"][:1] = [count]
        grown = (body[begin:end] * 2 + bytes(row))[: count * row]
        body = body[:begin] + grown + body[end:]
        for other in tensors:
            header[other]["data_offsets"] = [
                at + len(grown) - (end - begin) if at >= end and header[other] is not entry else at
                for at in header[other]["data_offsets"]
            ]
        entry["data_offsets"] = [begin, begin + len(grown)]
    elif action < 0.65 and len(tensors) > 1:  # swap two tensors, or remove one
        one, other = rng.sample(tensors, 2)
        header[one], header[other] = header[other], header[one]
    else:
        header = mutate_value(header, rng)
    raw = _dumps(header)
    stated = number(rng) % 2**64 if rng.random() < 0.03 else len(raw)
    return struct.pack("<Q", stated) + raw + body


def mutate_npy(data: bytes, rng: random.Random) -> bytes:
    """Change the shape or dtype in the header of a NumPy array."""
    size = 2 if data[6:7] == b"\1" else 4
    length = int.from_bytes(data[8 : 8 + size], "little")
    header = data[8 + size : 8 + size + length].decode("latin1")
    action = rng.randrange(5)
    if action == 0:
        descr = rng.choice(["<f4", ">f8", "|O", "<U3", "|S2", "<M8[s]", "|V4", "<c8", "|b1", "<u8", "<i4", "f", "<f16"])
        header = re.sub(r"'descr': '[^']*'", f"'descr': {descr!r}", header)
    elif action == 1:
        shape = rng.choice(
            ["()", "(0, 4)", "(4,)", "(True, 2)", "(-1, 4)", "(2, 2, 2)", "4", "'a'", "(1.0, 4)", "None"]
        )
        shape = rng.choice([shape, f"({number(rng)}, {number(rng)})", "(" * 300, "-" * 3000 + "1", "{" * 40])
        header = re.sub(r"'shape': \([^)]*\)", f"'shape': {shape}", header)
    elif action == 2:
        header = header.replace("False", rng.choice(["True", "0", "None", "'x'"]))
    elif action == 3:
        return data[: 8 + size + length] + mutate_bytes(data[8 + size + length :], rng, 9)
    else:
        header = mutate_text(header.encode("latin1"), rng).decode("latin1")
    raw = header.encode("latin1")
    return data[:8] + (len(raw) % (1 << 8 * size)).to_bytes(size, "little") + raw + data[8 + size + length :]


# Archives and compressed files


def _mutate_zip(data: bytes, rng: random.Random, depth: int) -> bytes:
    """Pack changed members, renamed or duplicated, or change fields of the archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    packed = io.BytesIO()
    chosen = rng.randrange(len(members))
    action = rng.random()
    with zipfile.ZipFile(packed, "w") as archive:
        for at, (info, content) in enumerate(members):
            name, changed = info.filename, content
            if at == chosen and action < 0.7:
                changed = mutate_bytes(content, rng, depth + 1)
            elif at == chosen and action < 0.85:
                name = rng.choice(["", "/", "../a", "x" * 3000, "a\0b", "words.npy", "b.txt.gz", name + "/"])
            for _ in range(2 if at == chosen and action > 0.95 else 1):
                member = zipfile.ZipInfo(name)
                member.compress_type = info.compress_type
                archive.writestr(member, changed)
    raw = packed.getvalue()
    return rng.choice(_BYTES)(raw, rng) if 0.85 <= action < 0.95 else raw


def _mutate_tar(data: bytes, rng: random.Random, depth: int) -> bytes:
    """Change the header of a member and correct its checksum, or change its contents."""
    blocks = [at for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"]
    at = rng.choice(blocks)
    if rng.random() < 0.3:
        return data[: at + 512] + mutate_bytes(data[at + 512 :], rng, 9)
    header = bytearray(data[at : at + 512])
    begin, size = rng.choice([(0, 100), (124, 12), (156, 1), (157, 100), (257, 8), (345, 155), (100, 8)])
    value = rng.choice([b"7" * 11, b"0" * 11, b"\x80" + rng.randbytes(11), b"-1", b"LKxg125"[rng.randrange(7) :], b"x"])
    header[begin : begin + size] = value[:size].ljust(size, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + bytes(header) * rng.choice([1, 1, 1, 50]) + data[at + 512 :]


def _zstd(data: bytes, *, pack: bool) -> bytes:
    import zstandard

    return zstandard.compress(data) if pack else zstandard.decompress(data, max_output_size=1 << 24)


def _lz4(data: bytes, *, pack: bool) -> bytes:
    import lz4.frame

    return lz4.frame.compress(data) if pack else lz4.frame.LZ4FrameDecompressor().decompress(data, 1 << 24)


_PACKED: list[tuple[bytes, Callable[[bytes], bytes], Callable[[bytes], bytes]]] = [
    (b"\x1f\x8b", gzip.decompress, lambda data: gzip.compress(data, mtime=0)),
    (b"BZh", bz2.decompress, bz2.compress),
    (b"\xfd7zXZ", lzma.decompress, lzma.compress),
    (b"]\0\0", lzma.decompress, lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE)),
    (b"\x04\x22\x4d\x18", lambda data: _lz4(data, pack=False), lambda data: _lz4(data, pack=True)),
    (b"(\xb5/\xfd", lambda data: _zstd(data, pack=False), lambda data: _zstd(data, pack=True)),
]
