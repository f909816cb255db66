"""Folders of static embedding models for sentence-transformers and model2vec, which embed a text as a mean of rows.

::

    model.safetensors   embedding.weight (sentence-transformers) or embeddings (model2vec): shape (words + 1, dim)
    tokenizer.json      a model with one token per word, separated by white space; row 0 (zeros) is the unknown token
    modules.json, config_sentence_transformers.json or config.json, README.md

The mean of a text with unknown words differs between the libraries: sentence-transformers includes the zero row of
unknown words, model2vec does not. Both means have the same direction. Texts must be separated by white space and
spelled like the vectors. A word that contains white space has a row that no text can select. N-grams cannot be
stored.

Folders are written for the first versions of both libraries with such models (sentence-transformers 3.2, model2vec
0.3). Folders are read with any tokens, words or parts of words. In those of model2vec, rows may be int8, be shared by
several tokens (``mapping``: the row of each token) and have a weight per token (``weights``).

Sources: sentence-transformers ``models/StaticEmbedding.py``, model2vec ``persistence``, the Hugging Face *tokenizers*
format, and the safetensors format (https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.arrays import IndexedRows, numpy_dtype
from vecload.attribution import CARD, card_lines, read_card
from vecload.errors import FormatError
from vecload.formats.array_reader import ArrayReader
from vecload.formats.format import Format
from vecload.formats.matrices.tokenizer_json import read_tokens
from vecload.formats.writing.counted import CountedFile
from vecload.formats.writing.stored_rows import stored_form
from vecload.formats.writing.values import as_bytes
from vecload.formats.writing.word_policy import WordPolicy
from vecload.saved import parse_safetensors, safetensors_header
from vecload.saved.npy import check_array, map_array

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path
    from typing import IO

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest, RowStream, WriteOptions
    from vecload.sources import Source
    from vecload.words import Words

NAME: Final = "sentence-transformers"

_TENSORS: Final = {"sentence-transformers": "embedding.weight", "model2vec": "embeddings"}
_WEIGHTS: Final = "model.safetensors"
_HEAD: Final = 1 << 16  # bytes of the weights in which their tensors are named
_UNKNOWN: Final = "[UNK]"
# Bytes before the values. Enough for any number of rows, so that the header can be written again when it is known.
_HEADER: Final = 192
_README: Final = """---
library_name: {layout}
tags: [word-vectors, static-embeddings]
{stated}---
{rows:,} word vectors of {dim} values. A text's embedding is the mean of its words' rows; white space separates words.
"""


def detect_folder(path: Path) -> int:
    """Return 95 for a folder with a tokenizer and a safetensors file that has the tensor of a static model."""
    folder = _folder(path)
    if folder is None:
        return 0
    with (folder / _WEIGHTS).open("rb") as file:
        head = file.read(_HEAD)
    return 95 if any(f'"{name}"'.encode() in head for name in _TENSORS.values()) else 0


def _folder(path: Path) -> Path | None:
    for folder in (path, path / "0_StaticEmbedding"):
        if all((folder / name).is_file() for name in (_WEIGHTS, "tokenizer.json")):
            return folder
    return None


def read(source: Source, request: ReadRequest) -> ArrayReader:
    """Read the rows of the tokens, which may be words or parts of words.

    Raises
    ------
    FormatError
        If a token has no row, or a file is invalid.
    """
    folder = None if source.path is None else _folder(source.path)
    if folder is None:
        raise FormatError("not a folder with model.safetensors and tokenizer.json", file=source.name)
    tokens = read_tokens(folder / "tokenizer.json", surface=request.tokens == "surface")
    file = folder / _WEIGHTS
    raw = map_array(file, 0, (file.stat().st_size,), np.dtype(np.uint8), fortran=False)
    tensors = parse_safetensors(raw, str(file)).arrays
    matrix = next((tensors[name] for name in _TENSORS.values() if name in tensors), None)
    if matrix is None:
        expected = " or ".join(_TENSORS.values())
        raise FormatError("missing tensor of word vectors", file=str(file), found=", ".join(tensors), expected=expected)
    quantized = matrix.dtype == np.int8
    check_array(matrix, str(file), kinds="fi" if quantized else "f")
    words, numbers = tokens.words, tokens.rows
    if tokens.model == "WordLevel" and tokens.unknown is not None:  # its row is the mean of nothing
        kept = np.array([word != tokens.unknown for word in words], dtype=np.bool_)
        words, numbers = words.take(np.flatnonzero(kept)), numbers[kept]
    weights = _per_token(tensors, "weights", "f", numbers, str(file))
    mapping = _per_token(tensors, "mapping", "iu", numbers, str(file))
    if mapping is not None:
        numbers = mapping.astype(np.int64)
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(matrix):
        raise FormatError("tokens without rows", file=source.name, found=f"{len(matrix):,} rows")
    meta: dict[str, Any] = {"format": "model2vec" if "embeddings" in tensors else NAME}
    assert source.path is not None
    meta.update(read_card(source.path))
    if quantized:
        # model2vec stores no scale: it uses the whole numbers as they are.
        meta["quantized"] = "int8"
    if weights is not None:
        return ArrayReader(source.name, words, _WeightedRows(matrix, numbers, weights), request, meta=meta)
    if quantized:
        matrix = matrix.astype(np.float32)
    return ArrayReader(source.name, words, IndexedRows(matrix, numbers), request, meta=meta)


def _per_token(
    tensors: dict[str, npt.NDArray[Any]], name: str, kinds: str, numbers: npt.NDArray[np.int64], file: str
) -> npt.NDArray[Any] | None:
    """Return the values of a tensor with one value per token, for these tokens; None if there is no such tensor."""
    values = tensors.get(name)
    if values is None:
        return None
    if values.ndim != 1 or values.dtype.kind not in kinds or (len(numbers) and numbers.max() >= len(values)):
        found = f"shape {values.shape} of {values.dtype}"
        raise FormatError(f"invalid {name} of the tokens", file=file, found=found, expected="one value for each token")
    return values[numbers]


class _WeightedRows:
    """Rows of tokens as float32, multiplied by the weight of each token, made on demand."""

    def __init__(self, matrix: npt.NDArray[Any], rows: npt.NDArray[np.int64], weights: npt.NDArray[Any]) -> None:
        self._matrix = matrix
        self._rows = rows
        self._weights = weights
        self.shape = len(rows), matrix.shape[1]
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, at: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        # In the types of the file, as model2vec multiplies.
        rows: npt.NDArray[Any] = self._matrix[self._rows[at]] * self._weights[at][:, None]
        return rows.astype(np.float32, copy=False)


def write(path: Path, table: RowStream, options: WriteOptions) -> Counter[str]:
    """Write a folder that ``SentenceTransformer(path)`` or ``StaticModel.from_pretrained(path)`` loads.

    Parameters
    ----------
    path
        The folder to create.
    table
        Words and vectors. bfloat16 becomes float32.
    options
        The alias "model2vec" selects that layout. `unencodable` applies to words that are not UTF-8 and to the empty
        word, which cannot be escaped.
    """
    layout = "model2vec" if options.alias == "model2vec" else "sentence-transformers"
    path.mkdir(exist_ok=True)
    policy = WordPolicy(layout, b"", options.unencodable, utf8=True)
    dtype = numpy_dtype(table.dtype)
    seen = 1
    # sentence-transformers gives each token a row of its own.
    form = stored_form(table) if layout == "model2vec" else None
    kept = None if form is None else policy.apply(form.batch)
    # The row of each token; the first is the unknown token. It is before the matrix, so that both are aligned.
    mapping = np.empty(0, dtype=np.int64) if kept is None else np.concatenate([[0], 1 + kept.rows])

    def header(rows: int) -> bytes:
        shapes = {} if kept is None else {"mapping": (mapping.dtype, mapping.shape)}
        return safetensors_header({**shapes, _TENSORS[layout]: (dtype, (rows, table.dim))}, {}, page=_HEADER)

    unknown = _UNKNOWN
    with (
        CountedFile(path / _WEIGHTS, table.expected + 1, header) as file,
        (path / "tokenizer.json").open("wb") as tokenizer,
    ):
        # The JSON is written in pieces, as the batches arrive: a dict of millions of words would take gigabytes.
        tokenizer.write(b'{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,')
        tokenizer.write(b'"pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,')
        tokenizer.write(b'"model":{"type":"WordLevel","vocab":{')
        file.write(as_bytes(mapping), 0)
        file.write(np.zeros(table.dim * dtype.itemsize, dtype=np.uint8), 1)
        for batch in map(policy.apply, table.batches()) if form is None else form.rows.batches():
            rows = batch.rows.astype(dtype.newbyteorder("<"), copy=False)
            file.write(as_bytes(rows), len(rows))
            if form is None:
                _write_words(tokenizer, batch.words, seen)
                seen += len(rows)
        if kept is not None:
            _write_words(tokenizer, kept.words, seen)
            seen += len(kept.rows)
        # The unknown token must not be a word of the table, which would lose its row.
        while unknown in table.words:
            unknown = f"[{unknown}]"
        tokenizer.write(f'{json.dumps(unknown)}:0}},"unk_token":{json.dumps(unknown)}}}}}'.encode())
    settings = _settings(layout, table.dim, dtype)
    if form is not None:
        settings["config.json"]["vocabulary_quantization"] = form.rows.rows + 1
    for name, content in settings.items():
        (path / name).write_text(json.dumps(content, indent=2), encoding="utf-8")
    card = _README.format(layout=layout, rows=seen - 1, dim=table.dim, stated=card_lines(table.meta))
    (path / CARD).write_text(card, encoding="utf-8")
    return policy.dropped


def _write_words(file: IO[bytes], words: Words, first: int) -> None:
    """Write words as entries of a JSON object, numbered from `first`."""
    lines = (f"{json.dumps(word, ensure_ascii=False)}:{at},\n" for at, word in enumerate(words, first))
    file.write("".join(lines).encode())


def _settings(layout: str, dim: int, dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the contents of the JSON files other than the tokenizer, by name."""
    kind = "sentence_transformers.models.StaticEmbedding"
    if layout == "model2vec":
        config = {
            "model_type": "model2vec",
            "architectures": ["StaticModel"],
            "hidden_dim": dim,
            "seq_length": 1_000_000,
            "max_length": None,
            "normalize": False,
            "embedding_dtype": dtype.name,
        }
        return {"modules.json": [{"idx": 0, "name": "0", "path": ".", "type": kind}], "config.json": config}
    config = {
        "model_type": "SentenceTransformer",
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": "cosine",
    }
    return {
        "modules.json": [{"idx": 0, "name": "0", "path": "", "type": kind}],
        "config_sentence_transformers.json": config,
    }


FORMAT: Final = Format(
    name=NAME,
    aliases=("StaticEmbedding", "model2vec"),
    detect_folder=detect_folder,
    read=read,
    write=write,
    writes_folder=True,
    options=("unencodable",),
    read_options=("tokens",),
)
