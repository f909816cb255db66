"""Explain unknown keywords: the error names vecload's keyword for the same thing."""

from __future__ import annotations

import difflib
import functools
import inspect
import sys
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from vecload.errors import UnknownKeywordError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

_DETECTED = "it is detected from the file's content; pass format= only to override that"

# Keyword of another library → vecload's keywords for the same, and how to write it. The first one that the called
# function has is proposed.
OTHER_KEYWORDS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    # torch
    "freeze": (("mode", 'mode="freeze" or mode="finetune"'), ("trainable", "trainable=False for freeze=True")),
    "trainable": (("mode", 'mode="finetune" or mode="freeze"'),),
    "requires_grad": (("mode", 'mode="finetune" or mode="freeze"'), ("trainable", "trainable=")),
    "embedding_dim": (("vectors", "the vectors; their dimension is in the file"),),
    # torchtext
    "max_vectors": (("limit", "limit="),),
    "unk_init": (("oov", 'oov=["normal"] or oov=["zeros"]'),),
    "max_tokens": (("max_size", "max_size="),),
    "min_count": (("min_freq", "min_freq="),),
    "vocab_size": (("max_size", "max_size="),),
    "special_first": (("specials", "specials=, which are placed first"),),
    "default_index": (("unk_token", "unk_token="),),
    "lower": (("lowercase", "lowercase="),),
    "do_lower_case": (("lowercase", "lowercase="),),
    "tokenizer": (("tokenize", "tokenize="),),
    # gensim
    "topn": (("k", "k="),),
    "restrict_vocab": (("limit", "limit="),),
    "restrict": (("limit", "limit="),),
    "binary": (("format", f"no such option: {_DETECTED}"),),
    "no_header": (("format", f"no such option: {_DETECTED}"),),
    "datatype": (("dtype", "dtype="),),
    "unicode_errors": (("errors", "errors="),),
    "positive": (("a", "a, b and c: positive=[b, c], negative=[a]"), ("query", "analogy(a, b, c)")),
    "negative": (("a", "a, b and c: positive=[b, c], negative=[a]"), ("query", "analogy(a, b, c)")),
    "sim_func": (("metric", "metric="),),
    # scikit-learn
    "n_components": (("k", "k="), ("dim", "dim=")),
    "random_state": (("seed", "seed="),),
    # sentence-transformers, Hugging Face, FAISS and others
    "top_k": (("k", "k="),),
    "n": (("k", "k="), ("limit", "limit=")),
    "n_neighbors": (("k", "k="),),
    "num_neighbors": (("k", "k="),),
    "nrows": (("limit", "limit="),),
    "max_rows": (("limit", "limit="),),
    "pooling_mode": (("mode", "mode="),),
    "pooling": (("mode", "mode="),),
    "normalize_embeddings": (("normalize", "normalize=True where the pooler is made"),),
    "convert_to_numpy": (("as_numpy", "as_numpy="),),
    "convert_to_tensor": (("as_numpy", "as_numpy=False"),),
    "return_tensors": (("as_numpy", "as_numpy=False"),),
    "show_progress_bar": (("progress", "progress="),),
    "max_len": (("max_length", "max_length="),),
    "truncation": (("max_length", "max_length="),),
    "padding": (("layout", 'layout="padded" or layout="offsets"'), ("padding_idx", "padding_idx=")),
    # other names within vecload
    "pad_idx": (("padding_idx", "padding_idx="), ("pad_token", "pad_token=")),
    "pad_index": (("padding_idx", "padding_idx="), ("pad_token", "pad_token=")),
    "pad": (("pad_token", "pad_token="), ("padding_idx", "padding_idx=")),
    "unk": (("unk_token", "unk_token="), ("unknown", "unknown=")),
    "method": (("combine", "combine="), ("metric", "metric=")),
}


def explain_public(package: str) -> None:
    """Apply `explain_keywords` to everything that a package exports: functions, and methods of classes.

    The last statement of a package's ``__init__`` (or of a public module) calls it, so that no public function can be
    forgotten. A function is replaced in the module that defines it, too: pickle accepts a function only if that module
    has the same object.

    Parameters
    ----------
    package
        Name of a package or module that is being imported and has an ``__all__``.
    """
    exported = sys.modules[package]
    for name in exported.__all__:
        value = getattr(exported, name)
        if inspect.isfunction(value):
            explained = explain_keywords(value)
            for module in (exported, sys.modules[value.__module__]):
                setattr(module, name, explained)
        elif inspect.isclass(value):
            for base in value.__mro__:
                if base.__module__.startswith("vecload."):
                    _explain_methods(base)


def _explain_methods(defining: type) -> None:
    """Apply `explain_keywords` to the public methods that a class defines, and to its ``__init__``.

    Methods without an optional parameter have no keywords worth explaining, and several are called for each word. The
    ``forward`` of a module is left as it is because compilers of torch read it, and a generated ``__init__`` because
    result types are made by the library only.
    """
    for name, member in list(vars(defining).items()):
        function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        if not inspect.isfunction(function) or function.__code__.co_filename == "<string>" or name == "forward":
            continue
        optional = function.__defaults__ or function.__kwdefaults__
        if optional and (name == "__init__" or not name.startswith("_")):
            wrapped = explain_keywords(function)
            setattr(defining, name, wrapped if function is member else type(member)(wrapped))


def explain_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function so that an unknown keyword raises an error that names the right one.

    A function that is wrapped already, or that takes any keyword, is returned as it is.

    Raises
    ------
    UnknownKeywordError
        From the wrapped function, for a keyword that it does not have.

    Examples
    --------
    >>> @explain_keywords
    ... def load(source, *, limit=None):
    ...     return limit
    >>> load("glove.txt", limit=2)
    2
    >>> load("glove.txt", max_vectors=2)
    Traceback (most recent call last):
    vecload.errors.UnknownKeywordError: load() has no keyword 'max_vectors'; use limit=
    """
    parameters = inspect.signature(function).parameters
    if _is_explained(function) or any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return function
    known = {name for name, one in parameters.items() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs and not known.issuperset(kwargs):
            # A class may inherit its __init__.
            called = type(args[0]).__name__ if function.__name__ == "__init__" else function.__qualname__
            raise UnknownKeywordError(_message(called, next(name for name in kwargs if name not in known), known))
        return function(*args, **kwargs)

    return checked


def _is_explained(function: object) -> bool:
    """Return whether a function is the result of `explain_keywords`."""
    return inspect.isfunction(function) and function.__code__.co_filename == __file__


def _message(called: str, name: str, known: set[str]) -> str:
    advice = next((how for ours, how in OTHER_KEYWORDS.get(name, ()) if ours in known), None)
    if advice is None:
        near = difflib.get_close_matches(name, sorted(known - {"self", "cls"}), n=1)
        advice = f"{near[0]}=" if near else None
    return f"{called}() has no keyword {name!r}" + (f"; use {advice}" if advice else "")
