"""Compare the parser of plain rows with float(), bit for bit, and check that it leaves all other rows unparsed."""

from __future__ import annotations

import random

import numpy as np
import pytest

from vecload.kernels import plain_rows


def chunk(text: bytes) -> np.ndarray:
    """Return a chunk of lines whose padding looks like more lines, to catch reads after the end."""
    return np.frombuffer(text + b"1.5 \n" * 13, dtype=np.uint8)


def parse(lines: list[bytes], dim: int, dtype: str) -> tuple[np.ndarray, list[bytes | None]]:
    """Return the rows, and the word of each line, or None if the line was not parsed."""
    text = b"".join(line + b"\n" for line in lines)
    buffer = chunk(text)
    stops = np.cumsum([len(line) + 1 for line in lines], dtype=np.int32) - 1
    starts = np.concatenate([[0], stops[:-1] + 1]).astype(np.int32)
    rows = np.zeros((len(lines), dim), dtype=dtype)
    words = np.zeros((2, len(lines)), dtype=np.int32)
    status = np.empty(len(lines), dtype=np.uint8)
    left = plain_rows.parse_plain(buffer, starts, stops.astype(np.int32), rows, words[0], words[1], status)
    assert left == np.count_nonzero(status != plain_rows.PARSED)
    return rows, [
        text[a:b] if s == plain_rows.PARSED else None for a, b, s in zip(*words.tolist(), status, strict=True)
    ]


def cell(random_: random.Random, most: int) -> bytes:
    digits = "".join(random_.choices("0123456789", k=random_.randint(1, most)))
    return f"{random_.choice(['', '-'])}{random_.randrange(10)}.{digits}".encode()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("most", [8, 12])
def test_parse_plain_returns_the_same_bits_as_float(dtype: str, most: int) -> None:
    random_ = random.Random(most)
    for dim in [*range(1, 20), 50, 63, 64, 65, 300]:
        words = ["x" * random_.randint(1, 100) for _ in range(8)]
        cells = [[cell(random_, most) for _ in range(dim)] for _ in words]
        lines = [
            random_.choice([b" ", b"\t"]).join([word.encode(), *row])
            + random_.choice([b"", b" ", b"\r", b" \r", b"\t "])
            for word, row in zip(words, cells, strict=True)
        ]
        rows, found = parse(lines, dim, dtype)
        assert found == [word.encode() for word in words]
        assert rows.tobytes() == np.array([[float(x) for x in row] for row in cells]).astype(dtype).tobytes()


def test_parse_plain_rounds_from_the_nearest_double() -> None:
    cells = [b"-0.0", b"0.000000000001", b"9.999999999999", b"1.0000000596", b"1.00000005960465", b"0.16777217"]
    rows, words = parse([b"word " + x for x in cells], 1, "float32")
    for x, row, word in zip(cells, rows, words, strict=True):
        assert (word is None) == (len(x) > 14)
        if word is not None:
            assert row.tobytes() == np.float32(float(x)).tobytes()


NOT_PLAIN = [
    *(b"", b"1.5\0", b"\x1f1.5", b"1.5\r", b"1.\xb1", b"\xb1.5", b"1.\xff\xff\xff\xff", b"1.1234567890123"),
    *b"- 1 .5 5. -.5 -5. 12.5 +1.5 --1.5 1.5e1 1.-5 1.5.5 1,5 nan 1_0.5 0x1.8 1./ 1.: /.5 :.5 *.1".split(b" "),
    *b"1.123456789: 1.12345678/ 1.1234567: 1.-1 -1.-".split(b" "),
]


@pytest.mark.parametrize("value", NOT_PLAIN)
def test_parse_plain_skips_rows_with_other_values(value: bytes) -> None:
    for at in range(11):
        cells = [b"0.125"] * 11
        cells[at] = value
        _, words = parse([b"cat " + b" ".join(cells), b"dog" + b" -0.125" * 11], 11, "float32")
        ends_in_return = value == b"1.5\r" and at == 10  # part of the line end
        assert words == [b"cat" if ends_in_return else None, b"dog"]


def test_parse_plain_skips_rows_with_other_words() -> None:
    lines = [b" 0.5 0.5", b"New York 0.5 0.5", b"a\0b 0.5 0.5", b"0.5 0.5", b"", b" ", b"\r", b"\t\r", b"a\rb 0.5 0.5"]
    assert parse([*lines, b"\xff\xa0 0.5 0.5"], 2, "float32")[1] == [None] * len(lines) + [b"\xff\xa0"]


def test_find_lines_finds_every_line_feed() -> None:
    random_ = np.random.default_rng(0)
    for stop in [*range(70), 127, 128, 129, 1000]:
        for often in (0.0, 0.02, 0.5, 1.0):
            text = np.where(random_.random(stop) < often, 10, 11).astype(np.uint8)
            ends = np.empty(stop, dtype=np.int32)
            count = plain_rows.find_lines(chunk(text.tobytes()), stop, ends)
            assert ends[:count].tolist() == np.flatnonzero(text == 10).tolist()
