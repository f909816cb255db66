"""`Tokenizer`: one argument for every function that splits texts into tokens, and a value that can be saved."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from vecload.errors import FormatError, OptionError, list_of_strings, require
from vecload.message_text import did_you_mean
from vecload.saved import parse_json
from vecload.tokenizers import english, japanese
from vecload.tokenizers.patterns import safe_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

WHITESPACE = "whitespace"
_TOKEN = re.compile(r"[^\t-\r ]+")
NAMES = (WHITESPACE, english.BASIC_ENGLISH, *japanese.NAMES)
KINDS = (*NAMES, "regex", "tokenizers", "function")

# Patterns of byte-level tokenizers (GPT-2, Llama 3, Qwen 2). They use lookahead, which `patterns` refuses, but they are
# known to be harmless, and many models have them.
_KNOWN_PATTERNS = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
)


class SubwordTokenizer(Protocol):
    """The methods of ``tokenizers.Tokenizer`` that are used here."""

    def encode_batch(self, input: Any, *, add_special_tokens: bool = ...) -> Any:  # noqa: A002 - Hugging Face's word
        """Split texts."""
        ...


@dataclass(frozen=True)
class Tokenizer:
    """A way to split texts into tokens.

    Parameters
    ----------
    kind
        "whitespace", "regex", "tokenizers" (Hugging Face), "sudachi", "fugashi" or "function".
    cut
        Function from texts to their tokens; None for ASCII white space, because compiled code then splits the bytes.
    lowercase
        Whether to lower-case texts first.
    settings
        Text that is saved with the kind, such as a pattern.
    """

    kind: str
    cut: Callable[[Sequence[str]], list[Sequence[str]]] | None
    lowercase: bool = False
    settings: str = ""

    @classmethod
    def of(cls, tokenize: Any, *, lowercase: bool = False) -> Tokenizer:
        """Return the tokenizer for a `tokenize` argument, the same for `Vocab` and `SentencePooler`.

        Parameters
        ----------
        tokenize
            - None or "whitespace": tokens end at ASCII white space.
            - A function from a text to its tokens.
            - A compiled regular expression without groups, whose matches are the tokens.
            - "basic_english": torchtext's rules. Texts are lower-cased; quotation marks, colons and semicolons are
              removed, and other punctuation becomes tokens.
            - "sudachi" or "fugashi": Japanese words (extra ``japanese``).
            - A Hugging Face tokenizer: a ``tokenizers.Tokenizer``, or one of ``transformers``. Its tokens are subwords.
            - An object with a method ``tokenize`` from a text to its tokens, such as those of NLTK.
        lowercase
            Whether to lower-case texts first, by the rules of ``str.lower``.

        Raises
        ------
        OptionError
            If `tokenize` is anything else.
        MissingDependencyError
            If the package for "sudachi" or "fugashi" is not installed.

        Examples
        --------
        >>> Tokenizer.of(re.compile(r"[a-z]+")).split(["to be, or"])
        [['to', 'be', 'or']]
        >>> Tokenizer.of("basic_english").split(["To be; don't!"])
        [['to', 'be', 'don', "'", 't', '!']]
        """
        if isinstance(tokenize, Tokenizer):
            return tokenize
        if tokenize is None or tokenize == WHITESPACE:
            return cls(WHITESPACE, None, lowercase)
        if isinstance(tokenize, re.Pattern):
            if tokenize.groups or isinstance(tokenize.pattern, bytes):
                raise OptionError(
                    f"tokenize= must be a pattern of text without groups, got {tokenize.pattern!r}; "
                    "write (?:...) instead of (...)"
                )
            find = tokenize.findall
            settings = json.dumps({"pattern": tokenize.pattern, "flags": tokenize.flags})
            return cls("regex", lambda texts: [find(text) for text in texts], lowercase, settings)
        if isinstance(tokenize, str):
            return cls(tokenize, _named(tokenize), lowercase)
        whole = getattr(tokenize, "backend_tokenizer", tokenize)  # transformers wraps a tokenizer of tokenizers
        if hasattr(whole, "encode_batch"):
            return cls("tokenizers", lambda texts: _subwords(whole, texts), lowercase, whole.to_str())
        # Calling a tokenizer of transformers returns ids, so its method `tokenize` has precedence.
        split = getattr(tokenize, "tokenize", tokenize)
        if callable(split):
            # The tokens are checked, because spaCy's pipelines, for example, return objects instead of strings.
            return cls("function", lambda texts: [list_of_strings("tokens", split(text)) for text in texts], lowercase)
        raise OptionError(
            f"tokenize= must be a function, a compiled regular expression, a Hugging Face tokenizer or one of "
            f"{', '.join(map(repr, NAMES))}; got {type(tokenize).__name__}"
        )

    def split(self, texts: Sequence[str | Sequence[str]]) -> list[Sequence[str]]:
        """Return the tokens of each text; a text that is already a list of tokens is returned as it is.

        Raises
        ------
        OptionError
            If a text is neither a string nor a list of strings.

        Examples
        --------
        >>> Tokenizer.of(None, lowercase=True).split(["To be", ["Or", "Not"]])
        [['to', 'be'], ['or', 'not']]
        """
        # Texts are collected first, because tokenizers of Hugging Face are much faster for a batch than for single
        # texts.
        made: list[Sequence[str]] = []
        whole: list[str] = []
        for at, text in enumerate(texts):
            if isinstance(text, str):
                whole.append(text)
                made.append(text)
            elif isinstance(text, (list, tuple)):
                made.append(list_of_strings(f"text {at}", text))
            else:
                found = f"found {type(text).__name__} at position {at}"
                raise OptionError(f"texts must be strings or lists of tokens: {found}")
        if self.lowercase:
            whole = [text.lower() for text in whole]
            made = [text if isinstance(text, str) else [token.lower() for token in text] for text in made]
        cut = iter((self.cut or _at_ascii_space)(whole))
        return [next(cut) if isinstance(text, str) else text for text in made]

    def to_json(self) -> dict[str, Any]:
        """Return the settings from which `from_json` makes the same tokenizer."""
        return {"kind": self.kind, "lowercase": self.lowercase, "settings": self.settings}

    @classmethod
    def from_json(cls, kept: dict[str, Any], tokenize: Any) -> Tokenizer:
        """Return the tokenizer that was saved, or `tokenize` instead of it.

        A function cannot be saved, so it must be passed again. A regular expression or a Hugging Face tokenizer may be
        passed, because not every pattern is accepted from a file (`vecload.tokenizers.patterns`).

        Raises
        ------
        OptionError
            If a function is needed and missing, if `tokenize` is of another kind, and for saved patterns that might
            take exponential time.
        """
        kind, lowercase, settings = kept["kind"], kept["lowercase"], kept["settings"]
        if tokenize is not None:
            given = cls.of(tokenize, lowercase=lowercase)
            if given.kind != kind:
                raise OptionError(f"the pooler was saved with a tokenizer of kind {kind!r}, not {given.kind!r}")
            return given
        if kind == "function":
            raise OptionError("the pooler was saved with a function: pass it again as tokenize=")
        if kind == "regex":
            pattern = _object(settings)
            return cls.of(safe_pattern(pattern.get("pattern"), pattern.get("flags")), lowercase=lowercase)
        if kind == "tokenizers":
            for inner in _patterns(_object(settings)):
                safe_pattern(inner, 0)
            return cls.of(_subword_tokenizer(settings), lowercase=lowercase)
        if kind not in KINDS:
            raise FormatError(f"unknown kind of tokenizer {kind[:40]!r}", expected=", ".join(KINDS))
        return cls.of(kind, lowercase=lowercase)


Tokenize: TypeAlias = Callable[[str], Iterable[str]] | re.Pattern[str] | SubwordTokenizer | Tokenizer | str | None
"""Types of a `tokenize` argument; `Tokenizer.of` describes them."""


def _named(name: str) -> Callable[[Sequence[str]], list[Sequence[str]]]:
    if name == english.BASIC_ENGLISH:
        return lambda texts: [english.basic_english(text) for text in texts]
    if name in japanese.NAMES:
        return japanese.word_splitter(name)
    raise OptionError(
        f"unknown tokenizer {name!r}; choose from: {', '.join(NAMES)}; or pass a function, re.compile(...) or a "
        f"Hugging Face tokenizer{did_you_mean(name, NAMES)}"
    )


def _object(settings: str) -> dict[str, Any]:
    try:
        found = parse_json(settings)
    except ValueError as error:
        raise FormatError(f"invalid JSON in the settings of the tokenizer: {error}") from error
    if not isinstance(found, dict):
        raise FormatError("the settings of the tokenizer are not a JSON object", found=type(found).__name__)
    return found


def _patterns(value: Any) -> Iterator[object]:
    """Yield the regular expressions in the JSON of a Hugging Face tokenizer, whose engine also backtracks."""
    if isinstance(value, dict):
        if "Regex" in value and value["Regex"] not in _KNOWN_PATTERNS:
            yield value["Regex"]
        for name, part in value.items():
            if name != "vocab":  # words are not patterns
                yield from _patterns(part)
    elif isinstance(value, list):
        for part in value:
            yield from _patterns(part)


def _subword_tokenizer(settings: str) -> Any:
    made = require("tokenizers", "tokenizers").Tokenizer
    try:
        return made.from_str(settings)
    except Exception as error:  # the library raises plain Exception
        raise FormatError(f"invalid settings of a Hugging Face tokenizer: {str(error)[:200]}") from error


def _at_ascii_space(texts: Sequence[str]) -> list[Sequence[str]]:
    return [_TOKEN.findall(text) for text in texts]


def _subwords(tokenizer: Any, texts: Sequence[str]) -> list[Sequence[str]]:
    return [found.tokens for found in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
