"""Weights of the old rows in the rows of tokens that are added to a model: the initializers of `extend_embedding`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from vecload.errors import OptionError
from vecload.layers.transfer.arguments import check_given
from vecload.layers.transfer.entries import Entries, mean_entries
from vecload.layers.transfer.methods import Move, by_focus, by_pieces, by_pursuit
from vecload.tokenizers.pieces import Pieces
from vecload.tokenizers.token_forms import TokenForms, token_forms

if TYPE_CHECKING:
    from vecload.vectors import Vectors

Init = Literal["subwords", "focus", "omp", "mean", "description"]
"""Initializer of new tokens: see `extend_embedding`."""

# The arguments that an initializer needs, and those that it can use.
_ARGUMENTS: Final[Mapping[Any, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    None: ((), ("vectors",)),
    "focus": (("vectors",), ()),
    "omp": (("donor",), ("donor_tokenizer",)),
    "description": (("descriptions",), ()),
}


def check_init(init: Any, **given: Any) -> None:
    """Raise OptionError for an unknown initializer, and for arguments that it needs or does not use."""
    if init is not None and init not in get_args(Init):
        raise OptionError(f"unknown init {init!r}; choose from: {', '.join(get_args(Init))}")
    needed, optional = _ARGUMENTS.get(init, ((), ()))
    check_given(f"init={init!r}", needed, optional, given)


def init_entries(
    init: Init,
    tokens: Sequence[str],
    ids: npt.NDArray[np.int64],
    rows: int,
    vocab: Any,
    *,
    vectors: Vectors | None = None,
    donor: Any = None,
    donor_tokenizer: Any = None,
    descriptions: Mapping[str, str] | None = None,
) -> Entries:
    """Return the weights of old rows in each new one: row i is that of the i-th token.

    Parameters
    ----------
    init
        Initializer, except "mean".
    tokens, ids
        The new tokens and their ids.
    rows
        Number of old rows.
    vocab
        Tokenizer of the model, to which the tokens were added.
    vectors, donor, donor_tokenizer, descriptions
        As for `extend_embedding`.

    Raises
    ------
    OptionError
        If an argument does not fit the tokens.
    """
    if isinstance(vocab, (list, tuple)) or vocab is None:
        raise OptionError(f"init={init!r} needs vocab=, the tokenizer of the model, to which the tokens were added")
    forms = token_forms(vocab, "vocab")
    known = np.setdiff1d(forms.ids[forms.ids < rows], ids)
    at = np.full(len(forms), -1)
    at[known] = known
    move = Move(forms, _as_words(forms, tokens, ids), at, ids)
    order = np.full(len(forms), -1)
    order[ids] = np.arange(len(ids))
    if init == "focus":
        assert vectors is not None
        made = by_focus(move, vectors, None)
    elif init == "omp":
        made = by_pursuit(move, donor, donor_tokenizer, None)
    elif init == "description":
        pieces = Pieces(forms)
        texts = _described(tokens, descriptions)
        parts = [pieces.of_description(text, without=np.flatnonzero(at < 0)) for text in texts]
        return mean_entries(parts)
    else:
        made = by_pieces(move, ids)
    return made.renamed(order)


def _as_words(forms: TokenForms, tokens: Sequence[str], ids: npt.NDArray[np.int64]) -> TokenForms:
    """Return the forms with new tokens as whole words: an added token is plain text, without the mark of a word."""
    texts = list(forms.texts)
    for token, row in zip(tokens, ids.tolist(), strict=True):
        raw = token.encode("utf-8", "surrogateescape")
        texts[row] = b" " + raw if token[:1].isalnum() else raw
    return replace(forms, texts=texts, special=forms.special - set(ids.tolist()))


def _described(tokens: Sequence[str], descriptions: Mapping[str, str] | None) -> list[str]:
    found = descriptions or {}
    absent = [token for token in tokens if not isinstance(found.get(token), str)]
    if absent:
        raise OptionError(f"descriptions has no text for {absent[0]!r}; pass one for each new token")
    return [found[token] for token in tokens]
