"""Rows for new tokens: mapped from pretrained vectors, combined from old rows, or the mean of a trained table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vecload.errors import OptionError
from vecload.layers.transfer.entries import Entries, without_unused
from vecload.layers.transfer.filling import distribution, unit_normal

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.vectors import Vectors


class NewRows:
    """New tokens and a rule to compute their rows in any table with the old rows.

    Parameters
    ----------
    tokens, ids
        The new tokens and their rows.
    vectors
        Vectors to map from; None without.
    known
        Words of the old rows, and their row numbers.
    entries
        Weights of the old rows in the row of each token; None without.
    noise, seed
        As for `extend_embedding`.

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
        *,
        entries: Entries | None,
        noise: float,
        seed: int,
    ) -> None:
        self.tokens, self.ids, self._vectors, self._noise, self._seed = tokens, ids, vectors, noise, seed
        self._entries = entries
        self.found = np.full(len(tokens), -1)
        self.combined = np.zeros(len(tokens), dtype=np.bool_)
        # Rows of the table, and rows of the vectors, that belong to the same words.
        self.shared = self._at = np.empty(0, dtype=np.int64)
        if entries is not None:
            self.combined[entries.rows] = True
        elif vectors is not None:
            self.found = _finite(vectors, tokens)
            at = _finite(vectors, list(known))
            self.shared, self._at = np.fromiter(known.values(), dtype=np.int64)[at >= 0], at[at >= 0]
            if not len(self.shared):
                raise OptionError("vectors and vocab have no token in common, so there is nothing to learn the map on")

    def rows_for(self, table: torch.nn.Embedding | torch.nn.Linear) -> torch.Tensor:
        """Return rows for the new tokens, shape (k, dim), of the dtype and device of a table."""
        weight = table.weight.detach()
        mean, deviation = distribution(weight, self._old(table))
        rows = np.tile(mean, (len(self.tokens), 1))
        if self._noise:
            rows += self._noise * deviation * unit_normal(self.tokens, len(mean), self._seed)
        if self._entries is not None:
            rows[self.combined] = self._combinations(weight)[self.combined]
        elif self._vectors is not None:
            target = weight[torch.from_numpy(self.shared)].double().cpu().numpy()
            mapping = np.linalg.lstsq(_with_constant(self._vectors.rows_at(self._at)), target, rcond=None)[0]
            found_here = self.found >= 0
            rows[found_here] = _with_constant(self._vectors.rows_at(self.found[found_here])) @ mapping
        return torch.from_numpy(rows).to(weight)

    def biases_for(self, table: torch.nn.Linear) -> torch.Tensor:
        """Return biases for the new tokens, shape (k,): combined like their rows, or the mean of the old ones."""
        bias = table.bias.detach()[:, None]
        values = np.full((len(self.tokens), 1), bias[torch.from_numpy(self._old(table))].double().mean().item())
        if self._entries is not None:
            values[self.combined] = self._combinations(bias)[self.combined]
        return torch.from_numpy(values[:, 0]).to(bias)

    def _old(self, table: torch.nn.Embedding | torch.nn.Linear) -> npt.NDArray[np.int64]:
        """Return the rows whose mean is that of the old rows.

        Rows that the tokenizer's new tokens have already (spare rows of a padded table) and the padding row would
        distort it.
        """
        return np.setdiff1d(np.arange(len(table.weight)), [*self.ids, *_padding(table)])

    def _combinations(self, table: torch.Tensor) -> npt.NDArray[np.float64]:
        assert self._entries is not None
        weights, used = without_unused(self._entries.csr((len(self.tokens), len(table))))
        old = table[torch.from_numpy(used.astype(np.int64))].double().cpu().numpy()
        rows: npt.NDArray[np.float64] = weights.astype(np.float64) @ old
        return rows


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
