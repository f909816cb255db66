"""vecload's own files: mapped without parsing, readable by safetensors alone, and checked before use."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import vecload
from tests.builders import small_vectors
from tests.formats.tables import same
from vecload import Vectors, Words
from vecload.errors import FormatError, OptionError
from vecload.formats import History
from vecload.ngrams import NgramTable, QuantizedRows
from vecload.ngrams.projected import ProjectedRows

WORDS = [f"w{at}" for at in range(100)]


def parts(data: bytes) -> tuple[dict[str, object], bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def joined(header: object, body: bytes) -> bytes:
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return len(text).to_bytes(8, "little") + text + body


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    small_vectors(WORDS, dim=3).save(tmp_path / "v.safetensors")
    return (tmp_path / "v.safetensors").read_bytes()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_every_float_type_is_stored_exactly(dtype: str, tmp_path: Path) -> None:
    text = b"".join(b"w%d %r %r %r\n" % (at, at / 7, -1.5, 3e-5) for at in range(100))
    vectors = vecload.load(io.BytesIO(text), dtype=dtype)  # type: ignore[arg-type]
    vectors.save(tmp_path / "v.safetensors")
    again = vecload.load(tmp_path / "v.safetensors")
    assert again.dtype == vectors.dtype
    assert same(again, vectors)
    done = vecload.convert(io.BytesIO(text), tmp_path / "c.safetensors", dtype=dtype)  # type: ignore[arg-type]
    assert same(vecload.load(tmp_path / "c.safetensors"), vectors)
    assert done.size == (tmp_path / "c.safetensors").stat().st_size


def test_load_maps_the_file_and_imports_no_compiled_code(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    small_vectors([f"w{at}" for at in range(5000)], dim=7).save(path)
    vectors = vecload.load(path)
    assert not vectors.matrix.flags.writeable
    assert not vectors.matrix.flags.owndata
    code = f"import sys, vecload; v = vecload.load({str(path)!r}); v['w4999']; v[['w1', 'w2']]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numba", "torch", "safetensors", "gensim"} & set(loaded)


def test_safetensors_reads_the_arrays(tmp_path: Path) -> None:
    vectors = small_vectors(["cat", "New York", "北"], dim=3)
    vectors.save(tmp_path / "v.safetensors")
    tensors = load_file(tmp_path / "v.safetensors")
    assert np.array_equal(tensors["matrix"], vectors.matrix)
    raw, offsets = tensors["words.data"].tobytes(), tensors["words.offsets"]
    assert [raw[a:b].decode() for a, b in pairwise(offsets)] == list(vectors.words)


def test_load_reads_a_file_that_safetensors_rewrote(tmp_path: Path, whole: bytes) -> None:
    """Its tensors are in another order, and not aligned for every type."""
    header, _ = parts(whole)
    tensors = load_file(tmp_path / "v.safetensors")
    tensors["matrix"] = tensors["matrix"].astype(np.float16)[:, :1].copy()
    save_file(tensors, tmp_path / "again.safetensors", metadata=header["__metadata__"])  # type: ignore[arg-type]
    assert list(vecload.load(tmp_path / "again.safetensors").words) == WORDS


def test_meta_of_any_length_is_stored(tmp_path: Path) -> None:
    vectors = small_vectors(WORDS)
    history = History(labels=("x" * 10,) * 3000)
    meta = {"format": "f", "source": "/a/b.txt"}
    vectors = Vectors(vectors.words, vectors.matrix, meta, history=history)
    vectors.save(tmp_path / "v.safetensors")
    again = vecload.load(tmp_path / "v.safetensors")
    assert same(again, vectors)
    assert (again.history.labels, again.meta["origin"]) == (history.labels, "f, b.txt")


def test_ngram_tables_are_stored(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (50, 2)).astype(np.uint8)
    centroids = rng.normal(size=256 * 5).astype(np.float32)
    none = np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.float32)
    norms = rng.integers(0, 256, 50).astype(np.uint8), rng.normal(size=256).astype(np.float32)
    kept = np.stack([np.sort(rng.choice(200, 50, replace=False)), rng.permutation(50)], axis=1).astype(np.int32)
    parts = rng.integers(0, 7, (50, 5)).astype(np.uint8)
    projected = ProjectedRows(parts, rng.normal(size=(5, 7, 1)).astype(np.float32), None, None)
    for table in (
        NgramTable(rng.normal(size=(50, 5)).astype(np.float32), minn=3, maxn=6),
        NgramTable(QuantizedRows(codes, centroids, 3, *none), minn=2, maxn=4),
        NgramTable(QuantizedRows(codes, centroids, 3, *norms), minn=2, maxn=4, bucket=200, kept=kept),
        NgramTable(rng.normal(size=(50, 5)), minn=3, maxn=4, kind="floret", hash_count=2),
        NgramTable(projected, minn=3, maxn=4),
    ):
        vectors = Vectors(*(part := small_vectors(WORDS)).__reduce__()[1][:2], {}, table)
        assert part.dim == 5
        vectors.save(tmp_path / "v.safetensors")
        for again in (vecload.load(tmp_path / "v.safetensors"), vecload.load(tmp_path / "v.safetensors", limit=9)):
            assert again.ngrams is not None
            assert again.ngrams.settings == table.settings
            assert np.array_equal(again.ngrams.vectors(["cat", "unseen"]), table.vectors(["cat", "unseen"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.update(matrix={"dtype": "F32", "shape": [100, 4], "data_offsets": [0, 1200]}), "another size"),
        (
            lambda h: h.update(matrix={"dtype": "F32", "shape": [-100, -3], "data_offsets": [0, 1200]}),
            "invalid entry for tensor .matrix",
        ),
        (
            lambda h: h.update(matrix={"dtype": "F32", "shape": [1 << 61, 0], "data_offsets": [0, 0]}),
            "invalid entry for tensor .matrix",
        ),
        (
            lambda h: h.update(matrix={"dtype": "F32", "shape": [100.0, 3], "data_offsets": [0, 1200]}),
            "invalid entry for tensor .matrix",
        ),
        (
            lambda h: h.update(matrix={"dtype": "I64", "shape": [50, 3], "data_offsets": [0, 1200]}),
            "invalid tensor .matrix.: found int64",
        ),
        (
            lambda h: h.update(matrix={"dtype": "F32", "shape": [300], "data_offsets": [0, 1200]}),
            "invalid tensor .matrix.",
        ),
        (
            lambda h: h.update(matrix={"dtype": "F32", "shape": [50, 6], "data_offsets": [0, 1200]}),
            "without 'row_ids', there must be one row for each word",
        ),
        (
            lambda h: h.update(matrix={"dtype": "C64", "shape": [50, 3], "data_offsets": [0, 1200]}),
            "invalid entry for tensor",
        ),
        (lambda h: h.update(more={"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}), "overlap or leave gaps"),
        (lambda h: h.pop("words.slots"), "another size"),
        (lambda h: h["words.slots"].update(dtype="I64"), "invalid tensor .words.slots.: found int64"),
        (
            lambda h: h["__metadata__"].update(version="2"),
            "the file was saved by another version of vecload: found version 2",
        ),
        (lambda h: h["__metadata__"].update(meta="[1, 2]"), "settings are not a JSON object"),
        (lambda h: h["__metadata__"].update(ngrams='{"minn": 3}'), "missing setting .maxn"),
        (lambda h: h.update({"words.offsets": 3}), "invalid entry for tensor .words.offsets"),
    ],
)
def test_invalid_headers_are_refused(change: object, message: str, whole: bytes) -> None:
    header, body = parts(whole)
    change(header)  # type: ignore[operator]
    with pytest.raises(FormatError, match=message):
        vecload.load(io.BytesIO(joined(header, body)), format="native")


@pytest.mark.parametrize("length", [0, 3, 99_999_999, 100_000_001, 2**63, 2**64 - 1])
def test_invalid_header_lengths_are_refused(length: int, whole: bytes) -> None:
    with pytest.raises(FormatError, match="safetensors header"):
        vecload.load(io.BytesIO(length.to_bytes(8, "little") + whole[8:]), format="native")


def test_duplicate_tensor_name_is_refused(whole: bytes) -> None:
    header, body = parts(whole)
    text = json.dumps(header).encode()
    twice = text[:-1] + b"," + json.dumps({"matrix": header["matrix"]}).encode()[1:]
    with pytest.raises(FormatError, match="occurs twice"):
        vecload.load(io.BytesIO(joined(twice, body)), format="native")


def damaged(whole: bytes, tensor: str, at: int, value: int) -> Vectors:
    header, body = parts(whole)
    begin = header[tensor]["data_offsets"][0]  # type: ignore[index]
    numbers = bytearray(body)
    numbers[begin + 8 * at : begin + 8 * at + 8] = (value % 2**64).to_bytes(8, "little")
    return vecload.load(io.BytesIO(joined(header, bytes(numbers))), format="native")


@pytest.mark.parametrize("value", [-1, -(2**62), 2**62, 100_000, 5])
@pytest.mark.parametrize("at", [0, 50, 100])
def test_word_offsets_out_of_range_are_refused_at_the_first_lookup(at: int, value: int, whole: bytes) -> None:
    vectors = damaged(whole, "words.offsets", at, value)
    with contextlib.suppress(FormatError):
        vectors.get("w50")
    with pytest.raises(FormatError, match="corrupt word index"):
        vectors.words.lookup(WORDS)
    with pytest.raises(vecload.VecloadError) as caught:
        vectors.select(["w3"])
    assert "corrupt word index" in str(caught.value) or "w3" in str(caught.value)


def test_corrupt_hash_table_is_refused_at_the_first_lookup(whole: bytes) -> None:
    header, body = parts(whole)
    first, last = header["words.slots"]["data_offsets"]  # type: ignore[index]
    slots = np.frombuffer(body[first:last], dtype=np.uint64).copy()
    for row in (101, 2**32 - 1, 0):
        bad = slots.copy()
        bad[np.flatnonzero(bad)[7]] = (1 << 63) | row
        vectors = vecload.load(io.BytesIO(joined(header, body[:first] + bad.tobytes() + body[last:])), format="native")
        with contextlib.suppress(FormatError):
            assert vectors.get("nothing") is None
        with pytest.raises(FormatError, match="corrupt word index"):
            vectors.words.lookup(WORDS)
    full = np.where(slots == 0, slots.max(), slots)
    vectors = vecload.load(io.BytesIO(joined(header, body[:first] + full.tobytes() + body[last:])), format="native")
    for look_up in (lambda: vectors.get("nothing"), lambda: vectors.words.lookup(WORDS)):
        with pytest.raises(FormatError, match="corrupt word index"):
            look_up()


def test_stored_words_are_equal_after_the_check() -> None:
    words = Words.from_strings(WORDS)
    again = Words(words.data, words.offsets, slots=words.slots, checked=False)
    assert again == words
    assert again.lookup(WORDS).tolist() == list(range(100))


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"doubt": "x" * 5000}, "invalid setting 'doubt'"),
        ({"doubt": 3}, "invalid setting 'doubt'"),
        ({"transforms": [1]}, "invalid setting 'transforms'"),
        ({"args": {"dim": -1}}, "invalid setting 'dim'"),
        ({"note": "x" * 100_000_001}, "a safetensors file holds at most"),
    ],
)
def test_save_refuses_meta_that_could_not_be_read_back(meta: dict[str, Any], message: str, tmp_path: Path) -> None:
    vectors = Vectors(["cat"], np.ones((1, 2), dtype=np.float32), meta)
    with pytest.raises(OptionError, match=message):
        vectors.save(tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


def with_metadata(file: Path, **changes: str | None) -> Path:
    """Return a copy of a native file whose metadata are changed, or removed for None."""
    raw = file.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    for key, value in changes.items():
        if value is None:
            header["__metadata__"].pop(key, None)
        else:
            header["__metadata__"][key] = value
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 4096)
    changed = file.with_name("changed.safetensors")
    changed.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])
    return changed


@pytest.mark.parametrize(("version", "shown"), [("2", "version 2"), ("1.5", "version 1.5"), (None, "version None")])
def test_a_file_of_another_version_is_refused_with_what_to_do(tmp_path: Path, version: str | None, shown: str) -> None:
    Vectors(["cat"], np.ones((1, 2), dtype="float32")).save(tmp_path / "v.safetensors")
    with pytest.raises(FormatError, match=rf"found .*{shown}.*Update vecload"):
        vecload.load(with_metadata(tmp_path / "v.safetensors", version=version), format="native")


def test_keys_and_descriptions_that_are_not_known_are_ignored(tmp_path: Path) -> None:
    """Later versions may add such keys without changing the version of the format."""
    Vectors(["cat"], np.ones((1, 2), dtype="float32")).save(tmp_path / "v.safetensors")
    file = with_metadata(
        tmp_path / "v.safetensors", added="later", meta=json.dumps({"added": {"a": [1]}, "origin": "x"})
    )
    vectors = vecload.load(file)
    assert vectors["cat"].tolist() == [1, 1]
    assert vectors.meta["added"] == {"a": [1]}
