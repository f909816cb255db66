"""A string in place of a list of strings raises the same error everywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import vecload
from vecload import NgramTable, SentencePooler, Vectors, Vocab, Words, align, evaluate, load
from vecload.errors import OptionError
from vecload.mapping import map_series, stability
from vecload.transforms import transform
from vecload.transforms.pruning import prune

VECTORS = Vectors(["the", "cat", "dog"], np.eye(3, dtype=np.float32))
VOCAB = Vocab.from_words(["the", "cat"], unk_token="<unk>")
NGRAMS = NgramTable(np.eye(4, dtype=np.float32), minn=1, maxn=2, bucket=4)

CALLS: dict[str, tuple[str, Callable[[str], object]]] = {
    "Vocab.from_texts": ("texts", Vocab.from_texts),
    "Vocab.from_tokens": ("tokens", Vocab.from_tokens),
    "Vocab.from_words": ("words", Vocab.from_words),
    "Vocab.from_vectors": ("words", Vocab.from_vectors),
    "Vocab.encode": ("tokens", VOCAB.encode),
    "Vocab.decode": ("ids", VOCAB.decode),  # type: ignore[arg-type]
    "specials": ("specials", lambda text: Vocab.from_words(["a"], specials=text)),
    "Vocab.with_specials": ("specials", lambda text: VOCAB.with_specials(specials=text)),
    "Words.from_strings": ("words", Words.from_strings),
    "Words.lookup": ("words", VECTORS.words.lookup),
    "Vectors": ("words", lambda text: Vectors(text, np.eye(3, dtype=np.float32))),
    "Vectors.select": ("words", VECTORS.select),
    "load": ("vocab", lambda text: load("no-such-file", vocab=text)),
    "convert": ("vocab", lambda text: vecload.convert(__file__, "never.txt", vocab=text)),
    "align": ("vocab", lambda text: align(VECTORS, text)),
    "oov": ("oov", lambda text: align(VECTORS, ["cat"], oov=text)),
    "NgramTable.vectors": ("words", NGRAMS.vectors),
    "NgramTable.counts": ("words", NGRAMS.counts),
    "SentencePooler.encode": ("texts", lambda text: SentencePooler(VECTORS).encode(text)),
    "SentencePooler.stream": ("texts", lambda text: next(SentencePooler(VECTORS).stream(text))),
    "SentencePooler.fit": ("texts", lambda text: SentencePooler(VECTORS, "sif").fit(text)),
    "evaluate": ("datasets", lambda text: evaluate(VECTORS, text)),
    "transform": ("steps", lambda text: transform(VECTORS, text)),
    "prune": ("keep", lambda text: prune(VECTORS, text)),
    "map_series": ("anchors", lambda text: map_series([VECTORS, VECTORS], anchors=text)),
    "stability": ("words", lambda text: stability(VECTORS, VECTORS, words=text, k=1)),
}


@pytest.mark.parametrize("name", CALLS)
def test_string_in_place_of_a_list_raises(name: str) -> None:
    argument, call = CALLS[name]
    message = f"{argument} must be a list of strings, not one string: found 'the cat'; pass ['the cat']"
    with pytest.raises(OptionError) as caught:
        call("the cat")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "call",
    [
        lambda: VOCAB.encode([["the"], ["cat"]]),  # type: ignore[list-item]
        lambda: VOCAB[3],  # type: ignore[index]
        lambda: VOCAB.encode([3]),  # type: ignore[list-item]
        lambda: Vocab.from_tokens([["the", "cat"]]),  # type: ignore[list-item]
        lambda: Vocab.from_tokens([3]),  # type: ignore[list-item]
        lambda: Vocab.from_words([None]),  # type: ignore[list-item]
        lambda: Vocab.from_counter({3: 1}),  # type: ignore[dict-item]
        lambda: VECTORS.words.lookup([3]),  # type: ignore[list-item]
        lambda: VECTORS.select([3]),  # type: ignore[list-item]
        lambda: align(VECTORS, [["the", "cat"]]),  # type: ignore[list-item]
    ],
)
def test_list_of_other_values_than_strings_raises(call: Callable[[], object]) -> None:
    with pytest.raises(OptionError, match=r"(must be strings: found|looked up by word, got) (int|list|NoneType)"):
        call()


def test_single_word_is_looked_up_where_documented() -> None:
    assert VECTORS["cat"].tolist() == [0, 1, 0]
    assert VECTORS.neighbors("cat", 1) == [(VECTORS.neighbors(["cat"], 1)[0][0])]
    assert VOCAB["cat"] == 2
