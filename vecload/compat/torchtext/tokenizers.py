"""``torchtext.data.utils``: tokenizers by name, and word n-grams."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from vecload.errors import MissingDependencyError, OptionError, require
from vecload.message_text import did_you_mean
from vecload.tokenizers import basic_english

# Name of a tokenizer → module that has it, package to install, and how to get the function.
_PACKAGES: Final[dict[str, tuple[str, str, Callable[[Any], Callable[[str], list[str]]]]]] = {
    "moses": ("sacremoses", "sacremoses", lambda module: module.MosesTokenizer().tokenize),
    "toktok": ("nltk.tokenize.toktok", "nltk", lambda module: module.ToktokTokenizer().tokenize),
    "revtok": ("revtok", "revtok", lambda module: module.tokenize),
    "subword": ("revtok", "revtok", lambda module: partial(module.tokenize, decap=True)),
}
_NAMES: Final = ("basic_english", "spacy", *_PACKAGES)


def get_tokenizer(tokenizer: str | Callable[[str], Any] | None, language: str = "en") -> Callable[[str], Any]:
    """Return a function from a text to its tokens, as torchtext's function of this name.

    Parameters
    ----------
    tokenizer
        None splits at white space; "basic_english" lower-cases and separates punctuation; a function is returned as it
        is. "spacy", "moses", "toktok", "revtok" and "subword" need the package that they are named after (NLTK for
        "toktok", revtok for "subword").
    language
        Name of the spaCy pipeline for "spacy". Only "en" is valid for "basic_english".

    Raises
    ------
    OptionError
        If the tokenizer is unknown, or "basic_english" is requested for another language.
    MissingDependencyError
        If the package of the tokenizer is not installed.

    Examples
    --------
    >>> get_tokenizer("basic_english")("You can't; or can you?")
    ['you', 'can', "'", 't', 'or', 'can', 'you', '?']
    >>> get_tokenizer(None)("You can't;")
    ['You', "can't;"]
    """
    if tokenizer is None:
        return str.split
    if callable(tokenizer):
        return tokenizer
    if tokenizer == "basic_english":
        if language != "en":
            raise OptionError(f"tokenizer 'basic_english' is for English only: found language={language!r}")
        return basic_english
    if tokenizer == "spacy":
        return partial(_spacy_tokens, _spacy_pipeline(language))
    if tokenizer in _PACKAGES:
        name, package, function_of = _PACKAGES[tokenizer]
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise MissingDependencyError(f"tokenizer {tokenizer!r} needs {package}: pip install {package}") from error
        return function_of(module)
    raise OptionError(
        f"unknown tokenizer {tokenizer!r}; choose from: {', '.join(_NAMES)}; or pass a function or None"
        + did_you_mean(str(tokenizer), _NAMES)
    )


def _spacy_pipeline(language: str) -> Any:
    spacy = require("spacy", "spacy")
    try:
        return spacy.load(language)
    except OSError:
        # spaCy 3 removed names such as "en", but still knows which pipelines they were.
        full_name = getattr(spacy.errors, "OLD_MODEL_SHORTCUTS", {}).get(language)
        if full_name is None:
            raise
        return spacy.load(full_name)


def _spacy_tokens(pipeline: Any, text: str) -> list[str]:
    return [token.text for token in pipeline.tokenizer(text)]


def ngrams_iterator(token_list: Sequence[str], ngrams: int) -> Iterator[str]:
    """Yield the tokens, then their n-grams joined by spaces, shorter ones first.

    Parameters
    ----------
    token_list
        Tokens of a text.
    ngrams
        Maximum number of tokens in an n-gram.

    Examples
    --------
    >>> list(ngrams_iterator(["here", "we", "are"], 2))
    ['here', 'we', 'are', 'here we', 'we are']
    """
    yield from token_list
    for size in range(2, ngrams + 1):
        for begin in range(len(token_list) - size + 1):
            yield " ".join(token_list[begin : begin + size])
