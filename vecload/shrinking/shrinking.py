"""`shrink`: smaller fastText models that still compose unseen words."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from vecload.classification.dictionary import open_model
from vecload.errors import OptionError
from vecload.progress import progress_bar
from vecload.resolving import stated_by_catalog
from vecload.shrinking.buckets import MergedRows, NgramRows, SelectedRows, check_buckets, count_rows
from vecload.shrinking.parts import check_model, choose_words, count_uses, principal_axes
from vecload.shrinking.report import Shrunk, measure
from vecload.shrinking.writing import Quantize, SmallModel
from vecload.sources import check_target

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vecload.formats.fasttext.layout import Model

_FORMATS: Final = {".bin": "fastText", ".ftz": "fastText", ".safetensors": "native"}
_STEPS: Final = 4


def shrink(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    words: int | None = None,
    buckets: int | None = None,
    dim: int | None = None,
    quantize: Quantize | None = None,
    norms: bool = False,
    vocab: Collection[str] | None = None,
    report: bool = True,
    seed: int = 0,
    progress: bool | None = None,
) -> Shrunk:
    """Write a smaller fastText model that still composes vectors of unseen words from n-grams.

    Parameters
    ----------
    source
        A model of word vectors, ``.bin`` or ``.ftz``: a path, a URL, or a name from the catalog.
    target
        File to write: ``.bin`` and ``.ftz``, which the official library opens, or vecload's own ``.safetensors``. A
        ``.ftz`` file is always quantized, and a ``.bin`` file never is.
    words
        Number of words to keep, the most frequent ones; None for all.
    buckets
        Number of rows of n-grams. In a ``.bin`` file, it has to divide the number in the model, and each row becomes
        the mean of the rows that share it, weighted by the number of words that use them. Other files keep the rows
        that most words use; n-grams without a row are skipped.
    dim
        Number of values in a vector; the principal axes of words and n-grams together are kept.
    quantize
        "pq" stores two values in a byte by product quantization, "int8" one. The default for ``.ftz`` is "pq".
    norms
        Whether to quantize the length of each row separately, as fastText's ``qnorm``.
    vocab
        Keep only these words.
    report
        Whether to compare the new model with the original one.
    seed
        Seed of the samples.
    progress
        Whether to show a bar; None shows it if standard error is a terminal.

    Returns
    -------
    Shrunk
        Sizes and, with `report`, the loss.

    Raises
    ------
    FormatError
        If the source is not a fastText model of word vectors.
    OptionError
        For options out of range or that the target cannot store. Nothing is written then.

    Notes
    -----
    The vectors of the words that are kept do not change by fewer words or buckets: the own row of each word is
    recomputed. The matrix is read from the mapped file in blocks.

    Examples
    --------
    >>> print(shrink("cc.ja.300.bin", "small.bin", words=100_000, buckets=200_000, dim=100))  # doctest: +SKIP
    """
    form = _check(target, words, quantize, norms=norms)
    suffix = Path(target).suffix.lower()
    if suffix == ".ftz" and quantize is None:
        quantize = "pq"
    check_target(target)
    with open_model(source) as (model, opened):
        name, size = opened.name, opened.size or 0
        stated = stated_by_catalog(source, opened.path)
    check_model(model, name)
    rows = choose_words(model, words, vocab)
    if dim is not None and not 1 <= dim <= model.arguments.dim:
        raise OptionError(f"dim must be 1 to {model.arguments.dim}, the number in the model, got {dim}")
    exact = suffix == ".bin"
    if exact and model.ngrams.kept is not None:
        raise OptionError("the model is pruned, which a .bin file cannot store: write a .ftz or .safetensors file")
    if buckets is not None:
        check_buckets(buckets, count_rows(model.ngrams), exact=exact)
    with progress_bar(_STEPS, unit="steps", name="shrink", shown=progress) as bar:
        table = _ngram_rows(model, rows, buckets, merge=exact)
        bar.advance(1)
        axes = None if dim is None else principal_axes(model, rows, table, dim)
        bar.advance(1)
        small = SmallModel(model, rows, table, axes, {"source": name, **stated})
        if suffix == ".ftz":
            assert quantize is not None
            small.write_ftz(target, quantize, norms=norms, seed=seed)
        else:
            small.write(target, form, quantize, norms=norms, seed=seed)
        made = len(rows), len(table), small.dim
        del small, table  # their memory is not needed for the report
        bar.advance(1)
        measured = measure(model, rows, target, form, axes, seed) if report else {}
        bar.advance(1)
    return Shrunk(*made, size, Path(target).stat().st_size, **measured)


def _check(target: str | os.PathLike[str], words: Any, quantize: Any, *, norms: bool) -> str:
    """Return the format of the target, after checking the options that need no model."""
    suffix = Path(target).suffix.lower()
    if suffix not in _FORMATS:
        raise OptionError(f"cannot infer a format from {os.fspath(target)!r}; use one of: {', '.join(_FORMATS)}")
    if words is not None and words < 1:
        raise OptionError(f"words must be 1 or more, got {words}")
    if quantize is not None and quantize not in get_args(Quantize):
        raise OptionError(f"unknown quantize {quantize!r}; choose from: {', '.join(get_args(Quantize))}")
    if suffix == ".bin" and quantize is not None:
        raise OptionError("a .bin file cannot store quantized rows: write a .ftz or .safetensors file")
    if norms and suffix != ".ftz" and quantize is None:
        raise OptionError("norms=True needs quantize=")
    return _FORMATS[suffix]


def _ngram_rows(model: Model, rows: npt.NDArray[np.int64], buckets: int | None, *, merge: bool) -> NgramRows:
    """Return the n-gram rows of the new model."""
    if buckets is None or buckets == count_rows(model.ngrams):
        return SelectedRows(model.ngrams)
    choice = MergedRows if merge else SelectedRows
    return choice(model.ngrams, buckets, count_uses(model, rows))
