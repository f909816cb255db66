"""Write a product-quantized fastText model (``.ftz``) of word vectors.

The official tool quantizes supervised models only, but its library opens files of both kinds.
`vecload.formats.fasttext.layout` describes the layout.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.formats.fasttext.binary import head_bytes
from vecload.formats.fasttext.entries import write_entries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from vecload.ngrams import QuantizedRows
    from vecload.words import Words

_SIZES: Final = struct.Struct("<qqi")


def write_quantized(
    path: Path,
    words: Words,
    counts: npt.NDArray[np.int64],
    rows: QuantizedRows,
    settings: Mapping[str, Any],
    kept: npt.NDArray[np.int32] | None,
    arguments: Mapping[str, Any],
) -> None:
    """Write a model whose output matrix has no rows, since only training and labels need it.

    Parameters
    ----------
    path
        The file.
    words, counts
        The words and their frequencies.
    rows
        Own rows of the words, then those of the n-grams.
    settings
        "minn", "maxn" and "bucket" of the n-grams.
    kept
        Kept buckets of a pruned table: see `vecload.ngrams.NgramTable`.
    arguments
        Training arguments.
    """
    buckets = b"" if kept is None else kept.astype("<i4").tobytes()
    pruned = -1 if kept is None else len(kept)
    head = head_bytes(rows.shape[1], arguments, settings, counts, pruned=pruned)
    with path.open("wb") as file:
        file.write(head)
        file.write(write_entries(words.data, words.offsets, counts).data)
        file.write(buckets)
        file.write(struct.pack("<B", 1))
        _write_matrix(file, rows)
        file.write(struct.pack("<Bqq", 0, 0, rows.shape[1]))


def _write_matrix(file: Any, rows: QuantizedRows) -> None:
    count, dim = rows.shape
    norms = len(rows.norm_codes) > 0
    file.write(struct.pack("<B", norms))
    file.write(_SIZES.pack(count, dim, rows.codes.size))
    file.write(np.ascontiguousarray(rows.codes).data)
    _write_quantizer(file, dim, rows.width, rows.centroids)
    if norms:
        file.write(np.ascontiguousarray(rows.norm_codes).data)
        _write_quantizer(file, 1, 1, rows.norm_centroids)


def _write_quantizer(file: Any, dim: int, width: int, centroids: npt.NDArray[np.float32]) -> None:
    file.write(struct.pack("<4i", dim, -(-dim // width), width, dim % width or width))
    file.write(np.ascontiguousarray(centroids, dtype="<f4").data)
