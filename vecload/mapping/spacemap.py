"""`SpaceMap`: a linear map from one space of vectors onto another, kept as a value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from vecload.arrays import row_blocks
from vecload.catalog.hugging_face import local_path
from vecload.errors import OptionError
from vecload.mapping.normalization import Normalization
from vecload.saved import open_saved, write_saved
from vecload.saved.schemas import SPACE_MAP
from vecload.vectors import Vectors

# Rows that are mapped at a time. Products depend on it in their last digit.
_ROWS = 1 << 14


@dataclass(frozen=True, eq=False, repr=False)
class SpaceMap:
    """A linear map from one space of vectors onto another; made by `map_spaces`.

    Parameters
    ----------
    source, target
        Normalization of the rows of each side.
    matrix
        Matrix that normalized source rows are multiplied by, float64, shape (source dim, dim).
    target_matrix
        The same for target rows, shape (target dim, dim); None if they are not multiplied.
    method
        Method by which the map was learned.
    info
        Number of pairs that it was learned from, and other details.

    Notes
    -----
    `apply` and `apply_target` map source and target words into a common space, where they can be compared by cosine.
    This is the target space itself, unless target rows are scaled to unit length or multiplied by a matrix.
    """

    source: Normalization
    target: Normalization
    matrix: npt.NDArray[np.float64]
    target_matrix: npt.NDArray[np.float64] | None
    method: str
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "info", MappingProxyType(dict(self.info)))

    def apply(self, vectors: Vectors) -> Vectors:
        """Map source vectors into the common space: float32, the same words.

        Raises
        ------
        OptionError
            If the vectors have another dimension than the source space.
        """
        # In a target space that was only centered, mapped rows get its mean back.
        shift = self.target.shift if self._raw_target else None
        return self._moved(vectors, self.source, self.matrix, shift)

    def apply_target(self, vectors: Vectors) -> Vectors:
        """Map target vectors into the common space: float32, the same words.

        Raises
        ------
        OptionError
            If the vectors have another dimension than the target space.
        """
        if self._raw_target:
            self._check(vectors, self.target)
            return vectors
        return self._moved(vectors, self.target, self.target_matrix, None)

    @property
    def _raw_target(self) -> bool:
        """Whether the common space is the target space itself."""
        return self.target.linear and self.target_matrix is None

    def inverse(self) -> SpaceMap:
        """Return the map from target to source, by the (pseudo-)inverse matrix.

        It restores directions. Norms that a "unit" step removed are not restored.
        """
        # A target that is multiplied too is first brought into the common space, and from there back to the source.
        back: npt.NDArray[Any] = np.linalg.pinv(self.matrix)
        if self.target_matrix is not None:
            back = self.target_matrix @ back
        return SpaceMap(self.target, self.source, back, None, self.method, {**self.info, "inverse": True})

    def _check(self, vectors: Vectors, side: Normalization) -> None:
        if vectors.dim != side.means.shape[1]:
            raise OptionError(
                f"this side of the map has {side.means.shape[1]} dimensions, the vectors have {vectors.dim}"
            )

    def _moved(
        self,
        vectors: Vectors,
        side: Normalization,
        matrix: npt.NDArray[np.float64] | None,
        shift: npt.NDArray[np.float64] | None,
    ) -> Vectors:
        self._check(vectors, side)
        single = None if matrix is None else matrix.astype(np.float32)
        dim = vectors.dim if single is None else single.shape[1]
        stored = vectors.unique_rows
        moved = np.empty((len(stored), dim), dtype=np.float32)
        for at in row_blocks(len(stored), _ROWS):
            rows = side.apply(stored[at])
            if single is not None:
                rows = rows @ single
            if shift is not None:
                rows += shift.astype(np.float32)
            moved[at] = rows
        meta = {**vectors.meta, "mapped": self.method}
        return Vectors(vectors.words, moved, meta, history=vectors.history, row_ids=vectors.row_ids)

    def __reduce__(self) -> tuple[Any, ...]:
        # The mapping proxy of `info` cannot be pickled.
        return SpaceMap, (self.source, self.target, self.matrix, self.target_matrix, self.method, dict(self.info))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file that `load` reads."""
        tensors = {
            "matrix": self.matrix,
            "source.means": self.source.means,
            "target.means": self.target.means,
        }
        if self.target_matrix is not None:
            tensors["target_matrix"] = self.target_matrix
        kept = {
            "method": self.method,
            "info": dict(self.info),
            "source": self.source.steps,
            "target": self.target.steps,
        }
        write_saved(path, SPACE_MAP, tensors, kept)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SpaceMap:
        """Read a file that `save` wrote.

        Raises
        ------
        FormatError
            If the file is damaged, or of another kind.
        """
        with open_saved(local_path(path), SPACE_MAP) as (tensors, kept):
            source, target = (
                Normalization(tuple(kept[side]), tensors[f"{side}.means"]) for side in ("source", "target")
            )
            return cls(source, target, tensors["matrix"], tensors.get("target_matrix"), kept["method"], kept["info"])

    def __repr__(self) -> str:
        pairs = self.info.get("pairs")
        learned = "" if pairs is None else f" from {pairs:,} pairs"
        return f"<SpaceMap: {self.source.means.shape[1]} → {self.matrix.shape[1]}, {self.method}{learned}>"
