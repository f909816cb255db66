"""Words with colliding hashes, and hash tables that another process overwrites."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vecload
from vecload import SentencePooler, Vectors, Words
from vecload.words import UniqueWords, build_hash_table
from vecload.words.hashing import (
    FEW,
    HASH_FACTOR,
    HASH_SEED,
    HashTable,
    hash_word,
    longest_run,
    new_key,
    probe,
    siphash,
    slot_count,
)

pytestmark = pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")  # colliding words are not valid UTF-8

COUNT = 20_000


def of_one_hash(count: int) -> list[bytes]:
    """Return words with equal 64-bit hashes for every seed.

    Flipping the top bit of a block flips the top bit of its product with the odd factor, and bit 31 after the fold; the
    next block reverts both.
    """
    pairs = (count - 1).bit_length()
    first = np.frombuffer(b"a" * 8, dtype="<u8")[0]
    flipped = np.array([[0, 0], [1 << 63, 1 << 63 | 1 << 31]], dtype=np.uint64) ^ first
    bits = np.arange(count)[:, None] >> np.arange(pairs) & 1
    return [row.tobytes() for row in flipped[bits].reshape(count, 2 * pairs)]


def of_hashes(hashes: np.ndarray) -> list[bytes]:
    """Return words of eight bytes with these hashes, without those that a text file cannot contain."""
    inverse, half = np.uint64(pow(HASH_FACTOR, -1, 1 << 64)), np.uint64(32)
    state = (hashes ^ hashes >> half) * inverse
    state = (state ^ state >> half) * inverse ^ np.uint64(HASH_SEED ^ 8)
    letters = state.view(np.uint8).reshape(-1, 8)
    return [word.tobytes() for word in letters[((letters > 32) & (letters != 127)).all(axis=1)]]


def of_one_slot(count: int) -> list[bytes]:
    """Return words whose hashes differ only in the tag."""
    return of_hashes(np.arange(1, 5 * count, dtype=np.uint64) << np.uint64(32) | np.uint64(77))[:count]


def of_few_slots(count: int) -> list[bytes]:
    """Return words in groups of 400 per slot: the most that the bound on probes allows without another key."""
    number = np.arange(5 * count, dtype=np.uint64)
    low = number // np.uint64(1200) * np.uint64(700)
    return of_hashes(number * np.uint64(0x9E3779B1) << np.uint64(32) | low)[:count]


KINDS = {"one hash": of_one_hash, "one slot": of_one_slot, "few slots": of_few_slots}


def test_generated_words_collide() -> None:
    assert len({hash_word(raw, None) for raw in of_one_hash(1000)}) == 1
    assert len({hash_word(raw, None) & 0xFFFFFFFF for raw in of_one_slot(1000)}) == 1
    assert len({hash_word(raw, None) & 0xFFFFFFFF for raw in of_few_slots(1000)}) <= 6
    assert all(len(set(make(1000))) == 1000 for make in KINDS.values())


def text_of(raws: list[bytes]) -> bytes:
    return b"".join(raw + b" 1 %d\n" % row for row, raw in enumerate(raws))


def seconds(call) -> float:
    took = []
    for _ in range(3):
        begin = time.perf_counter()
        call()
        took.append(time.perf_counter() - begin)
    return min(took)


@pytest.mark.parametrize("kind", KINDS)
def test_colliding_words_are_read_about_as_fast_as_others(kind: str) -> None:
    raws = KINDS[kind](COUNT)
    rng = np.random.default_rng(1)
    ordinary = [bytes(rng.integers(97, 123, len(raw), dtype=np.uint8)) for raw in raws]
    usual, hostile = (text_of(words) for words in (ordinary, raws))
    vecload.load(io.BytesIO(usual))
    assert (
        seconds(lambda: vecload.load(io.BytesIO(hostile))) < 5 * seconds(lambda: vecload.load(io.BytesIO(usual))) + 0.1
    )
    vectors = vecload.load(io.BytesIO(hostile + hostile))
    assert vectors.meta["duplicates"] == COUNT
    assert vectors.words.lookup(Words.from_bytes(raws)).tolist() == list(range(COUNT))
    assert [vectors.words.get(vectors.words[row]) for row in range(0, COUNT, 999)] == list(range(0, COUNT, 999))
    wanted = [vectors.words[row] for row in range(0, COUNT, 2)]
    assert vecload.load(io.BytesIO(hostile), vocab=wanted).matrix[:, 1].tolist() == list(range(0, COUNT, 2))


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Compile the kernels for tables with a key, so that no test times the compiler."""
    words = Words.from_bytes(of_one_hash(200))
    words.lookup(words)
    UniqueWords().add(words.data, words.offsets)
    SentencePooler(Vectors(words, np.ones((200, 1), dtype=np.float32))).encode(["a b"])


@pytest.mark.parametrize("kind", KINDS)
def test_unique_words_with_colliding_hashes_are_kept_once(kind: str) -> None:
    raws = KINDS[kind](COUNT)
    unique = UniqueWords()
    begin = time.perf_counter()
    for first in range(0, COUNT, 1500):
        part = raws[max(0, first - 500) : first + 1500]
        added = Words.from_bytes(part)
        fresh = unique.add(added.data, added.offsets)
        assert np.flatnonzero(~fresh).tolist() == (list(range(500)) if first else [])
    assert time.perf_counter() - begin < 2
    assert unique.words == Words.from_bytes(raws)
    assert unique.words.lookup(Words.from_bytes(raws)).tolist() == list(range(COUNT))


@pytest.mark.parametrize("kind", KINDS)
def test_colliding_words_survive_native_files_and_pickles(kind: str, tmp_path: Path) -> None:
    raws = KINDS[kind](COUNT)
    words = Words.from_bytes(raws)
    Vectors(words, np.arange(COUNT, dtype=np.float32)[:, None]).save(tmp_path / "v.safetensors")
    vectors = vecload.load(tmp_path / "v.safetensors")
    assert vectors.words.get(words[COUNT - 1]) == COUNT - 1
    for again in (vectors.words, pickle.loads(pickle.dumps(words))):
        assert again.lookup(words).tolist() == list(range(COUNT))
        assert again.get("absent") == -1


def test_tables_of_ordinary_words_have_no_key() -> None:
    words = Words.from_strings([f"word{number}" for number in range(300_000)])
    assert words.table.key is None
    assert longest_run(words.slots) < 256
    assert words.slots.any()


@given(st.lists(st.binary(max_size=70), min_size=FEW + 1, max_size=120, unique=True))
def test_kernel_and_python_agree_under_a_key(raws: list[bytes]) -> None:
    """Search a table in Python that the kernel built."""
    from vecload.kernels import hash_table

    words = Words.from_bytes(raws)
    key = new_key()
    slots = np.zeros(slot_count(len(raws)), dtype=np.uint64)
    assert hash_table.build_table(words.data, words.offsets, slots, key, np.zeros(len(raws), bool)) == 0
    found = [probe(words.data, words.offsets, HashTable(slots, key), raw) for raw in raws]
    assert found == list(range(len(raws)))


@pytest.mark.skipif(sys.hash_info.algorithm != "siphash13", reason="Python hashes strings with another function")
def test_siphash_equals_the_one_of_python() -> None:
    raws = [bytes(range(length)) for length in range(1, 60)]
    code = f"print([hash(raw) % 2**64 for raw in {raws!r}])"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": "0"}, capture_output=True, check=True)
    assert [siphash(raw, 0, 0) for raw in raws] == eval(done.stdout)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 3))
def test_longest_run_wraps_around_the_end_of_the_table(taken: list[bool], wider: int) -> None:
    slots = np.repeat(np.array(taken, dtype=np.uint64), 1 + 40_000 * wider)
    runs = "".join("x" if entry else "." for entry in (taken + taken)).split(".")
    expected = len(slots) if all(taken) else max(map(len, runs)) * (1 + 40_000 * wider)
    assert longest_run(slots) == expected


def test_table_with_a_long_run_is_replaced_when_it_is_checked() -> None:
    """A valid table of another writer, with all words in one run."""
    words = Words.from_strings([f"word{number}" for number in range(5000)])
    entries = words.slots[words.slots != 0]
    hashes = {row: hash_word(words.bytes(row), None) for row in range(len(words))}
    slots = np.zeros(1 << 14, dtype=np.uint64)
    by_home = sorted((entry & 0xFFFFFFFF) - 1 for entry in entries.tolist())
    slots[: len(by_home)] = [hashes[row] >> 32 << 32 | (row + 1) for row in by_home]
    other = Words(words.data, words.offsets, slots=slots, checked=False)
    assert other.lookup(words).tolist() == list(range(len(words)))
    assert other.get("word77") == 77
    assert other.get("absent") == -1


def test_words_of_a_file_are_all_found_before_and_after_checking(tmp_path: Path) -> None:
    names = [f"word{number}" for number in range(5000)]
    Vectors(names, np.zeros((5000, 1), dtype=np.float32)).save(tmp_path / "v.safetensors")
    words = vecload.load(tmp_path / "v.safetensors").words
    assert [words.get(name) for name in names[::50]] == list(range(0, 5000, 50))
    assert words.lookup(names).tolist() == list(range(5000))


OVERWRITE = """
import sys, numpy as np, vecload, io
from pathlib import Path
from unittest import mock
path, tensor = Path(sys.argv[1]), sys.argv[2]
vectors = vecload.load(path)
names = list(vectors.words)
pooler = vecload.SentencePooler(vectors)
text = "".join(f"{name} 1\\n" for name in names).encode()
def use():
    for call in (
        lambda: vectors.words.lookup(names + ["absent"] * 5000),
        lambda: vectors.words.lookup(vectors.words),
        lambda: vectors.words.take(np.arange(len(names))),
        lambda: [vectors.words.get(name) for name in names[:50] + ["absent"]],
        lambda: pooler.encode([" ".join(names), "absent " * 3000]),
        lambda: vecload.load(io.BytesIO(text), vocab=vectors),
        lambda: vectors.select(names[:500]),
        lambda: vectors.save(path.with_suffix(".vec")),
    ):
        try:
            call()
        except (vecload.VecloadError, MemoryError, UnicodeError):
            pass
use()  # checks the table, and compiles the kernels
import json
raw = path.read_bytes()
length = int.from_bytes(raw[:8], "little")
first, last = json.loads(raw[8:8 + length])[tensor]["data_offsets"]
count = (last - first) // 8
fills = {
    "ones": np.full(count, 2**64 - 1, dtype=np.uint64),
    "row 1": np.full(count, 1, dtype=np.uint64),
    "rows out of range": np.full(count, 10**6, dtype=np.uint64),
    "random": np.random.default_rng(0).integers(0, 2**64, count, dtype=np.uint64),
    "random small": np.random.default_rng(0).integers(0, 10**5, count, dtype=np.uint64),
    "other rows": np.frombuffer(raw[8 + length + first:8 + length + last], dtype=np.uint64) ^ np.uint64(0x3F00),
    "descending": np.arange(count, dtype=np.uint64)[::-1].copy(),
}
for kind, fill in fills.items():
    print(kind, flush=True)
    with path.open("r+b") as file:
        file.seek(8 + length + first)
        file.write(fill.tobytes())
    use()
"""


@pytest.mark.parametrize("tensor", ["words.slots", "words.offsets"])
def test_mapped_index_that_is_overwritten_neither_hangs_nor_crashes(tensor: str, tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    names = [f"word{number}" for number in range(3000)]
    Vectors(names, np.ones((3000, 2), dtype=np.float32)).save(path)
    done = subprocess.run([sys.executable, "-c", OVERWRITE, path, tensor], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def test_pooling_of_colliding_text_is_as_fast_as_of_other_text() -> None:
    raws = of_one_hash(COUNT)
    strings = [raw.decode("utf-8", "surrogateescape") for raw in raws]
    pooler = SentencePooler(Vectors(strings[: COUNT // 2], np.ones((COUNT // 2, 2), dtype=np.float32)))
    text = " ".join(strings)
    pooler.encode([text])
    assert seconds(lambda: pooler.encode([text])) < 1


@given(st.lists(st.binary(min_size=1, max_size=12), min_size=FEW + 1, max_size=300))
def test_table_built_without_kernels_is_the_same(raws: list[bytes]) -> None:
    words = Words.from_bytes(list(dict.fromkeys(raws)))
    data, offsets = pack_bytes([*raws, *raws[:3]])
    with mock.patch("vecload.words.hashing.numba_loaded", return_value=False):
        plain, repeated = build_hash_table(data, offsets)
    compiled, expected = build_hash_table(data, offsets)
    assert plain.key is compiled.key is None
    assert plain.slots.tolist() == compiled.slots.tolist()
    assert repeated.tolist() == expected.tolist()
    assert len(words) == int((~repeated).sum())


def test_colliding_words_without_kernels_get_a_key() -> None:
    data, offsets = pack_bytes(of_one_hash(500))
    with mock.patch("vecload.words.hashing.numba_loaded", return_value=False):
        table, repeated = build_hash_table(data, offsets)
    assert table.key is not None
    assert not repeated.any()


def test_words_of_one_slot_are_found_by_kernels_in_a_table_built_without_them() -> None:
    for count in (FEW, FEW + 1, FEW + 2, 2 * FEW):
        raws = of_one_hash(count)
        with mock.patch("vecload.words.hashing.numba_loaded", return_value=False):
            words = Words.from_bytes(raws)
        assert words.lookup(Words.from_bytes(raws[::-1])).tolist() == list(range(count))[::-1]


def pack_bytes(raws: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Return words as `build_hash_table` takes them."""
    return np.frombuffer(b"".join(raws), dtype=np.uint8), np.cumsum([0, *map(len, raws)])


def test_build_hash_table_marks_repeated_words() -> None:
    raws = of_one_hash(500) * 3
    words = Words.from_bytes(raws)
    table, repeated = build_hash_table(words.data, words.offsets)
    assert table.key is not None
    assert np.flatnonzero(~repeated).tolist() == list(range(500))
    assert int(table.slots.astype(bool).sum()) == 500
