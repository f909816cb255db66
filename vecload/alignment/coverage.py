"""`Coverage`: how much of a vocabulary a file covers, and by what."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Count:
    """How many types of a vocabulary have rows of one origin, and how many tokens they are (None: not counted)."""

    origin: str
    types: int
    tokens: int | None


@dataclass(frozen=True)
class Coverage:
    """How much of a vocabulary a file covers; ``str()`` is a small table.

    Parameters
    ----------
    counts
        One for each origin there is.
    found
        Share of the types that the file has under some spelling, padding and specials left out.
    found_tokens
        The same share of the tokens; None where nothing was counted.
    """

    counts: tuple[Count, ...]
    found: float
    found_tokens: float | None
    _missing: tuple[tuple[str, int | None], ...] = field(repr=False)

    def missing(self, k: int = 20) -> list[tuple[str, int | None]]:
        """The `k` most frequent words that the file has under no spelling, with their counts."""
        return list(self._missing[:k])

    def __str__(self) -> str:
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
