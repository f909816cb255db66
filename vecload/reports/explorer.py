"""`report` and its result, which shows itself in a notebook."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from vecload._version import __version__
from vecload.errors import OptionError, require
from vecload.evaluation import Evaluation
from vecload.mapping.dictionaries import Pair
from vecload.reports import panels
from vecload.reports.labels import RULE
from vecload.reports.layouts import Layout, check_layout
from vecload.reports.page import html
from vecload.reports.points import SEARCHABLE, points, printable
from vecload.reports.subjects import Subject, shown
from vecload.sources import atomic_write, check_target

SUFFIXES = (".html", ".htm")

_HEIGHT = 820


@dataclass(frozen=True, repr=False)
class Report:
    """Page about some vectors; the last value of a notebook cell shows itself.

    Parameters
    ----------
    title
        Heading of the page.
    html
        The whole page, which needs no network and no other file.
    """

    title: str
    html: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file whose name ends in .html or .htm.

        Raises
        ------
        OptionError, OSError
            If the file cannot be written.
        """
        with atomic_write(path, suffixes=SUFFIXES) as part:
            part.write_text(self.html, encoding="utf-8")

    def _repr_html_(self) -> str:
        # The page is a document of its own. The sandbox keeps it apart from the notebook.
        rights = 'sandbox="allow-scripts allow-downloads" allow="clipboard-write"'
        look = f"width: 100%; height: {_HEIGHT}px; border: 0"
        return f'<iframe title="{escape(self.title)}" srcdoc="{escape(self.html)}" {rights} style="{look}"></iframe>'

    def __repr__(self) -> str:
        return f"<Report: {self.title}, {len(self.html):,} characters of HTML>"


def report(
    subject: Subject,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str | None = None,
    vocab_name: str | None = None,
    evaluation: Evaluation | None = None,
    pairs: Sequence[Pair] | str | None = "identical",
    limit: int = 10_000,
    layout: Layout = "pca",
    seed: int = 0,
    progress: bool | None = None,
) -> Report:
    """Make one HTML page in which vectors can be explored: a map, search, neighbors and tables.

    Parameters
    ----------
    subject
        `Vectors`; an `Aligned`, whose coverage and origins are shown too; or two `Vectors` in one space, such as
        `SpaceMap.apply` and `SpaceMap.apply_target` return.
    path
        File to write, ending in .html or .htm; None to write nothing.
    title
        Heading of the page; None to name the subject.
    vocab_name
        Name of the vocabulary of an `Aligned`, shown on the page.
    evaluation
        Result of `vecload.evaluate`, shown as tables.
    pairs
        For two spaces: the pairs of words whose cosines are shown, as for `vecload.mapping.find_pairs`; None for none.
    limit
        Number of words on the map, the most frequent first; half of them from each of two spaces. Other words can be
        searched for if they are among the first 10,000.
    layout
        Method of placing words: "pca", "umap" (needs ``vecload[umap]``) or "tsne" (needs ``vecload[sklearn]``).
    seed
        Seed of "umap" and "tsne".
    progress
        Whether to show bars while neighbors are searched; None shows them if standard error is a terminal.

    Returns
    -------
    Report
        The page, which a notebook shows and `Report.save` writes.

    Raises
    ------
    MissingDependencyError
        If bokeh, or the package of the layout, is not installed.
    OptionError, OSError
        If an option is invalid or the file cannot be written; checked before anything is computed.

    Notes
    -----
    The page holds the ten nearest of all rows of the table for each word, found exactly.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import vecload
    >>> vectors = vecload.Vectors(["cat", "dog", "cow"], np.eye(3, dtype="float32"))
    >>> page = pathlib.Path(tempfile.mkdtemp(), "report.html")
    >>> report(vectors, page, title="Animals")  # doctest: +ELLIPSIS
    <Report: Animals, ... characters of HTML>
    >>> page.read_text(encoding="utf-8").startswith("<!doctype html>")
    True
    """
    check_report(limit, layout)
    if path is not None:
        check_target(path, suffixes=SUFFIXES)
    found = shown(subject, pairs, vocab_name)
    parts = list(found.panels)
    if evaluation is not None:
        parts.insert(len(parts) - 1, panels.evaluation(evaluation))
    data = points(found.tables, limit, layout, seed, progress=progress)
    data |= {"groups": found.groups, "groupedBy": found.grouped_by, "rule": RULE, "searchable": SEARCHABLE}
    shown_title = title or found.title
    data |= {"title": printable(shown_title), "layout": layout}
    page = Report(shown_title, html(shown_title, parts, data, made_by=f"Made by vecload {__version__}."))
    if path is not None:
        page.save(path)
    return page


def check_report(limit: int = 1, layout: str = "pca") -> None:
    """Check the options of `report`, as far as possible before any vectors are read.

    Raises
    ------
    OptionError
        If `limit` leaves nothing to show, or the layout is unknown.
    MissingDependencyError
        If bokeh, or the package of the layout, is not installed.
    """
    if limit < 1:
        raise OptionError(f"limit={limit} leaves nothing to show; pass 1 or more")
    require("bokeh", "report")
    check_layout(layout)
