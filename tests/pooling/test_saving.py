"""Test saving and loading of poolers: round trips, tokenizers that cannot be saved, damaged folders."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.builders import small_vectors
from vecload import Vocab, Words, align, load
from vecload.errors import FormatError, OptionError
from vecload.ngrams import NgramTable
from vecload.pooling import SentencePooler, pmeans, sif

VECTORS = small_vectors(30, 6)
WORDS, MATRIX = list(VECTORS), VECTORS.matrix
TEXTS = [" ".join(np.random.default_rng(at).choice([*WORDS, "W1", "other"], at % 9)) for at in range(50)]


@pytest.mark.parametrize(
    "mode", ["mean", "max", sif(a=0.01, components=2), "usif", "tfidf", pmeans([1, 2]), "attention"]
)
def test_loaded_pooler_equals_the_saved_one(mode: Any, tmp_path: Path) -> None:
    pooler = SentencePooler(VECTORS, mode, normalize=True, lowercase=True, tokenize=re.compile(r"[a-z]\d+"))
    if pooler.mode.name in ("sif", "usif", "tfidf"):
        pooler.fit(TEXTS)
    if pooler.query is not None:
        torch.nn.init.normal_(pooler.query)
    pooler.save(tmp_path / "pooler")
    assert sorted(p.name for p in (tmp_path / "pooler").iterdir()) == [
        "pooler.json", "state.safetensors", "vectors.safetensors",
    ]  # fmt: skip
    back = SentencePooler.load(tmp_path / "pooler")
    assert (back.mode, back.normalize, back.tokenizer.kind) == (pooler.mode, True, "regex")
    assert np.array_equal(back.encode(TEXTS), pooler.encode(TEXTS))
    assert np.array_equal(load(tmp_path / "pooler" / "vectors.safetensors").matrix, MATRIX)
    trained = SentencePooler.load(tmp_path / "pooler", trainable=True)
    assert trained.embedding.weight.requires_grad
    with pytest.raises(OptionError, match="a directory that is not empty"):
        pooler.save(tmp_path / "pooler")


def test_loaded_rows_are_mapped(tmp_path: Path) -> None:
    SentencePooler(VECTORS).save(tmp_path / "pooler")
    back = SentencePooler.load(tmp_path / "pooler")
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("no /proc")
    place = back.embedding.weight.data_ptr()
    lines = [line for line in maps.read_text().splitlines() if "vectors.safetensors" in line]
    spans = [tuple(int(end, 16) for end in line.split()[0].split("-")) for line in lines]
    assert any(begin <= place < end for begin, end in spans)
    back.load_state_dict(back.state_dict())  # copies the rows before it writes
    assert np.array_equal(back.embedding.weight.numpy(), MATRIX)


def test_special_rows_and_ngrams_are_saved(tmp_path: Path) -> None:
    aligned = align(VECTORS, Vocab.from_words(WORDS, pad_token="[PAD]", unk_token="[UNK]"))
    pooler = aligned.pooler("sum", unknown="unk")
    pooler.save(tmp_path / "unk")
    back = SentencePooler.load(tmp_path / "unk")
    assert (back.padding_idx, back.unk_idx, back.unknown) == (pooler.padding_idx, pooler.unk_idx, "unk")
    assert np.array_equal(back.encode(TEXTS), pooler.encode(TEXTS))
    table = NgramTable(np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32), minn=2, maxn=3)
    pooler = SentencePooler(small_vectors(30, 6, ngrams=table), unknown="ngrams")
    pooler.save(tmp_path / "ngrams")
    assert np.array_equal(SentencePooler.load(tmp_path / "ngrams").encode(TEXTS), pooler.encode(TEXTS))


def test_bfloat16_rows_and_rows_of_layers_are_saved(tmp_path: Path) -> None:
    pooler = SentencePooler(VECTORS).to(torch.bfloat16)
    pooler.save(tmp_path / "narrow")
    back = SentencePooler.load(tmp_path / "narrow")
    assert back.embedding.weight.dtype == torch.bfloat16
    assert np.array_equal(back.encode(TEXTS), pooler.encode(TEXTS))
    partly = align(VECTORS, Vocab.from_words(["w1", "new"])).embedding(mode="new-rows")
    pooler = SentencePooler(partly, words=Words.from_strings(["w1", "new"]))
    pooler.save(tmp_path / "partly")
    np.testing.assert_allclose(SentencePooler.load(tmp_path / "partly").encode(["w1 new"]), pooler.encode(["w1 new"]))


def test_load_needs_the_function_of_a_pooler_that_had_one(tmp_path: Path) -> None:
    SentencePooler(VECTORS, tokenize=str.split).save(tmp_path / "pooler")
    with pytest.raises(OptionError, match="was saved with a function: pass it again as tokenize="):
        SentencePooler.load(tmp_path / "pooler")
    back = SentencePooler.load(tmp_path / "pooler", tokenize=str.split)
    assert np.array_equal(back.encode(TEXTS), SentencePooler(VECTORS).encode(TEXTS))
    SentencePooler(VECTORS).save(tmp_path / "plain")
    with pytest.raises(OptionError, match="saved with a tokenizer of kind 'whitespace', not 'function'"):
        SentencePooler.load(tmp_path / "plain", tokenize=str.split)


def test_hugging_face_tokenizer_is_saved(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: at for at, word in enumerate(WORDS)}, "w0"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    pooler = SentencePooler(VECTORS, tokenize=tokenizer)
    pooler.save(tmp_path / "pooler")
    assert np.array_equal(SentencePooler.load(tmp_path / "pooler").encode(TEXTS), pooler.encode(TEXTS))


def test_load_refuses_damaged_folders(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="save its state_dict instead"):
        SentencePooler(torch.nn.Embedding(3, 2)).save(tmp_path / "none")
    with pytest.raises(FormatError, match=r"not a folder that SentencePooler\.save wrote: found a folder"):
        SentencePooler.load(tmp_path)
    SentencePooler(VECTORS, "sif").fit(TEXTS).save(tmp_path / "pooler")
    settings = tmp_path / "pooler" / "pooler.json"
    whole = settings.read_text()
    kept = json.loads(whole)
    for damage, problem in (
        ('{"format": 1}', "not a folder that SentencePooler.save wrote"),
        (whole[:-20], "invalid JSON"),
        (json.dumps([]), "not a folder that SentencePooler.save wrote"),
        (json.dumps({**kept, "mode": {"name": "mean"}}), "missing setting 'a'"),
        (json.dumps({**kept, "version": 9}), "the file was saved by another version of vecload: found version 9"),
    ):
        settings.write_text(damage)
        with pytest.raises(FormatError, match=problem):
            SentencePooler.load(tmp_path / "pooler")
    settings.write_text(whole)
    state = tmp_path / "pooler" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(FormatError, match="longer than the file"):
        SentencePooler.load(tmp_path / "pooler")
    state.unlink()
    with pytest.raises(FormatError, match="missing file"):
        SentencePooler.load(tmp_path / "pooler")
