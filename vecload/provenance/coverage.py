"""`Coverage`: how many words of a vocabulary were found in vectors, and why others were not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.notebook import HEAD, Bar, grid, table
from vecload.provenance.explanation import Explanation
from vecload.provenance.origins import EXACT, special_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.vocab import Vocab

Missing = Sequence[tuple[str, int | None]]
"""Words that were not found with their counts, the most frequent first."""


@dataclass(frozen=True)
class Count:
    """Number of types of a vocabulary that have rows of one origin, and of their tokens (None without counts)."""

    origin: str
    types: int
    tokens: int | None


@dataclass(frozen=True)
class Coverage:
    """Coverage of a vocabulary by vectors; ``str()`` is a small table and the first line of `explanation`.

    Parameters
    ----------
    counts
        One for each origin that occurs.
    found
        Share of the types that are in the vectors under some spelling, without padding and special tokens.
    found_tokens
        The same share of the tokens; None without counts.
    """

    counts: tuple[Count, ...]
    found: float
    found_tokens: float | None
    _missing: tuple[tuple[str, int | None], ...] = field(repr=False)
    _explain: Callable[[Missing], Explanation | None] | None = field(default=None, repr=False, compare=False)

    def missing(self, k: int = 20) -> list[tuple[str, int | None]]:
        """Return the `k` most frequent words that were not found under any spelling, with their counts."""
        return list(self._missing[:k])

    @cached_property
    def explanation(self) -> Explanation | None:
        """Reasons why words were not found, and advice; None if the words of the vectors are unknown.

        Computed at the first access. After `align` with loaded `Vectors` and after `vecload.check`, all words of the
        vectors are compared. After `align` with a path, the first 20,000 words of the file, which are the most
        frequent ones in most files, are read for it. They are unknown for streams and for an `Aligned` that was saved
        and loaded.

        Examples
        --------
        >>> import numpy as np, vecload
        >>> vectors = vecload.Vectors(["the", "cat"], np.eye(2, dtype="float32"))
        >>> explanation = vecload.align(vectors, ["the", "The", "cat,", "zyzzyx"]).coverage.explanation
        >>> print(explanation.headline)
        2 of 3 words not found would be found under another spelling: case 1, punctuation 1; use oov=["strip", ...
        >>> print(explanation.reasons["The"])
        'The' is in the vectors as 'the' (case)
        """
        return None if self._explain is None else self._explain(self._missing)

    @property
    def table(self) -> str:
        """The counts as a table."""
        types = sum(count.types for count in self.counts)
        tokens = None if self.found_tokens is None else sum(count.tokens or 0 for count in self.counts)
        lines = [f"{'origin':<14}{'types':>12}{'':>8}" + ("" if tokens is None else f"{'tokens':>14}")]
        for count in (*self.counts, Count("all", types, tokens)):
            line = f"{count.origin:<14}"
            for part, whole, width in ((count.types, types, 12), (count.tokens, tokens, 14)):
                if part is not None and whole is not None:
                    line += f"{part:>{width},}" + (f"{part / whole:>8.1%}" if whole else f"{'-':>8}")
            lines.append(line)
        return "\n".join(line.rstrip() for line in lines)

    def __str__(self) -> str:
        if self._missing and self.explanation is not None and self.explanation.advice:
            return f"{self.table}\n{self.explanation.headline}"
        return self.table

    def _repr_html_(self) -> str:
        types = sum(count.types for count in self.counts) or 1
        tokens = sum(count.tokens or 0 for count in self.counts) or 1
        counted = self.found_tokens is not None
        rows = []
        for count in self.counts:
            row: list[object] = [count.origin, count.types, _bar(count.types, types)]
            rows.append([*row, count.tokens, _bar(count.tokens or 0, tokens)] if counted else row)
        head = ["origin", "types", "share", "tokens", "share"]
        caption = f"{self.found:.1%} of the types found"
        if self.found_tokens is not None:
            caption += f", {self.found_tokens:.1%} of the tokens"
        if self._missing and self.explanation is not None and self.explanation.advice:
            caption += f". {self.explanation.headline}"
        shown = table(caption, head if counted else head[:3], rows)
        if not self._missing:
            return shown
        missing = table("Most frequent words not found", [], [[word for word, _ in self.missing(HEAD)]])
        return grid(shown, missing)

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers and the explanation as plain values for JSON."""
        return {
            "found": self.found,
            "found_tokens": self.found_tokens,
            "counts": [asdict(count) for count in self.counts],
            "explanation": None if self.explanation is None else self.explanation.as_dict(),
        }

    def __getstate__(self) -> dict[str, Any]:
        # Other processes get the explanation if it was computed, but not the words of the vectors.
        return {**self.__dict__, "_explain": None}


def _bar(part: int, whole: int) -> Bar:
    return Bar(part / whole, f"{part / whole:.1%}")


def coverage_of(
    vocab: Vocab,
    origin: npt.NDArray[np.uint8],
    names: Sequence[str],
    found: npt.NDArray[np.bool_],
    explain: Callable[[Missing], Explanation | None] | None,
) -> Coverage:
    """Count where rows come from.

    Parameters
    ----------
    vocab
        The words.
    origin, names
        Code of the origin of each row, shape (n,), and the name of each code.
    found
        Whether the vectors have the word under some spelling, shape (n,). True for padding and special tokens, which
        are not counted.
    explain
        Returns why words were not found.
    """
    tokens = vocab.counts
    counts = []
    for code, name in enumerate(names):
        rows = origin == code
        if rows.any() or name == EXACT.name:
            counts.append(Count(name, int(rows.sum()), None if tokens is None else int(tokens[rows].sum())))
    ordinary = found & ~special_rows(vocab)
    missing = np.flatnonzero(~found)
    if tokens is not None:
        missing = missing[np.argsort(-tokens[missing], kind="stable")]
    return Coverage(
        tuple(counts),
        _share(ordinary, ~found, np.ones(len(found))),
        None if tokens is None else _share(ordinary, ~found, tokens),
        tuple((vocab.words[row], None if tokens is None else int(tokens[row])) for row in missing.tolist()),
        explain,
    )


def _share(found: npt.NDArray[np.bool_], absent: npt.NDArray[np.bool_], weights: npt.NDArray[np.generic]) -> float:
    whole = weights[found].sum() + weights[absent].sum()
    return float(weights[found].sum() / whole) if whole else 1.0
