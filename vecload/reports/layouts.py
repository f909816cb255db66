"""Layouts of a map: rows of many values to points of two."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vecload.errors import OptionError, require

if TYPE_CHECKING:
    import numpy.typing as npt

Layout = Literal["pca", "umap", "tsne"]

# UMAP and t-SNE compare each word with others, which needs a few of them.
_FEWEST = 5


def check_layout(layout: str) -> None:
    """Check that a layout exists and that the package it needs is installed.

    Raises
    ------
    OptionError
        For an unknown layout.
    MissingDependencyError
        If umap-learn ("umap") or scikit-learn ("tsne") is not installed.
    """
    if layout not in get_args(Layout):
        raise OptionError(f"layout={layout!r} is not one of {', '.join(map(repr, get_args(Layout)))}")
    if layout == "tsne":
        require("sklearn", "sklearn")
    if layout == "umap":
        # The package is not imported here, because that takes seconds; it is imported when the layout is computed.
        import importlib.util

        if importlib.util.find_spec("umap") is None:
            require("umap", "umap")


def place(rows: npt.NDArray[Any], layout: Layout = "pca", seed: int = 0) -> npt.NDArray[np.float32]:
    """Return a point for each row, float32, shape (n, 2).

    Parameters
    ----------
    rows
        Rows at unit length, shape (n, dim). Values that are not finite count as 0.
    layout
        "pca": the two axes of greatest variance. "umap" and "tsne" keep neighbors together instead of distances.
        Fewer than five rows are always placed by "pca".
    seed
        Seed of "umap" and "tsne".

    Examples
    --------
    >>> place(np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 0]])).shape
    (3, 2)
    """
    wide = np.nan_to_num(rows.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if len(wide) < _FEWEST or layout == "pca":
        return _pca(wide)
    with warnings.catch_warnings():
        # Both libraries warn about their own settings, such as the single thread that a seed implies.
        warnings.simplefilter("ignore")
        if layout == "umap":
            umap = require("umap", "umap")
            near = min(15, len(wide) - 1)
            # The spectral start needs more rows than this; a random one is seeded just the same.
            start = "spectral" if len(wide) > 4 * near else "random"
            model = umap.UMAP(n_neighbors=near, metric="cosine", init=start, random_state=seed, n_jobs=1)
        else:
            manifold = require("sklearn.manifold", "sklearn")
            perplexity = min(30.0, (len(wide) - 1) / 3)
            model = manifold.TSNE(metric="cosine", init="random", perplexity=perplexity, random_state=seed)
        points = np.asarray(model.fit_transform(wide), dtype=np.float32)
    return np.nan_to_num(points)


def _pca(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Project rows on their two axes of greatest variance.

    The eigenvectors of the smaller of the two product matrices give the axes: of 10,000 rows of 300 values that is
    a matrix of 300 × 300. An axis may point either way, so the farthest word is put on its positive side, and a page
    looks the same every time.
    """
    centered = rows.astype(np.float64)
    centered -= centered.mean(axis=0) if len(centered) else 0
    count, dim = centered.shape
    points = np.zeros((count, 2))
    if dim <= count:
        _, axes = np.linalg.eigh(centered.T @ centered)
        found = centered @ axes[:, ::-1][:, :2]
    else:
        values, axes = np.linalg.eigh(centered @ centered.T)
        found = (axes * np.sqrt(np.maximum(values, 0)))[:, ::-1][:, :2]
    points[:, : found.shape[1]] = found
    far = points[np.abs(points).argmax(axis=0), [0, 1]] if count else np.ones(2)
    return (points * np.where(far < 0, -1, 1)).astype(np.float32)
