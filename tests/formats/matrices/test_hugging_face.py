"""Tests of the input embedding of Hugging Face models, against transformers and model2vec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import tokenizers
import torch
import transformers
from model2vec import StaticModel

import vecload
from vecload.errors import FormatError, OptionError

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
CONFIGS = {
    "llama": lambda size: transformers.LlamaConfig(vocab_size=size, num_key_value_heads=2, **SMALL),
    "llama tied": lambda size: transformers.LlamaConfig(
        vocab_size=size, num_key_value_heads=2, tie_word_embeddings=True, **SMALL
    ),
    "bert": lambda size: transformers.BertConfig(vocab_size=size, **SMALL),
    "gpt2": lambda size: transformers.GPT2Config(vocab_size=size, n_embd=16, n_layer=1, n_head=2, n_positions=8),
    "t5": lambda size: transformers.T5Config(vocab_size=size, d_model=16, d_kv=8, d_ff=8, num_layers=1, num_heads=2),
    "gpt-neox": lambda size: transformers.GPTNeoXConfig(vocab_size=size, **SMALL),
    "bloom": lambda size: transformers.BloomConfig(vocab_size=size, hidden_size=16, n_layer=1, n_head=2),
    "distilbert": lambda size: transformers.DistilBertConfig(
        vocab_size=size, dim=16, n_layers=1, n_heads=2, hidden_dim=8
    ),
}
MODELS = {
    "llama": transformers.LlamaForCausalLM,
    "llama tied": transformers.LlamaForCausalLM,
    "bert": transformers.BertForMaskedLM,
    "gpt2": transformers.GPT2LMHeadModel,
    "t5": transformers.T5ForConditionalGeneration,
    "gpt-neox": transformers.GPTNeoXForCausalLM,
    "bloom": transformers.BloomForCausalLM,
    "distilbert": transformers.DistilBertForMaskedLM,
}
TEXTS = ["the cat sat on the mat", "a dog and a cat", "京都の大学", "naïve café"]


def tokenizer(kind: str) -> tokenizers.Tokenizer:
    """Train a small tokenizer."""
    if kind == "wordpiece":
        made = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
        made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        trainer: Any = tokenizers.trainers.WordPieceTrainer(vocab_size=60, special_tokens=["[PAD]", "[UNK]"])
    elif kind == "unigram":
        made = tokenizers.Tokenizer(tokenizers.models.Unigram())
        made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
        trainer = tokenizers.trainers.UnigramTrainer(vocab_size=40, special_tokens=["<unk>"], unk_token="<unk>")
    else:
        made = tokenizers.Tokenizer(tokenizers.models.BPE())
        made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=300, special_tokens=["<s>"], initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()
        )
    made.train_from_iterator(TEXTS, trainer)
    made.add_tokens(["<added>"])
    return made


def save_model(folder: Path, name: str, tokens: tokenizers.Tokenizer, *, rows: int, **options: Any) -> Any:
    torch.manual_seed(0)
    model = MODELS[name](CONFIGS[name](rows))  # type: ignore[operator]
    model.save_pretrained(folder, **options)
    tokens.save(str(folder / "tokenizer.json"))
    return model


@pytest.mark.parametrize("name", CONFIGS)
def test_load_reads_the_input_embedding(name: str, tmp_path: Path) -> None:
    tokens = tokenizer("bpe")
    size = tokens.get_vocab_size()
    model = save_model(tmp_path, name, tokens, rows=size)
    vectors = vecload.load(tmp_path)
    assert list(vectors.words) == [tokens.id_to_token(row) for row in range(size)]
    np.testing.assert_array_equal(vectors.matrix, model.get_input_embeddings().weight.detach().numpy())
    assert vectors.meta["format"] == "Hugging Face model"
    assert vecload.info(tmp_path).rows == size


@pytest.mark.parametrize("kind", ["wordpiece", "unigram", "bpe"])
def test_load_reads_the_tokens_of_every_kind_of_tokenizer(kind: str, tmp_path: Path) -> None:
    tokens = tokenizer(kind)
    save_model(tmp_path, "llama", tokens, rows=tokens.get_vocab_size())
    expected = [tokens.id_to_token(row) for row in range(tokens.get_vocab_size())]
    assert list(vecload.load(tmp_path).words) == expected


def test_load_reads_only_the_file_that_has_the_tensor(tmp_path: Path) -> None:
    tokens = tokenizer("bpe")
    model = save_model(tmp_path, "llama", tokens, rows=tokens.get_vocab_size(), max_shard_size="20KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text(encoding="utf-8"))["weight_map"]
    assert len(set(index.values())) > 1
    for shard in set(index.values()) - {index["model.embed_tokens.weight"]}:
        (tmp_path / shard).unlink()
    vectors = vecload.load(tmp_path)
    np.testing.assert_array_equal(vectors.matrix, model.get_input_embeddings().weight.detach().numpy())
    root: Any = vectors.matrix
    while isinstance(root.base, np.ndarray):
        root = root.base
    assert isinstance(root, np.memmap)  # nothing else was read
    with pytest.raises(FormatError, match="a file of the weights is missing"):
        vecload.load(tmp_path, tensor="lm_head.weight")


def test_load_leaves_out_rows_without_a_token(tmp_path: Path) -> None:
    tokens = tokenizer("bpe")
    size = tokens.get_vocab_size()
    model = save_model(tmp_path, "gpt2", tokens, rows=size + 27)
    vectors = vecload.load(tmp_path)
    assert len(vectors) == size
    assert vectors.meta["rows without a token"] == 27
    np.testing.assert_array_equal(vectors.matrix, model.get_input_embeddings().weight.detach().numpy()[:size])


def test_load_reads_bfloat16(tmp_path: Path) -> None:
    tokens = tokenizer("bpe")
    model = transformers.GPT2LMHeadModel(CONFIGS["gpt2"](tokens.get_vocab_size())).to(torch.bfloat16)
    model.save_pretrained(tmp_path)
    tokens.save(str(tmp_path / "tokenizer.json"))
    vectors = vecload.load(tmp_path)
    assert vectors.dtype.name == "bfloat16"
    expected = model.get_input_embeddings().weight.detach().float().numpy()
    np.testing.assert_array_equal(vectors.matrix.astype(np.float32), expected)


def test_load_takes_another_tensor_by_name(tmp_path: Path) -> None:
    tokens = tokenizer("bpe")
    model = save_model(tmp_path, "llama", tokens, rows=tokens.get_vocab_size())
    vectors = vecload.load(tmp_path, tensor="lm_head.weight")
    np.testing.assert_array_equal(vectors.matrix, model.lm_head.weight.detach().numpy())
    with pytest.raises(FormatError, match=r"no tensor 'x': found .*lm_head\.weight"):
        vecload.load(tmp_path, tensor="x")


def test_load_refuses_a_tokenizer_with_more_tokens_than_rows(tmp_path: Path) -> None:
    tokens = tokenizer("bpe")
    save_model(tmp_path, "llama", tokens, rows=tokens.get_vocab_size() - 1)
    with pytest.raises(FormatError, match="the tokenizer does not fit the weights"):
        vecload.load(tmp_path)


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/passwd", "..", 5])
def test_an_index_cannot_name_files_elsewhere(shard: Any, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    tokenizer("bpe").save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text("{}", encoding="utf-8")
    index = {"weight_map": {"model.embed_tokens.weight": shard}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(FormatError, match="invalid index of the weights"):
        vecload.load(folder)


BAD_VOCABS = ['{"a": -1}', '{"a": 1e99}', '{"a": 0, "b": 0}', '[["a"], 5]', "5"]
BAD_TOKENIZERS = ["", "[]", "{}", *(f'{{"model": {{"vocab": {vocab}}}}}' for vocab in BAD_VOCABS)]


@pytest.mark.parametrize("text", BAD_TOKENIZERS)
def test_an_invalid_tokenizer_is_refused(text: str, tmp_path: Path) -> None:
    save_model(tmp_path, "gpt2", tokenizer("bpe"), rows=400)
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=r"invalid tokenizer|two tokens have the same number"):
        vecload.load(tmp_path)


def static_model(kind: str) -> tuple[StaticModel, tokenizers.Tokenizer]:
    tokens = tokenizer("wordpiece")
    size = tokens.get_vocab_size()
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(size, 4)).astype(np.float32)
    extras: dict[str, Any] = {}
    if "weights" in kind:
        extras["weights"] = rng.random(size).astype(np.float32)
    if "mapping" in kind:
        rows, extras["token_mapping"] = rows[:7], rng.integers(0, 7, size)
    if "int8" in kind:
        rows = np.rint(rows * 30).astype(np.int8)
    return StaticModel(rows, tokens, normalize=False, **extras), tokens


@pytest.mark.parametrize("kind", ["plain", "weights", "mapping", "weights, mapping", "int8", "int8, weights, mapping"])
def test_rows_of_static_models_give_the_means_of_model2vec(kind: str, tmp_path: Path) -> None:
    model, tokens = static_model(kind)
    model.save_pretrained(tmp_path)
    model = StaticModel.from_pretrained(tmp_path)  # it drops what its files do not have
    vectors = vecload.load(tmp_path)
    assert vectors.meta["format"] == "model2vec"
    assert len(vectors) == tokens.get_vocab_size()
    for text in ("the cat", "dog and mat", "sat"):
        pieces = tokens.encode(text, add_special_tokens=False).tokens
        np.testing.assert_allclose(vectors[pieces].mean(axis=0), model.encode(text), rtol=1e-5, atol=1e-6)


def test_a_static_model_with_invalid_weights_is_refused(tmp_path: Path) -> None:
    model, tokens = static_model("plain")
    model.save_pretrained(tmp_path)
    rows = np.ones((tokens.get_vocab_size(), 4), dtype=np.float32)
    for extra in ({"weights": np.ones(3, dtype=np.float32)}, {"mapping": np.zeros((9, 2), dtype=np.int64)},
                  {"mapping": np.full(len(rows), 9999)}, {"mapping": np.full(len(rows), -1)}):  # fmt: skip
        safetensors.numpy.save_file({"embeddings": rows, **extra}, tmp_path / "model.safetensors")
        with pytest.raises(FormatError, match=r"invalid (weights|mapping) of the tokens|tokens without rows"):
            vecload.load(tmp_path)


@pytest.mark.parametrize("kind", ["wordpiece", "unigram", "bpe"])
def test_surface_tokens_are_the_text_that_tokens_stand_for(kind: str, tmp_path: Path) -> None:
    tokens = tokenizer(kind)
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=tokens)
    save_model(tmp_path, "llama", tokens, rows=tokens.get_vocab_size())
    raw, surface = (list(vecload.load(tmp_path, tokens=form).words) for form in ("raw", "surface"))  # type: ignore[arg-type]
    added = set(made.get_added_vocab())
    # Each text, cut into tokens, is the joined text of its tokens, with a space at the beginning of each word.
    texts = dict(zip(raw, surface, strict=False))
    for text in TEXTS:
        pieces = tokens.encode(text).tokens
        joined = "".join(texts[piece] for piece in pieces)
        decoded = joined.encode("utf-8", "surrogateescape").decode()
        assert decoded == f" {text.lstrip()}"
    assert {token: texts[token] for token in added} == {token: token for token in added}
    assert vecload.info(tmp_path, tokens="surface").words == tuple(surface[:8])
    done = vecload.convert(tmp_path, tmp_path / "v.json", tokens="surface")
    assert done.rows == len(raw)


def test_tokens_option_applies_to_models_only(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("cat 1 2\n", encoding="utf-8")
    with pytest.raises(OptionError, match=r"tokens= \(--tokens\) does not apply to text"):
        vecload.load(tmp_path / "v.txt", tokens="surface")
    with pytest.raises(OptionError, match="tokens='x' is not one of 'raw', 'surface'"):
        vecload.load(tmp_path / "v.txt", tokens="x")  # type: ignore[arg-type]


def test_weights_of_pytorch_are_read(tmp_path: Path) -> None:
    tokens = tokenizer("bpe")
    model = save_model(tmp_path, "bert", tokens, rows=tokens.get_vocab_size())
    expected = model.get_input_embeddings().weight.detach().numpy()
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    np.testing.assert_array_equal(vecload.load(tmp_path).matrix, expected)
    # A file of the folder stands for it.
    np.testing.assert_array_equal(vecload.load(tmp_path / "pytorch_model.bin").matrix, expected)
    state = {name: tensor for name, tensor in model.state_dict().items() if "word_embeddings" in name}
    torch.save(state, tmp_path / "part-1.bin", _use_new_zipfile_serialization=False)
    (tmp_path / "pytorch_model.bin").unlink()
    index = {"weight_map": {**dict.fromkeys(state, "part-1.bin"), "other.weight": "part-2.bin"}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
    np.testing.assert_array_equal(vecload.load(tmp_path).matrix, expected)


def test_single_safetensors_file_uses_the_tokenizer_beside_it(tmp_path: Path) -> None:
    tokens = tokenizer("bpe")
    size = tokens.get_vocab_size()
    model = save_model(tmp_path, "gpt2", tokens, rows=size + 3)
    expected = model.get_input_embeddings().weight.detach().numpy()[:size]
    whole = vecload.load(tmp_path / "model.safetensors")
    assert list(whole.words) == list(vecload.load(tmp_path).words)
    np.testing.assert_array_equal(whole.matrix, expected)
    (tmp_path / "model.safetensors").rename(tmp_path / "weights.safetensors")
    named = vecload.load(tmp_path / "weights.safetensors", tokens="surface")
    np.testing.assert_array_equal(named.matrix, expected)
    assert named.meta["rows without a token"] == 3
    assert "Ġ" not in "".join(named.words)
    (tmp_path / "config.json").unlink()
    with pytest.raises(FormatError, match="a matrix without words"):
        vecload.load(tmp_path / "weights.safetensors", tensor="transformer.wte.weight")
