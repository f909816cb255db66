"""Find the rows of new tokens, and the tokens that a model knows already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vecload.errors import OptionError

if TYPE_CHECKING:
    import numpy.typing as npt

# Byte-level BPE and SentencePiece mark where a word begins, WordPiece where it continues.
_WORD_STARTS = ("Ġ", "▁")


@dataclass(frozen=True)
class NewTokens:
    """New tokens of a table.

    Parameters
    ----------
    tokens, ids
        The new tokens and their rows, int64, shape (k,).
    skipped
        Tokens that the model knows already.
    words
        Words of the old rows, and their row numbers.
    """

    tokens: list[str]
    ids: npt.NDArray[np.int64]
    skipped: tuple[str, ...]
    words: dict[str, int]


def place_tokens(tokens: list[str], vocab: Any, rows: int, known: Literal["raise", "skip"]) -> NewTokens:
    """Find the rows of new tokens in a table of `rows` rows, and refuse or skip those that the model knows.

    Raises
    ------
    OptionError
        For a token that the tokenizer does not have, or the model knows; for a vocabulary of another size.
    """
    if hasattr(vocab, "get_added_vocab"):
        full, added = vocab.get_vocab(), vocab.get_added_vocab()
        for token in tokens:
            if token not in full:
                raise OptionError(f"{token!r} was not added to the tokenizer: tokenizer.add_tokens(new_tokens) first")
        trained = _trained(tokens, full, vocab.vocab_size, rows)
        old = {token: row for token, row in full.items() if row < rows and (token not in added or token in trained)}
        new = _without(tokens, trained, known)
        ids = [full[token] for token in new]
        words = _surfaces(old, vocab)
    else:
        listed = list(vocab or ())
        if listed and len(listed) != rows:
            raise OptionError(f"vocab has {len(listed):,} words for the {rows:,} old rows")
        words = {word: row for row, word in enumerate(listed)}
        trained = {token: words[token] for token in tokens if token in words}
        new = _without(tokens, trained, known)
        ids = list(range(rows, rows + len(new)))
    return NewTokens(new, np.array(ids, dtype=np.int64), tuple(trained), words)


def _trained(tokens: list[str], vocab: dict[str, int], size: int, rows: int) -> dict[str, int]:
    """Return the given tokens that a model with the given number of rows knows, and their rows.

    ``add_tokens`` keeps the id of a token that exists already, without a message. The last ids of the vocabulary belong
    to the tokens that were added last. They may have rows, since many tables are larger than their vocabulary.
    """
    # From the last id down: as long as ids belong to given tokens and are outside of the tokenizer's own vocabulary,
    # they are new. Every given token before them existed when the model was trained.
    given = set(tokens)
    first = max(vocab.values()) + 1
    for token, row in sorted(vocab.items(), key=lambda item: -item[1]):
        if token not in given or row < size:
            break
        first = row
    return {token: vocab[token] for token in tokens if vocab[token] < min(first, rows)}


def _without(tokens: list[str], trained: dict[str, int], known: str) -> list[str]:
    if trained and known == "raise":
        token, row = next(iter(trained.items()))
        raise OptionError(
            f"the model knows {token!r} already, and its row {row:,} would be overwritten: remove the token from the "
            "list, or pass known='skip'"
        )
    return [token for token in tokens if token not in trained]


def _surfaces(vocab: dict[str, int], tokenizer: Any) -> dict[str, int]:
    """Return the whole words among a tokenizer's tokens, as they are written, and the first row of each."""
    marked = any(token.startswith(_WORD_STARTS) and len(token) > 1 for token in vocab)
    words: dict[str, int] = {}
    for token, row in sorted(vocab.items(), key=lambda item: item[1]):
        if token.startswith(_WORD_STARTS) if marked else not token.startswith("##"):
            words.setdefault(tokenizer.convert_tokens_to_string([token]).strip(), row)
    words.pop("", None)
    return words
