"""Errors for keywords of other libraries name the keyword of vecload."""

from __future__ import annotations

import importlib
import inspect
import pickle
import typing
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import vecload
from vecload import SentencePooler, Vectors, Vocab, keywords
from vecload.errors import OptionError, UnknownKeywordError

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
def test_keyword_of_another_library_raises_and_names_ours(call: Callable, keyword: str, message: str) -> None:
    with pytest.raises(UnknownKeywordError) as caught:
        call(**{keyword: 1})
    assert message.lower() in str(caught.value).lower()
    assert isinstance(caught.value, OptionError)
    assert isinstance(caught.value, TypeError)


NAMESPACES = [
    vecload,
    *(
        importlib.import_module(f"vecload.{name}")
        for name in (
            "catalog conversion distributed evaluation formats layers mapping oov pooling provenance search transforms"
        ).split()
    ),
]


def public_callables() -> Iterator[tuple[str, Callable, tuple[object, ...]]]:
    """Yield name, function and leading arguments of every public function, and of every method with keywords."""
    for namespace in NAMESPACES:
        for name in getattr(namespace, "__all__", ()):
            value = getattr(namespace, name)
            if inspect.isfunction(value):
                yield f"{namespace.__name__}.{name}", value, ()
            # Readers make a `Words` for every batch, so its methods have no wrapper.
            elif inspect.isclass(value) and not issubclass(value, (Exception, vecload.Words)):
                for attribute, member in inspect.getmembers(value):
                    function = getattr(member, "__func__", member)
                    if not str(getattr(function, "__module__", "")).startswith("vecload."):
                        continue
                    if inspect.isfunction(function) and (attribute == "__init__" or not attribute.startswith("_")):
                        yield f"{namespace.__name__}.{name}.{attribute}", function, (value,)


def has_keywords(function: Callable) -> bool:
    """Return whether calls of a method name keywords: it has an optional parameter, and is not made by a dataclass."""
    written = inspect.unwrap(function)
    optional = written.__defaults__ or written.__kwdefaults__
    return bool(optional) and written.__name__ != "forward" and written.__code__.co_filename != "<string>"


CALLABLES = [
    pytest.param(function, leading, id=name)
    for name, function, leading in public_callables()
    if not leading or has_keywords(function)
]


@pytest.mark.parametrize(("function", "leading"), CALLABLES)
def test_every_public_callable_explains_unknown_keywords(function: Callable, leading: tuple[object, ...]) -> None:
    if any(one.kind is one.VAR_KEYWORD for one in inspect.signature(function).parameters.values()):
        pytest.skip("takes any keyword")
    with pytest.raises(UnknownKeywordError, match="has no keyword 'no_such_keyword'"):
        function(*leading, no_such_keyword=1)


@pytest.mark.parametrize(("function", "leading"), CALLABLES)
def test_explained_functions_keep_name_signature_and_docstring(function: Callable, leading: tuple[object, ...]) -> None:
    written = inspect.unwrap(function)
    assert function.__name__ == written.__name__
    assert inspect.signature(function) == inspect.signature(written)
    assert function.__name__ == "__init__" or function.__doc__


def test_explained_functions_can_be_pickled() -> None:
    for function in (vecload.load, vecload.transforms.center, vecload.search.nearest, vecload.oov.normal):
        assert pickle.loads(pickle.dumps(function)) is function


def test_every_proposed_keyword_exists_somewhere() -> None:
    known = {name for _, function, _ in public_callables() for name in inspect.signature(function).parameters}
    for theirs, proposals in keywords.OTHER_KEYWORDS.items():
        for ours, _ in proposals:
            assert ours in known, theirs
            assert theirs != ours


def test_mode_of_an_embedding_may_be_positional() -> None:
    assert not ALIGNED.embedding("freeze").weight.requires_grad
    assert typing.cast("typing.Any", ALIGNED.embedding("finetune")).weight.requires_grad
