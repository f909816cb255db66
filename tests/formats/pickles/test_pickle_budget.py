"""Memory, hashing, formatting and arithmetic caused by a pickle are bounded by the size of the file."""

from __future__ import annotations

import io
import pickle
import struct
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import vecload
from vecload.errors import FormatError
from vecload.formats.pickles.pickled_types import KeyValuePairs
from vecload.formats.pickles.restricted_unpickler import unpickle

START = b"\x80\x04"
VECTORS = b"cgensim.models.keyedvectors\nKeyedVectors\n)\x81"


def read(raw: bytes) -> Any:
    return unpickle(np.frombuffer(raw, dtype=np.uint8), "test.kv")


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def put(number: int) -> bytes:
    return b"r" + struct.pack("<I", number)


def get(number: int) -> bytes:
    return b"j" + struct.pack("<I", number)


def doubled(levels: int) -> bytes:
    """Return lists that each contain the previous list ten times: 10 ** levels strings if formatted."""
    made = text(b"x" * 50) + put(0) + b"0"
    for level in range(levels):
        made += b"](" + get(level) * 10 + b"e" + put(level + 1) + b"0"
    return made


def long(size: int) -> bytes:
    """Return the instruction for an integer of `size` bytes."""
    return b"\x8b" + struct.pack("<i", size) + b"\x01" * size


def colliding(count: int) -> list[bytes]:
    """Return instructions for integers with equal hashes."""
    return [b"\x8a\x0a" + ((2**61 - 1) * number).to_bytes(10, "little") for number in range(count)]


def array(shape: bytes, data: bytes) -> bytes:
    dtype = b"cnumpy\ndtype\n" + text(b"f4") + b"K\0K\1\x87R"
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\1b\x87R"
    return empty + b"(K\1" + shape + dtype + b"K\0C" + bytes([len(data)]) + data + b"tb"


def bomb(level: int = 40) -> bytes:
    return doubled(level) + get(level)


HOSTILE = {
    "deep tuple as a key": START + b"})" + b"\x85" * 200_000 + b"Ns.",
    "deep tuple as a key, hidden by a state of None": START + b"})" + b"\x85Nb" * 200_000 + b"Ns.",
    "tuple doubled as a key": START + b"})" + b"q\0h\0\x86" * 60 + b"Ns.",
    "tuple doubled as a key, hidden by a state of None": START + b"})" + b"q\0h\0\x86Nb" * 60 + b"Ns.",
    "tuple doubled as a key of the text protocol": START + b"()" + b"q\0h\0\x86" * 60 + b"Nd.",
    "tuple doubled in a set": START + b"\x8f(" + b")" + b"q\0h\0\x86" * 60 + b"\x90.",
    "tuple doubled in a frozen set": START + b"()" + b"q\0h\0\x86" * 60 + b"\x91.",
    "tuple appended to a tuple": START + b")Na.",
    "deep tuple": START + b")" + b"\x85" * 1_000_000 + b".",
    "deep lists": START + b"]" * 1_000_000 + b"a" * 999_999 + b".",
    "deep objects": START + b"cgensim.models.word2vec\nVocab\nq\0)\x81" + b"h\0)\x81" * 100_000 + b"b" * 100_000 + b".",
    "list in itself": START + b"]q\0h\0a.",
    "long integer as a key many times": START + b"}" + long(50_000) + b"q\0Ns" + b"h\0Ns" * 50_000 + b".",
    "integers that collide": START + b"}(" + b"N".join(colliding(50_000)) + b"Nu.",
    "integers that collide in a set": START + b"\x8f(" + b"".join(colliding(50_000)) + b"\x90.",
    "integers that collide, text protocol": b"("
    + b"".join(b"L%dL\nN" % ((2**61 - 1) * n) for n in range(50_000))
    + b"d.",
    "equal long strings as keys": START
    + b"}"
    + text(b"a" * 300_000)
    + b"N"
    + text(b"a" * 300_000)
    + b"q\0"
    + b"Nsh\0" * 100_000
    + b"Nss.",
    "dicts by the million": START + b"]" + b"(" + b"}" * 1_000_000 + b"e.",
    "sets by the million": START + b"]" + b"(" + b"\x8f" * 1_000_000 + b"e.",
    "long tuple as arguments again and again": START
    + b"("
    + b"N" * 200_000
    + b"tq\0"
    + (b"cgensim.models.word2vec\nVocab\nq\1" + b"h\1h\0\x81" * 20_000)
    + b".",
    "text encoded again and again": START
    + text(b"a" * 200_000)
    + b"q\0"
    + (b"c_codecs\nencode\nq\1" + text(b"latin1") + b"q\2" + b"h\1h\0h\2\x86R" * 20_000)
    + b".",
    "container as a dtype": START + b"cnumpy\ndtype\n" + bomb() + b"K\0K\1\x87R.",
    "container as a byte order": START + b"cnumpy\ndtype\n" + text(b"f4") + b"K\0K\1\x87R(K\3" + bomb() + b"tb.",
    "container as an encoding": START + b"c_codecs\nencode\n" + text(b"a") + bomb() + b"\x86R.",
    "container as a key": START + b"}" + bomb() + b"Ns.",
    "container as a missing key": START + b"cnumpy\nfloat64\n" + bomb() + b"\x85R.",
    "shape of hundreds of long integers": START
    + array(b"(" + long(20_000) + b"q\0" + b"h\0" * 250 + b"t", b"abcd")
    + b".",
    "name of a module again and again": START + text(b"a" * 300_000) + b"q\0" + b"0" + b"h\0h\0\x93" * 100_000 + b".",
}


@pytest.fixture(autouse=True, scope="module")
def compiled() -> None:
    read(pickle.dumps({"a": 1}))


@pytest.fixture
def bounded() -> Iterator[None]:
    """Check a limit of two seconds and 64 MB of Python's memory; the inputs have at most a megabyte."""
    tracemalloc.start()
    begin = time.process_time()
    yield
    seconds, (_, peak) = time.process_time() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 2
    assert peak < 66 << 20


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("name", HOSTILE)
def test_unpickle_hostile_pickles_takes_little_time_and_memory(name: str) -> None:
    try:
        read(HOSTILE[name])
    except FormatError as error:
        assert len(str(error)) < 500


def keyed(state: bytes) -> bytes:
    return START + VECTORS + b"}(" + state + b"ub."


ARRAY = pickle.dumps(np.eye(1, dtype=np.float32), protocol=2)[2:-1]
WORDS = text(b"index_to_key") + b"]" + text(b"a") + b"a"
ROWS = text(b"vectors_vocab") + ARRAY + text(b"vectors_ngrams") + ARRAY + text(b"compatible_hash") + b"\x88"
FASTTEXT = WORDS + ROWS + text(b"min_n") + b"K\1" + text(b"max_n") + b"K\1" + text(b"bucket")
HASHED = FASTTEXT + b"K\1" + text(b"hash2index")
HOSTILE_VECTORS = {
    "one long word a million times": keyed(
        text(b"index_to_key")
        + b"]("
        + text(b"w" * 500_000)
        + b"q\0"
        + b"h\0" * 100_000
        + b"e"
        + text(b"vectors")
        + ARRAY
    ),
    "integer of 5000 digits as a word": keyed(
        text(b"index_to_key") + b"]" + long(2080) + b"a" + text(b"vectors") + ARRAY
    ),
    "long integer as a word again and again": keyed(
        text(b"index_to_key") + b"](" + long(1600) + b"q\0" + b"h\0" * 300_000 + b"e" + text(b"vectors") + ARRAY
    ),
    "container as a word": keyed(text(b"index_to_key") + b"]" + bomb() + b"a" + text(b"vectors") + ARRAY),
    "number as the names of side files": keyed(WORDS + text(b"__numpys") + b"K\5"),
    "array as the names of side files": keyed(WORDS + text(b"__numpys") + ARRAY),
    "container as a size": keyed(FASTTEXT + bomb()),
    "long integer as a size": keyed(FASTTEXT + long(20_000)),
    "container as the buckets": keyed(HASHED + bomb()),
    "container as a bucket": keyed(HASHED + b"}" + bomb() + b"Ns"),
    "text as a bucket": keyed(HASHED + b"}" + text(b"a") + b"Ns"),
    "bucket out of range": keyed(HASHED + b"}J\xff\xff\xff\xffK\0s"),
    "row out of range": keyed(HASHED + b"}K\0K\5s"),
    "no rows of a great many values": keyed(
        text(b"index_to_key")
        + b"]"
        + text(b"vectors")
        + array(b"K\0\x8a\x08" + (1 << 59).to_bytes(8, "little") + b"\x86", b"")
    ),
}


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("name", HOSTILE_VECTORS)
def test_load_hostile_gensim_objects_raises(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        vecload.load(io.BytesIO(HOSTILE_VECTORS[name]))
    assert len(str(caught.value)) < 500


def test_unpickle_dict_with_other_keys_hashes_nothing() -> None:
    value = {1: "a", (2, 3): "b", -(2**70): [], None: 1.5}
    pairs = read(pickle.dumps(value, protocol=4))
    assert isinstance(pairs, KeyValuePairs)
    assert list(pairs.items()) == list(value.items())
    assert len(pairs) == 4


def test_unpickle_only_dicts_with_other_keys_become_pairs() -> None:
    value = [{"a": {}}, {1: {"b": 2}}, {}]
    first, second, third = read(pickle.dumps(value, protocol=4))
    assert (first, third) == ({"a": {}}, {})
    assert list(second.items()) == [(1, {"b": 2})]


@pytest.mark.parametrize("size", [1, 100, 70_000])
@pytest.mark.parametrize("protocol", range(1, 6))
def test_unpickle_dicts_of_numbers_at_any_offset(size: int, protocol: int) -> None:
    value = ["x" * 100_000, {number: number * 2 for number in range(size)}, "y" * 100_000, {"a": {-1: "b"}}]
    long, numbers, _, last = read(pickle.dumps(value, protocol=protocol))
    assert long == value[0]
    assert dict(numbers.items()) == value[1]
    assert list(last["a"].items()) == [(-1, "b")]


def test_unpickle_number_as_text_beyond_latin1_raises() -> None:
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\0K\1\x87R(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    scalar = b"cnumpy.core.multiarray\nscalar\n" + dtype
    assert read(START + scalar + text(b"A") + b"\x86R.") == 65
    with pytest.raises(FormatError, match="a character beyond Latin-1"):
        read(START + scalar + text("Ā".encode()) + b"\x86R.")


def test_unpickle_state_for_a_class_raises() -> None:
    with pytest.raises(FormatError, match="does not fit the type of its operand"):
        read(START + b"cnumpy\nndarray\nN}" + text(b"__init__") + b"c_codecs\nencode\ns\x86b.")
