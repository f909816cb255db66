"""Save a pooler to a folder and read it back: safetensors and JSON, no pickle.

::

    pooler.json            mode, tokenizer and the other settings
    vectors.safetensors    words, rows and n-gram table in vecload's own format: `load` reads it too
    state.safetensors      word weights, common components, the query of "attention"
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vecload.arrays import as_numpy, as_tensor
from vecload.catalog.hugging_face import POOLER as POOLER_FILES
from vecload.errors import FormatError, OptionError
from vecload.formats.history import History
from vecload.loading import load
from vecload.pooling.modes import Mode
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
    from collections.abc import Iterator

    import numpy.typing as npt

    from vecload.pooling.row_lookup import RowLookup, Unknown
    from vecload.pooling.row_pooler import RowPooler

_SETTINGS, _VECTORS, _STATE = POOLER_FILES
_LARGEST_POWER = 1000


@dataclass(frozen=True)
class SavedPooler:
    """Checked contents of a folder that `save` wrote."""

    vectors: Vectors
    mode: Mode
    normalize: bool
    unknown: Unknown
    unk_idx: int | None
    padding_idx: int | None
    tokenizer: Tokenizer
    state: dict[str, npt.NDArray[Any]]

    def restore(self, pooling: RowPooler) -> None:
        """Copy the saved buffers and the query to a pooling module, without touching its rows.

        Raises
        ------
        ValueError
            If one is missing or has another shape.
        """
        own = _own_state(pooling)
        if missing := own.keys() - self.state.keys():
            raise ValueError(f"the state lacks {', '.join(sorted(missing))}")
        with torch.no_grad():
            for name, tensor in own.items():
                saved = self.state[name]
                if tuple(tensor.shape) != saved.shape:
                    raise ValueError(f"{name} has shape {saved.shape}; expected {tuple(tensor.shape)}")
                tensor.copy_(as_tensor(saved))


def save(tokenizer: Tokenizer, lookup: RowLookup | None, pooling: RowPooler, folder: str | os.PathLike[str]) -> None:
    """Write a new folder, completely or not at all: see `SentencePooler.save`."""
    check_target(folder, folder=True)
    vectors = vectors_of(lookup, pooling)
    assert lookup is not None
    # JSON has no infinity, so powers are strings.
    settings = {
        "format": POOLER.mark,
        "version": int(POOLER.version),
        "mode": {**asdict(pooling.mode), "powers": [str(power) for power in pooling.mode.powers]},
        "unknown": lookup.unknown,
        "normalize": pooling.normalize,
        "padding_idx": pooling.padding_idx,
        "unk_idx": lookup.unk_idx,
        "tokenizer": tokenizer.to_json(),
    }
    state = {name: as_numpy(tensor) for name, tensor in _own_state(pooling).items()}
    with atomic_write(folder, folder=True) as part:
        part.mkdir()
        vectors.save(part / _VECTORS)
        with (part / _STATE).open("wb") as file:
            write_safetensors(file, state, {})
        (part / _SETTINGS).write_text(json.dumps(plain(settings), indent=1), encoding="utf-8")


def read(folder: Path, tokenize: Any) -> SavedPooler:
    """Read a folder that `save` wrote; `tokenize` replaces a tokenizer that could not be saved.

    Raises
    ------
    FormatError
        If the folder holds something else, or values out of range.
    OptionError
        If `tokenize` is needed and missing, or of another kind than the saved tokenizer.
    """
    if not (folder / _SETTINGS).is_file():
        raise other_kind(folder, POOLER)
    name = str(folder / _SETTINGS)
    kept = read_json(name, POOLER)
    check_settings(POOLER_MODE, kept["mode"], f"{name} (mode)")
    check_settings(POOLER_TOKENIZER, kept["tokenizer"], f"{name} (tokenizer)")
    # Outside of matching_parts(): an error of the `tokenize` argument is the caller's, not the file's.
    tokenizer = Tokenizer.from_json(kept["tokenizer"], tokenize)
    vectors = load(folder / _VECTORS)
    with matching_parts(folder):
        mode = Mode(**{**kept["mode"], "powers": tuple(_power(power) for power in kept["mode"]["powers"])})
        return SavedPooler(
            vectors,
            mode,
            kept["normalize"],
            kept["unknown"],
            _row(kept, "unk_idx", len(vectors)),
            _row(kept, "padding_idx", len(vectors)),
            tokenizer,
            _state(folder / _STATE, vectors, mode),
        )


@contextlib.contextmanager
def matching_parts(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Report options that contradict each other as an error of the file that they were read from."""
    try:
        yield
    except FormatError:
        raise
    except (OptionError, ValueError) as error:
        raise FormatError(f"the parts of the pooler do not match: {error}", file=os.fspath(folder)) from error


def _state(path: Path, vectors: Vectors, mode: Mode) -> dict[str, npt.NDArray[Any]]:
    """Return the saved buffers, after checking that no size in the settings exceeds what the file holds."""
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
    if not text.isdecimal() or not 1 <= int(text) <= _LARGEST_POWER:
        raise ValueError(f"power {text!r} is neither infinite nor a whole number from 1 to {_LARGEST_POWER}")
    return int(text)


def _row(kept: dict[str, Any], name: str, rows: int) -> int | None:
    """Return a row number after checking it: the kernels do not check bounds."""
    row: int | None = kept[name]
    if row is not None and row >= rows:
        raise ValueError(f"{name}={row} is not one of {rows:,} rows")
    return row


def _own_state(pooling: RowPooler) -> dict[str, torch.Tensor]:
    """Return the state dict without the rows, for which ``state_dict()`` might need a copy."""
    # Buffers that the mode does not use are not persistent, as in the state dict.
    saved = {
        name: tensor for name, tensor in pooling.named_buffers(recurse=False)
        if name not in pooling._non_persistent_buffers_set
    }  # fmt: skip
    return saved | dict(pooling.named_parameters(recurse=False))


def vectors_of(lookup: RowLookup | None, pooling: RowPooler) -> Vectors:
    """Return the rows of a pooling module as they are now, with their words.

    Raises
    ------
    OptionError
        If there are no words.
    """
    if lookup is None:
        raise OptionError("this pooler has no words: save its state_dict instead")
    # A plain layer's rows are read in place; a layer that computes its rows is asked for all of them.
    layer = pooling.embedding
    with torch.no_grad():
        every = torch.arange(pooling.num_embeddings)
        matrix = as_numpy(layer.weight if type(layer) is torch.nn.Embedding else layer(every))
    history = None if lookup.supervised is None else History(lookup.supervised.arguments)
    return Vectors(lookup.words, matrix, ngrams=lookup.ngrams, history=history)
