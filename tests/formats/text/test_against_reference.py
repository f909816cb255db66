"""The compiled reader and the slow reference agree: equal vectors, or an error at the same line."""

from __future__ import annotations

import io
import random
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vecload
from tests.reference import text as reference
from tests.strategies import DECIMALS
from vecload.formats import word2vec
from vecload.formats.text.layout import find_layout
from vecload.formats.unsupported import describe

pytestmark = pytest.mark.filterwarnings("ignore::vecload.VecloadWarning")

FOREIGN = "not a file of word vectors"  # the error for a file so damaged that it looks like another kind of file

WORDS = [
    b"the",
    b"caf\xc3\xa9",
    b"\xc2\xa0",
    b"a\xe3\x80\x80b",
    b"\xc2\x85",
    b". . .",
    b"New York",
    b"\xff\xfe",
    b"12",
    b"0.5",
    b"area 51",
    b"x_y",
]
CELLS = [
    b"0.25",
    b"-0.12345",
    b"1e-05",
    b"1",
    b".5",
    b"5.",
    b"+1",
    b"0",
    b"-0",
    b"3.4e38",
    b"1e-45",
    b"0.1000000000000000055511151231257827",
    b"123456789.125",
    b"1_0",
    b"9007199254740993",
    b"7e22",
    b"1e23",
    b"2.2250738585072011e-308",
]
ODDITIES = [
    b"nan",
    b"inf",
    b"-Infinity",
    b"1e39",
    b"abc",
    b"",
    b"--1",
    b"1e",
    b"0x10",
    b"1.#QNAN",
    b"nan(ind)",
    b"\0",
    b"\x0b",
    b"1,5",
    b"1e999",
    b"\xd9\xa1",
]


def compare(data: bytes, *, skip: bool, dtype: str = "float32") -> None:
    """Compare the reader with the reference on `data`: with kernels, and in plain Python."""
    for loaded in (True, False):
        with mock.patch("vecload.formats.text.reader.numba_loaded", return_value=loaded):
            compare_once(data, skip=skip, dtype=dtype)


def compare_once(data: bytes, *, skip: bool, dtype: str) -> None:
    try:
        vectors = vecload.load(io.BytesIO(data), errors="skip" if skip else "raise", dtype=dtype)
        refused = None
    except vecload.errors.FormatError as error:
        refused = error
    if word2vec.detect(data, "fuzz"):  # no row can be text any more
        assert refused is not None
        return
    try:
        layout = find_layout(data, "fuzz", size=len(data), header=None)
    except vecload.errors.FormatError as error:
        assert refused is not None
        assert refused.problem in (error.problem, FOREIGN)
        return
    if refused is not None and refused.problem == FOREIGN:
        assert describe(data) is not None
        return
    try:
        words, matrix, skipped = reference.read(
            data, layout.dim, header=layout.declared is not None, dtype=dtype, skip=skip
        )
    except reference.Refused as refusal:
        assert refused is not None
        assert refused.line == refusal.args[0]
        return
    if refused is not None and "numbers only" in str(refused):
        assert all(float(word) is not None for word in words)
        return
    if refused is not None:
        assert skip
        assert not words
        return
    assert [vectors.words.bytes(at) for at in range(len(vectors))] == words
    assert vectors.matrix.tobytes() == matrix.tobytes()
    assert sum(vectors.meta.get("skipped", {}).values()) == skipped


def a_file(random_: random.Random, dim: int, rows: int, *, odd: float) -> bytes:
    lines = [] if random_.random() < 0.5 else [b"%d %d" % (rows, dim)]
    for _ in range(rows):
        pool = ODDITIES if random_.random() < odd else CELLS
        cells = [random_.choice(pool if random_.random() < 0.3 else CELLS) for _ in range(dim)]
        separator = random_.choice([b" ", b" ", b" ", b"\t", b"  "])
        lines.append(random_.choice(WORDS) + random_.choice([b" ", b" ", b"\t"]) + separator.join(cells))
        lines[-1] += random_.choice([b"", b"", b" ", b"\r", b" \r"])
    return b"\n".join(lines) + random_.choice([b"", b"\n", b"\n\n", b"\r\n"])


@pytest.mark.parametrize("seed", range(8))
def test_damaged_files_give_the_same_result_as_the_reference(seed: int) -> None:
    random_ = random.Random(seed)
    for _ in range(400):
        data = bytearray(a_file(random_, random_.randint(1, 6), random_.randint(1, 12), odd=random_.choice([0, 0.2])))
        for _ in range(random_.choice([0, 0, 1, 2, 5])):
            at = random_.randrange(len(data))
            action = random_.randrange(4)
            if action == 0:
                data[at] = random_.randrange(256)
            elif action == 1:
                del data[at : at + random_.randint(1, 9)]
            elif action == 2:
                data[at:at] = random_.choice([b"\n", b" ", b"\t", b"\0", b"1", b".", b"e", b"\r\n", b"-"])
            else:
                del data[at:]
            data = data or bytearray(b"a 1")
        compare(bytes(data), skip=random_.random() < 0.5, dtype=random_.choice(["float32", "float64", "float16"]))


@settings(max_examples=300, deadline=None)
@given(cells=st.lists(DECIMALS, min_size=1, max_size=40), dtype=st.sampled_from(["float16", "float32", "float64"]))
def test_values_equal_float_rounded_to_the_type(cells: list[str], dtype: str) -> None:
    file = io.BytesIO("\n".join(f"w{at} 1 {cell}" for at, cell in enumerate(cells)).encode())
    matrix = vecload.load(file, dtype=dtype, allow_nonfinite=True).matrix
    with np.errstate(over="ignore"):
        expected = np.array([np.dtype(dtype).type(float(cell)) for cell in cells])
    assert matrix[:, 1].tobytes() == expected.tobytes()


def test_random_values_equal_float() -> None:
    random_ = random.Random(7)
    cells = []
    for _ in range(30_000):
        digits = random_.randint(1, 19)
        mantissa = str(random_.randrange(10**digits))
        point = random_.randint(0, len(mantissa))
        exponent = random_.choice(["", "", f"e{random_.randint(-330, 310)}", f"E+{random_.randint(0, 30)}"])
        cells.append(random_.choice(["", "-", "+"]) + mantissa[:point] + "." + mantissa[point:] + exponent)
    cells = [cell for cell in cells if cell.strip("+-.")]
    file = io.BytesIO("\n".join(f"w{at} {cell} 1" for at, cell in enumerate(cells)).encode())
    matrix = vecload.load(file, dtype="float64", allow_nonfinite=True).matrix
    assert matrix[:, 0].tobytes() == np.array([float(cell) for cell in cells]).tobytes()
