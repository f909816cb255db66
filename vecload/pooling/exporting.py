"""A pooler as a model of sentence-transformers or model2vec, which average one row a word.

Word weights go into the rows. So does the removal of common components: it is linear, and the mean of rows without them
is the mean without them. What is divided by differs between modes, and falls out where results are normalised.
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

    from vecload.pooling.sentence_pooler import SentencePooler

LAYOUTS = ("sentence-transformers", "model2vec")

_MEANS = ("mean", "sif", "usif", "fasttext")
_DIRECTIONS = ("sum", "sqrt-n", "tfidf")
_NORMALIZE = {
    "idx": 1,
    "name": "1",
    "path": "1_Normalize",
    "type": "sentence_transformers.models.Normalize",
}


def export(pooler: SentencePooler, folder: str | os.PathLike[str], layout: str) -> None:
    """Write a folder that another library loads: see `SentencePooler.export`."""
    if layout not in LAYOUTS:
        raise OptionError(f"layout={layout!r} is not one of {', '.join(map(repr, LAYOUTS))}")
    _refuse(pooler, layout)
    pooler.check_fitted()
    check_target(folder, folder=True)
    vectors = Vectors(vectors_of(pooler).words, rows_of(pooler))
    with atomic_write(folder, folder=True) as part:
        vectors.save(part, layout)
        if pooler.tokenizer.lowercase:
            _lowercase(part / "tokenizer.json")
        if pooler.normalize:
            _normalize(part, layout)


def _refuse(pooler: SentencePooler, layout: str) -> None:
    """Raise for what a mean of rows cannot be."""
    mode, reason = pooler.mode.name, ""
    if mode not in _MEANS + _DIRECTIONS or pooler.trained is not None:
        reason = f"mode {mode!r} is no mean of one row a word"
    elif mode in _DIRECTIONS and not pooler.normalize:
        reason = f"mode {mode!r} divides by something else than the number of words: with normalize=True it can be"
    elif pooler.unknown != "skip":
        reason = f"it passes over words it does not know, and cannot do unknown={pooler.unknown!r}"
    elif pooler.tokenizer.cut is not None:
        reason = "vecload writes a tokenizer that cuts at white space, and this pooler has another"
    if reason:
        raise OptionError(f"{layout} cannot hold this pooler: {reason}")


def rows_of(pooler: SentencePooler) -> npt.NDArray[np.float32]:
    """The rows whose mean is what a pooler makes, but for its divisor and the length: float32, (rows, dim)."""
    rows = vectors_of(pooler).matrix.astype(np.float64)
    if len(pooler.token_weights):
        rows *= pooler.token_weights.double().cpu().numpy()[:, None]
    elif pooler.mode.name == "fasttext":
        rows *= inverse_norms(rows)[:, None]
    components = pooler.components.double().cpu().numpy()
    rows -= (rows @ components.T * pooler.shares.double().cpu().numpy()) @ components
    if pooler.padding_idx is not None:
        rows[pooler.padding_idx] = 0
    return rows.astype(np.float32)


def _lowercase(path: Path) -> None:
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
