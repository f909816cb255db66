"""Composers: steps that compute the row of a word from its character n-grams, its parts, or its subwords."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from vecload.errors import OptionError
from vecload.oov.steps import Composition, Lookup

if TYPE_CHECKING:
    import numpy.typing as npt


def ngrams() -> Composition:
    """Compose rows from character n-grams, by the table of the vectors (fastText ``.bin`` and ``.ftz``, floret).

    Vectors without an n-gram table leave every word to the next step.
    """
    return Composition("ngrams", _from_ngrams)


def _from_ngrams(words: list[str], lookup: Lookup) -> npt.NDArray[np.float64]:
    return lookup.ngrams(words)


def mean_of_parts(split: Callable[[str], Sequence[str]] | None = None) -> Composition:
    """Compose rows as means of the rows of the word's parts, each under the spellings of the chain.

    Parts that the vectors do not have are ignored.

    Parameters
    ----------
    split
        Function that returns the parts of a word; None cuts at ``_``, ``-``, white space and camel case.

    Examples
    --------
    >>> mean_of_parts().parts("state-of_the artHTTPServer")
    ['state', 'of', 'the', 'art', 'HTTP', 'Server']
    """
    return _mean("mean-of-parts", _split if split is None else split)


def subwords(tokenizer: Any) -> Composition:
    """Compose rows as means of the rows of the word's subwords by a Hugging Face tokenizer.

    Parameters
    ----------
    tokenizer
        A ``tokenizers.Tokenizer``, or one of ``transformers``. Subwords are looked up as they are written in the word,
        without the marks of the tokenizer: "##ing" as "ing".

    Raises
    ------
    OptionError
        For any other tokenizer.
    """
    fast = getattr(tokenizer, "backend_tokenizer", tokenizer)
    # Partial functions instead of closures, so that the step can be pickled.
    if hasattr(fast, "get_added_tokens_decoder"):  # a tokenizers.Tokenizer, whose offsets are positions in the word
        return _mean("subword-composition", partial(_pieces_by_offset, fast))
    if hasattr(tokenizer, "convert_tokens_to_string"):
        return _mean("subword-composition", partial(_pieces_by_mark, tokenizer))
    raise OptionError(f"oov: subwords needs a Hugging Face tokenizer, got {type(tokenizer).__name__}")


def _pieces_by_offset(tokenizer: Any, word: str) -> Sequence[str]:
    pieces = (word[begin:end].strip() for begin, end in tokenizer.encode(word, add_special_tokens=False).offsets)
    return [piece for piece in pieces if piece]


def _pieces_by_mark(tokenizer: Any, word: str) -> Sequence[str]:
    pieces = (tokenizer.convert_tokens_to_string([token]).strip() for token in tokenizer.tokenize(word))
    return [piece.removeprefix("##") for piece in pieces if piece]


def _mean(name: str, split: Callable[[str], Sequence[str]]) -> Composition:
    return Composition(name, partial(_mean_rows, split), split)


def _mean_rows(split: Callable[[str], Sequence[str]], words: list[str], lookup: Lookup) -> npt.NDArray[np.float64]:
    """Return the mean row of the known parts of each word; NaN where it has none."""
    parts = [split(word) for word in words]
    rows = lookup.rows([part for some in parts for part in some])
    known = np.asarray(np.isfinite(rows).all(axis=1))
    ends = np.cumsum([0, *map(len, parts)]).tolist()
    means = np.full((len(words), rows.shape[1]), np.nan)
    for at, (begin, end) in enumerate(pairwise(ends)):
        some = rows[begin:end][known[begin:end]]
        if len(some):
            means[at] = some.mean(axis=0)
    return means


def _split(word: str) -> list[str]:
    return [part for piece in re.split(r"[\s_-]+", word) for part in _humps(piece)]


def _humps(piece: str) -> list[str]:
    """Return the parts of a word in camel case.

    A part begins at a capital after a small letter, and at the last capital before a small letter: "HTTPServer" has
    the parts "HTTP" and "Server".
    """
    starts = [0]
    for at in range(1, len(piece)):
        ends_small = at + 1 < len(piece) and piece[at + 1].islower()
        if piece[at].isupper() and (piece[at - 1].islower() or (piece[at - 1].isupper() and ends_small)):
            starts.append(at)
    return [piece[begin:end] for begin, end in pairwise([*starts, len(piece)]) if begin < end]


COMPOSITIONS = {"ngrams": ngrams, "mean-of-parts": mean_of_parts}
