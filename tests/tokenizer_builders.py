"""Tokenizers of every kind, trained on a few lines of text."""

from __future__ import annotations

from functools import cache
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "The cat sat on the mat, and the dog ran after the cat's tail.",
    "A naïve café owner — she paid 1,250 € (or $1,300) for 3 cups!",
    "日本語の文章です。東京都に行く。猫が好きです。",
    "Cats and dogs run; running dogs catch cats, catching mats.",
] * 20
OTHER = [
    "The cats ran to the mats, and a dog sat.",
    "Running cats catch 25 € or $13 of café owners!",
    "東京の猫は文章が好き。",
    "dogged doggedly catlike matting",
] * 20
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDPIECE_SPECIALS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]


@cache
def tokenizer(kind: str, size: int = 420, texts: str = "first") -> Any:
    """Return a tokenizer of a kind: "bytes", "wordpiece", "unigram" or "suffix"."""
    lines = TEXTS if texts == "first" else OTHER
    if kind == "bytes":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=size, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
        )
    elif kind == "wordpiece":
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=WORDPIECE_SPECIALS, show_progress=False)
    elif kind == "unigram":
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        specials = ["<unk>", "<s>", "</s>", *BYTES]
        trainer = trainers.UnigramTrainer(
            vocab_size=size, unk_token="<unk>", special_tokens=specials, show_progress=False
        )
    else:
        made = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        made.decoder = decoders.BPEDecoder()
        trainer = trainers.BpeTrainer(
            vocab_size=size, special_tokens=["<pad>"], end_of_word_suffix="</w>", show_progress=False
        )
    made.train_from_iterator(lines, trainer)
    if kind == "unigram":
        # Byte tokens are ordinary tokens of a model with byte fallback; the trainer can only add them as special ones.
        state = json_of(made)
        state["model"]["byte_fallback"] = True
        state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] not in BYTES]
        made = from_json(state)
    if kind == "wordpiece":
        ids = {name: made.token_to_id(name) for name in ("[CLS]", "[SEP]")}
        made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=list(ids.items()))
    return made


def json_of(made: Any) -> Any:
    """Return the settings of a tokenizer."""
    import json

    return json.loads(made.to_str())


def from_json(state: Any) -> Any:
    """Return the tokenizer with settings."""
    import json

    return Tokenizer.from_str(json.dumps(state))


def wrapped(kind: str, texts: str = "first", size: int = 420) -> Any:
    """Return the tokenizer as one of transformers, with roles."""
    from transformers import PreTrainedTokenizerFast

    roles: dict[str, dict[str, str]] = {
        "bytes": {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"},
        "wordpiece": {
            "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]",
            "mask_token": "[MASK]",
        },
        "unigram": {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"},
        "suffix": {"pad_token": "<pad>"},
    }  # fmt: skip
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer(kind, size, texts), **roles[kind])
