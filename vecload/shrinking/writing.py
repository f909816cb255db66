"""Write the new model: its words are composed from the old model, block by block."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from vecload.arrays import row_blocks
from vecload.conversion.saving import write_table
from vecload.errors import OptionError
from vecload.formats.fasttext import binary
from vecload.formats.fasttext.layout import LOSSES, MODELS, Model
from vecload.formats.fasttext.quantized import write_quantized
from vecload.formats.history import History
from vecload.formats.outputs import choose_output
from vecload.formats.table import Batch
from vecload.ngrams import NgramTable
from vecload.shrinking.buckets import MergedRows, NgramRows, SelectedRows, ngram_blocks
from vecload.shrinking.parts import BATCH, compose, packed, project, spread
from vecload.shrinking.quantizing import SAMPLE, Quantizer, learn_quantizer
from vecload.sources import atomic_write
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Ids = npt.NDArray[np.int64]
    Singles = npt.NDArray[np.float32]

Quantize = Literal["pq", "int8"]
"""How values are stored: "pq", a byte for two values, or "int8", a byte for one."""

_WIDTHS: Final = {"pq": 2, "int8": 1}
MOST_CODES: Final = (1 << 31) - 1
"""Maximum number of codes in a ``.ftz`` file, which has it as an int32."""


class SmallModel:
    """The new model as a `vecload.formats.contract.RowStream`, computed while it is written.

    Parameters
    ----------
    model
        The old model.
    chosen
        Rows of the words to keep.
    table
        The n-gram rows of the new model.
    axes
        Axes to project on, or None.
    meta
        Source of the old model, and its license if that is known.
    """

    dtype: np.dtype[Any] = np.dtype(np.float32)
    shared = None
    ngrams: NgramTable | None = None

    def __init__(
        self,
        model: Model,
        chosen: Ids,
        table: NgramRows,
        axes: npt.NDArray[np.float32] | None,
        meta: Mapping[str, Any],
    ) -> None:
        self._model, self._chosen, self._table, self._axes = model, chosen, table, axes
        self.dim = model.arguments.dim if axes is None else axes.shape[1]
        self.rows = self.expected = len(chosen)
        bucket = len(table) if isinstance(table, MergedRows) else model.ngrams.bucket
        self._settings: dict[str, Any] = {**model.ngrams.settings, "bucket": bucket}
        self.meta: Mapping[str, Any] = {"format": binary.NAME, **meta}

    @cached_property
    def words(self) -> Words:
        """All words."""
        return Words(*packed(self._model, self._chosen))

    @cached_property
    def history(self) -> History:
        """Training arguments of the old model that are still true, and the counts of the words."""
        arguments = self._model.arguments._asdict()
        changed = {
            "model": MODELS[arguments["model"]],
            "loss": LOSSES[arguments["loss"]],
            "dim": self.dim,
            "bucket": self._settings["bucket"],
            "ntokens": self._model.tokens,
        }
        return History({**arguments, **changed}, (), self._model.counts[self._chosen])

    def batches(self) -> Iterator[Batch]:
        """Yield the vectors of the words."""
        for block in compose(self._model, self._chosen):
            yield Batch(block.data, block.offsets, project(block.vectors, self._axes).astype(self.dtype, copy=False))

    def write(
        self, target: str | os.PathLike[str], form: str, quantize: Quantize | None, *, norms: bool, seed: int
    ) -> None:
        """Write a ``.bin`` file, or vecload's own."""
        rows: Any
        if quantize is None:
            rows = np.empty((len(self._table), self.dim), dtype=np.float32)
            for at, block in self._ngram_blocks():
                rows[at] = block
        else:
            self.dtype = np.dtype(np.float16)
            quantizer = self._quantizer(None, quantize, norms=norms, seed=seed)
            rows = quantizer.empty(len(self._table))
            for at, block in self._ngram_blocks():
                quantizer.encode(block, rows[at])
        self.ngrams = NgramTable(rows, kept=self._table.kept, **self._settings)
        write_table(choose_output(target, form), self)

    def write_ftz(self, target: str | os.PathLike[str], quantize: Quantize, *, norms: bool, seed: int) -> None:
        """Write a ``.ftz`` file, whose words and n-grams share their centroids."""
        assert isinstance(self._table, SelectedRows)
        count, width = len(self._chosen), _WIDTHS[quantize]
        if (count + len(self._table)) * -(-self.dim // width) > MOST_CODES:
            raise OptionError("the model has too many rows for a .ftz file; pass smaller words=, buckets= or dim=")
        # In the current version of the format, </s> has no n-grams.
        settings = {**self._settings, "eos_ngrams": False}
        quantizer = self._quantizer(settings, quantize, norms=norms, seed=seed)
        rows = quantizer.empty(count + len(self._table))
        ngrams = rows[count:]
        for at, block in self._ngram_blocks():
            quantizer.encode(block, ngrams[at])
        # The own rows make up for the rounding of the n-grams, as far as they are not rounded themselves.
        table = NgramTable(ngrams, kept=self._table.kept, **settings)
        done = 0
        for data, offsets, vectors in self.batches():
            own = binary.own_rows(data, offsets, vectors, table)
            quantizer.encode(own, rows[done : done + len(own)])
            done += len(own)
        with atomic_write(target) as part:
            history = self.history
            assert history.counts is not None
            write_quantized(part, self.words, history.counts, rows, settings, self._table.kept, dict(history.arguments))

    def _ngram_blocks(self) -> Iterator[tuple[slice, Singles]]:
        return ((at, project(block, self._axes)) for at, block in ngram_blocks(self._table))

    def _quantizer(
        self, settings: Mapping[str, Any] | None, quantize: Quantize, *, norms: bool, seed: int
    ) -> Quantizer:
        """Learn from n-gram rows and, with the settings of the n-grams, from as many exact own rows of words."""
        most = SAMPLE if settings is None else SAMPLE // 2
        places = spread(len(self._table), most)
        chosen = self._chosen[:0] if settings is None else self._chosen[spread(len(self._chosen), most)]
        sample = np.empty((len(places) + len(chosen), self.dim), dtype=np.float32)
        for at in row_blocks(len(places), BATCH):
            sample[at] = project(self._table.take(places[at]), self._axes)
        if settings is not None:
            assert isinstance(self._table, SelectedRows)
            old = self._table.table
            exact = NgramTable(old.rows, kept=old.kept, **settings)
            rest = sample[len(places) :]
            for block in compose(self._model, chosen):
                own = binary.own_rows(block.data, block.offsets, block.vectors, exact)
                rest[block.at] = project(own, self._axes)
        return learn_quantizer(sample, _WIDTHS[quantize], norms=norms, uniform=quantize == "int8", seed=seed)
