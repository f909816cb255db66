"""Pickles are read as data: a call of any function is refused, and the error names it."""

from __future__ import annotations

import builtins
import collections
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecload.errors import FormatError
from vecload.formats.pickles.restricted_unpickler import PickledArray, PickledObject, unpickle


def read(raw: bytes) -> Any:
    return unpickle(np.frombuffer(raw, dtype=np.uint8), "test.kv")


class Calls:
    """Object that pickles as a call of the given function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "call",
    [
        Calls(os.system, "touch PWNED"),
        Calls(builtins.eval, "open('PWNED', 'w')"),
        Calls(builtins.exec, "open('PWNED', 'w')"),
        Calls(builtins.open, "PWNED", "w"),
        Calls(builtins.__import__, "os"),
        Calls(subprocess.Popen, ["touch", "PWNED"]),
        Calls(Path.write_text, Path("PWNED"), ""),
        Calls(np.memmap, "PWNED", "u1", "w+", 0, (8,)),
        Calls(np.load, "PWNED.npy"),
        Calls(pickle.loads, pickle.dumps(Calls(os.system, "touch PWNED"))),
        Calls(collections.namedtuple, "A", "b c"),
        Calls(sys.exit, 3),
    ],
    ids=lambda call: call.call[0].__name__,
)
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_unpickle_call_raises_and_runs_nothing(
    call: Calls, protocol: int, depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    value: Any = call
    for _ in range(depth):
        value = {"wv": [value]}
    with pytest.raises(FormatError, match="refused to read the pickle") as caught:
        read(pickle.dumps(value, protocol=protocol))
    assert list(tmp_path.iterdir()) == []
    assert "Nothing in the file was run" in str(caught.value)


def test_unpickle_call_error_names_the_function() -> None:
    with pytest.raises(FormatError) as caught:
        read(pickle.dumps(Calls(os.system, "true"), protocol=4))
    assert str(caught.value) == (
        "test.kv: refused to read the pickle: found the name posix.system. Nothing in the file was run. "
        "If you trust it, open it with the library that wrote it and save its vectors alone."
    )


GLOBAL_NDARRAY = b"cnumpy\nndarray\n"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "the name posix.system|the name os.system"),
        (b"(S'true'\nios\nsystem\n.", "the name os.system"),
        (b"(cos\nsystem\nS'true'\no.", "the name os.system"),
        (b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.", "the name os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", "the name os.system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x0bobject.eval\x93.", "the name builtins.object.eval"),
        (b"\x80\x02\x82\x01.", "an instruction that gensim's files do not have"),
        (b"\x80\x05\x97.", "an instruction that gensim's files do not have"),
        (b"Pabc\n.", "an instruction that gensim's files do not have"),
        (b"\x80\x02cnumpy\ndtype\nX\x01\0\0\0O\x89\x88\x87R.", None),
        (b"\x80\x02cnumpy\ndtype\nX\x05\0\0\0f4,O8\x89\x88\x87R.", "an array of 'f4,O8' values"),
        (b"\x80\x02" + RECONSTRUCT + b"c__builtin__\nint\nK\0\x85U\x01b\x87R.", "an array of an unknown class"),
        (b"\x80\x02c_codecs\nencode\nX\x01\0\0\0aX\x06\0\0\0rot-13\x86R.", "text in the encoding 'rot-13'"),
        # no state may change a replacement of vecload
        (b"\x80\x02" + RECONSTRUCT + b"}X\x05\0\0\0_callK\0sb.", "does not fit the type of its operand"),
        (
            b"\x80\x02" + RECONSTRUCT + b"N}X\x0c\0\0\0__defaults__K\0s\x86b.",
            "does not fit the type of its operand",
        ),
        (b"\x80\x02" + GLOBAL_NDARRAY + b"}X\x05\0\0\0stateK\0sb.", None),
        (b"\x80\x02cgensim.models.keyedvectors\nKeyedVectors\n}X\x04\0\0\0kindK\0sb.", "does not fit the type"),
        (b"\x80\x02]X\x09\0\0\0__class__K\0\x86b.", "does not fit the type"),
    ],
)
def test_unpickle_handwritten_instructions(raw: bytes, message: str | None) -> None:
    if message is None:  # harmless: a value of replacements, or an error with any message
        try:
            read(raw)
        except FormatError:
            return
    else:
        with pytest.raises(FormatError, match=message):
            read(raw)
    held = read(b"\x80\x02cgensim.models.keyedvectors\nKeyedVectors\n)\x81}X\x01\0\0\0aK\x01sb.")
    assert (held.kind, held.state) == ("gensim.models.keyedvectors.KeyedVectors", {"a": 1})


def array(shape: bytes, dtype: bytes, data: bytes) -> bytes:
    text = b"X" + len(dtype).to_bytes(4, "little") + dtype
    made = b"cnumpy\ndtype\n" + text + b"\x89\x88\x87R(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    bytes_ = b"B" + len(data).to_bytes(4, "little") + data
    empty = RECONSTRUCT + GLOBAL_NDARRAY + b"K\0\x85C\x01b\x87R"
    return b"\x80\x03" + empty + b"(K\x01" + shape + made + b"\x89" + bytes_ + b"tb."


def test_unpickle_handwritten_array() -> None:
    value = read(array(b"K\x02K\x01\x86", b"f4", np.float32([1, 2]).tobytes()))
    assert isinstance(value, PickledArray)
    assert value.value is not None
    assert value.value.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        (b"\x8a\x05\0\0\0\0\x01K\x01\x86", b"f4"),  # 4 billion rows
        (b"\x8a\x09\0\0\0\0\0\0\0\0\x01\x8a\x09\0\0\0\0\0\0\0\0\x01\x86", b"f4"),  # beyond 64 bits
        (b"K\x02K\x02\x86", b"f4"),
        (b"K\x01K\x01\x86", b"f4"),
        (b"J\xff\xff\xff\xffJ\xfe\xff\xff\xff\x86", b"f4"),  # -1 × -2
        (b"K\x02K\x01\x86", b"f8"),
        (b"K\x01\x85", b"O8"),
        (b"K\x01\x85", b"M8"),
        (b"K\x01\x85", b"V8"),
        (b"K\x01\x85", b"U2"),
    ],
)
def test_unpickle_array_of_wrong_size_raises(shape: bytes, dtype: bytes) -> None:
    with pytest.raises(FormatError, match="an array"):
        read(array(shape, dtype, bytes(8)))


def test_unpickle_array_of_objects_has_no_value() -> None:
    value = read(pickle.dumps(np.array([{"a": 1}, None], dtype=object), protocol=2))
    assert value.value is None


@pytest.mark.parametrize("protocol", range(2, 6))
def test_unpickle_plain_values_gives_the_same_values(protocol: int) -> None:
    value = {"a": [1, 2.5, None, True, "é", b"\xff" * 300, -(2**70)], "b": (1, (2, 3)), "s": {"x"}, "f": frozenset("y")}
    assert read(pickle.dumps(value, protocol=protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i8", "u1", "?"])
@pytest.mark.parametrize("shape", [(3, 2), (0, 4), ()])
def test_unpickle_arrays_gives_the_same_arrays(protocol: int, dtype: str, shape: tuple[int, ...]) -> None:
    for order in "CF":
        want = np.asarray(np.arange(np.prod(shape)).reshape(shape).astype(dtype), order=order)  # type: ignore[call-overload]
        got = read(pickle.dumps([want, want, np.float32(0.5)], protocol=protocol))
        assert got[0] is got[1]
        assert got[0].value.dtype == want.dtype
        assert np.array_equal(got[0].value, want)
        assert got[2] == 0.5


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\x80\x02]r\xff\xff\xff\xff.", "a reference to a missing value"),  # a memo of 32 GB
        (b"\x80\x02]r\x10\0\0\0.", "a reference to a missing value"),
        (b"]p99999999999999999999\n.", "a reference to a missing value"),
        (b"\x80\x02h\x00.", "a reference to a missing value"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffa.", "cut short"),
        (b"\x80\x04\x96\xff\xff\xff\xff\0\0\0\0a.", "cut short"),
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.", "damaged"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f1.", "cut short"),
        (b"\x80\x02(((u.", "without its operands"),
        (b"\x80\x02.", "without its operands"),
    ],
    ids=range(10),
)
def test_unpickle_pickle_bombs_raises(raw: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(raw)


def test_unpickle_repeated_encoding_raises() -> None:
    text = b"X" + (100_000).to_bytes(4, "little") + b"a" * 100_000
    again = b"c_codecs\nencode\nq\x01h\0X\x06\0\0\0latin1\x86R0"
    with pytest.raises(FormatError, match="far more memory than the file"):
        read(b"\x80\x02" + text + b"q\0" + again * 1000 + b".")


def test_unpickle_repeated_sets_raises() -> None:
    items = b"](" + b"".join(b"X\x04\0\0\0%04d" % n for n in range(1000)) + b"eq\0"
    again = b"c__builtin__\nset\nh\0\x85R0"
    with pytest.raises(FormatError, match="far more memory than the file"):
        read(b"\x80\x02" + items + again * 1000 + b".")


SMALL = pickle.dumps({"words": ["a", "b"], "rows": np.eye(2, dtype=np.float32), "n": np.int64(3)}, protocol=4)


@pytest.mark.parametrize("protocol", range(6))
def test_unpickle_pickle_cut_at_any_byte_raises(protocol: int) -> None:
    raw = pickle.dumps({"words": ["a", "b"], "rows": np.eye(2, dtype=np.float32), "n": np.int64(3)}, protocol=protocol)
    for cut in range(len(raw)):
        with pytest.raises(FormatError):
            read(raw[:cut])


@settings(max_examples=1500)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), max_size=6), st.integers(0, 5))
def test_unpickle_mutated_pickles_gives_value_or_format_error(changes: list[tuple[int, int]], protocol: int) -> None:
    raw = bytearray(pickle.dumps(pickle.loads(SMALL), protocol=protocol))
    for at, byte in changes:
        raw[at % len(raw)] = byte
    try:
        read(bytes(raw))
    except FormatError as error:
        assert "test.kv" in str(error)


def test_unpickle_unlisted_class_of_listed_module_raises() -> None:
    value = read(b"\x80\x02cgensim.models.word2vec\nVocab\n)\x81.")
    assert isinstance(value, PickledObject)
    assert value.get("count") is None
    with pytest.raises(FormatError, match=r"the name gensim\.models\.word2vec\.Text8Corpus"):
        read(b"\x80\x02cgensim.models.word2vec\nText8Corpus\n)\x81.")
