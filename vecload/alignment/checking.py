"""`check`: measure how much of a vocabulary is in vectors, without making a matrix."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import IO, Any

import numpy as np

from vecload.alignment.explaining import explain_seen
from vecload.errors import OptionError, refuse_string
from vecload.oov.chain_builder import parse_chain, step_name, step_names
from vecload.oov.normalizers import find_spellings
from vecload.oov.steps import BLOCK
from vecload.provenance.coverage import Coverage, coverage_of
from vecload.provenance.origins import EXACT, PADDING, SPECIAL, special_rows
from vecload.reading import Progress, SeenWords, first_words, read_words
from vecload.vectors import Vectors
from vecload.vocab import Vocab
from vecload.words import UniqueWords

FIRST_WORDS = 20_000  # words of a file from which its spelling is judged


def check(
    vectors: Vectors | str | os.PathLike[str] | IO[bytes],
    vocab: Vocab | Sequence[str],
    *,
    oov: Sequence[Any] = (),
    limit: int | None = None,
    progress: Progress = None,
) -> Coverage:
    """Measure how much of a vocabulary is in vectors, and explain why other words are not.

    Parameters
    ----------
    vectors
        `Vectors`, or a source as for `load`, of which all words are read, without keeping rows.
    vocab
        A `Vocab`, or words.
    oov
        Steps that look for other spellings, as for `align`: the result shows how many words they find.
    limit
        As for `load`: look at the first words only. `Vectors` are used unchanged.
    progress
        As for `load`.

    Returns
    -------
    Coverage
        Its `explanation` compares all words of the vectors.

    Raises
    ------
    OptionError
        If a step of `oov` makes rows instead of looking for a spelling.

    Warns
    -----
    VecloadWarning
        For doubtful words of a file, as `load` does.

    Examples
    --------
    >>> import numpy as np
    >>> vectors = Vectors(["the", "new_york"], np.eye(2, dtype="float32"))
    >>> coverage = check(vectors, ["the", "New York"])
    >>> coverage.found, coverage.explanation.chain
    (0.5, 'oov=["casefold", "separators", "normal"]')
    >>> check(vectors, ["the", "New York"], oov=["casefold", "separators"]).found
    1.0
    """
    refuse_string("vocab", vocab)
    refuse_string("oov", oov)
    vocab = vocab if isinstance(vocab, Vocab) else Vocab.from_words(vocab)
    spellings, others = parse_chain(oov)
    if len(spellings) < len(oov):
        raise OptionError(
            f"check only looks words up, so oov must be steps for other spellings, got {step_name(others[0])!r}"
        )
    if isinstance(vectors, Vectors):
        seen = _all_words(vectors)
    else:
        seen = read_words(vectors, limit=limit, progress=progress, report_doubts=True)
    words = seen.words
    special = special_rows(vocab)
    fixed = (PADDING.name, SPECIAL.name, EXACT.name)
    names = (*step_names(spellings, taken=fixed), "not found")
    padding, special_token, exact, missing = 0, 1, 2, len(names) - 1
    origin = np.where(words.lookup(vocab.words) >= 0, exact, np.where(special, special_token, missing))
    if vocab.padding_idx is not None:
        origin[vocab.padding_idx] = padding
    requested = np.flatnonzero(origin == missing)
    for begin in range(0, len(requested), BLOCK):
        block = requested[begin : begin + BLOCK]
        hits = find_spellings(words, vocab.words.take(block), spellings)
        for at, (row, step) in zip(block.tolist(), hits, strict=True):
            if row >= 0:
                origin[at] = exact + 1 + step
    explain = partial(explain_seen, lambda: seen, names[exact + 1 :])
    return coverage_of(vocab, origin.astype(np.uint8), names, origin != missing, explain)


def seen_words(sources: Sequence[Any], *, limit: int | None = None) -> SeenWords | None:
    """Return words of the sources of `align` that can be read quickly: all of `Vectors`, the first of a file."""
    first = FIRST_WORDS if limit is None else min(FIRST_WORDS, limit)
    parts = [_all_words(source) if isinstance(source, Vectors) else first_words(source, first) for source in sources]
    complete = all(part.complete for part in parts)
    if len(parts) == 1:
        words = parts[0].words
    else:
        union = UniqueWords()
        for part in parts:
            union.add(part.words.data, part.words.offsets)
        words = union.words
    seen = SeenWords(words, complete, any(part.ngrams for part in parts))
    return seen if complete or len(words) else None


def _all_words(vectors: Vectors) -> SeenWords:
    return SeenWords(vectors.words, complete=True, ngrams=vectors.ngrams is not None)
