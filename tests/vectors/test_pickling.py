"""Public values survive pickle, copy and deepcopy: worker processes, Ray, joblib and copies of models need that."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecload
import vecload.errors
from tests.builders import random_rows, small_vectors
from vecload import Vectors, Vocab, oov
from vecload.ngrams import NgramTable, QuantizedRows

WORDS = ["cat", "dog", "cow", "北", "\udcff"]
DRAWS = np.random.default_rng(0)
MATRIX = random_rows(5, 4)

WAYS: dict[str, Callable[[Any], Any]] = {
    **{f"pickle {number}": lambda value, n=number: pickle.loads(pickle.dumps(value, n)) for number in range(2, 6)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def table() -> NgramTable:
    return NgramTable(MATRIX, minn=2, maxn=3)


def quantized_table() -> NgramTable:
    codes = DRAWS.integers(0, 256, (50, 2)).astype(np.uint8)
    rows = QuantizedRows(codes, MATRIX.repeat(52)[:1024].copy(), 2, np.empty(0, np.uint8), np.empty(0, np.float32))
    kept = np.array([[3, 1], [9, 0]], dtype=np.int32)
    return NgramTable(rows, minn=2, maxn=3, bucket=200, kept=kept)


def vectors() -> Vectors:
    return small_vectors(WORDS, 4, meta={"format": "test", "counts": np.arange(5)}, ngrams=table())


def vocab() -> Vocab:
    return Vocab.from_counter({"cat": 3, "x": 2}, specials=["<pad>", "<unk>"])


def aligned() -> vecload.Aligned:
    return vecload.align(vectors(), vocab(), oov=["casefold", "normal"])


def mapped_file() -> Vectors:
    import tempfile

    path = Path(tempfile.mkdtemp(), "v.safetensors")
    vectors().save(path)
    opened = vecload.load(path)
    path.unlink()
    return opened


def space_map() -> vecload.SpaceMap:
    return vecload.map_spaces(vectors(), vectors(), pairs=[(word, word) for word in WORDS[:4]], normalize=("center",))


def arrays_of(value: Any) -> Any:
    """Return the content of a value in types that can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype.name, value.shape, value.tobytes()
    if isinstance(value, Vectors):
        meta = {key: arrays_of(part) for key, part in (*value.meta.items(), *vars(value.history).items())}
        return list(value), arrays_of(value.matrix), meta, arrays_of(value.ngrams)
    if isinstance(value, vecload.Words):
        return list(value), value.lookup(["cow", "horse"]).tolist(), value.distinct
    if isinstance(value, NgramTable):
        return value.settings, arrays_of(value.vectors(["cat", "horse", "北海道"])), arrays_of(value.kept)
    if isinstance(value, vecload.Aligned):
        fields = value.matrix, value.origin, value.new
        return value.vocab, value.origins, [arrays_of(field) for field in fields], value.coverage
    if isinstance(value, vecload.SpaceMap):
        moved = arrays_of(value.apply(vectors())), arrays_of(value.apply_target(vectors()))
        return repr(value), dict(value.info), *moved, arrays_of(value.inverse().matrix)
    if isinstance(value, vecload.transforms.Quantized):
        return arrays_of(value.vectors), arrays_of(value.codes), arrays_of(value.scales), value.loss
    if isinstance(value, BaseException):
        return type(value), value.args, value.__dict__, str(value)
    if isinstance(value, oov.Composition | oov.Filling | oov.Spelling):
        return value.name, arrays_of(vecload.align(vectors(), ["cat", "Cat-dog", "horse"], oov=[value]).matrix)
    return value


VALUES: dict[str, Callable[[], Any]] = {
    "Words": lambda: vectors().words,
    "Vocab": vocab,
    "Vectors": vectors,
    "Vectors of a mapped file": mapped_file,
    "transformed Vectors": lambda: vecload.transform(vectors(), ["center"]),
    "NgramTable": table,
    "quantized NgramTable": quantized_table,
    "Aligned": aligned,
    "Coverage": lambda: aligned().coverage,
    "SpaceMap": space_map,
    "inverse SpaceMap": lambda: space_map().inverse(),
    "int8 Quantized": lambda: vecload.transforms.int8(vectors()),
    "Info": lambda: vecload.info(io.BytesIO(b"cat 1 2\n")),
    "Comparison": lambda: vecload.compare(vectors(), vectors()),
    "FormatError": lambda: vecload.errors.FormatError(
        "x", file="f", line=3, byte=9, found="y", expected="z", hint="Stop."
    ),
    "MissingWordError": lambda: vecload.errors.MissingWordError("'x' is missing", ["x"]),
    **{
        name: lambda name=name: getattr(vecload.errors, name)("a sentence")
        for name in ("OptionError", "VocabularyError", "DownloadError", "MissingDependencyError", "VecloadError")
    },
    "oov.normal": lambda: oov.normal(0.0, 0.1),
    "oov.uniform": lambda: oov.uniform(match="norm"),
    "oov.xavier": oov.xavier,
    "oov.kaiming": oov.kaiming,
    "oov.mean": oov.mean,
    "oov.zeros": oov.zeros,
    "oov.ngrams": oov.ngrams,
    "oov.mean_of_parts": oov.mean_of_parts,
    "oov.mean_of_parts with a function": lambda: oov.mean_of_parts(str.split),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", VALUES)
def test_value_survives_copying(name: str, way: str) -> None:
    value = VALUES[name]()
    again = WAYS[way](value)
    assert type(again) is type(value)
    assert arrays_of(again) == arrays_of(value)


def test_spelling_steps_survive_pickling() -> None:
    from vecload.oov.normalizers import SPELLINGS

    for step in SPELLINGS.values():
        assert pickle.loads(pickle.dumps(step)).respell("Ａ1é") == step.respell("Ａ1é")


def test_subword_step_survives_pickling() -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece({"[UNK]": 0, "cat": 1, "##dog": 2}, unk_token="[UNK]"))
    step = oov.subwords(tokenizer)
    again = pickle.loads(pickle.dumps(step))
    assert arrays_of(again) == arrays_of(step)
    assert again.parts("catdog") == ["cat", "dog"]


def test_copies_stay_immutable() -> None:
    for name in ("Vectors", "Aligned"):
        for way in WAYS.values():
            again = way(VALUES[name]())
            assert not again.matrix.flags.writeable
            with pytest.raises(TypeError, match="mappingproxy"):
                again.meta["x"] = 1


def test_pickle_is_read_by_another_process(tmp_path: Path) -> None:
    file = tmp_path / "values.pickle"
    file.write_bytes(pickle.dumps([vectors(), aligned(), space_map(), oov.normal()]))
    code = f"import pickle, pathlib; print(*map(repr, pickle.loads(pathlib.Path({str(file)!r}).read_bytes())[:3]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == " ".join(map(repr, [vectors(), aligned(), space_map()])).split()
