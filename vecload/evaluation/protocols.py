"""Protocols: what counts as the same word, and what becomes of words that are missing. Published figures differ on it.

The vectors of GloVe 6B 300d score .522 or .544 on WordSim-353 by these choices alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from vecload.arrays import row_blocks, unit_rows
from vecload.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from vecload.vectors import Vectors

Missing = Literal["skip", "zero", "mean", "ngrams"]
Case = Literal["exact", "lower", "fold"]


@dataclass(frozen=True)
class Protocol:
    """How words of a data set are looked up.

    Parameters
    ----------
    name
        What to call it beside a figure.
    missing
        What becomes of a word without a row. "skip": its pair or analogy does not count; "zero": a vector of zeros, so
        a pair scores 0 and an analogy is wrong; "mean": the mean of all vectors at norm 1, which is shorter than they;
        "ngrams": composed from n-grams, and skipped if that cannot be.
    case
        "exact"; "lower": words of the data set are lower-cased; "fold": words are equal when their upper-case forms
        are, and the first row of those that are equal stands for all.
    limit
        Only so many rows from the start are there at all; None for all.
    """

    name: str
    missing: Missing = "skip"
    case: Case = "exact"
    limit: int | None = None

    def __post_init__(self) -> None:
        for field, value, known in (("missing", self.missing, Missing), ("case", self.case, Case)):
            if value not in get_args(known):
                raise OptionError(f"{field}={value!r} is not one of {', '.join(map(repr, get_args(known)))}")


PROTOCOLS = {
    made.name: made
    for made in (
        Protocol("exact"),
        Protocol("gensim", case="fold", limit=300_000),
        Protocol("gensim-dummy", missing="zero", case="fold", limit=300_000),
        Protocol("web", missing="mean"),
        Protocol("lower", case="lower"),
    )
}
"""By name: "gensim" is the default of its ``evaluate_word_pairs`` and ``evaluate_word_analogies``, "gensim-dummy" that
with ``dummy4unknown``, "web" ``evaluate_similarity`` of the word-embeddings-benchmarks package."""


def protocol_of(protocol: str | Protocol) -> Protocol:
    """A protocol by its name, or itself.

    Raises
    ------
    OptionError
        For a name that is none.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise OptionError(f"protocol={protocol!r} is not one of {', '.join(PROTOCOLS)}, or a `Protocol` of your own")
    return PROTOCOLS[protocol]


class Lookup:
    """Words of data sets in some vectors, by a protocol."""

    def __init__(self, vectors: Vectors, protocol: Protocol) -> None:
        self.vectors = vectors
        self.protocol = protocol
        self.count = min(len(vectors), protocol.limit or len(vectors))
        self.first: npt.NDArray[np.int64] = np.arange(self.count)
        """For each row, the first whose word is the same by the protocol's case rule."""
        self._folded: dict[str, int] = {}
        if protocol.case == "fold":
            for row, word in zip(range(self.count), vectors.words, strict=False):
                self.first[row] = self._folded.setdefault(word.upper(), row)

    def rows(self, words: Sequence[str]) -> npt.NDArray[np.int64]:
        """Row numbers, int64, shape (k,); -1 where there is none, or one with NaN or infinity."""
        if self.protocol.case == "fold":
            rows = np.array([self._folded.get(word.upper(), -1) for word in words], dtype=np.int64)
        else:
            asked = [word.lower() for word in words] if self.protocol.case == "lower" else words
            rows = self.vectors.words.lookup(asked)
            rows[rows >= self.count] = -1
        there = np.flatnonzero(rows >= 0)
        rows[there[~np.isfinite(self.vectors.norms[rows[there]])]] = -1
        return rows

    def unit(
        self, words: Sequence[str]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Vectors at norm 1 (the mean is shorter), float64 (k, dim); row numbers (k,), -1 for none; which words can be
        used, bool (k,).
        """
        rows = self.rows(words)
        there = rows >= 0
        values = np.zeros((len(words), self.vectors.dim))
        values[there] = self.vectors.matrix[rows[there]]
        usable = there.copy()
        absent = np.flatnonzero(~there)
        if self.protocol.missing in ("zero", "mean"):
            usable[:] = True
        if self.protocol.missing == "ngrams" and len(absent) and self.vectors.ngrams is not None:
            lost = [words[at] for at in absent.tolist()]
            values[absent] = self.vectors.ngrams.vectors(lost)
            usable[absent] = self.vectors.ngrams.counts(lost) > 0
        values = unit_rows(values)
        if self.protocol.missing == "mean" and len(absent):
            values[absent] = self._mean()
        return values, rows, usable

    def _mean(self) -> npt.NDArray[np.float64]:
        """Mean of the rows at norm 1, those that are finite, shape (dim,)."""
        finite = np.isfinite(self.vectors.norms[: self.count])
        total: npt.NDArray[np.float64] = np.zeros(self.vectors.dim)
        for part in row_blocks(self.count):
            total += unit_rows(self.vectors.matrix[part][finite[part]]).sum(axis=0)
        total /= max(1, int(finite.sum()))
        return total
