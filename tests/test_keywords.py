"""Keywords of other libraries: the error names ours."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable

import numpy as np
import pytest

import vecload
from vecload import OptionError, SentencePooler, UnknownKeywordError, Vectors, Vocab, keywords

VECTORS = Vectors(["cat", "dog"], np.eye(2, dtype=np.float32))
ALIGNED = vecload.align(VECTORS, Vocab.from_words(["cat"], pad_token="<pad>"))


@pytest.mark.parametrize(
    ("call", "keyword", "message"),
    [
        (ALIGNED.embedding, "freeze", "Aligned.embedding() has no keyword 'freeze'; use mode=\"freeze\" or"),
        (ALIGNED.embedding, "pad_idx", "use padding_idx="),
        (ALIGNED.pooler, "freeze", "use mode="),
        (VECTORS.neighbors, "topn", "use k="),
        (VECTORS.neighbors, "restrict_vocab", "use limit="),
        (VECTORS.analogy, "positive", "use a, b and c: positive=[b, c], negative=[a]"),
        (VECTORS.neighbors, "positive", "use analogy(a, b, c)"),
        (vecload.load, "max_vectors", "load() has no keyword 'max_vectors'; use limit="),
        (vecload.load, "binary", "it is detected from the file's content"),
        (vecload.load, "limits", "use limit="),
        (vecload.align, "unk_init", 'use oov=["normal"]'),
        (vecload.align, "completely_different", "align() has no keyword 'completely_different'"),
        (Vocab.from_texts, "tokenizer", "use tokenize="),
        (Vocab.from_texts, "vocab_size", "use max_size="),
        (Vocab.from_words, "unk", "use unk_token="),
        (Vocab.from_words([]).encode_batch, "return_tensors", "use as_numpy=False"),
        (SentencePooler, "pooling_mode", "SentencePooler() has no keyword 'pooling_mode'; use mode="),
        (SentencePooler(VECTORS).encode, "convert_to_tensor", "use as_numpy=False"),
        (Vectors, "vocab", "Vectors() has no keyword 'vocab'"),
    ],
)
def test_keyword_of_another_library_is_refused_by_naming_ours(call: Callable, keyword: str, message: str) -> None:
    with pytest.raises(UnknownKeywordError) as caught:
        call(**{keyword: 1})
    assert message.lower() in str(caught.value).lower()
    assert isinstance(caught.value, OptionError)
    assert isinstance(caught.value, TypeError)


def wrapped() -> set[Callable]:
    """Return every public function and method that names keywords."""
    found = set()
    for name in vecload.__all__:
        value = getattr(vecload, name)
        members = [one for _, one in inspect.getmembers(value)] if inspect.isclass(value) else [value]
        functions = [getattr(one, "__func__", one) for one in members]
        found |= {one for one in functions if inspect.isfunction(one) and one.__code__.co_filename == keywords.__file__}
    return found


def test_wrapped_functions_keep_name_signature_and_docstring() -> None:
    assert len(wrapped()) > 15
    for one in wrapped():
        assert one.__name__ == one.__wrapped__.__name__
        assert inspect.signature(one) == inspect.signature(one.__wrapped__)
        assert one.__name__ == "__init__" or one.__doc__


def test_every_proposed_keyword_exists_somewhere() -> None:
    known = {name for one in wrapped() for name in inspect.signature(one).parameters}
    for theirs, proposals in keywords._OTHERS.items():
        for ours, _ in proposals:
            assert ours in known, theirs
            assert theirs != ours


def test_mode_of_an_embedding_may_be_positional() -> None:
    assert not ALIGNED.embedding("freeze").weight.requires_grad
    assert typing.cast("typing.Any", ALIGNED.embedding("finetune")).weight.requires_grad
