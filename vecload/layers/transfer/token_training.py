"""`token_vectors`: train vectors of a tokenizer's tokens, as FOCUS needs them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from vecload.errors import OptionError, refuse_string, require
from vecload.progress import Bar, progress_bar
from vecload.text_input.texts import read_texts
from vecload.tokenizers.pieces import encode_ids
from vecload.tokenizers.token_forms import token_forms
from vecload.vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEXTS = 1 << 10
# gensim drops the rest of a sentence after this number of words.
_LONGEST = 10_000


def token_vectors(
    texts: Iterable[str] | os.PathLike[str],
    tokenizer: Any,
    dim: int = 100,
    *,
    window: int = 5,
    min_count: int = 2,
    epochs: int = 5,
    minn: int = 3,
    maxn: int = 6,
    bucket: int = 200_000,
    workers: int = 1,
    seed: int = 0,
    progress: bool | None = None,
) -> Vectors:
    """Train fastText vectors of tokens on texts that a tokenizer cuts, with gensim.

    They are auxiliary vectors for ``transfer_embedding(method="focus")``, with the target tokenizer and texts in the
    target language: tens of megabytes of text are enough.

    Parameters
    ----------
    texts
        Texts, or the path of a file with one text per line, JSON lines with a field "text", or Parquet.
    tokenizer
        As `target_tokenizer` of `transfer_embedding`.
    dim
        Number of values in a vector.
    window
        Number of tokens before and after a token that are its context.
    min_count
        Number of times that a token must occur to have a vector of its own. Others are composed from n-grams.
    epochs
        Number of passes over the texts.
    minn, maxn, bucket
        Numbers of characters in n-grams of the tokens' spelling, and number of their buckets.
    workers
        Number of threads. With more than one, the result depends on their timing.
    seed
        Seed of the training.
    progress
        Whether to show a bar; None shows it if standard error is a terminal.

    Returns
    -------
    Vectors
        float32, with the tokens as they are spelled as words, the most frequent first, and their n-grams.

    Raises
    ------
    OptionError
        If no token occurs `min_count` times.
    MissingDependencyError
        If gensim or the *tokenizers* library is not installed.

    Examples
    --------
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> tokenizer = Tokenizer(models.WordLevel({"a": 0, "cat": 1}))
    >>> tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    >>> token_vectors(["a cat", "a cat a"], tokenizer, dim=4, bucket=100)
    <Vectors: 2 words × 4 float32, gensim FastText>
    """
    fasttext = require("gensim.models.fasttext", "gensim")
    callbacks = require("gensim.models.callbacks", "gensim")
    forms = token_forms(tokenizer)
    if isinstance(texts, os.PathLike):
        texts = read_texts(texts, progress=progress)
    refuse_string("texts", texts)
    sentences = list(_sentences(texts, forms.backend, [token or "" for token in forms.tokens]))
    counts: dict[str, int] = {}
    for token in chain.from_iterable(sentences):
        counts[token] = counts.get(token, 0) + 1
    if max(counts.values(), default=0) < min_count:
        raise OptionError(f"no token occurs {min_count} times in the texts; pass more texts, or a lower min_count=")

    class Epochs(callbacks.CallbackAny2Vec):  # type: ignore[misc, name-defined]
        def __init__(self, bar: Bar) -> None:
            self._bar = bar

        def on_epoch_end(self, _model: Any) -> None:
            self._bar.advance(1)

    with progress_bar(epochs, unit="epochs", name="token vectors", shown=progress) as bar:
        model = fasttext.FastText(
            sentences,
            vector_size=dim,
            sg=1,
            window=window,
            min_count=min_count,
            epochs=epochs,
            min_n=minn,
            max_n=maxn,
            bucket=bucket,
            workers=workers,
            seed=seed,
            callbacks=[Epochs(bar)],
        )
    return Vectors.from_gensim(model)


def _sentences(texts: Iterable[str], backend: Any, names: list[str]) -> Iterator[list[str]]:
    """Yield the tokens of texts, at most `_LONGEST` at a time."""
    rest = iter(texts)
    # Names are looked up by id, so that all occurrences of a token are one string object.
    while batch := list(islice(rest, _TEXTS)):
        for ids in encode_ids(backend, batch):
            for begin in range(0, len(ids), _LONGEST):
                yield [names[row] for row in ids[begin : begin + _LONGEST]]
