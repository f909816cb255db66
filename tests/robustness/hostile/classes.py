"""Hostile files: one of each kind that has broken a reader.

Each must end within the limits of `tests.fuzz.children`, with an error of vecload, or with the right answer if the file
is valid. The pickles are in `tests.formats.pickles.test_pickle_budget`.
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
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgpack
import numpy as np
import zstandard

import vecload
from tests.builders import small_vectors
from tests.formats.pickles.test_pickle_budget import HOSTILE, HOSTILE_VECTORS
from tests.fuzz.inputs import Input, from_file, from_folder
from tests.fuzz.mutation import INTEGERS, VALUES
from tests.fuzz.seeds import DIM, VECTORS, WORDS, ngram_tables

ROW = b"cat 0.5 0.25\n"


def inputs(folder: Path) -> Iterator[tuple[str, Input]]:
    """Yield the name and the input of each kind of hostile file."""
    for name, raw in {**HOSTILE, **HOSTILE_VECTORS}.items():
        yield f"pickle, {name}", Input("gensim", {"a.kv": raw}, "a.kv")
    for name, data in [*_texts(), *_binaries(), *_archives(), *_arrays()]:
        yield name, Input("any", {name.rpartition(", ")[2]: data}, name.rpartition(", ")[2])
    for reader in ("Vocab", "word pairs", "dictionary", "texts"):
        for name, data in _endless_lines():
            yield f"{reader}, {name}", Input(reader, {name: data}, name)
    yield from _native(folder)
    yield from _saved(folder)
    yield from _folders()


def _texts() -> Iterator[tuple[str, bytes]]:
    yield "one line of 100 MB, a.txt.gz", gzip.compress(b"x" * 100_000_000, 1)
    yield "a good line, then 100 MB without a line feed, a.txt.gz", gzip.compress(ROW + b"x" * 100_000_000, 1)
    yield "numbers without an end, a.txt.gz", gzip.compress(b"cat" + b" 0" * 50_000_000, 1)
    yield "a header of 10^12 rows, a.vec", b"1000000000000 2\n" + ROW
    yield "a header of 10^7 dimensions, a.vec", b"2 10000000\n" + ROW
    yield "numbers of 100,000 digits, a.txt", b"cat " + b"1" * 100_000 + b" 0." + b"3" * 100_000 + b"\n" + ROW
    yield "a row of 500,000 values, a.txt", b"1 " * 500_000
    yield "a million empty lines, a.txt", b"cat 1\n" + b"\n" * 1_000_000
    yield "a pattern that backtracks in a line, a.txt", b"cat " + b"1 " * 50_000 + b"x\n"


def _endless_lines() -> Iterator[tuple[str, bytes]]:
    """Yield 100 MB without a line end, in each compression format."""
    line = b"x" * 100_000_000
    yield "a.gz", gzip.compress(line, 1)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", line)
    yield "a.zip", packed.getvalue()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = len(line)
        archive.addfile(member, io.BytesIO(line))
    yield "a.tar.gz", packed.getvalue()


def _binaries() -> Iterator[tuple[str, bytes]]:
    yield "a word of 100 MB, a.bin.gz", gzip.compress(b"1 2\n" + b"w" * 100_000_000 + b" " + bytes(8), 1)
    yield "a header of 2^62 rows, a.bin", b"%d 2\n" % 2**62 + b"cat " + bytes(8)
    head = struct.pack("<2i", 793712314, 12)
    long = head + struct.pack("<12id", 2, 5, 5, 1, 5, 1, 1, 1, 20, 2, 1024, 100, 0.001)
    word = b"w" * 300_000 + b"\0" + struct.pack("<qb", 1, 0)
    yield "a word of 300 kB and n-grams up to 1024, a.bin", long + struct.pack("<3i2q", 1, 1, 0, 1, -1) + word
    none = head + struct.pack("<12id", 2**31 - 1, 5, 5, 1, 5, 1, 1, 1, 0, 0, 0, 100, 0.001)
    sizes = struct.pack("<3i2q", 0, 0, 0, 0, -1) + b"\0" + struct.pack("<2q", 0, 2**62)
    yield "no rows of 2^62 values, a.bin", none + sizes


def _archives() -> Iterator[tuple[str, bytes]]:
    for name, tarred in [
        ("a long name of 100 MB", _block(b"L", 100_000_000) + b"x" * 100_000_000 + _block(b"0", len(ROW)) + ROW),
        ("3000 pax headers in a row", (_block(b"x", 12) + b"12 path=abc\n".ljust(512, b"\0")) * 3000),
        ("3000 long names in a row", (_block(b"L", 5) + b"abc".ljust(512, b"\0")) * 3000 + _block(b"0", 0)),
        ("a pax header that claims 8 GB", _block(b"x", 8 << 30)),
        ("a negative size", _block(b"0", 0)[:124] + b"-0000000001\0" + _block(b"0", 0)[136:]),
        ("a size in base 256", _block(b"L", 0)[:124] + b"\x80" + b"\x40".ljust(11, b"\0") + _block(b"0", 0)[136:]),
        ("a link", _block(b"2", 0)),
    ]:
        yield f"tar, {name}, a.tar.gz", gzip.compress(tarred, 1)
    for name in ("", "../../v.txt", "/v.txt", "x" * 60_000, "a\0b"):
        yield f"zip, a member named {name[:10]!r}, a.zip", _zip({name: ROW * 3})
        yield f"npz, a member named {name[:10]!r}, a.npz", _zip({name: ROW, "words.npy": ROW})
    raw = _zip({"v.txt": ROW * 30})
    central = raw.index(b"PK\1\2")
    for name, at, value in [
        ("encrypted", 8, b"\1\0"),
        ("an unknown method", 10, b"\x5d\0"),
        ("sizes of 4 GB", 20, b"\xf0\xff\xff\xff\xf0\xff\xff\xff"),
        ("an offset past the end", 42, b"\xf0\xff\xff\xff"),
    ]:
        yield f"zip, {name}, a.zip", raw[: central + at] + value + raw[central + at + len(value) :]
    yield "zip in zip, a.zip", _zip({"a.zip": _zip({"b.zip": _zip({"v.txt": ROW})})})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twice = io.BytesIO()
        with zipfile.ZipFile(twice, "w") as archive:
            archive.writestr("v.txt", ROW)
            archive.writestr("v.txt", ROW * 2)
    yield "zip, two members of one name, a.zip", twice.getvalue()
    for kind, pack in {
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
        "zst": zstandard.compress,
    }.items():
        yield f"70,000 empty streams, a.{kind}", pack(b"") * 70_000 + pack(ROW)
    yield "a dictionary of 4 GB, a.xz", b"\xfd7zXZ\0\0\4\xe6\xd6\xb4F\2\0!\1\x28" + bytes(60)
    yield "a dictionary of 4 GB, a.lzma", b"]\xff\xff\xff\xff" + b"\xff" * 8 + bytes(60)


def _block(kind: bytes, size: int) -> bytes:
    member = tarfile.TarInfo("a.txt")
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def _zip(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in members.items():
            member = zipfile.ZipInfo(name)  # the name may not be empty here
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, data)
    return packed.getvalue()


SHAPES = [
    "-" * 9000 + "1,", "(" * 9000, "[" * 9000, "True, 2", "0, 1 << 62", "4, 18446744073709551615", "1e400, 2",
    "0, 4611686018427387904", "2, None", "'a', 2", "-1, -8", "{}, 2", "9" * 9000 + ", 2",
]  # fmt: skip
TYPES = ["|O", "<U0", "<U1000000", "|S0", "|V8", "<M8[s]", "<c8", "<f16", "|b1", "x", "<f4,<f4", "", "<U" + "9" * 300]


def _npy(shape: str, descr: str = "<f4", data: bytes = bytes(16)) -> bytes:
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': ({shape}), }}\n".encode()
    return b"\x93NUMPY\2\0" + struct.pack("<I", len(header)) + header + data


def _arrays() -> Iterator[tuple[str, bytes]]:
    words = _npy("2,", "<U1", "ab".encode("utf-32-le"))
    for shape in SHAPES:
        yield f"npy, shape {shape[:20]}, a.npy", _npy(shape)
        yield f"npz, shape {shape[:20]}, a.npz", _zip({"words.npy": words, "vectors.npy": _npy(shape)})
    for descr in TYPES:
        yield f"npz, vectors of {descr[:20]}, a.npz", _zip({"words.npy": words, "vectors.npy": _npy("2, 2", descr)})
        yield f"npz, words of {descr[:20]}, a.npz", _zip({"words.npy": _npy("2,", descr), "vectors.npy": _npy("2, 2")})


def _safetensors(header: object, body: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + body


MARK = {"format": "vecload vectors", "version": "1"}


def _native(folder: Path) -> Iterator[tuple[str, Input]]:
    """Yield native files with invalid headers, and with every tensor changed in type or values."""
    name = "a.safetensors"
    bare = {
        "sides of 20,000 big numbers": {"matrix": {"dtype": "F32", "shape": [2**62] * 20_000, "data_offsets": [0, 0]}},
        "no rows of 2^59 values": {"matrix": {"dtype": "F32", "shape": [0, 2**59], "data_offsets": [0, 0]}},
        "truth values and fractions as sizes": {
            "matrix": {"dtype": "F32", "shape": [True, 1.0], "data_offsets": [0, 4]}
        },
        "a number as a tensor": {"matrix": 5},
        "a list as a type": {"matrix": {"dtype": ["F32"], "shape": [1, 1], "data_offsets": [0, 4]}},
    }
    for kind, tensors in bare.items():
        yield (
            f"native, {kind}",
            Input("native", {name: _safetensors({"__metadata__": MARK, **tensors}, bytes(4))}, name),
        )
    start = b'{"__metadata__":{"format":"vecload vectors","version":"1","meta":"'
    raws = {
        "nested JSON": start + b'"},"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "nested JSON in its metadata": start + b"[" * 100_000 + b'"}}',
        "a number of 5000 digits": start
        + b'"},"matrix":{"dtype":"F32","shape":['
        + b"9" * 5000
        + b',1],"data_offsets":[0,4]}}',
    }
    for kind, raw in raws.items():
        yield f"native, {kind}", Input("native", {name: _safetensors(raw, bytes(4))}, name)
    yield "native, a header of 2^64 bytes", Input("native", {name: b"\xff" * 8 + raws["nested JSON"][:100]}, name)
    for number, ngrams in enumerate([None, *ngram_tables()]):
        small_vectors(WORDS, DIM, ngrams=ngrams).save(folder / name)
        yield from _tensors("native", f"native {number}", (folder / name).read_bytes())
        (folder / name).unlink()


def _tensors(reader: str, title: str, data: bytes) -> Iterator[tuple[str, Input]]:
    """Yield copies of a safetensors file with one type, tensor or setting changed."""
    name = "a.safetensors"
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    sizes = {"F64": 8, "F32": 4, "F16": 2, "U64": 8, "I64": 8, "I32": 4, "U8": 1, "I8": 1, "BOOL": 1}
    for tensor, entry in header.items():
        if tensor == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        for dtype, size in sizes.items():
            row = int(np.prod(entry["shape"][1:], dtype=int)) * size
            if dtype != entry["dtype"] and row and (end - begin) % row == 0:
                changed = {
                    **header,
                    tensor: {**entry, "dtype": dtype, "shape": [(end - begin) // row, *entry["shape"][1:]]},
                }
                yield f"{title}, {tensor} as {dtype}", Input(reader, {name: _safetensors(changed, body)}, name)
        for value in (b"\xff", b"\x7f", b"\1", b"\0\0\0\0\0\0\0\x40"):
            filled = (value * (end - begin))[: end - begin]
            changed_body = body[:begin] + filled + body[end:]
            yield f"{title}, {tensor} of {value!r}", Input(reader, {name: _safetensors(header, changed_body)}, name)
        if len(entry["shape"]) == 2:
            turned = {**header, tensor: {**entry, "shape": entry["shape"][::-1]}}
            yield f"{title}, {tensor} transposed", Input(reader, {name: _safetensors(turned, body)}, name)
    for key, text in header["__metadata__"].items():
        values = [[], 5, "x" * 100_000, "{", "[]", '"' + "9" * 5000 + '"', "{" * 50_000]
        if text.startswith("{"):
            settings = json.loads(text)
            values += [
                json.dumps({**settings, name: value})
                for name in settings
                for value in [*random.Random(0).sample(INTEGERS, 6), *VALUES, 0.5, 2**62]
            ]
        for at, value in enumerate(values):
            changed = {**header, "__metadata__": {**header["__metadata__"], key: value}}
            yield f"{title}, {key} {at}", Input(reader, {name: _safetensors(changed, body)}, name)


def _saved(folder: Path) -> Iterator[tuple[str, Input]]:
    name = "a.safetensors"
    vecload.align(
        VECTORS, vecload.Vocab.from_words(["cat", "dog", "zebra"], pad_token="<pad>", unk_token="<unk>")
    ).save(folder / name)
    yield from _tensors("Aligned", "Aligned", (folder / name).read_bytes())
    vecload.map_spaces(VECTORS, VECTORS, pairs=[(word, word) for word in WORDS]).save(folder / "b.safetensors")
    yield from _tensors("SpaceMap", "SpaceMap", (folder / "b.safetensors").read_bytes())
    vecload.Vocab.from_texts(["a b a c"], pad_token="<pad>", unk_token="<unk>").save(folder / "vocab.json")
    kept = json.loads((folder / "vocab.json").read_bytes())
    for key in kept:
        for at, value in enumerate([*VALUES, *INTEGERS, [2**64], [0.5], ["a", "a"], [None], [[]]]):
            raw = json.dumps({**kept, key: value}).encode()
            yield f"Vocab, {key} {at}", Input("Vocab", {"vocab.json": raw}, "vocab.json")
    for piece in (b"\n", b" ", b"\t", b"\t\n", b",\n", b'"', b"a\n", b"a,b\n", b"a\tb\t1\n", b"1", b"["):
        for reader in ("Vocab", "dictionary", "word pairs", "texts"):
            raw = b"cat dog 1\n" + piece * (100_000 // len(piece)) + b"\n"
            yield f"{reader}, {piece!r} repeated", Input(reader, {"a.txt": raw}, "a.txt")
    yield "Vocab, nested", Input("Vocab", {"vocab.json": b"[" * 200_000}, "vocab.json")
    vecload.SentencePooler(VECTORS, "mean", tokenize=re.compile(r"\w+")).save(folder / "pooler")
    pooler = from_folder("pooler", folder / "pooler")
    settings = json.loads(pooler.files["pooler.json"])
    for key in settings:
        for at, value in enumerate([*VALUES, *INTEGERS, {}, {"name": "sif"}, {"kind": "regex"}]):
            yield f"pooler, {key} {at}", pooler.replaced("pooler.json", json.dumps({**settings, key: value}).encode())
    for pattern in (
        r"(?:\w+\s?)*;",
        r"(a*)*b",
        r"(x+x+)+y",
        r"(?:a|a)*$",
        r"(\w|\w\w)+!",
        "(",
        r"\1",
        "a{1000}{1000}{1000}",
    ):
        kind = {"kind": "regex", "lowercase": False, "settings": json.dumps({"pattern": pattern, "flags": 32})}
        raw = json.dumps({**settings, "tokenizer": kind}).encode()
        yield f"pooler, pattern {pattern}", pooler.replaced("pooler.json", raw)


def _folders() -> Iterator[tuple[str, Input]]:
    """Yield spaCy folders with invalid settings, shapes and keys."""
    floret = {
        "mode": "floret",
        "minn": 2,
        "maxn": 4,
        "hash_count": 2,
        "bow": "<",
        "eow": ">",
        "hash_seed": 1,
        "attr": 65,
    }
    files = {"vectors": _npy("4, 1"), "key2row": b"\xdf\0\0\0\0", "strings.json": b"[]"}
    for key in floret:
        for at, value in enumerate([*VALUES, *INTEGERS, 10**30, 10**400]):
            raw = json.dumps({**floret, key: value}).encode()
            yield f"spaCy, {key} {at}", Input("spaCy", {**files, "vectors.cfg": raw})
    plain = {**files, "strings.json": b'["cat"]', "vectors.cfg": b'{"mode": "default"}'}
    for shape in SHAPES:
        yield f"spaCy, shape {shape[:20]}", Input("spaCy", {**plain, "vectors": _npy(shape)})
    for keys in ({1: 2**40}, {1: -1}, {"a": "b"}, {1: None}, [1, 2], 5, {1: [1]}, {2**64 - 1: 2**63}, {1.5: 0.5}):
        yield f"spaCy, keys {keys}", Input("spaCy", {**plain, "key2row": msgpack.packb(keys)})
    yield "spaCy, 4 billion keys", Input("spaCy", {**plain, "key2row": b"\xdf\xff\xff\xff\xff"})
    yield "spaCy, nested keys", Input("spaCy", {**plain, "key2row": b"\x91" * 100_000})
    for strings in (b"[1]", b"{}", b"5", b"[[]]", b"[" * 100_000, b'["\\ud800"]', b"[null]"):
        yield f"spaCy, strings {strings[:10]!r}", Input("spaCy", {**plain, "strings.json": strings})


def shared(folder: Path) -> Iterator[tuple[str, Input]]:
    """Yield the hostile files of ../shared/cases."""
    for path in [*sorted(folder.iterdir()), *sorted((folder / "held").iterdir())]:
        if path.name in ("README.md", "held"):
            continue
        names = {"spacemap": "SpaceMap", "pooler": "pooler", "vocab": "Vocab"}
        given = from_file(names.get(path.name.partition("_")[0], "any"), path)
        entry = next((name for name in given.files if f"{name}.vectors.npy" in given.files), given.entry)
        yield path.name, Input(given.reader, given.files, entry)
