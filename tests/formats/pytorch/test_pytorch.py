"""Tests of PyTorch's files, which torch writes, and of folders of sentence-transformers' WordEmbeddings."""

from __future__ import annotations

import collections
import io
import json
import subprocess
import sys
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vecload
from vecload.errors import FormatError

WORDS = ["the", "New York", "北海道", "cat", "\u00e9"]
MATRIX = torch.tensor(np.random.default_rng(0).normal(size=(5, 3)))
LAYOUTS = {"zip": True, "legacy": False}
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def save(value: Any, path: Path, layout: str = "zip") -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(value, path, _use_new_zipfile_serialization=LAYOUTS[layout])
    return path


def same(vectors: vecload.Vectors, matrix: torch.Tensor, words: list[str] = WORDS) -> None:
    assert list(vectors.words) == words
    if matrix.dtype == torch.bfloat16:
        assert vectors.dtype.name == "bfloat16"
        np.testing.assert_array_equal(vectors.matrix.astype(np.float32), matrix.float().numpy())
    else:
        assert vectors.dtype == matrix.numpy().dtype
        np.testing.assert_array_equal(vectors.matrix, matrix.numpy())


def tables(matrix: torch.Tensor) -> dict[str, Any]:
    """Return values of the shapes that people save."""
    numbers = {word: row for row, word in enumerate(WORDS)}
    return {
        "torchtext": (WORDS, numbers, matrix, matrix.shape[1]),
        "stanza": {"emb": matrix, "vocab": {"_unit2id": numbers, "_id2unit": WORDS, "lang": "en"}},
        "muse": {"dico": {"id2word": dict(enumerate(WORDS)), "word2id": numbers}, "vectors": matrix},
        "pair": (matrix, WORDS),
        "reversed": {"words": dict(reversed(numbers.items())), "embeddings": matrix},
    }


@each_layout
@pytest.mark.parametrize("table", ["torchtext", "stanza", "muse", "pair", "reversed"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_load_reads_saved_tables(table: str, layout: str, dtype: torch.dtype, tmp_path: Path) -> None:
    matrix = MATRIX.to(dtype)
    path = save(tables(matrix)[table], tmp_path / "v.pt", layout)
    same(vecload.load(path), matrix)
    same(vecload.load(io.BytesIO(path.read_bytes())), matrix)
    looked = vecload.info(path)
    assert (looked.rows, looked.dim, looked.format) == (5, 3, "PyTorch")
    assert list(vecload.load(path, vocab=["cat", "cow"]).words) == ["cat"]


class Dictionary:
    """The vocabulary class of MUSE, which is pickled as ``src.dictionary.Dictionary``."""

    def __init__(self) -> None:
        self.id2word = dict(enumerate(WORDS))
        self.word2id = {word: row for row, word in enumerate(WORDS)}
        self.lang = "en"


@each_layout
def test_load_reads_the_dictionary_class_of_muse(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("src.dictionary")
    module.Dictionary = Dictionary  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "src", type(sys)("src"))
    monkeypatch.setitem(sys.modules, "src.dictionary", module)
    monkeypatch.setattr(Dictionary, "__module__", "src.dictionary")
    path = save({"dico": Dictionary(), "vectors": MATRIX.float()}, tmp_path / "v.pth", layout)
    same(vecload.load(path), MATRIX.float())


@each_layout
def test_load_reads_the_embedding_of_a_state_dict(layout: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(OrderedDict(embed_tokens=torch.nn.Embedding(5, 3), out=torch.nn.Linear(3, 5)))
    path = save(model.state_dict(), tmp_path / "v.pt", layout)
    vectors = vecload.load(path, words=WORDS)
    same(vectors, model.embed_tokens.weight.detach())
    assert vectors.meta["tensor"] == "embed_tokens.weight"
    same(vecload.load(path, words=WORDS, tensor="out.weight"), model.out.weight.detach())
    with pytest.raises(FormatError, match=r"a matrix without words: found 5 rows\. Pass words="):
        vecload.load(path)
    with pytest.raises(FormatError, match=r"no tensor 'x': found embed_tokens\.weight \(5, 3\), out\.weight \(5, 3\)"):
        vecload.load(path, words=WORDS, tensor="x")
    with pytest.raises(FormatError, match="not one word per row: found 2 words, expected 5"):
        vecload.load(path, words=["a", "b"])


@each_layout
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_load_reads_views_with_any_strides(layout: str, data: st.DataObject, tmp_path: Path) -> None:
    base = torch.arange(240, dtype=torch.float32).reshape(12, 20)
    first, step = data.draw(st.integers(0, 5)), data.draw(st.integers(1, 3))
    view = base[first::step, data.draw(st.integers(0, 9)) :: data.draw(st.integers(1, 4))]
    view = view.T if data.draw(st.booleans()) else view
    words = [f"w{number}" for number in range(len(view))]
    path = save((words, view, base), tmp_path / "v.pt", layout)
    if view.shape == base.shape:
        return
    same(vecload.load(path, tensor="1"), view.contiguous(), words)


@each_layout
def test_load_reads_tensors_that_share_a_storage(layout: str, tmp_path: Path) -> None:
    base = torch.randn(10, 3)
    path = save({"a.weight": base[5:], "b.weight": base[:5]}, tmp_path / "v.pt", layout)
    same(vecload.load(path, words=WORDS, tensor="a.weight"), base[5:])
    same(vecload.load(path, words=WORDS, tensor="b.weight"), base[:5])


def test_load_maps_a_zip_file_without_importing_torch(tmp_path: Path) -> None:
    path = save(tables(MATRIX.float())["torchtext"], tmp_path / "v.pt")
    code = (
        "import sys, numpy, vecload; v = vecload.load(sys.argv[1]); root = v.matrix\n"
        "while isinstance(root.base, numpy.ndarray): root = root.base\n"
        "print(type(root).__name__, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["memmap", "False"]


@each_layout
def test_files_cut_anywhere_are_refused(layout: str, tmp_path: Path) -> None:
    whole = save(tables(MATRIX.float())["torchtext"], tmp_path / "v.pt", layout).read_bytes()
    for cut in range(4, len(whole), 9):
        (tmp_path / "cut.pt").write_bytes(whole[:cut])
        with pytest.raises(FormatError):
            vecload.load(tmp_path / "cut.pt", format="PyTorch")


@each_layout
def test_files_with_any_wrong_byte_are_read_or_refused(layout: str, tmp_path: Path) -> None:
    whole = save(tables(MATRIX.float())["stanza"], tmp_path / "v.pt", layout).read_bytes()
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vecload.VecloadWarning)
        for at in rng.integers(0, len(whole), 400).tolist():
            damaged = bytearray(whole)
            damaged[at] = int(rng.integers(0, 256))
            try:
                vecload.load(io.BytesIO(bytes(damaged)), format="PyTorch", allow_nonfinite=True)
            except (FormatError, vecload.errors.OptionError):
                continue


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit",)


HOSTILE = {"object": Evil(), "vectors": {"vectors": Evil(), "words": WORDS}, "module": torch.nn.Linear(2, 2)}


@each_layout
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_nothing_but_data_is_read(value: Any, layout: str, tmp_path: Path) -> None:
    path = save(value, tmp_path / "v.pt", layout)
    with pytest.raises(FormatError, match="refused to read the pickle: found"):
        vecload.load(path)


def zip_with(path: Path, pickled: bytes, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("v/data.pkl", pickled)
        for name, data in members.items():
            archive.writestr(f"v/{name.replace('__', '/')}", data)
    return path


def pickled_tensor(offset: int, shape: tuple[int, ...], strides: tuple[int, ...], count: int = 6) -> bytes:
    """Return a pickle of ``(["a", "b"], tensor)`` with any claims."""
    out = io.BytesIO()
    import pickle

    class Name:
        def __init__(self, text: str) -> None:
            self.text = text

    class Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
        def save(self, item: Any, **options: Any) -> None:
            if isinstance(item, Name):
                self.write(b"c" + item.text.replace(" ", "\n").encode() + b"\n")
            else:
                super().save(item, **options)

    pickler = Pickler(out, 2)
    pickler.write(b"\x80\x02")
    pickler.write(b"(")
    pickler.save(["a", "b"])
    pickler.save(Name("torch._utils _rebuild_tensor_v2"))
    pickler.write(b"(")
    pickler.write(b"(")
    for item in ("storage", Name("torch FloatStorage"), "0", "cpu", count):
        pickler.save(item)
    pickler.write(b"tQ")
    for part in (offset, shape, strides, False, None):
        pickler.save(part)
    pickler.write(b"tRt.")
    return out.getvalue()


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "count"),
    [
        (0, (2, 3), (3, 1), 7),  # a storage longer than its bytes
        (1, (2, 3), (3, 1), 6),
        (0, (2, 4), (3, 1), 6),
        (0, (2, 3), (1 << 40, 1), 6),
        (0, (2, 1 << 40), (0, 0), 6),  # one value, repeated
        (-1, (2, 3), (3, 1), 6),
        (0, (2, -3), (3, 1), 6),
        (0, (2, 3), (-3, 1), 6),
        (0, (2, 3), (3,), 6),
        (0, (0, 1 << 60), (1, 1), 6),
        (0, (2,) * 9, (1,) * 9, 6),
    ],
)
def test_claims_of_a_tensor_are_checked(
    offset: int, shape: tuple[int, ...], strides: tuple[int, ...], count: int, tmp_path: Path
) -> None:
    good = zip_with(
        tmp_path / "good.pt", pickled_tensor(0, (2, 3), (3, 1)), data__0=np.arange(6, dtype="<f4").tobytes()
    )
    assert vecload.load(good).matrix.tolist() == [[0, 1, 2], [3, 4, 5]]
    bad = zip_with(tmp_path / "bad.pt", pickled_tensor(offset, shape, strides, count), data__0=bytes(24))
    with pytest.raises(FormatError):
        vecload.load(bad)


def test_big_endian_values_are_swapped(tmp_path: Path) -> None:
    values = np.arange(6, dtype=">f4")
    pickled = pickled_tensor(0, (2, 3), (3, 1))
    path = zip_with(tmp_path / "v.pt", pickled, byteorder=b"big", data__0=values.tobytes())
    assert vecload.load(path).matrix.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_compressed_or_missing_storage_is_named(tmp_path: Path) -> None:
    path = zip_with(tmp_path / "v.pt", pickled_tensor(0, (2, 3), (3, 1)))
    with pytest.raises(FormatError, match=r"the values of a tensor are missing: found no v/data/0"):
        vecload.load(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("v/data/0", bytes(24))
    with pytest.raises(FormatError, match="a compressed member, which PyTorch does not write"):
        vecload.load(path)


def test_a_torchscript_model_is_named(tmp_path: Path) -> None:
    path = zip_with(tmp_path / "v.pt", b"\x80\x02}.", **{"constants.pkl": b"x"})
    with pytest.raises(FormatError, match="a TorchScript model, not tensors"):
        vecload.load(path)


@pytest.mark.parametrize(
    "value", [{"a": 1}, [1, 2], {"emb": torch.zeros(3), "n": 1}, ("x", torch.zeros(2, 2, dtype=torch.int64))]
)
def test_a_file_without_vectors_says_what_it_holds(value: Any, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no matrix of vectors: found a "):
        vecload.load(save(value, tmp_path / "v.pt"))


def sentence_transformers_folder(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, WordEmbeddings
    from sentence_transformers.models.tokenizer import WhitespaceTokenizer

    tokenizer = WhitespaceTokenizer(WORDS, stop_words=[], do_lower_case=True)
    embeddings = WordEmbeddings(tokenizer, MATRIX.float())
    model = SentenceTransformer(modules=[embeddings, Pooling(3, pooling_mode="mean")], device="cpu")
    model.save(str(folder))
    return model


@pytest.mark.filterwarnings("ignore")
def test_load_reads_word_embeddings_of_sentence_transformers(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    model = sentence_transformers_folder(tmp_path / "model")
    vectors = vecload.load(tmp_path / "model")
    same(vectors, MATRIX.float())
    assert vectors.meta["pooling"] == "mean"
    assert vectors.meta["lowercase"] is True
    np.testing.assert_allclose(vectors[["cat", "the"]].mean(axis=0), model.encode("cat the"), rtol=1e-6)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize("inside", ["", "0_WordEmbeddings"])
def test_load_reads_word_embeddings_of_older_folders(name: str, inside: str, tmp_path: Path) -> None:
    folder = tmp_path / inside
    folder.mkdir(exist_ok=True)
    (folder / "whitespacetokenizer_config.json").write_text(json.dumps({"vocab": WORDS}), encoding="utf-8")
    if name.endswith(".bin"):
        save(OrderedDict({"emb_layer.weight": MATRIX.float()}), folder / name, "legacy")
    else:
        import safetensors.torch

        safetensors.torch.save_file({"emb_layer.weight": MATRIX.float()}, folder / name)
    same(vecload.load(tmp_path), MATRIX.float())
    (folder / "whitespacetokenizer_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FormatError, match="invalid list of words"):
        vecload.load(tmp_path)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_saved_vectors_are_opened_by_torch(dtype: str, tmp_path: Path) -> None:
    vectors = vecload.load(save((WORDS, MATRIX), tmp_path / "v.pt"), dtype=dtype)  # type: ignore[arg-type]
    vectors.save(tmp_path / "saved.pt")
    itos, stoi, matrix, dim = torch.load(tmp_path / "saved.pt", weights_only=True)
    assert (itos, stoi, dim) == (WORDS, {word: row for row, word in enumerate(WORDS)}, 3)
    assert torch.equal(matrix, MATRIX.to(getattr(torch, dtype)))
    same(vecload.load(tmp_path / "saved.pt"), matrix)
    vectors.save(tmp_path / "again.pth")
    assert (tmp_path / "again.pth").read_bytes() == (tmp_path / "saved.pt").read_bytes()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("path", ["state_dict", "model", "model_state_dict", "model/state_dict", "weights"])
def test_load_reads_the_model_in_a_checkpoint(path: str, zipped: bool, tmp_path: Path) -> None:
    rows = torch.randn(4, 3)
    value: dict[str, Any] = collections.OrderedDict({"emb.weight": rows, "out.bias": torch.zeros(4)})
    for name in reversed(path.split("/")):
        value = {name: value, "epoch": 3, "optimizer": {"state": {0: {"exp_avg": torch.ones(4, 3)}}, "lr": [0.1]}}
    torch.save(value, tmp_path / "c.ckpt", _use_new_zipfile_serialization=zipped)
    found = vecload.load(tmp_path / "c.ckpt", words=["a", "b", "c", "d"])
    np.testing.assert_array_equal(found.matrix, rows.numpy())
    assert found.meta["tensor"] == "emb.weight"
