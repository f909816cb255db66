"""Check and count the tokens of texts."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from vecload.errors import OptionError
from vecload.vocab.serialization import Parts
from vecload.vocab.specials import arrange_specials
from vecload.words import Words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from vecload.tokenizers import Tokenizer

_BATCH = 1024  # texts tokenized together


def tokens_of(texts: Iterable[str | Sequence[str]], tokenizer: Tokenizer) -> Iterator[Sequence[str]]:
    """Yield the tokens of each text; batches let tokenizers work on many texts at once."""
    stream = iter(texts)
    while batch := list(islice(stream, _BATCH)):
        yield from tokenizer.split(batch)


def checked_tokens(tokens: Iterable[str]) -> Iterator[str]:
    """Yield tokens, or raise OptionError for one that is not a string."""
    for token in tokens:
        if not isinstance(token, str):
            found = f"found {type(token).__name__}; from_texts accepts lists of tokens"
            raise OptionError(f"tokens must be strings: {found}")
        yield token


def most_frequent(
    counter: Mapping[str, int],
    *,
    min_freq: int,
    max_size: int | None,
    specials: Sequence[str],
    unk_token: str | None,
    pad_token: str | None,
) -> Parts:
    """Return the parts of the vocabulary of the most frequent words, special tokens first.

    Raises
    ------
    OptionError
        For a frequency below 1, or a size that is too small for the special tokens.
    """
    if min_freq < 1:
        raise OptionError(f"min_freq={min_freq} is less than 1")
    front, unk_token, pad_token = arrange_specials(specials, unk_token, pad_token)
    if max_size is not None and max_size < len(front):
        raise OptionError(f"max_size={max_size} is less than the number of specials, {len(front)}")
    taken = set(front)
    types = sorted(
        (word for word, count in counter.items() if count >= min_freq and word not in taken),
        key=lambda word: (-counter[word], word),
    )
    words = [*front, *types][:max_size]
    counts = np.array([counter.get(word, 0) for word in words], dtype=np.int64)
    return Parts(Words.from_strings(words), counts, tuple(front), unk_token, pad_token)
