"""Matrices in safetensors files of other libraries, whose words are in another file.

Without other words, those of a ``tokenizer.json`` in the same folder are used, if there is a ``config.json`` too.

Source: https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.attribution import attribution
from vecload.errors import FormatError
from vecload.formats.array_reader import ArrayReader
from vecload.formats.format import Format
from vecload.formats.matrices.tokenizer_json import rows_of_tokens
from vecload.formats.matrices.word_sources import requested_words
from vecload.message_text import shorten
from vecload.saved import MAX_DIM, describe_head, parse_safetensors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest
    from vecload.sources import Source

NAME: Final = "safetensors matrix"

_HEADER: Final = re.compile(rb"^.{8}\{\s*\"", re.DOTALL)
_SHOWN: Final = 20
INPUT_EMBEDDINGS: Final = (
    "embed_tokens.weight",  # Llama, Mistral, Gemma, Qwen, OPT
    "wte.weight",  # GPT-2, GPT-J, Falcon
    "shared.weight",  # T5, BART, mBART
    "word_embeddings.weight",  # BERT, RoBERTa, DistilBERT, ALBERT, BLOOM
    "embed_in.weight",  # GPT-NeoX
    "tok_embeddings.weight",  # ModernBERT and the original Llama
    "word_embedding.weight",  # XLNet
    "embeddings.weight",  # Mamba, RWKV, XLM
    "embedding.weight",
    "embeddings",
    "vectors",
)
"""Last parts of the names that Hugging Face models give to their input embedding, in the order to look for them."""


def detect(head: bytes, name: str) -> int:  # noqa: ARG001 - all formats share this signature
    """Return 60 for the header of a safetensors file, because it may be part of a folder, unless vecload wrote it."""
    return 60 if _HEADER.match(head) and describe_head(head) is None else 0


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read a matrix of the file and the words that the caller passed.

    Raises
    ------
    FormatError
        If the matrix is missing or ambiguous, or does not have one row for each word.
    """
    container = parse_safetensors(source.mapped(), source.name)
    arrays = container.arrays
    name = choose_tensor({name: array.shape for name, array in arrays.items()}, request.tensor, source.name)
    matrix = check_matrix(arrays[name], f"{source.name}/{name}")
    source.position += source.size or 0
    meta: dict[str, Any] = {"format": NAME, "tensor": name, **attribution(container.metadata)}
    tokenizer = tokenizer_beside(source)
    if request.word_list is None and tokenizer is not None:
        surface = request.tokens == "surface"
        words, rows, others = rows_of_tokens(matrix, tokenizer, source.name, surface=surface)
        if others:
            meta["rows without a token"] = others
        return ArrayReader(source.name, words, rows, request, meta=meta)
    words = requested_words(request, len(matrix), source.name)
    return ArrayReader(source.name, words, matrix, request, meta=meta)


def tokenizer_beside(source: Source) -> Path | None:
    """Return the tokenizer beside a file of a model; None if it is missing."""
    path = source.path
    if path is None or not path.is_file():
        return None
    found = path.with_name("tokenizer.json")
    return found if found.is_file() and path.with_name("config.json").is_file() else None


def choose_tensor(shapes: Mapping[str, tuple[int, ...]], name: str | None, file: str) -> str:
    """Return the name of the matrix to read: the requested one, the only one, or the input embedding of a model.

    Parameters
    ----------
    shapes
        Shape of each tensor of the file, by name.
    name
        Name that the caller passed; None to choose.
    file
        Name of the file, for error messages.

    Raises
    ------
    FormatError
        If there is no such tensor, or the choice is not clear. The error lists the candidates.
    """
    matrices = [one for one, shape in shapes.items() if len(shape) == 2]
    listed = ", ".join(f"{shorten(one)} {shapes[one]}" for one in matrices[:_SHOWN]) or "no matrix"
    listed += f" and {len(matrices) - _SHOWN:,} more" if len(matrices) > _SHOWN else ""
    hint = "Pass tensor= (--tensor) with one of these names."
    if name is not None:
        if name not in shapes:
            raise FormatError(f"no tensor {shorten(name)!r}", file=file, found=listed, hint=hint if matrices else None)
        return name
    if len(matrices) == 1:
        return matrices[0]
    for suffix in INPUT_EMBEDDINGS:
        found = [one for one in matrices if one == suffix or one.endswith(f".{suffix}")]
        # The decoder of a model with two embeddings is its output side.
        found = [one for one in found if "decoder." not in one] or found
        if len(found) == 1:
            return found[0]
    raise FormatError("several tensors, none of them known as an input embedding", file=file, found=listed, hint=hint)


def check_matrix(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return an array if it is a matrix of floating-point numbers.

    Raises
    ------
    FormatError
        If it is anything else.
    """
    # The kind of bfloat16, which NumPy does not know, is "V".
    fits = array.ndim == 2 and (array.dtype.kind == "f" or array.dtype.name == "bfloat16")
    if not fits or not 0 < array.shape[1] <= MAX_DIM:
        expected = "two dimensions of floating-point numbers"
        found = f"shape {array.shape} of {array.dtype}"
        raise FormatError("the tensor has the wrong shape or type", file=name, found=found, expected=expected)
    return np.asarray(array)


FORMAT: Final = Format(name=NAME, detect=detect, read=read, read_options=("words", "tensor", "tokens"))
