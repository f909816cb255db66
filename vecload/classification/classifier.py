"""`Classifier`: labels of texts by a supervised fastText model."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import IO, Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from vecload.arrays import row_blocks
from vecload.classification.dictionary import Dictionary, open_model
from vecload.classification.engine import Engine
from vecload.classification.lines import Lines, encode_line, pack_lines
from vecload.errors import FormatError, OptionError
from vecload.formats.fasttext import layout
from vecload.progress import progress_bar
from vecload.text_input.lines import read_lines
from vecload.threads import Pool

Singles = npt.NDArray[np.float32]
R = TypeVar("R")

PREFIX: Final = "__label__"
"""fastText's default beginning of labels; a model file does not say whether another one was used."""

# Sums of fewer than a million counts stay below the numbers that the tree of hierarchical softmax has for unknown ones.
_MOST_COUNTS: Final = 10**9
_SPACES: Final = re.compile("[\0\t-\r ]+")
_LINES: Final = 1 << 12  # lines that a thread classifies at a time


class Scores(NamedTuple):
    """Result of `Classifier.test`, with precision and recall at k."""

    samples: int
    """Number of lines with words and known labels."""
    precision: float
    """Share of the predicted labels that are right."""
    recall: float
    """Share of the labels that were predicted."""


def load_classifier(source: str | os.PathLike[str] | IO[bytes], *, prefix: str = PREFIX) -> Classifier:
    """Load a supervised fastText model.

    Parameters
    ----------
    source
        A ``.bin`` or ``.ftz`` file: a path, a URL, a name from the catalog, or an open file. A plain file is mapped, so
        only the rows that texts need are read.
    prefix
        Beginning of labels in texts.

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
        return Classifier(model, opened.name, prefix)


def _tokens(line: str) -> list[str]:
    """Return the tokens of a line as fastText splits it: at ASCII white space and NUL, up to the first "</s>"."""
    tokens = _SPACES.split(line)
    return tokens[: tokens.index("</s>")] if "</s>" in tokens else tokens


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
    """

    def __init__(self, model: layout.Model, name: str, prefix: str = PREFIX) -> None:
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
        self.labels: tuple[str, ...] = tuple(model.labels)
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
        if isinstance(lines, (str, os.PathLike)):
            lines = read_lines(lines, progress=progress)
        known = {label: number for number, label in enumerate(self.labels)}
        most, least = self._at_most(k), np.float32(threshold)
        totals = np.zeros(4, dtype=np.int64)  # samples, right, predicted and given labels
        batch: list[str] = []
        given: list[list[int]] = []
        for line in lines:
            numbers = [known[token] for token in _tokens(line) if token in known]
            if numbers:
                batch.append(line)
                given.append(numbers)
            if len(batch) == _LINES:
                totals += self._hits(pack_lines(batch), given, most, least)
                batch, given = [], []
        totals += self._hits(pack_lines(batch), given, most, least)
        samples, right, predicted, wanted = totals.tolist()
        return Scores(samples, right / predicted if predicted else 0.0, right / wanted if wanted else 0.0)

    def _hits(self, lines: Lines, given: list[list[int]], k: int, threshold: np.float32) -> npt.NDArray[np.int64]:
        """Return the numbers of samples, of right, of predicted and of given labels."""
        totals = np.zeros(4, dtype=np.int64)
        labels, _, found, counts = self._engine.best(lines, k, threshold)
        # As in fastText, a line without words is not a sample.
        for row in np.flatnonzero(counts).tolist():
            predicted = labels[row, : found[row]].tolist()
            totals += (1, len({*given[row]}.intersection(predicted)), len(predicted), len(given[row]))
        return totals

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
