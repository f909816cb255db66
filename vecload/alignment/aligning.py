"""`align`: rows for a vocabulary, from one source or several, and from an OOV chain for the words they lack."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from vecload.alignment.aligned import Aligned, is_float
from vecload.alignment.checking import seen_words
from vecload.alignment.file_lookup import FileLookup
from vecload.attribution import joint_license
from vecload.errors import OptionError, refuse_string
from vecload.loading import load_rows
from vecload.oov.chain_builder import make_rows, parse_chain, step_names
from vecload.oov.normalizers import respellings
from vecload.oov.steps import Composition, Filling, Found, Spelling
from vecload.provenance.origins import EXACT, PADDING, SPECIAL, Origin, rows_of_kind, special_rows
from vecload.reading import DType, Errors, Progress, make_request, warn_few_found
from vecload.vectors import Vectors
from vecload.vocab import Vocab

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from vecload.formats.contract import ReadRequest
    from vecload.provenance import Coverage

Source = Vectors | str | os.PathLike[str] | IO[bytes]
Combine = Literal["first", "average", "concatenate"]

# If fewer words are found or composed, something is probably wrong with the vocabulary or the choice of vectors.
_FEW = 0.05


def align(
    vectors: Source | Sequence[Source],
    vocab: Vocab | Sequence[str],
    *,
    combine: Combine | None = None,
    oov: Sequence[Any] = ("normal",),
    seed: int = 0,
    limit: int | None = None,
    dtype: DType | None = None,
    errors: Errors = "raise",
    progress: Progress = None,
) -> Aligned:
    """Put the rows of `vectors` in the order of a vocabulary, and make rows for missing words.

    Parameters
    ----------
    vectors
        `Vectors`, a source as for `load`, or several of them in a list. From a source, `align` reads only the rows of
        the vocabulary and of the spellings and parts that `oov` needs.
    vocab
        A `Vocab`, or words.
    combine
        How several sources are combined. "first" takes the row of the first source with the word; each step is tried in
        all sources before the next step, so the exact word in the second source is preferred to another spelling in the
        first. "average" takes the mean over all sources with the word, each under its own first spelling. "concatenate"
        puts the rows of all sources side by side; a source that lacks the word contributes a row of the chain. The
        origin of a word is then the best of its origins. So a word counts as found if one source has it, and
        ``mode="new-rows"`` freezes its whole row.
    oov
        Steps to try for a word that the vectors do not have; the first step that returns a row wins. "nfc", "nfkc",
        "strip" (remove punctuation around the word), "casefold" (lower, title, upper case), "separators" (``_``,
        ``-``, space or nothing between parts), "digits" (each as ``#``, then as ``0``), "nfd" and "aliases:FILE" (see
        `vecload.oov.aliases`) look for another spelling, each starting from the spellings of earlier steps. "ngrams"
        (the n-gram table of the vectors) and "mean-of-parts" compose a row. "normal", "uniform" (matched to the found
        rows), "xavier", "kaiming", "zeros" and "mean" make one. `vecload.oov` has them with arguments, and more. A
        function ``(words, dim, rng) -> rows`` can return NaN to leave a word to the next step. Words that no step makes
        a row for get zeros.
    seed
        Seed of random rows, any integer. Each number depends only on the seed, the word and the column.
    limit, dtype, errors
        As for `load`, for each source that is read; `Vectors` are used unchanged.
    progress
        As for `load`.

    Returns
    -------
    Aligned
        The padding row is zero. Other special tokens are looked up without the spellings of the chain, and made by
        the last step if they are missing. The matrix has the type of the vectors.

    Warns
    -----
    VecloadWarning
        If less than 5 % of the words are found or composed; it names the probable cause, and shows words of both sides.

    Raises
    ------
    OptionError
        For an invalid chain, or sources that cannot be combined.

    Examples
    --------
    >>> import numpy as np
    >>> from vecload import Vectors, Vocab, Words
    >>> vectors = Vectors(Words.from_strings(["cat", "Paris"]), np.eye(2, dtype="float32"))
    >>> aligned = align(vectors, Vocab.from_words(["paris", "Cat", "cow"]), oov=["casefold", "zeros"])
    >>> aligned.matrix.tolist()
    [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    >>> aligned.origin_of("cow"), round(aligned.coverage.found, 2)
    ('zeros', 0.67)
    >>> domain = Vectors(Words.from_strings(["cow"]), np.ones((1, 2), dtype="float32"))
    >>> align([vectors, domain], ["cow", "cat"], combine="first").origin_of("cow")
    'exact (2)'
    """
    refuse_string("vocab", vocab)
    vocab = vocab if isinstance(vocab, Vocab) else Vocab.from_words(vocab)
    if not isinstance(seed, (int, np.integer)):
        raise OptionError(f"seed={seed!r} is not an integer")
    seed = int(seed)
    several = isinstance(vectors, (list, tuple))
    sources: list[Any] = list(vectors) if isinstance(vectors, (list, tuple)) else [vectors]
    _check(sources, combine, several=several)
    steps = parse_chain(oov)
    special = special_rows(vocab)
    request: ReadRequest | None = None
    loaded = []
    for source in sources:
        if not isinstance(source, Vectors):
            if request is None:
                words = _requested_words(vocab, special, *steps)
                request = make_request(words, limit, dtype, errors, strict=False, prefix="", allow_nonfinite=False)
            source = load_rows(source, request, progress=progress)  # noqa: PLW2901 - the same source, now read
        if not is_float(source.dtype):
            raise OptionError(f"vectors must be floating point, got {source.dtype}")
        loaded.append(source)
    if combine == "concatenate":
        parts = [_align([source], vocab, special, steps, len(oov), seed + at) for at, source in enumerate(loaded)]
        return _checked(_side_by_side(parts), sources, loaded, limit)
    dims = [source.dim for source in loaded]
    if len(set(dims)) > 1:
        raise OptionError(f"sources of dimensions {dims} can only be combined by combine='concatenate'")
    aligned = _align(loaded, vocab, special, steps, len(oov), seed, average=combine == "average")
    return _checked(aligned, sources, loaded, limit)


def _checked(aligned: Aligned, sources: list[Any], loaded: list[Vectors], limit: int | None) -> Aligned:
    """Attach the words of the sources, and warn if nearly all rows were drawn.

    Empty `Vectors` are a way to draw all rows, so they cause no warning.
    """
    # Cached, because the words of a path are read from the file again.
    seen = cache(partial(seen_words, sources, limit=limit))
    aligned = replace(aligned, seen=seen)
    rows = np.flatnonzero(~special_rows(aligned.vocab))
    drawn = rows_of_kind(aligned.origin, aligned.origins, "drawn")[rows]
    searched = any(not isinstance(one, Vectors) or len(one) for one in sources)
    if searched and np.count_nonzero(~drawn) < _FEW * len(rows):
        name = ", ".join(str(vectors.meta.get("source", "the vectors")) for vectors in loaded)
        there = () if (known := seen()) is None else known.words
        missing = aligned.vocab.words.take(rows[drawn])
        warn_few_found(missing, name, there, requested=len(rows), cause=_cause(aligned.coverage))
    return aligned


def _cause(coverage: Coverage) -> str | None:
    """Return why words were not found, or None where that is unknown for most of them."""
    explanation = coverage.explanation
    if explanation is None or (2 * explanation.found < explanation.examined and not explanation.ngrams):
        return None
    return explanation.headline


def _check(sources: list[Any], combine: Combine | None, *, several: bool) -> None:
    if combine not in (None, "first", "average", "concatenate"):
        raise OptionError(f"combine={combine!r} is not one of 'first', 'average', 'concatenate'")
    if not sources:
        raise OptionError("there are no vectors to align")
    if several and combine is None and len(sources) > 1:
        raise OptionError(
            "several sources need combine='first' (the first source with the word), 'average' or 'concatenate'"
        )
    if not several and combine is not None:
        raise OptionError(f"combine={combine!r} applies to several sources; pass them in a list")


def _requested_words(
    vocab: Vocab,
    special: npt.NDArray[np.bool_],
    spellings: tuple[Spelling, ...],
    others: tuple[Any, ...],
) -> Collection[str]:
    """Return the words of the vocabulary, their spellings, their parts and the spellings of those."""
    splits = [step.parts for step in others if isinstance(step, Composition)]
    if not spellings and not splits:
        return vocab.words  # packed already
    wanted: dict[str, int | None] = dict.fromkeys(vocab)
    for word in vocab.words.take(np.flatnonzero(~special)):
        for part in (word, *(part for split in splits for part in split(word))):
            wanted[part] = None
            wanted |= respellings(part, spellings)
    return wanted.keys()


def _align(
    sources: list[Vectors],
    vocab: Vocab,
    special: npt.NDArray[np.bool_],
    steps: tuple[tuple[Spelling, ...], tuple[Any, ...]],
    declared: int,
    seed: int,
    *,
    average: bool = False,
) -> Aligned:
    spellings, others = steps
    lookup = FileLookup(tuple(sources), spellings, average)
    ways = 1 if average else len(sources)  # an origin for each spelling step and each source that can win
    origins, first_made = _origins(spellings, others, ways)
    padding, special_token, first_found = 0, 1, 2
    rows, found_by = lookup.find(vocab.words, special)
    # The padding row must be zero, even if the vectors have a row for the padding token.
    if vocab.padding_idx is not None:
        rows[:, vocab.padding_idx] = -1
    matrix = np.zeros((len(vocab), lookup.dim), dtype=lookup.dtype)
    lookup.gather(rows, matrix)
    found = (rows >= 0).any(axis=0)
    winner = 0 if average else found_by.argmin(axis=0)
    origin = np.where(found, first_found + found_by.min(axis=0) * ways + winner, padding)
    absent = ~found & (np.arange(len(vocab)) != vocab.padding_idx)
    # Random rows match the distribution of the found rows only, not of rows that earlier steps made.
    known = Found(matrix[found], len(vocab), lookup.dim)
    for number, step in enumerate(others, start=len(spellings)):
        # The last step also fills special tokens, and so do the zeros after it, if it leaves words to them.
        last = number >= declared - 1
        requested = np.flatnonzero(absent if last else absent & ~special)
        for at, made in make_rows(step, vocab.words, requested, known, lookup, seed=seed, number=number):
            matrix[at], absent[at] = made, False
            origin[at] = np.where(special[at], special_token, first_made + number - len(spellings))
    meta = sources[0].meta if len(sources) == 1 else _meta(source.meta for source in sources)
    return Aligned(vocab, matrix, origin.astype(np.uint8), origins, meta)


def _origins(spellings: Sequence[Spelling], others: Sequence[Any], ways: int) -> tuple[tuple[Origin, ...], int]:
    """Return the origins in the order in which they are tried, and the position of the first that makes rows.

    Padding and special tokens come first. Each way to find a word follows, once for each of the `ways` sources.
    """
    fixed = [PADDING.name, SPECIAL.name, EXACT.name]
    names = step_names([*spellings, *others], taken=fixed)[len(fixed) :]
    found = [
        Origin(name if way == 0 else f"{name} ({way + 1})", "found")
        for name in (EXACT.name, *names[: len(spellings)])
        for way in range(ways)
    ]
    made = [
        Origin(name, "drawn" if isinstance(step, Filling) else "composed")
        for name, step in zip(names[len(spellings) :], others, strict=True)
    ]
    origins = (PADDING, SPECIAL, *found, *made)
    if len(origins) > np.iinfo(np.uint8).max:
        raise OptionError(f"{len(origins)} origins do not fit into one byte; pass fewer sources or fewer steps")
    return origins, 2 + len(found)


def _meta(metas: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    kept = [dict(meta) for meta in metas]
    return {"sources": kept, **joint_license(kept)}


def _side_by_side(parts: list[Aligned]) -> Aligned:
    """Return one matrix with the rows of all parts side by side; a word's origin is the best of its origins."""
    first = parts[0]
    # The parts have equal origins, in the order in which they are tried. A special token that one source has is found.
    special_token = first.origins.index(SPECIAL)
    last = len(first.origins)
    ranks = [np.where(part.origin == special_token, last, part.origin.astype(np.int64)) for part in parts]
    best = np.min(ranks, axis=0)
    origin = np.where(best == last, special_token, best).astype(np.uint8)
    matrix = np.concatenate([part.matrix for part in parts], axis=1)
    return Aligned(first.vocab, matrix, origin, first.origins, _meta(part.meta for part in parts))
