"""Tokens of texts, checked before they are counted."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from vecload.errors import OptionError
from vecload.tokenizers import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_BATCH = 1024  # texts tokenized together


def tokens_of(texts: Iterable[str | Sequence[str]], tokenize: Any) -> Iterator[Sequence[str]]:
    """Yield the tokens of each text; batches let tokenizers work on many texts at once."""
    tokenizer, stream = Tokenizer.of(tokenize), iter(texts)
    while batch := list(islice(stream, _BATCH)):
        yield from tokenizer.split(batch)


def checked_tokens(tokens: Iterable[str]) -> Iterator[str]:
    """Yield tokens, or raise OptionError for one that is not a string."""
    for token in tokens:
        if not isinstance(token, str):
            found = f"found {type(token).__name__}; from_texts accepts lists of tokens"
            raise OptionError(f"tokens must be strings: {found}")
        yield token
