"""The figures of a report, by matplotlib: the same objects become inline SVG and PNG files.

Colours are plain names of a palette while a figure is drawn. In the SVG they turn into variables of the page's style
sheet, so that one picture serves by day and by night.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vecload.errors import require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

INK: Final = "#1f2937"
"""Text and axes."""
FAINT: Final = "#9ca3af"
"""Grids."""
SERIES: Final = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#65a30d")
"""One for each line or group, told apart by people who see no red or green too."""

_VARIABLES = {INK: "var(--ink)", FAINT: "var(--faint)"} | {
    color: f"var(--series-{at})" for at, color in enumerate(SERIES)
}
_WIDTH, _HEIGHT = 5.2, 3.1  # inches: about a phone's width at the size of the page's text
DPI: Final = 200
_BINS = 60
_LABELS = 70


NAMES = ("norms", "coverage", "origins", "pairs", "plane")
"""Names of all figures."""


@dataclass(frozen=True)
class Plot:
    """A drawn figure: its name (of the PNG file too), what it shows, and matplotlib's object."""

    name: str
    caption: str
    figure: Any

    def svg(self) -> str:
        """The figure as an SVG element that takes the page's width and colours."""
        matplotlib = require("matplotlib", "report")
        written = io.StringIO()
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "vecload"}), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # the reader's fonts draw them, not matplotlib's
            self.figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        text = written.getvalue()
        text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
        for size in ("width", "height"):  # the page's style sheet has them
            text = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", text, count=1)
        for color, variable in _VARIABLES.items():
            text = text.replace(color, variable)
        # Names in one figure must not be those of another on the same page.
        text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{self.name}-", text)
        return text.replace("<svg", f'<svg role="img" aria-label="{self.caption}"', 1)


def printable(text: str) -> str:
    """A word as a page can hold it: bytes that are no UTF-8 are shown as such."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _axes(x: str, y: str, *, height: float = _HEIGHT) -> tuple[Any, Any]:
    """A figure with one pair of axes in the house's style."""
    figures = require("matplotlib.figure", "report")
    figure = figures.Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(colors=INK, labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    axes.grid(color=FAINT, alpha=0.35, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _legend(axes: Any) -> None:
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)


def norms(groups: Mapping[str, npt.NDArray[Any]]) -> Plot:
    """Histogram of vector lengths, one outline a group; the same bins for all."""
    figure, axes = _axes("length of a vector", "share of the words")
    finite = {name: values[np.isfinite(values)] for name, values in groups.items() if len(values)}
    every = np.concatenate([*finite.values(), np.zeros(0)])
    edges = np.histogram_bin_edges(every, bins=_BINS) if len(every) else np.linspace(0, 1, _BINS + 1)
    for at, (name, values) in enumerate(finite.items()):
        share = np.full(len(values), 1 / max(len(values), 1))
        color = SERIES[at % len(SERIES)]
        axes.hist(values, bins=edges, weights=share, histtype="stepfilled", color=color, alpha=0.25)
        axes.hist(values, bins=edges, weights=share, histtype="step", color=color, linewidth=1.4, label=name)
    if len(finite) > 1:
        _legend(axes)
    return Plot("norms", "How long the vectors are", figure)


def coverage(found: npt.NDArray[np.bool_], counts: npt.NDArray[Any] | None) -> Plot:
    """Share of the k most frequent words that the file has, for every k; `found` in order of frequency."""
    figure, axes = _axes("most frequent words", "found in the file")
    ranks = np.arange(1, len(found) + 1)
    points = np.unique(np.geomspace(1, max(len(found), 1), 400).astype(np.int64)) - 1 if len(found) else ranks
    axes.plot(ranks[points], (np.cumsum(found) / ranks)[points], color=SERIES[0], label="types", linewidth=1.6)
    if counts is not None and counts.sum():
        seen = np.cumsum(counts)
        share = np.cumsum(np.where(found, counts, 0)) / np.maximum(seen, 1)
        axes.plot(ranks[points], share[points], color=SERIES[1], label="tokens", linewidth=1.6)
        _legend(axes)
    if len(found) > 1:
        axes.set_xscale("log")
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return Plot("coverage", "How much of the vocabulary is found, by frequency rank", figure)


def origins(names: Sequence[str], types: Sequence[int]) -> Plot:
    """A bar for each origin of rows."""
    figure, axes = _axes("rows", "", height=0.9 + 0.28 * len(names))
    places = np.arange(len(names))[::-1]
    axes.barh(places, types, color=[SERIES[at % len(SERIES)] for at in range(len(names))], height=0.7)
    axes.set_yticks(places, names)
    axes.grid(visible=False, axis="y")
    for place, count in zip(places, types, strict=True):
        axes.annotate(
            f"{count:,}", (count, place), (4, 0), textcoords="offset points", va="center", color=INK, fontsize=9
        )
    axes.margins(x=0.18)
    return Plot("origins", "Where the rows come from", figure)


def cosines(values: npt.NDArray[Any]) -> Plot:
    """Histogram of the cosines of pairs that should be one."""
    figure, axes = _axes("cosine of a pair", "pairs")
    axes.hist(values, bins=_BINS, range=(min(-0.2, float(values.min(initial=0.0))), 1.0), color=SERIES[0], alpha=0.7)
    return Plot("pairs", "How near the words of each pair are", figure)


def plane(points: npt.NDArray[Any], words: Sequence[str], groups: Mapping[str, npt.NDArray[np.int64]]) -> Plot:
    """Words on a plane, the first of each group labelled; the page adds their neighbours when a point is touched.

    Parameters
    ----------
    points
        Shape (n, 2).
    words
        The n words.
    groups
        Name → rows that belong to it. Points are drawn, and numbered by the page, in this order.
    """
    figure, axes = _axes("first component", "second component", height=4.6)
    for at, (name, rows) in enumerate(groups.items()):
        drawn = axes.scatter(*points[rows].T, s=10, color=SERIES[at % len(SERIES)], alpha=0.8, label=name, linewidths=0)
        drawn.set_gid(f"points-{at}")
        for row in rows[: _LABELS // len(groups)]:
            word = printable(words[row]).replace("$", r"\$")
            axes.annotate(word, points[row], (3, 2), textcoords="offset points", fontsize=7, color=INK)
    if len(groups) > 1:
        _legend(axes)
    return Plot("plane", "Frequent words on the two main axes: point at one to see its neighbours", figure)
