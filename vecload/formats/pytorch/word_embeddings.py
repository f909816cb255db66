"""Folders of sentence-transformers' ``WordEmbeddings``: one row per word, and a pooling module.

::

    modules.json                          the folder of each module: "" or "0_WordEmbeddings"
    whitespacetokenizer_config.json       the words, in row order
    model.safetensors, pytorch_model.bin  the tensor emb_layer.weight
    1_Pooling/config.json                 how rows are pooled, noted in ``meta``

Source: sentence-transformers' ``WordEmbeddings``, ``WhitespaceTokenizer`` and ``Pooling``.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from vecload.errors import FormatError, VocabularyError
from vecload.formats.format import Format
from vecload.formats.matrices import tensors
from vecload.formats.pytorch import reader as pytorch
from vecload.saved.bounded_json import parse_json
from vecload.sources import Source
from vecload.words import Words

if TYPE_CHECKING:
    from pathlib import Path

    from vecload.formats.array_reader import ArrayReader
    from vecload.formats.contract import ReadRequest

NAME: Final = "WordEmbeddings"

_TOKENIZER: Final = "whitespacetokenizer_config.json"
_TENSOR: Final = "emb_layer.weight"
_WEIGHTS: Final = {"model.safetensors": tensors.read, "pytorch_model.bin": pytorch.read}
_POOLING: Final = "1_Pooling"


def detect_folder(path: Path) -> int:
    """Return 95 for a folder with the words and the weights, or with a module that has them."""
    return 95 if _folder(path) is not None else 0


def _folder(path: Path) -> Path | None:
    for folder in (path, path / "0_WordEmbeddings"):
        if (folder / _TOKENIZER).is_file() and any((folder / name).is_file() for name in _WEIGHTS):
            return folder
    return None


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read the words and their rows.

    Raises
    ------
    FormatError
        If a file is missing or invalid.
    """
    folder = None if source.path is None else _folder(source.path)
    if folder is None or source.path is None:
        raise FormatError(f"not a folder with {_TOKENIZER} and weights", file=source.name)
    settings = _json(folder / _TOKENIZER)
    try:
        words = Words.from_strings(settings["vocab"])
    except (KeyError, TypeError, VocabularyError) as error:
        raise FormatError(f"invalid list of words ({error})", file=str(folder / _TOKENIZER)) from error
    name = next(name for name in _WEIGHTS if (folder / name).is_file())
    file = folder / name
    weights = Source(source.name, lambda _count: b"", size=file.stat().st_size, path=file)
    found = _WEIGHTS[name](weights, dataclasses.replace(request, word_list=words, tensor=request.tensor or _TENSOR))
    meta: dict[str, Any] = {"format": NAME}
    if settings.get("do_lower_case") is True:
        meta["lowercase"] = True
    pooling = source.path / _POOLING / "config.json"
    if pooling.is_file():
        meta["pooling"] = _pooling_mode(_json(pooling))
    if any(str(module.get("type", "")).endswith("Normalize") for module in _modules(source.path)):
        meta["normalize"] = True
    return found.with_meta(meta)


def _json(path: Path) -> dict[str, Any]:
    try:
        document = parse_json(path.read_bytes())
    except ValueError as error:
        raise FormatError(f"invalid JSON ({error})", file=str(path)) from error
    if not isinstance(document, dict):
        raise FormatError("invalid JSON", file=str(path), expected="an object")
    return document


def _modules(folder: Path) -> list[dict[str, Any]]:
    path = folder / "modules.json"
    if not path.is_file():
        return []
    try:
        listed = parse_json(path.read_bytes())
    except ValueError as error:
        raise FormatError(f"invalid JSON ({error})", file=str(path)) from error
    return [module for module in listed if isinstance(module, dict)] if isinstance(listed, list) else []


def _pooling_mode(config: dict[str, Any]) -> str:
    """Return the mode of a pooling module: its name, or the flags of older versions."""
    flags = [name.removeprefix("pooling_mode_") for name, value in config.items() if value is True]
    return str(config.get("pooling_mode") or ", ".join(flag for flag in flags if "include" not in flag))


FORMAT: Final = Format(name=NAME, detect_folder=detect_folder, read=read, read_options=("tensor",))
