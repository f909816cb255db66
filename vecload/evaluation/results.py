"""All figures of some vectors in one table (`evaluate`)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vecload.errors import refuse_string
from vecload.evaluation.datasets import SHIPPED, Analogies, Pairs, read
from vecload.evaluation.geometry import Geometry, geometry
from vecload.evaluation.protocols import Protocol, as_protocol
from vecload.evaluation.word_benchmarks import AnalogyScore, Similarity, analogies, similarity
from vecload.notebook import Bar, grid, table
from vecload.search import Method
from vecload.search.analogies import check_method
from vecload.vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Evaluation:
    """Result of `evaluate`; ``str()`` is a table, and `as_dict` returns values for JSON."""

    protocol: str
    similarities: tuple[Similarity, ...]
    analogies: tuple[AnalogyScore, ...]
    geometry: Geometry

    def as_dict(self) -> dict[str, Any]:
        """Return all figures, including accuracies, as plain values; NaN becomes None."""
        found = asdict(self)
        for figures, score in zip(found["analogies"], self.analogies, strict=True):
            figures["accuracy"] = score.accuracy
            for section, known in zip(figures["sections"], score.sections, strict=True):
                section["accuracy"] = known.accuracy
        # JSON has no NaN.
        for figure in found["similarities"]:
            figure.update({name: None for name in ("spearman", "pearson") if figure[name] != figure[name]})
        return found

    def __str__(self) -> str:
        return "\n\n".join(
            [f"protocol {self.protocol}", *(_table(head, [row for row, _ in rows]) for head, rows in self._tables())]
        )

    def _repr_html_(self) -> str:
        tables = []
        for (title, *columns), rows in self._tables():
            cells = [
                [first, second if share is None else Bar(share, second), *others]
                for (first, second, *others), share in rows
            ]
            tables.append(table(title, ["", *columns] if any(columns) else [], cells))
        return grid(table(f"Evaluation, protocol {self.protocol}", [], []), *tables)

    def _tables(self) -> list[tuple[tuple[str, ...], list[tuple[tuple[str, ...], float | None]]]]:
        """Return the header of each table and its rows, each with the length of its bar or None."""
        tables: list[tuple[tuple[str, ...], list[tuple[tuple[str, ...], float | None]]]] = []
        if self.similarities:
            rows: list[tuple[tuple[str, ...], float | None]] = [
                (
                    (one.dataset, f"{one.spearman:.4f}", f"{one.pearson:.4f}", f"{one.used:,} of {one.total:,}"),
                    one.spearman,
                )
                for one in self.similarities
            ]
            tables.append((("word similarity", "Spearman", "Pearson", "pairs"), rows))
        for score in self.analogies:
            sections = [*score.sections, score.total] if len(score.sections) > 1 else [score.total]
            rows = [
                (
                    (one.name, f"{100 * one.accuracy:.2f}%", f"{one.correct:,}", f"{one.used:,} of {one.total:,}"),
                    one.accuracy,
                )
                for one in sections
            ]
            tables.append(((f"{score.dataset} ({score.method})", "accuracy", "correct", "analogies"), rows))
        space = self.geometry
        shape = [
            ("rows × dimension", f"{space.rows:,} × {space.dim}"),
            ("rows of zeros, not finite", f"{space.zeros:,}, {space.nonfinite:,}"),
            ("columns of one value", f"{space.constant:,}"),
            ("norms", "{:.4g} to {:.4g}, mean {:.4g} ± {:.4g}".format(*(space.norms[at] for at in (0, 2, 1, 3)))),
            ("mean cosine of random pairs", f"{space.cosine:.4f}"),
            ("isotropy I(W)", f"{space.isotropy:.4f}"),
            ("variance in 3 directions", f"{100 * space.dominance:.1f}%"),
        ]
        tables.append((("geometry", ""), [(line, None) for line in shape]))
        return tables


def evaluate(
    vectors: Vectors,
    datasets: Iterable[str | os.PathLike[str] | Pairs | Analogies] | None = None,
    *,
    protocol: str | Protocol = "gensim",
    method: Method = "3cosadd",
    progress: bool | None = None,
) -> Evaluation:
    """Measure vectors by word similarity, analogies, norms and isotropy.

    Parameters
    ----------
    vectors
        The vectors.
    datasets
        Files of word pairs or analogies; names of the data sets that come with gensim: "wordsim353", "simlex999",
        "questions-words"; or names of data sets in the catalog, such as "MEN". None for the three of gensim.
    protocol
        Rules for missing words and letter case: "gensim", "gensim-dummy", "web", "lower", "exact", or a
        `vecload.evaluation.Protocol`.
    method
        "3cosadd" or "3cosmul".
    progress
        Whether to show a bar; None shows it if standard error is a terminal.

    Raises
    ------
    VocabularyError
        If no pair or analogy of a data set has all its words in the vectors.
    OptionError, FormatError, FileNotFoundError
        For an unknown option, or a data set that cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from vecload.evaluation import Pairs
    >>> rows = np.array([[1, 0], [1, 1], [0, 1]], dtype="float32")
    >>> judged = Pairs("three", ("cat", "cat", "dog"), ("dog", "car", "dog"), np.array([6.0, 1.0, 10.0]))
    >>> found = evaluate(Vectors(["cat", "dog", "car"], rows), [judged])
    >>> found.similarities[0].spearman
    1.0
    """
    sets = read_all(datasets, protocol=protocol, method=method)
    pairs = tuple(similarity(vectors, one, protocol=protocol) for one in sets if isinstance(one, Pairs))
    answered = tuple(
        analogies(vectors, one, protocol=protocol, method=method, progress=progress)
        for one in sets
        if isinstance(one, Analogies)
    )
    return Evaluation(
        protocol=protocol if isinstance(protocol, str) else protocol.name,
        similarities=pairs,
        analogies=answered,
        geometry=geometry(vectors),
    )


def read_all(
    datasets: Iterable[str | os.PathLike[str] | Pairs | Analogies] | None = None,
    *,
    protocol: str | Protocol = "gensim",
    method: str = "3cosadd",
) -> list[Pairs | Analogies]:
    """Check the options of `evaluate` and read its data sets, so that errors are raised before vectors are read.

    Raises
    ------
    OptionError, FormatError, FileNotFoundError
        As `evaluate` does.

    Examples
    --------
    >>> [judged.name for judged in read_all(["wordsim353"])]
    ['wordsim353']
    """
    refuse_string("datasets", datasets)
    as_protocol(protocol)
    check_method(method)
    given = SHIPPED if datasets is None else datasets
    return [one if isinstance(one, (Pairs, Analogies)) else read(one) for one in given]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as text. Columns after the first are right-aligned, except in tables of two columns."""
    lines = [head, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    align = "<<" if len(head) == 2 else "<" + ">" * (len(head) - 1)
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, align, widths, strict=True)).rstrip()
        for line in lines
    )
