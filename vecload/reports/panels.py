"""The panels beside the map: tables and charts as HTML, with text of any kind escaped."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.reports.points import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from vecload.evaluation import Evaluation
    from vecload.vectors import Vectors

_BINS = 60
_COLORS = 12  # of the style sheet
_CURVE = 200


@dataclass(frozen=True)
class Panel:
    """A tab of the page: its key and title, its HTML, and the charts that the page's script draws in it."""

    key: str
    title: str
    html: str
    charts: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Link:
    """A cell with a word that the map can show; `source` is the number of its space."""

    word: str
    source: int = 0


@dataclass(frozen=True)
class Swatch:
    """A cell with a name and the color of its group, the same as on the map."""

    name: str
    group: int


@dataclass(frozen=True)
class Share:
    """A cell with a number and a bar for its share of the whole."""

    value: int
    whole: int


def grid(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as HTML; numbers are right-aligned.

    Examples
    --------
    >>> table = grid("Facts", (), [("words", 1234)])
    >>> '<td class="number">1,234</td>' in table
    True
    """
    rows = list(rows)
    first = rows[0] if rows else ()
    top = "".join(
        f'<th scope="col"{_class(value)}>{escape(printable(name))}</th>'
        for name, value in zip_longest(head, first[: len(head)])
    )
    body = "".join(f"<tr>{_first(row[0])}{''.join(map(_cell, row[1:]))}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><caption>{escape(printable(caption))}</caption>'
        f"{f'<tr>{top}</tr>' if top else ''}{body}</table></div>"
    )


def paragraph(text: str) -> str:
    """Return a paragraph as HTML."""
    return f"<p>{escape(printable(text))}</p>"


def _first(value: object) -> str:
    return f'<th scope="row">{_inner(value)}</th>'


def _cell(value: object) -> str:
    return f"<td{_class(value)}>{_inner(value)}</td>"


def _class(value: object) -> str:
    return ' class="number"' if isinstance(value, (int, float, Share)) else ""


def _inner(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return format(value, "," if isinstance(value, int) else ".4g")
    if isinstance(value, Share):
        share = value.value / value.whole if value.whole else 0.0
        return f'{value.value:,} <span class="share">{share:.1%}</span>{_bar(share)}'
    if isinstance(value, Swatch):
        return f'<span class="swatch g{value.group % _COLORS}"></span>{escape(printable(value.name))}'
    if isinstance(value, Link):
        word = escape(printable(value.word))
        return f'<bdi><a class="word" href="#" data-word="{word}" data-source="{value.source}">{word}</a></bdi>'
    return f"<bdi>{escape(_short(printable(str(value))))}</bdi>"


def _bar(share: float) -> str:
    return f'<span class="bar"><span style="width:{100 * share:.1f}%"></span></span>'


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"


def facts(vectors: Vectors, caption: str, more: Sequence[tuple[str, object]] = ()) -> str:
    """Return the table of facts about some vectors."""
    norms = vectors.norms
    finite = norms[np.isfinite(norms)]
    rows: list[tuple[str, object]] = [
        *more,
        ("words", len(vectors)),
        ("dimension", vectors.dim),
        ("type", str(vectors.dtype)),
        ("rows of zeros", int(np.count_nonzero(norms == 0))),
        ("rows with NaN or infinity", len(norms) - len(finite)),
        ("mean norm", float(finite.mean()) if len(finite) else 0.0),
        *((key, value) for key, value in vectors.meta.items() if not isinstance(value, np.ndarray)),
        *(
            (name, value)
            for name, value in (
                ("training arguments", dict(vectors.history.arguments)),
                ("labels", list(vectors.history.labels)),
                ("transforms", [step.get("step") for step in vectors.history.transforms]),
            )
            if value
        ),
    ]
    return grid(caption, (), rows)


def norms(groups: Mapping[str, tuple[int, npt.NDArray[Any]]]) -> Panel:
    """Return the panel of the distribution of norms; `groups` maps a name to its color and its norms."""
    finite = {name: (color, values[np.isfinite(values)]) for name, (color, values) in groups.items()}
    finite = {name: (color, values) for name, (color, values) in finite.items() if len(values)}
    every = np.concatenate([*(values for _, values in finite.values()), np.zeros(0)])
    edges = _edges(every)
    series = [_steps(name, f"group-{color % _COLORS}", values, edges) for name, (color, values) in finite.items()]
    rows = [
        (Swatch(name, color), len(values), *(float(one) for one in np.quantile(values, [0, 0.5, 1])))
        for name, (color, values) in finite.items()
    ]
    table = grid("Norms (length of a vector)", ("", "words", "least", "median", "greatest"), rows)
    chart = _chart("norms", "Distribution of norms", "norm", "share of the words", series)
    return Panel("norms", "Norms", table, (chart,))


def cosines(values: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return the chart of the distribution of the cosines of pairs."""
    series = [_steps("pairs", "line-0", values, _edges(values))] if len(values) else []
    return _chart("pairs", "Distribution of the cosines of the pairs", "cosine of a pair", "share of the pairs", series)


def curve(found: npt.NDArray[np.bool_], counts: npt.NDArray[Any] | None) -> dict[str, Any]:
    """Return the chart of the share of words found, down to each frequency rank."""
    total = len(found)
    ranks = np.unique(np.geomspace(1, max(total, 1), _CURVE).astype(np.int64))[: max(total, 0)]
    series = []
    weights = {"types (distinct words)": np.ones(total)} | ({} if counts is None else {"tokens (all text)": counts})
    for color, (name, weight) in enumerate(weights.items()):
        whole = np.cumsum(np.asarray(weight, dtype=np.float64))
        share = np.cumsum(np.where(found, weight, 0).astype(np.float64)) / np.maximum(whole, 1e-300)
        at = ranks[ranks <= total] - 1
        points = share[at] if total else np.zeros(0)
        series.append({"name": name, "color": f"line-{color}", "x": (at + 1).tolist(), "y": _rounded(points)})
    return _chart(
        "coverage",
        "Share of the words that are found, among the most frequent ones",
        "frequency rank",
        "share found",
        series,
        log=True,
        top=1.0,
    )


def evaluation(found: Evaluation) -> Panel:
    """Return the panel of the results of `vecload.evaluate`."""
    parts = []
    if found.similarities:
        rows = [(one.dataset, one.spearman, one.pearson, one.used, one.total) for one in found.similarities]
        head = ("data set", "Spearman", "Pearson", "pairs", "of")
        parts.append(grid(f"Word similarity, protocol {found.protocol}", head, rows))
    for score in found.analogies:
        sections = [*score.sections, score.total] if len(score.sections) > 1 else [score.total]
        counts = [(one.name, one.accuracy, one.correct, one.used, one.total) for one in sections]
        parts.append(grid(f"Analogies, {score.method}", (score.dataset, "accuracy", "correct", "asked", "of"), counts))
    space = found.geometry
    shape = [
        ("mean cosine of random pairs", space.cosine),
        ("isotropy I(W)", space.isotropy),
        ("share of variance in 3 directions", space.dominance),
    ]
    parts.append(grid("Geometry", (), shape))
    return Panel("evaluation", "Evaluation", "".join(parts))


def _chart(
    key: str, title: str, x: str, y: str, series: list[dict[str, Any]], *, log: bool = False, top: float | None = None
) -> dict[str, Any]:
    return {"key": key, "title": title, "x": x, "y": y, "series": series, "log": log, "top": top}


def _edges(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    if not len(values):
        return np.linspace(0, 1, _BINS + 1)
    low, high = float(values.min()), float(values.max())
    # Rows of one norm still need bins of some width around it.
    room = 0.0 if high - low > 1e-6 * max(abs(low), abs(high), 1e-6) else max(abs(high), 1e-6) / 10
    return np.linspace(low - room, high + room, _BINS + 1)


def _steps(name: str, color: str, values: npt.NDArray[Any], edges: npt.NDArray[np.float64]) -> dict[str, Any]:
    counts, _ = np.histogram(values.astype(np.float64), bins=edges)
    shares = counts / max(counts.sum(), 1)
    return {
        "name": name,
        "color": color,
        "x": _rounded(np.repeat(edges, 2)[1:-1]),
        "y": _rounded(np.repeat(shares, 2)),
    }


def _rounded(values: npt.NDArray[Any]) -> list[float]:
    return [float(f"{value:.5g}") for value in values.tolist()]
