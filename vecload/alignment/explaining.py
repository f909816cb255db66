"""`explain`: why words of a vocabulary were not found, and what to change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vecload.alignment.causes import CAUSES, spellings
from vecload.oov.composers import COMPOSITIONS
from vecload.oov.initializers import FILLINGS
from vecload.oov.normalizers import SPELLINGS
from vecload.oov.steps import BLOCK
from vecload.provenance import Difference, Explanation, Reason

if TYPE_CHECKING:
    from vecload.alignment.causes import Cause
    from vecload.provenance.coverage import Missing
    from vecload.reading import SeenWords
    from vecload.words import Words

_SAMPLE = 5000  # words that decide which causes are possible
_EXAMPLES = 2
_MOST = 100_000  # words that are looked for under other spellings, which takes seconds


def explain_seen(seen: Callable[[], SeenWords | None], steps: Sequence[str], missing: Missing) -> Explanation | None:
    """Call `explain` with the words that `seen` returns; return None if they are unknown."""
    words = seen()
    return None if words is None else explain(missing, words, steps)


def explain(missing: Missing, seen: SeenWords, steps: Sequence[str] = ()) -> Explanation:
    """Look for missing words under other spellings.

    Parameters
    ----------
    missing
        Words that were not found, with their counts, the most frequent first.
    seen
        Words of the vectors.
    steps
        Names of the OOV steps that were tried already.
    """
    examined = missing[:_MOST]
    causes = _possible([word for word, _ in missing[:_SAMPLE]], seen.words)
    # Encodings never change ASCII words, so most words have few spellings to try.
    ascii_causes = [cause for cause in causes if not cause.group]
    paths: dict[str, tuple[Cause, ...]] = {}
    reasons: dict[str, Reason] = {}
    unexplained: list[str] = []
    groups: dict[tuple[str, ...], list[tuple[Reason, int | None]]] = defaultdict(list)
    for begin in range(0, len(examined), BLOCK):
        block = examined[begin : begin + BLOCK]
        tried = [spellings(word, ascii_causes if word.isascii() else causes) for word, _ in block]
        # One lookup for all spellings of a block; the loop below takes the rows of each word from the iterator.
        rows = iter(seen.words.lookup([spelling for some in tried for spelling, _ in some]).tolist())
        for (word, count), some in zip(block, tried, strict=True):
            # `some` is the first argument, so that `zip` takes no row of the next word.
            hits = [found for found, row in zip(some, rows, strict=False) if row >= 0]
            if not hits:
                unexplained.append(word)
                continue
            spelling, paths[word] = hits[0]
            names = tuple(cause.name for cause in paths[word])
            reasons[word] = Reason(word, spelling, names)
            groups[names].append((reasons[word], count))
    differences = [
        Difference(
            names,
            len(found),
            None if found[0][1] is None else sum(count or 0 for _, count in found),
            tuple(reason for reason, _ in found[:_EXAMPLES]),
        )
        for names, found in groups.items()
    ]
    ngrams = seen.ngrams and bool(unexplained) and "ngrams" not in steps
    used = dict.fromkeys(cause for path in paths.values() for cause in path)
    return Explanation(
        len(missing),
        len(examined),
        seen.complete,
        len(seen.words),
        tuple(sorted(differences, key=lambda one: -one.words)),
        reasons,
        _chain({*(cause.step for cause in used if cause.step), *(["ngrams"] if ngrams else [])}, steps),
        tuple(cause.remedy for cause in used if cause.step is None),
        tuple(unexplained[: 2 * _EXAMPLES]),
        ngrams,
    )


def _possible(missing: Sequence[str], there: Words) -> list[Cause]:
    """Return the causes that are possible for samples of the missing words and of the words of the vectors."""
    # Words from the whole file, because its first words are mostly ASCII and would hide its encoding.
    spread = np.linspace(0, len(there) - 1, min(len(there), _SAMPLE), dtype=np.int64)
    odd = [word for word in there.take(spread) if not word.isascii()]
    return [cause for cause in CAUSES if cause.applies(missing, odd)]


def _chain(needed: set[str], tried: Sequence[str]) -> tuple[str, ...]:
    """Return the steps that were tried and the needed ones, in the recommended order; empty if none is needed."""
    if not needed:
        return ()
    kept = [step for step in (*SPELLINGS, *COMPOSITIONS, *FILLINGS) if step in needed or step in tried]
    return (*kept, *([] if any(step in FILLINGS for step in kept) else ["normal"]))
