"""Vocabularies in JSON files, and vocabularies of Hugging Face tokenizers."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vecload.saved import check_rules, check_settings, check_version
from vecload.saved.schemas import VOCAB
from vecload.vocab.specials import PADS
from vecload.words import Words


class Parts(NamedTuple):
    """Arguments of `Vocab`."""

    words: Words
    counts: npt.NDArray[np.int64] | None
    specials: tuple[str, ...]
    unk_token: str | None
    pad_token: str | None


def as_json(parts: Parts) -> bytes:
    """Return the parts of a vocabulary as a JSON file; its escapes keep words that are not valid UTF-8."""
    kept = {
        "format": VOCAB.mark,
        "version": int(VOCAB.version),
        "unk_token": parts.unk_token,
        "pad_token": parts.pad_token,
        "specials": parts.specials,
        "words": list(parts.words),
        "counts": None if parts.counts is None else parts.counts.tolist(),
    }
    return json.dumps(kept, indent=1).encode("ascii")


def is_saved(document: Any) -> bool:
    """Return whether a JSON document is one that `as_json` wrote."""
    return isinstance(document, dict) and document.get("format") == VOCAB.mark


def from_json(document: Any, name: str) -> Parts:
    """Return the parts of a vocabulary that `as_json` wrote.

    Raises
    ------
    FormatError
        If the document is of another version, or violates its schema (`vecload.saved.schemas.VOCAB`).
    VocabularyError
        If a word cannot be encoded.
    """
    check_version(str(document.get("version")), VOCAB, name)
    kept = check_settings(VOCAB.settings, document, name)
    check_rules(VOCAB, {}, kept, name)
    counts = None if kept["counts"] is None else np.array(kept["counts"], dtype=np.int64)
    return Parts(
        Words.from_strings(kept["words"]), counts, tuple(kept["specials"]), kept["unk_token"], kept["pad_token"]
    )


def from_tokenizer(tokenizer: Any) -> Parts:
    """Return the parts of the vocabulary of a ``tokenizers.Tokenizer``, or of a tokenizer of ``transformers``."""
    ids: dict[str, int] = dict(tokenizer.get_vocab())
    size = max(ids.values(), default=-1) + 1
    words = [f"<unused-{row}>" for row in range(size)]
    for token, row in ids.items():
        words[row] = token
    special = {word for row, word in enumerate(words) if ids.get(word) != row}
    if hasattr(tokenizer, "all_special_tokens"):  # transformers
        special.update(tokenizer.all_special_tokens)
        unk_token, pad_token = tokenizer.unk_token, tokenizer.pad_token
    else:
        special.update(token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special)
        unk_token = getattr(tokenizer.model, "unk_token", None)
        pad_token = (tokenizer.padding or {}).get("pad_token") or next((word for word in PADS if word in ids), None)
    specials = tuple(word for word in words if word in special)
    unk_token, pad_token = (word if word in ids else None for word in (unk_token, pad_token))
    return Parts(Words.from_strings(words), None, specials, unk_token, pad_token)
