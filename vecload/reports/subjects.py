"""Content of a page for each kind of subject: vectors, the rows of a vocabulary, or two spaces."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from vecload.alignment import Aligned
from vecload.arrays import paired_cosines
from vecload.errors import OptionError
from vecload.mapping.dictionaries import find_pairs
from vecload.provenance.origins import rows_of_kind, special_rows
from vecload.reports import panels
from vecload.reports.panels import Link, Panel, Share, Swatch, grid, paragraph
from vecload.reports.points import Table
from vecload.vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vecload.mapping.dictionaries import Pair

Subject = Vectors | Aligned | tuple[Vectors, Vectors]

_MISSING = 200
_WORST = 50


@dataclass(frozen=True)
class Shown:
    """A subject as the page shows it.

    Parameters
    ----------
    title
        Heading of the page.
    tables
        The spaces: one or two.
    panels
        The panels beside the map.
    groups
        Names of the groups of words, in the order of their numbers in `Table.groups`; empty for a single group.
    grouped_by
        Kind of the groups: "origin" or "source".
    """

    title: str
    tables: list[Table]
    panels: list[Panel]
    groups: tuple[str, ...] = field(default=())
    grouped_by: str = ""


def shown(subject: Subject, pairs: Sequence[Pair] | str | None, vocab_name: str | None) -> Shown:
    """Return the content of a page about a subject.

    Raises
    ------
    OptionError
        If the spaces of a pair differ in dimension.
    """
    if isinstance(subject, Aligned):
        return _aligned(subject, vocab_name)
    if isinstance(subject, Vectors):
        return _vectors(subject)
    return _spaces(*subject, pairs)


def name_of(subject: Vectors | Aligned) -> str:
    """Return the name of the source of some vectors, without its folders.

    Examples
    --------
    >>> name_of(Vectors(["cat"], [[1.0]], {"source": "/data/glove.6B.50d.txt"}))
    'glove.6B.50d.txt'
    """
    source = str(subject.meta.get("source", ""))
    return (source if "://" in source else PurePath(source).name) or "word vectors"


def _vectors(vectors: Vectors) -> Shown:
    name = name_of(vectors)
    rows = np.arange(len(vectors))
    known = vectors.history.counts
    table = Table(name, vectors, rows, np.zeros(len(rows), dtype=np.uint8), known)
    about = Panel("about", "About", panels.facts(vectors, name))
    return Shown(name, [table], [panels.norms({"words": (0, vectors.norms)}), about])


def _aligned(aligned: Aligned, vocab_name: str | None) -> Shown:
    vectors = Vectors(aligned.vocab.words, aligned.matrix, aligned.meta)
    codes, counts = aligned.origin, aligned.vocab.counts
    # The file may have rows for special tokens: they are found, but they are not words of a text.
    hidden = special_rows(aligned.vocab) | rows_of_kind(codes, aligned.origins, "padding", "special")
    ordinary = np.flatnonzero(~hidden)
    if counts is not None:
        ordinary = ordinary[np.argsort(-counts[ordinary], kind="stable")]
    used = [code for code in range(len(aligned.origins)) if (codes[ordinary] == code).any()]
    numbers = np.zeros(len(aligned.origins), dtype=np.uint8)
    numbers[used] = np.arange(len(used))
    groups = tuple(aligned.origins[code].name for code in used)
    vocabulary = vocab_name or f"a vocabulary of {len(aligned.vocab):,} words"
    table = Table(
        vocabulary,
        vectors,
        ordinary,
        numbers[codes[ordinary]],
        None if counts is None else counts[ordinary],
        tuple(np.flatnonzero(hidden).tolist()),
    )
    found = rows_of_kind(codes, aligned.origins, "found")[ordinary]
    ranked = None if counts is None else counts[ordinary]
    about = panels.facts(vectors, name_of(aligned), [("vocabulary", vocabulary)])
    return Shown(
        f"{vocabulary} in {name_of(aligned)}",
        [table],
        [
            Panel("coverage", "Coverage", _counts(aligned, groups), (panels.curve(found, ranked),)),
            _missing(aligned),
            panels.norms(
                {name: (at, vectors.norms[ordinary][codes[ordinary] == used[at]]) for at, name in enumerate(groups)}
            ),
            Panel("about", "About", about),
        ],
        groups,
        "origin",
    )


def _counts(aligned: Aligned, groups: tuple[str, ...]) -> str:
    """Return the table of origins; those of the map have its colors."""
    coverage = aligned.coverage
    types = sum(count.types for count in coverage.counts)
    tokens = None if coverage.found_tokens is None else sum(count.tokens or 0 for count in coverage.counts)
    rows: list[tuple[object, ...]] = []
    for count in coverage.counts:
        name = Swatch(count.origin, groups.index(count.origin)) if count.origin in groups else count.origin
        cells: list[object] = [name, Share(count.types, types)]
        if tokens is not None:
            cells.append(Share(count.tokens or 0, tokens))
        rows.append(tuple(cells))
    lead = f"<p><strong>{coverage.found:.1%}</strong> of the types are found"
    if coverage.found_tokens is not None:
        lead += f", and <strong>{coverage.found_tokens:.1%}</strong> of the tokens"
    head = ("origin of the row", "types", "tokens")[: 2 if tokens is None else 3]
    return f"{lead}.</p>{_headline(aligned)}{grid('Where the rows come from', head, rows)}"


def _headline(aligned: Aligned) -> str:
    """Return how many of the missing words the vectors have under another spelling, if that is known."""
    explanation = aligned.coverage.explanation if aligned.coverage.missing(1) else None
    return "" if explanation is None else paragraph(f"{explanation.headline}.")


def _missing(aligned: Aligned) -> Panel:
    """Return the panel of the words that were not found, each with the reason and the step that made its row."""
    coverage = aligned.coverage
    found = coverage.missing(_MISSING)
    if not found:
        return Panel("missing", "Not found", "<p>All words are found.</p>")
    total = int(rows_of_kind(aligned.origin, aligned.origins, "composed", "drawn").sum())
    lead = f"{total:,} words are not found"
    if total > len(found):
        lead += f"; the {len(found)} most frequent are listed"
    explanation = coverage.explanation
    counted = coverage.found_tokens is not None
    head = ("word", *(("count",) if counted else ()), *(("reason",) if explanation else ()), "row made by")
    rows: list[tuple[object, ...]] = []
    for word, count in found:
        cells: list[object] = [Link(word)]
        if counted:
            cells.append(count or 0)
        if explanation is not None:
            cells.append(explanation.reasons.get(word, "not found under another spelling"))
        rows.append((*cells, aligned.origin_of(word)))
    return Panel(
        "missing", "Not found", f"{paragraph(f'{lead}.')}{_headline(aligned)}{grid('Words not found', head, rows)}"
    )


def _spaces(a: Vectors, b: Vectors, pairs: Sequence[Pair] | str | None) -> Shown:
    if a.dim != b.dim:
        raise OptionError(f"the spaces have {a.dim} and {b.dim} dimensions; map one onto the other first")
    names = [name_of(a), name_of(b)]
    if names[0] == names[1]:
        names = [f"{name} ({ordinal})" for name, ordinal in zip(names, ("first", "second"), strict=True)]
    tables = [
        Table(name, one, np.arange(len(one)), np.full(len(one), at, dtype=np.uint8))
        for at, (name, one) in enumerate(zip(names, (a, b), strict=True))
    ]
    parts: list[Panel] = [] if pairs is None else [_pairs(a, b, pairs, names)]
    parts.append(
        panels.norms({name: (at, one.norms) for at, (name, one) in enumerate(zip(names, (a, b), strict=True))})
    )
    parts.append(Panel("about", "About", panels.facts(a, names[0]) + panels.facts(b, names[1])))
    return Shown(" and ".join(names), tables, parts, tuple(names), "source")


def _pairs(a: Vectors, b: Vectors, pairs: Sequence[Pair] | str, names: list[str]) -> Panel:
    """Return the panel of pairs: the distribution of their cosines, and those that are farthest apart."""
    found = find_pairs(a, b, pairs)
    values = paired_cosines(a.rows_at(found.source), b.rows_at(found.target))
    finite = np.flatnonzero(np.isfinite(values))
    worst = finite[np.argsort(values[finite], kind="stable")][:_WORST]
    mean = float(values[finite].mean()) if len(finite) else 0.0
    summary = [("pairs", len(finite)), ("pairs with a missing word", found.absent), ("mean cosine", mean)]
    rows = [
        (Link(a.words[found.source[at]], 0), Link(b.words[found.target[at]], 1), float(values[at]))
        for at in worst.tolist()
    ]
    table = grid(f"The {len(rows)} pairs that map worst", (*names, "cosine"), rows) if rows else ""
    return Panel("pairs", "Pairs", grid("Pairs", (), summary) + table, (panels.cosines(values[finite]),))
