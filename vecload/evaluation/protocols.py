"""Protocols: which words count as equal, and how missing words are scored.

Published figures differ in these choices: the vectors of GloVe 6B 300d score .522 or .544 on WordSim-353 by them alone.
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
    """Rules by which words of a data set are looked up.

    Parameters
    ----------
    name
        Name that results show.
    missing
        Treatment of words without a row.

        - "skip": the pair or analogy does not count.
        - "zero": the vector is zeros, so a pair scores 0 and an analogy is wrong.
        - "mean": the vector is the mean of all unit vectors, and not scaled to unit length.
        - "ngrams": the vector is composed from n-grams; "skip" if that is impossible.
    case
        - "exact": words must be equal.
        - "lower": words of the data set are lower-cased.
        - "fold": words are equal if their upper-case forms are; the first row of equal words is used.
    limit
        Use only the first rows; None for all.
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
    protocol.name: protocol
    for protocol in (
        Protocol("exact"),
        Protocol("gensim", case="fold", limit=300_000),
        Protocol("gensim-dummy", missing="zero", case="fold", limit=300_000),
        Protocol("web", missing="mean"),
        Protocol("lower", case="lower"),
    )
}
"""Protocols by name.

"gensim" is the default of gensim's ``evaluate_word_pairs`` and ``evaluate_word_analogies``, "gensim-dummy" adds their
``dummy4unknown=True``, and "web" is ``evaluate_similarity`` of the word-embeddings-benchmarks package.
"""


def as_protocol(protocol: str | Protocol) -> Protocol:
    """Return a protocol, which may be given by its name.

    Raises
    ------
    OptionError
        For an unknown name.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise OptionError(f"protocol={protocol!r} is not one of {', '.join(PROTOCOLS)}, or a Protocol")
    return PROTOCOLS[protocol]


class WordLookup:
    """Lookup of words in some vectors by the rules of a protocol.

    Parameters
    ----------
    vectors
        The vectors.
    protocol
        The rules.
    """

    def __init__(self, vectors: Vectors, protocol: Protocol) -> None:
        self.vectors = vectors
        self.protocol = protocol
        self.count = min(len(vectors), protocol.limit or len(vectors))
        self.first: npt.NDArray[np.int64] = np.arange(self.count)
        """For each row, the first row whose word is equal by the case rule of the protocol."""
        self._folded: dict[str, int] = {}
        # Upper case, as gensim does; it also equates words such as "straße" and "STRASSE".
        if protocol.case == "fold":
            for row, word in zip(range(self.count), vectors.words, strict=False):
                self.first[row] = self._folded.setdefault(word.upper(), row)

    def rows(self, words: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the row number of each word, int64, shape (k,); -1 if it has no row, or one that is not finite."""
        if self.protocol.case == "fold":
            rows = np.array([self._folded.get(word.upper(), -1) for word in words], dtype=np.int64)
        else:
            asked = [word.lower() for word in words] if self.protocol.case == "lower" else words
            rows = self.vectors.words.lookup(asked)
            rows[rows >= self.count] = -1
        # A row with NaN would make every figure NaN.
        found = np.flatnonzero(rows >= 0)
        rows[found[~np.isfinite(self.vectors.norms[rows[found]])]] = -1
        return rows

    def unit_vectors(
        self, words: Sequence[str]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return unit vectors of words, their row numbers, and which words can be used.

        Returns
        -------
        values
            Unit vectors, float64, shape (k, dim). The mean vector of missing words is shorter.
        rows
            Row numbers, int64, shape (k,); -1 for words without a row.
        usable
            Whether the protocol has a vector for the word, bool, shape (k,).
        """
        rows = self.rows(words)
        found = rows >= 0
        values = np.zeros((len(words), self.vectors.dim))
        values[found] = self.vectors.rows_at(rows[found])
        usable = found.copy()
        absent = np.flatnonzero(~found)
        if self.protocol.missing in ("zero", "mean"):
            usable[:] = True
        if self.protocol.missing == "ngrams" and len(absent) and self.vectors.ngrams is not None:
            missing = [words[at] for at in absent.tolist()]
            values[absent] = self.vectors.ngrams.vectors(missing)
            usable[absent] = self.vectors.ngrams.counts(missing) > 0
        values = unit_rows(values)
        if self.protocol.missing == "mean" and len(absent):
            values[absent] = self._mean()
        return values, rows, usable

    def _mean(self) -> npt.NDArray[np.float64]:
        """Return the mean of the unit vectors of all finite rows, shape (dim,)."""
        finite = np.isfinite(self.vectors.norms[: self.count])
        total: npt.NDArray[np.float64] = np.zeros(self.vectors.dim)
        for part in row_blocks(self.count):
            total += unit_rows(self.vectors.rows_at(part)[finite[part]]).sum(axis=0)
        total /= max(1, int(finite.sum()))
        return total
