"""Several sources merged into one space: meta-embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from vecload.arrays import scale_to_unit
from vecload.attribution import joint_license, public_source
from vecload.errors import OptionError, VocabularyError
from vecload.vectors import Vectors
from vecload.words import Words

Combine = Literal["first", "average", "concatenate", "svd"]


def merge(
    sources: Sequence[Vectors],
    combine: Combine = "concatenate",
    *,
    dim: int | None = None,
    words: Literal["common", "all"] = "common",
) -> Vectors:
    """Merge several sources into one space, after scaling their rows to unit length.

    Parameters
    ----------
    sources
        Two or more spaces.
    combine
        - "concatenate": put the rows of a word side by side.
        - "first": take the row of the first source that has the word. Useful with ``words="all"``, for sources in one
          space.
        - "average": the mean over the sources that have the word, with shorter rows padded with zeros (Coates and
          Bollegala, "Frustratingly easy meta-embedding", NAACL 2018).
        - "svd": the first `dim` singular directions of the concatenation (Yin and Schütze, "Learning word
          meta-embeddings", ACL 2016).
    dim
        Number of directions for "svd"; None for the largest dimension of the sources.
    words
        "common": words of all sources, in the order of the first source. "all": words of any source, in the order in
        which they occur; a source that lacks a word counts as zeros.

    Raises
    ------
    OptionError
        For fewer than two sources, rows with NaN or infinity, invalid options, and sources of different dimensions with
        "first".
    VocabularyError
        If the sources have no word in common.

    Examples
    --------
    >>> a = Vectors(["cat", "dog"], np.array([[3, 4], [0, 2]], dtype="float32"))
    >>> b = Vectors(["dog", "cow"], np.array([[5], [1]], dtype="float32"))
    >>> merge([a, b]).matrix.tolist(), list(merge([a, b], words="all"))
    ([[0.0, 1.0, 1.0]], ['cat', 'dog', 'cow'])
    >>> c = Vectors(["dog", "cow"], np.array([[1, 0], [3, 0]], dtype="float32"))
    >>> merge([a, c], "first", words="all").matrix.round(1).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 1.0], [1.0, 0.0]]
    """
    if len(sources) < 2:
        raise OptionError(f"merge needs two or more sources, got {len(sources)}")
    for name, value, known in (("combine", combine, get_args(Combine)), ("words", words, ("common", "all"))):
        if value not in known:
            raise OptionError(f"{name}={value!r} is not one of {', '.join(map(repr, known))}")
    dims = [source.dim for source in sources]
    if combine == "first" and len(set(dims)) > 1:
        raise OptionError(f"combine='first' needs sources of the same dimension, got {dims}")
    if not all(np.isfinite(source.norms).all() for source in sources):
        raise OptionError("rows with NaN or infinity cannot be merged; remove them first")
    if words == "all":
        listed = Words.from_strings(dict.fromkeys(word for source in sources for word in source.words))
    else:
        common = np.all([source.words.lookup(sources[0].words) >= 0 for source in sources], axis=0)
        listed = sources[0].words.take(np.flatnonzero(common))
    if not len(listed):
        raise VocabularyError(f"{len(sources)} sources have no word in common")
    width = max(dims)
    # Whether all sources are added to the same columns.
    overlaid = combine in ("first", "average")
    merged = np.zeros((len(listed), width if overlaid else sum(dims)), dtype=np.float32)
    count = np.zeros(len(listed), dtype=np.float32)
    begin = 0
    for source in sources:
        rows = source.words.lookup(listed)
        part = source.rows_at(rows).astype(np.float32)
        # Row -1, the last one, was gathered for missing words.
        part[(rows < 0) | (count > 0) if combine == "first" else rows < 0] = 0
        scale_to_unit(part)
        merged[:, begin : begin + source.dim] += part
        count += rows >= 0
        begin += 0 if overlaid else source.dim
    if combine == "average":
        merged /= count[:, None]
    if combine == "svd":
        merged = _singular_directions(merged, width if dim is None else dim)
    elif dim is not None:
        raise OptionError(f"dim is for combine='svd', not for {combine!r}")
    meta: dict[str, Any] = {"merged": [public_source(source.meta) for source in sources], "combine": combine}
    meta.update(joint_license(source.meta for source in sources))
    return Vectors(listed, merged, meta)


def _singular_directions(rows: npt.NDArray[np.float32], dim: int) -> npt.NDArray[Any]:
    """Return rows in the coordinates of their first right singular vectors, shape (n, dim).

    These are the eigenvectors of rowsᵀ rows, a small matrix. Their signs are arbitrary, so the largest value of each is
    made positive, and results do not depend on the LAPACK in use.
    """
    if not 1 <= dim <= rows.shape[1]:
        raise OptionError(f"dim={dim} is not between 1 and {rows.shape[1]}, the number of directions")
    _, axes = np.linalg.eigh((rows.T @ rows).astype(np.float64))
    axes = axes[:, ::-1][:, :dim]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(dim)])
    projected: npt.NDArray[Any] = rows @ axes.astype(np.float32)
    return projected
