"""A pooler in a folder: its vectors in vecload's own format, which opens by mapping, its state, and JSON. No pickle.

::

    pooler.json            mode, tokenizer and the rest of the settings
    vectors.safetensors    words, rows and n-gram table: `load` reads it too
    state.safetensors      word weights, common components, the query
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vecload.errors import FormatError, OptionError, as_format_errors
from vecload.layers.shared_memory import array_of
from vecload.loading import load
from vecload.pooling.modes import Mode
from vecload.pooling.sentence_pooler import SentencePooler
from vecload.saved import (
    check_settings,
    check_tensors,
    other_kind,
    parse_safetensors,
    plain,
    read_json,
    write_safetensors,
)
from vecload.saved.schemas import POOLER, POOLER_MODE, POOLER_STATE, POOLER_TOKENIZER
from vecload.sources import atomic_write, check_target
from vecload.tokenizers import Tokenizer
from vecload.vectors import Vectors

if TYPE_CHECKING:
    import numpy.typing as npt

_SETTINGS, _VECTORS, _STATE = "pooler.json", "vectors.safetensors", "state.safetensors"
_MOST_POWER = 1000


def save(pooler: SentencePooler, folder: str | os.PathLike[str]) -> None:
    """Write a pooler to a new folder, which appears whole or not at all: see `SentencePooler.save`."""
    check_target(folder, folder=True)
    vectors = vectors_of(pooler)
    settings = {
        "format": POOLER.mark,
        "version": int(POOLER.version),
        "mode": {**asdict(pooler.mode), "powers": [str(power) for power in pooler.mode.powers]},
        "unknown": pooler.unknown,
        "normalize": pooler.normalize,
        "padding_idx": pooler.padding_idx,
        "unk_idx": pooler.unk_idx,
        "tokenizer": pooler.tokenizer.to_json(),
    }
    state = {name: array_of(tensor.detach()) for name, tensor in _own_state(pooler).items()}
    with atomic_write(folder, folder=True) as part:
        part.mkdir()
        vectors.save(part / _VECTORS)
        with (part / _STATE).open("wb") as file:
            write_safetensors(file, state, {})
        (part / _SETTINGS).write_text(json.dumps(plain(settings), indent=1), encoding="utf-8")


def load_pooler(folder: str | os.PathLike[str], *, tokenize: Any = None, trainable: bool = False) -> SentencePooler:
    """Open what `save` wrote; rows that are not trained stay in the file, mapped: see `SentencePooler.load`."""
    with as_format_errors(os.fspath(folder)):
        return _load(Path(folder), tokenize, trainable=trainable)


def _load(folder: Path, tokenize: Any, *, trainable: bool) -> SentencePooler:
    if not (folder / _SETTINGS).is_file():
        raise other_kind(folder, POOLER)
    name = str(folder / _SETTINGS)
    kept = read_json(name, POOLER)
    check_settings(POOLER_MODE, kept["mode"], f"{name} (mode)")
    check_settings(POOLER_TOKENIZER, kept["tokenizer"], f"{name} (tokenizer)")
    tokenizer = Tokenizer.from_json(kept["tokenizer"], tokenize)
    vectors = load(folder / _VECTORS)
    try:
        mode = Mode(**{**kept["mode"], "powers": tuple(_power(power) for power in kept["mode"]["powers"])})
        state = _state(folder / _STATE, vectors, mode)
        pooler = SentencePooler(vectors, mode, normalize=kept["normalize"], trainable=trainable, tokenize=tokenizer)
        pooler.unknown = kept["unknown"]
        pooler.unk_idx, pooler.padding_idx = (_row(kept, name, len(vectors)) for name in ("unk_idx", "padding_idx"))
        pooler.check()
        _restore(pooler, state)
    except (OptionError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"the parts of the pooler do not fit each other: {error}", file=os.fspath(folder)) from error
    return pooler


def _state(path: Path, vectors: Vectors, mode: Mode) -> dict[str, npt.NDArray[Any]]:
    """Return the checked buffers, so that nothing is allocated that the file does not hold."""
    if not path.is_file():
        raise FormatError("missing file", file=str(path), hint="Save the pooler again.")
    arrays = parse_safetensors(np.fromfile(path, dtype=np.uint8), str(path)).arrays
    sides = check_tensors(POOLER_STATE, arrays, str(path), {"dim": vectors.dim, "components": mode.components})
    weighted = sides.get("weighted", 0)
    if weighted not in (0, len(vectors)):
        expected = f"0 or {len(vectors):,}"
        raise FormatError("invalid number of 'token_weights'", file=str(path), found=f"{weighted:,}", expected=expected)
    if mode.components and "components" not in arrays:
        raise FormatError("missing tensor 'components'", file=str(path), expected=f"{mode.components:,} rows")
    return arrays


def _power(text: str) -> float:
    if text in ("inf", "-inf"):
        return float(text)
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_POWER:
        raise ValueError(f"power {text!r} is neither infinite nor a whole number from 1 to {_MOST_POWER}")
    return int(text)


def _row(kept: dict[str, Any], name: str, rows: int) -> int | None:
    """Return the number of a row, which compiled code follows without looking."""
    row: int | None = kept[name]
    if row is not None and row >= rows:
        raise ValueError(f"{name}={row} is not one of {rows:,} rows")
    return row


def _restore(pooler: SentencePooler, state: dict[str, npt.NDArray[Any]]) -> None:
    """Set buffers and query without touching the rows."""
    own = _own_state(pooler)
    if missing := own.keys() - state.keys():
        raise ValueError(f"the state lacks {', '.join(sorted(missing))}")
    with torch.no_grad():
        for name, tensor in own.items():
            if tuple(tensor.shape) != state[name].shape:
                raise ValueError(f"{name} has shape {state[name].shape}; expected {tuple(tensor.shape)}")
            tensor.copy_(_as_tensor(state[name]))


def _own_state(pooler: SentencePooler) -> dict[str, torch.Tensor]:
    """Return what a pooler's state_dict holds beside the rows, which may be too large to copy for it."""
    kept = {
        name: tensor for name, tensor in pooler.named_buffers(recurse=False)
        if name not in pooler._non_persistent_buffers_set
    }  # fmt: skip
    return kept | dict(pooler.named_parameters(recurse=False))


def vectors_of(pooler: SentencePooler) -> Vectors:
    """The rows of a pooler with their words; those of a layer that trains are as they are now.

    Raises
    ------
    OptionError
        When it knows no words.
    """
    if pooler.words is None:
        raise OptionError("this pooler knows no words: save its state_dict instead")
    layer = pooler.embedding
    with torch.no_grad():
        every = torch.arange(pooler.num_embeddings)
        matrix = array_of(layer.weight if type(layer) is torch.nn.Embedding else layer(every))
    meta = {} if pooler.trained is None else {"args": pooler.trained}  # by which `load` knows a supervised model
    return Vectors(pooler.words, matrix, meta, pooler.ngrams)


def _as_tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    """Return a tensor of the same bits, in memory of its own."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())
