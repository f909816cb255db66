"""Folders of Hugging Face models: the input embedding, with one row per token.

::

    config.json
    tokenizer.json
    model.safetensors, or model.safetensors.index.json and the files (shards) that it names
    pytorch_model.bin, pytorch_model.bin.index.json   the same in older models

Only the header of the weights and the one tensor are read, mapped from the file that has it. Tables may have more rows
than the tokenizer has tokens, because their size is rounded up to a multiple; such rows are left out.

Source: transformers' ``modeling_utils.py`` (``get_input_embeddings``, sharded checkpoints).
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.attribution import read_card
from vecload.errors import FormatError
from vecload.formats.array_reader import ArrayReader
from vecload.formats.format import Format
from vecload.formats.matrices.tensors import check_matrix, choose_tensor
from vecload.formats.matrices.tokenizer_json import rows_of_tokens
from vecload.formats.matrices.word_sources import check_count
from vecload.formats.pytorch import reader as pytorch
from vecload.saved import parse_safetensors
from vecload.saved.bounded_json import parse_json
from vecload.saved.npy import map_array

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest
    from vecload.sources import Source

NAME: Final = "Hugging Face model"

_WEIGHTS: Final = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def detect_folder(path: Path) -> int:
    """Return 80 for a folder with a configuration, a tokenizer and weights. Static models are recognized before."""
    if not all((path / name).is_file() for name in ("config.json", "tokenizer.json")):
        return 0
    return 80 if any((path / name).is_file() for name in _WEIGHTS) else 0


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read the input embedding of a model, and the tokens of its tokenizer.

    Raises
    ------
    FormatError
        If the embedding is not found, has fewer rows than there are tokens, or a file is invalid.
    """
    folder = source.path
    if folder is None or not detect_folder(folder):
        raise FormatError("not a folder with config.json, tokenizer.json and weights", file=source.name)
    tensor, matrix = _embedding(folder, request.tensor)
    meta: dict[str, Any] = {"format": NAME, "tensor": tensor, **read_card(folder)}
    if request.word_list is not None:
        check_count(request.word_list, len(matrix), source.name)
        return ArrayReader(source.name, request.word_list, matrix, request, meta=meta)
    surface = request.tokens == "surface"
    words, rows, others = rows_of_tokens(matrix, folder / "tokenizer.json", f"{source.name}/{tensor}", surface=surface)
    if others:
        meta["rows without a token"] = others
    return ArrayReader(source.name, words, rows, request, meta=meta)


def _embedding(folder: Path, name: str | None) -> tuple[str, npt.NDArray[Any]]:
    """Return the name of the input embedding and its values, mapped from the file that has it."""
    weights = next(folder / one for one in _WEIGHTS if (folder / one).is_file())
    if weights.suffix != ".json":
        return _tensor(weights, name)
    try:
        shards = parse_json(weights.read_bytes())["weight_map"]
        valid = all(isinstance(part, str) for pair in shards.items() for part in pair)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"invalid index of the weights ({error})", file=str(weights)) from error
    # A name with a folder could point to any file of the system.
    if not valid or any(PurePath(shard).name != shard or shard in (".", "..") for shard in shards.values()):
        raise FormatError("invalid index of the weights", file=str(weights), expected="names of files in this folder")
    # The index has no shapes. Names that do not end in "weight" cannot be embeddings, but biases and norms.
    shapes = {one: (0, 0) for one in shards if name == one or _may_be_embedding(one)}
    chosen = choose_tensor(shapes, name, str(weights))
    file = folder / shards[chosen]
    if not file.is_file():
        raise FormatError("a file of the weights is missing", file=str(weights), found=f"no {shards[chosen]}")
    return _tensor(file, chosen)


def _may_be_embedding(name: str) -> bool:
    return any(part in name for part in ("embed", "wte", "shared"))


def _tensor(file: Path, name: str | None) -> tuple[str, npt.NDArray[Any]]:
    if file.suffix == ".bin":
        chosen, matrix = pytorch.read_tensor(file, name)
    else:
        raw = map_array(file, 0, (file.stat().st_size,), np.dtype(np.uint8), fortran=False)
        arrays = parse_safetensors(raw, str(file)).arrays
        chosen = choose_tensor({one: array.shape for one, array in arrays.items()}, name, str(file))
        matrix = arrays[chosen]
    return chosen, check_matrix(matrix, f"{file}/{chosen}")


FORMAT: Final = Format(name=NAME, detect_folder=detect_folder, read=read, read_options=("words", "tensor", "tokens"))
