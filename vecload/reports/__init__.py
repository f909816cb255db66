"""`report`: one page that shows a file of vectors, a vocabulary's rows, or two spaces side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import vecload
from vecload.alignment import Aligned
from vecload.errors import OptionError, require
from vecload.mapping.dictionaries import find_pairs
from vecload.reports import figures
from vecload.reports.page import Grid, Neighbors, html
from vecload.search import nearest
from vecload.search.exact import unit
from vecload.sources import check_target, replacing
from vecload.vectors import Vectors

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy.typing as npt

    from vecload.evaluation import Evaluation
    from vecload.mapping.dictionaries import Pair
    from vecload.reports.figures import Plot

Subject = Vectors | Aligned | tuple[Vectors, Vectors]

SUFFIXES = (".html", ".htm")

_MISSING = 30
_NEAR = 8


def report(
    subject: Subject,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    evaluation: Evaluation | None = None,
    pairs: Sequence[Pair] | str | None = "identical",
    limit: int = 400,
    pictures: str | os.PathLike[str] | None = None,
) -> None:
    """Write one HTML page that needs no network: figures, tables, a map of the frequent words.

    Parameters
    ----------
    subject
        `Vectors`; an `Aligned`, whose coverage and origins are shown too; or two `Vectors` in one space, such as
        `SpaceMap.apply` and `SpaceMap.apply_target` give.
    path
        The page.
    title
        Its heading; None to name the subject.
    evaluation
        What `vecload.evaluate` found, to be shown as tables.
    pairs
        Of two spaces: the pairs of words whose cosines are shown, as for `vecload.mapping.find_pairs`; None for none.
    limit
        How many of the most frequent words are on the map.
    pictures
        A folder to write the figures to as well, as PNG files.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    OptionError, OSError
        If an option is invalid or an output cannot be written; checked before anything is drawn.

    Examples
    --------
    >>> import tempfile
    >>> from vecload import Words
    >>> vectors = Vectors(Words.from_strings(["cat", "dog", "cow"]), np.eye(3, dtype="float32"))
    >>> page = Path(tempfile.mkdtemp(), "report.html")
    >>> report(vectors, page)
    >>> "cow" in page.read_text()
    True
    """
    check_report(limit)
    for target, suffixes in targets(path, pictures):
        check_target(target, suffixes=suffixes)
    if isinstance(subject, Aligned):
        facts, plots, near = _aligned(subject, limit)
    elif isinstance(subject, Vectors):
        facts, plots, near = _vectors(subject, limit)
    else:
        facts, plots, near = _spaces(*subject, pairs, limit)
    shown = title or _named(subject)
    made_by = f"Made by vecload {vecload.__version__}. Colours follow the reader's light or dark setting."
    page = html(shown, [*facts, *_figures(evaluation)], plots, near, made_by=made_by)
    if pictures is not None:
        folder = Path(pictures)
        folder.mkdir(parents=True, exist_ok=True)
        for plot in plots:
            with replacing(folder / f"{plot.name}.png") as part:
                plot.figure.savefig(part, format="png", dpi=figures.DPI, facecolor="white")
    with replacing(path, suffixes=SUFFIXES) as part:
        part.write_text(page, encoding="utf-8")


def check_report(limit: int = 1) -> None:
    """Check what can be known about a report before any vectors are read.

    Raises
    ------
    OptionError
        If `limit` leaves nothing to show.
    MissingDependencyError
        If matplotlib is not installed.
    """
    if limit < 1:
        raise OptionError(f"limit={limit} leaves nothing to show; pass 1 or more")
    require("matplotlib.figure", "report")


def targets(
    path: str | os.PathLike[str], pictures: str | os.PathLike[str] | None
) -> list[tuple[str | os.PathLike[str], tuple[str, ...]]]:
    """Return the files that a report may write, each with the suffixes that its name may have.

    Pictures in a folder that does not exist yet are left out: nothing can be in their place.
    """
    found: list[tuple[str | os.PathLike[str], tuple[str, ...]]] = [(path, SUFFIXES)]
    if pictures is not None and Path(pictures).is_dir():
        found += [(Path(pictures) / f"{name}.png", ()) for name in figures.NAMES]
    return found


def _named(subject: Subject) -> str:
    if isinstance(subject, tuple):
        return " and ".join(_named(one) for one in subject)
    return str(subject.meta.get("source", "word vectors"))


_Parts = tuple[list[Grid], list["Plot"], Neighbors]


def _facts(vectors: Vectors, title: str = "Facts") -> Grid:
    norms = vectors.norms
    finite = norms[np.isfinite(norms)]
    rows: list[tuple[object, ...]] = [
        ("words", len(vectors)),
        ("dimension", vectors.dim),
        ("type", str(vectors.dtype)),
        ("rows of zeros", int(np.count_nonzero(norms == 0))),
        ("rows that are not finite", len(norms) - len(finite)),
        ("mean length", float(finite.mean()) if len(finite) else 0.0),
    ]
    rows += [(key, _short(value)) for key, value in vectors.meta.items()]
    return Grid(title, (), tuple(rows))


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else text[:197] + "…"


def _figures(evaluation: Evaluation | None) -> list[Grid]:
    """The tables of an evaluation."""
    if evaluation is None:
        return []
    pairs = [(one.dataset, one.spearman, one.pearson, one.used, one.total) for one in evaluation.similarities]
    head = ("word similarity", "Spearman", "Pearson", "pairs", "of")
    grids = [Grid(f"Word similarity, protocol {evaluation.protocol}", head, tuple(pairs))]
    for score in evaluation.analogies:
        sections = [*score.sections, score.total] if len(score.sections) > 1 else [score.total]
        rows = tuple((one.name, one.accuracy, one.correct, one.used, one.total) for one in sections)
        grids.append(Grid(f"Analogies, {score.method}", (score.dataset, "accuracy", "correct", "asked", "of"), rows))
    return grids


def _vectors(vectors: Vectors, count: int) -> _Parts:
    shown = vectors.words[:count]
    points = _plane(vectors.matrix[:count])
    plots = [
        figures.plane(points, list(shown), {"words": np.arange(len(shown))}),
        figures.norms({"words": vectors.norms}),
    ]
    return [_facts(vectors)], plots, _near(vectors, np.arange(len(shown)), vectors)


def _aligned(aligned: Aligned, count: int) -> _Parts:
    vectors = Vectors(aligned.vocab.words, aligned.matrix, aligned.meta)
    codes = aligned.origin
    exact = aligned.origins.index("exact")  # behind padding and special
    ordinary = np.flatnonzero(codes >= exact)
    counts = aligned.vocab.counts
    if counts is not None:
        ordinary = ordinary[np.argsort(-counts[ordinary], kind="stable")]
    found = codes[ordinary] <= exact + aligned.spellings
    used = [code for code in range(len(aligned.origins)) if (codes == code).any()]
    shown = ordinary[:count]
    points = _plane(vectors.matrix[shown])
    names = [aligned.vocab.words[row] for row in shown.tolist()]
    groups = {aligned.origins[code]: np.flatnonzero(codes[shown] == code) for code in used}
    groups = {name: rows for name, rows in groups.items() if len(rows)}
    order = np.concatenate([*groups.values(), np.empty(0, dtype=np.int64)])
    table = Grid(
        "Coverage",
        ("origin", "types", "tokens"),
        tuple((c.origin, c.types, "" if c.tokens is None else c.tokens) for c in aligned.coverage.counts),
    )
    missing = Grid(
        "Most frequent words not found",
        ("word", "count"),
        tuple((word, "" if n is None else n) for word, n in aligned.coverage.missing(_MISSING)),
    )
    plots = [
        figures.coverage(found, None if counts is None else counts[ordinary]),
        figures.origins([aligned.origins[code] for code in used], [int(np.sum(codes == code)) for code in used]),
        figures.plane(points, names, groups),
        figures.norms({aligned.origins[code]: vectors.norms[codes == code] for code in used if code >= exact}),
    ]
    return [_facts(vectors), table, missing], plots, _near(vectors, shown[order], vectors)


def _spaces(a: Vectors, b: Vectors, pairs: Sequence[Pair] | str | None, count: int) -> _Parts:
    if a.dim != b.dim:
        raise OptionError(f"the spaces have {a.dim} and {b.dim} dimensions: map one onto the other first")
    half = max(1, count // 2)
    first, second = a.words[:half], b.words[:half]
    points = _plane(np.concatenate([unit(a.matrix[:half]), unit(b.matrix[:half])]))
    groups = {"first": np.arange(len(first)), "second": np.arange(len(second)) + len(first)}
    plots = [figures.plane(points, [*first, *second], groups), figures.norms({"first": a.norms, "second": b.norms})]
    facts = [_facts(a, "The first space"), _facts(b, "The second space")]
    if pairs is not None:
        found = find_pairs(a, b, pairs)
        values = np.einsum("ij,ij->i", unit(a.matrix[found.source]), unit(b.matrix[found.target]))
        values = values[np.isfinite(values)]
        plots.insert(1, figures.cosines(values))
        rows = (("pairs", len(values)), ("pairs with a word that is absent", found.absent))
        facts.insert(0, Grid("Pairs", (), (*rows, ("mean cosine", float(values.mean()) if len(values) else 0.0))))
    near = _near(a, np.arange(len(first)), b) + _near(b, np.arange(len(second)), a)  # neighbours in the other space
    return facts, plots, near


def _near(vectors: Vectors, rows: npt.NDArray[np.int64], others: Vectors) -> Neighbors:
    """For rows of `vectors` their words and the nearest of `others`; none for rows that point nowhere."""
    norms = vectors.norms[rows]
    pointing = np.isfinite(norms) & (norms > 0)
    asked = rows[pointing]
    found = nearest(others, vectors.matrix[asked], _NEAR, exclude=asked[:, None] if others is vectors else None)
    near: Neighbors = [(vectors.words[row], []) for row in rows.tolist()]
    for at, some, scores in zip(
        np.flatnonzero(pointing).tolist(), found.rows.tolist(), found.scores.tolist(), strict=True
    ):
        near[at][1].extend((others.words[row], score) for row, score in zip(some, scores, strict=True) if row >= 0)
    return near


def _plane(rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Rows on the two axes of greatest variance, shape (n, 2); the sign is such that the farthest word lies on the
    positive side, so that a page looks the same every time.
    """
    wide = np.nan_to_num(rows.astype(np.float64))
    wide -= wide.mean(axis=0) if len(wide) else 0
    _, _, axes = np.linalg.svd(wide, full_matrices=False)
    points = np.zeros((len(wide), 2))
    points[:, : len(axes[:2])] = wide @ axes[:2].T
    far = points[np.abs(points).argmax(axis=0), [0, 1]] if len(points) else np.ones(2)
    return points * np.where(far < 0, -1, 1)
