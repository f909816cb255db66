"""Which rows of a vocabulary's matrix are special: shared by alignment and layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from vecload.vocab import Vocab


def special_rows(vocab: Vocab) -> npt.NDArray[np.bool_]:
    """Return which words are special tokens, bool, shape (n,)."""
    rows = [vocab.words.get(word) for word in (*vocab.specials, vocab.unk_token, vocab.pad_token) if word is not None]
    return np.isin(np.arange(len(vocab)), rows)
