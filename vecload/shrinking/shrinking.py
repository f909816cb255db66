"""`shrink`: smaller fastText models that still compose unseen words."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from vecload.arrays import row_blocks
from vecload.catalog.resolving import resolve_source
from vecload.errors import FormatError, OptionError, as_format_errors
from vecload.formats.fasttext import binary
from vecload.formats.fasttext.layout import LOSSES, MODELS, Model
from vecload.formats.fasttext.quantized import write_quantized
from vecload.formats.history import History
from vecload.ngrams import DenseRows, NgramTable, QuantizedRows, Rows
from vecload.progress import progress_bar
from vecload.shrinking.axes import RowsOnAxes
from vecload.shrinking.buckets import check_buckets, merge_buckets, most_used
from vecload.shrinking.parts import BATCH, check_model, choose_words, compose, count_uses, principal_axes
from vecload.shrinking.quantizing import SAMPLE, Quantizer, learn_quantizer
from vecload.shrinking.report import Shrunk, measure
from vecload.sources import atomic_write, check_target, open_source
from vecload.vectors import Vectors
from vecload.words import Words, pack

if TYPE_CHECKING:
    Singles = npt.NDArray[np.float32]

Quantize = Literal["pq", "int8"]
"""How values are stored: "pq", a byte for two values, or "int8", a byte for one."""

_FORMATS: Final = {".bin": "fastText", ".ftz": "fastText", ".safetensors": "native"}
_WIDTHS: Final = {"pq": 2, "int8": 1}
_STEPS: Final = 5


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
    with resolve_source(source) as place, open_source(place) as opened:
        if not binary.detect(opened.head(1 << 16), opened.name):
            raise FormatError("not a fastText model", file=opened.name, hint="Pass a .bin or .ftz file.")
        with as_format_errors(opened.name, opened.size):
            model = binary.parse_source(opened)
        name, size = opened.name, opened.size or 0
    check_model(model, name)
    rows = choose_words(model, words, vocab)
    if dim is not None and not 1 <= dim <= model.arguments.dim:
        raise OptionError(f"dim must be 1 to {model.arguments.dim}, the number in the model, got {dim}")
    exact = suffix == ".bin"
    if buckets is not None:
        check_buckets(buckets, model.ngrams.rows.shape[0], exact=exact)
    if exact and model.ngrams.kept is not None:
        raise OptionError("the model is pruned, which a .bin file cannot store: write a .ftz or .safetensors file")
    with progress_bar(_STEPS, unit="steps", name="shrink", shown=progress) as bar:
        kept, table = _ngram_rows(model, rows, buckets, merge=exact)
        bar.advance(1)
        axes = None if dim is None else principal_axes(model, rows, table, dim)
        if axes is not None:
            table = RowsOnAxes(table, axes)
        bar.advance(1)
        settings = {**model.ngrams.settings, "bucket": table.shape[0] if exact else model.ngrams.bucket}
        vectors = np.empty((len(rows), model.arguments.dim if dim is None else dim), dtype=np.float32)
        for block in compose(model, rows):
            vectors[block.at] = block.vectors if axes is None else block.vectors @ axes
        bar.advance(1)
        small = _Small(model, rows, vectors, table, kept, settings)
        if suffix == ".ftz":
            assert quantize is not None
            small.write_ftz(target, quantize, norms=norms, seed=seed)
        else:
            small.write(target, form, quantize, norms=norms, seed=seed)
        bar.advance(1)
        measured = measure(model, rows, target, form, axes, seed) if report else {}
        bar.advance(1)
    return Shrunk(len(rows), table.shape[0], vectors.shape[1], size, Path(target).stat().st_size, **measured)


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


def _ngram_rows(
    model: Model, rows: npt.NDArray[np.int64], buckets: int | None, *, merge: bool
) -> tuple[npt.NDArray[np.int32] | None, Rows]:
    """Return the kept buckets, None if all hashes select a row, and the rows of the n-grams."""
    if buckets is None or buckets == model.ngrams.rows.shape[0]:
        return model.ngrams.kept, model.ngrams.rows
    uses = count_uses(model, rows)
    if merge:
        return None, DenseRows(merge_buckets(model.ngrams, buckets, uses))
    kept, chosen = most_used(model.ngrams, buckets, uses)
    return kept, DenseRows(chosen)


class _Small:
    """Parts of the new model: vectors of its words, rows of its n-grams, kept buckets, and settings of the n-grams."""

    def __init__(
        self,
        model: Model,
        rows: npt.NDArray[np.int64],
        vectors: Singles,
        table: Rows,
        kept: npt.NDArray[np.int32] | None,
        settings: dict[str, Any],
    ) -> None:
        self.words = Words(*pack(model.data, model.offsets[rows], model.offsets[rows + 1]))
        self.counts = model.counts[rows]
        self.vectors, self.table, self.kept, self.settings = vectors, table, kept, settings
        arguments = model.arguments._asdict()
        self.arguments = {
            **arguments,
            "model": MODELS[arguments["model"]],
            "loss": LOSSES[arguments["loss"]],
            "dim": vectors.shape[1],
            "bucket": settings["bucket"],
            "ntokens": model.tokens,
        }

    def write(
        self, target: str | os.PathLike[str], form: str, quantize: Quantize | None, *, norms: bool, seed: int
    ) -> None:
        """Write a ``.bin`` file, or vecload's own."""
        ngrams = self.table
        vectors: npt.NDArray[Any] = self.vectors
        if quantize is not None:
            sample = self.table.take(_some(self.table.shape[0], SAMPLE, seed), sparse=True)
            ngrams = _quantizer(sample, quantize, norms=norms, seed=seed).encode(_blocks(self.table))
            vectors = self.vectors.astype(np.float16)
        elif form == "native":
            # A file of tensors is written from arrays in memory.
            ngrams = DenseRows(np.concatenate(list(_blocks(self.table))))
        made = NgramTable(ngrams, kept=self.kept, **self.settings)
        history = History(self.arguments, (), self.counts)
        Vectors(self.words, vectors, {"format": "fastText"}, made, history).save(target, format=form)

    def write_ftz(self, target: str | os.PathLike[str], quantize: Quantize, *, norms: bool, seed: int) -> None:
        """Write a ``.ftz`` file, whose words and n-grams share their centroids."""
        settings = {**self.settings, "eos_ngrams": False}
        exact = NgramTable(self.table, kept=self.kept, **settings)
        own = self._own_rows(exact)
        count = self.table.shape[0]
        words_sample = own[_some(len(own), SAMPLE // 2, seed)]
        sample = np.concatenate([words_sample, self.table.take(_some(count, SAMPLE // 2, seed), sparse=True)])
        quantizer = _quantizer(sample, quantize, norms=norms, seed=seed)
        ngrams = quantizer.encode(_blocks(self.table))
        # The own rows make up for the rounding of the n-grams, as far as they are not rounded themselves.
        own = self._own_rows(NgramTable(ngrams, kept=self.kept, **settings))
        words = quantizer.encode(_blocks(DenseRows(own)))
        both = QuantizedRows(
            np.concatenate([words.codes, ngrams.codes]),
            words.centroids,
            words.width,
            np.concatenate([words.norm_codes, ngrams.norm_codes]),
            words.norm_centroids,
        )
        with atomic_write(target) as part:
            write_quantized(part, self.words, self.counts, both, settings, self.kept, self.arguments)

    def _own_rows(self, table: NgramTable) -> Singles:
        made = np.empty_like(self.vectors)
        for at in row_blocks(len(self.words), BATCH):
            some = self.words.take(np.arange(at.start, at.stop))
            made[at] = binary.own_rows(some.data, some.offsets, self.vectors[at], table)
        return made


def _some(count: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Return a sample of row numbers, in ascending order."""
    return np.sort(np.random.default_rng(seed).choice(count, min(most, count), replace=False))


def _quantizer(sample: Singles, quantize: Quantize, *, norms: bool, seed: int) -> Quantizer:
    return learn_quantizer(sample, _WIDTHS[quantize], norms=norms, uniform=quantize == "int8", seed=seed)


def _blocks(rows: Rows) -> Iterator[Singles]:
    for at in row_blocks(rows.shape[0], 4 * BATCH):
        yield rows.take(np.arange(at.start, at.stop), sparse=False)
