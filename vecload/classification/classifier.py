"""`Classifier`: labels of texts by a supervised fastText model."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import IO, Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from vecload.arrays import row_blocks
from vecload.classification.dictionary import Dictionary, open_model
from vecload.classification.engine import Engine
from vecload.classification.lines import END, Lines, encode_line, pack_lines, split_tokens
from vecload.errors import FormatError, OptionError
from vecload.formats.fasttext import layout
from vecload.lazy import collection_paused
from vecload.progress import progress_bar
from vecload.text_input.lines import read_lines
from vecload.threads import Pool

Singles = npt.NDArray[np.float32]
R = TypeVar("R")

PREFIX: Final = "__label__"
"""fastText's default beginning of labels; a model file does not say whether another one was used."""

# Sums of fewer than a million counts stay below the numbers that the tree of hierarchical softmax has for unknown ones.
_MOST_COUNTS: Final = 10**9
_LINES: Final = 1 << 12  # lines that a thread classifies at a time


class LabelScores(NamedTuple):
    """Scores of one label in the result of `Classifier.test_labels`; NaN where nothing was counted."""

    precision: float
    """Share of its predictions that are right."""
    recall: float
    """Share of the lines with it for which it was predicted."""
    f1: float
    """Harmonic mean of precision and recall."""


class Scores(NamedTuple):
    """Result of `Classifier.test`, with precision and recall at k."""

    samples: int
    """Number of lines with words and known labels."""
    precision: float
    """Share of the predicted labels that are right."""
    recall: float
    """Share of the labels that were predicted."""


def load_classifier(
    source: str | os.PathLike[str] | IO[bytes], *, prefix: str = PREFIX, strip_prefix: bool = False
) -> Classifier:
    """Load a supervised fastText model.

    Parameters
    ----------
    source
        A ``.bin`` or ``.ftz`` file: a path, a URL, a name from the catalog, or an open file. A plain file is mapped, so
        only the rows that texts need are read.
    prefix
        Beginning of labels in texts.
    strip_prefix
        Whether to remove `prefix` from the names of labels, such as ``fr`` for ``__label__fr``. Texts with labels for
        `Classifier.test` still have it.

    Returns
    -------
    Classifier

    Raises
    ------
    FormatError
        If the file is damaged, is not a fastText model, or was not trained to predict labels.

    Examples
    --------
    >>> model = load_classifier("lid.176.ftz")  # doctest: +SKIP
    >>> model.predict("Où est la bibliothèque ?")  # doctest: +SKIP
    (('__label__fr',), array([0.9787...]))
    """
    with open_model(source) as (model, opened):
        return Classifier(model, opened.name, prefix, strip_prefix=strip_prefix)


class Classifier(Dictionary):
    """A supervised fastText model, made by `load_classifier`.

    Probabilities and their order are those of the official library, up to rounding in the last digits.

    Parameters
    ----------
    model
        Parts of the file.
    name
        Name of the file, for messages.
    prefix
        Beginning of labels in texts.
    strip_prefix
        Whether to remove it from the names of labels.
    """

    def __init__(self, model: layout.Model, name: str, prefix: str = PREFIX, *, strip_prefix: bool = False) -> None:
        arguments = model.arguments
        if layout.MODELS[arguments.model] != "supervised":
            raise FormatError(
                "the model was not trained to predict labels",
                file=name,
                found=layout.MODELS[arguments.model],
                expected="supervised",
                hint="vecload.load reads its vectors.",
            )
        if model.output is None or model.output.shape != (len(model.labels), arguments.dim) or not model.labels:
            found = "none" if model.output is None else "{} × {}".format(*model.output.shape)
            expected = f"{len(model.labels)} × {arguments.dim}"
            raise FormatError("no output matrix of the labels", file=name, found=found, expected=expected)
        if model.label_counts.min() < 0 or model.label_counts.max() > _MOST_COUNTS:
            raise FormatError(
                "invalid counts of labels", file=name, found=f"{model.label_counts.min()} to {model.label_counts.max()}"
            )
        super().__init__(model)
        self.name = name
        self.prefix = prefix
        self.labels = tuple(label.removeprefix(prefix) if strip_prefix else label for label in model.labels)
        """Names of the labels, the most frequent first."""
        self.label_counts = model.label_counts
        self._engine = Engine(model, prefix)

    @cached_property
    def _names(self) -> npt.NDArray[np.object_]:
        return np.array(self.labels, dtype=object)

    @property
    def loss(self) -> str:
        """Loss that the model was trained with: "softmax", "hs", "ns" or "ova"."""
        return layout.LOSSES[self._model.arguments.loss]

    def label_id(self, label: str) -> int:
        """Return the place of a label in `labels`, or -1 for an unknown label."""
        return self.labels.index(label) if label in self.labels else -1

    @property
    def output_matrix(self) -> Singles:
        """Row of each label, decoded if it is quantized: float32, shape (labels, dim)."""
        return self._engine.output

    def predict(self, texts: str | Iterable[str], k: int = 1, threshold: float = 0.0) -> Any:
        """Return the most probable labels of texts, and their probabilities, best first, as fastText does.

        Parameters
        ----------
        texts
            One text, or several. A text is one line.
        k
            Number of labels; -1 for all.
        threshold
            Smallest probability.

        Returns
        -------
        tuple
            Labels and probabilities: a tuple and an array, shape (k,), for one text; lists of both for several. They
            are empty for a text without any known word, n-gram or end of line.

        Raises
        ------
        OptionError
            If a text contains a newline, or `k` is invalid.

        Notes
        -----
        fastText adds 1e-5 to probabilities, so they can be slightly above 1. `predict_proba` does not.
        """
        most, least = self._at_most(k), np.float32(threshold)
        if isinstance(texts, str):
            labels, scores, found, _ = self._engine.best(encode_line(texts), most, least)
            count = found.item()
            names = tuple([self.labels[label] for label in labels[0, :count].tolist()])
            return names, scores[0, :count].astype(np.float64)
        listed: list[list[str]] = []
        shares: list[Singles] = []
        with collection_paused():
            for labels, scores, found, _ in self._in_blocks(
                pack_lines(texts), lambda lines: self._engine.best(lines, most, least)
            ):
                rows, values = self._names[labels[:, :most]].tolist(), list(scores[:, :most])
                for row in np.flatnonzero(found < most).tolist():
                    rows[row], values[row] = rows[row][: found[row]], values[row][: found[row]]
                listed += rows
                shares += values
        return listed, shares

    def predict_proba(self, texts: Iterable[str]) -> Singles:
        """Return the probability of every label for each text: float32, shape (n, len(labels)).

        The columns are in the order of `labels`. Rows sum to 1 for the losses "softmax" and "hs"; each label has a
        probability of its own for the others. A text without any known word, n-gram or end of line has zeros.

        Raises
        ------
        OptionError
            If a text contains a newline.
        """
        blocks = list(self._in_blocks(pack_lines(texts), self._engine.probabilities))
        return np.concatenate([np.empty((0, len(self.labels)), dtype=np.float32), *blocks])

    def encode(self, texts: Iterable[str]) -> Singles:
        """Return the hidden vector of each text, which fastText calls its sentence vector: float32, shape (n, dim)."""
        blocks = [hidden for hidden, _ in self._in_blocks(pack_lines(texts), self._engine.hidden)]
        return np.concatenate([np.empty((0, self.dim), dtype=np.float32), *blocks])

    def test(
        self,
        lines: Iterable[str] | str | os.PathLike[str],
        k: int = 1,
        threshold: float = 0.0,
        *,
        progress: bool | None = None,
    ) -> Scores:
        """Compare predictions with the labels in lines.

        Parameters
        ----------
        lines
            Lines with labels, such as ``"__label__en how are you"``, or the path of a file of them.
        k, threshold
            As for `predict`.
        progress
            Whether to show a bar; None shows it if standard error is a terminal.
        """
        samples, counts = self._hits(lines, k, threshold, progress=progress)
        right, predicted, given = counts.sum(axis=1).tolist()
        return Scores(samples, right / predicted if predicted else 0.0, right / given if given else 0.0)

    def test_labels(
        self,
        lines: Iterable[str] | str | os.PathLike[str],
        k: int = 1,
        threshold: float = 0.0,
        *,
        progress: bool | None = None,
    ) -> dict[str, LabelScores]:
        """Compare predictions with the labels in lines, and return the scores of each label.

        The parameters are those of `test`.
        """
        _, (right, predicted, given) = self._hits(lines, k, threshold, progress=progress)
        with np.errstate(invalid="ignore"):
            scores = np.array([right / predicted, right / given, 2 * right / (predicted + given)])
        return {label: LabelScores(*row) for label, row in zip(self.labels, scores.T.tolist(), strict=True)}

    def _hits(
        self, lines: Iterable[str] | str | os.PathLike[str], k: int, threshold: float, *, progress: bool | None
    ) -> tuple[int, npt.NDArray[np.int64]]:
        """Return the number of samples, and how often each label was right, predicted and given, shape (3, labels)."""
        if isinstance(lines, (str, os.PathLike)):
            lines = read_lines(lines, progress=progress)
        known = {label: number for number, label in enumerate(self._model.labels)}
        most, least = self._at_most(k), np.float32(threshold)
        samples, totals = 0, np.zeros((3, len(self.labels)), dtype=np.int64)
        tokens = ((line, itertools.takewhile(lambda token: token != END, split_tokens(line))) for line in lines)
        marked = ((line, [known[token] for token in found if token in known]) for line, found in tokens)
        with_labels = ((line, numbers) for line, numbers in marked if numbers)
        while batch := list(itertools.islice(with_labels, _LINES)):
            labels, _, found, rows = self._engine.best(pack_lines(line for line, _ in batch), most, least)
            # As in fastText, a line without words is not a sample.
            for row in np.flatnonzero(rows).tolist():
                predicted, given = labels[row, : found[row]].tolist(), batch[row][1]
                samples += 1
                totals[0, [*{*given}.intersection(predicted)]] += 1
                totals[1, predicted] += 1
                for label in given:  # the same label may be given twice
                    totals[2, label] += 1
        return samples, totals

    def _in_blocks(self, lines: Lines, work: Callable[[Lines], R]) -> Iterator[R]:
        """Yield the results of blocks of lines, computed on threads."""
        from vecload.kernels import workers

        self._engine.prepare(len(lines.starts))
        blocks = [Lines(lines.data, lines.starts[at], lines.stops[at]) for at in row_blocks(len(lines.starts), _LINES)]
        if len(blocks) < 2:
            yield from map(work, blocks)
            return
        with Pool(workers()) as pool, progress_bar(len(lines.starts), unit="texts", name="classify") as bar:
            for block, made in zip(blocks, pool.map(work, blocks), strict=True):
                yield made
                bar.advance(len(block.starts))

    def _at_most(self, k: int) -> int:
        """Return the number of labels that `k` requests.

        Raises
        ------
        OptionError
            If it is invalid.
        """
        if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or (k < 1 and k != -1):
            raise OptionError(f"k must be 1 or more, or -1 for all labels, got {k!r}")
        return len(self.labels) if k == -1 else min(int(k), len(self.labels))

    def __repr__(self) -> str:
        return f"<Classifier: {len(self.labels):,} labels, {self.loss}, {len(self._model.counts):,} words × {self.dim}>"
