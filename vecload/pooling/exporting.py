"""Export a pooler as a model of sentence-transformers or model2vec, which average one row per word.

Word weights are multiplied into the rows. Common components are removed from the rows, which is the same as removing
them from the mean, because both are linear. The modes divide by different numbers, but a positive factor does not
change a normalized vector.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.errors import OptionError
from vecload.pooling.kernel_pooling import inverse_norms
from vecload.pooling.saving import vectors_of
from vecload.sources import atomic_write, check_target
from vecload.vectors import Vectors

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import numpy.typing as npt

    from vecload.pooling.row_lookup import RowLookup
    from vecload.pooling.row_pooler import RowPooler
    from vecload.tokenizers import Tokenizer

LAYOUTS = ("sentence-transformers", "model2vec")

# Modes that are a mean of rows, and modes that are a mean up to a positive factor.
_MEANS = ("mean", "sif", "usif", "fasttext")
_DIRECTIONS = ("sum", "sqrt-n", "tfidf")
_NORMALIZE = {
    "idx": 1,
    "name": "1",
    "path": "1_Normalize",
    "type": "sentence_transformers.models.Normalize",
}


def export(
    tokenizer: Tokenizer, lookup: RowLookup | None, pooling: RowPooler, folder: str | os.PathLike[str], layout: str
) -> None:
    """Write a folder that another library loads: see `SentencePooler.export`."""
    if layout not in LAYOUTS:
        raise OptionError(f"unknown layout {layout!r}; choose from: {', '.join(LAYOUTS)}")
    _check_representable(tokenizer, lookup, pooling, layout)
    pooling.check_fitted()
    check_target(folder, folder=True)
    vectors = vectors_of(lookup, pooling)
    vectors = Vectors(vectors.words, _weighted_rows(vectors.matrix, pooling))
    with atomic_write(folder, folder=True) as part:
        vectors.save(part, layout)
        if tokenizer.lowercase:
            _lowercase(part / "tokenizer.json")
        if pooling.normalize:
            _normalize(part, layout)


def _check_representable(tokenizer: Tokenizer, lookup: RowLookup | None, pooling: RowPooler, layout: str) -> None:
    """Raise `OptionError` for a pooler that is not a mean of one row per word."""
    mode, reason = pooling.mode.name, ""
    supervised = lookup is not None and lookup.supervised is not None
    if mode not in _MEANS + _DIRECTIONS or supervised:
        reason = f"mode {mode!r} is not a mean of one row per word"
    elif mode in _DIRECTIONS and not pooling.normalize:
        reason = f"mode {mode!r} does not divide by the number of words; normalize=True makes up for that"
    elif lookup is not None and lookup.unknown != "skip":
        reason = f"it skips unknown words, and has no unknown={lookup.unknown!r}"
    elif tokenizer.cut is not None:
        reason = "vecload writes a tokenizer that splits at white space, and this pooler has another one"
    if reason:
        raise OptionError(f"{layout} cannot represent this pooler: {reason}")


def _weighted_rows(matrix: npt.NDArray[Any], pooling: RowPooler) -> npt.NDArray[np.float32]:
    """Return rows whose mean has the direction of the pooled vector, float32, shape (rows, dim)."""
    # In double precision, so that rounding after each step does not add up.
    rows = matrix.astype(np.float64)
    if len(pooling.token_weights):
        rows *= pooling.token_weights.double().cpu().numpy()[:, None]
    elif pooling.mode.name == "fasttext":
        rows *= inverse_norms(rows)[:, None]
    components = pooling.components.double().cpu().numpy()
    rows -= (rows @ components.T * pooling.shares.double().cpu().numpy()) @ components
    if pooling.padding_idx is not None:
        rows[pooling.padding_idx] = 0
    return rows.astype(np.float32)


def _lowercase(path: Path) -> None:
    # The text of the file, which may list millions of words, is changed without parsing it as JSON.
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"normalizer":null', '"normalizer":{"type":"Lowercase"}', 1), encoding="utf-8")


def _normalize(folder: Path, layout: str) -> None:
    modules: list[dict[str, Any]] = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    (folder / "modules.json").write_text(json.dumps([*modules, _NORMALIZE], indent=2), encoding="utf-8")
    if layout == "model2vec":
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps({**config, "normalize": True}, indent=2), encoding="utf-8")
    else:
        (folder / "1_Normalize").mkdir()
