"""Invalid headers of arrays, tables and models."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import vecload
from vecload import Words
from vecload.errors import FormatError, OptionError
from vecload.formats.fasttext.layout import ARGUMENTS, MAGIC, SIZES
from vecload.ngrams import LONGEST_MARK, NgramTable


@pytest.fixture(autouse=True)
def raw_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test the checks of the readers themselves: turn off the conversion of unexpected errors."""
    monkeypatch.setenv("VECLOAD_RAW_ERRORS", "1")


SHAPES = {
    "minus signs": "(" + "-" * 9000 + "1, 2)",
    "parentheses": "(" * 9000 + "1" + ")" * 9000,
    "unclosed": "((1, 2)",
    "true": "(True, 2)",
    "float": "(1.0, 2)",
    "negative": "(-1, 2)",
    "beyond int64": f"(4, {1 << 64})",
    "product beyond int64": f"({1 << 40}, {1 << 40})",
    "5000 digits": "(" + "9" * 5000 + ", 2)",
    "many sides": "(" + "1, " * 40 + ")",
    "many big sides": "(" + f"{1 << 60}, " * 300 + ")",
    "list": "[1, 2]",
    "set of dicts": "{{}}",
    "cut short": "(1000000, 2)",
}


def npy(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text + bytes(64)


def in_spacy(array: bytes, folder: Path) -> Path:
    (folder / "vectors").write_bytes(array)
    (folder / "key2row").write_bytes(b"\x80")
    (folder / "strings.json").write_text("[]")
    return folder


def in_npz(array: bytes, folder: Path) -> Path:
    with zipfile.ZipFile(folder / "v.npz", "w") as archive:
        archive.writestr("matrix.npy", array)
        archive.writestr("words.npy", npy("(4,)", "'S4'"))
    return folder / "v.npz"


def in_npz_as_words(array: bytes, folder: Path) -> Path:
    with zipfile.ZipFile(folder / "v.npz", "w") as archive:
        archive.writestr("matrix.npy", npy("(8, 2)"))
        archive.writestr("words.npy", array)
    return folder / "v.npz"


@pytest.mark.parametrize("hold", [in_spacy, in_npz, in_npz_as_words])
@pytest.mark.parametrize("shape", SHAPES)
def test_invalid_array_header_is_refused(shape: str, hold: Callable[[bytes, Path], Path], tmp_path: Path) -> None:
    path = hold(npy(SHAPES[shape]), tmp_path)
    for verb in (vecload.load, vecload.info):
        with pytest.raises(FormatError) as caught:
            verb(path)
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("descr", ["'|O'", "'<V0'", "[('a', '<f4')]", "'<U0'", "'nonsense'", "'<c8'", "'<M8[s]'"])
@pytest.mark.parametrize("hold", [in_spacy, in_npz])
def test_array_of_another_dtype_is_refused(descr: str, hold: Callable[[bytes, Path], Path], tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        vecload.load(hold(npy("(4, 2)", descr), tmp_path))


@pytest.mark.parametrize(
    "offsets",
    [
        [0, 2**63 - 1, -(2**63), 3],  # each difference overflows to one that fits
        [0, 5, 2, 3],
        [0, 1, 2, 9],
        [1, 1, 2, 3],
        [-1, 1, 2, 3],
    ],
)
def test_packed_words_with_invalid_offsets_are_refused(offsets: list[int], tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    data = np.frombuffer(b"abc", dtype=np.uint8)
    ends = np.array(offsets, dtype=np.int64)
    np.savez(path, matrix=np.eye(3, dtype=np.float32), **{"words.data": data, "words.offsets": ends})
    with pytest.raises(FormatError, match="offsets"):
        vecload.load(path)


def test_arrow_offsets_in_a_longer_buffer_are_read(tmp_path: Path) -> None:
    offsets = pa.py_buffer(np.array([0, 3, 6], dtype=np.int64).tobytes() + b"odd")
    words = pa.Array.from_buffers(pa.large_string(), 2, [None, offsets, pa.py_buffer(b"catdog")])
    rows = pa.FixedSizeListArray.from_arrays(pa.array([1, 2, 3, 4], pa.float32()), 2)
    batch = pa.record_batch([words, rows], names=["word", "vector"])
    from vecload.formats.arrow.columns import pack_column

    assert list(pack_column(batch.column("word"))) == ["cat", "dog"]


SETTINGS = {"minn": 3, "maxn": 6, "bucket": 4, "hash_count": 1, "seed": 1, "bow": "<", "eow": ">"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("minn", "maxn", "hash_count", "seed")
            for value in (10**30, -1, 1.5, True, "3", [3])
        ),
        *(("bucket", value) for value in (10**30, -1, 1.5, True, "3")),
        *((name, value) for name in ("bow", "eow") for value in (["d"], 3, b"<", "x" * (LONGEST_MARK + 1), "\ud800")),
        ("kind", ["floret"]),
    ],
)
def test_ngram_table_with_an_invalid_setting_is_refused(name: str, value: object) -> None:
    settings = {**SETTINGS, "kind": "floret", name: value}
    with pytest.raises(OptionError):
        NgramTable(np.zeros((4, 2), dtype=np.float32), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("minn", 10**30), ("hash_count", 1.5), ("hash_seed", 0.5), ("bow", ["<"])])
def test_spacy_folder_with_an_invalid_setting_is_refused(name: str, value: object, tmp_path: Path) -> None:
    settings = {"mode": "floret", "minn": 2, "maxn": 3, "hash_count": 1, "hash_seed": 1, "bow": "<", "eow": ">"}
    np.save(tmp_path / "v.npy", np.eye(3, dtype=np.float32))
    (tmp_path / "v.npy").rename(tmp_path / "vectors")
    (tmp_path / "vectors.cfg").write_text(json.dumps({**settings, name: value}))
    with pytest.raises(FormatError, match=r"vectors\.cfg"):
        vecload.load(tmp_path)


def test_floret_table_without_rows_is_refused(tmp_path: Path) -> None:
    settings = {"mode": "floret", "minn": 2, "maxn": 3, "hash_count": 1, "hash_seed": 1, "bow": "<", "eow": ">"}
    (tmp_path / "vectors").write_bytes(npy("(0, 5)"))
    (tmp_path / "vectors.cfg").write_text(json.dumps(settings))
    for verb in (vecload.load, vecload.info):
        with pytest.raises(FormatError, match="without rows"):
            verb(tmp_path)


def model(words: list[bytes], maxn: int, *, rows: int | None = None, dim: int = 1, padding: int = 0) -> bytes:
    """Return a fastText model with a single bucket of n-grams."""
    count = len(words)
    head = MAGIC + struct.pack("<i", 12) + ARGUMENTS.pack(dim, 5, 5, 1, 5, 1, 2, 2, 1, 1, maxn, 100, 1e-4)
    head += SIZES.pack(count, count, 0, count) + struct.pack("<q", -1)
    entries = b"".join(word + b"\0" + struct.pack("<q", 1) + b"\0" for word in words)
    stored = count + 1 if rows is None else rows
    matrix = struct.pack("<Bqq", 0, stored, dim) + bytes(4 * (stored * dim if rows is None else 0))
    return head + entries + matrix + bytes(padding)


def test_fasttext_word_of_64_kb_is_read_and_a_longer_one_refused() -> None:
    longest = b"x" * (1 << 16)
    vectors = vecload.load(io.BytesIO(model([b"cat", longest], maxn=6)))
    assert list(map(len, vectors.words)) == [3, 1 << 16]
    with pytest.raises(FormatError, match="unterminated word"):
        vecload.load(io.BytesIO(model([b"cat", longest + b"x", b"dog"], maxn=6)))


@pytest.mark.parametrize(
    "words", [[b"x" * 60_000], [b"y" * 1000] * 40, [b"%0500d" % number for number in range(200)]], ids=len
)
def test_fasttext_model_of_too_many_ngrams_is_refused(words: list[bytes]) -> None:
    with pytest.raises(FormatError, match="too many n-grams"):
        vecload.load(io.BytesIO(model(words, maxn=1024)))
    assert len(vecload.load(io.BytesIO(model(words, maxn=6)))) == len(set(words))


@pytest.mark.parametrize(("rows", "dim"), [(0, 1 << 62), (1 << 62, 1 << 20), (1 << 40, 1), (-1, 1), (1, 0), (1, -1)])
def test_fasttext_matrix_of_invalid_sizes_is_refused(rows: int, dim: int) -> None:
    data = model([b"cat"], maxn=0)
    at = len(data) - 16 - 8  # two rows of one float, after the two sizes
    with pytest.raises(FormatError):
        vecload.load(io.BytesIO(data[:at] + struct.pack("<qq", rows, dim) + data[at + 16 :]))


def test_words_of_every_length_up_to_the_longest_mark_compose() -> None:
    table = NgramTable(np.ones((4, 2), dtype=np.float32), minn=1, maxn=4, bow="<" * LONGEST_MARK, eow=">")
    assert table.vectors(Words.from_strings(["", "a", "x" * 1000])).shape == (3, 2)
