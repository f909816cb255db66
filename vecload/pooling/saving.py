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
from typing import Any

import torch

from vecload.errors import FormatError, OptionError
from vecload.layers.shared import array_of
from vecload.loading import load
from vecload.pooling.modes import Mode
from vecload.pooling.module import SentencePooler
from vecload.sources import replacing
from vecload.tokenizers import Tokenizer
from vecload.vectors import Vectors

_SETTINGS, _VECTORS, _STATE = "pooler.json", "vectors.safetensors", "state.safetensors"
_FORMAT, _VERSION = "vecload-pooler", 1


def save(pooler: SentencePooler, folder: str | os.PathLike[str]) -> None:
    """Write a pooler to a new folder, which appears whole or not at all: see `SentencePooler.save`."""
    from safetensors.torch import save_file

    vectors = vectors_of(pooler)
    settings = {
        "format": _FORMAT,
        "version": _VERSION,
        "mode": {**asdict(pooler.mode), "powers": [str(power) for power in pooler.mode.powers]},
        "unknown": pooler.unknown,
        "normalize": pooler.normalize,
        "padding_idx": pooler.padding_idx,
        "unk_idx": pooler.unk_idx,
        "tokenizer": pooler.tokenizer.to_json(),
    }
    state = {name: tensor.detach().contiguous() for name, tensor in _own_state(pooler).items()}
    with replacing(folder, folder=True) as part:
        part.mkdir()
        vectors.save(part / _VECTORS)
        save_file(state, part / _STATE)
        (part / _SETTINGS).write_text(json.dumps(settings, indent=1), encoding="utf-8")


def load_pooler(folder: str | os.PathLike[str], *, tokenize: Any = None, trainable: bool = False) -> SentencePooler:
    """Open what `save` wrote; rows that are not trained stay in the file, mapped: see `SentencePooler.load`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(folder)
    if not (path / _SETTINGS).is_file():
        hint = "Name the folder that SentencePooler.save wrote."
        raise FormatError(f"no {_SETTINGS} in it, so it holds no pooler", file=os.fspath(folder), hint=hint)
    try:
        kept = json.loads((path / _SETTINGS).read_text(encoding="utf-8"))
        if (kept["format"], kept["version"]) != (_FORMAT, _VERSION):
            raise FormatError("another vecload saved it", file=os.fspath(folder), found=f"version {kept['version']}")
        powers = tuple(float(power) if "inf" in power else int(power) for power in kept["mode"]["powers"])
        mode = Mode(**{**kept["mode"], "powers": powers})
        tokenizer = Tokenizer.from_json(kept["tokenizer"], tokenize)
        vectors = load(path / _VECTORS)
        pooler = SentencePooler(vectors, mode, normalize=kept["normalize"], trainable=trainable, tokenize=tokenizer)
        pooler.unknown = kept["unknown"]
        pooler.unk_idx, pooler.padding_idx = (_row(kept[name], len(vectors)) for name in ("unk_idx", "padding_idx"))
        pooler.check()
        _restore(pooler, load_file(path / _STATE))
    except (OptionError, FormatError):
        raise
    except (SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise FormatError(f"a damaged pooler ({error})", file=os.fspath(folder)) from error
    return pooler


def _row(kept: object, rows: int) -> int | None:
    """The number of a row, which compiled code would follow anywhere."""
    if kept is None or (type(kept) is int and 0 <= kept < rows):
        return kept
    raise ValueError(f"{kept!r} is not one of its {rows:,} rows")


def _restore(pooler: SentencePooler, state: dict[str, torch.Tensor]) -> None:
    """Set buffers and query without touching the rows."""
    own = _own_state(pooler)
    if missing := own.keys() - state.keys():
        raise ValueError(f"its state lacks {', '.join(sorted(missing))}")
    with torch.no_grad():
        for name, tensor in own.items():
            if tensor.shape != state[name].shape:
                raise ValueError(f"{name} has shape {tuple(state[name].shape)}")
            tensor.copy_(state[name])


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
