"""Methods that make the rows of new tokens from the rows of old ones: subwords, FOCUS, WECHSEL, matching pursuit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vecload.arrays import scale_to_unit
from vecload.errors import OptionError
from vecload.layers.model_tables import tables_of
from vecload.layers.transfer.auxiliary import TokenRows, has_token_spellings, rows_from_words, token_rows
from vecload.layers.transfer.entries import (
    Entries,
    mean_entries,
    pursuit_entries,
    softmax_entries,
    sparsemax_entries,
)
from vecload.tokenizers.pieces import Pieces
from vecload.tokenizers.token_alignment import align_tokens
from vecload.tokenizers.token_forms import token_forms
from vecload.vectors import Vectors

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.mapping import SpaceMap
    from vecload.tokenizers.token_forms import TokenForms

    Ids = npt.NDArray[np.int64]

# Number of nearest tokens in WECHSEL, and of atoms in matching pursuit, as in the papers.
NEAREST = 10
ATOMS = 64


@dataclass(frozen=True, eq=False)
class Move:
    """Tokens whose rows are needed, and tokens that have them.

    Parameters
    ----------
    source, target
        Tokens of the old and the new table.
    at
        Old row of each new one, or -1: int64, shape (len(target),).
    new
        Rows to make: int64, shape (k,).
    progress
        Whether to show bars; None shows them if standard error is a terminal.
    """

    source: TokenForms
    target: TokenForms
    at: Ids
    new: Ids
    progress: bool | None = None

    @property
    def shared(self) -> Ids:
        """New rows that have an old one, without special tokens."""
        rows = np.flatnonzero(self.at >= 0)
        return rows[~np.isin(rows, list(self.target.special))]


def by_pieces(move: Move, rows: Ids) -> Entries:
    """Return equal weights over the pieces of each token: FVT (Gee et al., EMNLP 2022 Industry Track)."""
    pieces = Pieces(move.source)
    parts = [pieces.of_text(move.target.texts[row] or b"") for row in rows.tolist()]
    return mean_entries(parts).renamed(rows)


def by_focus(move: Move, vectors: Vectors, k: int | None) -> Entries:
    """Return sparsemax weights over the shared tokens.

    Raises
    ------
    OptionError
        If the vectors do not fit the tokens.
    """
    _need_shared(move)
    found = token_rows(vectors, move.target)
    asked, anchors = found.among(move.new), found.among(move.shared)
    if len(move.new) and vectors.ngrams is None and 2 * len(asked.ids) < len(move.new):
        kind = "tokens" if has_token_spellings(vectors, move.target) else "words"
        raise OptionError(
            f"the vectors of {kind} have no n-grams, and rows for only {len(asked.ids):,} of the {len(move.new):,} new "
            "tokens: pass a fastText model with n-grams, or train vectors of tokens with vecload.layers.token_vectors"
        )
    if not len(anchors.ids):
        raise OptionError(
            f"none of the {len(move.shared):,} shared tokens has an auxiliary vector, so there is nothing to combine; "
            "pass vectors of the target language, or train them with vecload.layers.token_vectors"
        )
    # Both are copies, which may be changed; another copy of each would be among the largest arrays.
    del found
    scale_to_unit(asked.rows)
    scale_to_unit(anchors.rows)
    made = sparsemax_entries(asked.rows, anchors.rows, k, progress=move.progress)
    return made.renamed(asked.ids, move.at[anchors.ids])


def by_wechsel(
    move: Move, vectors: Vectors, source_vectors: Vectors, space_map: SpaceMap | None, k: int | None, temperature: float
) -> Entries:
    """Return softmax weights over the nearest source tokens in a space that both languages share.

    Raises
    ------
    OptionError
        If the vectors do not fit each other or the tokens.
    """
    here = _in_one_space(vectors, move.target, progress=move.progress)
    there = _in_one_space(source_vectors, move.source, progress=move.progress)
    if space_map is not None:
        there = _mapped(there, space_map.apply)
        here = _mapped(here, space_map.apply_target)
    if here.rows.shape[1] != there.rows.shape[1]:
        raise OptionError(
            f"vectors of {here.rows.shape[1]} values cannot be compared with source_vectors of {there.rows.shape[1]}: "
            "pass space_map=vecload.map_spaces(source_vectors, vectors, ...)"
        )
    asked = here.among(move.new)
    for name, found in (("target", asked if len(move.new) else here), ("source", there)):
        if not len(found.ids):
            raise OptionError(
                f"no token of the {name} tokenizer has an auxiliary vector: pass vectors of the {name} language"
            )
    del here
    made = softmax_entries(asked.rows, there.rows, k or NEAREST, temperature, progress=move.progress)
    return made.renamed(asked.ids, there.ids)


def _in_one_space(vectors: Vectors, forms: TokenForms, *, progress: bool | None) -> TokenRows:
    if vectors.ngrams is None and not has_token_spellings(vectors, forms):
        return rows_from_words(vectors, forms, progress=progress)
    return token_rows(vectors, forms)


def _mapped(found: TokenRows, apply: Any) -> TokenRows:
    names = [str(row) for row in found.ids.tolist()]
    return TokenRows(found.ids, apply(Vectors(names, found.rows)).matrix.astype(np.float32))


def by_pursuit(move: Move, donor: Any, donor_tokenizer: Any, k: int | None) -> Entries:
    """Return the coefficients by which shared tokens approximate each new token in a donor model.

    Raises
    ------
    OptionError
        If the donor does not fit its tokenizer, or does not have the tokens.
    """
    _need_shared(move)
    tokens = move.target if donor_tokenizer is None else token_forms(donor_tokenizer, "donor_tokenizer")
    table = _donor_table(donor)
    if len(table) < len(tokens):
        raise OptionError(
            f"the donor has {len(table):,} rows, and its tokenizer has ids up to {len(tokens) - 1:,}: pass the "
            "donor's tokenizer as donor_tokenizer="
        )
    same = np.arange(len(tokens)) if tokens is move.target else align_tokens(tokens, move.target)

    def rows_of(ids: Ids) -> tuple[Ids, npt.NDArray[np.float32]]:
        ids = ids[same[ids] >= 0]
        rows = table[torch.from_numpy(same[ids])].detach().float().cpu().numpy()
        usable = np.isfinite(rows).all(axis=1) & rows.any(axis=1)
        return ids[usable], rows[usable]

    anchors, atoms = rows_of(move.shared)
    asked, targets = rows_of(move.new)
    if not len(anchors):
        raise OptionError("the donor has none of the tokens that both tokenizers share, so there is nothing to combine")
    if len(move.new) and not len(asked):
        raise OptionError(f"the donor has none of the {len(move.new):,} new tokens; pass a model that knows them")
    return pursuit_entries(targets, atoms, k or ATOMS, progress=move.progress).renamed(asked, move.at[anchors])


def _donor_table(donor: Any) -> torch.Tensor:
    layer, _ = tables_of(donor)
    table = getattr(layer, "weight", donor)
    if isinstance(table, np.ndarray):
        table = torch.from_numpy(table)
    if not isinstance(table, torch.Tensor) or table.ndim != 2:
        raise OptionError(f"donor must be a model, an embedding layer or a matrix, got {type(donor).__name__}")
    return table


def _need_shared(move: Move) -> None:
    if not len(move.shared):
        raise OptionError(
            "the tokenizers share no ordinary token, so there are no rows to combine: pass overlap='fuzzy', or use "
            "method='wechsel' or method='subwords'"
        )
