"""`History`: facts about how vectors were made that change the results of later operations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class History:
    """History of vectors: their training, and the transforms since.

    ``Vectors.meta`` only describes the vectors. These values change results: of writers, of sentence vectors and of
    `vecload.transforms.undo`.

    Parameters
    ----------
    arguments
        Training arguments of a fastText model, with fastText's names.
    labels
        Labels of a supervised fastText model, which are not words.
    counts
        Frequency of each word in the training text, int64, shape (number of words,); None if it is unknown.
    transforms
        Linear transforms since training, the last one at the end, each with the values that reverse it.
    attr
        Attribute of a spaCy token that is looked up, such as "ORTH".

    Examples
    --------
    >>> from vecload import Vectors
    >>> from vecload.transforms import center
    >>> [step["step"] for step in center(Vectors(["cat", "dog"], [[1.0, 2.0], [3.0, 4.0]])).history.transforms]
    ['center']
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    counts: npt.NDArray[np.int64] | None = None
    transforms: tuple[Mapping[str, Any], ...] = ()
    attr: int | str | None = None

    @property
    def supervised(self) -> bool:
        """Whether the vectors are those of a supervised fastText model."""
        return self.arguments.get("model") == "supervised"

    def take(self, rows: npt.NDArray[np.int64]) -> History:
        """Return the history of some of the rows."""
        return self if self.counts is None else dataclasses.replace(self, counts=self.counts[rows])

    def without_counts(self) -> History:
        """Return the history of other words, whose frequencies are unknown."""
        return dataclasses.replace(self, counts=None)
