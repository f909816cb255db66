"""Rows for new tokens, mapped from pretrained vectors or averaged from the rows of a trained table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vecload.errors import OptionError
from vecload.oov import Found, normal

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.vectors import Vectors


class NewRows:
    """New tokens and a rule to compute their rows in any table with the old rows.

    Raises
    ------
    OptionError
        If the vectors and the known words have nothing in common to learn the map on.
    """

    def __init__(
        self,
        tokens: list[str],
        ids: npt.NDArray[np.int64],
        vectors: Vectors | None,
        known: dict[str, int],
        noise: float,
        seed: int,
    ) -> None:
        self.tokens, self.ids, self._vectors, self._noise, self._seed = tokens, ids, vectors, noise, seed
        self.found = np.full(len(tokens), -1)
        # Rows of the table, and rows of the vectors, that belong to the same words.
        self.shared = self._at = np.empty(0, dtype=np.int64)
        if vectors is not None:
            self.found = _finite(vectors, tokens)
            at = _finite(vectors, list(known))
            self.shared, self._at = np.fromiter(known.values(), dtype=np.int64)[at >= 0], at[at >= 0]
            if not len(self.shared):
                raise OptionError("vectors and vocab have no token in common, so there is nothing to learn the map on")

    def rows_for(self, table: torch.nn.Embedding | torch.nn.Linear) -> torch.Tensor:
        """Return rows for the new tokens, shape (k, dim), of the dtype and device of a table."""
        # Rows that the tokenizer's new tokens have already (spare rows of a padded table) and the padding row would
        # distort the mean of the old rows.
        old = table.weight.detach().float().cpu().numpy()
        old = np.delete(old, [*self.ids[self.ids < len(old)], *_padding(table)], axis=0)
        seen = Found(old, len(old), old.shape[1])
        draws = normal(0.0, 1.0).fill(self.tokens, seen, self._seed)
        rows = seen.mean + self._noise * seen.deviation * draws
        if self._vectors is not None:
            target = table.weight.detach()[torch.from_numpy(self.shared)].double().cpu().numpy()
            mapping = np.linalg.lstsq(_with_constant(self._vectors.rows_at(self._at)), target, rcond=None)[0]
            found_here = self.found >= 0
            rows[found_here] = _with_constant(self._vectors.rows_at(self.found[found_here])) @ mapping
        return torch.from_numpy(rows).to(table.weight)


def _finite(vectors: Vectors, words: list[str]) -> npt.NDArray[np.int64]:
    """Return the row of each word, or -1 if it is missing or not finite.

    One NaN would make the whole map NaN.
    """
    rows = vectors.words.lookup(words)
    there = np.flatnonzero(rows >= 0)
    rows[there[~np.isfinite(vectors.rows_at(rows[there])).all(axis=1)]] = -1
    return rows


def _with_constant(rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.concatenate([rows.astype(np.float64), np.ones((len(rows), 1))], axis=1)


def _padding(table: torch.nn.Embedding | torch.nn.Linear) -> list[int]:
    row = getattr(table, "padding_idx", None)
    return [] if row is None else [row]
