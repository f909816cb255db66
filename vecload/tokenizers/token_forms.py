"""`TokenForms`: the tokens of a Hugging Face tokenizer by id, as text, with the roles of special tokens."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.errors import FormatError, OptionError, require
from vecload.saved import parse_json
from vecload.tokenizers.surfaces import Spelling, spelling_of, surface_forms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

ROLES: Final = ("bos", "eos", "cls", "sep", "mask", "unk", "pad")
"""Roles of special tokens, with the names of *transformers*."""

# The *tokenizers* library does not store roles, so a tokenizer without a configuration is searched for these.
_USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "bos": ("<s>", "<bos>", "<|begin_of_text|>", "[BOS]", "<|startoftext|>"),
    "eos": ("</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>", "[EOS]"),
    "cls": ("[CLS]", "<cls>"),
    "sep": ("[SEP]", "<sep>"),
    "mask": ("[MASK]", "<mask>"),
    "unk": ("[UNK]", "<unk>"),
    "pad": ("[PAD]", "<pad>", "<|pad|>"),
}
_CONFIGURATIONS: Final = ("special_tokens_map.json", "tokenizer_config.json")
_BYTE_TOKEN: Final = re.compile(r"<0x([0-9A-F]{2})>")
_NOT_ASCII: Final = 0x80
# BERT's pre-tokenizer separates the characters of these blocks like punctuation (``is_chinese_char``).
_IDEOGRAPHS: Final = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FA1F))


@dataclass(frozen=True, eq=False)
class TokenForms:
    """Tokens of a tokenizer in canonical form, which tokens of different tokenizers share if they mean the same text.

    Parameters
    ----------
    backend
        The ``tokenizers.Tokenizer``.
    spelling
        Rule by which it spells tokens.
    tokens
        Tokens by id, as they are spelled; None for ids without a token.
    texts
        Canonical form of each: its text, with a space at the beginning if the token begins a word. It is bytes, since
        a token need not be whole characters.
    roles
        Id of the special token of each role in `ROLES` that the tokenizer has.
    added
        Ids of special and other added tokens.
    special
        Ids of special tokens.

    Notes
    -----
    Byte tokens of SentencePiece (``<0xC3>``) have the byte as their form if it is not ASCII, as in byte-level BPE.
    Byte tokens of ASCII characters are unchanged, because SentencePiece has other tokens for these characters.
    """

    backend: Any
    spelling: Spelling
    tokens: Sequence[str | None]
    texts: Sequence[bytes | None]
    roles: Mapping[str, int]
    added: frozenset[int]
    special: frozenset[int]

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def ids(self) -> npt.NDArray[np.int64]:
        """Ids that have a token, in ascending order."""
        return np.flatnonzero([token is not None for token in self.tokens])

    def name(self, row: int) -> str:
        """Return a token as it is spelled, for messages and as a key of random numbers."""
        token = self.tokens[row]
        return f"<row {row}>" if token is None else token


def token_forms(tokenizer: Any, argument: str = "tokenizer") -> TokenForms:
    """Return the tokens of a tokenizer.

    Parameters
    ----------
    tokenizer
        A ``tokenizers.Tokenizer``, a tokenizer of *transformers* that is based on one, a folder with
        ``tokenizer.json``, or that file.
    argument
        Name of the argument, for messages.

    Raises
    ------
    OptionError
        If it is anything else.
    FormatError
        If the file is damaged.
    MissingDependencyError
        If the *tokenizers* library is not installed.
    """
    if isinstance(tokenizer, TokenForms):
        return tokenizer
    if isinstance(tokenizer, (str, os.PathLike)):
        backend, roles = _read(Path(tokenizer), argument)
    else:
        backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        if not (hasattr(backend, "to_str") and hasattr(backend, "encode_batch")):
            raise OptionError(
                f"{argument} must be a tokenizer of tokenizers or transformers (a fast one) or a folder with "
                f"tokenizer.json, got {type(tokenizer).__name__}"
            )
        found = {role: getattr(tokenizer, f"{role}_token_id", None) for role in ROLES}
        roles = {role: row for role, row in found.items() if row is not None}
    document = json.loads(backend.to_str())
    numbers: dict[str, int] = backend.get_vocab(with_added_tokens=True)
    tokens: list[str | None] = [None] * (max(numbers.values(), default=-1) + 1)
    for token, row in numbers.items():
        tokens[row] = token
    entries = document.get("added_tokens") or ()
    added = frozenset(int(entry["id"]) for entry in entries)
    special = frozenset(int(entry["id"]) for entry in entries if entry.get("special"))
    spelling = spelling_of(document)
    listed = [token for token in tokens if token is not None]
    forms = iter(surface_forms(document, listed))
    texts = [None if token is None else _canonical(token, next(forms), spelling) for token in tokens]
    if not roles and backend is tokenizer:
        roles = _usual_roles({token: row for token, row in numbers.items() if row in added})
    return TokenForms(backend, spelling, tokens, texts, roles, added, special | frozenset(roles.values()))


def _canonical(token: str, text: bytes, spelling: Spelling) -> bytes:
    byte = _BYTE_TOKEN.fullmatch(token)
    if byte is not None and int(byte[1], 16) >= _NOT_ASCII:
        return bytes([int(byte[1], 16)])
    if spelling.kind == "wordpiece" and text.startswith(b" "):
        # BERT's pre-tokenizer splits at every one of these characters, so their tokens begin a "word" anywhere.
        body = text[1:].decode("utf-8", "surrogateescape")
        if body and all(_always_separate(one) for one in body):
            return text[1:]
    return text


def _always_separate(character: str) -> bool:
    if any(first <= ord(character) <= last for first, last in _IDEOGRAPHS):
        return True
    return unicodedata.category(character)[0] in "PS"


def _read(path: Path, argument: str) -> tuple[Any, dict[str, int]]:
    """Return the tokenizer in a folder, or of a file, and the ids of its roles."""
    folder, file = (path, path / "tokenizer.json") if path.is_dir() else (path.parent, path)
    if not file.is_file():
        raise OptionError(
            f"{argument}: {file} does not exist; pass a folder with tokenizer.json, or a tokenizer of transformers, "
            "such as AutoTokenizer.from_pretrained(name)"
        )
    library = require("tokenizers", "tokenizers")
    try:
        backend = library.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain Exception
        raise FormatError(f"invalid tokenizer ({str(error)[:200]})", file=str(file)) from error
    numbers: dict[str, int] = backend.get_vocab(with_added_tokens=True)
    names: dict[str, str] = {}
    for name in _CONFIGURATIONS:
        document = _configuration(folder / name)
        for role in ROLES:
            given = document.get(f"{role}_token")
            content = given.get("content") if isinstance(given, dict) else given
            if isinstance(content, str):
                names[role] = content
    roles = {role: numbers[token] for role, token in names.items() if token in numbers}
    if not names:
        special = {token.content: row for row, token in backend.get_added_tokens_decoder().items()}
        roles = _usual_roles(special)
    return backend, roles


def _configuration(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        document = parse_json(path.read_bytes())
    except ValueError as error:
        raise FormatError(f"invalid JSON ({error})", file=str(path)) from error
    return document if isinstance(document, dict) else {}


def _usual_roles(special: Mapping[str, int]) -> dict[str, int]:
    """Return the ids of special tokens with a usual spelling, by role."""
    found = {role: [special[name] for name in names if name in special] for role, names in _USUAL.items()}
    return {role: rows[0] for role, rows in found.items() if rows}
